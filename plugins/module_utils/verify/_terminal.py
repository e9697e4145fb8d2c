# SPDX-License-Identifier: GPL-3.0-or-later
"""A terminal as somebody opens it who is signed in: with the cookies of a browser, to a prompt that answers.

What the front end sends is the command line of the ssh that the terminal server is to run. It leads from Coolify's container
to the host that Coolify runs on, by one of Coolify's keys, of which only the names are seen here. Nothing is left behind in
the shell's history.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
import typing as t

from ..engine import _client
from . import _diagnosis, _handshake, _websocket
from ._answers import Fault, printable

#: Where Coolify keeps the keys to its servers, in its container.
KEYS = "/var/www/html/storage/app/ssh/keys"
#: The host itself, as Coolify names it among its servers.
HOST = "host.docker.internal"

_KEY = re.compile(r"[\w.@-]+\Z")
_MOST_KEYS = 4
# What the names of the keys are waited for, as a share of the time.
_PATIENCE = 0.5
_MOST_TEXT = 4096
_OPTIONS = (
    "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "PasswordAuthentication=no", "ConnectTimeout=5",
    "RequestTTY=no", "LogLevel=ERROR",
)  # fmt: skip
# Computed there, so that the echo of what is typed is not taken for it.
_TYPED, _ANSWER = " unset HISTFILE; echo selfhosted-$((40+2))\r", "selfhosted-42"
_READY, _EXITED = "pty-ready", "pty-exited"


def prove(
    engine: _client.Engine,
    container: str,
    cookies: str,
    targets: t.Sequence[_handshake.Target],
    deadline: float,
    authorities: str | None = None,
) -> list[dict[str, t.Any]]:
    """A result for each target, as of `_handshake.probe_all`; `cookies` is the value of a browser's header Cookie.

    It is in no result. Raises ValueError as that does, and for cookies that are no header's value.
    """
    if not cookies.isascii() or not cookies.isprintable():
        raise ValueError("session is not the value of a header Cookie")
    end = time.monotonic() + deadline
    keys = _handshake.within(end - deadline * _PATIENCE, lambda: _keys(engine, container))
    clients = _handshake.probes(targets, end, None, authorities, lambda *words: _Client(cookies, keys, *words))
    return _handshake.results_of(clients, end)


def _keys(engine: _client.Engine, container: str) -> list[str]:
    """The names of Coolify's keys, the newest first; none where they cannot be listed."""
    try:
        code, output = engine.exec(container, ["ls", "-t", KEYS], errors=False)
    except _client.EngineError:
        return []
    names = output.decode("utf-8", "replace").splitlines() if code == 0 else []
    return [name for name in names if _KEY.match(name) and not name.endswith((".pub", ".lock"))][:_MOST_KEYS]


def _command(key: str) -> str:
    options = " ".join(f"-o {option}" for option in _OPTIONS)
    end = "selfhosted" + os.urandom(16).hex()
    return f"ssh -i {KEYS}/{key} {options} -p '22' 'root'@'{HOST}' 'bash -se' << \\{end}\nexec ${{SHELL:-sh}}\n{end}"


class _Client(_handshake.Probe):
    """Types into the terminal of a target."""

    def __init__(self, cookies: str, keys: t.Sequence[str] | None, *words: t.Any) -> None:
        super().__init__(*words)
        self._cookies = cookies
        self._keys = keys
        self._opened = False

    def _judge(self, answer: _websocket.Answer, key: str | None) -> str:
        seen = super()._judge(answer, key)
        if seen != "101":
            raise Fault("CWT-941", seen)
        return seen

    def _admitted(self, connection: socket.socket, reader: _websocket.Reader) -> str:
        refused = "Coolify has no key to a server" if self._keys == [] else "the container does not tell Coolify's keys in time"
        for key in self._keys or []:
            self._send(connection, command=[_command(key)])
            text = self._until(reader, _READY)
            self._opened = _READY in text
            if not self._opened:
                raise Fault("CWT-942", "101, no terminal", printable(text))
            # The prompt, or why there is none.
            text = self._until(reader, "")
            if _EXITED not in text:
                self._send(connection, message=_TYPED)
                text += self._until(reader, _ANSWER)
            if _ANSWER in text:
                self._passed("prompt")
                self._send(connection, message="exit\r")
                return "a prompt"
            refused = printable(text.replace(_EXITED, "").strip())
        raise Fault("CWT-943", "no login", refused)

    def _send(self, connection: socket.socket, **message: t.Any) -> None:
        connection.settimeout(self._left())
        connection.sendall(_websocket.text(json.dumps(message).encode("ascii")))

    def _until(self, reader: _websocket.Reader, mark: str) -> str:
        """The messages up to the one with the mark, or to one that ends the terminal."""
        text = ""
        while True:
            message = reader.message()
            if message.opcode == _websocket.CLOSE:
                code = _websocket.close_code(message)
                if code in _handshake.TERMINAL_REFUSALS:
                    raise Fault("CWT-941", f"101, closed {code}")
                raise Fault("CWT-119" if code == _handshake.AUTH_FAILED else "CWT-933", f"101, closed {code}", f"code {code}")
            said = message.payload.decode("utf-8", "replace")
            text = (text + said)[-_MOST_TEXT:]
            if mark in text or said == _EXITED or (mark == _READY and not self._opened):
                return text

    def _late(self) -> Fault:
        if self._opened:
            return Fault("CWT-944", "no answer")
        return Fault("CWT-942", "101, then silence") if self._status == 101 else super()._late()

    def _told(self, fault: Fault | None, seen: str) -> dict[str, t.Any]:
        if fault is not None and _diagnosis.TABLE[fault.identifier].hop == "socket" and self._status != 101:
            # Why the socket did not open is told by the rows of its own hop.
            fault = Fault("CWT-945", "not looked at", fault.seen)
        return super()._told(fault, seen if fault is None else fault.seen)
