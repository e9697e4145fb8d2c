# SPDX-License-Identifier: GPL-3.0-or-later
"""The dynamic configuration that makes Traefik route Coolify's two WebSocket paths itself.

See https://doc.traefik.io/traefik/routing/routers/.
"""

from __future__ import annotations

import os
import re
import typing as t

from ..keeper import _durable

# Traefik's default priority is the length of the rule, and no rule is this long: Coolify's own router for the whole
# host must not win, however long its rule is.
PRIORITY = 100000
CERTIFICATE_RESOLVER = "letsencrypt"

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z")
_ROUTES = (
    # (name, matcher of the path, service's address); the narrowest forms that carry both paths, see facts 15 and 33.
    ("terminal", "Path(`/terminal/ws`)", "http://coolify-realtime:6002"),
    ("app", "(PathPrefix(`/app/`) || PathPrefix(`/apps/`))", "http://coolify-realtime:6001"),
)


def document(hosts: t.Sequence[str], entrypoints: t.Sequence[str]) -> dict[str, t.Any]:
    """The document for the instance's names, with one router per path and entry point (`http`, `https`).

    The names begin with `selfhosted-coolify-`, which Coolify never uses (fact 12). On `https` the certificate comes
    from the resolver that Coolify's own routers use. Raises ValueError for a host that is not a plain DNS name, so
    that no value carries rule syntax, and for an unknown entry point.
    """
    for host in hosts:
        if len(host) > 253 or not _HOST.match(host):
            raise ValueError(f"coolify_domain: {host!r} is not a host name; give it bare, like coolify.example.com")
    names = " || ".join(f"Host(`{host}`)" for host in hosts)
    names = f"({names})" if len(hosts) > 1 else names
    unknown = sorted(set(entrypoints) - {"http", "https"})
    if unknown or not entrypoints:
        raise ValueError(f"coolify_traefik_entrypoints: {unknown!r} is not a list of http and https")
    routers, services = {}, {}
    for name, path, address in _ROUTES:
        service = f"selfhosted-coolify-{name}"
        services[service] = {"loadBalancer": {"servers": [{"url": address}]}}
        for entrypoint in entrypoints:
            router: dict[str, t.Any] = {
                "entryPoints": [entrypoint],
                "rule": f"{names} && {path}",
                "service": service,
                "priority": PRIORITY,
            }
            if entrypoint == "https":
                router["tls"] = {"certResolver": CERTIFICATE_RESOLVER}
            routers[f"{service}-{entrypoint}"] = router
    return {"http": {"routers": routers, "services": services}}


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
