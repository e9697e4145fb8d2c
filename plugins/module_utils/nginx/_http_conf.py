# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to this collection: no promise is made to anybody else.

The WebSocket routes in the http.conf of Coolify's container: text in, text out.

http.conf is the body of nginx's one ``server {}`` (fact 1). Our routes stand in one block between two marker comments,
at the end where there was none. What the block pushed aside is remembered inside it, so that `remove` gives back every
byte. Callers decode the file as Latin-1: each byte is one character and comes back as it was.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import re
import typing as t

from . import _syntax

PATH = "/etc/nginx/site-opts.d/http.conf"
RESOLVER = "127.0.0.11"
READ_TIMEOUT = 86400
UPSTREAM = "coolify-realtime"
ROUTES: tuple[dict[str, t.Any], ...] = (
    {"kind": "exact", "path": "/terminal/ws", "upstream": UPSTREAM, "port": 6002},
    {"kind": "prefix", "path": "/app/", "upstream": UPSTREAM, "port": 6001},
    {"kind": "prefix", "path": "/apps/", "upstream": UPSTREAM, "port": 6001},
)

# A request to one of our locations that carries this header with the block's own fingerprint is answered by nginx with
# 204 and goes no further: it tells whether the workers have loaded this very block, whatever the upstream does.
PROBE_HEADER = "X-Coolify-Websocket-Block"
_PROBE_VARIABLE = "$http_" + PROBE_HEADER.lower().replace("-", "_")
_PROBE = re.compile(re.escape(_PROBE_VARIABLE) + r' = "([0-9a-f]+)"')

_BEGIN = "# BEGIN selfhosted.coolify websocket routes"
_END = "# END selfhosted.coolify websocket routes"
_NOTE = "# Written by Ansible and by coolify-websocket.service: what is changed in here is lost."
_BEFORE = "# before: "

# nginx refuses a comment that does not fit into its buffer of 4096 bytes.
_BEFORE_WIDTH = 1000

# What a location may hold to count as a hand-made copy of our routes rather than as somebody's own work.
_COPY_DIRECTIVE = re.compile(r"proxy_\w+|set|resolver|resolver_timeout|tcp_nodelay|access_log|keepalive_timeout")


class HttpConfError(ValueError):
    """http.conf cannot be edited safely, or an option's value is refused. The message says what to do."""


class Foreign(t.NamedTuple):
    """A location of somebody else's that takes one of our paths.

    `path` is the route's path, `location` the directive's words, `line` counts from 1, `served` tells whether it
    leads to the realtime container already.
    """

    path: str
    location: str
    file: str
    line: int
    served: bool


class Result(t.NamedTuple):
    """The new text; `adopted` are the locations taken over into the block, `paths` those that the block routes."""

    text: str
    changed: bool
    adopted: list[str]
    foreign: list[Foreign]
    paths: list[str]


class Status(t.NamedTuple):
    """`present`: our block is there. `current`: `apply` would change nothing; None where no routes were given."""

    present: bool
    current: bool | None
    paths: list[str]
    foreign: list[Foreign]


class _Before(t.NamedTuple):
    """What a block pushed aside: `pieces` are texts with their offsets in the file without the block, `no_newline` says
    that the line break in front of the block is ours. All of it holds while the rest has this fingerprint."""

    rest: str
    no_newline: bool
    pieces: tuple[tuple[int, str], ...]


class _Block(t.NamedTuple):
    """A block with its markers, in whole lines."""

    start: int
    stop: int
    before: _Before | None


