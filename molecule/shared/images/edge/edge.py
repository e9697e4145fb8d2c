"""A stand-in for Cloudflare's edge: TLS for the lab's domains, and tunnels to the connectors that dialled in.

A browser's connection carries one request. The edge adds Cloudflare's headers, tells the connector of that name on
its control connection, and the connector dials back one data connection, on which it serves the request by its own
ingress list. As at Cloudflare, nothing here knows that list, and without a connector the answer is error 1033.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import ssl
from pathlib import Path

CERTIFICATES = Path("/certs")
CONNECTOR_PORT = 7844
LARGEST_HEAD = 65536
DIAL_BACK_WITHIN = 5.0
# Connectors send a line every few seconds; one that is silent for longer is gone.
SILENT_FOR = 15.0


class Connector:
    """One connector's control connection, and the names whose requests it takes."""

    def __init__(self, names: list[str], writer: asyncio.StreamWriter) -> None:
        self.names = names
        self._writer = writer

    def takes(self, host: str) -> int:
        """Return 2 for a name of its own, 1 for one under a wildcard of its, else 0."""
        if host in self.names:
            return 2
        return int(any(name.startswith("*.") and host.endswith(name[1:]) for name in self.names))

    def ask(self, number: int) -> None:
        """Ask for a data connection."""
        self._writer.write(b"request %d\n" % number)


class Edge:
    """Browsers on one side, connectors on the other."""

    def __init__(self) -> None:
        self._connectors: list[Connector] = []
        self._waiting: dict[int, asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]] = {}
        self._numbers = itertools.count(1)

    async def connector(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection that a connector made: its control connection, or one that was asked for."""
        kind, *words = (await reader.readline()).decode("ascii", "replace").split() or [""]
        if kind == "data" and words:
            waiting = self._waiting.pop(int(words[0]), None)
            if waiting is None or waiting.done():
                writer.close()
            else:
                waiting.set_result((reader, writer))
            return
        if kind != "control":
            writer.close()
            return
        connector = Connector([name.lower() for name in words], writer)
        self._connectors.append(connector)
        writer.write(b"registered\n")
        print("connector for", *words, flush=True)
        with contextlib.suppress(asyncio.TimeoutError, OSError):
            while await asyncio.wait_for(reader.readline(), SILENT_FOR):
                pass
        self._connectors.remove(connector)
        print("connector gone for", *words, flush=True)
        writer.close()

    async def browser(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one request of a browser's connection."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await reader.readuntil(b"\r\n\r\n")
            line, *headers = head[:-4].split(b"\r\n")
            secure = writer.get_extra_info("ssl_object") is not None
            peer = str(writer.get_extra_info("peername")[0])
            tunnel = await self._tunnel(_value(headers, b"host").decode("ascii", "replace"))
            if tunnel is None:
                body = b"error code: 1033"
                writer.write(
                    b"HTTP/1.1 530 \r\nServer: lab-edge\r\nContent-Type: text/plain; charset=UTF-8\r\n"
                    b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
                )
                await writer.drain()
            else:
                tunnel[1].write(b"\r\n".join([line, *_forwarded(headers, peer, secure)]) + b"\r\n\r\n")
                await splice((reader, writer), tunnel)
        writer.close()

    async def _tunnel(self, host: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        name = host.rsplit(":", 1)[0].lower() if not host.endswith("]") else host
        connector = max(self._connectors, key=lambda one: one.takes(name), default=None)
        if connector is None or not connector.takes(name):
            return None
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        connector.ask(number)
        try:
            return await asyncio.wait_for(waiting, DIAL_BACK_WITHIN)
        except asyncio.TimeoutError:
            return None
        finally:
            self._waiting.pop(number, None)


def _value(headers: list[bytes], wanted: bytes) -> bytes:
    for header in headers:
        name, _, value = header.partition(b":")
        if name.strip().lower() == wanted:
            return value.strip()
    return b""


def _forwarded(headers: list[bytes], peer: str, secure: bool) -> list[bytes]:
    """Return the headers as Cloudflare passes them on."""
    upgrade = b"upgrade" in _value(headers, b"connection").lower() and _value(headers, b"upgrade") != b""
    ours = {b"cf-connecting-ip", b"x-forwarded-proto", b"x-forwarded-for", b"cdn-loop", b"keep-alive"}
    if not upgrade:
        ours |= {b"connection", b"upgrade"}
    before = _value(headers, b"x-forwarded-for")
    chain = (before + b", " if before else b"") + peer.encode()
    scheme = b"https" if secure else b"http"
    kept = [header for header in headers if header.partition(b":")[0].strip().lower() not in ours]
    added = [
        b"CF-Connecting-IP: " + peer.encode(),
        b"X-Forwarded-For: " + chain,
        b"X-Forwarded-Proto: " + scheme,
        b"CDN-Loop: cloudflare; stand-in",
    ]
    return [*kept, *added] + ([] if upgrade else [b"Connection: close"])


async def splice(
    one: tuple[asyncio.StreamReader, asyncio.StreamWriter], other: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    """Pass bytes on in both directions until the second side is done, or the first breaks off."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            data = await reader.read(65536)
            if not data:
                return
            writer.write(data)
            await writer.drain()

    there = asyncio.ensure_future(pump(one[0], other[1]))
    back = asyncio.ensure_future(pump(other[0], one[1]))
    try:
        await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (there, back):
            task.cancel()
        await asyncio.gather(there, back, return_exceptions=True)
        other[1].close()


class Certificates:
    """One TLS context for each domain, read anew when its file changes."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, ssl.SSLContext]] = {}
        self.front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.front.set_alpn_protocols(["http/1.1"])
        self.front.sni_callback = self._choose  # type: ignore[assignment]

    def _choose(self, connection: ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> int | None:
        files = sorted(CERTIFICATES.glob("*.pem"))
        own = [file for file in files if file.stem == (name or "").lower()]
        # Names without a certificate of their own are applications under the lab's wildcard, which each has.
        for file in own or files[:1]:
            connection.context = self._context(file)
            return None
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    def _context(self, file: Path) -> ssl.SSLContext:
        changed = file.stat().st_mtime
        known = self._known.get(file.stem)
        if known is None or known[0] != changed:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.set_alpn_protocols(["http/1.1"])
            context.load_cert_chain(file, file.with_suffix(".key"))
            known = self._known[file.stem] = (changed, context)
        return known[1]


async def main() -> None:
    """Listen until told to stop."""
    edge = Edge()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await asyncio.start_server(edge.connector, None, CONNECTOR_PORT)
    await asyncio.start_server(edge.browser, None, 80, limit=LARGEST_HEAD)
    await asyncio.start_server(edge.browser, None, 443, limit=LARGEST_HEAD, ssl=Certificates().front)
    print("edge listens", flush=True)
    await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
