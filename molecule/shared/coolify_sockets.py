"""Real sockets to Coolify's port: single handshakes, a watch on both routes, sockets that are held open."""

from __future__ import annotations

import http.client
import json
import os
import selectors
import socket
import struct
import threading
import time
import typing as t

from ansible_collections.selfhosted.coolify.plugins.module_utils.verify import _websocket

TERMINAL = "/terminal/ws"
APP = "/app/{}?protocol=7&client=lab&version=1"
PAGE = "/api/health"
# What proves a route: the terminal server's 401 for want of a session (fact 9) as much as an upgrade.
SERVED = {"terminal": (101, 401), "app": (101,), "page": (200,)}
# The route is there, and its server is still starting: in the bundled layout nginx starts beside it.
ROUTED = {route: (*statuses, 502) for route, statuses in SERVED.items()}
_PATHS = {"terminal": TERMINAL, "app": APP.format("nobody"), "page": PAGE}
_PING_SECONDS = 25.0


def ask(address: str, port: int, route: str, timeout: float = 3.0) -> int | None:
    """Status of the answer on a route's path, None where none came."""
    key = None if route == "page" else _websocket.new_key()
    try:
        with socket.create_connection((address, port), timeout) as connection:
            return _handshake(connection, address, port, _PATHS[route], key).status
    except (OSError, _websocket.ProtocolError):
        return None


def both_served(address: str, port: int) -> bool:
    return all(ask(address, port, route) in SERVED[route] for route in ("terminal", "app"))


class Seen(t.NamedTuple):
    """One answer, or none (status None), and when it was there: seconds on the monotonic clock."""

    at: float
    route: str
    status: int | None


class Watch:
    """Asks every route again and again until the end of the ``with`` block; `seen` is what came of it."""

    def __init__(self, address: str, port: int, routes: t.Sequence[str] = ("terminal", "app")) -> None:
        self.seen: list[Seen] = []
        self._target = (address, port)
        self._over = threading.Event()
        # One thread for each: a route that does not answer must not keep the other from being asked.
        self._threads = [threading.Thread(target=self._look, args=(route,), daemon=True) for route in routes]

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _look(self, route: str) -> None:
        while not self._over.wait(0.005):
            status = ask(*self._target, route, timeout=2.0)
            self.seen.append(Seen(time.monotonic(), route, status))

    def answers(self, since: float = 0.0) -> list[Seen]:
        """What was answered, from a time on, in its order."""
        return sorted(one for one in self.seen if one.at >= since and one.status is not None)

    def without_routes(self, since: float = 0.0) -> list[Seen]:
        """The answers from somebody else than the route."""
        return [one for one in self.answers(since) if one.status not in ROUTED[one.route]]


def gap(answers: t.Sequence[Seen]) -> float:
    """Seconds from the first answer of any kind to the moment from which on every route is there for good.

    Raises ValueError where one is not there in the end.
    """
    routes = {one.route for one in answers}
    good_since = []
    for route in routes:
        last_bad = max((one.at for one in answers if one.route == route and one.status not in ROUTED[route]), default=None)
        good = [one.at for one in answers if one.route == route and (last_bad is None or one.at > last_bad)]
        if not good:
            raise ValueError(f"{route} was not there in the end")
        # A route that was never wrong was there from the first answer on, whenever it was first asked.
        good_since.append(answers[0].at if last_bad is None else good[0])
    return max(good_since) - answers[0].at


class Held:
    """Established sockets that do what their servers ask of them; `lost` counts those that ended by themselves."""

    def __init__(self, address: str, port: int, app_key: str, terminals: int, apps: int) -> None:
        self.lost = 0
        self._selector = selectors.DefaultSelector()
        self._buffers: dict[socket.socket, bytearray] = {}
        self._apps: list[socket.socket] = []
        cookie = _session(address, port)
        for _number in range(terminals):
            self._add(_established(address, port, TERMINAL, cookie))
        for _number in range(apps):
            self._apps.append(self._add(_established(address, port, APP.format(app_key), cookie)))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        for connection in list(self._buffers):
            connection.close()

    def _add(self, connection: socket.socket) -> socket.socket:
        self._selector.register(connection, selectors.EVENT_READ)
        self._buffers[connection] = bytearray()
        return connection

    def _keep(self) -> None:
        pinged = time.monotonic()
        while not self._over.is_set():
            for key, _mask in self._selector.select(0.2):
                self._take(t.cast("socket.socket", key.fileobj))
            if time.monotonic() - pinged > _PING_SECONDS:
                pinged = time.monotonic()
                # soketi ends a connection that is silent for two minutes.
                for connection in self._apps:
                    if connection in self._buffers:
                        self._send(connection, _websocket.TEXT, json.dumps({"event": "pusher:ping", "data": {}}).encode())

    def _take(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._end(connection)
            return
        buffer = self._buffers[connection]
        buffer += data
        while len(buffer) >= 2:
            length, start = buffer[1] & 0x7F, 2
            if length == 126:
                if len(buffer) < 4:
                    return
                length, start = struct.unpack("!H", buffer[2:4])[0], 4
            if len(buffer) < start + length:
                return
            opcode, payload = buffer[0] & 0x0F, bytes(buffer[start : start + length])
            del buffer[: start + length]
            if opcode == _websocket.PING:
                self._send(connection, _websocket.PONG, payload)
            elif opcode == _websocket.CLOSE:
                self._end(connection)
                return

    def _send(self, connection: socket.socket, opcode: int, payload: bytes) -> None:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        try:
            connection.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked)
        except OSError:
            self._end(connection)

    def _end(self, connection: socket.socket) -> None:
        if self._buffers.pop(connection, None) is not None:
            self._selector.unregister(connection)
            connection.close()
            self.lost += 1


def _session(address: str, port: int) -> str:
    """The cookies of somebody who is signed in."""
    connection = http.client.HTTPConnection(address, port, timeout=10)
    connection.request("GET", "/")
    answer = connection.getresponse()
    cookies = [value.partition(";")[0] for name, value in answer.getheaders() if name.lower() == "set-cookie"]
    connection.close()
    return "; ".join(cookies)


def _established(address: str, port: int, path: str, cookie: str) -> socket.socket:
    connection = socket.create_connection((address, port), 10)
    status = _handshake(connection, address, port, path, _websocket.new_key(), cookie).status
    if status != 101:
        connection.close()
        raise AssertionError(f"{path}: {status} instead of 101")
    return connection


def _handshake(
    connection: socket.socket, address: str, port: int, path: str, key: str | None, cookie: str = ""
) -> _websocket.Answer:
    head = _websocket.request(path, f"{address}:{port}", f"http://{address}:{port}", key)
    if cookie:
        head = head[:-2] + f"Cookie: {cookie}\r\n\r\n".encode()
    connection.sendall(head)
    return _websocket.Reader(lambda: connection.recv(65536)).answer()