def apply(
    text: str,
    routes: t.Sequence[t.Mapping[str, t.Any]] = ROUTES,
    resolver: str = RESOLVER,
    read_timeout: int = READ_TIMEOUT,
    includes: t.Mapping[str, str] | None = None,
    upstreams: t.Collection[str] = (),
) -> Result:
    """http.conf with the routes in it, but for those whose path somebody else's location takes.

    `includes` maps absolute file names to their text, for every ``include`` in http.conf. `resolver` is one or more
    addresses, separated by blanks; `read_timeout` is in seconds. Raises HttpConfError.
    """
    _validate(routes, resolver, read_timeout)
    known = _known(text, routes, upstreams)
    copies, others = _outside(text, known)
    foreign = _foreign(others, known, includes or {})
    taken = {location.path for location in foreign}
    wanted = [route for route in routes if route["path"] not in taken]
    result = base = remove(text).text
    if wanted:
        result = _append(base, _outside(base, known)[0], wanted, resolver, read_timeout)
    adopted = [" ".join(copy.words) for copy in copies] if wanted else []
    return Result(result, result != text, adopted, foreign, [str(route["path"]) for route in wanted])


def remove(text: str) -> Result:
    """http.conf as it was before `apply`, and with what somebody else changed since. Raises HttpConfError."""
    _statements, blocks = _read(text)
    rest = text
    for block in reversed(blocks):
        head, tail = rest[: block.start], rest[block.stop :]
        rest = head + tail
        if block.before is None:
            continue
        if block.before.no_newline and not tail:
            head = head[: -2 if head.endswith("\r\n") else -1]
        if _fingerprint(head + tail) == block.before.rest:
            rest = _insert(head + tail, block.before.pieces)
        else:
            rest = _insert(rest, tuple((block.start, piece) for _offset, piece in block.before.pieces))
    return Result(rest, rest != text, [], [], [])


def status(
    text: str,
    routes: t.Sequence[t.Mapping[str, t.Any]] | None = None,
    resolver: str = RESOLVER,
    read_timeout: int = READ_TIMEOUT,
    includes: t.Mapping[str, str] | None = None,
    upstreams: t.Collection[str] = (),
) -> Status:
    """What there is of ours and of others. Raises HttpConfError."""
    statements, blocks = _read(text)
    paths = [s.words[-1] for s in statements if s.name == "location" and _inside(s, blocks)]
    if routes is None:
        known = _known(text, ROUTES, upstreams)
        foreign = _foreign(_outside(text, known)[1], known, includes or {})
        return Status(bool(blocks), None, paths, foreign)
    result = apply(text, routes, resolver, read_timeout, includes, upstreams)
    return Status(bool(blocks), not result.changed, paths, result.foreign)


def fingerprint(text: str) -> str | None:
    """What the workers answer to PROBE_HEADER once they have loaded this text's block; None if there is no block."""
    _statements, blocks = _read(text)
    match = _PROBE.search(text, blocks[0].start, blocks[0].stop) if blocks else None
    return match.group(1) if match else None


def _read(text: str) -> tuple[tuple[_syntax.Statement, ...], list[_Block]]:
    try:
        content = _syntax.parse(text)
    except _syntax.NginxSyntaxError as error:
        raise HttpConfError(f"http.conf is no valid nginx configuration: {error}; mend it by hand first") from error
    blocks: list[_Block] = []
    begin: _syntax.Comment | None = None
    memory = ""
    for comment in content.comments:
        line = comment.text.rstrip()
        if line not in (_BEGIN, _END):
            memory += line[len(_BEFORE) :] if begin and line.startswith(_BEFORE) else ""
            continue
        if (line == _BEGIN) is (begin is not None):
            number = text.count("\n", 0, comment.start) + 1
            raise HttpConfError(
                f"http.conf, line {number}: '{line}' without its counterpart; remove what is left of the block by hand"
            )
        if begin is None:
            begin, memory = comment, ""
        else:
            start, stop = _whole_lines(text, begin.start, comment.stop)
            blocks.append(_Block(start, stop, _recall(memory)))
            begin = None
    if begin is not None:
        number = text.count("\n", 0, begin.start) + 1
        raise HttpConfError(
            f"http.conf, line {number}: '{_BEGIN}' without its counterpart; remove what is left of the block by hand"
        )
    for statement in content.statements:
        for block in blocks:
            if statement.start < block.stop and block.start < statement.stop and not _inside(statement, [block]):
                raise HttpConfError(
                    f"http.conf, line {statement.line}: a directive reaches across a marker of the managed block; "
                    "remove the block by hand"
                )
    return content.statements, blocks


