"""The table's text, and reading the running table back.

The listings under nft/ are what real versions of nft print of the table made from TAILNET.
"""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.selfhosted.coolify.plugins.module_utils.firewall import _nft_rules

TAILNET = [
    {"source": "100.64.0.0/10", "interface": "tailscale0"},
    {"source": "fd7a:115c:a1e0::/48", "interface": "tailscale0"},
]
LISTINGS = sorted((Path(__file__).parent / "nft").glob("*.json"))


def rules_of(text: str, chain: str) -> list[str]:
    lines = text.split(f"\tchain {chain} {{\n")[1].split("\t}")[0].splitlines()
    return [line.strip() for line in lines]


def test_replaces_the_table_in_one_transaction_with_the_idiom_of_old_nft():
    lines = [line for line in _nft_rules.ruleset([6001], []).splitlines() if not line.startswith("#")]
    assert lines[:3] == [
        "table inet coolify_websocket",
        "delete table inet coolify_websocket",
        "table inet coolify_websocket {",
    ]


def test_order_of_decisions():
    text = _nft_rules.ruleset([6002, 6001], TAILNET)
    assert rules_of(text, "arriving") == [
        "type filter hook prerouting priority -150; policy accept;",
        "ct state established,related accept",
        "tcp dport { 6001, 6002 } fib daddr type local jump decide",
    ]
    assert rules_of(text, "routed") == [
        "type filter hook forward priority -150; policy accept;",
        "ct state established,related accept",
        "ct status dnat accept",
        'tcp dport { 6001, 6002 } meta oifkind "bridge" jump decide',
    ]
    assert rules_of(text, "decide") == [
        'iifname "lo" accept',
        'meta iifkind "bridge" accept',
        'iifname "tailscale0" ip saddr 100.64.0.0/10 accept',
        'iifname "tailscale0" ip6 saddr fd7a:115c:a1e0::/48 accept',
        'counter name "refused" drop',
    ]


def test_a_bridge_with_the_default_route_is_outside():
    text = _nft_rules.ruleset([6001], [], ["vmbr0"])
    assert 'meta iifkind "bridge" iifname != "vmbr0" accept' in rules_of(text, "decide")
    assert 'tcp dport 6001 meta oifkind "bridge" oifname != "vmbr0" jump decide' in rules_of(text, "routed")


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        ({"source": "192.0.2.7", "interface": None}, "ip saddr 192.0.2.7/32 accept"),
        ({"source": None, "interface": "wg0"}, 'iifname "wg0" accept'),
        ({"source": "0.0.0.0/0", "interface": "wg0"}, 'iifname "wg0" meta nfproto ipv4 accept'),
        ({"source": "::/0"}, "meta nfproto ipv6 accept"),
        ({"source": "::ffff:10.1.2.0/120"}, "ip saddr 10.1.2.0/24 accept"),
        ({"source": "2001:DB8::/32"}, "ip6 saddr 2001:db8::/32 accept"),
        ({"interface": "odd-@name$"}, 'iifname "odd-@name$" accept'),
    ],
)
def test_ways_in(entry, rule):
    assert rules_of(_nft_rules.ruleset([6001], [entry]), "decide")[2:] == [rule, 'counter name "refused" drop']


@pytest.mark.parametrize(
    ("ports", "trusted", "outside", "words"),
    [
        ([], [], [], ["ports", "empty"]),
        ([0], [], [], ["ports[0]", "1 to 65535"]),
        ([6001, 65536], [], [], ["ports[1]"]),
        ([True], [], [], ["ports[0]"]),
        (["6001"], [], [], ["ports[0]"]),
        ([22], [], [], ["ports[0]", "SSH"]),
        ([6001], [{}], [], ["trusted[0]", "neither"]),
        ([6001], [*TAILNET, {"source": "10.0.0.1/8"}], [], ["trusted[2].source", "10.0.0.0/8", "10.0.0.1"]),
        ([6001], [{"source": "example.com"}], [], ["trusted[0].source", "not a network"]),
        ([6001], [{"source": ""}], [], ["trusted[0].source"]),
        ([6001], [{"source": 1}], [], ["trusted[0].source"]),
        ([6001], [{"source": "fe80::1%eth0"}], [], ["trusted[0].source"]),
        ([6001], [{"source": "10.0.0.0/33"}], [], ["trusted[0].source"]),
        ([6001], [{"interface": ""}], [], ["trusted[0].interface"]),
        ([6001], [{"interface": "sixteen-letters-"}], [], ["trusted[0].interface"]),
        ([6001], [{"interface": "eth0:1"}], [], ["trusted[0].interface"]),
        ([6001], [{"interface": 'a" accept'}], [], ["trusted[0].interface"]),
        ([6001], [{"interface": 'a"'}], [], ["trusted[0].interface"]),
        ([6001], [{"interface": "eth*"}], [], ["trusted[0].interface"]),
        ([6001], [{"interface": "a\nb"}], [], ["trusted[0].interface"]),
        ([6001], [], ["br 0"], ["outside_interfaces[0]"]),
    ],
)
def test_refusals_name_the_option(ports, trusted, outside, words):
    with pytest.raises(ValueError, match=r"^(ports|trusted|outside_interfaces)") as refusal:
        _nft_rules.ruleset(ports, trusted, outside)
    for word in words:
        assert word in str(refusal.value)


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda path: path.stem)
def test_reads_the_running_table(listing):
    read = _nft_rules.parse(listing.read_text())
    assert read is not None
    assert read["ports"] == [6001, 6002]
    assert read["trusted"] == TAILNET
    assert read["outside_interfaces"] == []
    assert read["refused_packets"] == 0
    assert read["intact"] is True
    assert read["rules"] == _nft_rules.printed(_nft_rules.policy([6001, 6002], TAILNET))


