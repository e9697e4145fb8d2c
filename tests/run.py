"""Runs the project's tests stage by stage and ends with one line: ``N passed, N failed``.

    .venv/bin/python tests/run.py [fast|test|all]

fast: unit and lint. test: everything, each scenario on at least one system. all: everything on the three systems.
Every stage writes its output to ``.cache/logs/<stage>.log``; a stage that fails shows the end of it. At the end come a table of
the stages, where the processors' time went, and the slowest tests.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
LOGS = ROOT / ".cache" / "logs"
PYTHON = str(BIN / "python")
LAB = [PYTHON, "molecule/shared/lab"]
# How many stages with a lab go at a time. They mostly wait, for a closed port, a health check, an answer.
LANES = int(os.environ.get("LAB_LANES") or 3)
# The end-to-end tests by the lab that they share; what is named in neither list fails the run.
E2E = {
    "e2e-hosts": ("readme", "layouts", "nginx_by_hand", "packages", "unfit_hosts"),
    "e2e-people": ("broadcast", "every_diagnosis", "report", "serve", "site", "terminal"),
}
IMAGES, OLDER_IMAGES = "images", "images-older"
SYSTEMS = ("bullseye", "bookworm", "trixie")
OLDEST_PYTHON = "3.8"
STARTED = time.monotonic()
RUNNING: set[subprocess.Popen[bytes]] = set()
CUT = threading.Event()
HEARTBEAT_SECONDS = 30.0
SLOWEST = 20
FAILURE_LINES = 12
# What all containers of the engine have used, those that are gone included (cgroup v1 and v2, as far as there is one for all).
LAB_PROCESSORS = (Path("/sys/fs/cgroup/cpuacct/docker/cpuacct.usage"), Path("/sys/fs/cgroup/docker/cpu.stat"))


@dataclass
class Stage:
    """One command, or a short list of them, and the prefix of the lab that it boots."""

    name: str
    commands: list[list[str]]
    environment: dict[str, str] = field(default_factory=dict)
    cwd: Path = ROOT
    prepare: t.Callable[[], None] | None = None
    lab: str = ""


@dataclass
class Outcome:
    """What came of a stage: its tests, when it began and ended (s since the run began), its own processes' processor time (s)."""

    name: str
    passed: int = 0
    failed: int = 0
    began: float = 0.0
    ended: float = 0.0
    processors: float = 0.0


def say(text: str) -> None:
    minutes, seconds = divmod(int(time.monotonic() - STARTED), 60)
    print(f"[{minutes:3d}:{seconds:02d}] {text}", flush=True)


def last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    plain = re.sub(r"\x1b\[[0-9;]*m", "", lines[-1]) if lines else ""
    return plain[:110]


