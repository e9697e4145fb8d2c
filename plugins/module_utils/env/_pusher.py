# SPDX-License-Identifier: GPL-3.0-or-later
"""Coolify's PUSHER_* variables: what they should be, and where what a container runs with is something else.

Two parties read them. The browser is told PUSHER_HOST and PUSHER_PORT. The backend publishes its events to
PUSHER_BACKEND_HOST and PUSHER_BACKEND_PORT, which need no value in either layout; in the bundled one the port is also
the one that the realtime server listens on, so that any other than 6001 takes it away from every route (facts 8, 41, 42).
"""

from __future__ import annotations

import typing as t

SEPARATE, BUNDLED = "separate", "bundled"

HOST, PORT, SCHEME = "PUSHER_HOST", "PUSHER_PORT", "PUSHER_SCHEME"
BACKEND_HOST, BACKEND_PORT = "PUSHER_BACKEND_HOST", "PUSHER_BACKEND_PORT"
#: The browser's alone, and left alone but where a page's port is another one's than the terminal server's (fact 9).
TERMINAL_PORT_KEY = "TERMINAL_PORT"
KEYS = (HOST, PORT, SCHEME, BACKEND_HOST, BACKEND_PORT)

#: Ports of the realtime and of the terminal server in their container, whatever the host publishes them as (facts 11, 30).
APP_PORT, TERMINAL_PORT = 6001, 6002
_REALTIME_PORT = str(APP_PORT)
# By which names the backend reaches its own realtime server.
_WORKING_HOSTS = {
    SEPARATE: ("", "coolify-realtime", "soketi"),
    BUNDLED: ("", "coolify-realtime", "127.0.0.1", "localhost", "coolify"),
}

Values = t.Mapping[str, t.Optional[str]]


def wanted(host: str, port: str, layout: str | None, present: t.Mapping[str, str], scheme_obeyed: bool) -> dict[str, str | None]:
    """Return what .env must say, None for a key that must not be in it.

    Browsers look for the realtime server at `host` (empty: where they opened the page) and `port` (empty: by the page's own
    rule, facts 7, 44). `layout` is None where it is not known; `present` is what .env says now; `scheme_obeyed`, whether
    the backend takes PUSHER_SCHEME as the scheme of its own calls (facts 8, 43).
    """
    scheme = present.get(SCHEME) or "http"
    keeps_scheme = scheme in ("http", "https") and not scheme_obeyed
    return {
        HOST: host,
        PORT: port,
        SCHEME: scheme if keeps_scheme else "http",
        BACKEND_HOST: _own(present, BACKEND_HOST, _WORKING_HOSTS[layout or SEPARATE]),
        BACKEND_PORT: _own(present, BACKEND_PORT, ("", _REALTIME_PORT)),
    }


def _own(present: t.Mapping[str, str], key: str, working: t.Sequence[str]) -> str | None:
    """A value of the user's own that works stays."""
    value = present.get(key)
    return value if value in working else None


def differing(expected: Values, actual: Values) -> list[str]:
    """Return the keys of ``expected`` that are something else in ``actual``, sorted; None is a key that is not set.

    Compose gives the container of the bundled layout PUSHER_BACKEND_PORT=6001 where nobody set it (fact 38).
    """
    return sorted(key for key in expected if _meant(key, expected[key]) != _meant(key, actual.get(key)))


def _meant(key: str, value: str | None) -> str | None:
    return None if key == BACKEND_PORT and value in ("", _REALTIME_PORT) else value
