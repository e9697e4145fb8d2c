"""Knocks at every target each 20 ms until it is told to stop (SIGTERM), and prints what got in, and when.

Arguments: host,port,own address. One line at the end: {"attempts", "longest_gap_ms", "open": [[time, host, port], …]}.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time

EVERY = 0.020
PATIENCE = 0.9


async def knock(host: str, port: int, own: str, seen: list) -> None:
    with contextlib.suppress(OSError, asyncio.TimeoutError):
        _reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port, local_addr=(own, 0)), PATIENCE)
        seen.append([time.time(), host, port])
        writer.close()


async def main() -> None:
    targets = [(host, int(port), own) for host, port, own in (word.split(",") for word in sys.argv[1:])]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    seen: list = []
    knocking: set = set()
    attempts, gap, last = 0, 0.0, time.monotonic()
    upcoming = last
    print("watching", flush=True)
    while not stop.is_set():
        now = time.monotonic()
        gap, last = max(gap, now - last), now
        for host, port, own in targets:
            task = asyncio.create_task(knock(host, port, own, seen))
            knocking.add(task)
            task.add_done_callback(knocking.discard)
            attempts += 1
        upcoming = max(upcoming + EVERY, now)
        await asyncio.sleep(upcoming - time.monotonic())
    await asyncio.gather(*knocking)
    print(json.dumps({"attempts": attempts, "longest_gap_ms": round(gap * 1000), "open": seen}))


asyncio.run(main())
