"""Every promised release of ansible-core: unit and sanity tests on its Python; site, verify and remove on one lab host.

    .venv/bin/python tests/matrix.py [--only LINE] [--prefix matrix] [--keep]

Prints the table, and writes it into docs/versions.md where all were run. Exit status 1 where a cell is not as it should
be.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "molecule" / "shared"), str(ROOT / "tests")]

import cores  # noqa: E402
import lab_client  # noqa: E402
import run as stages  # noqa: E402

COLUMNS = ("ansible-core", "Python", "unit tests", "sanity", "site.yml", "again", "verify.yml", "remove.yml")
DUAL = {"coolify_access": "dual"}
PAGE = ROOT / "docs" / "versions.md"
BLOCK = re.compile(r"(?s)(<!-- BEGIN make matrix -->\n).*(<!-- END make matrix -->)")


def unit_tests(commands: Path) -> str:
    """Run the logic's unit tests with the Python of this virtual environment."""
    python = str(commands / "python")
    requirements = ["-r", str(ROOT / "tests" / "unit" / "requirements.txt")]
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements], check=True)
    done = subprocess.run(
        [python, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider", "tests/unit/plugins/module_utils"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )
    if done.returncode:
        print(done.stdout[-3000:])
    return "ok" if done.returncode == 0 else "FAILED"


def sanity(commands: Path, python: str) -> str:
    """Run this release's own sanity tests on the collection."""
    stages.prepare_sanity()
    done = subprocess.run(
        [str(commands / "ansible-test"), "sanity", "--requirements", "--python", python.rpartition(".")[0], "--color", "no"],
        cwd=stages.SANITY, env={**os.environ, **stages.sanity_environment(), "PATH": f"{commands}:{os.environ['PATH']}"},
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )
    if done.returncode:
        print((done.stdout + done.stderr)[-3000:])
    return "ok" if done.returncode == 0 else "FAILED"


def played(lab: lab_client.Lab, playbook: str, commands: Path, *, changes: bool | None = None, **variables: object) -> str:
    """Run a playbook; with ``changes`` False a change is a failure."""
    run = lab.play(f"playbooks/{playbook}", commands=commands, **variables)
    changed = run.stats.get(lab.host, {}).get("changed", 0)
    if run.code or (changes is False and changed):
        print(run.text[-3000:])
        return "FAILED"
    return "ok" if changes is None else f"changed={changed}"


def row(lab: lab_client.Lab, line: str) -> t.Sequence[str]:
    commands = cores.ensure(line)
    if commands is None:
        return (cores.shown(line), "none here", *["not run"] * (len(COLUMNS) - 2))
    asked = [str(commands / "python"), "-c", "import platform; print(platform.python_version())"]
    python = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    return (
        cores.shown(line),
        python,
        unit_tests(commands),
        sanity(commands, python),
        played(lab, "site.yml", commands, **DUAL),
        played(lab, "site.yml", commands, changes=False, **DUAL),
        played(lab, "verify.yml", commands, **DUAL),
        played(lab, "remove.yml", commands),
    )


def table(rows: t.Sequence[t.Sequence[str]]) -> str:
    lines = [COLUMNS, ["---"] * len(COLUMNS), *rows]
    return "\n".join("| {} |".format(" | ".join(line)) for line in lines)


def written(lab: lab_client.Lab, text: str) -> None:
    """Put the table into the page, with when and where it was made."""
    system = lab.shell('. /etc/os-release; echo "$PRETTY_NAME"').strip()
    image = lab.shell("docker inspect --format '{{.Config.Image}}' coolify").strip()
    where = f"Run on {time.strftime('%Y-%m-%d')} against one host with {system} and Coolify {image.rpartition(':')[2]}:"
    PAGE.write_text(BLOCK.sub(lambda found: f"{found[1]}\n{where}\n\n{text}\n\n{found[2]}", PAGE.read_text()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="LINE", choices=list(cores.CORES), help="this release alone")
    parser.add_argument("--prefix", default="matrix", help="which lab (default: matrix)")
    parser.add_argument("--keep", action="store_true", help="leave the lab up")
    options = parser.parse_args()
    lab = lab_client.Lab(options.prefix)
    lab.up()
    rows = []
    try:
        for line in options.only or cores.CORES:
            rows.append(row(lab, line))
            print(" ".join(rows[-1]), flush=True)
        if not options.only:
            written(lab, table(rows))
    finally:
        if not options.keep:
            lab.down()
    print("\n" + table(rows))
    return int(any(cell == "FAILED" for found in rows for cell in found))


if __name__ == "__main__":
    sys.exit(main())
