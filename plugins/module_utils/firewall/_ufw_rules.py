# SPDX-License-Identifier: GPL-3.0-or-later
"""UFW's rules: as its files hold them, and which have to come and go so that the guide's are there once.

They are what ``ufw status`` shows to people, and what decides where a published port reaches the host by
INPUT (fact 32); the nftables table is what closes the ports.

A rule is a mapping with what UFW's file says: `action`, `protocol`, `port`, `destination`, `source`, `source_port`,
`direction`, `interface`, `comment` and `family`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Iterable, Mapping, Sequence

Rule = Mapping[str, Any]

#: Marks a rule as ours, together with its action: only such rules are ever deleted.
COMMENT = "Coolify WebSocket (selfhosted.coolify)"
SSH_COMMENT = "SSH, allowed before UFW was enabled (selfhosted.coolify)"

#: What the comments of all rules end in that are ours.
MARK = "(selfhosted.coolify)"

FAMILIES = {"ipv4": "0.0.0.0/0", "ipv6": "::/0"}
_ANYWHERE = (*FAMILIES.values(), "any", None)
_TUPLE = "### tuple ###"
#: UFW takes no more ports in one rule.
_PORTS = 15


def setting(text: str, name: str) -> str | None:
    """What one of UFW's shell-like files sets a name to, in lower case: the last line wins; None where none does."""
    values = re.findall(rf"(?mi)^\s*{name}\s*=\s*[\"']?(\w+)", text)
    return str(values[-1]).lower() if values else None


def active(conf: str) -> bool:
    """Whether ``/etc/ufw/ufw.conf`` says that UFW is enabled."""
    return setting(conf, "ENABLED") == "yes"


def parse(text: str, family: str) -> list[dict[str, Any]]:
    """The rules in UFW's ``user.rules`` (`family` ipv4) or ``user6.rules`` (ipv6).

    UFW keeps each rule in a comment of its own form, from which it prints ``ufw status``:
    action, protocol, port, destination, source port, source, perhaps two application profiles, direction, comment
    (hex).
    """
    rules = []
    for line in text.splitlines():
        if not line.startswith(_TUPLE):
            continue
        fields = line[len(_TUPLE) :].split()
        comment = None
        if fields and fields[-1].startswith("comment="):
            try:
                comment = bytes.fromhex(fields.pop()[len("comment=") :]).decode("utf-8", "replace")
            except ValueError:
                comment = None
        if len(fields) < 6:
            continue
        direction, _separator, interface = (fields[-1] if len(fields) in (7, 9) else "in").partition("_")
        rules.append(
            {
                "action": fields[0],
                "protocol": fields[1],
                "port": fields[2],
                "destination": fields[3],
                "source_port": fields[4],
                "source": fields[5],
                "direction": direction,
                "interface": interface or None,
                "comment": comment,
                "family": family,
            }
        )
    return rules


def changes(
    rules: Sequence[Rule], ports: Iterable[int], trusted: Iterable[Mapping[str, Any]], ipv6: bool = True
) -> dict[str, list[dict[str, Any]]]:
    """Compare UFW's rules with those wanted for the `ports`, none for no port.

    `trusted` are mappings as published_port_firewall takes them. `ipv6`: whether UFW guards IPv6.

    Returns `add` and `delete`, lists of rules, and `others`, somebody's rules that refuse what a wanted one would allow: they
    keep their say. One rule names all ports of a source; rules of ours for single ports serve as well, and so does what
    somebody allows more widely. The source of a rule that both families have is ``any``.
    """
    wanted, entries = set(ports), list(trusted)
    families = [family for family in FAMILIES if ipv6 or family != "ipv6"]
    add: list[Rule] = []
    kept: list[Rule] = []
    others: list[Rule] = []
    for source, interface in dict.fromkeys(map(_origin, entries)):
        for family in families:
            if source is not None and (":" in source) != (family == "ipv6"):
                continue
            origin = {"source": source or FAMILIES[family], "interface": interface, "family": family}
            same = [there for there in rules if _takes_tcp(there) and _same_way(there, origin)]
            refusing = [there for there in same if refuses(there) and any(_concerns(there, port) for port in wanted)]
            mine = {port for port in wanted if not any(_concerns(there, port) for there in refusing)}
            ours = [there for there in same if _is_ours(there) and names_ports(str(there["port"]), mine)]
            serving = [*ours, *(there for there in same if allows(there) and not _is_ours(there))]
            ways = [{**entry, "family": family} for entry in entries if _origin(entry) == (source, interface)]
            lacking = sorted(
                port
                for port in mine
                if not any(_concerns(there, port) for there in serving)
                and not all(_is_let_in(way, port, rules) for way in ways)
            )
            add += [_rule(origin, lacking[first : first + _PORTS], COMMENT) for first in range(0, len(lacking), _PORTS)]
            kept += ours
            others += refusing
    gone = [there for there in rules if _is_ours(there) and there not in kept and there["family"] in families]
    return {"add": _merged(add), "delete": _merged(gone), "others": _merged(others)}


