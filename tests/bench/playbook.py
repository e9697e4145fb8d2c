"""What a run of ``site.yml`` that has nothing to change costs: module executions, and its time as so many pings."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from figures import Figure

ROOT = Path(__file__).resolve().parents[2]
_PLAY = "playbooks/site.yml"
_PING = "[{hosts: coolify, gather_facts: false, tasks: [{ansible.builtin.ping: {}}]}]\n"


def play(inventory: Path, playbook: str = _PLAY, *words: str, environment: t.Mapping[str, str] | None = None) -> str:
    """The output of ``ansible-playbook``.

    Raises AssertionError with it where the playbook fails.
    """
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), playbook, *words],
        cwd=ROOT, env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False,
    )
    if done.returncode:
        raise AssertionError(done.stdout)
    return done.stdout


def unchanged(inventory: Path, address: str, times: int) -> list[Figure]:
    """The two figures of the host at `address`, by `times` pairs of runs in turn, so that the machine's load is in both."""
    # By pipelining a module is one command on a connection; those on the sides that are looked from are not this host's.
    executions = play(inventory, _PLAY, "-vvv").count(f"<{address}> ESTABLISH SSH CONNECTION")
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as ping:
        ping.write(_PING)
        ping.flush()
        ratios = []
        for _number in range(times):
            began = time.monotonic()
            play(inventory, ping.name)
            pinged = time.monotonic()
            play(inventory)
            ratios.append((time.monotonic() - pinged) / (pinged - began))
    return [
        Figure("module executions on the host, site.yml with nothing to change", executions, 9, ""),
        Figure(f"its time as a multiple of a play with one ping, median of {times}", statistics.median(ratios), 8, ""),
    ]
