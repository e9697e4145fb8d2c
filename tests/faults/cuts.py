"""Cuts the two edits by SIGKILL at random moments, and looks at what becomes of the file and of Coolify.

The modules are cut on the lab's host itself; a whole site.yml, with both edits to make, from here. After each cut
Coolify serves its page, and one further run is green; after every second cut of a site.yml, Coolify is updated before that
run, to another layout and back.

    python tests/faults/cuts.py --prefix faults --modules 500 --site 30 --seed 1
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
import typing as t
from pathlib import Path

import ansible

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / ".collections"), str(ROOT / "molecule" / "shared")]

import docker  # noqa: E402
from coolify_host import HTTP_CONF, PORT, CoolifyHost  # noqa: E402
from coolify_sockets import ask, both_served  # noqa: E402

FOLDER = "/root/faults"
# What AnsiballZ would give the module, and what the package itself wants to be imported.
ANSIBLE = ("__init__.py", "release.py", "_vendor", "module_utils")
MODULES = ("pusher_env", "nginx_snippet")
# Either layout; the lab begins with the first.
VERSIONS = ("4.3.24", "4.7.6")
# From one to the other, both edits have something to do.
SETTINGS = (
    {"coolify_access": "domain", "coolify_nginx_read_timeout": 3600},
    {"coolify_access": "tailscale", "coolify_nginx_read_timeout": 7200},
)


def put_modules(machine: str, *programs: Path) -> None:
    """What the modules need to run without Ansible around them, and the programs that run them so."""
    parts = {f"ansible/{name}": Path(ansible.__file__).parent / name for name in ANSIBLE}
    for name in ("modules", "module_utils"):
        parts[f"ansible_collections/selfhosted/coolify/plugins/{name}"] = ROOT / "plugins" / name
    parts.update({program.name: program for program in programs})
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, source in parts.items():
            archive.add(source, f"{Path(FOLDER).name}/{name}", filter=without_bytecode)
    docker.from_env().containers.get(machine).put_archive(str(Path(FOLDER).parent), packed.getvalue())


def without_bytecode(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in entry.name else entry


def cut_modules(host: CoolifyHost, cuts: int, chance: random.Random) -> None:
    put_modules(host.name, ROOT / "tests" / "faults" / "on_the_host.py")
    try:
        for module in MODULES:
            output = host.shell(f"python3 {FOLDER}/on_the_host.py {module} {cuts // len(MODULES)} {chance.randrange(2**32)}")
            told = ", ".join(f"{count} {what}" for what, count in json.loads(output.splitlines()[-1]).items())
            print(f"{module}: {told}; every file whole, every page served, every further run green", flush=True)
    finally:
        host.shell(f"rm -rf {FOLDER}")


def play(inventory: Path, host: CoolifyHost, variables: dict[str, t.Any]) -> subprocess.Popen[str]:
    words = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), "-l", host.name]
    return subprocess.Popen(
        [*words, "-e", json.dumps(variables), "playbooks/site.yml"], cwd=ROOT, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"},
    )


def finish(inventory: Path, host: CoolifyHost, variables: dict[str, t.Any]) -> float:
    """Seconds that a run to its end took. Raises AssertionError where it is not green."""
    began = time.monotonic()
    process = play(inventory, host, variables)
    output = process.communicate()[0]
    assert process.returncode == 0, f"{variables}\n{output}"
    return time.monotonic() - began


def update(host: CoolifyHost, version: str) -> None:
    """Coolify's own update. A run that is cut here has a module that goes on on the host: where the update meets it at work on
    the same container the engine refuses one of them, and whoever updates asks once more."""
    try:
        host.upgrade(version)
    except AssertionError as failed:
        if "Error response from daemon" not in str(failed):
            raise
        print(f"update to {version}: asked for once more, {str(failed).strip().splitlines()[-1]}", flush=True)
        host.upgrade(version)


def sound(host: CoolifyHost) -> bool:
    """Whether the page is served and nginx has tested its files. Raises AssertionError where nginx refuses them: what nobody
    waits for, while a container that is being created anew cannot be asked."""
    if ask(host.address, PORT, "page") != 200:
        return False
    code, output = host.attempt("docker exec coolify nginx -t -q")
    assert "nginx: " not in output, output
    return code == 0


def keys(host: CoolifyHost) -> set[str]:
    """The names in .env that are not managed."""
    lines = host.shell("cat /data/coolify/source/.env").splitlines()
    return {line.partition("=")[0] for line in lines if not line.startswith("PUSHER_")}


def cut_site(host: CoolifyHost, inventory: Path, cuts: int, chance: random.Random) -> None:
    finish(inventory, host, SETTINGS[0])
    named = keys(host)
    length = finish(inventory, host, SETTINGS[1])
    for number in range(cuts):
        variables = SETTINGS[number % 2]
        process = play(inventory, host, variables)
        moment = chance.uniform(0, length)
        try:
            process.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        host.wait("Coolify serves its page, and nginx can be asked", lambda: sound(host), 120)
        updated = number % 2 == 1
        if updated:
            update(host, VERSIONS[(number // 2 + 1) % 2])
            host.wait("Coolify serves its page", lambda: ask(host.address, PORT, "page") == 200, 120)
        finish(inventory, host, variables)
        assert keys(host) >= named, "a key of .env is lost"
        assert str(variables["coolify_nginx_read_timeout"]) in host.shell(f"docker exec coolify cat {HTTP_CONF}")
        assert both_served(host.address, PORT)
        then = ", updated," if updated else ","
        print(f"site.yml: cut {number + 1} at {moment:.1f} of {length:.1f} s{then} whole and green afterwards", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prefix", default="faults", help="the lab, which must be up")
    parser.add_argument("--modules", type=int, default=500)
    parser.add_argument("--site", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    chance = random.Random(options.seed)
    host = CoolifyHost(f"{options.prefix}-coolify")
    try:
        if options.modules:
            cut_modules(host, options.modules, chance)
        if options.site:
            cut_site(host, ROOT / ".lab" / options.prefix / "inventory.yml", options.site, chance)
    except AssertionError as found:
        print(f"FAILED (seed {options.seed}): {found}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
