# SPDX-License-Identifier: GPL-3.0-or-later
"""The tunnel's part of the plan, and the address at which the host itself finds a port of Coolify's."""

from __future__ import annotations

import typing as t

from ..tunnel import _ingress

Facts = t.Mapping[str, t.Any]

#: In the place of a tunnel's id: the one in the token that the host's connector runs by, where it does.
AUTO = "auto"


def present(info: Facts) -> bool:
    """Whether there is a tunnel in front of the host, of whatever kind."""
    tunnel = (info.get("managed") or {}).get("tunnel") or {}
    return any(tunnel.get(key) for key in ("present", "managed_by_coolify", "connectors"))


def part(info: Facts, domain: Facts | None, ports: Facts, reason: str, manage: bool, chosen: str = "") -> dict[str, t.Any]:
    """Return the ``reason`` why the host's list is not ours to change, empty where it is, and the values used for it.

    ``by_hand`` tells whether the user is to enter the rules, since the list is not changed from here; ``give_back``
    whether rules of ours that may be in it are to go. ``connectors`` read the list, and are to be restarted when it changes.
    In the answer ``remote`` is the state wanted of the list that Cloudflare
    keeps, which the connector takes whatever file lies on the host (fact 56); empty where that is none of ours. `tunnel_id` and
    `account_id` are those of that list, as far as they are known: `chosen` is the user's id, empty for a list on the host, or
    `AUTO`.
    """
    tunnel = (info.get("managed") or {}).get("tunnel") or {}
    counts = [one for one in tunnel.get("connectors") or [] if one["counts"]]
    tokens = {(one.get("account"), one.get("tunnel")) for one in counts if one["remote"]}
    # Of several tunnels none is the host's own.
    account_id, tunnel_id = tokens.pop() if len(tokens) == 1 else (None, None)
    if chosen != AUTO:
        account_id, tunnel_id = account_id if chosen.lower() == tunnel_id else None, chosen
    remote = bool(tunnel_id)
    rules = [
        {"path": _ingress.ANCHORED[name], "service": f"http://{bound(info, name)}:{ports[name]}"}
        for name in ("terminal", "app")
        if ports[name]
    ]
    left_out = reason
    if not reason and remote:
        reason = f"The tunnel's list is kept by Cloudflare (coolify_tunnel_id is {chosen})."
    if not reason and tunnel.get("remote"):
        named = ", ".join(f"{one['kind']} {one['name']}" for one in counts)
        reason = f"The tunnel's list lies with Cloudflare: its connector runs by a token ({named})."
    if not reason and counts and not any(one["path"] for one in counts) and not tunnel.get("present"):
        reason = f"The tunnel's list lies inside of the container {counts[0]['name']}, where it cannot be changed."
    if not reason and not tunnel.get("present"):
        reason = "There is no list of a tunnel on this host."
    if not reason and not any(tunnel.get(key) for key in ("rules", "error", "by_hand")):
        reason = "The tunnel's file has no list: it sends everything to one place, and the container's nginx routes both paths."
    if not reason and domain is None:
        reason = "No domain is set, so the list has nothing to route."
    if not reason and not rules:
        reason = "Docker publishes neither port, so the list has nowhere to route to."
    ours = not reason
    if not reason and not manage:
        reason = "coolify_tunnel_manage is false."
    elsewhere = bool(domain and rules and (remote or tunnel.get("managed_by_coolify") or tunnel.get("remote"))) and not left_out
    state = "" if not remote or domain is None else "absent" if left_out else "present" if rules and manage else ""
    return {
        "reason": reason,
        "hostname": domain["host"] if domain else None,
        "extra_hostnames": domain["extra"] if domain else [],
        "path": tunnel.get("path"),
        "rules": rules,
        "connectors": [
            {"kind": one["kind"], "name": one["name"]}
            for one in counts
            if one["running"] and not tunnel.get("remote") and one["path"] == tunnel.get("path")
        ],
        "remote": state,
        "tunnel_id": tunnel_id or "",
        "account_id": account_id or "",
        "by_hand": (elsewhere and not state) or (ours and not manage),
        "give_back": bool(reason and tunnel.get("present") and (manage or left_out)),
    }


def bound(info: Facts, name: str) -> str:
    """The address at which the host itself finds a published port: loopback, where that is among them (facts 53, 54)."""
    addresses = (info.get("addresses") or {}).get(name) or []
    for anywhere, loopback in (("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]")):
        if anywhere in addresses:
            return loopback
    return bracketed(addresses[0]) if addresses else "127.0.0.1"


def bracketed(address: str) -> str:
    """The address as it stands in a URL."""
    return f"[{address}]" if ":" in address else address
