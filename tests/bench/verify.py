"""How long ``verify.yml`` takes for one host, and for each of a fleet."""

from __future__ import annotations

import copy
import re
import statistics
import tempfile
import time
import typing as t
from pathlib import Path

import playbook
import yaml
from figures import Figure

_PLAY = "playbooks/verify.yml"
# The 20 share one machine and its one realtime server, which answers them in their turn; who is answered waits no longer.
_WORDS = ("--forks", "20", "-e", "coolify_verify_deadline=15")
_LOOK = re.compile(r"Look from every side at once -+ ([0-9.]+)s")


def fleet(inventory: Path, size: int) -> dict[str, t.Any]:
    """The lab's inventory with its host under `size` names: the machine bears no 20 hosts, and the host's share is the same."""
    groups = copy.deepcopy(yaml.safe_load(inventory.read_text()))
    hosts = groups["all"]["children"]["coolify"]["hosts"]
    (only,) = hosts.values()
    groups["all"]["children"]["coolify"]["hosts"] = {f"coolify-{number}": only for number in range(size)}
    return groups


def seconds(inventory: Path) -> tuple[float, float]:
    """Of the whole run, and of its looking from all sides."""
    began = time.monotonic()
    output = playbook.play(inventory, _PLAY, *_WORDS, environment={"ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_tasks"})
    whole = time.monotonic() - began
    looks = _LOOK.findall(output)
    return whole, float(looks[0]) if looks else float("nan")


def looked(inventory: Path, times: int) -> list[Figure]:
    """Medians of `times` rounds, in each of which every fleet is looked at once."""
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        fleets = {1: inventory}
        for size in (3, 20):
            fleets[size] = Path(folder) / f"fleet-{size}.yml"
            fleets[size].write_text(yaml.safe_dump(fleet(inventory, size)))
        for _number in range(times):
            rounds.append({size: seconds(path) for size, path in fleets.items()})

    def share(size: int) -> float:
        return statistics.median(one[size][0] / size / one[1][0] for one in rounds)

    return [
        Figure("verify.yml, one host, whole", statistics.median(one[1][0] for one in rounds), 4.0, "s"),
        Figure("of it the look from all sides", statistics.median(one[1][1] for one in rounds), 2.5, "s"),
        Figure("its time per host with 3 hosts ÷ that with one", share(3), 0.5, ""),
        Figure("its time per host with 20 hosts ÷ that with one", share(20), 0.3, ""),
    ]
