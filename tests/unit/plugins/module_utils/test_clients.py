from __future__ import annotations

import ipaddress
import socket
import threading
from pathlib import Path

from ansible_collections.selfhosted.coolify.plugins.module_utils.host import _clients

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def line(local: str, remote: str, state: str = "01") -> str:
    rest = "00000000:00000000 00:00000000 00000000     0        0 1 1 0000000000000000 20 4 30 10 -1"
    return f"   0: {local} {remote} {state} {rest}\n"


def test_the_far_ends_of_open_connections_to_these_ports() -> None:
    table = HEAD + "".join(
        [
            line("070010AC:1771", "6701A8C0:C350"),
            line("070010AC:1771", "0100000A:C350", "06"),
            line("070010AC:1F90", "0200000A:C350"),
            line("00000000:1771", "00000000:0000", "0A"),
            "garbage\n",
        ]
    )
    assert _clients.peers(table, {6001, 6002}) == {ipaddress.ip_address("192.168.1.103")}


def test_ipv6_and_what_is_ipv4_in_it() -> None:
    mapped, real = "0000000000000000FFFF00006701A8C0", "B80D0120000000000000000001000000"
    table = HEAD + line(f"{mapped}:1772", f"{mapped}:C350") + line(f"{real}:1772", f"{real}:C350")
    assert _clients.peers(table, {6002}) == {ipaddress.ip_address("192.168.1.103"), ipaddress.ip_address("2001:db8::1")}


def test_the_kernel_shows_a_real_connection_and_the_way_back() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        assert ipaddress.ip_address("127.0.0.1") in _clients.peers(
            Path("/proc/self/net/tcp").read_text(), {server.getsockname()[1]}
        )
    assert _clients.route(ipaddress.ip_address("127.0.0.1")) == "lo"
    assert _clients.route(ipaddress.ip_address("::1")) in ("lo", None)


def test_of_the_host_and_of_each_container_that_runs(tmp_path: Path) -> None:
    tables = {
        "1": line("00000000:1B59", "0105A8C0:C350") + line("0100007F:1B59", "0100007F:C350"),
        "77": line("070010AC:1771", "010010AC:C350") + line("070010AC:1771", "020010AC:C350"),
    }
    for process, table in tables.items():
        (tmp_path / "proc" / process / "net").mkdir(parents=True)
        (tmp_path / "proc" / process / "net" / "tcp").write_text(HEAD + table)
    (tmp_path / "sys/class/net/br-1/bridge").mkdir(parents=True)
    ways = {"192.168.5.1": "eth0", "172.16.0.1": "lo", "172.16.0.2": "br-1"}
    servers = [{"State": {"Pid": 77}}, {"State": {"Pid": 0}}, {}]
    found = _clients.clients(str(tmp_path), servers, {6001}, {7001}, lambda address: ways[str(address)])
    assert found == [
        {"address": "172.16.0.2", "interface": "br-1", "bridge": True},
        {"address": "192.168.5.1", "interface": "eth0", "bridge": False},
    ]


def test_a_kernel_that_does_not_answer_in_time_names_no_interface(monkeypatch) -> None:
    asked = threading.Event()

    class Silent(socket.socket):
        def recv(self, *_arguments: int) -> bytes:
            asked.set()
            raise socket.timeout

    monkeypatch.setattr(_clients.socket, "socket", Silent)
    assert _clients.route(ipaddress.ip_address("127.0.0.1")) is None
    assert asked.is_set()
