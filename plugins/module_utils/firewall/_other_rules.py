# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose other rules have a say about a published port: those in ``DOCKER-USER``, of ufw-docker, and UFW's refusals.

An engine with the nftables back end has no ``DOCKER-USER``.
"""

from __future__ import annotations

import shlex
from typing import Any, Iterable, Mapping, Sequence

from . import _ufw_rules

FAMILIES = ("ipv4", "ipv6")
UFW_DOCKER_BLOCK = "# BEGIN UFW AND DOCKER"

_CLOSING = ("DROP", "REJECT")
_OPENING = ("ACCEPT", "RETURN")
_PORTS = ("--dport", "--dports", "--ctorigdstport")


def other_rules(
    ports: Iterable[int], ufw: Mapping[str, Any], saved: Mapping[str, str], after_rules: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Rules of others that open or close the same ports; reported, never touched (fact 21).

    `ufw` is coolify_info's; `saved` has by family the text of ``iptables-save`` or ``ip6tables-save``, empty where it could not
    be had; `after_rules` by path the texts of UFW's after.rules and after6.rules. Returns mappings of `where` (chain, file
    or ``ufw``), `rule` (its text), `family`, `effect` (``opens`` or ``closes``) and `ports` (those of ours that it concerns).
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
