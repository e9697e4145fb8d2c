"""The table's text, and reading the running table back.

The listings under nft/ are what real versions of nft print of the table made from TAILNET.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.selfhosted.coolify.plugins.module_utils.firewall import _nft_rules, _policy

TAILNET = [
    {"source": "100.64.0.0/10", "interface": "tailscale0"},
    {"source": "fd7a:115c:a1e0::/48", "interface": "tailscale0"},
]
REFUSE = ["update @refused_ipv4 { ip saddr }", "update @refused_ipv6 { ip6 saddr }", 'counter name "refused" drop']
LISTINGS = sorted((Path(__file__).parent / "nft").glob("*.json"))


def ruleset(*options: object) -> str:
    return _nft_rules.text(_policy.policy(*options))


def rules_of(text: str, chain: str) -> list[str]:
    lines = text.split(f"\tchain {chain} {{\n")[1].split("\t}")[0].splitlines()
    return [line.strip() for line in lines]


def test_replaces_the_table_in_one_transaction_with_the_idiom_of_old_nft():
    lines = [line for line in ruleset([6001], []).splitlines() if not line.startswith("#")]
    assert lines[:3] == [
        "table inet coolify_websocket",
        "delete table inet coolify_websocket",
        "table inet coolify_websocket {",
    ]


def test_order_of_decisions():
    text = ruleset([6002, 6001], TAILNET)
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
        *REFUSE,
    ]


def test_a_bridge_with_the_default_route_is_outside():
    text = ruleset([6001], [], ["vmbr0"])
    assert 'meta iifkind "bridge" iifname != "vmbr0" accept' in rules_of(text, "decide")
    assert 'tcp dport 6001 meta oifkind "bridge" oifname != "vmbr0" jump decide' in rules_of(text, "routed")


def test_a_containers_own_port_is_guarded_where_it_is_published_at_another():
    """F1: SOKETI_PORT=7001, and a neighbour who routes straight to the container asks for 6001."""
    text = ruleset([7001, 6002], [], [], [6001, 6002])
    assert "tcp dport { 6002, 7001 } fib daddr type local jump decide" in rules_of(text, "arriving")
    assert 'tcp dport { 6001, 6002 } meta oifkind "bridge" jump decide' in rules_of(text, "routed")


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
    assert rules_of(ruleset([6001], [entry]), "decide")[2:] == [rule, *REFUSE]


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda path: path.stem)
def test_reads_the_running_table(listing):
    read = _nft_rules.parse(listing.read_text())
    assert read is not None
    assert (read["refused_packets"], read["refused"]) == (0, ["192.168.1.103"])
    assert read["rules"] == _nft_rules.printed(_policy.policy([6001, 6002], TAILNET))
    assert read["rules"] == _nft_rules.loads(ruleset([6001, 6002], TAILNET))


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


def dormant(items, flags=("dormant",)):
    return [{"table": {**item["table"], "flags": flags}} if "table" in item else item for item in items]


def dormant_as_newer_nft_prints_it(items):
    return dormant(items, "dormant")


def with_a_rule(*expressions):
    rule = {"family": "inet", "table": "coolify_websocket", "chain": "decide", "expr": [*expressions, {"accept": None}]}
    return lambda items: [*items[:-1], {"rule": rule}, items[-1]]


def saddr(right, left="payload"):
    return {"match": {"op": "==", "left": {left: {"protocol": "ip", "field": "saddr"}}, "right": right}}


def with_a_chain(items):
    chain = {"name": "mine", "type": "filter", "hook": "prerouting", "prio": -200, "policy": "accept"}
    return [*items, {"chain": {"family": "inet", "table": "coolify_websocket", **chain}}]


CHANGES = {
    "no drop": without_the_drop,
    "everyone": with_everyone_accepted,
    "no interface": without_the_interface,
    "hook": at_another_hook,
    "priority": after_dnat,
    "dormant": dormant,
    "dormant by a newer nft": dormant_as_newer_nft_prints_it,
    "a chain": with_a_chain,
    "a set": with_a_rule(saddr("@mine")),
    "a range": with_a_rule(saddr({"range": ["192.0.2.1", "192.0.2.9"]})),
    "no network": with_a_rule(saddr({"prefix": {"addr": "nobody", "len": 99}})),
    "a new statement": with_a_rule({"xt": None}, {"one": 1, "two": 2}),
    "a new expression": with_a_rule({"match": {"op": "in", "left": "anything", "right": None}}),
    "a match without sides": with_a_rule({"match": {}}),
    "a selector without a key": with_a_rule(saddr("192.0.2.1", "meta")),
}


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda path: path.stem)
@pytest.mark.parametrize("change", CHANGES)
def test_a_table_that_somebody_changed_has_other_rules(listing, change):
    """Field cases L6 and G7."""
    assert tampered(listing, CHANGES[change])["rules"] != _nft_rules.printed(_policy.policy([6001, 6002], TAILNET))


def listed(rules):
    """What the kernel has of a text; None where it cannot be asked."""
    words = ["unshare", "--net", "sh", "-c", "nft -f - && nft -j list table inet coolify_websocket"]
    done = subprocess.run(words, input=rules, capture_output=True, text=True, check=False)
    return _nft_rules.parse(done.stdout) if done.returncode == 0 else None


@pytest.mark.skipif(listed(ruleset([6001], [])) is None, reason="needs nft and root")
@pytest.mark.parametrize(
    "options",
    [
        ([6001, 6002], [*TAILNET, {"interface": "lo"}, {"source": "0.0.0.0/0", "interface": "wg0"}, {"source": "192.0.2.7"}]),
        ([7001], [{"source": "::/0"}], ["vmbr0", "br-lan"], [6001]),
    ],
)
def test_the_kernel_has_what_was_loaded(options):
    wanted = _policy.policy(*options)
    assert listed(_nft_rules.text(wanted))["rules"] == _nft_rules.printed(wanted)
    mine = "\tset mine {\n\ttype ipv4_addr\n\t}\n\tchain decide {\n\tip saddr @mine accept\n"
    foreign = _nft_rules.text(wanted).replace("\tchain decide {\n", mine)
    assert listed(foreign)["rules"] == ["decide: ip saddr @mine accept", *_nft_rules.printed(wanted)]


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"nftables": []}', "Error: No such file or directory"])
def test_no_table_is_none(text):
    assert _nft_rules.parse(text) is None


def test_a_table_of_the_same_name_in_another_family_is_not_ours():
    listing = LISTINGS[0].read_text().replace('"family": "inet"', '"family": "ip"')
    assert _nft_rules.parse(listing) is None


def quotes_and_lines(name: str) -> tuple[int, int] | None:
    try:
        text = ruleset([6001], [{"interface": name}])
    except ValueError:
        return None
    return text.count('"'), text.count("\n")


@given(st.text(max_size=20))
def test_no_interface_name_writes_a_rule_of_its_own(name):
    assert quotes_and_lines(name) in (None, quotes_and_lines("plain"))
