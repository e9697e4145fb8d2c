"""The scenario's hosts, and the two roles applied to them as a user applies them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / ".collections"), str(ROOT / "molecule" / "shared")]

from coolify_host import CoolifyHost  # noqa: E402


@dataclass
class Run:
    """One run of the roles: its exit code, its output, and how many tasks changed something."""

    code: int
    text: str

    @property
    def changed(self) -> int:
        found = re.search(r"changed=(\d+)", self.text)
        assert found, self.text
        return int(found.group(1))


class EditedHost(CoolifyHost):
    def attempt_edits(self, *options: str, **variables: object) -> Run:
        words = ["ansible-playbook", "-i", os.environ["LAB_INVENTORY"], "-l", self.name, *options]
        words += ["-e", json.dumps(variables), str(ROOT / "molecule" / "edits" / "converge.yml")]
        done = subprocess.run(
            words, cwd=ROOT, env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )
        return Run(done.returncode, done.stdout)

    def edit(self, *options: str, **variables: object) -> Run:
        run = self.attempt_edits(*options, **variables)
        assert run.code == 0, run.text
        return run


@pytest.fixture(scope="session", params=os.environ["LAB_HOSTS"].split())
def coolify(request):
    return EditedHost(request.param)


@pytest.fixture(autouse=True)
def untreated(coolify):
    """Every test finds a host without any edit of ours, and leaves one."""
    yield
    coolify.edit(coolify_state="absent", coolify_pusher_deployments="ignore")
