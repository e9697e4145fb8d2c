# SPDX-License-Identifier: GPL-3.0-or-later
"""The block with our routes in the http.conf of Coolify's container: text in, text out.

http.conf is the body of nginx's one ``server {}`` (fact 1). The routes stand in one block between two marker comments, at
the end where there was none. What the block pushed aside is remembered inside it, so that `remove` gives back every
byte. How nginx matches is not judged here: whether a path is served already is asked of nginx where one runs. Callers
decode the file as Latin-1: each byte is one character and comes back as it was.
"""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import json
import posixpath
import re
import typing as t

from . import _routes, _syntax
from ._routes import ROUTES, HttpConfError, Route

PATH = "/etc/nginx/site-opts.d/http.conf"
#: Of a file in bytes: reading one takes some thirty times as much memory, and the self-heal service has 192 MiB.
MOST = 4 << 20

_BEGIN = "# BEGIN selfhosted.coolify websocket routes"
_END = "# END selfhosted.coolify websocket routes"
_NOTE = "# Written by Ansible and by coolify-websocket.service: what is changed in here is lost."
_BEFORE = "# before: "

# nginx refuses a comment that does not fit into its buffer of 4096 bytes.
_BEFORE_WIDTH = 1000

# What a location may hold to count as a hand-made copy of our routes rather than as somebody's own work.
_COPY_DIRECTIVE = re.compile(r"proxy_\w+|set|resolver|resolver_timeout|tcp_nodelay|access_log|keepalive_timeout")


class Foreign(t.NamedTuple):
    """A location of somebody else's for the path of one of our routes, which is therefore not in the block.

    `path` is the route's path, `location` the directive's words, `line` counts from 1. `served`: whether nginx answers
    on the path as the realtime server does; None where that could not be asked.
    """

    path: str
    location: str
    file: str
    line: int
    served: bool | None


class Result(t.NamedTuple):
    """The new text and what was found.

    `adopted` are the locations taken over into the block, `paths` those that it routes, `served` what nginx has without it.
    """

    text: str
    changed: bool
    adopted: list[str]
    foreign: list[Foreign]
    paths: list[str]
    served: list[str]


class _Before(t.NamedTuple):
    """What a block pushed aside.

    `pieces` are texts with their offsets in the file without the block, which hold while that has the fingerprint `rest`, empty
    where there are no pieces: the file may be rendered, or edited. `no_newline`: the line break in front of the block is ours.
    """

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
    settings: _routes.Settings = _routes.DEFAULT,
    includes: t.Mapping[str, str] | None = None,
    served: t.Mapping[str, bool] | None = None,
) -> Result:
    """http.conf with the routes in it, but for those whose path is served, or bears the name of somebody's location.

    `includes` maps absolute file names to their text, for every ``include`` in http.conf. `served` tells of paths that our
    block does not route whether the running nginx answers there as the realtime server does, as far as it could be asked.
    Raises HttpConfError.
    """
    served = served or {}
    statements, blocks = _read(text)
    others = [statement for statement in statements if not _inside(statement, blocks)]
    copies = [statement for statement in others if any(_is_copy(statement, route) for route in ROUTES)]
    foreign = _foreign([one for one in others if one not in copies], includes or {}, served)
    # A copy goes, and what it served with it: also /apps/, if it was the guide's /app.
    lost = {route.port for route in ROUTES for copy in copies if _is_copy(copy, route)}
    kept = [route.path for route in ROUTES if served.get(route.path) and route.port not in lost]
    taken = {*kept, *(location.path for location in foreign)}
    wanted = [route for route in ROUTES if route.path not in taken]
    base = remove(text).text
    adopted = [statement for statement in _read(base)[0] if any(_is_copy(statement, route) for route in wanted)]
    # A block keeps the line ends that it has, whatever becomes of those around it.
    eol = _eol(text[blocks[0].start : blocks[0].stop] if blocks else base)
    result = _append(base, adopted, _routes.locations(wanted, settings), eol) if wanted else base
    names = [" ".join(copy.words) for copy in copies if any(_is_copy(copy, route) for route in wanted)]
    return Result(result, result != text, names, foreign, [route.path for route in wanted], kept)


def remove(text: str) -> Result:
    """http.conf as it was before `apply`, and with what somebody else changed since. Raises HttpConfError."""
    _statements, blocks = _read(text)
    rest = text
    for block in reversed(blocks):
        head, tail = rest[: block.start], rest[block.stop :]
        before, eol = block.before or _Before("", False, ()), _eol(rest[block.start : block.stop])
        bare = head[: -len(eol)] if before.no_newline and not tail and head.endswith(eol) else head
        pieces = before.pieces
        if pieces and _fingerprint(bare + tail) != before.rest:
            bare, pieces = head, tuple((block.start, piece) for _offset, piece in pieces)
        rest = _insert(bare + tail, pieces)
    return Result(rest, rest != text, [], [], [], [])


def paths(text: str) -> list[str]:
    """The paths that our block in this text routes. Raises HttpConfError."""
    statements, blocks = _read(text)
    return [s.words[-1] for s in statements if s.name == "location" and _inside(s, blocks)]


def is_treated(text: str) -> bool:
    """Whether our block is there. Raises HttpConfError."""
    return bool(_read(text)[1])


def fingerprint(text: str) -> str | None:
    """What the workers answer to PROBE_HEADER once they have loaded this text's block; None if there is no block."""
    _statements, blocks = _read(text)
    match = _routes.PROBE.search(text, blocks[0].start, blocks[0].stop) if blocks else None
    return match.group(1) if match else None


