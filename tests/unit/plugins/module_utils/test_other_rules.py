"""Whose other rules have a say about a published port."""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.firewall import _other_rules


def rule(action, port, source="0.0.0.0/0", family="ipv4", **others):
    return {"action": action, "protocol": "tcp", "port": port, "source": source, "family": family, "direction": "in",
            "interface": None, **others}


def others(saved="", rules=(), after=""):
    return _other_rules.other_rules([6002, 6001], {"rules": list(rules)}, {"ipv4": saved}, {"/etc/ufw/after.rules": after})


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
