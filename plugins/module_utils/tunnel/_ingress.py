# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to this collection: no promise is made to anybody else.

The `ingress` list of a Cloudflare Tunnel: who answers a URL, and what must change so that Coolify's two WebSocket
paths are answered by the realtime container.

cloudflared tries the rules in order; a hostname is exact, `*.suffix`, or missing for all; `path` is a Go regular
expression that may match anywhere in the URL's path; the last rule alone takes everything (facts 18 and 33).

The list is edited in its text: lines are put in, moved, or get another `path`, and every other byte stays. Whatever
was edited is read again and compared with what was meant, so that a file this cannot handle is refused, not damaged.
"""

from __future__ import annotations

import re
import typing as t
from urllib.parse import unquote, urlsplit

from ..yaml import _reader as yaml
from ._go_regexp import GoRegexpError, compile_go

MARKER = "# selfhosted.coolify: a WebSocket path of Coolify; keep it above the other rules of this hostname"
CATCH_ALL = "- service: http_status:404"

# What tells a pattern that takes just a WebSocket path from one that takes Coolify's pages and API with it.
_WEBSOCKET_PATHS = (
    "/terminal/ws",
    "/app/0123456789abcdef",
    "/app/a-Key_of.mine",
    "/apps/coolify/events",
    "/apps/coolify/channels/private-team.0/users",
)
_PAGES = (
    "/",
    "/api/v1/applications",
    "/api/v1/applications/uuid/start",
    "/project/uuid/environment/uuid/application/uuid",
    "/project/uuid/environment/uuid/application/uuid/terminal",
    "/project/uuid/environment/uuid/application/uuid/deployment/uuid",
    "/terminal",
    "/terminal/auth",
    "/terminal/auth/ips",
    "/server/uuid/terminal",
    "/source/github/uuid",
    "/webhooks/source/github/events",
    "/build/assets/app-3f2a1c.js",
    "/livewire/update",
    "/login",
)


class IngressError(ValueError):
    """The list cannot be read or edited safely. The message says where and what to do."""


class Rule(t.NamedTuple):
    """One rule; `hostname` and `path` are empty where the rule has none."""

    hostname: str
    path: str
    service: str


class Swallowed(t.NamedTuple):
    """A rule that took Coolify's pages along, and which of them."""

    rule: Rule
    pages: list[str]


class Result(t.NamedTuple):
    """The text after the edit, the rules in it, and the faulty rules that were mended."""

    text: str
    changed: bool
    rules: list[Rule]
    swallowed: list[Swallowed]


class _Entry(t.NamedTuple):
    """A rule with the lines (block style) or the part of a line (flow style) that it is made of."""

    rule: Rule
    chunk: str
    ours: bool
    path_span: tuple[int, int] | None = None


class _List(t.NamedTuple):
    """The text around and between the rules: before the first, each one's own, after the last."""

    head: str
    entries: list[_Entry]
    tail: str
    flow: bool
    indent: str
    newline: str


def parse(text: str) -> list[Rule]:
    """The rules in order; an empty list where the file has no `ingress`. Raises IngressError."""
    return [rule for rule, _node in _rules(_sequence(text))]


def first_match(rules: t.Sequence[Rule], url: str) -> Rule | None:
    """The rule that answers `url`, or None where none does.

    `url` is a full URL, `https://host/path`. Raises IngressError for a path that Go's regular expressions do not
    know.
    """
    parts = urlsplit(url)
    host, path = parts.hostname or "", unquote(parts.path) or "/"
    return next((rule for rule in rules if takes(rule, host, path)), None)


def takes(rule: Rule, host: str, path: str) -> bool:
    """Whether the rule by itself answers this host and (decoded) path."""
    return _host_matches(rule.hostname, host) and _path_matches(rule.path, path)