def _outside(
    text: str, routes: t.Sequence[t.Mapping[str, t.Any]]
) -> tuple[list[_syntax.Statement], list[_syntax.Statement]]:
    """The statements outside our block: hand-made copies of our routes, and all others."""
    statements, blocks = _read(text)
    outside = [statement for statement in statements if not _inside(statement, blocks)]
    copies = [statement for statement in outside if _is_copy(statement, routes)]
    return copies, [statement for statement in outside if statement not in copies]


def _inside(statement: _syntax.Statement, blocks: t.Sequence[_Block]) -> bool:
    return any(block.start <= statement.start and statement.stop <= block.stop for block in blocks)


def _append(
    text: str,
    copies: t.Sequence[_syntax.Statement],
    routes: t.Sequence[t.Mapping[str, t.Any]],
    resolver: str,
    read_timeout: int,
) -> str:
    pieces: list[tuple[int, str]] = []
    rest, position = "", 0
    for copy in copies:
        start, stop = _whole_lines(text, copy.start, copy.stop)
        start = max(start, position)
        rest += text[position:start]
        pieces.append((len(rest), text[start:stop]))
        position = stop
    rest += text[position:]

    eol = "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"
    no_newline = bool(rest) and not rest.endswith("\n")
    lines = [_BEGIN, _NOTE]
    if no_newline or pieces:
        lines += _remembered(_Before(_fingerprint(rest), no_newline, tuple(pieces)))
    lines += _locations(routes, resolver, read_timeout)
    lines += [_END, ""]
    return rest + (eol if no_newline else "") + eol.join(lines)


def _locations(routes: t.Sequence[t.Mapping[str, t.Any]], resolver: str, read_timeout: int) -> list[str]:
    lines: list[str] = []
    for route in routes:
        body = [
            f'if ({_PROBE_VARIABLE} = "@") {{ return 204; }}',
            # The name in a variable is looked up per connection, not when nginx starts (fact 4); without `valid`
            # nginx would keep an address for the 600 s that Docker's resolver gives it.
            f"resolver {resolver} valid=1s ipv6=off;",
            "resolver_timeout 5s;",
            f"set $coolify_websocket_upstream {route['upstream']};",
            f"proxy_pass http://$coolify_websocket_upstream:{route['port']};",
            "proxy_http_version 1.1;",
            # Handed on as it came: `Upgrade` for a WebSocket, nothing special for a call of the HTTP API.
            "proxy_set_header Upgrade $http_upgrade;",
            "proxy_set_header Connection $http_connection;",
            "proxy_set_header Host $http_host;",
            "proxy_set_header X-Real-IP $remote_addr;",
            "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
            "proxy_connect_timeout 5s;",
            f"proxy_read_timeout {read_timeout}s;",
            f"proxy_send_timeout {read_timeout}s;",
            "proxy_socket_keepalive on;",
            "proxy_buffering off;",
        ]
        if route["kind"] == "prefix":
            # Within another location: one that ends in a slash and proxies by itself makes nginx answer the path without
            # the slash with a redirect, to the port inside the container.
            body = ["location ~ / {", *_indented(body), "}"]
        modifier = "=" if route["kind"] == "exact" else "^~"
        lines += [f"location {modifier} {route['path']} {{", *_indented(body), "}"]
    mark = hashlib.sha256("\n".join(lines).encode("latin-1")).hexdigest()[:16]
    return [line.replace('"@"', f'"{mark}"') for line in lines]


