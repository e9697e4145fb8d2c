# SPDX-License-Identifier: GPL-3.0-or-later
"""The `ingress` list of a Cloudflare Tunnel: what serves Coolify's two WebSocket paths, and the marks of what is ours.

cloudflared tries the rules in order; a hostname is exact, `*.suffix`, or missing for all; `path` is a Go regular
expression that may match anywhere in the URL's path; the last rule alone takes everything (facts 18 and 33). Paths are
judged by the few spellings that people use; any other one may match everything, and what stands above it is right.
The text is read as YAML on the control node (plugin_utils); taking back what is ours needs its marks alone.
"""

from __future__ import annotations

import re
import typing as t
from urllib.parse import urlsplit

BEGIN = "# BEGIN selfhosted.coolify websocket paths"
END = "# END selfhosted.coolify websocket paths"
NARROWED = " # selfhosted.coolify, before: "

#: What a rule's path is narrowed to.
ANCHORED = {"terminal": "^/terminal/ws$", "app": "^/apps?/"}

_BLOCK = re.compile(rf"(?m)^ *{BEGIN}\r?\n(?:.*\n)*?.*{END}.*\n?")
_NARROWED_LINE = re.compile(r"(?m)^(.*?)'(?:{})'(.*){}(\S+)(\r?)$".format("|".join(map(re.escape, ANCHORED.values())), NARROWED))
_RIGHT = {
    "terminal": (ANCHORED["terminal"], "^/terminal/ws", "/terminal/ws$", "/terminal/ws"),
    "app": (ANCHORED["app"], "/apps?/", "^/app/", "/app/"),
}
_PORTS = {"terminal": 6002, "app": 6001}
_MISTAKE = re.compile(r"/(app|terminal)(?:[.]?\*|/\*)?\Z")
_PAGES = (
    "/api/v1/applications",
    "/project/uuid/environment/uuid/application/uuid",
    "/project/uuid/environment/uuid/application/uuid/terminal",
    "/terminal",
    "/terminal/auth",
    "/server/uuid/terminal",
    "/source/github/uuid",
    "/build/assets/app-3f2a1c.js",
)
_LOOPBACK = re.compile(r"localhost|127\.[0-9.]+|::1")
# In Docker's network `coolify`, where no port of the host is (fact 55).
_CONTAINERS = ("coolify", "coolify-proxy", "coolify-realtime")


_RULE_LINE = re.compile(
    r"""[ \t]*(?:-[ \t]+)?(?P<quote>["']?)(?:hostname|path|service)(?P=quote)[ \t]*:[ \t]+\S.*|[ \t]*-[ \t]*|ingress:[ \t]*"""
)
_USER = re.compile(r"//[^/\s@]*@")
_COMMENT = re.compile(r"[ \t]+#.*")
_NOT_SHOWN = "(not shown)"


class IngressError(ValueError):
    """The list cannot be read. The message says where and what to do."""


class Rule(t.NamedTuple):
    """One rule; `hostname` and `path` are empty where the rule has none."""

    hostname: str
    path: str
    service: str


def strip(text: str) -> str:
    """The text as it was before anything of ours was put in. Raises IngressError for a block without an end."""
    if text.count(BEGIN) != text.count(END):
        raise IngressError(f"there is not one {END!r} for each {BEGIN!r}; delete the rules between and both lines by hand")
    return _NARROWED_LINE.sub(r"\1\3\2\4", _BLOCK.sub("", text))


def shown(text: str) -> str:
    """The rules in a file's text, line by line, for a diff that ends up in logs; a file of cloudflared's may hold secrets too."""
    lines: list[str] = []
    for line in text.splitlines():
        found = _RULE_LINE.fullmatch(line)
        if line.strip() in (BEGIN, END) or NARROWED in line:
            lines.append(_USER.sub("//(hidden)@", line))
        elif found:
            lines.append(_USER.sub("//(hidden)@", _COMMENT.sub("", line)))
        elif lines[-1:] != [_NOT_SHOWN]:
            lines.append(_NOT_SHOWN)
    return "".join(f"{line}\n" for line in lines)


def spliced(text: str, splices: t.Iterable[t.Sequence[t.Any]]) -> str:
    """The text with each splice (start, end, what comes there) in its place; they must not overlap."""
    for start, end, new in sorted(map(tuple, splices), reverse=True):
        text = text[:start] + new + text[end:]
    return text