def run_command(command: list[str], log: Path, stage: Stage) -> tuple[int, float]:
    """Exit code and processor time in seconds."""
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1", **stage.environment}
    if stage.lab:
        environment["LAB_PREFIX"] = stage.lab
    elif stage.name not in (IMAGES, OLDER_IMAGES):
        # What boots no lab has no time limits of its own: it takes what the labs leave.
        command = ["nice", "-n", "15", *command]
    with log.open("a") as out:
        out.write(f"$ {' '.join(command)}\n")
        out.flush()
        process = subprocess.Popen(
            command, cwd=stage.cwd, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        RUNNING.add(process)
        shown = time.monotonic()
        try:
            while True:
                ended, status, used = os.wait4(process.pid, os.WNOHANG)
                if ended:
                    process.returncode = os.waitstatus_to_exitcode(status)
                    return process.returncode, used.ru_utime + used.ru_stime
                time.sleep(0.05)
                if time.monotonic() > shown + HEARTBEAT_SECONDS:
                    shown = time.monotonic()
                    say(f"  … {stage.name}: {last_line(log)}")
        finally:
            RUNNING.discard(process)


def cut(number: int, _frame: t.Any) -> None:
    """Ends what the stages began; they wait for it in threads of their own, and no further one begins."""
    CUT.set()
    for process in list(RUNNING):
        os.killpg(process.pid, signal.SIGTERM)
    sys.exit(128 + number)


def counted(report: Path) -> tuple[int, int]:
    """(passed, failed) of a JUnit file; a skipped test counts as neither, and is named by pytest in the log."""
    passed = failed = 0
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        failed += bad
        passed += int(suite.get("tests", 0)) - bad - int(suite.get("skipped", 0))
    return passed, failed


def run_stage(stage: Stage) -> Outcome:
    log = LOGS / f"{stage.name}.log"
    log.write_text("")
    report = LOGS / f"{stage.name}.xml"
    report.unlink(missing_ok=True)
    outcome = Outcome(stage.name, began=time.monotonic() - STARTED)
    say(f"{stage.name} …")
    code = 0
    if stage.prepare:
        stage.prepare()
    # Also for the tests that a scenario runs, which are told of it by the environment.
    stage.environment["PYTEST_ADDOPTS"] = f"--junitxml={report}"
    for command in stage.commands:
        code, used = run_command(command, log, stage)
        outcome.processors += used
        if code:
            break
    outcome.passed, outcome.failed = counted(report) if report.exists() else (int(code == 0), int(code != 0))
    if code and not outcome.failed:
        outcome.failed = 1
    outcome.ended = time.monotonic() - STARTED
    verdict = "ok" if not outcome.failed else "FAILED"
    seconds = outcome.ended - outcome.began
    say(f"{stage.name}: {verdict}, {outcome.passed} passed, {outcome.failed} failed, {seconds:.0f} s")
    if outcome.failed:
        print("\n".join(log.read_text(errors="replace").splitlines()[-80:]), flush=True)
        print(f"-- the whole output: {log.relative_to(ROOT)}", flush=True)
    return outcome


def labs_processors() -> float | None:
    """Seconds of processor time that containers have used since the engine began; None where no file has it."""
    for path in filter(Path.exists, LAB_PROCESSORS):
        text = path.read_text()
        return int(text) / 1e9 if text.strip().isdigit() else int(text.split()[1]) / 1e6
    return None


def slowest_tests(names: t.Iterable[str]) -> list[tuple[float, str, str]]:
    """Seconds, stage and name of the tests that took longest."""
    found = []
    for name in names:
        report = LOGS / f"{name}.xml"
        for case in ElementTree.parse(report).getroot().iter("testcase") if report.exists() else ():
            found.append((float(case.get("time") or 0), name, str(case.get("name"))))
    return sorted(found, reverse=True)[:SLOWEST]


def failures(outcomes: list[Outcome]) -> list[str]:
    """Each failed test with the end of what it says, or the last lines of a stage that failed outside of its tests."""
    lines = []
    for one in outcomes:
        if not one.failed:
            continue
        report = LOGS / f"{one.name}.xml"
        cases = ElementTree.parse(report).getroot().iter("testcase") if report.exists() else ()
        bad = [(case, part) for case in cases for part in case if part.tag in ("failure", "error")]
        for case, part in bad:
            lines.append(f"FAILED {one.name} {case.get('classname')} {case.get('name')}")
            lines += [f"  {line[:200]}" for line in str(part.get("message")).splitlines()[:FAILURE_LINES] if line.strip()]
        if not bad:
            said = (LOGS / f"{one.name}.log").read_text(errors="replace").splitlines()
            lines += [f"FAILED {one.name}", *(f"  {line[:200]}" for line in said[-FAILURE_LINES:])]
    return lines


def summary(outcomes: list[Outcome], labs: float | None) -> list[str]:
    """The lines that a run ends with, `labs` being the seconds of processor time that the labs used."""
    lines = ["", f"{'stage':<20}{'passed':>8}{'failed':>8}{'began':>8}{'seconds':>9}{'processor':>11}"]
    for one in sorted(outcomes, key=lambda one: one.began):
        seconds = one.ended - one.began
        lines.append(f"{one.name:<20}{one.passed:>8}{one.failed:>8}{one.began:>8.0f}{seconds:>9.0f}{one.processors:>11.0f}")
    whole, own = time.monotonic() - STARTED, sum(one.processors for one in outcomes)
    cores = os.cpu_count() or 1
    used = f"of {cores} processors for {whole:.0f} s: our own processes {own:.0f} s"
    if labs is not None:
        used += f", the labs {labs:.0f} s, waiting {max(cores * whole - own - labs, 0):.0f} s"
    lines += [used, ""]
    slow = [f"{took:8.1f} s  {name}  {test}" for took, name, test in slowest_tests(one.name for one in outcomes)]
    return [*lines, f"the {len(slow)} slowest tests:", *slow, ""] if slow else lines


def oldest_python() -> Path | None:
    """A CPython of the oldest supported version under a pyenv, or as a command of its own."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for candidate in sorted(root.glob(f"versions/{OLDEST_PYTHON}.*/bin/python")):
        return candidate
    found = shutil.which(f"python{OLDEST_PYTHON}")
    return Path(found) if found else None


def copy_checkout(target: Path) -> None:
    """The files git knows or would add, as a git repository at ``target`` (ansible-test wants one at a fixed path)."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True, capture_output=True
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        # ansible-test judges what a user of the collection gets, and its unit tests; ruff has the rest.
        if name.startswith(("molecule/", "tests/")) and not name.startswith(("tests/unit/", "tests/sanity/")):
            continue
        if not source.exists() and not source.is_symlink():
            continue
        destination = target / name
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, destination, follow_symlinks=False)
    for command in (["git", "init", "-q"], ["git", "add", "-A"]):
        subprocess.run(command, cwd=target, check=True, capture_output=True)


