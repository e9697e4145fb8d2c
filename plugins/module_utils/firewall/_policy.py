# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may reach which ports: the options of the firewall, checked and in one canonical form."""

from __future__ import annotations

import ipaddress
from typing import Any, Iterable, Mapping, NamedTuple, Union

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class Trusted(NamedTuple):
    """One way in: packets from `network` (None: any) that arrive on `interface` (None: any)."""

    interface: str | None
    network: Network | None


class Policy(NamedTuple):
    """Everything the rules depend on, checked, without duplicates and sorted."""

    ports: tuple[int, ...]
    trusted: tuple[Trusted, ...]
    outside_interfaces: tuple[str, ...]
    container_ports: tuple[int, ...]


def policy(
    ports: Iterable[Any],
    trusted: Iterable[Mapping[str, Any]],
    outside_interfaces: Iterable[Any] = (),
    container_ports: Iterable[Any] = (),
) -> Policy:
    """Check the options and bring them into one canonical form.

    `ports` are published TCP ports of the host, at least one. `trusted` are mappings with `source` (a CIDR or an address)
    and `interface` (a name), one of which may be None or absent. `outside_interfaces` are bridges that lead outside
    although they are bridges, such as the one that carries a virtualisation host's default route. `container_ports` are the
    TCP ports of the containers behind `ports`; empty if they are the same.
    Raises ValueError, which names the option, the value and the remedy.
    """
    published = _ports("ports", ports)
    behind = list(container_ports)
    return Policy(
        ports=published,
        trusted=tuple(sorted({_trusted(index, entry) for index, entry in enumerate(trusted)}, key=_order)),
        outside_interfaces=tuple(
            sorted({_interface(f"outside_interfaces[{i}]", name) for i, name in enumerate(outside_interfaces)})
        ),
        container_ports=_ports("container_ports", behind) if behind else published,
    )


def lets_in(wanted: Policy, client: Mapping[str, Any]) -> bool:
    """Whether the rules accept a client: its `address`, its `interface` (None: unknown), and whether that is a `bridge`."""
    address, interface = ipaddress.ip_address(client["address"]), client["interface"]
    if client["bridge"] and interface not in wanted.outside_interfaces:
        return True
    return any(
        entry.interface in (None, interface) and (entry.network is None or address in entry.network) for entry in wanted.trusted
    )


#: Where a client in one's own house or network comes from: RFC 1918, 3927, 4193, 6598.
_PRIVATE = [
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "fc00::/7", "fe80::/10")
]


def is_private(address: str) -> bool:
    return any(ipaddress.ip_address(address) in network for network in _PRIVATE)


def describe(entry: Trusted) -> str:
    """A way in, for people: ``100.64.0.0/10 on tailscale0``."""
    source = "any source" if entry.network is None else str(entry.network)
    return source if entry.interface is None else f"{source} on {entry.interface}"


def as_options(trusted: Iterable[Trusted]) -> list[dict[str, str | None]]:
    """The ways in, in the form in which the option ``trusted`` takes them."""
    return [{"source": None if entry.network is None else str(entry.network), "interface": entry.interface} for entry in trusted]


def _ports(option: str, ports: Iterable[Any]) -> tuple[int, ...]:
    checked = set()
    for index, port in enumerate(ports):
        if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
            raise ValueError(f"{option}[{index}]: {port!r} is not a TCP port; give a whole number from 1 to 65535")
        if port == 22:
            raise ValueError(f"{option}[{index}]: 22 is SSH's port, which this firewall never touches; leave it out")
        checked.add(port)
    if not checked:
        raise ValueError("ports: the list is empty; name the published ports, such as 6001 and 6002")
    return tuple(sorted(checked))


def _trusted(index: int, entry: Mapping[str, Any]) -> Trusted:
    option = f"trusted[{index}]"
    source, interface = entry.get("source"), entry.get("interface")
    if source is None and interface is None:
        raise ValueError(f"{option}: neither source nor interface is set; give a CIDR, an interface, or both")
    return Trusted(
        interface=None if interface is None else _interface(f"{option}.interface", interface),
        network=None if source is None else _network(f"{option}.source", source),
    )


def _network(option: str, value: Any) -> Network:
    remedy = "give an address or a CIDR, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"
    # ip_network() also takes integers and packed bytes, which nobody means here, and zones, which nft does not know.
    if not isinstance(value, str) or "%" in value:
        raise ValueError(f"{option}: {value!r} is not a network; {remedy}")
    try:
        network = ipaddress.ip_network(value)
    except ValueError:
        try:
            suggestion = ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise ValueError(f"{option}: {value!r} is not a network; {remedy}") from None
        raise ValueError(
            f"{option}: {value!r} has bits set beyond its prefix; write {suggestion} for the whole network, "
            f"or {value.split('/')[0]} for the one address"
        ) from None
    return _unmapped(network)


def _unmapped(network: Network) -> Network:
    """::ffff:a.b.c.d stands for an IPv4 address; on the wire that is IPv4, so that is what has to match."""
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network


def _interface(option: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{option}: {value!r} is not an interface name; give one as `ip link` shows it")
    if len(value.encode()) > 15 or value in (".", "..") or "/" in value or ":" in value or " " in value:
        raise ValueError(f"{option}: {value!r} is no name the kernel gives an interface; see `ip link`")
    # A trailing * is nft's wildcard, and nft has no escape for a quote.
    if any(char in '"\\*' or not 0x20 < ord(char) < 0x7F for char in value):
        raise ValueError(
            f"{option}: {value!r} holds a character that an nftables rule cannot name exactly; "
            "rename the interface or trust a source instead"
        )
    return value


def _order(entry: Trusted) -> tuple[Any, ...]:
    network = entry.network
    if network is None:
        return (entry.interface or "", 0, 0, 0)
    return (entry.interface or "", network.version, int(network.network_address), network.prefixlen)
