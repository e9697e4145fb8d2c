"""The one package that the collection installs, on machines that lack it in different ways."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import run as stages
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


def install(machine, folder, *options):
    (folder / "play.yml").write_text(json.dumps(PLAY))
    done = subprocess.run(
        [str(BIN / "ansible-playbook"), "-i", f"{machine.name},", "-e", "ansible_connection=community.docker.docker",
         *options, "play.yml"],
        cwd=folder, env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}, capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def has(machine, program):
    return machine.exec_run(["sh", "-c", f"command -v {program}"])[0] == 0


@pytest.mark.parametrize("python", ["the system's", "a foreign one"])
@pytest.mark.parametrize("kind", MACHINES)
def test_nft_is_installed_as_check_mode_said(lab, tmp_path, kind, python):
    options, mounts = [], {}
    if python == "a foreign one":
        old = stages.oldest_python()
        if old is None:
            pytest.skip("no other Python on this machine")
        home = str(Path(old).parents[1])
        options, mounts = ["-e", f"ansible_python_interpreter={old}"], {home: {"bind": home, "mode": "ro"}}
    machine = lab.engine.containers.run(
        lab.engine.containers.get(lab.host).image, ["3600"], entrypoint="sleep", name=f"{lab.prefix}-package",
        detach=True, volumes=mounts,
    )
    try:
        code, output = machine.exec_run(["sh", "-c", MACHINES[kind]])
        assert code == 0, output
        assert "changed=1" in install(machine, tmp_path, *options, "--check")
        assert not has(machine, "nft")
        assert "changed=1" in install(machine, tmp_path, *options)
        assert has(machine, "nft")
    finally:
        machine.remove(force=True)
