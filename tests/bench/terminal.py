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
# Keystrokes in one session.
_KEYS = 10


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
    """From pairs in turn, so that the machine's load is in both: `times` of a large output, and for the keystrokes one for ten.

    The terminal server answers by a timer, and so each session is slower or faster as a whole, by about as much as the limit:
    many short ones tell more of what is on the way than few long ones.
    """
    ratios, through, straight = [], [], []
    for _number in range(times):
        by_nginx, by_itself = (drive(host, port, _MEGABYTES * 10**6, 0) for port in (PORT, 6002))
        ratios.append(by_nginx["seconds"] / by_itself["seconds"])
    for _number in range(-(-keys // _KEYS)):
        through += drive(host, PORT, 1, _KEYS)["keys"]
        straight += drive(host, 6002, 1, _KEYS)["keys"]
    return [
        Figure(f"time of {_MEGABYTES} MB to a terminal through nginx ÷ straight", statistics.median(ratios), 1 / 0.8, ""),
        Figure(
            f"a keystroke's echo through nginx, p95 of {len(through)}, beyond straight",
            percentile(through, 0.95) - percentile(straight, 0.95), 1.0, "ms",
        ),
    ]
