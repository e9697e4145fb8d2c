"""Who can reach a published port now, and whose other rules have a say."""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.firewall import _port_reach

DOCKER = (
    "*nat\n"
    "-A DOCKER ! -i br-1 -p tcp -m tcp --dport 6001 -j DNAT --to-destination 172.19.0.5:6001\n"
    "-A DOCKER ! -i br-1 -p tcp -m tcp --dport 6002 -j DNAT --to-destination 172.19.0.5:6002\n"
    "*filter\n"
)
# An engine 29 with "firewall-backend": "nftables".
NFTABLES = (
    "table ip docker-bridges {\n"
    "\tchain nat-prerouting-and-output {\n"
    '\t\tiifname != "br-1" tcp dport 6001 counter packets 0 bytes 0 dnat to 172.19.0.5:6001 comment "DNAT"\n'
    '\t\tiifname != "br-1" tcp dport 16001 counter packets 0 bytes 0 dnat to 172.19.0.5:6001 comment "DNAT"\n'
    "\t}\n"
    "\tchain filter-forward-in__br-1 {\n"
    "\t\tip daddr 172.19.0.5 tcp dport 6002 counter packets 0 bytes 0 accept\n"
    "\t}\n"
    "}\n"
)
UFW_CHAINS = "-A INPUT -j ufw-before-input\n"
UFW6_CHAINS = "-A INPUT -j ufw6-before-input\n"
TABLE = {
    "ports": [6001, 6002],
    "intact": True,
    "trusted": [
        {"source": "100.64.0.0/10", "interface": "tailscale0"},
        {"source": "fd7a:115c:a1e0::/48", "interface": "tailscale0"},
        {"source": None, "interface": "wg0"},
    ],
}


def rule(action, port, source="0.0.0.0/0", family="ipv4", **others):
    return {"action": action, "protocol": "tcp", "port": port, "source": source, "family": family, "direction": "in",
            "interface": None, **others}


def reach(table=None, active=True, rules=(), ipv4=DOCKER + UFW_CHAINS, ipv6=UFW6_CHAINS):
    found = _port_reach.reach([6001], table, {"active": active, "rules": list(rules)}, {"ipv4": ipv4, "ipv6": ipv6})
    return {entry["family"]: (entry["sources"], entry["by"]) for entry in found}


def test_a_treated_host_lets_in_the_trusted_of_each_family():
    assert reach(TABLE) == {
        "ipv4": (["100.64.0.0/10 on tailscale0", "any source on wg0"], "nftables"),
        "ipv6": (["fd7a:115c:a1e0::/48 on tailscale0", "any source on wg0"], "nftables"),
    }


def test_the_hole_of_an_untreated_host_is_in_the_family_that_docker_rewrites():
    guide = [rule("allow", "6001", "100.64.0.0/10"), rule("allow", "6001", "fd7a:115c:a1e0::/48", "ipv6")]
    assert reach(rules=guide) == {"ipv4": (["everyone"], None), "ipv6": (["fd7a:115c:a1e0::/48"], "ufw")}
    assert reach(rules=guide, active=False)["ipv6"] == (["everyone"], None)


def test_the_hole_is_there_with_dockers_nftables_back_end_too():
    saved = {"ipv4": UFW_CHAINS + NFTABLES, "ipv6": UFW6_CHAINS}
    found = _port_reach.reach([6001, 6002], None, {"active": True, "rules": []}, saved)
    assert [(entry["sources"], entry["by"]) for entry in found] == [(["everyone"], None), ([], "ufw"), ([], "ufw"), ([], "ufw")]
    assert reach(TABLE, ipv4=saved["ipv4"])["ipv4"][1] == "nftables"


