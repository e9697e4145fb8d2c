from __future__ import annotations

from ansible_collections.selfhosted.coolify.plugins.module_utils.host import _interfaces


def test_global_addresses() -> None:
    table = """\
00000000000000000000000000000001 01 80 10 80       lo
20010db8c00100970000000000000001 02 40 00 80     eth0
20010db8c00100970000000000000bad 02 40 00 01     eth0
fe80000000000000004200fffec60001 02 40 20 80     eth0
fd7a115ca1e0ab124843cd9662400002 05 80 00 80 tailscale0
20010db8000000000000000000000001 07 40 00 80  br-1234
"""
    assert _interfaces.global_addresses(table, ["br-1234"]) == ["2001:db8:c001:97::1"]


def test_own_addresses(tmp_path) -> None:
    assert _interfaces.own_addresses(str(tmp_path)) == []
    (tmp_path / "sys/class/net/br-1234/bridge").mkdir(parents=True)
    (tmp_path / "sys/class/net/eth0").mkdir()
    (tmp_path / "proc/net").mkdir(parents=True)
    line = "20010db8c00100970000000000000001 02 40 00 80 {}\n"
    (tmp_path / "proc/net/if_inet6").write_text(line.format("eth0") + line.format("br-1234").replace("01 02", "02 02"))
    assert _interfaces.own_addresses(str(tmp_path)) == ["2001:db8:c001:97::1"]