def for_nothing(rules: Iterable[Rule], ssh: bool, ipv6: bool = True) -> list[dict[str, Any]]:
    """All rules of ours, to be deleted. `ssh`: that by which SSH came in too. `ipv6` as of `changes`."""
    comments = (COMMENT, SSH_COMMENT) if ssh else (COMMENT,)
    return _merged(
        there for there in rules if any(_is_ours(there, text) for text in comments) and (ipv6 or there["family"] != "ipv6")
    )


def for_ssh(
    rules: Sequence[Rule], ports: Iterable[int], client: str | None = None, ipv6: bool = True
) -> dict[str, list[dict[str, Any]]]:
    """What lets SSH in at the `ports` when UFW is enabled, whose first match wins.

    `client` is the address that the connection in use comes from; None if it is not known.

    Returns `add`, the rules to be added, and `refusing`, somebody's rules that refuse SSH whatever is added behind them: to
    everybody, to an interface or an address of this host, or to the client, with no rule before them that allows the same.
    """
    add: list[Rule] = []
    refusing: list[Rule] = []
    for family in FAMILIES if ipv6 else ("ipv4",):
        here = [
            there
            for there in rules
            if there.get("family") == family and there.get("direction", "in") == "in" and _takes_tcp(there)
        ]
        for port in sorted(set(ports)):
            matching = [there for there in here if _concerns(there, port)]
            for number, there in enumerate(matching):
                before = [one for one in matching[:number] if allows(one)]
                if refuses(there) and _may_come_from(there, client) and not any(_covers(one, there) for one in before):
                    refusing.append(there)
            if not any(allows(there) and _covers(there, {"source": None}) for there in matching):
                add.append(_rule({"source": FAMILIES[family], "interface": None, "family": family}, [port], SSH_COMMENT))
    return {"add": _merged(add), "refusing": _merged(refusing)}


def words(rule: Rule) -> list[str]:
    """The rule as it is told to ``ufw``, and behind ``delete`` as well: that takes exactly it, comment and all."""
    action, _separator, log = str(rule["action"]).partition("_")
    said = [action]
    if rule.get("interface"):
        said += ["in", "on", rule["interface"]]
    if log:
        said += [log]
    said += ["from", rule["source"]]
    if rule.get("source_port", "any") != "any":
        said += ["port", rule["source_port"]]
    said += ["to", "any" if rule.get("destination") in _ANYWHERE else rule["destination"]]
    if rule["port"] != "any":
        said += ["port", rule["port"]]
    if rule["protocol"] != "any":
        said += ["proto", rule["protocol"]]
    if rule.get("comment"):
        said += ["comment", rule["comment"]]
    return said


def allows(rule: Rule) -> bool:
    """A rule that also logs has the action ``allow_log`` or ``allow_log-all``."""
    return str(rule.get("action")).partition("_")[0] in ("allow", "limit")


def refuses(rule: Rule) -> bool:
    """As of `allows`."""
    return str(rule.get("action")).partition("_")[0] in ("deny", "reject")