SANITY = ROOT / ".cache" / "sanity" / "ansible_collections" / "selfhosted" / "coolify"
SANITY_HOME = ROOT / ".cache" / "sanity" / "home"
# ansible-test fetches a pip installer from a site of its own, which a machine with package registries alone cannot
# reach; Python carries an installer that does the same. In a home of its own, so that no other project meets it.
PIP_BOOTSTRAP = """\
import subprocess, sys
subprocess.check_call([sys.executable, "-m", "ensurepip", "--upgrade"])
wanted = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
subprocess.check_call([sys.executable, "-m", "pip", "install", *wanted])
"""


def prepare_sanity() -> None:
    copy_checkout(SANITY)
    cache = SANITY_HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    # As the releases of ansible-core name it, by the pip that they want: 2.17, 2.18 and 2.19, since 2.20.
    for wanted in ("23_1_2", "24_2", "25_2"):
        (cache / f"get_pip_{wanted}.py").write_text(PIP_BOOTSTRAP)


def sanity_environment() -> dict[str, str]:
    """A home of its own, with the caches and settings of pip where they are for everybody else."""
    home = Path.home()
    environment = {"HOME": str(SANITY_HOME), "PIP_CACHE_DIR": str(home / ".cache" / "pip")}
    for settings in (home / ".config" / "pip" / "pip.conf", home / ".pip" / "pip.conf"):
        if settings.exists():
            environment.setdefault("PIP_CONFIG_FILE", str(settings))
    return environment


def fast_stages() -> list[Stage]:
    return [
        Stage("unit", [[PYTHON, "-m", "pytest", "-n", "2", "tests/unit"]]),
        Stage(
            "lint",
            [
                [str(BIN / "ruff"), "check", "."],
                [str(BIN / "lint-imports"), "--no-cache"],
                [str(BIN / "ansible-lint"), "--offline", "--strict"],
            ],
            environment={"ANSIBLE_HOME": str(ROOT / ".cache" / "ansible"), "PYTHONPATH": str(ROOT / "plugins")},
        ),
        Stage("types", [[str(BIN / "mypy"), "--cache-dir", str(ROOT / ".cache" / "mypy")]]),
        Stage("docs", [[PYTHON, "tests/docs.py", "--check"]]),
    ]


def playbooks_stage() -> Stage:
    """What needs ansible-playbook to be asked, and no host: roles and action plugins over an inventory."""
    return Stage("playbooks", [[PYTHON, "-m", "pytest", "-n", "2", "tests/playbooks"]])


def published_stage() -> Stage:
    """What others make of the collection: its documentation, its changelog, its tarball on a Galaxy server."""
    return Stage(
        "published",
        [
            [str(BIN / "antsibull-docs"), "lint-collection-docs", "--plugin-docs", "."],
            [str(BIN / "antsibull-changelog"), "lint"],
            [PYTHON, "tests/site.py"],
            [PYTHON, "tests/galaxy.py"],
        ],
        environment={"ANSIBLE_HOME": str(ROOT / ".cache" / "ansible")},
    )


def oldest_python_stages() -> list[Stage]:
    """The logic on the oldest Python that a managed host may have."""
    old = oldest_python()
    if not old:
        say(f"no Python {OLDEST_PYTHON} on this machine: the logic is not run on it here")
        return []
    home = ROOT / ".cache" / "python-oldest"
    made = [] if (home / "bin" / "pip").exists() else [[str(old), "-m", "venv", str(home)]]
    return [
        Stage(
            f"unit-python{OLDEST_PYTHON}",
            [
                *made,
                [str(home / "bin" / "pip"), "install", "-q", "-r", "tests/unit/requirements.txt"],
                [str(home / "bin" / "python"), "-m", "pytest", "-n", "2", "tests/unit/plugins/module_utils"],
            ],
        )
    ]


def sanity_stage() -> Stage:
    return Stage(
        "sanity",
        [[str(BIN / "ansible-test"), "sanity", "--requirements", "--python", f"{sys.version_info[0]}.{sys.version_info[1]}",
          "--color", "no"]],
        cwd=SANITY,
        environment=sanity_environment(),
        prepare=prepare_sanity,
    )


