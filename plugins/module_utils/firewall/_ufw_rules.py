# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide's UFW rules: what has to be added and deleted so that they are there once.

They are what ``ufw status`` shows to people, and what decides where a published port reaches the host by
INPUT (fact 32); the nftables table is what closes the ports.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Iterable, Mapping, Sequence

#: Marks a rule as ours, together with its action: only such rules are ever deleted.
COMMENT = "Coolify WebSocket (selfhosted.coolify)"

#: What the comments of all rules end in that are ours.
MARK = "(selfhosted.coolify)"

_ANYWHERE = ("0.0.0.0/0", "::/0", "any")


def setting(text: str, name: str) -> str | None:
    """What one of UFW's shell-like files sets a name to, in lower case: the last line wins; None where none does."""
    values = re.findall(rf"(?mi)^\s*{name}\s*=\s*[\"']?(\w+)", text)
    return str(values[-1]).lower() if values else None


def changes(
    rules: Sequence[Mapping[str, Any]],
    ports: Iterable[int],
    trusted: Iterable[Mapping[str, Any]],
    ipv6: bool = True,
    comment: str = COMMENT,
) -> dict[str, list[dict[str, Any]]]:
    """Compare UFW's rules, as coolify_info returns them, with those wanted for the `ports`, none for no port.

    `trusted` are mappings as published_port_firewall takes them. `ipv6`: whether UFW manages IPv6; it refuses such rules
    otherwise. `comment` marks the rules that are to be deleted if they are not wanted.

    Returns `add` and `delete`, lists of mappings with `source`, `interface` and `port`, and `others`, the same with
    `action` for somebody's rules that refuse what a wanted one allows. UFW holds one rule of a tuple, whatever its action,
    so that to add ours would delete theirs.
    """
    wanted = [
        {"source": source, "interface": interface, "port": str(port)}
        for port in sorted(set(ports))
        for source, interface in map(_origin, trusted)
        if ipv6 or ":" not in source
    ]
    keys = {_key(rule) for rule in wanted}
    ours = [rule for rule in rules if rule.get("comment") == comment and _allows(rule)]
    obsolete = {_key(rule): _command(rule) for rule in ours if _key(rule) not in keys}
    lacking = [rule for rule in wanted if not any(_serves(there, rule) for there in rules)]
    opposed = {_key(there): there for rule in lacking for there in rules if _takes_the_place_of(there, rule)}
    return {
        "add": [rule for rule in lacking if _key(rule) not in opposed],
        "delete": list(obsolete.values()),
        "others": [{"action": there["action"], **_command(there)} for there in opposed.values()],
    }


def _origin(entry: Mapping[str, Any]) -> tuple[str, str | None]:
    """Source and interface of the rule for a trusted entry.

    The guide's rules name the source and no interface. That both have to hold, the table sees to.
    """
    if entry.get("source") is None:
        return "any", entry.get("interface")
    network = ipaddress.ip_network(entry["source"], strict=False)
    single = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if single else str(network), None


def _key(rule: Mapping[str, Any]) -> tuple[Any, ...]:
    return _network(rule.get("source")), rule.get("interface"), str(rule.get("port"))


def _command(rule: Mapping[str, Any]) -> dict[str, Any]:
    # UFW lists a rule for "any" once for each family; one command makes and removes both.
    source = "any" if rule["source"] in _ANYWHERE else rule["source"]
    return {"source": source, "interface": rule.get("interface"), "port": str(rule["port"])}


def _serves(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a rule, ours or somebody's own, already allows what the wanted one would."""
    return (
        _allows(there)
        and there.get("protocol") in ("tcp", "any")
        and names_port(str(there.get("port")), int(wanted["port"]))
        and _same_way(there, wanted)
    )


def _takes_the_place_of(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return there.get("protocol") == "tcp" and str(there.get("port")) == wanted["port"] and _same_way(there, wanted)


def _allows(rule: Mapping[str, Any]) -> bool:
    """A rule that also logs has the action ``allow_log`` or ``allow_log-all``."""
    return str(rule.get("action")).partition("_")[0] in ("allow", "limit")


def _same_way(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return (
        there.get("direction", "in") == "in"
        and there.get("destination", "any") in _ANYWHERE
        and there.get("interface") == wanted["interface"]
        and _network(there.get("source")) == _network(wanted["source"])
    )


def names_port(field: str, port: int) -> bool:
    """UFW's port field: one, a list with commas, ranges with a colon."""
    for part in field.split(","):
        first, _colon, last = part.partition(":")
        if first.isdigit() and (last or first).isdigit() and int(first) <= port <= int(last or first):
            return True
    return False


def _network(source: Any) -> Any:
    if source is None or source in _ANYWHERE:
        return "any"
    try:
        return ipaddress.ip_network(str(source), strict=False)
    except ValueError:
        return source
