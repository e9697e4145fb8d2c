"""Random trusted lists against random packets: does the kernel decide as the options say?

Each round writes a rule set for random options, has the real nft load it in a network name space of its own, sends
packets in by interfaces of different kinds and names, and compares what arrives with a reference that knows nothing of
nftables. Needs root and nft; changes nothing outside the name space.

    python tests/fuzz/nft_packets.py --packets 20000 --seed 1
"""

from __future__ import annotations

import argparse
import fcntl
import ipaddress
import json
import os
import random
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import conftest  # noqa: E402, F401 - makes the collection importable

from ansible_collections.selfhosted.coolify.plugins.module_utils.firewall import _nft_rules, _policy  # isort: skip # noqa: E402

INSIDE = "--inside-the-name-space"
TARGETS = {4: "10.255.255.1", 6: "fd00:ffff::1"}
ROUTED = ["tailscale0", "eth0", "odd-@name$", "a.b#c;d{e}", "eth0.100"]
BRIDGES = ["docker0", "br-0123456789ab", "vmbr0"]
PORTS = [6001, 6002, 7001, 22, 80, 8000]
TUN, TAP, NO_HEADER, TUNSETIFF = 1, 2, 0x1000, 0x400454CA


@dataclass(frozen=True)
class Packet:
    interface: str
    source: str
    port: int


def expected(packet: Packet, ports, trusted, outside) -> bool:
    """The reference: what the documentation promises, said without nftables."""
    if packet.port not in ports:
        return True
    if packet.interface in BRIDGES and packet.interface not in outside:
        return True
    source = ipaddress.ip_address(packet.source)
    for entry in trusted:
        fits = entry.get("interface") in (None, packet.interface)
        if entry.get("source") is not None:
            network = ipaddress.ip_network(entry["source"])
            if network.version == 6 and network.subnet_of(ipaddress.ip_network("::ffff:0:0/96")):
                low = int(network.network_address) & 0xFFFFFFFF
                fits = fits and source.version == 4 and low <= int(source) < low + network.num_addresses
            else:
                fits = fits and source.version == network.version and source in network
        if fits:
            return True
    return False


def open_interface(name: str, kind: int) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH", name.encode(), kind | NO_HEADER))
    return descriptor


def build_name_space() -> dict[str, int]:
    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    for name in ("all", "default"):
        Path(f"/proc/sys/net/ipv4/conf/{name}/rp_filter").write_text("0")
        Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("0")
    ip("link", "set", "lo", "up")
    ip("addr", "add", f"{TARGETS[4]}/32", "dev", "lo")
    ip("-6", "addr", "add", f"{TARGETS[6]}/128", "dev", "lo", "nodad")
    writers = {}
    for name in ROUTED:
        writers[name] = open_interface(name, TUN)
        ip("link", "set", name, "up")
    for number, name in enumerate(BRIDGES):
        writers[name] = open_interface(f"tap{number}", TAP)
        ip("link", "add", name, "address", "02:00:00:00:00:01", "type", "bridge")
        ip("link", "set", f"tap{number}", "master", name, "up")
        ip("link", "set", name, "up")
    return writers


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def frame(packet: Packet, number: int) -> bytes:
    """A TCP SYN whose sequence number tells it from all others."""
    source = ipaddress.ip_address(packet.source)
    target = ipaddress.ip_address(TARGETS[source.version])
    segment = struct.pack("!HHIIBBHHH", 1024 + number % 60000, packet.port, number, 0, 5 << 4, 2, 1024, 0, 0)
    pseudo = source.packed + target.packed + struct.pack("!II", len(segment), 6)
    segment = segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:]
    if source.version == 4:
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 0, 0, 64, 6, 0, source.packed, target.packed)
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    else:
        head = struct.pack("!IHBB16s16s", 6 << 28, len(segment), 6, 64, source.packed, target.packed)
    if packet.interface in BRIDGES:
        kind = 0x0800 if source.version == 4 else 0x86DD
        return b"\x02\0\0\0\0\x01" + b"\x02\0\0\0\0\x02" + struct.pack("!H", kind) + head + segment
    return head + segment


def usable(address) -> bool:
    """Leave out what the kernel itself refuses as a source, whatever the rules."""
    return not (
        address.is_multicast
        or address.is_loopback
        or address.is_unspecified
        or address.is_link_local
        or (address.version == 4 and (int(address) >> 24 in (0, 127) or int(address) >= 0xE0000000))
        or (address.version == 6 and int(address) >> 80 in (0, 0xFFFF))
        or (address.version == 6 and int(address) >> 96 == 0)
    )


