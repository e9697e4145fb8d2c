# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of Traefik's routers answers for Coolify's page and sockets, by its own API, and routers of ours as guarded as that.

See https://doc.traefik.io/traefik/routing/routers/.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import typing as t
from urllib.parse import urlsplit

from ..keeper import _durable

# Traefik's default priority is the length of the rule, and few rules are this long.
PRIORITY = 100000
#: What the names of our routers and services hold, which Coolify never uses.
OURS = "selfhosted-coolify-"

# How Coolify's labels name the API (its container's name, without a rule of its own).
_API = "traefik-coolify-proxy"
_API_TIMEOUT = 2.0
_API_LARGEST = 16 * 2**20
_PATHS = {
    # The narrowest forms that carry both paths; Traefik's PathPrefix(`/app`) takes /applications too.
    "terminal": ("Path(`/terminal/ws`)", "http://coolify-realtime:6002", ("/terminal/ws",)),
    "app": ("(PathPrefix(`/app/`) || PathPrefix(`/apps/`))", "http://coolify-realtime:6001", ("/app/key", "/apps/id/events")),
}
_HOST = r"""Host\((?:`[^`]+`|"[^"]+")\)"""
_HOSTS = rf"(?:{_HOST}|\(?{_HOST}(?:\s*\|\|\s*{_HOST})+\)?)"
# Several hosts in brackets, or without any other term: && binds before ||.
_PLAIN = re.compile(rf"(?P<hosts>{_HOSTS})?(?P<terms>(?:\s*(?:&&)?\s*\w+\([^()]*\))*)")
_TERM = re.compile(r"""(?P<kind>\w+)\((?P<quote>[`"])(?P<value>[^`"]*)(?P=quote)\)""")
# Others may hold a secret, such as a header that only a proxy in front sends.
_SHOWN = ("Host", "HostSNI", "Path", "PathPrefix", "ClientIP", "Method")

#: A router as `ask` returns it.
Router = t.Mapping[str, t.Any]


class RefusedError(Exception):
    """Traefik's way to the page is not plain, or its guard cannot be carried over; the message says why."""


def ask(address: str, port: int, places: t.Mapping[str, t.Container[str]]) -> list[Router] | None:
    """Traefik's routers, by its API at a published port of its entry point `http`; None where that does not answer.

    Each is a mapping of ``name``, ``entry_points``, ``rule``, ``priority``, ``middlewares``, ``tls`` (None without TLS, else the
    name of its options, which may be empty), ``enabled``, and the name in `places` of what it ``leads`` to, by its service's
    servers (host and port), empty for anything else.
    """
    try:
        routers, services = (_got(address, port, kind) for kind in ("routers", "services"))
        known = {one["name"]: _places(one) for one in services}
        return [_router(one, known, places) for one in routers]
    except (OSError, http.client.HTTPException, ValueError, TypeError, AttributeError, KeyError):
        return None


def pages(routers: t.Sequence[Router], host: str) -> list[Router]:
    """The routers that answer for the page of `host`, one for each entry point. Raises RefusedError where one is not plain."""
    found = []
    for entry, here in _by_entry_point(routers).items():
        page = _page(here, host)
        if page is None:
            continue
        above = [one for one in here if one is not page and one["priority"] >= page["priority"]]
        for one in above:
            if not _leaves_alone(one, page, host):
                raise RefusedError(f"at the entry point {entry} the router {one['name']} may answer for {host} too")
        if page["leads"] != "page":
            raise RefusedError(f"the router {page['name']} does not lead to Coolify's page itself")
        if page not in found:
            found.append(page)
    if not found:
        raise RefusedError(f"Traefik has no router for the page of {host}")
    return found


def entry_points(routers: t.Sequence[Router], host: str) -> list[str]:
    """At which entry points some router answers for the page of `host`."""
    return [entry for entry, here in _by_entry_point(routers).items() if _page(here, host) is not None]


def in_the_way(routers: t.Sequence[Router], host: str) -> list[Router]:
    """The routers that take a socket's path of `host`, before the page's own, to something else than Coolify."""
    found: list[Router] = []
    for here in _by_entry_point(routers).values():
        page = _page(here, host)
        above = [one for one in here if page is not None and one is not page and one["priority"] > page["priority"]]
        found += [one for one in above if not one["leads"] and one not in found and _sockets(one, host)]
    return found


def document(hosts: t.Iterable[str], routers: t.Sequence[Router]) -> dict[str, t.Any]:
    """What routes both paths of each host, as guarded as its page: by one router for each name, path and router of the page.

    A certificate is never asked for: it comes by SNI. Raises RefusedError as `pages`.
    """
    written: dict[str, t.Any] = {}
    for number, host in enumerate(hosts):
        for page in pages(routers, host):
            kept = [f"ClientIP(`{value}`)" for kind, value in _terms(page, host) or [] if kind == "ClientIP"]
            guard: dict[str, t.Any] = {"middlewares": list(page["middlewares"])} if page["middlewares"] else {}
            if page["tls"] is not None:
                guard["tls"] = {"options": page["tls"]} if page["tls"] not in ("", "default") else {}
            for name, (path, _address, _examples) in _PATHS.items():
                places = [OURS[:-1], name, *page["entry_points"], *([str(number + 1)] if number else [])]
                written["-".join(places)] = {
                    "entryPoints": list(page["entry_points"]),
                    "rule": " && ".join([f"Host(`{host}`)", *kept, path]),
                    "service": OURS + name,
                    "priority": max(PRIORITY, page["priority"] + 1),
                    **guard,
                }
    services = {OURS + name: {"loadBalancer": {"servers": [{"url": address}]}} for name, (_p, address, _e) in _PATHS.items()}
    return {"http": {"routers": written, "services": services}}


