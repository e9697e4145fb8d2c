"""Holds many connections open and asks over each of them every second; ends on SIGTERM and prints how many live.

Arguments: number per target, then host,port or host,port,path; with a path it is a WebSocket of Pusher's protocol.
One line at the end: {"opened", "alive", "rounds"}.
"""

from __future__ import annotations

import asyncio
import json
import signal
import struct
import sys

REQUEST = b"GET /ready HTTP/1.1\r\nHost: lab\r\nConnection: keep-alive\r\n\r\n"
UPGRADE = (
    "GET {} HTTP/1.1\r\nHost: lab\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
PING = b'{"event":"pusher:ping","data":{}}'


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str | None) -> None:
        self.reader, self.writer, self.path = reader, writer, path

    @classmethod
    async def open(cls, target: str) -> Connection:
        host, port, *path = target.split(",")
        made = cls(*await asyncio.open_connection(host, int(port)), path[0] if path else None)
        if made.path is not None:
            made.writer.write(UPGRADE.format(made.path).encode())
            head = await made.reader.readuntil(b"\r\n\r\n")
            if b" 101 " not in head or b"connection_established" not in await made.frame():
                raise OSError(f"{target}: {head!r}")
        return made

    async def frame(self) -> bytes:
        _first, length = await self.reader.readexactly(2)
        if length == 126:
            (length,) = struct.unpack("!H", await self.reader.readexactly(2))
        return await self.reader.readexactly(length)

    async def ask(self) -> None:
        if self.path is not None:
            # Masked with zeros, which leaves the text as it is.
            self.writer.write(struct.pack("!BBI", 0x81, 0x80 | len(PING), 0) + PING)
            if b"pusher:pong" not in await self.frame():
                raise OSError("no pong")
            return
        self.writer.write(REQUEST)
        await self.reader.readuntil(b"\r\n0\r\n\r\n")


async def ask_all(connections: list[Connection]) -> list[Connection]:
    asked = await asyncio.gather(*(asyncio.wait_for(one.ask(), 10) for one in connections), return_exceptions=True)
    return [one for one, outcome in zip(connections, asked) if not isinstance(outcome, BaseException)]


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    connections = [await Connection.open(target) for target in sys.argv[2:] for _number in range(int(sys.argv[1]))]
    opened, rounds = len(connections), 1
    connections = await ask_all(connections)
    print(f"holding {len(connections)}", flush=True)
    while not stop.is_set():
        await asyncio.sleep(1)
        connections = await ask_all(connections)
        rounds += 1
    print(json.dumps({"opened": opened, "alive": len(connections), "rounds": rounds}))


asyncio.run(main())