def scenario_names() -> list[str]:
    return sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))


def lab_stages(every_system: bool) -> list[Stage]:
    unknown = {path.stem[len("test_") :] for path in ROOT.glob("tests/e2e/test_*.py")} ^ set(itertools.chain(*E2E.values()))
    if unknown:
        sys.exit(f"E2E in tests/run.py and the files of tests/e2e differ in {', '.join(sorted(unknown))}")
    stages = []
    modes = {"LAB_MODES": "domain tailscale dual", "LAB_EXTENT": "all", "LAB_IDLE_SECONDS": "180"} if every_system else {}
    for name, files in E2E.items():
        paths = [f"tests/e2e/test_{file}.py" for file in files]
        stages.append(Stage(name, [[PYTHON, "-m", "pytest", "-x", "-v", *paths]], environment=modes, lab=name))
    # Backwards, as it happens: the longest first, so that no lane is left with one alone.
    for name in reversed(scenario_names()):
        # The newest one's main job is what tests/e2e/test_site.py tells of.
        some = SYSTEMS[:-1] if name == "default" else SYSTEMS[-1:]
        systems = SYSTEMS if every_system else some
        environment = {**modes, "LAB_SYSTEMS": " ".join(systems), "ANSIBLE_FORCE_COLOR": "0"}
        commands = [[str(BIN / "molecule"), "test", "-s", name]]
        stages.append(Stage(f"molecule-{name}", commands, environment=environment, lab=name))
    return stages


def unless_cut(stage: Stage) -> Outcome:
    return Outcome(stage.name) if CUT.is_set() else run_stage(stage)


def at_a_time(number: int, stages: list[Stage]) -> list[Outcome]:
    """What came of the stages, begun in their order."""
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(unless_cut, stages))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("extent", choices=("fast", "test", "all"), nargs="?", default="test")
    parser.add_argument("--only", metavar="STAGE", action="append", help="run only this stage (may be repeated)")
    arguments = parser.parse_args()
    LOGS.mkdir(parents=True, exist_ok=True)
    # What a stage began is ended, and its lab is tidied away, by whatever it is cut.
    signal.signal(signal.SIGTERM, cut)
    signal.signal(signal.SIGINT, cut)
    stages = fast_stages()
    if arguments.extent != "fast":
        images = [Stage(IMAGES, [[*LAB, "build"]]), Stage(OLDER_IMAGES, [[*LAB, "build", "--system", *SYSTEMS]])]
        no_lab = [playbooks_stage(), published_stage(), *oldest_python_stages(), sanity_stage(), *images]
        stages = [*stages, *no_lab, *lab_stages(arguments.extent == "all")]
    if arguments.only:
        stages = [stage for stage in stages if stage.name in arguments.only]
    results: list[Outcome] = []
    labs = labs_processors()
    try:
        # The images first, by themselves, then the labs, and what boots none in the time that they wait, one at a time. The
        # images of the older systems have time until the first lab that has one.
        images = [stage for stage in stages if stage.name == IMAGES]
        older = [stage for stage in stages if stage.name == OLDER_IMAGES]
        busy = [stage for stage in stages if stage.lab]
        others = [stage for stage in stages if not stage.lab and stage not in images + older]
        results += at_a_time(1, images)
        with ThreadPoolExecutor(1 if busy else 3) as filling, ThreadPoolExecutor(1) as aside:
            beside = filling.map(unless_cut, others)
            older_ones = aside.map(unless_cut, older)
            results += [*at_a_time(LANES, busy), *older_ones, *beside]
    finally:
        # The labs that the stages made; one of somebody's own (the demo's) is not theirs to take down.
        prefixes = [stage.lab for stage in stages if stage.lab]
        if prefixes or any(stage.name in (IMAGES, OLDER_IMAGES) for stage in stages):
            tidy = run_stage(Stage("tidy", [[*LAB, "down", "--prefix", prefix] for prefix in prefixes or ["e2e-hosts"]]))
            tidy.passed = 0
            results.append(tidy)
    now = labs_processors()
    # An engine that was started meanwhile began to count anew.
    used = None if now is None else now - labs if labs and labs <= now else now
    print("\n".join(summary(results, used)), flush=True)
    # Last, because the end of a run is all that some CI services show.
    print("\n".join(failures(results)), flush=True)
    passed, failed = sum(one.passed for one in results), sum(one.failed for one in results)
    say(f"{len(stages)} stages")
    print(f"{passed} passed, {failed} failed", flush=True)
    return int(failed > 0 or passed == 0)


if __name__ == "__main__":
    sys.exit(main())
