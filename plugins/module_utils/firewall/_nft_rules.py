# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may reach a port that Docker publishes, as one nftables table.

Docker rewrites the destination of a packet for a published port in PREROUTING and forwards it, so a filter in INPUT
(UFW's) never sees it (fact 19). The table written here decides before that rewriting, while the packet still carries the
port that was asked for (fact 21a).

The rules exist once, as data: `text` prints them for ``nft -f``, and `parse` prints in the same words what ``nft -j`` says of
the running table. The printed rules are what is compared.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Any, Mapping, Sequence, Tuple

from ._policy import Policy, Trusted, describe

TABLE = "coolify_websocket"
FAMILY = "inet"
COUNTER = "refused"
#: The sources that were refused lately, as many as the set holds, by the protocol that an address is of.
REFUSED = {"ip": "refused_ipv4", "ip6": "refused_ipv6"}
_REFUSED_SET = """\tset {} {{
\t\ttype ipv{}_addr
\t\tflags dynamic,timeout
\t\ttimeout 1d
\t\tsize 1024
\t}}"""

#: The kernel's number for nft's "mangle": after conntrack (-200), before Docker's DNAT (-100). The
#: name is not known to every nft in every chain, the number is.
PRIORITY = -150

#: selector, "==" or "!=", values
Condition = Tuple[str, str, Tuple[str, ...]]
#: all conditions must hold; then the verdict (last statement), e.g. "accept" or "jump decide"
Rule = Tuple[Tuple[Condition, ...], str]


def text(wanted: Policy) -> str:
    """The text for ``nft -f`` that makes a checked policy true: replaces the table as a whole, in one transaction.

    Declaring the table before deleting it makes the deletion succeed whether or not the table was there; nft 0.9.3
    knows no ``destroy``.
    """
    lines = [
        "# Written by selfhosted.coolify; loaded by coolify-websocket-firewall.service.",
        f"# Ports: {', '.join(map(str, wanted.ports))}; of the containers: {', '.join(map(str, wanted.container_ports))}",
        *[f"# Let in: {describe(entry)}" for entry in wanted.trusted],
        "# Let in: this host, its bridges (Docker's networks), established connections",
        *[f"# A bridge, but outside: {name}" for name in wanted.outside_interfaces],
        f"table {FAMILY} {TABLE}",
        f"delete table {FAMILY} {TABLE}",
        f"table {FAMILY} {TABLE} {{",
        f"\tcounter {COUNTER} {{",
        "\t}",
        *(_REFUSED_SET.format(name, version) for name, version in zip(REFUSED.values(), (4, 6))),
    ]
    for name, rules in _chains(wanted).items():
        lines += ["", f"\tchain {name} {{", *(f"\t\t{rule}" for rule in rules), "\t}"]
    return "\n".join([*lines, "}"]) + "\n"


def printed(wanted: Policy) -> list[str]:
    """The rules of the table, one text each, as `parse` gives them in `rules`."""
    return _listing(_chains(wanted))


def loads(rule_file: str) -> list[str]:
    """The rules that a text of `text` loads, as `parse` gives them in `rules`."""
    rules, kind, chain = [], "", ""
    for line in rule_file.splitlines():
        if line.startswith("\t") and line.endswith(" {"):
            kind, chain = line.split()[:2]
        elif line.startswith("\t\t") and kind == "chain":
            rules.append(f"{chain}: {line.strip()}")
    return rules


def lets_in(rules: Sequence[str], entry: Trusted) -> bool:
    """Whether the printed rules have the one for this entry."""
    return f"decide: {_print((_way_in(entry), 'accept'))}" in rules


def parse(nft_json: str) -> dict[str, Any] | None:
    """What the running table says, from ``nft -j list table inet coolify_websocket``; None if the text does not hold it.

    `rules`, one printed text each, those of a table as `text` loads it first, in its order; `refused_packets`, None if the
    counter is gone; and `refused`, the addresses that were refused in the last day, as many as were kept. Whatever our rules
    never hold is printed as nft has it, and so differs from every rule of ours.
    """
    objects = _objects(nft_json)
    tables = [item["table"] for item in objects if "table" in item]
    if not tables:
        return None

    chains: dict[str, list[str]] = {name: [] for name in ("decide", *_HOOKS)}
    refused = None
    sources: list[str] = []
    for item in objects:
        if "chain" in item:
            chain = item["chain"]
            lines = chains.setdefault(chain["name"], [])
            if "hook" in chain:
                lines.insert(0, _HOOK.format(**{"hook": None, "type": None, "prio": None, "policy": "accept", **chain}))
        elif "rule" in item:
            chains.setdefault(item["rule"]["chain"], []).append(_read(item["rule"]["expr"]))
        elif "counter" in item and item["counter"].get("name") == COUNTER:
            refused = item["counter"].get("packets")
        elif "set" in item and item["set"].get("name") in REFUSED.values():
            sources += [str(one["elem"]["val"]) for one in item["set"].get("elem", []) if "elem" in one]
    # Such as "dormant", with which the kernel passes the table by.
    flags = [f"flags: {flag}" for flag in _flat(tables[0].get("flags", []))]
    return {"rules": [*flags, *_listing(chains)], "refused_packets": refused, "refused": sources}


_HOOKS = {"arriving": "prerouting", "routed": "forward"}
_HOOK = "type {type} hook {hook} priority {prio}; policy {policy};"


def _chains(wanted: Policy) -> dict[str, list[str]]:
    """The lines of each chain."""
    return {
        name: [
            *(_HOOK.format(type="filter", hook=hook, prio=PRIORITY, policy="accept") for hook in (_HOOKS.get(name),) if hook),
            *map(_print, rules),
        ]
        for name, rules in _rules(wanted).items()
    }


def _rules(wanted: Policy) -> dict[str, list[Rule]]:
    """Every rule of the table, as data.

    `arriving` judges what is addressed to this host, which is all that Docker rewrites; what this host merely routes to
    others is none of ours. `routed` judges the one other way to a published container: a neighbour who sends packets
    straight to the container's own address, and so to its own port. Engines before 28 forward those. A bridge made later
    needs no reload, since it is known by its kind.
    """
    accept = "accept"
    established = (("ct state", "==", ("established", "related")),)

    def asked(ports: tuple[int, ...]) -> Condition:
        return "tcp dport", "==", tuple(map(str, ports))

    def bridge(direction: str) -> tuple[Condition, ...]:
        kind: tuple[Condition, ...] = ((f"{direction}ifkind", "==", ("bridge",)),)
        if not wanted.outside_interfaces:
            return kind
        return (*kind, (f"{direction}ifname", "!=", wanted.outside_interfaces))

    decide: list[Rule] = [((("iifname", "==", ("lo",)),), accept), (bridge("i"), accept)]
    decide += [(_way_in(entry), accept) for entry in wanted.trusted]
    # A full set takes no more, and the packet goes on to the next rule.
    decide += [((), f"update @{name} {{ {protocol} saddr }}") for protocol, name in REFUSED.items()]
    decide.append(((), "drop"))
    return {
        "decide": decide,
        "arriving": [(established, accept), ((asked(wanted.ports), ("fib daddr type", "==", ("local",))), "jump decide")],
        "routed": [
            (established, accept),
            # Docker's rewriting took place: "arriving" has already decided about this one.
            ((("ct status", "==", ("dnat",)),), accept),
            ((asked(wanted.container_ports), *bridge("o")), "jump decide"),
        ],
    }


def _listing(chains: Mapping[str, Sequence[str]]) -> list[str]:
    return [f"{name}: {rule}" for name, rules in chains.items() for rule in rules]


def _way_in(entry: Trusted) -> tuple[Condition, ...]:
    conditions: list[Condition] = []
    if entry.interface is not None:
        conditions.append(("iifname", "==", (entry.interface,)))
    if entry.network is not None:
        family = "ip" if entry.network.version == 4 else "ip6"
        if entry.network.prefixlen == 0:
            conditions.append(("nfproto", "==", (f"ipv{entry.network.version}",)))
        else:
            conditions.append((f"{family} saddr", "==", (str(entry.network),)))
    return tuple(conditions)


_NAMES = ("iifname", "oifname", "iifkind", "oifkind")


def _print(rule: Rule) -> str:
    conditions, verdict = rule
    words = []
    for selector, operator, values in conditions:
        shown = [f'"{value}"' if selector in _NAMES else value for value in values]
        if selector.startswith("ct "):
            right = ",".join(shown)
        else:
            right = shown[0] if len(shown) == 1 else "{ " + ", ".join(shown) + " }"
        left = f"meta {selector}" if selector in ("iifkind", "oifkind", "nfproto") else selector
        words.append(f"{left} {right}" if operator == "==" else f"{left} {operator} {right}")
    if verdict == "drop":
        words.append(f'counter name "{COUNTER}"')
    return " ".join([*words, verdict])


def _objects(nft_json: str) -> list[dict[str, Any]]:
    """The objects of our table; an empty list for text that is not nft's."""
    try:
        listed = json.loads(nft_json)["nftables"]
    except (ValueError, KeyError, TypeError):
        return []
    ours = []
    for item in listed:
        for kind, value in item.items():
            name = value.get("name") if kind == "table" else value.get("table")
            if (value.get("family"), name) == (FAMILY, TABLE):
                ours.append({kind: value})
    return ours


def _read(expressions: Sequence[Mapping[str, Any]]) -> str:
    try:
        return _print(_rule(expressions))
    except (AttributeError, KeyError, TypeError, ValueError):
        # Of a form that no rule of ours has.
        return json.dumps(expressions, sort_keys=True)


def _rule(expressions: Sequence[Mapping[str, Any]]) -> Rule:
    """One rule of ``nft -j``; what our rules never hold is kept as text, so that it shows as a difference."""
    conditions: list[Condition] = []
    verdict = "continue"
    counted = False
    for expression in expressions:
        ((kind, value),) = expression.items()
        if kind == "match":
            conditions.append(_condition(value))
        elif kind in ("accept", "drop"):
            verdict = kind
        elif kind == "jump":
            verdict = f"jump {value['target']}"
        elif kind == "set":
            payload = value["elem"]["payload"]
            verdict = f"{value['op']} {value['set']} {{ {payload['protocol']} {payload['field']} }}"
        elif (kind, value) == ("counter", COUNTER):
            counted = True
        else:
            conditions.append((json.dumps(expression, sort_keys=True), "==", ()))
    if counted != (verdict == "drop"):
        conditions.append(("counter", "!=", (COUNTER,)))
    return tuple(conditions), verdict


def _condition(match: Mapping[str, Any]) -> Condition:
    left = match["left"]
    if "meta" in left:
        selector = left["meta"]["key"]
    elif "ct" in left:
        selector = f"ct {left['ct']['key']}"
    elif "payload" in left and "field" in left["payload"]:
        selector = f"{left['payload']['protocol']} {left['payload']['field']}"
    elif "fib" in left:
        selector = f"fib {' . '.join(_flat(left['fib']['flags']))} {left['fib']['result']}"
    else:
        selector = json.dumps(left, sort_keys=True)
    values = _flat(match["right"])
    if selector in ("ip saddr", "ip6 saddr"):
        values = [_canonical(value) for value in values]
    # Bit masks ("in") and values are one thing here: each of our selectors is only ever used in one way.
    operator = "==" if match["op"] in ("==", "in") else match["op"]
    key = (lambda value: (len(value), value)) if selector == "tcp dport" else None
    return selector, operator, tuple(sorted(values, key=key))


def _canonical(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        return value


def _flat(value: Any) -> list[str]:
    """Single values, lists, sets and prefixes as a list of texts: versions of nft differ in which they print."""
    if isinstance(value, list):
        return [text for item in value for text in _flat(item)]
    if isinstance(value, dict):
        if set(value) == {"set"}:
            return _flat(value["set"])
        if set(value) == {"prefix"}:
            return [f"{value['prefix']['addr']}/{value['prefix']['len']}"]
        return [json.dumps(value, sort_keys=True)]
    return [str(value)]
