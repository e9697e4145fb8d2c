# SPDX-License-Identifier: GPL-3.0-or-later
"""Where to look from each side, as targets for real handshakes, each named for its hop."""

from __future__ import annotations

import ipaddress
import typing as t

from ..plan import _browser, _environment, _words
from ..plan._tunnel import bound, bracketed
from ..tailnet import _tailscale
from . import _handshake

CONTROL_NODE = "localhost"
VIEWS = ("host", "tailnet", "domain", "outside")
_PATHS = (("terminal", "/terminal/ws"), ("app", "/app/"))

Json = t.Mapping[str, t.Any]


def looks(
    plan: Json,
    info: Json,
    tailnet: t.Sequence[str] = (),
    outside: t.Sequence[str] = (),
    connect_to: t.Mapping[str, str] | None = None,
    addresses: t.Sequence[str] = (),
    addresses_given: bool = False,
    deadline: float = _handshake.DEADLINE,
    ca_certificates: str | None = None,
    control: bool = True,
    domain: t.Sequence[str] | None = None,
    broadcast: bool = True,
) -> dict[str, list[t.Any]]:
    """`targets` and `views` for the module websocket_info; a machine that nothing is promised to has no view.

    `unlooked` are the sides that something is promised to or kept from, and that nobody looks from, each with the id of the
    diagnosis that says what to give for it. `broadcast` is where an event of the backend's is to arrive, `prompts`
    where somebody who is signed in is to get a terminal.

    Without `control` the control node does not look, and without `broadcast` nothing is to be published. `addresses_given`:
    the user named `addresses`, so that they are all there are.

    `tailnet` and `outside` name the machines on the tailnet and on the public side, `domain` those that find the domain
    (None: those on the public side). Each view has `deadline` seconds, and
    trusts `ca_certificates` (PEM) beside the system's. The others as of `targets`.
    """
    if not addresses_given:
        addresses = [one for one in addresses if not _handshake.is_private(one)]
    finding = [CONTROL_NODE] * control + list(outside if domain is None else domain)
    named = {"tailnet": tailnet, "domain": finding, "outside": outside}
    views = []
    unlooked = []
    if {"tailscale", "served"} & set(plan["sides"]) and not tailnet:
        unlooked.append(["CWT-706", "tailnet"])
    if plan["firewall"]["wanted"] and not outside:
        unlooked.append(["CWT-610", "outside"])
    elif plan["firewall"]["wanted"] and not addresses_given and not any(_is_public_ipv4(one, plan) for one in addresses):
        unlooked.append(["CWT-612", "outside"])
    if "domain" in plan["sides"] and not finding:
        unlooked.append(["CWT-833", "control"])
    for name in dict.fromkeys(name for names in named.values() for name in names):
        wanted = [one for view in named if name in named[view] for one in targets(plan, info, view, connect_to, addresses)]
        if wanted:
            options = {"from": name, "targets": wanted, "deadline": deadline, "ca_certificates": ca_certificates}
            views.append({key: value for key, value in options.items() if value is not None})
    return {
        "targets": targets(plan, info, "host"),
        "views": views,
        "unlooked": unlooked,
        "broadcast": _by_each_way("broadcast", "app", plan, info, connect_to) if broadcast else [],
        "prompts": _by_each_way("terminal", "terminal", plan, info, connect_to),
    }


def _by_each_way(hop: str, kind: str, plan: Json, info: Json, connect_to: t.Mapping[str, str] | None) -> list[dict[str, t.Any]]:
    """What the host itself is to open of a kind: at the server itself, and by each way in that the plan promises."""
    found = _servers(plan, info) + targets(plan, info, "domain", connect_to)
    if "served" in plan["sides"] and plan["ports"]["http"]:
        # What tailscaled serves it serves to other machines; of this host's own, whoever has the port may answer.
        found += _both(hop, "http://{}:{}".format(bound(info, "http"), plan["ports"]["http"]))
    found += _by_address(plan)
    # The certificate is proved where people come in.
    return [dict(target, name=hop, validate_certs=False) for target in found if target["kind"] == kind]


def targets(
    plan: Json,
    info: Json,
    view: str,
    connect_to: t.Mapping[str, str] | None = None,
    addresses: t.Sequence[str] = (),
) -> list[dict[str, t.Any]]:
    """What to open from one of `VIEWS`, by the access plan and what coolify_info returned.

    `connect_to` has addresses to connect to in place of what a name resolves to. `addresses` are public addresses or names
    of the host, where the outside must find the ports closed. Raises ValueError for an unknown view.
    """
    if view not in VIEWS:
        raise ValueError("view is {!r}. Set it to one of {}.".format(view, ", ".join(VIEWS)))
    if view == "host":
        return _on_host(plan, info)
    if view == "tailnet":
        return _by_served_name(plan, connect_to or {}) + _by_address(plan) + _overridden(plan, info, ("served", "tailscale"))
    if view == "domain":
        return _by_domain(plan, connect_to or {}) + _overridden(plan, info, ("domain",), connect_to or {})
    found = []
    for address in addresses if plan["firewall"]["wanted"] else ():
        if _is_public(address, plan):
            base = f"http://{bracketed(address)}"
            found += _published("firewall", base, plan["ports"], expect="closed")
            for port in plan["firewall"]["ports"]:
                if port not in plan["ports"].values():
                    found.append({"name": "firewall", "kind": "app", "url": f"{base}:{port}/app/", "expect": "closed"})
    return found


