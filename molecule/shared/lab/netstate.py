"""What an engine changes in the machine's network: remembered before, put back after."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

# Docker turns these on and never off again.
_SYSCTLS = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/ipv6/conf/default/forwarding")
_FAMILIES = ("iptables", "ip6tables")


def _output(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _rules(family: str) -> str:
    """Return the rule set without counters, comments, and tables that decide nothing.

    Looking at a table of the nft variant is enough to make it, so an empty one is no difference.
    """
    saved = "".join(
        re.sub(r"\[\d+:\d+\]", "[0:0]", line) + "\n"
        for line in _output(f"{family}-save").splitlines()
        if not line.startswith("#")
    )
    return re.sub(r"^\*\w+\n(?::[A-Z]+ ACCEPT \[0:0\]\n)*COMMIT\n", "", saved, flags=re.M)


def _sysctl(name: str) -> str | None:
    try:
        with open(f"/proc/sys/{name}", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None


def snapshot() -> dict[str, Any]:
    """Return the machine's packet filter, forwarding switches and the names of its links."""
    return {
        "rules": {family: _rules(family) for family in _FAMILIES},
        "sysctls": {name: _sysctl(name) for name in _SYSCTLS},
        "links": links(),
        "tables": _tables(),
    }


def _tables() -> list[str]:
    return [line.strip() for line in _output("nft", "list", "tables").splitlines()]


def links() -> list[str]:
    """Return the names of the machine's network links."""
    found = _output("ip", "-o", "link")
    return [line.split(":")[1].strip().split("@")[0] for line in found.splitlines() if ":" in line]


def restore(before: dict[str, Any]) -> list[str]:
    """Put the machine's network back to a snapshot; return what could not be put back."""
    for link in links():
        # veth ends of containers went with them; what an engine leaves are its bridges.
        if link not in before["links"] and re.match(r"(docker0|docker_gwbridge|br-[0-9a-f]{12}|veth[0-9a-f]+)$", link):
            _output("ip", "link", "delete", link)
    for family in _FAMILIES:
        _restore_rules(family, before["rules"][family])
    for table in set(_tables()) - set(before["tables"]):
        # iptables-nft keeps the empty shells of its tables; only those two families are an engine's.
        if re.match(r"table ip6? (nat|filter|raw|mangle|security)$", table):
            _output("nft", "delete", *table.split())
    for name, value in before["sysctls"].items():
        if value is not None and _sysctl(name) != value:
            with open(f"/proc/sys/{name}", "w", encoding="ascii") as file:
                file.write(value)
    after = snapshot()
    return [
        f"{what}: {name}"
        for what in ("rules", "sysctls")
        for name in before[what]
        if before[what][name] != after[what][name]
    ]


def _restore_rules(family: str, saved: str) -> None:
    if _rules(family) == saved or shutil.which(f"{family}-restore") is None:
        return
    subprocess.run([f"{family}-restore"], input=saved, text=True, check=False)
    kept = set(re.findall(r"^\*(\w+)$", saved, re.M))
    for table, body in re.findall(r"^\*(\w+)\n(.*?)^COMMIT$", _rules(family), re.M | re.S):
        if table not in kept:
            for chain in re.findall(r"^:(\S+) DROP", body, re.M):
                _output(family, "-t", table, "-P", chain, "ACCEPT")
            _output(family, "-t", table, "-F")
            _output(family, "-t", table, "-X")
