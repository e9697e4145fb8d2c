"""The block that ufw-docker puts at the end of UFW's after.rules: how it comes, how it goes, what it decides.

Written from what it does (fact 21): it takes DOCKER-USER for itself, lets private sources and UFW's routed rules
through, and drops every other new connection to a private address.
"""

from __future__ import annotations

import typing as t

import cells

BEGIN, END = "# BEGIN UFW AND DOCKER", "# END UFW AND DOCKER"
_PRIVATE = {4: ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"), 6: ("fd00::/8",)}


def _block(family: int) -> str:
    prefix = "ufw" if family == 4 else "ufw6"
    lines = [BEGIN, "*filter", f":{prefix}-user-forward - [0:0]", ":ufw-docker-logging-deny - [0:0]", ":DOCKER-USER - [0:0]"]
    lines += [f"-A DOCKER-USER -j {prefix}-user-forward"]
    lines += [f"-A DOCKER-USER -j RETURN -s {network}" for network in _PRIVATE[family]]
    for network in _PRIVATE[family]:
        lines.append(f"-A DOCKER-USER -j ufw-docker-logging-deny -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -d {network}")
    lines += ["-A DOCKER-USER -j RETURN", "-A ufw-docker-logging-deny -j DROP", "COMMIT", END, ""]
    return "\n".join(lines)


def install() -> str:
    """A shell script that appends the blocks."""
    files = {4: "/etc/ufw/after.rules", 6: "/etc/ufw/after6.rules"}
    return "\n".join(f"cat >> {path} <<'BLOCK'\n{_block(family)}BLOCK" for family, path in files.items())


def remove() -> str:
    """A shell script that takes them out again."""
    return f"sed -i '/^{BEGIN}$/,/^{END}$/d' /etc/ufw/after.rules /etc/ufw/after6.rules"


def judge(moment: str, facts: dict[str, t.Any], seen: dict[str, bool]) -> dict[str, bool]:
    """As without the block, except that it may close what we leave open: that is its owner's wish."""
    wrong = cells.judge(moment, facts, seen)
    # What never passes FORWARD is none of the block's.
    return {key: wanted for key, wanted in wrong.items() if not wanted or key.split("/")[0] in ("host", "container", "tunnel")}
