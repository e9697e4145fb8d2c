# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a page's two sockets go, worked out as Coolify's front end does."""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

from ..env import _pusher
from ._tunnel import bracketed

_USUAL = {"https": "443", "wss": "443", "http": "80", "ws": "80"}


def sockets(page: str, values: t.Mapping[str, t.Any]) -> dict[str, str]:
    """The URLs of the terminal and of the live updates (`app`, without the key) of a page opened at the URL `page`.

    `values` are the variables that the page's backend runs with; one that is empty, None or missing is not set. A page with a
    port looks for the servers' own ports, one without looks at its own.
    """
    url = urlsplit(page)
    scheme, host = "wss" if url.scheme == "https" else "ws", bracketed(str(url.hostname))
    terminal, app = (_pusher.TERMINAL_PORT, _pusher.APP_PORT) if url.port else ("", "")

    def told(key: str, otherwise: t.Any) -> str:
        return str(values.get(key) or otherwise)

    protocol, port = told("TERMINAL_PROTOCOL", scheme), told(_pusher.TERMINAL_PORT_KEY, terminal)
    return {
        "terminal": _url(protocol, told("TERMINAL_HOST", host), port, "terminal/ws"),
        "app": _url(scheme, told(_pusher.HOST, host), told(_pusher.PORT, app), "app/"),
    }


def _url(scheme: str, host: str, port: str, path: str) -> str:
    return f"{scheme}://{host}/{path}" if port in ("", _USUAL.get(scheme)) else f"{scheme}://{host}:{port}/{path}"
