"""The one package that the collection installs, on machines that lack it in different ways."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from lab_client import BIN, ROOT

PLAY = [
    {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.include_tasks": str(ROOT / "roles" / "coolify_firewall" / "tasks" / "nft.yml")}],
        "handlers": [{"ansible.builtin.import_tasks": str(ROOT / "roles" / "coolify_access" / "handlers" / "main.yml")}],
    }
]
PURGE = "apt-get -qq update && apt-get -qqy purge nftables && ! command -v nft"
# The second is a fresh cloud image, whose lists of packages are empty: apt's module finds no nftables at first.
MACHINES = {
    "without python3-apt": PURGE,
    "with python3-apt, without lists": f"{PURGE} && apt-get -qqy install python3-apt && rm -rf /var/lib/apt/lists/*",
}
# The one of this program, where the machine has it beside its own.
OWN = None if sys.base_prefix == "/usr" else Path(sys.base_prefix, "bin", "python3")
PYTHONS = {"the system's": None, "a foreign one": OWN}


def installed(inventory, *options):
    """The changes on each machine, all at the same time."""
    done = subprocess.run(
        [str(BIN / "ansible-playbook"), "-i", str(inventory), *options, "play.yml"],
        cwd=inventory.parent,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
        capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: one["changed"] for name, one in json.loads(done.stdout)["stats"].items()}


def has(machine, program):
    return machine.exec_run(["sh", "-c", f"command -v {program}"])[0] == 0


@pytest.fixture
def machines(lab):
    """By name: one of each kind for each Python, and the variables that lead Ansible to it."""
    made = {}
    try:
        for kind, (python, path) in itertools.product(MACHINES, PYTHONS.items()):
            name = f"{lab.prefix}-package-{len(made)}"
            variables, mounts = {"ansible_connection": "community.docker.docker"}, {}
            if python == "a foreign one":
                if path is None:
                    warnings.warn("no other Python on this machine: seen with the system's alone", stacklevel=1)
                    continue
                home = str(path.parents[1])
                variables["ansible_python_interpreter"], mounts = str(path), {home: {"bind": home, "mode": "ro"}}
            image = lab.engine.containers.get(lab.host).image
            machine = lab.engine.containers.run(
                image, ["3600"], entrypoint="sleep", name=name, detach=True, volumes=mounts
            )
            made[name] = (machine, kind, variables)
        yield made
    finally:
        for machine, _kind, _variables in made.values():
            machine.remove(force=True)


def test_nft_is_installed_as_check_mode_said(machines, tmp_path):
    (tmp_path / "play.yml").write_text(json.dumps(PLAY))
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": {name: one[2] for name, one in machines.items()}}}))
    for machine, kind, _variables in machines.values():
        code, output = machine.exec_run(["sh", "-c", MACHINES[kind]])
        assert code == 0, output
    assert installed(inventory, "--check") == dict.fromkeys(machines, 1)
    assert not [name for name, (machine, _kind, _variables) in machines.items() if has(machine, "nft")]
    assert installed(inventory) == dict.fromkeys(machines, 1)
    assert all(has(machine, "nft") for machine, _kind, _variables in machines.values())
