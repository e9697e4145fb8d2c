# SPDX-License-Identifier: GPL-3.0-or-later
"""What Coolify's .env must say, by how people come in."""

from __future__ import annotations

import typing as t

from ..env import _pusher

Facts = t.Mapping[str, t.Any]


def environment(
    mode: str | None, domain: Facts | None, served: Facts | None, tailnet: Facts | None, app_port: int, info: Facts, name: t.Any
) -> dict[str, str | None]:
    """Return the keys that .env must have, None for a key that must not be there (facts 7, 42, 43).

    `name` is the host's name in the tailnet, by which we once may have told a served port.
    """
    host = port = ""
    present = (info.get("env_file") or {}).get("variables") or {}
    coolify = info.get("coolify") or {}
    once = any(_told(values, name) for values in (present, coolify.get("environment") or {}))
    more: dict[str, str | None] = {_pusher.TERMINAL_PORT_KEY: None} if once else {}
    # A page that is opened by one of several names goes to its own.
    if mode == "domain" and domain is not None and not domain["extra"]:
        host, port = domain["host"], str(domain["port"])
    elif mode == "domain" and served is not None and not served["by_page"]:
        host, port = served["host"], str(served["port"])
        more[_pusher.TERMINAL_PORT_KEY] = port
    elif mode == "tailscale" and tailnet is not None:
        host, port = tailnet["host"], str(app_port)
    obeyed = coolify.get("pusher_scheme_obeyed", True)
    return {**_pusher.wanted(host, port, info.get("layout"), present, bool(obeyed)), **more}


def written(plan: Facts) -> t.Mapping[str, str | None]:
    """What a plan writes into .env, None for a key that it takes out; nothing where the user left that out."""
    found: t.Mapping[str, str | None] = plan["pusher"]["environment"] if plan["pusher"]["wanted"] else {}
    return found


def _told(values: Facts, name: t.Any) -> bool:
    """Whether these variables send pages to a port of the host's name in the tailnet, the terminal too."""
    port = values.get(_pusher.PORT)
    return bool(name and port) and values.get(_pusher.HOST) == name and values.get(_pusher.TERMINAL_PORT_KEY) == port
