"""Which machines a lab has, and under which names and addresses."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import versions
from hostimages import SYSTEMS

# Addresses set aside for benchmarks and documentation: nobody's, but not private ones either, which
# firewalls (ufw-docker's block for one) treat more kindly than the public side has to be treated.
_IPV4 = "198.18.{net}.{host}"
_IPV6 = "2001:db8:c001:{net:x}::{host:x}"
_CONTROL, _EDGE, _PEER, _OUTSIDE, _COOLIFY = 2, 3, 4, 5, 10


@dataclass(frozen=True)
class Wanted:
    """What the person asked for; `version` is that of Coolify, except where `by_system` has another."""

    prefix: str = "lab"
    systems: tuple[str, ...] = ("trixie",)
    tailnet: bool = True
    no_domain: tuple[str, ...] = ()
    python38: tuple[str, ...] = ()
    sudo: tuple[str, ...] = ()
    scheme: str = "https"
    version: str = versions.NEWEST
    by_system: tuple[tuple[str, str], ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Part:
    """One machine of the lab."""

    name: str
    role: str
    number: int
    system: str = "trixie"
    domain: str = ""
    python38: bool = False
    sudo: bool = False
    version: str = ""


@dataclass(frozen=True)
class Network:
    """The lab's network; its number is the part of the addresses that two labs do not share."""

    name: str
    number: int
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def subnet4(self) -> str:
        return _IPV4.format(net=self.number, host=0) + "/24"

    @property
    def subnet6(self) -> str:
        return f"2001:db8:c001:{self.number:x}::/64"

    def ipv4(self, part: Part) -> str:
        """Return the part's IPv4 address."""
        return _IPV4.format(net=self.number, host=part.number)

    def ipv6(self, part: Part) -> str:
        """Return the part's IPv6 address."""
        return _IPV6.format(net=self.number, host=part.number)


def preferred_number(prefix: str) -> int:
    """Return the network number to try first, the same for a prefix each time."""
    return zlib.crc32(prefix.encode()) % 254 + 1


def parts(wanted: Wanted, control: bool) -> list[Part]:
    """Return the machines of a lab, those that others need first.

    Args:
        control: with the tailnet's control server.
    """
    prefix = wanted.prefix
    found = [Part(f"{prefix}-control", "control", _CONTROL)] if control else []
    found.append(Part(f"{prefix}-edge", "edge", _EDGE))
    for offset, system in enumerate(SYSTEMS):
        if system not in wanted.systems:
            continue
        name = f"{prefix}-coolify" if len(wanted.systems) == 1 else f"{prefix}-coolify-{system}"
        domain = "coolify.lab.test" if name == "lab-coolify" else f"{name}.lab.test"
        if name in wanted.no_domain or system in wanted.no_domain:
            domain = ""
        version = dict(wanted.by_system).get(system, wanted.version)
        python38, sudo = system in wanted.python38, system in wanted.sudo
        found.append(Part(name, "coolify", _COOLIFY + offset, system, domain, python38, sudo, version))
    found.append(Part(f"{prefix}-peer", "peer", _PEER))
    found.append(Part(f"{prefix}-outside", "outside", _OUTSIDE))
    return found
