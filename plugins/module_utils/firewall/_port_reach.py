# SPDX-License-Identifier: GPL-3.0-or-later
"""Who can reach a published port from outside as the host's tables are now, and whose other rules have a say.

Read from the running tables, not from what this collection meant to write: our nftables table (fact 21a), Docker's
rewriting, without which a port is answered by Docker's proxy and UFW decides (fact 32), and ``DOCKER-USER``. An engine with
the nftables back end rewrites in tables of its own, of which iptables tells nothing, and has no ``DOCKER-USER``.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from typing import Any, Iterable, Mapping, Sequence

from . import _policy, _ufw_rules

EVERYONE = "everyone"
FAMILIES = ("ipv4", "ipv6")
#: Of an engine with the nftables back end, one in each of nft's families.
DOCKER_TABLE = "docker-bridges"
NFT_FAMILIES = {"ipv4": "ip", "ipv6": "ip6"}
UFW_DOCKER_BLOCK = "# BEGIN UFW AND DOCKER"

_CLOSING = ("DROP", "REJECT")
_OPENING = ("ACCEPT", "RETURN")
_PORTS = ("--dport", "--dports", "--ctorigdstport")


def reach(
    ports: Iterable[int], table: Mapping[str, Any] | None, ufw: Mapping[str, Any], saved: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Who can open a connection from outside, for each published port and family.

    `table` is what `_nft_rules.parse` read from the running table, None if it is not loaded; `ufw` is coolify_info's;
    `saved` has by family the text of ``iptables-save`` or ``ip6tables-save``, and behind it what nft lists of `DOCKER_TABLE`;
    empty where neither could be had.

    Returns mappings of `port`, `family`, `sources` (texts such as ``100.64.0.0/10 on tailscale0``, or ``everyone``; empty
    where nobody gets in) and `by`, who decides: ``nftables`` (our table), ``ufw``, ``docker`` (published on this host's
    loopback alone), ``changed table`` (somebody changed our rules; what they now do is not known, and `sources` is None)
    or None.
    """
    found = []
    for port in ports:
        for family in FAMILIES:
            sources, decides = _reach(port, family, table, ufw, saved.get(family, ""))
            found.append({"port": port, "family": family, "sources": sources, "by": decides})
    return found


def other_rules(
    ports: Iterable[int], ufw: Mapping[str, Any], saved: Mapping[str, str], after_rules: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Rules of others that open or close the same ports; reported, never touched (fact 21).

    As of `reach`, and by path the texts of UFW's after.rules and after6.rules. Returns mappings of `where` (chain, file or
    ``ufw``), `rule` (its text), `family`, `effect` (``opens`` or ``closes``) and `ports` (those of ours that it concerns).
    """
    wanted = sorted(set(ports))
    found = []
    for family in FAMILIES:
        for line in saved.get(family, "").splitlines():
            if line.startswith("-A DOCKER-USER "):
                entry = _docker_user(line, wanted)
                if entry is not None:
                    found.append({"where": "DOCKER-USER", "family": family, **entry})
    for path, text in after_rules.items():
        if UFW_DOCKER_BLOCK in text.splitlines():
            family = "ipv6" if "6" in path.rpartition("/")[2] else "ipv4"
            found.append({"where": path, "family": family, "rule": "ufw-docker's block", "effect": "closes", "ports": wanted})
    for rule in ufw.get("rules", ()):
        concerned = [port for port in wanted if _ufw_rules.names_port(str(rule.get("port")), port)]
        if concerned and rule.get("direction", "in") == "in" and _ufw_rules.refuses(rule):
            text = f"{rule['action']} {rule.get('port')}/{rule.get('protocol')} from {rule.get('source')}"
            found.append({"where": "ufw", "family": rule.get("family"), "rule": text, "effect": "closes", "ports": concerned})
    return found


def _reach(
    port: int, family: str, table: Mapping[str, Any] | None, ufw: Mapping[str, Any], saved: str
) -> tuple[list[str] | None, str | None]:
    if table is not None and port in table["ports"]:
        if not table["intact"]:
            return None, "changed table"
        return list(_trusted(table["trusted"], family)), "nftables"
    by_either = rf"^(?:-A DOCKER .*--dport {port} -j DNAT|\s.*\btcp dport {port} .*\bdnat to) .*$"
    rewritten = re.findall(by_either, saved, re.MULTILINE)
    if rewritten:
        if all(_on_loopback(rule) for rule in rewritten):
            return [], "docker"
        return [EVERYONE], None
    if ufw.get("active") and re.search(r"^-A INPUT -j ufw6?-before-input$", saved, re.MULTILINE):
        return _allowed(ufw.get("rules", ()), port, family), "ufw"
    return [EVERYONE], None


def _trusted(trusted: Iterable[Mapping[str, Any]], family: str) -> Iterable[str]:
    for entry in trusted:
        if entry["source"] is None or _family(entry["source"]) == family:
            network = None if entry["source"] is None else ipaddress.ip_network(entry["source"])
            yield _policy.describe(_policy.Trusted(entry["interface"], network))


def _allowed(rules: Iterable[Mapping[str, Any]], port: int, family: str) -> list[str]:
    """UFW's sources for a port; its first match wins, so a rule behind one that refuses everybody says nothing."""
    sources: list[str] = []
    for rule in rules:
        if (
            rule.get("family") != family
            or rule.get("direction", "in") != "in"
            or rule.get("protocol") not in ("tcp", "any")
            or not (rule.get("port") == "any" or _ufw_rules.names_port(str(rule.get("port")), port))
        ):
            continue
        anywhere, interface = rule.get("source") in ("0.0.0.0/0", "::/0", "any"), rule.get("interface")
        if _ufw_rules.allows(rule):
            if interface is None:
                sources.append(EVERYONE if anywhere else str(rule.get("source")))
            else:
                sources.append(f"{'any source' if anywhere else rule.get('source')} on {interface}")
        if anywhere and interface is None:
            break
    return sources


def _docker_user(line: str, ports: Sequence[int]) -> dict[str, Any] | None:
    words = shlex.split(line)
    verdict = words[words.index("-j") + 1] if "-j" in words[:-1] else ""
    if verdict not in _CLOSING + _OPENING or "udp" in words:
        return None
    named = [words[index + 1] for index, word in enumerate(words[:-1]) if word in _PORTS]
    concerned = [port for port in ports if all(_ufw_rules.names_port(field, port) for field in named)]
    # The RETURN that Docker itself puts at the end, and any other that names nothing, decides nothing.
    if not concerned or (verdict in _OPENING and len(words) == 4):
        return None
    rule = line[len("-A DOCKER-USER ") :]
    return {"rule": rule, "effect": "closes" if verdict in _CLOSING else "opens", "ports": concerned}


def _on_loopback(rule: str) -> bool:
    match = re.search(r"(?<!! )(?:-d|ip6? daddr) ([0-9a-f:]\S*)", rule)
    return match is not None and ipaddress.ip_network(match[1]).is_loopback


def _family(source: str) -> str:
    return "ipv6" if ":" in source else "ipv4"
