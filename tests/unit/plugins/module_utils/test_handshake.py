# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handshakes with servers that answer as a Coolify does, that answer wrongly, and that mean harm."""

from __future__ import annotations

import contextlib
import errno
import json
import socket
import threading
import time
import typing as t
from unittest import mock
from urllib.parse import quote, urlsplit

import pytest
from hostile_servers import (
    ANSWERS,
    ESTABLISHED,
    HOSTILE,
    NO_RESOLVER,
    NO_TLS,
    PRODUCTS,
    TERMINALS,
    UNKNOWN_KEY,
    Serve,
    answering,
    closing,
    event,
    frame,
    reset,
    silence,
    upgrade,
    upgrading,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.selfhosted.coolify.plugins.module_utils.verify import _answers, _diagnosis, _handshake, _websocket

# For what ends by the clock, which is told by these ids, and for what ends by itself, on a machine however busy.
DEADLINE, PATIENCE = 0.8, 30.0
# What a machine that is busy with other things may add.
SLACK = 5.0
LATE = ("CWT-905", "CWT-906", "CWT-934", "CWT-938")


@contextlib.contextmanager
def server(serve: Serve, read_request: bool = True) -> t.Iterator[int]:
    """A server for one connection; ``serve`` gets the socket and the request."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with contextlib.suppress(OSError):
            connection, _address = listener.accept()
            listener.close()
            with connection:
                connection.settimeout(5)
                request = b""
                while read_request and b"\r\n\r\n" not in request:
                    data = connection.recv(4096)
                    if not data:
                        return
                    request += data
                serve(connection, request)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        thread.join(2)


def target(port: int, kind: str = "app", expect: str = "open", **changes: t.Any) -> dict[str, t.Any]:
    path = {"app": "/app/", "terminal": "/terminal/ws"}.get(kind, "/")
    options = {
        "name": "hop",
        "url": f"http://127.0.0.1:{port}{path}",
        "kind": kind,
        "expect": expect,
        "connect_to": None,
        "validate_certs": True,
    }
    return dict(options, **changes)


def look(
    serve: Serve,
    kind: str = "app",
    expect: str = "open",
    app_key: str | None = None,
    deadline: float = PATIENCE,
    **changes: t.Any,
) -> dict[str, t.Any]:
    with server(serve) as port:
        return in_time([target(port, kind, expect, **changes)], app_key, deadline)[0]


def in_time(
    targets: list[dict[str, t.Any]], app_key: str | None = None, deadline: float = DEADLINE, **options: t.Any
) -> list[dict[str, t.Any]]:
    begin = time.monotonic()
    results = _handshake.probe_all(targets, deadline, app_key, **options)
    assert time.monotonic() - begin < deadline + SLACK
    return results


def patience(identifier: str) -> float:
    return DEADLINE if identifier in LATE else PATIENCE


# -- what a Coolify answers (facts 9 and 10) -----------------------------------------------------------------------------


def test_established_connection_with_the_real_key() -> None:
    result = look(upgrading(ESTABLISHED), app_key="real-key")
    assert (result["ok"], result["status"], result["seen"]) == (True, 101, "101 established")
    assert set(result["phases"]) == {"dns", "tcp", "http", "frame"}


def test_refused_probe_key_proves_the_route() -> None:
    assert look(upgrading(UNKNOWN_KEY))["ok"]


def test_refused_real_key_is_a_fault() -> None:
    result = look(upgrading(UNKNOWN_KEY), app_key="real-key")
    assert result["diagnosis"]["id"] == "CWT-936"


def test_key_is_asked_for_and_in_no_result() -> None:
    asked = []

    def serve(connection: socket.socket, request: bytes) -> None:
        asked.append(request)
        connection.sendall(upgrade(request) + event("pusher:error", code=4001, message="App key Xk7/key does not exist."))

    result = look(serve, app_key="Xk7/key")
    assert b"GET /app/Xk7%2Fkey?protocol=7" in asked[0]
    assert "Xk7" not in json.dumps(result)


def test_pings_before_the_greeting_are_passed_over() -> None:
    assert look(upgrading(frame(b"", 9), frame(b"x", 10), ESTABLISHED), app_key="k")["ok"]


def test_greeting_in_pieces() -> None:
    payload = json.dumps({"event": "pusher:connection_established"}).encode()
    assert look(upgrading(frame(payload[:9], 1, False), frame(b"", 9), frame(payload[9:], 0)), app_key="k")["ok"]


def test_terminal_without_login() -> None:
    result = look(
        answering(b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 12\r\n\r\nUnauthorized"), "terminal"
    )
    assert (result["ok"], result["seen"]) == (True, "401")


@pytest.mark.parametrize(
    ("kind", "header"), [("app", ""), ("http", ""), ("terminal", "WWW-Authenticate: Basic realm=proxy\r\n")]
)
def test_a_login_is_asked_for_by_nobody_but_the_terminal_server(kind: str, header: str) -> None:
    result = look(answering(f"HTTP/1.1 401 Unauthorized\r\n{header}Content-Length: 0\r\n\r\n".encode()), kind)
    assert (result["ok"], result["diagnosis"]["id"]) == (False, "CWT-916")


@pytest.mark.parametrize("code", [4401, 4403])
def test_terminal_that_lets_in_and_sends_away(code: int) -> None:
    """Fact 45: the bundled layout's terminal server."""
    result = look(upgrading(frame(b"a word before"), closing(code)), "terminal")
    assert (result["ok"], result["seen"]) == (True, f"101, closed {code}")


@pytest.mark.parametrize("name", sorted(TERMINALS))
def test_what_opens_but_is_no_terminal_server(name: str) -> None:
    frames, identifier = TERMINALS[name]
    result = look(upgrading(*frames), "terminal", deadline=patience(identifier))
    assert (result["ok"], result["diagnosis"]["id"]) == (False, identifier)


def test_early_hints_before_the_answer() -> None:
    def serve(connection: socket.socket, request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + upgrade(request) + closing(4401))

    assert look(serve, "terminal")["ok"]


def test_page() -> None:
    assert look(answering(b"HTTP/1.0 200 OK\r\n\r\n"), "http")["ok"]


def test_expected_status() -> None:
    assert look(answering(b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n"), "http", status=302)["ok"]


# -- what stands in the way ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["terminal", "app"])
@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_wrong_answer(name: str, kind: str) -> None:
    answer, identifier = ANSWERS[name]
    result = look(answering(answer), kind, deadline=patience(identifier))
    assert (result["ok"], result["diagnosis"]["id"]) == (False, identifier)
    assert "S3CRET" not in json.dumps(result)


@pytest.mark.parametrize("path", ["/app/", "/terminal/ws"])
@pytest.mark.parametrize("name", sorted(PRODUCTS))
def test_what_stands_in_front(name: str, path: str) -> None:
    status, headers, identifier = PRODUCTS[name]
    scheme = "https" if identifier == "CWT-831" else "http"
    asked = path + "key?protocol=7&client=js" if path == "/app/" else path
    url = f"{scheme}://coolify.example.com{asked}"
    words = {"url": url, "path": asked, "quoted": quote(url, safe=""), "quoted_path": quote(asked, safe="")}
    answer = _websocket.Answer(status, {key: value.format(**words) for key, value in headers.items()})
    met = _answers.refusal(answer, True, urlsplit(f"{scheme}://coolify.example.com{path}"))
    assert met.identifier == identifier
    assert "S3CRET" not in met.detail
    # Nor is it taken for the terminal server, which says 401 too.
    assert not _answers.by_terminal_server(answer)


@contextlib.contextmanager
def website(page: Serve) -> t.Iterator[int]:
    """A server that knows no WebSocket, and a `page` for /api/health."""
    with contextlib.ExitStack() as opened:
        listener = opened.enter_context(socket.create_server(("127.0.0.1", 0)))

        def run() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _address = listener.accept()
                    with connection:
                        connection.settimeout(5)
                        request = connection.recv(4096)
                        serve = page if b" /api/health " in request else answering(b"HTTP/1.1 404 No\r\nServer: one\r\n\r\n")
                        serve(connection, request)

        threading.Thread(target=run, daemon=True).start()
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("page", "seen"),
    [
        (answering(b"HTTP/1.1 200 OK\r\n\r\nOK\n"), True),
        (answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nOK\n\r\n0\r\n\r\n"), True),
        (answering(b"HTTP/1.1 200 OK\r\n\r\n<!doctype html><title>Welcome to nginx!</title>" + b"x" * 99), False),
        (answering(b"HTTP/1.1 404 Not Found\r\n\r\n404 page not found"), False),
        (answering(b"HTTP/1.1 302 Found\r\nLocation: https://auth.example.org/\r\n\r\n"), None),
        (silence, None),
    ],
    ids=["Coolify", "in pieces", "another page", "no page", "login", "silence"],
)
def test_whose_page_it_is_that_answers(page: Serve, seen: bool | None) -> None:
    """Where no socket opens; and what was met is told even if that is never answered."""
    with website(page) as port:
        result = in_time([target(port)], deadline=DEADLINE if page is silence else PATIENCE)[0]
    assert (result["diagnosis"]["id"], result["page"], result["server"]) == ("CWT-911", seen, "one")


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_server(name: str) -> None:
    serve, identifier = HOSTILE[name]
    result = look(serve, deadline=patience(identifier))
    assert (result["ok"], result["diagnosis"]["id"]) == (False, identifier)
    assert result["seen"].isprintable()
    assert len(json.dumps(result)) < 2000


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_give_a_diagnosis(data: bytes, after_upgrade: bool) -> None:
    def serve(connection: socket.socket, request: bytes) -> None:
        connection.sendall((upgrade(request) if after_upgrade else b"") + data)

    result = look(serve)
    assert result["ok"] is False
    assert result["diagnosis"]["id"] in _diagnosis.TABLE


# -- before anything is answered -------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_refused() -> None:
    result = _handshake.probe_all([target(free_port())], PATIENCE)[0]
    assert (result["diagnosis"]["id"], result["seen"]) == ("CWT-901", "refused")


def test_refused_is_closed() -> None:
    assert _handshake.probe_all([target(free_port(), expect="closed")], PATIENCE)[0]["ok"]


@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name or service not known"), OSError(errno.ENETUNREACH, "no")])
def test_where_no_packet_goes_nothing_is_closed(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    """Field case V3: a name without an address was "open to everybody", and an IPv6 without a network "closed"."""
    if isinstance(error, socket.gaierror):
        monkeypatch.setattr(_handshake.socket, "getaddrinfo", mock.Mock(side_effect=error))
    else:
        monkeypatch.setattr(_handshake.socket.socket, "connect", mock.Mock(side_effect=error))
    result = _handshake.probe_all([target(free_port(), expect="closed")], PATIENCE)[0]
    assert (result["ok"], result["diagnosis"]["id"]) == (None, "CWT-611")


def test_a_resolver_that_never_answers_tells_nothing_of_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()
    monkeypatch.setattr(_handshake.socket, "getaddrinfo", lambda *_words, **_options: held.wait(30) and [])
    results = in_time([target(free_port(), expect="closed"), target(free_port())])
    held.set()
    assert [(result["ok"], result["diagnosis"]["id"]) for result in results] == [(None, "CWT-611"), (False, "CWT-812")]


@pytest.mark.parametrize("serve", [reset, answering(b"")], ids=["reset", "ended"])
def test_end_before_an_answer_is_closed(serve: Serve) -> None:
    assert look(serve, expect="closed")["ok"]


@pytest.mark.parametrize(
    "serve", [upgrading(UNKNOWN_KEY), answering(b"HTTP/1.1 404 No\r\n\r\n"), answering(b"SSH-2.0\r\n"), silence]
)
def test_whatever_answers_is_open(serve: Serve) -> None:
    result = look(serve, expect="closed", deadline=DEADLINE if serve is silence else PATIENCE)
    assert (result["ok"], result["diagnosis"]["id"]) == (False, "CWT-601")


@pytest.mark.parametrize(
    ("address", "own", "expected"),
    [
        ("192.168.1.15", "192.168.1.20", False),
        ("192.168.1.15", "192.168.2.20", True),
        ("10.4.0.9", "203.0.113.7", True),
        ("203.0.113.7", "192.168.1.20", False),
        ("100.64.0.2", "100.101.3.4", False),
        ("100.64.0.2", "192.168.1.20", True),
        ("fd7a:115c:a1e0::2", "fd7a:115c:a1e0:ab12::9", False),
        ("fd00:1::2", "2001:db8::7", True),
        ("fe80::1%eth0", "fe80::2%eth0", False),
        ("2001:db8::7", "fd00:1::2", False),
    ],
)
def test_an_address_of_a_network_that_the_machine_is_not_in(address: str, own: str, expected: bool) -> None:
    assert _handshake.elsewhere(address, own) is expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.255.255.254", (None, "CWT-838", "10.255.255.254")),
        ("203.0.113.7", (False, "CWT-902", "port 443 of 203.0.113.7 does not answer either")),
    ],
)
def test_silence_tells_something_where_the_address_means_the_host(
    monkeypatch: pytest.MonkeyPatch, address: str, expected: tuple[t.Any, str, str]
) -> None:
    connect = socket.socket.connect

    def lost(self: socket.socket, where: t.Any) -> None:
        if self.type == socket.SOCK_STREAM:
            raise socket.timeout
        connect(self, where)

    monkeypatch.setattr(_handshake.socket.socket, "connect", lost)
    result = _handshake.probe_all([target(80, url="http://coolify.invalid/app/", connect_to=address)], PATIENCE)[0]
    assert (result["ok"], result["diagnosis"]["id"]) == expected[:2]
    assert f"({expected[2]})" in result["diagnosis"]["cause"]


def test_unknown_name() -> None:
    result = _handshake.probe_all([target(80, url="http://coolify.invalid/app/")], 2.0)[0]
    assert result["diagnosis"]["id"] in ("CWT-811", "CWT-812")


def test_resolver_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: time.sleep(3) or [])
    assert in_time([target(80)])[0]["diagnosis"]["id"] == NO_RESOLVER[1]


def test_second_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(upgrading(UNKNOWN_KEY)) as port:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", one)) for one in (free_port(), port)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: found)
        assert _handshake.probe_all([target(port)], PATIENCE)[0]["ok"]


def test_connects_elsewhere_under_the_same_name() -> None:
    asked = []

    def serve(connection: socket.socket, request: bytes) -> None:
        asked.append(request)
        connection.sendall(upgrade(request) + UNKNOWN_KEY)

    with server(serve) as port:
        result = _handshake.probe_all(
            [target(port, url=f"http://coolify.invalid:{port}/app/", connect_to="127.0.0.1")], PATIENCE
        )[0]
    assert result["ok"]
    assert f"Host: coolify.invalid:{port}".encode() in asked[0]


def test_tls_with_a_server_that_speaks_none() -> None:
    with server(lambda connection, _request: connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n"), read_request=False) as port:
        result = _handshake.probe_all([target(port, url=f"https://127.0.0.1:{port}/app/")], PATIENCE)[0]
    assert result["diagnosis"]["id"] == NO_TLS[1]


def test_tls_without_an_answer() -> None:
    with server(lambda connection, _request: time.sleep(3 * DEADLINE), read_request=False) as port:
        result = in_time([target(port, url=f"https://127.0.0.1:{port}/app/")])[0]
    assert result["diagnosis"]["id"] == "CWT-905"


def test_all_at_once_in_their_order() -> None:
    with server(silence) as one, server(upgrading(UNKNOWN_KEY)) as two, server(silence) as three:
        results = in_time([target(port, name=str(port)) for port in (one, two, three)])
    assert [(result["name"], result["ok"]) for result in results] == [(str(one), False), (str(two), True), (str(three), False)]


# -- options ---------------------------------------------------------------------------------------------------------------

REFUSED_OPTIONS = {
    "scheme": ({"url": "ftp://x/"}, "url"),
    "no host": ({"url": "http:///app/"}, "url"),
    "port": ({"url": "http://x:99999/"}, "url"),
    "password": ({"url": "http://a:b@x/"}, "url"),
    "line break": ({"url": "http://x/a\u2028b"}, "url"),
    "blank": ({"url": "http://x/å"}, "url"),
    "kind": ({"kind": "ws"}, "kind"),
    "expect": ({"expect": "maybe"}, "expect"),
}


@pytest.mark.parametrize("name", sorted(REFUSED_OPTIONS))
def test_refused_option(name: str) -> None:
    changes, option = REFUSED_OPTIONS[name]
    with pytest.raises(ValueError, match=rf"targets\[0\]: {option}"):
        _handshake.probe_all([target(80, **changes)])


def test_refused_authorities() -> None:
    with pytest.raises(ValueError, match="PEM"):
        _handshake.probe_all([target(443, url="https://x/")], authorities="no certificate")


# -- the wire ----------------------------------------------------------------------------------------------------------------


def reader(data: bytes, size: int) -> _websocket.Reader:
    pieces = iter([data[start : start + size] for start in range(0, len(data), size)])
    return _websocket.Reader(lambda: next(pieces, b""))


@given(st.binary(max_size=70000), st.integers(1, 9000), st.integers(0, 3))
def test_message_comes_as_it_was_sent(payload: bytes, size: int, cuts: int) -> None:
    pieces = [
        payload[number * len(payload) // (cuts + 1) : (number + 1) * len(payload) // (cuts + 1)] for number in range(cuts + 1)
    ]
    if max(map(len, pieces)) > 65535:
        return
    data = b"".join(frame(piece, 2 if number == 0 else 0, number == cuts) for number, piece in enumerate(pieces))
    if sum(len(piece) + 2 for piece in pieces) > _websocket.PAYLOAD_LIMIT:
        with pytest.raises(_websocket.ProtocolError):
            reader(data, size).message()
    else:
        assert reader(data, size).message() == _websocket.Frame(2, payload)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_reader_ends_on_any_bytes(data: bytes, size: int) -> None:
    for part in ("answer", "message"):
        with contextlib.suppress(_websocket.ProtocolError):
            getattr(reader(data, size), part)()


def test_accept_of_the_standards_own_example() -> None:
    # RFC 6455, 1.3
    headers = {
        "upgrade": "WebSocket",
        "connection": "keep-alive, Upgrade",
        "sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    }
    assert _websocket.accepts(_websocket.Answer(101, headers), "dGhlIHNhbXBsZSBub25jZQ==")


def test_close_frame_is_masked() -> None:
    data = _websocket.closing()
    mask, payload = data[2:6], data[6:]
    assert data[:2] == b"\x88\x82"
    assert bytes(byte ^ mask[index] for index, byte in enumerate(payload)) == b"\x03\xe8"