def apply(text: str, hostname: str, rules: t.Sequence[t.Mapping[str, str]]) -> Result:
    """Routes each of `rules` (`path`, `service`) for `hostname`, ahead of whatever would take the same paths.

    A rule that serves a path rightly already is left, or moved up if another one stands in its way. One that sends
    the realtime container more than its paths gets a narrower `path`. Raises IngressError.
    """
    wanted = [_wanted(hostname, rule) for rule in rules]
    found = _split(text)
    _check_catch_all(found.entries)
    entries = [entry for entry in found.entries if not entry.ours or entry.rule in wanted]
    swallowed: list[Swallowed] = []
    for want in wanted:
        entries = _mend(entries, want, wanted, swallowed)
    missing = []
    for want in wanted:
        entries, served = _serve(entries, want)
        if not served:
            missing.append(want)
    entries = _insert(entries, missing, found)
    edited = _join(found, entries)
    _check(edited, [entry.rule for entry in entries], wanted)
    return Result(edited, edited != text, parse(edited), swallowed)


def remove(text: str) -> Result:
    """Takes out the rules that apply() put in, also if somebody changed them since. Raises IngressError."""
    found = _split(text)
    entries = [entry for entry in found.entries if not (entry.ours or MARKER in entry.chunk)]
    edited = _join(found, entries)
    rules = parse(edited)
    if rules != [entry.rule for entry in entries]:
        raise IngressError("the rules marked 'selfhosted.coolify' cannot be taken out safely; delete them by hand")
    return Result(edited, edited != text, rules, [])


# What cloudflared does


def _host_matches(pattern: str, host: str) -> bool:
    if pattern in ("", "*"):
        return True
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return host in (pattern, _punycode(pattern))


def _punycode(hostname: str) -> str:
    try:
        return hostname.encode("idna").decode("ascii")
    except UnicodeError:
        return hostname


def _path_matches(pattern: str, path: str) -> bool:
    if not pattern:
        return True
    try:
        return compile_go(pattern).search(path) is not None
    except GoRegexpError as error:
        raise IngressError(f"the ingress rule with path {pattern!r}: {error}") from error


def _is_catch_all(rule: Rule) -> bool:
    return rule.hostname in ("", "*") and not rule.path


def _check_catch_all(entries: t.Sequence[_Entry]) -> None:
    if not entries:
        raise IngressError(f"the file has no rules under 'ingress'; add at least 'ingress:' and '  {CATCH_ALL}'")
    if not _is_catch_all(entries[-1].rule):
        raise IngressError(
            "the last ingress rule must take everything, and cloudflared refuses a list without such a rule; "
            f"add as its last line: {CATCH_ALL}"
        )
    for number, entry in enumerate(entries[:-1], 1):
        if _is_catch_all(entry.rule):
            raise IngressError(
                f"ingress rule {number} has neither hostname nor path, so no rule after it is ever reached and "
                "cloudflared refuses the list; move it to the end"
            )


# What should be


def _wanted(hostname: str, rule: t.Mapping[str, str]) -> Rule:
    want = Rule(hostname, rule["path"], rule["service"])
    if not _samples(want):
        raise IngressError(
            f"rules: the path {want.path!r} takes none of Coolify's WebSocket paths; use ^/terminal/ws$ and ^/apps?/"
        )
    return want


def _samples(rule: Rule) -> list[str]:
    return [path for path in _WEBSOCKET_PATHS if _path_matches(rule.path, path)]


def _serves(rule: Rule, want: Rule) -> bool:
    """Whether the service of `rule` is the one that `want` means, maybe by another address."""
    if rule.service == want.service:
        return True
    service = urlsplit(rule.service)
    try:
        port, published = service.port, urlsplit(want.service).port
    except ValueError:
        return False
    if service.hostname == "coolify-realtime":
        # A connector in Coolify's own network uses the container's ports, whatever the host publishes.
        published = 6002 if _path_matches(want.path, _WEBSOCKET_PATHS[0]) else 6001
    return service.scheme in ("http", "ws") and port == published