def included(pattern: str, files: t.Iterable[str]) -> list[str]:
    """The files that nginx's ``include`` takes for `pattern`, in its order: a wildcard does not cross a slash."""
    wanted = posixpath.normpath(posixpath.join("/etc/nginx", pattern)).split("/")
    return sorted(
        name for name in files if name.count("/") == len(wanted) - 1 and all(map(_matches, name.split("/"), wanted))
    )


def _matches(name: str, pattern: str) -> bool:
    # As glob(3) has it, a leading dot is matched by a dot alone.
    return fnmatch.fnmatchcase(name, pattern) and name.startswith(".") <= pattern.startswith(".")


def _parsed(name: str, text: str) -> _syntax.File:
    if len(text) > MOST:
        raise HttpConfError(f"{name} is larger than {MOST >> 20} MiB; move what is large in it into a file of its own")
    try:
        return _syntax.parse(text)
    except _syntax.NginxSyntaxError as error:
        raise HttpConfError(f"{name} is no valid nginx configuration: {error}; mend it by hand first") from error


def _read(text: str) -> tuple[tuple[_syntax.Statement, ...], list[_Block]]:
    content = _parsed("http.conf", text)
    blocks: list[_Block] = []
    begin: _syntax.Comment | None = None
    memory = ""
    for comment in content.comments:
        line = comment.text.rstrip()
        if line not in (_BEGIN, _END):
            memory += line[len(_BEFORE) :] if begin and line.startswith(_BEFORE) else ""
            continue
        if (line == _BEGIN) is (begin is not None):
            raise _alone(text, comment.start, line)
        if begin is None:
            begin, memory = comment, ""
        else:
            start, stop = _whole_lines(text, begin.start, comment.stop)
            blocks.append(_Block(start, stop, _recall(memory)))
            begin = None
    if begin is not None:
        raise _alone(text, begin.start, _BEGIN)
    for statement in content.statements:
        for block in blocks:
            if statement.start < block.stop and block.start < statement.stop and not _inside(statement, [block]):
                raise HttpConfError(
                    f"http.conf, line {statement.line}: a directive reaches across a marker of the managed block; "
                    "remove the block by hand"
                )
    return content.statements, blocks


def _alone(text: str, start: int, marker: str) -> HttpConfError:
    line = text.count("\n", 0, start) + 1
    return HttpConfError(f"http.conf, line {line}: '{marker}' without its counterpart; remove what is left of the block by hand")


def _inside(statement: _syntax.Statement, blocks: t.Sequence[_Block]) -> bool:
    return any(block.start <= statement.start and statement.stop <= block.stop for block in blocks)


def _append(
    text: str, copies: t.Sequence[_syntax.Statement], locations: t.Iterable[str], eol: str
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

    no_newline = bool(rest) and not rest.endswith("\n")
    lines = [_BEGIN, _NOTE]
    if no_newline or pieces:
        lines += _remembered(_Before(_fingerprint(rest) if pieces else "", no_newline, tuple(pieces)))
    lines += [*locations, _END, ""]
    return rest + (eol if no_newline else "") + eol.join(lines)


def _eol(text: str) -> str:
    return "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"


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
    """The range, grown over the blanks around it to whole lines, where it is alone in its first and last one."""
    line_start = text.rfind("\n", 0, start) + 1
    line_stop = text.find("\n", stop) + 1 or len(text)
    return (start if text[line_start:start].strip() else line_start, stop if text[stop:line_stop].strip() else line_stop)


def _is_copy(statement: _syntax.Statement, route: Route) -> bool:
    """Whether this is the route as the guide's own script appends it: its path, led to its server, and no more."""
    if statement.name != "location" or statement.body is None:
        return False
    modifier, path = _location(statement)
    words = [word for inner in statement.body for word in inner.words]
    return (
        modifier in ("", "=", "^~")
        and path.rstrip("/") == route.path.rstrip("/")
        and all(inner.body is None and _COPY_DIRECTIVE.fullmatch(inner.name) for inner in statement.body)
        and any(inner.name == "proxy_pass" and inner.words[-1].endswith(f":{route.port}") for inner in statement.body)
        and any(_routes.UPSTREAM in re.split("[/:]+", word) for word in words)
    )


def _foreign(
    statements: t.Sequence[_syntax.Statement],
    includes: t.Mapping[str, str],
    served: t.Mapping[str, bool],
    file: str = PATH,
    depth: int = 0,
) -> list[Foreign]:
    found: list[Foreign] = []
    for statement in statements:
        if statement.name == "include" and len(statement.words) == 2 and depth < 10:
            for name in included(statement.words[1], includes):
                found += _foreign(_parsed(name, includes[name]).statements, includes, served, name, depth + 1)
        elif statement.name == "location" and statement.body is not None:
            location = " ".join(statement.words)
            found += [
                Foreign(route.path, location, file, statement.line, served.get(route.path))
                for route in ROUTES
                if _has_name(statement, route)
            ]
    return found


def _has_name(statement: _syntax.Statement, route: Route) -> bool:
    """Whether the location is meant for the route's path: nginx would refuse the same one twice, or ours overrule it.

    An exact location takes one URL, and so leaves a prefix to the route (field case E3).
    """
    modifier, path = _location(statement)
    if route.is_prefix:
        return modifier in ("", "^~") and path.rstrip("/") == route.path.rstrip("/")
    return modifier in ("", "=", "^~") and path == route.path


def _location(statement: _syntax.Statement) -> tuple[str, str]:
    """Modifier and path, also where they are written as one word."""
    words = statement.words[1:]
    if len(words) == 2:
        return words[0], words[1]
    word = words[0] if words else ""
    modifier = next((modifier for modifier in ("=", "^~", "~*", "~") if word.startswith(modifier)), "")
    return modifier, word[len(modifier) :]