def _indented(lines: t.Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _remembered(before: _Before) -> list[str]:
    encoded = base64.b64encode(json.dumps(before).encode("ascii")).decode("ascii")
    return [_BEFORE + encoded[at : at + _BEFORE_WIDTH] for at in range(0, len(encoded), _BEFORE_WIDTH)]


def _recall(memory: str) -> _Before | None:
    if not memory:
        return None
    try:
        rest, no_newline, pieces = json.loads(base64.b64decode(memory, validate=True).decode("ascii"))
        return _Before(str(rest), bool(no_newline), tuple((int(offset), str(piece)) for offset, piece in pieces))
    except (TypeError, ValueError) as error:
        raise HttpConfError(
            f"http.conf: a line '{_BEFORE.strip()} …' of the managed block is damaged; remove the block by hand"
        ) from error


def _insert(text: str, pieces: t.Sequence[tuple[int, str]]) -> str:
    for offset, piece in reversed(pieces):
        text = text[:offset] + piece + text[offset:]
    return text


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode("latin-1")).hexdigest()[:16]


def _whole_lines(text: str, start: int, stop: int) -> tuple[int, int]:
    """The range, grown over blanks to the start of its first line and past the end of its last one, where it is alone
    there."""
    line_start = text.rfind("\n", 0, start) + 1
    line_stop = text.find("\n", stop) + 1 or len(text)
    return (
        start if text[line_start:start].strip() else line_start,
        stop if text[stop:line_stop].strip() else line_stop,
    )


def _is_copy(statement: _syntax.Statement, routes: t.Sequence[t.Mapping[str, t.Any]]) -> bool:
    """Whether this is a location as the guide's own script appends it: one of our paths, led to realtime, no more."""
    if statement.name != "location" or statement.body is None:
        return False
    modifier, path = _location(statement)
    served = [route for route in routes if _serves(statement, route)]
    return (
        modifier in ("", "=", "^~")
        and any(path.rstrip("/") == str(route["path"]).rstrip("/") for route in served)
        and all(inner.body is None and _COPY_DIRECTIVE.fullmatch(inner.name) for inner in statement.body)
    )


def _foreign(
    statements: t.Sequence[_syntax.Statement],
    routes: t.Sequence[t.Mapping[str, t.Any]],
    includes: t.Mapping[str, str],
    file: str = PATH,
    depth: int = 0,
) -> list[Foreign]:
    found: list[Foreign] = []
    for statement in statements:
        if statement.name == "include" and len(statement.words) == 2 and depth < 10:
            for name in included(statement.words[1], includes):
                try:
                    inner = _syntax.parse(includes[name]).statements
                except _syntax.NginxSyntaxError as error:
                    raise HttpConfError(
                        f"{name} is no valid nginx configuration: {error}; mend it by hand first"
                    ) from error
                found += _foreign(inner, routes, includes, name, depth + 1)
        elif statement.name == "location" and statement.body is not None:
            for route in routes:
                served = _serves(statement, route)
                if _takes(statement, str(route["path"]), served):
                    location = " ".join(statement.words)
                    found.append(Foreign(str(route["path"]), location, file, statement.line, served))
    return found


def included(pattern: str, files: t.Iterable[str], root: str = "/etc/nginx") -> list[str]:
    """The files that nginx's ``include`` takes for `pattern`, in its order: a wildcard does not cross a slash."""
    absolute = pattern if pattern.startswith("/") else f"{root}/{pattern}"
    expression = "".join(
        {"*": "[^/]*", "?": "[^/]"}.get(part) or (part if part.startswith("[") else re.escape(part))
        for part in re.split(r"(\*|\?|\[[^]/]+\])", absolute)
    )
    return sorted(name for name in files if re.fullmatch(expression, name))