def _is_attempt(rule: Rule, want: Rule) -> bool:
    """Whether somebody wrote `rule` to do what `want` does."""
    return bool(
        rule.path
        and _host_matches(rule.hostname, want.hostname)
        and _serves(rule, want)
        and any(_path_matches(rule.path, path) for path in _samples(want))
    )


def _surplus(rule: Rule, want: Rule, wanted: t.Sequence[Rule]) -> list[str]:
    """The paths that the service of `rule` gets and cannot answer."""
    others = [path for other in wanted if not _serves(rule, other) for path in _samples(other)]
    return [path for path in _PAGES + tuple(others) if _path_matches(rule.path, path)]


def _mend(entries: list[_Entry], want: Rule, wanted: t.Sequence[Rule], swallowed: list[Swallowed]) -> list[_Entry]:
    mended = []
    for entry in entries:
        surplus = _surplus(entry.rule, want, wanted) if _is_attempt(entry.rule, want) else []
        if surplus:
            swallowed.append(Swallowed(entry.rule, surplus))
            entry = _with_path(entry, want.path)
        mended.append(entry)
    return mended


def _serve(entries: list[_Entry], want: Rule) -> tuple[list[_Entry], bool]:
    """Moves a rule that serves `want` up to where it is reached; the second value tells whether one is.

    What moves gets the wanted path too: further up, whatever else its pattern takes would be taken from others.
    """
    rules = [entry.rule for entry in entries]
    answers = [_first(rules, want.hostname, path) for path in _samples(want)]
    if all(rules[index].path and _serves(rules[index], want) for index in answers):
        return entries, True
    for index, rule in enumerate(rules):
        own = rule.hostname and not rule.hostname.startswith("*") and _is_attempt(rule, want)
        if own and all(_path_matches(rule.path, path) for path in _samples(want)):
            moved = entries[:index] + entries[index + 1 :]
            moved.insert(min(answers), _with_path(entries[index], want.path))
            return moved, True
    return entries, False


def _first(rules: t.Sequence[Rule], host: str, path: str) -> int:
    return next(index for index, rule in enumerate(rules) if takes(rule, host, path))


def _insert(entries: list[_Entry], missing: t.Sequence[Rule], found: _List) -> list[_Entry]:
    if not missing:
        return entries
    rules = [entry.rule for entry in entries]
    place = min(_first(rules, want.hostname, path) for want in missing for path in _samples(want))
    written = [_Entry(want, _chunk(want, found), True) for want in missing]
    return entries[:place] + written + entries[place:]


# The text


def _sequence(text: str) -> yaml.Sequence | None:
    try:
        root = yaml.resolve(yaml.read(text))
    except yaml.YamlError as error:
        raise IngressError(f"the file cannot be read as YAML: {error}") from error
    if isinstance(root, yaml.Scalar) and root.is_null:
        return None
    if not isinstance(root, yaml.Mapping):
        raise IngressError("the file is not a mapping with a key 'ingress'")
    value = root.get("ingress")
    if value is None or (isinstance(value, yaml.Scalar) and value.is_null):
        return None
    if not isinstance(value, yaml.Sequence):
        raise IngressError("'ingress' is not a list that is written out at its place")
    return value


def _rules(sequence: yaml.Sequence | None) -> list[tuple[Rule, yaml.Node]]:
    found = []
    for number, item in enumerate(sequence.items if sequence else [], 1):
        node = yaml.resolve(item)
        if not isinstance(node, yaml.Mapping):
            raise IngressError(f"ingress rule {number} is not a mapping")
        fields = [_field(node, key, number) for key in Rule._fields]
        if not fields[-1]:
            raise IngressError(f"ingress rule {number} has no service")
        found.append((Rule(*fields), item))
    return found


def _field(node: yaml.Mapping, key: str, number: int) -> str:
    value = yaml.resolve(node.get(key))
    if value is None:
        return ""
    if not isinstance(value, yaml.Scalar) or value.text is None:
        raise IngressError(f"ingress rule {number}: write {key} as plain or quoted text on one line")
    return "" if value.is_null else value.text


