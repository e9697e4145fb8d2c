# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses by which others can find this machine."""

from __future__ import annotations

import ipaddress
import os
import typing as t


def own_addresses(root: str = "/") -> list[str]:
    """The global IPv6 addresses of this machine, but for those of bridges; none where it has no IPv6."""
    network = os.path.join(root, "sys/class/net")
    try:
        bridges = [name for name in os.listdir(network) if os.path.isdir(os.path.join(network, name, "bridge"))]
        with open(os.path.join(root, "proc/net/if_inet6"), encoding="ascii", errors="replace") as table:
            return global_addresses(table.read(), bridges)
    except OSError:
        return []


def global_addresses(if_inet6: str, bridges: t.Collection[str]) -> list[str]:
    """Return the IPv6 addresses by which others can find this machine, from the text of ``/proc/net/if_inet6``.

    `bridges` are left out, such as those of containers.
    """
    found = []
    for fields in map(str.split, if_inet6.splitlines()):
        if len(fields) != 6 or fields[5] in bridges or fields[3] != "00":
            continue
        address = ipaddress.IPv6Address(int(fields[0], 16))
        # fc00::/7 is for one site (Tailscale's range is in it); 0x01 is temporary, 0x20 deprecated, 0x40 tentative.
        if address not in ipaddress.IPv6Network("fc00::/7") and not int(fields[4], 16) & 0x61:
            found.append(str(address))
    return sorted(found)
