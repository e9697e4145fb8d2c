"""Real sockets to Coolify's port: single handshakes, a watch on both routes, sockets that are held open."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
import typing as t

from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.protocol import State
from websockets.sync.client import ClientConnection, connect
from websockets.uri import parse_uri

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
    try:
        if route == "page":
            return _page(address, port, timeout)
        return _upgrade(address, port, _PATHS[route], timeout)
    except (OSError, http.client.HTTPException):
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
        self._stack = contextlib.ExitStack()
        paths = [TERMINAL] * terminals + [APP.format(app_key)] * apps
        cookie = _session(address, port)
        with self._stack:
            opened = [self._stack.enter_context(_connection(address, port, path, cookie)) for path in paths]
            self._stack = self._stack.pop_all()
        self._sockets, self._apps = opened, opened[terminals:]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        return sum(one.state is not State.OPEN for one in self._sockets)

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._stack.close()

    def _keep(self) -> None:
        # soketi ends a connection that is silent for two minutes.
        while not self._over.wait(_PING_SECONDS):
            for one in self._apps:
                with contextlib.suppress(ConnectionClosed):
                    one.send(json.dumps({"event": "pusher:ping", "data": {}}))


def _session(address: str, port: int) -> str:
    """The cookies of somebody who is signed in."""
    connection = http.client.HTTPConnection(address, port, timeout=10)
    connection.request("GET", "/")
    answer = connection.getresponse()
    cookies = [value.partition(";")[0] for name, value in answer.getheaders() if name.lower() == "set-cookie"]
    connection.close()
    return "; ".join(cookies)


def _connection(address: str, port: int, path: str, cookie: str) -> t.ContextManager[ClientConnection]:
    # Without a limit to what nobody fetches, which would stop the reading, and with it the answers to the server's pings.
    return connect(
        f"ws://{address}:{port}{path}", origin=f"http://{address}:{port}", additional_headers={"Cookie": cookie},
        ping_interval=None, close_timeout=1, max_queue=None, compression=None, proxy=None,
    )


def _page(address: str, port: int, timeout: float) -> int:
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", PAGE)
        return connection.getresponse().status
    finally:
        connection.close()


def _upgrade(address: str, port: int, path: str, timeout: float) -> int | None:
    # The library's protocol without its connection, which would follow a redirect, and needs ten times as long.
    protocol = ClientProtocol(parse_uri(f"ws://{address}:{port}{path}"), origin=f"http://{address}:{port}")
    protocol.send_request(protocol.connect())
    with socket.create_connection((address, port), timeout) as connection:
        connection.sendall(b"".join(protocol.data_to_send()))
        while protocol.state is State.CONNECTING and protocol.handshake_exc is None:
            if data := connection.recv(65536):
                protocol.receive_data(data)
            else:
                protocol.receive_eof()
    if isinstance(protocol.handshake_exc, InvalidStatus):
        return protocol.handshake_exc.response.status_code
    return None if protocol.handshake_exc else 101