def _got(address: str, port: int, kind: str) -> list[dict[str, t.Any]]:
    connection = http.client.HTTPConnection(address, port, timeout=_API_TIMEOUT)
    try:
        connection.request("GET", f"/api/http/{kind}?per_page=100000", headers={"Host": _API})
        answer = connection.getresponse()
        if answer.status != 200:
            raise ValueError(f"the API answers {answer.status}")
        return list(json.loads(answer.read(_API_LARGEST)))
    finally:
        connection.close()


def _router(found: t.Mapping[str, t.Any], services: t.Mapping[str, set[str]], places: t.Mapping[str, t.Container[str]]) -> Router:
    provider, service = found["provider"], found.get("service") or ""
    servers = services.get(service if "@" in service else f"{service}@{provider}") or {""}
    tls = found.get("tls")
    return {
        "name": found["name"],
        "entry_points": list(found.get("using") or found.get("entryPoints") or []),
        "rule": re.sub(r"(\w+)\([^()]*\)", lambda term: term[0] if term[1] in _SHOWN else f"{term[1]}(…)", found["rule"]),
        "priority": int(found.get("priority") or len(found["rule"])),
        "middlewares": list(found.get("middlewares") or []),
        "tls": None if tls is None else str(tls.get("options") or ""),
        "enabled": found.get("status") != "disabled",
        "leads": next((name for name, known in places.items() if all(one in known for one in servers)), ""),
    }


def _places(service: t.Mapping[str, t.Any]) -> set[str]:
    servers = (service.get("loadBalancer") or {}).get("servers") or []
    return {urlsplit(one["url"]).netloc for one in servers if urlsplit(one["url"]).scheme == "http"}


def _by_entry_point(routers: t.Sequence[Router]) -> dict[str, list[Router]]:
    """Those of others that are at work, by entry point; none where the entry point itself redirects, before every router."""
    redirecting = {
        entry for one in routers if re.fullmatch(r"[\w-]+-to-[\w-]+@internal", one["name"]) for entry in one["entry_points"]
    }
    at_work = [one for one in routers if one["enabled"] and OURS not in one["name"]]
    entries = sorted({entry for one in at_work for entry in one["entry_points"]} - redirecting)
    return {entry: [one for one in at_work if entry in one["entry_points"]] for entry in entries}


def _page(here: t.Iterable[Router], host: str) -> Router | None:
    """The router of one entry point that answers for the page, where it names the host in a plain rule."""
    taking = [one for one in here if "Host(" in one["rule"] and _takes(one, host, "/")]
    return max(taking, key=lambda one: int(one["priority"]), default=None)


def _leaves_alone(one: Router, page: Router, host: str) -> bool:
    """Whether a router before the page's takes nothing of the host, or a socket's path to its server, no more guarded."""
    terms = _terms(one, host)
    if terms is None:
        # A rule that is not plain may take anything, but for one that is of other hosts.
        return "Host(" in one["rule"] and host.lower() not in one["rule"].lower()
    if _takes(one, host, "/") or not _sockets(one, host):
        return not _takes(one, host, "/")
    guard = {*one["middlewares"], *(value for kind, value in terms if kind == "ClientIP")}
    own = {*page["middlewares"], *(value for kind, value in _terms(page, host) or [] if kind == "ClientIP")}
    return one["leads"] in _PATHS and guard <= own and one["tls"] in (None, "", "default", page["tls"])


def _sockets(one: Router, host: str) -> list[str]:
    return [path for _p, _a, examples in _PATHS.values() for path in examples if _takes(one, host, path)]


def _terms(one: Router, host: str) -> list[tuple[str, str]] | None:
    """Kind and value of each term beside the host in a plain rule that takes it; None for any other rule."""
    plain = _PLAIN.fullmatch(one["rule"].strip())
    if plain is None:
        return None
    hosts, written = plain["hosts"], plain["terms"]
    terms = [(term["kind"], term["value"]) for term in _TERM.finditer(written)]
    if hosts and host.lower() not in re.findall(r"""[`"]([^`"]+)[`"]""", hosts.lower()):
        return None
    if len(terms) != written.count("(") or {kind for kind, _value in terms} - {"Path", "PathPrefix", "ClientIP"}:
        return None
    return None if hosts and "||" in hosts and not hosts.startswith("(") and terms else terms


def _takes(one: Router, host: str, path: str) -> bool:
    terms = _terms(one, host)
    return terms is not None and all(
        {"Path": path == value, "PathPrefix": path.startswith(value)}.get(kind, True) for kind, value in terms
    )


def neighbours(path: str) -> list[dict[str, str]]:
    """Path and text of each other file beside ours that Traefik reads too, or the error of one that cannot be read."""
    folder = os.path.dirname(path)
    found = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        neighbour = os.path.join(folder, name)
        shown = os.fsencode(neighbour).decode("utf-8", "replace")
        if neighbour == path or not name.endswith((".yaml", ".yml")):
            continue
        # A link to nothing is read by Traefik too, and stops it; a folder or a pipe is not a file that anybody reads.
        if os.path.isfile(neighbour) or not os.path.exists(neighbour):
            try:
                found.append({"path": shown, "text": _durable.read_through(neighbour).decode("utf-8", "replace")})
            except OSError as problem:
                found.append({"path": shown, "error": str(problem.strerror or problem)})
    return found