class Override(t.NamedTuple):
    """A page whose socket of a `kind` goes to the URL `told` by what browsers are told, and not to the one that is `meant`."""

    side: str
    page: str
    kind: str
    meant: str
    told: str


def overrides(plan: Json, info: Json) -> list[Override]:
    """Where the container's variables that are no matter of the plan's send pages elsewhere."""
    wanted = _environment.written(plan)
    running = {**(info["coolify"]["environment"] or {}), **wanted}
    found = []
    for side, page in ((one, page) for one in plan["sides"] for page in _words.pages(plan, one)):
        meant, told = _browser.sockets(page, wanted), _browser.sockets(page, running)
        found += [Override(side, page, kind, meant[kind], told[kind]) for kind in told if told[kind] != meant[kind]]
    return found


def _overridden(
    plan: Json, info: Json, sides: t.Sequence[str], connect_to: t.Mapping[str, str] | None = None
) -> list[dict[str, t.Any]]:
    found = []
    for one in overrides(plan, info):
        hop = "domain" if one.side == "domain" else "tailscale"
        target = {**_handshake.DEFAULTS, "name": hop, "kind": one.kind, "url": one.told}
        try:
            host = _handshake.validate(target).hostname
        except ValueError:
            continue
        if one.side in sides:
            found.append(dict(target, connect_to=(connect_to or {}).get(str(host))))
    return found


def _on_host(plan: Json, info: Json) -> list[dict[str, t.Any]]:
    found = []
    ports = plan["ports"]
    if ports["http"] and plan["nginx"]["wanted"]:
        base = "http://{}:{}".format(bound(info, "http"), ports["http"])
        found += _both("nginx", base)
    found += _servers(plan, info)
    for base in plan["traefik"]["ways"]:
        # The certificate is proved where people come in; behind a tunnel the proxy often has none for the name.
        found += _both(str((info.get("proxy") or {}).get("kind")), base, connect_to="127.0.0.1", validate_certs=False)
    return found


def _servers(plan: Json, info: Json) -> list[dict[str, t.Any]]:
    """The two servers themselves, each where its own port is bound."""
    ports = plan["ports"]
    return [
        {"name": "realtime", "kind": kind, "url": f"http://{bound(info, kind)}:{ports[kind]}{path}"}
        for kind, path in _PATHS
        if ports[kind]
    ]


def _by_domain(plan: Json, connect_to: t.Mapping[str, str]) -> list[dict[str, t.Any]]:
    domain = plan.get("domain")
    if not domain or "domain" not in plan["sides"]:
        return []
    found = []
    for host in (domain["host"], *domain["extra"]):
        found += _both("domain", f"{domain['scheme']}://{host}", connect_to=connect_to.get(host))
    return found


def _by_served_name(plan: Json, connect_to: t.Mapping[str, str]) -> list[dict[str, t.Any]]:
    if "served" not in plan["sides"]:
        return []
    served = plan["served"]
    return _both("tailscale", served["url"], connect_to=connect_to.get(served["host"]))


def _by_address(plan: Json) -> list[dict[str, t.Any]]:
    tailnet, ports = plan.get("tailscale"), plan["ports"]
    if not tailnet or "tailscale" not in plan["sides"]:
        return []
    address = f"http://{bracketed(tailnet['ipv4'] or tailnet['ipv6'])}"
    page = "{}:{}".format(address, ports["http"])
    by_page = _both("tailscale", page) if ports["http"] and plan["nginx"]["wanted"] else []
    return by_page + _published("tailscale", address, ports)


def _both(hop: str, base: str, **options: t.Any) -> list[dict[str, t.Any]]:
    return [dict(options, name=hop, kind=kind, url=base + path) for kind, path in _PATHS]


def _published(hop: str, base: str, ports: Json, **options: t.Any) -> list[dict[str, t.Any]]:
    return [dict(options, name=hop, kind=kind, url=f"{base}:{ports[kind]}{path}") for kind, path in _PATHS if ports[kind]]


def _is_public(address: str, plan: Json) -> bool:
    """Whether it leads another machine to this host from outside, as far as the address itself can tell."""
    tailnet = plan.get("tailscale") or {}
    if address in (tailnet.get("ipv4"), tailnet.get("ipv6")) or is_tailnet_address(address):
        return False
    try:
        return not ipaddress.ip_address(address).is_loopback
    except ValueError:
        name = address.lower().rstrip(".")
        return name.split(".")[0] != "localhost" and not name.endswith(".ts.net")


def _is_public_ipv4(address: str, plan: Json) -> bool:
    # Those of IPv6 are among the guessed ones always, whichever way Ansible comes in.
    return ":" not in address and _is_public(address, plan)


def is_tailnet_address(address: str) -> bool:
    try:
        return _tailscale.in_range(address)
    except ValueError:
        return False