@pytest.mark.parametrize(
    ("address", "found"),
    [("ip daddr 127.0.0.1", ([], "docker")), ("ip6 daddr ::1", ([], "docker")), ("ip daddr 192.0.2.1", (["everyone"], None))],
)
def test_an_address_that_dockers_nftables_back_end_publishes_at(address, found):
    assert reach(ipv4=UFW_CHAINS + NFTABLES.replace(" tcp", f" {address} tcp"))["ipv4"] == found


def test_ufw_that_is_enabled_but_flushed_guards_nothing():
    assert reach(ipv4="", ipv6="") == {"ipv4": (["everyone"], None), "ipv6": (["everyone"], None)}


def test_a_changed_table_promises_nothing():
    assert reach({**TABLE, "intact": False})["ipv4"] == (None, "changed table")


def test_a_table_for_other_ports_does_not_count():
    assert reach({**TABLE, "ports": [7001]})["ipv4"] == (["everyone"], None)


def test_a_port_on_loopback_alone_is_nobodys():
    local = DOCKER.replace("-A DOCKER ! -i", "-A DOCKER -d 127.0.0.1/32 ! -i")
    assert reach(ipv4=local)["ipv4"] == ([], "docker")
    one_address = DOCKER.replace("-A DOCKER ! -i", "-A DOCKER -d 192.0.2.1/32 ! -i")
    assert reach(ipv4=one_address)["ipv4"] == (["everyone"], None)


@pytest.mark.parametrize(
    ("rules", "sources"),
    [
        ([rule("deny", "6001"), rule("allow", "6001", "100.64.0.0/10")], []),
        ([rule("allow", "6001", "100.64.0.0/10"), rule("deny", "6001")], ["100.64.0.0/10"]),
        ([rule("allow", "6001", interface="eth1")], ["any source on eth1"]),
        ([rule("allow", "any", "192.0.2.1")], ["192.0.2.1"]),
        ([rule("allow", "6000:6010")], ["everyone"]),
        ([rule("allow", "6001", protocol="udp"), rule("allow", "6002")], []),
    ],
)
def test_ufws_first_match_wins(rules, sources):
    assert reach(rules=rules, ipv4=UFW_CHAINS)["ipv4"] == (sources, "ufw")


def others(saved="", rules=(), after=""):
    return _port_reach.other_rules([6002, 6001], {"rules": list(rules)}, {"ipv4": saved}, {"/etc/ufw/after.rules": after})


@pytest.mark.parametrize(
    ("line", "effect", "ports"),
    [
        ("-i eth0 -p tcp -m conntrack --ctorigdstport 6001 -j DROP", "closes", [6001]),
        ("-p tcp -m multiport --dports 6001,6002 -j REJECT --reject-with tcp-reset", "closes", [6001, 6002]),
        ("-s 192.0.2.0/24 -j RETURN", "opens", [6001, 6002]),
        ("-p tcp -m tcp --dport 6002 -j ACCEPT", "opens", [6002]),
    ],
)
def test_rules_of_an_older_script_are_reported(line, effect, ports):
    (found,) = others(f"-A DOCKER-USER {line}\n")
    assert found == {"where": "DOCKER-USER", "family": "ipv4", "rule": line, "effect": effect, "ports": ports}


@pytest.mark.parametrize("line", ["-j RETURN", "-p tcp -m tcp --dport 443 -j DROP", "-p udp -j DROP", "-j ufw-user-forward"])
def test_rules_that_do_not_concern_the_ports_are_not(line):
    assert others(f"-A DOCKER-USER {line}\n-A FORWARD -j DROP\n") == []


def test_ufw_dockers_block_and_ufws_refusals_are_reported():
    found = others(rules=[rule("deny", "6001"), rule("deny", "22"), rule("allow", "6002")], after="x\n# BEGIN UFW AND DOCKER\n")
    assert [(entry["where"], entry["rule"], entry["ports"]) for entry in found] == [
        ("/etc/ufw/after.rules", "ufw-docker's block", [6001, 6002]),
        ("ufw", "deny 6001/tcp from 0.0.0.0/0", [6001]),
    ]
