# SPDX-License-Identifier: GPL-3.0-or-later
"""The WebSocket routes as nginx's locations: `=` and `^~`, which no regular expression overrules."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import typing as t

UPSTREAM = "coolify-realtime"


class Route(t.NamedTuple):
    """A path, with all below it where it ends in a slash, and the port of the server behind it."""

    path: str
    port: int

    @property
    def is_prefix(self) -> bool:
        return self.path.endswith("/")


ROUTES = (Route("/terminal/ws", 6002), Route("/app/", 6001), Route("/apps/", 6001))

# A request to one of our locations that carries this header with the block's own fingerprint is answered by nginx with
# 204 and goes no further: it tells whether the workers have loaded this very block, whatever the upstream does.
PROBE_HEADER = "X-Coolify-Websocket-Block"
_PROBE_VARIABLE = "$http_" + PROBE_HEADER.lower().replace("-", "_")
PROBE = re.compile(re.escape(_PROBE_VARIABLE) + r' = "([0-9a-f]+)"')


class HttpConfError(ValueError):
    """http.conf cannot be edited safely, or an option's value is refused. The message says what to do."""


class Settings(t.NamedTuple):
    """What the user sets of the routes, by the names that the module nginx_snippet has for it.

    `resolver` is one or more addresses, separated by blanks; `read_timeout` is in seconds.
    """

    resolver: str = "127.0.0.11"
    read_timeout: int = 86400


DEFAULT = Settings()


def settings(given: t.Mapping[str, t.Any]) -> Settings:
    """The settings of these names; nothing in them reaches beyond the place where it stands. Raises HttpConfError."""
    unknown = sorted(set(given) - set(Settings._fields))
    if unknown:
        raise HttpConfError(f"{unknown[0]}: there is no such setting; there are {', '.join(Settings._fields)}")
    # The command line, and templates of ansible-core before 2.19, give every value as text.
    numbers = {name: int(value) for name, value in given.items() if isinstance(value, str) and value.isdecimal()}
    found = Settings(**{**given, **numbers})
    for address in str(found.resolver).split(" "):
        match = re.fullmatch(r"([0-9.]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?", address)
        try:
            ipaddress.ip_address(match.group(1).strip("[]") if match else address + "?")
        except ValueError as error:
            raise HttpConfError(f"resolver: {address!r} must be an IP address, as 127.0.0.11 or [fd00::1]:53") from error
    seconds = found.read_timeout
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 < seconds <= 2147483:
        raise HttpConfError(f"read_timeout: {seconds!r} must be a number of seconds from 1 to 2147483")
    return found


def locations(routes: t.Iterable[Route], settings: Settings, probed: bool = True) -> list[str]:
    """The lines of the routes' locations, each of which, if `probed`, knows the fingerprint of them all."""
    lines: list[str] = []
    for route in routes:
        body = [
            *([f'if ({_PROBE_VARIABLE} = "@") {{ return 204; }}'] if probed else []),
            # The name in a variable is looked up per connection, not when nginx starts (fact 4); without `valid`
            # nginx would keep an address for the 600 s that Docker's resolver gives it.
            f"resolver {settings.resolver} valid=1s ipv6=off;",
            "resolver_timeout 5s;",
            f"set $coolify_websocket_upstream {UPSTREAM};",
            f"proxy_pass http://$coolify_websocket_upstream:{route.port};",
            "proxy_http_version 1.1;",
            # Handed on as it came: `Upgrade` for a WebSocket, nothing special for a call of the HTTP API.
            "proxy_set_header Upgrade $http_upgrade;",
            "proxy_set_header Connection $http_connection;",
            "proxy_set_header Host $http_host;",
            "proxy_set_header X-Real-IP $remote_addr;",
            "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
            "proxy_connect_timeout 5s;",
            f"proxy_read_timeout {settings.read_timeout}s;",
            f"proxy_send_timeout {settings.read_timeout}s;",
            "proxy_socket_keepalive on;",
            "proxy_buffering off;",
        ]
        if route.is_prefix:
            # Within another location: one that ends in a slash and proxies by itself makes nginx answer the path without
            # the slash with a redirect, to the port inside the container.
            body = ["location ~ / {", *_indented(body), "}"]
        modifier = "^~" if route.is_prefix else "="
        lines += [f"location {modifier} {route.path} {{", *_indented(body), "}"]
    mark = hashlib.sha256("\n".join(lines).encode("latin-1")).hexdigest()[:16]
    return [line.replace('"@"', f'"{mark}"') for line in lines]


def _indented(lines: t.Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]
