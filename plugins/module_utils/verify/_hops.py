# SPDX-License-Identifier: GPL-3.0-or-later
"""The hops of one Coolify host as rows: what its state says, compared with the plan, and what its sockets said.

Rows (`_states`) come in the order of the path, from the outside to the inside.
"""

from __future__ import annotations

import typing as t

from ..plan import _access, _tunnel
from . import _states
from ._states import Json, Row

_ORDER = (
    "host",
    "domain",
    "tunnel",
    "traefik",
    "caddy",
    "tailscale",
    "firewall",
    "nginx",
    "app",
    "environment",
    "realtime",
    "self-heal",
)


def rows(
    host: str,
    plan: Json,
    info: Json,
    looks: t.Sequence[Json],
    traefik_document: t.Any = None,
) -> list[Row]:
    """Return the rows of one host.

    :param host: its name.
    :param plan: the access plan.
    :param info: what ``coolify_info`` returned.
    :param looks: what ``websocket_info`` returned on each machine looked from, or how Ansible failed there (``msg``);
        ``item`` is the machine's name.
    :param traefik_document: what the content of Traefik's file of ours says as YAML; None where it is no YAML.
    """
    found = _states.Rows(host, plan["ports"]["http"])
    _states.add(found, plan, info, traefik_document)
    for look in looks:
        if "results" not in look:
            found.not_looked(look["item"], _states.first_line(look.get("msg")))
        for result in look.get("results", []):
            found.looked(look["item"], result)
    return sorted(found.rows, key=lambda row: _ORDER.index(row["hop"]))


def result(
    host: str,
    plan: Json,
    info: Json,
    looks: t.Sequence[Json],
    traefik_document: t.Any = None,
) -> dict[str, t.Any]:
    """Return the rows of one host with what a reader wants to know beside them; parameters as of `rows`."""
    found = _judged(host, rows(host, plan, info, looks, traefik_document))
    found["plan"] = {"mode": plan["mode"], "why": plan["why"], "sides": plan["sides"], "urls": _urls(plan)}
    found["plan"]["notes"] = list(plan["notes"])
    found["versions"] = {
        "coolify": info["coolify"]["version"],
        "docker": info["docker"]["version"],
        "proxy": " ".join(str(info["proxy"][key]) for key in ("kind", "version") if info["proxy"].get(key)),
        "system": info["os"]["pretty_name"],
    }
    return found


def ended(host: str, identifier: str, reason: str = "") -> dict[str, t.Any]:
    """Return the result of a host that could not be looked at: one row."""
    found = _states.Rows(host)
    found.bad(identifier, "", "not looked", _states.first_line(reason))
    return _judged(host, found.rows)


def refused(host: str, reason: str, info: Json, tailscale: Json, access: str) -> dict[str, t.Any]:
    """Return the result of a host for which there is no plan: one row.

    :param reason: why, as the role coolify_access or the connection said it.
    :param info: what ``coolify_info`` returned, or how Ansible failed there.
    :param tailscale: what ``tailscale_info`` returned below ``tailscale``.
    :param access: what the user chose.
    """
    identifier = "CWT-102"
    if info.get("unreachable"):
        identifier, reason = "CWT-101", info.get("msg") or reason
    elif info.get("docker") and not info["docker"]["reachable"]:
        identifier, reason = "CWT-105", info["docker"]["error"]
    elif info.get("coolify") and not info["coolify"]["found"]:
        identifier, reason = "CWT-106", ""
    elif info.get("env_file") and not info["env_file"]["exists"]:
        identifier, reason = "CWT-301", info["env_file"]["path"]
    elif reason and reason == _access.traefik_refusal(info):
        identifier, reason = "CWT-505", info["proxy"]["version"]
    elif access in ("tailscale", "dual") and tailscale and not _reachable(tailscale):
        logged_out = tailscale.get("backend_state") in ("NeedsLogin", "NeedsMachineAuth")
        identifier = "CWT-703" if logged_out else "CWT-702" if tailscale.get("installed") else "CWT-701"
    return ended(host, identifier, reason)


def _reachable(tailscale: Json) -> bool:
    # A tailscaled that was told to go down leaves its interface up, without an address.
    return bool(tailscale.get("up") and (tailscale.get("ipv4") or tailscale.get("ipv6")))


def _judged(host: str, found: list[Row]) -> dict[str, t.Any]:
    faults = ["{hop} ({id})".format(**row) for row in found if not row["ok"]]
    return {"host": host, "ok": not faults, "broken": list(dict.fromkeys(faults)), "rows": found}


def _urls(plan: Json) -> list[str]:
    """What people open, by the sides that the plan promises."""
    urls = []
    if "domain" in plan["sides"]:
        urls.append("{scheme}://{host}/".format(**plan["domain"]))
    if "tailscale" in plan["sides"]:
        address = _tunnel.bracketed(plan["tailscale"]["ipv4"] or plan["tailscale"]["ipv6"])
        urls.append("http://{}:{}/".format(address, plan["ports"]["http"]))
    return urls
