from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
from typing import Iterator

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.tailnet import _tailscale

# As tailscaled 1.96 answers on a host that is logged in, shortened.
STATUS = {
    "Version": "1.96.4-t8cf541dfd-g1a2b3c4d5",
    "TUN": True,
    "BackendState": "Running",
    "TailscaleIPs": ["100.64.0.1", "fd7a:115c:a1e0::1"],
    "Self": {"HostName": "coolify", "DNSName": "coolify.tail1234.ts.net.", "Online": True},
    "MagicDNSSuffix": "tail1234.ts.net",
    "CurrentTailnet": {"Name": "example.com", "MagicDNSSuffix": "tail1234.ts.net", "MagicDNSEnabled": True},
}

IF_INET6 = """\
00000000000000000000000000000001 01 80 10 80       lo
fe8000000000000004ff1efffe2a3b4c 07 40 20 80 tailscale0
fd7a115ca1e000000000000000000001 07 80 00 80 tailscale0
fd7a115ca1e000000000000000000099 08 80 00 80     eth9
"""


class Daemon:
    """Answers one request after the other on a UNIX socket with fixed bytes, and keeps what was asked."""

    def __init__(self, path: str, *answers: bytes) -> None:
        self.path, self.asked = path, b""
        self._answers = answers
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        self._listener.listen(1)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for one in self._answers:
            connection, _peer = self._listener.accept()
            with connection:
                self.asked += connection.recv(65536)
                connection.sendall(one)

    def close(self) -> None:
        self._listener.close()


def answer(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


@pytest.fixture
def socket_path() -> Iterator[str]:
    # A UNIX socket's path has room for about a hundred characters; pytest's own folder can be longer.
    with tempfile.TemporaryDirectory(prefix="ts") as folder:
        yield os.path.join(folder, "socket")


def test_the_address_is_the_one_in_tailscales_range_on_that_interface() -> None:
    assert _tailscale.ipv6_from_proc(IF_INET6, "tailscale0") == "fd7a:115c:a1e0::1"
    assert _tailscale.ipv6_from_proc(IF_INET6, "lo") is None
    assert _tailscale.ipv6_from_proc("", "tailscale0") is None


def test_a_tailnets_own_ipv6_prefix() -> None:
    other = IF_INET6.replace("fd7a115ca1e0000000000000000000", "fd000004000000000000000000000000"[:30])
    assert _tailscale.ipv6_from_proc(other, "tailscale0") == "fd00:4::1"
    assert [_tailscale.in_range(address) for address in ("100.64.0.1", "fd7a:115c:a1e0::1", "10.4.0.1", "fd00:4::1")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_status_of_a_host_that_is_logged_in(socket_path: str) -> None:
    daemon = Daemon(socket_path, answer(json.dumps(STATUS).encode()))
    status = _tailscale.fetch_status(socket_path, 2.0)
    daemon.close()
    assert status is not None
    assert _tailscale.status_facts(status) == {
        "backend_state": "Running",
        "name": "coolify.tail1234.ts.net",
        "userspace": False,
    }
    # tailscaled refuses any other Host as DNS rebinding.
    assert b"Host: local-tailscaled.sock\r\n" in daemon.asked


# As tailscaled 1.96 answers after `tailscale serve`, of each kind one.
NAME = "coolify.tail1234.ts.net"
SERVE = {
    "TCP": {
        "443": {"HTTPS": True},
        "80": {"HTTP": True},
        "8443": {"HTTPS": True},
        "5432": {"TCPForward": "127.0.0.1:5432"},
        "10000": {"HTTPS": True},
    },
    "Web": {
        f"{NAME}:443": {"Handlers": {"/": {"Proxy": "http://127.0.0.1:8000"}, "/docs": {"Path": "/srv/docs"}}},
        f"{NAME}:80": {"Handlers": {"/": {"Proxy": "localhost:8000"}}},
        f"{NAME}:8443": {"Handlers": {"/": {"Proxy": "3000"}}},
        f"{NAME}:10000": {"Handlers": {"/": {"Text": "hello"}, "/coolify": {"Proxy": "http://127.0.0.1:8000"}}},
    },
    "AllowFunnel": {f"{NAME}:443": True},
    "Foreground": {"42": {"TCP": {"8080": {"HTTP": True}}, "Web": {f"{NAME}:8080": {"Handlers": {"/": {"Proxy": "8000"}}}}}},
}


def test_what_tailscaled_serves() -> None:
    """What stands below its whole name, and stays when the terminal that it was typed into is closed."""
    assert _tailscale.served(SERVE) == [
        {"name": NAME, "port": 80, "https": False, "target": "http://localhost:8000"},
        {"name": NAME, "port": 443, "https": True, "target": "http://127.0.0.1:8000"},
        {"name": NAME, "port": 8443, "https": True, "target": "http://127.0.0.1:3000"},
    ]


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"TCP": None, "Web": None},
        {"TCP": {"443": None}, "Web": {f"{NAME}:443": {"Handlers": {"/": {"Proxy": "8000"}}}}},
        {"TCP": {"443": {"HTTPS": True}}, "Web": {f"{NAME}:https": {"Handlers": {"/": {"Proxy": "8000"}}}, NAME: {}}},
        {"TCP": {"443": {"HTTPS": True}}, "Web": {f"{NAME}:443": {"Handlers": None}, "x:443": None}},
    ],
)
def test_what_tailscaled_does_not_serve(config: dict[str, object]) -> None:
    assert _tailscale.served(config) == []