def tampered(listing: Path, change) -> dict:
    items = json.loads(listing.read_text())["nftables"]
    return _nft_rules.parse(json.dumps({"nftables": change(items)}))


def without_the_drop(items):
    return [item for item in items if {"drop": None} not in item.get("rule", {}).get("expr", [])]


def with_everyone_accepted(items):
    rule = {"family": "inet", "table": "coolify_websocket", "chain": "decide", "expr": [{"accept": None}]}
    first = next(index for index, item in enumerate(items) if "rule" in item)
    return [*items[:first], {"rule": rule}, *items[first:]]


def without_the_interface(items):
    text = json.dumps(items)
    match = {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "tailscale0"}}
    assert json.dumps(match) in text
    return json.loads(text.replace(json.dumps(match) + ", ", ""))


def at_another_hook(items):
    return json.loads(json.dumps(items).replace('"prerouting"', '"input"'))


def after_dnat(items):
    return json.loads(json.dumps(items).replace('"prio": -150', '"prio": 0'))


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda path: path.stem)
@pytest.mark.parametrize("change", [without_the_drop, with_everyone_accepted, without_the_interface, at_another_hook, after_dnat])
def test_a_table_that_somebody_changed_is_not_intact(listing, change):
    wanted = _nft_rules.printed(_nft_rules.policy([6001, 6002], TAILNET))
    read = tampered(listing, change)
    assert not (read["intact"] and read["rules"] == wanted)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"nftables": []}', "Error: No such file or directory"])
def test_no_table_is_none(text):
    assert _nft_rules.parse(text) is None


def test_a_table_of_the_same_name_in_another_family_is_not_ours():
    listing = LISTINGS[0].read_text().replace('"family": "inet"', '"family": "ip"')
    assert _nft_rules.parse(listing) is None


def test_default_routes_of_both_families():
    ipv4 = (
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "vmbr0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
        # The lower half of everything, as VPNs route it, is no default route.
        "tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0\n"
    )
    zero = "0" * 32
    ipv6 = (
        f"{zero} 00 {zero} 00 fe80000000000000000000000000000a 00000400 00000001 00000000 00000003     eth1\n"
        f"fe80{'0' * 28} 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001     eth0\n"
        f"{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n"
    )
    assert _nft_rules.default_route_interfaces(ipv4, ipv6) == ["eth1", "vmbr0"]
    assert _nft_rules.default_route_interfaces(ipv4, "") == ["vmbr0"]
    assert _nft_rules.default_route_interfaces("", "") == []


NETWORKS = st.one_of(
    st.builds(lambda n, p: ipaddress.ip_network((n, p), strict=False), st.integers(0, 2**32 - 1), st.integers(0, 32)),
    st.builds(
        lambda n, p: ipaddress.ip_network((n.to_bytes(16, "big"), p), strict=False),
        st.integers(0, 2**128 - 1),
        st.integers(0, 128),
    ),
)
NAMES = st.text([chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"*\\/:'], min_size=1, max_size=15).filter(
    lambda name: name not in (".", "..")
)
ENTRIES = st.fixed_dictionaries(
    {"source": st.one_of(st.none(), NETWORKS.map(str)), "interface": st.one_of(st.none(), NAMES)}
).filter(lambda entry: entry["source"] or entry["interface"])


@given(
    st.lists(st.integers(1, 65535).filter(lambda port: port != 22), min_size=1, max_size=4),
    st.lists(ENTRIES, max_size=6),
)
def test_order_and_repetition_of_the_options_do_not_matter(ports, trusted):
    once = _nft_rules.ruleset(ports, trusted)
    assert _nft_rules.ruleset([*reversed(ports), *ports], [*reversed(trusted), *trusted]) == once


@given(st.lists(ENTRIES, max_size=6))
def test_what_is_reported_can_be_given_back(trusted):
    wanted = _nft_rules.policy([6001], trusted)
    assert _nft_rules.policy([6001], _nft_rules.as_options(wanted.trusted)) == wanted


def quotes_and_lines(name: str) -> tuple[int, int] | None:
    try:
        text = _nft_rules.ruleset([6001], [{"interface": name}])
    except ValueError:
        return None
    return text.count('"'), text.count("\n")


@given(st.text(max_size=20))
def test_no_interface_name_writes_a_rule_of_its_own(name):
    assert quotes_and_lines(name) in (None, quotes_and_lines("plain"))