def _location(statement: _syntax.Statement) -> tuple[str, str]:
    """Modifier and path, also where they are written as one word."""
    words = statement.words[1:]
    if len(words) == 2:
        return words[0], words[1]
    word = words[0] if words else ""
    modifier = next((modifier for modifier in ("=", "^~", "~*", "~") if word.startswith(modifier)), "")
    return modifier, word[len(modifier) :]


def _takes(statement: _syntax.Statement, path: str, served: bool) -> bool:
    """Whether requests for our path are this location's by its author's intention.

    The general ones, ``/`` or an expression that never names the path, are not meant: ours goes before them.
    """
    modifier, pattern = _location(statement)
    sample = path + "x" if path.endswith("/") else path
    if modifier == "=":
        # It takes one URL, and so leaves a prefix to the route.
        return pattern == path and not path.endswith("/")
    if modifier in ("~", "~*"):
        try:
            matches = re.search(pattern, sample, re.IGNORECASE if modifier == "~*" else 0)
        except re.error:
            matches = None
        return bool(matches) and (served or path.strip("/").split("/")[0] in pattern)
    if pattern.rstrip("/") == path.rstrip("/"):
        return sample.startswith(pattern)
    return served and sample.startswith(pattern)


def _known(
    text: str, routes: t.Sequence[t.Mapping[str, t.Any]], upstreams: t.Collection[str]
) -> list[dict[str, t.Any]]:
    """The routes with all names of their servers, and with the variables that the whole server block sets."""
    variables = _set_variables(_read(text)[0])
    return [dict(route, upstreams=[str(route["upstream"]), *upstreams], variables=variables) for route in routes]


def _set_variables(statements: t.Iterable[_syntax.Statement]) -> dict[str, str]:
    return {s.words[1].lstrip("$"): s.words[2] for s in statements if s.name == "set" and len(s.words) == 3}


def _serves(statement: _syntax.Statement, route: t.Mapping[str, t.Any]) -> bool:
    variables = {**route["variables"], **_set_variables(statement.walk())}
    for inner in statement.walk():
        if inner.name == "proxy_pass" and len(inner.words) == 2:
            target = re.sub(r"\$\{?(\w+)\}?", lambda name: variables.get(name[1], name[0]), inner.words[1])
            names = "|".join(map(re.escape, route["upstreams"]))
            if re.match(rf"http://(?:{names}):{route['port']}(/|$)", target):
                return True
    return False


def _validate(routes: t.Sequence[t.Mapping[str, t.Any]], resolver: str, read_timeout: int) -> None:
    """Refuses what could reach beyond the place where a value stands."""
    for route in routes:
        if route.get("kind") not in ("exact", "prefix"):
            raise HttpConfError("routes: kind must be 'exact' or 'prefix'")
        if not re.fullmatch(r"/[A-Za-z0-9._~/-]*", str(route.get("path"))):
            raise HttpConfError(
                f"routes: path {route.get('path')!r} must begin with '/' and hold letters, digits and . _ ~ - / only"
            )
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", str(route.get("upstream"))):
            raise HttpConfError(f"routes: upstream {route.get('upstream')!r} must be the name of a container or a host")
        port = route.get("port")
        if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
            raise HttpConfError(f"routes: port {port!r} must be a number from 1 to 65535")
    paths = [route["path"] for route in routes]
    if len(set(paths)) != len(paths):
        raise HttpConfError("routes: each path may be named only once")
    for address in resolver.split(" ") if resolver else [""]:
        match = re.fullmatch(r"([0-9.]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?", address)
        try:
            ipaddress.ip_address(match.group(1).strip("[]") if match else address + "?")
        except ValueError as error:
            raise HttpConfError(
                f"resolver: {address!r} must be an IP address, as 127.0.0.11 or [fd00::1]:53"
            ) from error
    if isinstance(read_timeout, bool) or not isinstance(read_timeout, int) or not 0 < read_timeout <= 2147483:
        raise HttpConfError(f"read_timeout: {read_timeout!r} must be a number of seconds from 1 to 2147483")