def test_what_a_daemon_tells_is_what_is_known_of_the_host(socket_path: str) -> None:
    """Field cases P5 and P7: what it serves, and that it makes no interface."""
    answers = [answer(json.dumps(one).encode()) for one in ({**STATUS, "TUN": False}, SERVE)]
    daemon = Daemon(socket_path, *answers)
    found = _tailscale.discover("none0", socket_path, socket_path)
    daemon.close()
    assert (found["installed"], found["present"], found["userspace"]) == (True, False, True)
    assert found["served"] == _tailscale.served(SERVE)
    asked = [line.split()[1] for line in daemon.asked.split(b"\r\n") if line.startswith(b"GET ")]
    assert asked == [b"/localapi/v0/status?peers=false", b"/localapi/v0/serve-config"]


def test_userspace_networking_is_told_by_tailscaled() -> None:
    assert _tailscale.status_facts({**STATUS, "TUN": False})["userspace"] is True


@pytest.mark.parametrize(
    "response",
    [
        answer(b"{", "200 OK"),
        answer(b"[]", "200 OK"),
        answer(b'{"BackendState": "Running"}', "403 Forbidden"),
        b"no HTTP at all",
        b"",
    ],
)
def test_a_daemon_that_answers_otherwise_is_no_daemon(socket_path: str, response: bytes) -> None:
    daemon = Daemon(socket_path, response)
    assert _tailscale.fetch_status(socket_path, 2.0) is None
    daemon.close()


def test_logged_out_daemon_knows_no_tailnet() -> None:
    facts = _tailscale.status_facts({"BackendState": "NeedsLogin", "CurrentTailnet": None, "Self": None})
    assert facts == {"backend_state": "NeedsLogin", "name": None, "userspace": None}


def test_host_without_tailscale(tmp_path: object) -> None:
    facts = _tailscale.discover("tailscale-not", f"{tmp_path}/no.sock", f"{tmp_path}/no.state")
    assert facts["interface"] == "tailscale-not"
    assert {facts[key] for key in ("installed", "present", "up")} == {False}
    assert {facts[key] for key in ("ipv4", "ipv6", "backend_state", "name")} == {None}


def test_the_kernel_is_asked_for_addresses() -> None:
    facts = _tailscale.discover("lo", "/nonexistent/tailscaled.sock", "/nonexistent/tailscaled.state")
    assert facts["present"]
    assert facts["up"]
    assert facts["ipv4"] == "127.0.0.1"
    assert facts["ipv6"] is None


def test_a_state_file_is_enough_to_be_installed(tmp_path: object) -> None:
    state = f"{tmp_path}/tailscaled.state"
    with open(state, "w", encoding="ascii"):
        pass
    facts = _tailscale.discover("tailscale-not", f"{tmp_path}/no.sock", state)
    assert facts["installed"]
    assert not facts["present"]


@pytest.mark.parametrize(
    ("kernel", "status", "own"),
    [
        ("100.64.0.7", STATUS, "100.64.0.7"),
        ("169.254.7.7", STATUS, "100.64.0.1"),
        ("169.254.7.7", {}, None),
        ("169.254.7.7", {"TailscaleIPs": ["fd7a:115c:a1e0::1"]}, None),
        ("10.8.0.3", STATUS, "10.8.0.3"),
        (None, STATUS, None),
    ],
)
def test_an_address_of_the_link_alone_is_nobody_s(kernel, status, own):
    assert _tailscale._own(kernel, status) == own


def test_a_daemon_that_drips_keeps_the_look_no_longer_than_one_that_is_silent(monkeypatch):
    monkeypatch.setattr(_tailscale, "_TIMEOUT", 0.5)
    stop = threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(f"{folder}/sock")
        listener.listen(5)

        def drip() -> None:
            connection, _peer = listener.accept()
            for byte in answer(json.dumps(STATUS).encode()) * 99:
                if stop.wait(0.1):
                    return
                connection.sendall(bytes([byte]))

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        facts = _tailscale.discover("lo", f"{folder}/sock", "/nowhere")
        # The first answer has not come whole: the second question was never asked.
        assert facts["backend_state"] is None
        assert facts["served"] is None
        assert thread.is_alive()
        stop.set()
        thread.join()
        listener.close()
