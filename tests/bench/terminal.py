"""What nginx on the way costs a terminal, beside the same terminal straight from its server."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import typing as t
from pathlib import Path

import docker
from coolify_host import PORT, CoolifyHost
from figures import Figure, percentile

_CLIENT = Path(__file__).with_name("terminal_client.py")
_MEGABYTES = 100


def drive(host: CoolifyHost, port: int, count: int, keys: int) -> dict[str, t.Any]:
    """One terminal at this port, opened by the host itself: nobody else gets at the terminal server's own."""
    process = docker.from_env().containers.get(host.name).attrs["State"]["Pid"]
    origin = f"http://{host.address}:{PORT}"
    words = [sys.executable, str(_CLIENT), origin, f"ws://{host.address}:{port}/terminal/ws", str(count), str(keys)]
    inside = ["nsenter", f"--net=/proc/{process}/ns/net"]
    done = subprocess.run([*inside, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


def cost(host: CoolifyHost, times: int, keys: int) -> list[Figure]:
    """Medians of `times` pairs in turn, so that the machine's load is in both."""
    ratios, through, straight = [], [], []
    for _number in range(times):
        by_nginx, by_itself = (drive(host, port, _MEGABYTES * 10**6, keys) for port in (PORT, 6002))
        ratios.append(by_nginx["seconds"] / by_itself["seconds"])
        through.append(percentile(by_nginx["keys"], 0.95))
        straight.append(percentile(by_itself["keys"], 0.95))
    return [
        Figure(f"time of {_MEGABYTES} MB to a terminal through nginx ÷ straight", statistics.median(ratios), 1 / 0.8, ""),
        Figure(
            f"a keystroke's echo through nginx, p95 of {keys}, beyond straight",
            statistics.median(one - other for one, other in zip(through, straight)), 1.0, "ms",
        ),
    ]
