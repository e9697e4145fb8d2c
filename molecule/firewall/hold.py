"""Holds many connections open and asks over each of them every second; ends on SIGTERM and prints how many live.

Arguments: number per target, then host,port or host,port,path; with a path it is a WebSocket of Pusher's protocol.
One line at the end: {"opened", "alive", "rounds"}.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys

from websockets.asyncio.client import ClientConnection, connect

REQUEST = b"GET /ready HTTP/1.1\r\nHost: lab\r\nConnection: keep-alive\r\n\r\n"


class Plain:
    """A connection that is kept alive between requests."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self) -> None:
        self.writer.write(REQUEST)
        await self.reader.readuntil(b"\r\n0\r\n\r\n")


class Pusher:
    """A WebSocket that speaks Pusher's protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def ask(self) -> None:
        await self.socket.send('{"event":"pusher:ping","data":{}}')
        if "pusher:pong" not in str(await self.socket.recv()):
            raise OSError("no pong")


async def hold(target: str) -> Plain | Pusher:
    host, port, *path = target.split(",")
    if not path:
        return Plain(*await asyncio.open_connection(host, int(port)))
    # No pings of the library's: what is asked every second is ours.
    socket = await connect(f"ws://{host}:{port}{path[0]}", ping_interval=None, compression=None, proxy=None)
    if "connection_established" not in str(await socket.recv()):
        raise OSError(f"{target}: no greeting")
    return Pusher(socket)


async def ask_all(connections: list[Plain | Pusher]) -> list[Plain | Pusher]:
    asked = await asyncio.gather(*(asyncio.wait_for(one.ask(), 10) for one in connections), return_exceptions=True)
    return [one for one, outcome in zip(connections, asked) if not isinstance(outcome, BaseException)]


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    connections = [await hold(target) for target in sys.argv[2:] for _number in range(int(sys.argv[1]))]
    opened, rounds = len(connections), 1
    connections = await ask_all(connections)
    print(f"holding {len(connections)}", flush=True)
    while not stop.is_set():
        await asyncio.sleep(1)
        connections = await ask_all(connections)
        rounds += 1
    print(json.dumps({"opened": opened, "alive": len(connections), "rounds": rounds}))


asyncio.run(main())
