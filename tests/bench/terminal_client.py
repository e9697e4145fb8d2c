"""Drives one terminal of Coolify's, from wherever it runs: how long a large output and single keystrokes take.

    terminal_client.py ORIGIN URL BYTES KEYS

Prints {"seconds": of the output, "keys": [milliseconds, …]}. The session is that of the page at ORIGIN.
"""

from __future__ import annotations

import json
import sys
import time
import typing as t

import requests
from websockets.sync.client import connect

PATIENCE = 120.0
# Nothing of it is in what is typed, so that its echo is not taken for it.
_READY = "printf 'rea''dy\\n'"


def main() -> None:
    origin, url, count, keys = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    page = requests.Session()
    page.get(origin + "/", timeout=10)
    command = page.get(origin + "/lab/settings", timeout=10).json()["terminal"]["command"]
    cookie = "; ".join(f"{one.name}={one.value}" for one in page.cookies)
    with connect(
        url, origin=origin, additional_headers={"Cookie": cookie}, compression=None, proxy=None, max_size=None, max_queue=None
    ) as socket:

        def send(**message: t.Any) -> None:
            socket.send(json.dumps(message))

        def until(mark: str) -> None:
            text = ""
            while mark not in text:
                text += str(socket.recv(PATIENCE))

        send(command=command)
        until("pty-ready")
        send(message=f"stty raw -echo; {_READY}\r")
        until("ready\n")
        began = time.monotonic()
        send(message=f"head -c {count} /dev/zero | tr '\\0' x; {_READY}\r")
        seen = 0
        while seen < count + len("ready\n"):
            seen += len(str(socket.recv(PATIENCE)))
        seconds = time.monotonic() - began
        send(message=f"{_READY}; exec cat\r")
        until("ready\n")
        taken = []
        for _number in range(keys):
            began = time.monotonic()
            send(message="k")
            until("k")
            taken.append((time.monotonic() - began) * 1000)
    print(json.dumps({"seconds": seconds, "keys": taken}))


if __name__ == "__main__":
    main()
