# SPDX-License-Identifier: GPL-3.0-or-later
"""Where to look from each side, as targets for real handshakes, each named for its hop."""

from __future__ import annotations

import ipaddress
import typing as t

from ..plan._tunnel import bound, bracketed
from ..tailnet import _tailscale

CONTROL_NODE = "localhost"
VIEWS = ("host", "control", "tailnet", "outside")
_PATHS = (("terminal", "/terminal/ws"), ("app", "/app/"))

Json = t.Mapping[str, t.Any]


def looks(
    plan: Json,
    info: Json,
    tailnet: t.Sequence[str] = (),
    outside: t.Sequence[str] = (),
    connect_to: t.Mapping[str, str] | None = None,
    addresses: t.Sequence[str] = (),
    deadline: float = 5.0,
    ca_certificates: str | None = None,
) -> dict[str, list[dict[str, t.Any]]]:
    """Return ``targets`` and ``views`` for the module ``websocket_info``; a machine that nothing is promised to has none.

    :param tailnet: names of machines on the tailnet.
    :param outside: names of machines on the public side.
    :param deadline: seconds for each view.
    :param ca_certificates: PEM, to trust beside the system's.
    The others as of `targets`.
    """
    machines = [("control", CONTROL_NODE), *(("tailnet", name) for name in tailnet), *(("outside", name) for name in outside)]
    views = []
    for view, name in machines:
        wanted = targets(plan, info, view, connect_to, addresses)
        if wanted:
            options = {"from": name, "targets": wanted, "deadline": deadline, "ca_certificates": ca_certificates}
            views.append({key: value for key, value in options.items() if value is not None})
    return {"targets": targets(plan, info, "host"), "views": views}


def targets(
    plan: Json,
    info: Json,
    view: str,
    connect_to: t.Mapping[str, str] | None = None,
    addresses: t.Sequence[str] = (),
) -> list[dict[str, t.Any]]:
    """Return the targets for the module ``websocket_info``, each named for its hop.

    :param plan: the access plan.
    :param info: what ``coolify_info`` returned.
    :param view: one of ``VIEWS``, the side that is looked from.
    :param connect_to: addresses to connect to in place of what a name resolves to.
    :param addresses: public addresses or names of the host; for the outside, which must find the ports closed there.
    :raises ValueError: for an unknown view.
    """
    if view not in VIEWS:
        raise ValueError("view is {!r}. Set it to one of {}.".format(view, ", ".join(VIEWS)))
    if view == "host":
        return _on_host(plan, info)
    if view == "tailnet":
        return _on_tailnet(plan)
    found = []
    domain = plan.get("domain")
    if domain and "domain" in plan["sides"]:
        base = "{scheme}://{host}".format(**domain)
        found = _both("domain", base, base, connect_to=(connect_to or {}).get(domain["host"]))
    if view == "outside" and plan["firewall"]["wanted"]:
        ports = plan["ports"]
        for address in addresses:
            if not is_tailnet_address(address):
                base = f"http://{bracketed(address)}"
                found += _published("firewall", base, ports, expect="closed")
    return found


def _on_host(plan: Json, info: Json) -> list[dict[str, t.Any]]:
    found = []
    ports, domain, kind = plan["ports"], plan.get("domain"), (info.get("proxy") or {}).get("kind")
    if ports["http"] and plan["nginx"]["wanted"]:
        base = "http://{}:{}".format(bound(info, "http"), ports["http"])
        found += _both("nginx", base, base)
    found += _published("realtime", f"http://{bound(info, 'app')}", ports)
    if domain and (kind == "caddy" or (kind == "traefik" and plan["traefik"]["wanted"])):
        schemes = plan["traefik"]["entrypoints"] if kind == "traefik" else [domain["scheme"]]
        for scheme in schemes:
            base = "{}://{}".format(scheme, domain["host"])
            # The certificate is proved where people come in; behind a tunnel the proxy often has none for the name.
            found += _both(kind, base, base, connect_to="127.0.0.1", validate_certs=False)
    return found


def _on_tailnet(plan: Json) -> list[dict[str, t.Any]]:
    tailnet, ports = plan.get("tailscale"), plan["ports"]
    if not tailnet or "tailscale" not in plan["sides"]:
        return []
    address = f"http://{bracketed(tailnet['ipv4'] or tailnet['ipv6'])}"
    page = "{}:{}".format(address, ports["http"])
    by_page = _both("tailscale", page, page) if ports["http"] and plan["nginx"]["wanted"] else []
    return by_page + _published("tailscale", address, ports)


def _both(hop: str, terminal: str, app: str, **options: t.Any) -> list[dict[str, t.Any]]:
    bases = {"terminal": terminal, "app": app}
    return [dict(options, name=hop, kind=kind, url=bases[kind] + path) for kind, path in _PATHS]


def _published(hop: str, base: str, ports: Json, **options: t.Any) -> list[dict[str, t.Any]]:
    return [dict(options, name=hop, kind=kind, url=f"{base}:{ports[kind]}{path}") for kind, path in _PATHS if ports[kind]]


def is_tailnet_address(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in ipaddress.ip_network(network) for network in (_tailscale.IPV4_RANGE, _tailscale.IPV6_RANGE))
