# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has a connection open to one of Coolify's servers at this moment, read from the kernel; no packet is sent."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
import struct
import typing as t

Address = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
#: The interface that packets to an address leave by; None where none is known, "lo" for an address of this host.
Route = t.Callable[[Address], t.Optional[str]]

_ESTABLISHED = "01"
_LEAST = 12


def peers(table: str, ports: t.Container[int]) -> set[Address]:
    """The far ends of the established connections to local `ports`, from the text of ``/proc/PID/net/tcp`` or ``tcp6``."""
    found = set()
    for fields in map(str.split, table.splitlines()[1:]):
        with contextlib.suppress(ValueError):
            if len(fields) >= _LEAST and fields[3] == _ESTABLISHED and int(fields[1].rpartition(":")[2], 16) in ports:
                found.add(_address(fields[2].rpartition(":")[0]))
    return found


def clients(
    root: str, servers: t.Iterable[t.Mapping[str, t.Any]], inner: t.Container[int], published: t.Container[int], route: Route
) -> list[dict[str, t.Any]]:
    """Each address that is connected to a server now, the interface that leads to it, and whether that is a bridge.

    `servers` are inspected containers, which serve at the ports `inner`; Docker publishes them at `published`. Docker's own
    proxy, where it passes a connection on, has the client in the host's own namespace, and its bridge in the container's.
    """
    found: set[Address] = set()
    for process, ports in [*((_pid(one), inner) for one in servers), (1, published)]:
        for name in ("tcp", "tcp6") if process else ():
            with contextlib.suppress(OSError), open(os.path.join(root, f"proc/{process}/net/{name}"), encoding="ascii") as table:
                found |= peers(table.read(), ports)
    ways = [(address, route(address)) for address in found if not (address.is_loopback or address.is_unspecified)]
    ways.sort(key=lambda way: (way[0].version, int(way[0])))
    return [
        {"address": str(address), "interface": interface, "bridge": _is_bridge(root, interface)}
        for address, interface in ways
        if interface != "lo"
    ]


def _is_bridge(root: str, interface: str | None) -> bool:
    return interface is not None and os.path.isdir(os.path.join(root, "sys/class/net", interface, "bridge"))


def route(address: Address) -> str | None:
    """Ask the kernel for the `Route` of an address (RTM_GETROUTE of rtnetlink(7))."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    # nlmsghdr, rtmsg with the prefix length, and one attribute, RTA_DST.
    attribute = struct.pack("=HH", 4 + len(address.packed), 1) + address.packed
    body = struct.pack("=BBBBBBBBI", family, len(address.packed) * 8, 0, 0, 0, 0, 0, 0, 0) + attribute
    request = struct.pack("=IHHII", 16 + len(body), 26, 1, 1, 0) + body
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as asked:
            asked.settimeout(2)
            asked.send(request)
            return _interface(asked.recv(8192))
    except OSError:
        return None


def _interface(answer: bytes) -> str | None:
    """The name of the interface (RTA_OIF) in an answer of type RTM_NEWROUTE."""
    if len(answer) < 28 or struct.unpack_from("=H", answer, 4)[0] != 24:
        return None
    at = 28
    while at + 4 <= len(answer):
        length, kind = struct.unpack_from("=HH", answer, at)
        if kind == 4 and length == 8:
            return socket.if_indextoname(struct.unpack_from("=I", answer, at + 4)[0])
        at += max((length + 3) & ~3, 4)
    return None


def _pid(inspected: t.Mapping[str, t.Any]) -> int:
    """The container's first process; 0 where it does not run."""
    return int((inspected.get("State") or {}).get("Pid") or 0)


def _address(hexadecimal: str) -> Address:
    """An address of ``/proc/net/tcp``: words of 32 bits in the machine's own order of bytes. Raises ValueError."""
    words = [int(word, 16) for word in re.findall("." * 8, hexadecimal)]
    packed = struct.pack(f"={len(words)}I", *words)
    address = ipaddress.ip_address(packed)
    return getattr(address, "ipv4_mapped", None) or address