def random_network(chance: random.Random):
    if chance.random() < 0.5:
        base, bits = chance.choice([("100.64.0.0", 10), ("10.0.0.0", 8), ("192.0.2.0", 24), ("0.0.0.0", 0)]), 32
    else:
        base, bits = chance.choice([("fd7a:115c:a1e0::", 48), ("2001:db8::", 32), ("0::", 0)]), 128
    length = min(bits, max(base[1], base[1] + chance.choice([0, 0, 1, 3, 8, bits])))
    low = int(ipaddress.ip_address(base[0]))
    spread = chance.getrandbits(bits - base[1]) if bits > base[1] else 0
    kind = ipaddress.IPv4Address if bits == 32 else ipaddress.IPv6Address
    return ipaddress.ip_network((kind(low | spread), length), strict=False)


def random_entry(chance: random.Random) -> dict:
    network, interface = random_network(chance), chance.choice(ROUTED + BRIDGES)
    source = str(network)
    if network.version == 4 and chance.random() < 0.2:
        source = f"::ffff:{network.network_address}/{network.prefixlen + 96}"
    kind = chance.random()
    if kind < 0.2:
        return {"source": None, "interface": interface}
    return {"source": source, "interface": interface if kind < 0.7 else None}


def random_source(chance: random.Random, trusted: list) -> str:
    """Half of them at, or just beyond, the edges of a network that the options name."""
    while True:
        sources = [entry["source"] for entry in trusted if entry["source"]]
        if sources and chance.random() < 0.5:
            network = ipaddress.ip_network(chance.choice(sources))
            first, last = int(network.network_address), int(network.broadcast_address)
            number = chance.choice([first, last, first - 1, last + 1, chance.randint(first, last)])
            kind = ipaddress.IPv4Address if network.version == 4 else ipaddress.IPv6Address
            if not 0 <= number < 2**network.max_prefixlen:
                continue
            address = kind(number)
            if network.version == 6 and address.ipv4_mapped is not None:
                address = address.ipv4_mapped
        else:
            network = random_network(chance)
            address = network.network_address + chance.randrange(min(network.num_addresses, 2**40))
        if usable(address):
            return str(address)


def received(sockets, wanted: int) -> set[int]:
    """The numbers of the packets that got through; waits a little for the last ones."""
    numbers: set[int] = set()
    deadline = time.monotonic() + 0.2
    while time.monotonic() < deadline and len(numbers) < wanted:
        for family, receiver in sockets.items():
            while True:
                try:
                    data = receiver.recv(200)
                except BlockingIOError:
                    break
                segment = data[20:] if family == 4 else data
                if segment[13] == 2:
                    numbers.add(struct.unpack("!I", segment[4:8])[0])
    return numbers


def run(seed: int, packets: int, per_round: int) -> int:
    chance = random.Random(seed)
    writers = build_name_space()
    sockets = {
        4: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP),
        6: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_TCP),
    }
    for receiver in sockets.values():
        receiver.setblocking(False)
        receiver.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    sent = let_in = rounds = 0
    while sent < packets:
        rounds += 1
        ports = sorted(chance.sample([6001, 6002, 7001], chance.randint(1, 3)))
        trusted = [random_entry(chance) for _number in range(chance.randint(0, 8))]
        outside = chance.sample(BRIDGES, chance.randint(0, 2))
        wanted = _policy.policy(ports, trusted, outside)
        text = _nft_rules.text(wanted)
        subprocess.run(["nft", "-c", "-f", "-"], input=text, text=True, check=True)
        subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)
        listed = subprocess.run(
            ["nft", "-j", "list", "table", _nft_rules.FAMILY, _nft_rules.TABLE],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        read = _nft_rules.parse(listed.stdout)
        if not read["rules"] == _nft_rules.printed(wanted) == _nft_rules.loads(text):
            print("the running table is read as something else:", json.dumps([ports, trusted, outside]), read)
            return 1
        cases = {}
        for _number in range(per_round):
            sent += 1
            cases[sent] = Packet(chance.choice(ROUTED + BRIDGES), random_source(chance, trusted), chance.choice(ports + PORTS))
            os.write(writers[cases[sent].interface], frame(cases[sent], sent))
        hoped = {number for number, packet in cases.items() if expected(packet, ports, trusted, outside)}
        seen = received(sockets, len(hoped))
        seen |= received(sockets, len(cases)) if seen == hoped else set()
        let_in += len(seen)
        for number in sorted(seen ^ hoped)[:5]:
            print(f"seed {seed}: {cases[number]} {'got in' if number in seen else 'was dropped'}")
            print(json.dumps({"ports": ports, "trusted": trusted, "outside_interfaces": outside}))
        if seen != hoped:
            return 1
    print(f"{rounds} rule sets, {sent} packets, {let_in} let in, {sent - let_in} refused, 0 disagreements (seed {seed})")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packets", type=int, default=20000)
    parser.add_argument("--per-round", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument(INSIDE, dest="inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        again = [sys.executable, __file__, INSIDE, "--seed", str(options.seed)]
        again += ["--packets", str(options.packets), "--per-round", str(options.per_round)]
        return subprocess.run(["unshare", "--net", *again], check=False).returncode
    return run(options.seed, options.packets, options.per_round)


if __name__ == "__main__":
    sys.exit(main())
