# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan in words: which way in was found, from what, and where a browser goes from each side."""

from __future__ import annotations

import typing as t

from . import _browser, _environment, _tailnet, _tunnel

Facts = t.Mapping[str, t.Any]


def words(plan: Facts, info: Facts) -> list[str]:
    """One sentence or two in each line, for people; `info` is what coolify_info returned."""
    if not plan["sides"]:
        return [f"No way in is wanted. {plan['why']}"]
    # What is not written stays as it is.
    values = {**((info.get("env_file") or {}).get("variables") or {}), **_environment.written(plan)}
    lines = ["Way in: {}. {}".format(" and ".join(map(_NAMES.__getitem__, plan["sides"])), plan["why"])]
    for side in plan["sides"]:
        for page in pages(plan, side):
            sockets = " and ".join(_browser.sockets(page, values).values())
            lines.append(f"{_WHO[side]} open {page}, and the browser connects to {sockets}. {_carried(plan, info, side)}")
    domain, own = plan["domain"] or {}, info.get("domain") or {}
    if "domain" in plan["sides"] and own.get("host") == domain["host"] and own.get("scheme") != domain["scheme"]:
        taken = "since TLS ends at the tunnel" if domain["scheme"] == "https" and _tunnel.present(info) else "as you chose"
        lines.append(f"Coolify's own URL begins with {own['scheme']}://; pages are taken to be {domain['scheme']}, {taken}.")
    return [*lines, *plan["notes"]]


_NAMES = {"domain": "domain", "served": "tailscale serve", "tailscale": "tailnet address"}
_WHO = {"domain": "People", "served": "People on the tailnet", "tailscale": "People on the tailnet"}


_REMEDY = "Bind them to the tailnet address too (docker-compose.custom.yml), or let tailscaled carry the page (tailscale serve)."


def pages(plan: Facts, side: str) -> list[str]:
    """What people open who come in by this side."""
    if side == "domain":
        return ["{}://{}/".format(plan["domain"]["scheme"], host) for host in (plan["domain"]["host"], *plan["domain"]["extra"])]
    if side == "served":
        return [f"{plan['served']['url']}/"]
    address = _tunnel.bracketed(plan["tailscale"]["ipv4"] or plan["tailscale"]["ipv6"])
    return [f"http://{address}:{plan['ports']['http']}/"] if plan["ports"]["http"] else []


def _carried(plan: Facts, info: Facts, side: str) -> str:
    """What takes the two paths to their servers."""
    nginx = "the nginx in the container coolify carries both paths"
    if side == "tailscale":
        closed = [
            f"port {plan['ports'][name]} is bound to {', '.join(places)}"
            for name, places in (info.get("addresses") or {}).items()
            if places and not _tailnet.published(info, plan["tailscale"], name)
        ]
        if closed:
            return f"But {' and '.join(closed)}, where the tailnet does not reach. {_REMEDY}"
        return "Docker publishes these ports; the firewall keeps them to the tailnet and whom you trust."
    if side == "served":
        return f"tailscaled leads to the page, and {nginx}."
    found = (info.get("managed") or {}).get("tunnel") or {}
    kind = (info.get("proxy") or {}).get("kind")
    if plan["tunnel"]["wanted"]:
        return f"The tunnel's list in {plan['tunnel']['path']} sends both paths to their servers."
    if plan["tunnel"]["remote"] or found.get("remote") or found.get("managed_by_coolify"):
        return "A tunnel is in front, and its list is kept by Cloudflare."
    if _tunnel.present(info):
        return f"A tunnel is in front, and {nginx}."
    if plan["traefik"]["wanted"] or kind == "caddy":
        return "{} carries both paths.".format({"caddy": "Coolify's Caddy"}.get(str(kind), "Traefik"))
    if kind == "traefik":
        return f"Traefik leads to the page, and {nginx}."
    return f"{nginx[0].upper()}{nginx[1:]}."
