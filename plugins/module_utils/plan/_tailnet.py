# SPDX-License-Identifier: GPL-3.0-or-later
"""The tailnet's part of the plan: the host's address there, and the name that `tailscale serve` puts in front of the page."""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

from ._domain import AccessError, validate_domain

Facts = t.Mapping[str, t.Any]

#: The ports that a browser's URL leaves out.
_USUAL = {True: 443, False: 80}
_HERE = ("localhost", "127.0.0.1", "::1")


def part(tailscale: Facts, by_name: t.Any) -> dict[str, t.Any] | None:
    """The host's interface and addresses in the tailnet, and the `host` that browsers there are told; None without."""
    if not tailscale.get("up") or not (tailscale.get("ipv4") or tailscale.get("ipv6")):
        return None
    if by_name and not tailscale.get("name"):
        raise AccessError(
            "coolify_access_tailscale_name is true, but tailscaled tells no name for this host. Enable MagicDNS for "
            "the tailnet, or set coolify_access_tailscale_name: false."
        )
    # A browser takes a bare IPv6 address only in brackets.
    address = tailscale.get("ipv4") or f"[{tailscale['ipv6']}]"
    return {
        "interface": tailscale["interface"],
        "ipv4": tailscale.get("ipv4"),
        "ipv6": tailscale.get("ipv6"),
        "host": tailscale["name"] if by_name else address,
    }


def missing(tailscale: Facts) -> str:
    """Why the host has no address in a tailnet, and what to do."""
    interface = tailscale.get("interface") or "tailscale0"
    if tailscale.get("backend_state") in ("NeedsLogin", "NeedsMachineAuth"):
        return "Tailscale is installed on this host, but not logged in: run tailscale up on it"
    if tailscale.get("backend_state") == "Stopped":
        return "Tailscale is stopped on this host: run tailscale up on it"
    if tailscale.get("userspace") and not tailscale.get("present"):
        return (
            f"tailscaled runs with --tun=userspace-networking, so that there is no interface {interface}: take that option out "
            "(FLAGS in /etc/default/tailscaled) and restart tailscaled, or let it carry the page (tailscale serve --bg 8000)"
        )
    if tailscale.get("installed") and not tailscale.get("present"):
        return f"Tailscale is installed on this host, but the interface {interface} is not there: start tailscaled"
    if tailscale.get("present"):
        return f"The interface {interface} on this host is down or has no address: run tailscale up on it"
    return f"There is no interface {interface} on this host: install Tailscale and run tailscale up"


def published(info: Facts, tailscale: Facts, name: str) -> bool:
    """Whether Docker publishes this port where the tailnet finds it (fact 53)."""
    places = (info.get("addresses") or {}).get(name) or []
    own = ((tailscale.get("ipv4"), "0.0.0.0"), (tailscale.get("ipv6"), "::"))
    return any(address and {address, every} & set(places) for address, every in own)


def served(info: Facts, tailscale: Facts) -> dict[str, t.Any] | None:
    """What browsers on the tailnet open where tailscaled carries Coolify's page (fact 59); None where it does not.

    `by_page` tells that a page which is opened there finds both servers by its own address (facts 7, 9, 44): one without a
    port goes by nginx, and a plain one with a port to the published 6001 and 6002, where nobody speaks TLS.
    """
    if tailscale.get("backend_state") != "Running":
        return None
    found = [one for one in tailscale.get("served") or [] if _is_page(one, info)]
    if not found:
        return None
    one = min(found, key=lambda one: (one["port"] != _USUAL[one["https"]], not one["https"], one["port"]))
    usual = one["port"] == _USUAL[one["https"]]
    scheme, host = "https" if one["https"] else "http", validate_domain(one["name"])
    return {
        "host": host,
        "scheme": scheme,
        "port": one["port"],
        "url": f"{scheme}://{host}" + ("" if usual else f":{one['port']}"),
        "by_page": usual or (not one["https"] and all(published(info, tailscale, name) for name in ("app", "terminal"))),
    }


def _is_page(one: Facts, info: Facts) -> bool:
    """Whether it leads to the page that Docker publishes for Coolify, by a name that a browser takes."""
    try:
        validate_domain(one["name"])
        target = urlsplit(one["target"])
        port = target.port
    except ValueError:
        return False
    places = [*_HERE, *((info.get("addresses") or {}).get("http") or [])]
    wanted = (info.get("ports") or {}).get("http")
    return (target.scheme, port, target.path.strip("/")) == ("http", wanted, "") and target.hostname in places
