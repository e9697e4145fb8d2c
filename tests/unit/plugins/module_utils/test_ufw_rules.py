"""What UFW lacks, and what of ours is in it for nothing."""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.firewall import _ufw_rules

TAILNET = (
    {"source": "100.64.0.0/10", "interface": "tailscale0"},
    {"source": "fd7a:115c:a1e0::/48", "interface": "tailscale0"},
)


def there(source, port, **other):
    """A rule as coolify_info reads it from UFW's file."""
    ipv6 = ":" in source
    rule = {
        "action": "allow",
        "protocol": "tcp",
        "port": port,
        "destination": "::/0" if ipv6 else "0.0.0.0/0",
        "source": source,
        "direction": "in",
        "interface": None,
        "comment": None,
        "family": "ipv6" if ipv6 else "ipv4",
    }
    return {**rule, **other}


def added(rules, ports=(6001,), trusted=TAILNET, **options):
    return [(rule["source"], rule["port"]) for rule in _ufw_rules.changes(rules, ports, trusted, **options)["add"]]


def test_the_rules_of_the_guide_and_their_twins():
    assert added([], [6002, 6001]) == [
        ("100.64.0.0/10", "6001"),
        ("fd7a:115c:a1e0::/48", "6001"),
        ("100.64.0.0/10", "6002"),
        ("fd7a:115c:a1e0::/48", "6002"),
    ]


def test_no_ipv6_rule_where_ufw_refuses_them():
    assert added([], ipv6=False) == [("100.64.0.0/10", "6001")]


def test_a_rule_without_a_source_names_the_interface():
    changes = _ufw_rules.changes([], [6001], [{"source": None, "interface": "wg0"}])
    assert changes["add"] == [{"source": "any", "interface": "wg0", "port": "6001"}]


def test_single_addresses_are_written_as_ufw_writes_them():
    assert added([], trusted=[{"source": "192.0.2.7/32"}]) == [("192.0.2.7", "6001")]


@pytest.mark.parametrize(
    "rule",
    [
        there("100.64.0.0/10", "6001"),
        there("100.64.0.0/10", "6001", comment="tailnet"),
        there("100.64.0.0/10", "6001", protocol="any"),
        there("100.64.0.0/10", "6001", action="limit"),
        there("100.64.0.0/10", "6001", action="allow_log"),
        there("100.64.0.0/10", "6001", action="allow_log-all"),
        there("100.64.0.0/10", "6000:6100"),
        there("100.64.0.0/10", "22,6001"),
    ],
)
def test_a_rule_added_by_hand_is_not_doubled(rule):
    changes = _ufw_rules.changes([rule], [6001], TAILNET[:1])
    assert changes == {"add": [], "delete": [], "others": []}


@pytest.mark.parametrize("action", ["deny", "reject_log", "deny_log-all"])
@pytest.mark.parametrize("comment", [None, "mine", _ufw_rules.COMMENT])
def test_a_rule_that_says_the_opposite_of_ours_is_left_and_named(action, comment):
    """Field case E6: UFW has one rule of a tuple only, so that ours would take the other's place."""
    theirs = there("100.64.0.0/10", "6001", action=action, comment=comment)
    assert _ufw_rules.changes([theirs], [6001], TAILNET[:1]) == {
        "add": [],
        "delete": [],
        "others": [{"action": action, "source": "100.64.0.0/10", "interface": None, "port": "6001"}],
    }
    assert _ufw_rules.changes([theirs], [], []) == {"add": [], "delete": [], "others": []}


@pytest.mark.parametrize(
    "rule",
    [
        there("100.64.0.0/10", "6001", action="deny", protocol="any"),
        there("100.64.0.0/10", "6001:6002", action="deny"),
        there("100.64.0.0/10", "6001", protocol="udp"),
        there("100.64.0.0/10", "60010"),
        there("100.64.0.0/10", "any"),
        there("100.64.0.0/16", "6001"),
        there("100.64.0.0/10", "6001", direction="out"),
        there("100.64.0.0/10", "6001", destination="192.0.2.1"),
        there("100.64.0.0/10", "6001", interface="eth0"),
    ],
)
def test_a_rule_that_says_something_else_does_not_serve(rule):
    assert added([rule], trusted=TAILNET[:1]) == [("100.64.0.0/10", "6001")]


def test_only_rules_with_our_comment_are_deleted():
    rules = [there("100.64.0.0/10", "6001"), there("100.64.0.0/10", "6002", comment=_ufw_rules.COMMENT)]
    assert _ufw_rules.changes(rules, [], TAILNET)["delete"] == [{"source": "100.64.0.0/10", "interface": None, "port": "6002"}]


def test_rules_of_another_comment_go_when_they_are_asked_for():
    ssh = there("0.0.0.0/0", "22", comment="SSH (selfhosted.coolify)")
    assert _ufw_rules.changes([ssh], [], [])["delete"] == []
    gone = _ufw_rules.changes([ssh], [], [], comment=ssh["comment"])["delete"]
    assert gone == [{"source": "any", "interface": None, "port": "22"}]


def test_a_port_that_moved_takes_its_rule_along():
    rules = [there("100.64.0.0/10", "6001", comment=_ufw_rules.COMMENT)]
    assert _ufw_rules.changes(rules, [7001], TAILNET[:1]) == {
        "add": [{"source": "100.64.0.0/10", "interface": None, "port": "7001"}],
        "delete": [{"source": "100.64.0.0/10", "interface": None, "port": "6001"}],
        "others": [],
    }


def test_both_families_of_a_rule_for_any_source_are_one_command():
    ours = {"interface": "wg0", "comment": _ufw_rules.COMMENT}
    rules = [there("0.0.0.0/0", "6001", **ours), there("::/0", "6001", **ours)]
    trusted = [{"source": None, "interface": "wg0"}]
    assert _ufw_rules.changes(rules, [6001], trusted) == {"add": [], "delete": [], "others": []}
    assert _ufw_rules.changes(rules, [], trusted)["delete"] == [{"source": "any", "interface": "wg0", "port": "6001"}]


def test_a_second_look_finds_nothing_to_do():
    first = _ufw_rules.changes([], [6001, 6002], TAILNET)
    rules = [there(rule["source"], rule["port"], comment=_ufw_rules.COMMENT) for rule in first["add"]]
    assert _ufw_rules.changes(rules, [6001, 6002], TAILNET) == {"add": [], "delete": [], "others": []}


def test_ssh_that_is_allowed_already_needs_no_rule():
    rules = [there("0.0.0.0/0", "22"), there("::/0", "22")]
    anyone = [{"source": "0.0.0.0/0"}]
    assert added(rules, [22, 2222], anyone) == [("0.0.0.0/0", "2222")]