def kind(path: str) -> str:
    """Which of the two paths (`terminal`, `app`) a wanted rule is for. Raises IngressError for any other."""
    for name, spellings in _RIGHT.items():
        if path in spellings:
            return name
    raise IngressError(
        "rules: the path {!r} takes none of Coolify's WebSocket paths; use {} and {}".format(path, *ANCHORED.values())
    )


def names(pattern: str, hostname: str) -> bool:
    """Whether a rule's hostname takes `hostname`; case tells nothing."""
    pattern, hostname = _ascii(pattern), _ascii(hostname)
    return pattern in ("", "*", hostname) or (pattern[:2] == "*." and hostname.endswith(pattern[1:]))


def own(rules: t.Sequence[Rule], hostname: str) -> int | None:
    """Which rule has the rest of the hostname: its own, else the first that takes it too."""
    taking = [index for index, rule in enumerate(rules) if not rule.path and names(rule.hostname, hostname)]
    return next((index for index in taking if is_of(rules[index], hostname)), taking[0] if taking else None)


def wanted(rules: t.Sequence[Rule], hostname: str, given: t.Iterable[t.Mapping[str, str]]) -> list[Rule]:
    """The rules that `given` (`path`, `service` on a port of the host) come to in this list.

    Their host is the one by which the connector reaches the hostname's own service (facts 54, 55). Raises IngressError.
    """
    index = own(rules, hostname)
    host = None if index is None else _place(rules[index].service)[0]
    found = []
    for rule in given:
        name = kind(rule["path"])
        here, port = _place(rule["service"])
        if host in _CONTAINERS:
            service = f"http://coolify-realtime:{_PORTS[name]}"
        elif host in (None, here) or here != "127.0.0.1":
            service = rule["service"]
        else:
            service = "http://{}:{}".format(f"[{host}]" if ":" in str(host) else host, port)
        found.append(Rule(hostname, rule["path"], service))
    return found


def answering(rules: t.Sequence[Rule], want: Rule) -> Rule | None:
    """The first rule that may answer the path of `want`."""
    others = [path for name, paths in _RIGHT.items() if name != kind(want.path) for path in paths]
    return next((rule for rule in rules if names(rule.hostname, want.hostname) and rule.path not in others), None)


def serves(rule: Rule | None, want: Rule) -> bool:
    """Whether the rule is one for the path of `want`, and leads where that does."""
    if rule is None or not is_of(rule, want.hostname) or rule.path not in _RIGHT[kind(want.path)]:
        return False
    return urlsplit(rule.service).scheme in ("http", "ws") and _place(rule.service) == _place(want.service)


def swallowed(rule: Rule, wants: t.Sequence[Rule]) -> list[str]:
    """The pages of Coolify that the guide's unanchored path sends to the realtime ports of this host."""
    if not _MISTAKE.match(rule.path) or not any(is_of(rule, want.hostname) for want in wants):
        return []
    places = {_place(want.service) for want in wants}
    places |= {("127.0.0.1", port) for _host, port in places}
    return [page for page in _PAGES if _place(rule.service) in places and re.search(rule.path, page)]


def mended(rules: t.Sequence[Rule], wants: t.Sequence[Rule]) -> list[Rule]:
    """The rules, those that swallow pages with an anchored path."""
    return [
        rule._replace(path=ANCHORED["terminal" if rule.path.startswith("/terminal") else "app"])
        if swallowed(rule, wants)
        else rule
        for rule in rules
    ]


def is_of(rule: Rule, hostname: str) -> bool:
    """Whether the rule is this very hostname's, not one for many."""
    return _ascii(rule.hostname) == _ascii(hostname)


def _ascii(hostname: str) -> str:
    try:
        return hostname.lower().encode("idna").decode("ascii")
    except UnicodeError:
        return hostname.lower()


def _place(service: str) -> tuple[str | None, int | None]:
    """Host and port of a service, one spelling for loopback; None where it has none."""
    try:
        found = urlsplit(service)
        host, port = found.hostname, found.port
    except ValueError:
        return None, None
    if found.scheme not in ("http", "https", "ws", "wss"):
        return None, None
    return "127.0.0.1" if host and _LOOPBACK.fullmatch(host) else host, port