def _split(text: str) -> _List:
    sequence = _sequence(text)
    rules = _rules(sequence)
    newline = "\r\n" if "\r\n" in text else "\n"
    if sequence is None or not rules:
        return _List(text, [], "", False, "", newline)
    starts, end = _starts(text, sequence), sequence.end
    if not sequence.flow:
        end = _line_end(text, end)
    chunks = [text[start:stop] for start, stop in zip(starts, [*starts[1:], end])]
    indent = "" if sequence.flow else " " * _column(text, sequence.dashes[0])
    found = _List(text[: starts[0]], [], text[end:], sequence.flow, indent, newline)
    for (rule, item), chunk, start in zip(rules, chunks, starts):
        ours = chunk.rstrip() == _chunk(rule, found).rstrip()
        found.entries.append(_Entry(rule, chunk, ours, _path_span(item, start)))
    return found


def _path_span(item: yaml.Node, start: int) -> tuple[int, int] | None:
    """Where in the chunk that begins at `start` the path's value is written; None where it comes from elsewhere."""
    pairs = item.pairs if isinstance(item, yaml.Mapping) else []
    return next(((value.start - start, value.end - start) for key, value in pairs if key.text == "path"), None)


def _starts(text: str, sequence: yaml.Sequence) -> list[int]:
    """Where each rule begins; in block style with the comment lines that stand directly above it."""
    if sequence.flow:
        return [item.start - _anchor_width(text, item) for item in sequence.items]
    starts = []
    for dash in sequence.dashes:
        start = dash - _column(text, dash)
        while start and text[text.rfind("\n", 0, start - 1) + 1 : start].lstrip(" \t").startswith("#"):
            start = text.rfind("\n", 0, start - 1) + 1
        starts.append(start)
    return starts


def _anchor_width(text: str, item: yaml.Node) -> int:
    anchor = re.search(r"&[0-9A-Za-z_-]+[ \t]+\Z", text[: item.start])
    return len(anchor.group()) if anchor else 0


def _column(text: str, offset: int) -> int:
    return offset - (text.rfind("\n", 0, offset) + 1)


def _line_end(text: str, offset: int) -> int:
    found = text.find("\n", offset)
    return len(text) if found < 0 else found + 1


def _join(found: _List, entries: t.Sequence[_Entry]) -> str:
    return found.head + "".join(entry.chunk for entry in entries) + found.tail


def _chunk(rule: Rule, found: _List) -> str:
    """The rule as text in the style of the list around it."""
    fields = [f"{key}: {_quoted(value)}" for key, value in rule._asdict().items()]
    if found.flow:
        return "{" + ", ".join(fields) + "}, "
    lines = [MARKER, "- " + fields[0]] + ["  " + field for field in fields[1:]]
    return "".join(found.indent + line + found.newline for line in lines)


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _with_path(entry: _Entry, path: str) -> _Entry:
    if entry.rule.path == path:
        return entry
    if entry.path_span is None:
        raise IngressError(f"the ingress rule with path {entry.rule.path!r} must become {path!r}; change it by hand")
    start, end = entry.path_span
    chunk = entry.chunk[:start] + _quoted(path) + entry.chunk[end:]
    return entry._replace(rule=entry.rule._replace(path=path), chunk=chunk, path_span=None)


def _check(text: str, rules: t.Sequence[Rule], wanted: t.Sequence[Rule]) -> None:
    """Reads the edited text again: an anchor that moved below its alias, say, must not go unnoticed."""
    try:
        same = parse(text) == list(rules)
    except IngressError:
        same = False
    if not same:
        listed = "; ".join(f"hostname {rule.hostname}, path {rule.path}, service {rule.service}" for rule in wanted)
        raise IngressError(
            "the ingress list is written in a way that cannot be edited safely; put these rules above the others of "
            f"the hostname by hand, in this order: {listed}"
        )