def names_port(field: str, port: int) -> bool:
    """UFW's port field: one, a list with commas, ranges with a colon."""
    return any(first <= port <= last for first, last in _ranges(field))


def names_ports(field: str, ports: Iterable[int]) -> bool:
    """Whether it names some of the ports, and no other."""
    found = _ranges(field)
    return bool(found) and {port for first, last in found for port in range(first, last + 1)} <= set(ports)


def _ranges(field: str) -> list[tuple[int, int]]:
    return [(int(first), int(last or first)) for first, last in re.findall(r"(?:^|,)(\d+)(?::(\d+))?(?=,|$)", field)]


def _rule(origin: Mapping[str, Any], ports: Sequence[int], comment: str) -> Rule:
    port, destination = ",".join(map(str, ports)), FAMILIES[origin["family"]]
    tcp = {"action": "allow", "protocol": "tcp", "port": port, "destination": destination, "source_port": "any"}
    return {**tcp, "direction": "in", "comment": comment, **origin}


def _origin(entry: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Source and interface of the rule for a trusted entry.

    The guide's rules name the source and no interface. That both have to hold, the table sees to.
    """
    if entry.get("source") is None:
        return None, entry.get("interface")
    network = ipaddress.ip_network(entry["source"], strict=False)
    single = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if single else str(network), None


def _merged(rules: Iterable[Rule]) -> list[dict[str, Any]]:
    """UFW lists a rule for any source once for each family; one command makes and removes both."""
    merged: dict[Any, dict[str, Any]] = {}
    for rule in rules:
        same = tuple(words({**rule, "source": "any" if rule["source"] in _ANYWHERE else rule["source"]}))
        there = merged.setdefault(same, dict(rule))
        if there.get("family") != rule.get("family"):
            there["source"] = "any"
    return list(merged.values())


def _is_ours(rule: Rule, comment: str = COMMENT) -> bool:
    return rule.get("comment") == comment and allows(rule)


def _takes_tcp(rule: Rule) -> bool:
    return rule.get("protocol") in ("tcp", "any") and rule.get("source_port", "any") == "any"


def _concerns(rule: Rule, port: int) -> bool:
    return str(rule.get("port")) == "any" or names_port(str(rule.get("port")), port)


def _same_way(there: Rule, origin: Mapping[str, Any]) -> bool:
    return (
        there.get("direction", "in") == "in"
        and there.get("family") == origin["family"]
        and there.get("destination", "any") in _ANYWHERE
        and there.get("interface") == origin["interface"]
        and _network(there.get("source")) == _network(origin["source"])
    )


def _is_let_in(way: Rule, port: int, rules: Iterable[Rule]) -> bool:
    """Whether the first of somebody's rules that all of the way falls under allows it."""
    deciding = (
        allows(there)
        for there in rules
        if (allows(there) or refuses(there))
        and not _is_ours(there)
        and (there.get("family"), there.get("direction", "in")) == (way["family"], "in")
        and _takes_tcp(there)
        and _concerns(there, port)
        and _covers(there, way)
    )
    return next(deciding, False)


def _covers(wide: Rule, narrow: Rule) -> bool:
    """Whether all that comes the way of the narrow rule comes that of the wide one too."""
    return _within(narrow.get("source"), wide.get("source")) and all(
        wide.get(name) in _ANYWHERE or wide.get(name) == narrow.get(name) for name in ("interface", "destination")
    )


def _may_come_from(rule: Rule, client: str | None) -> bool:
    return rule.get("source") in _ANYWHERE or (client is not None and _within(client, rule.get("source")))


def _within(inner: Any, outer: Any) -> bool:
    if outer in _ANYWHERE:
        return True
    inside, outside = _network(inner), _network(outer)
    return (
        not isinstance(inside, str)
        and not isinstance(outside, str)
        and inside.version == outside.version
        and bool(inside.subnet_of(outside))
    )


def _network(source: Any) -> Any:
    if source in _ANYWHERE:
        return "any"
    try:
        return ipaddress.ip_network(str(source), strict=False)
    except ValueError:
        return source
