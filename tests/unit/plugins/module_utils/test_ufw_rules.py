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
        "source_port": "any",
        "source": source,
        "direction": "in",
        "interface": None,
        "comment": None,
        "family": "ipv6" if ipv6 else "ipv4",
    }
    return {**rule, **other}


def told(rules):
    """As ufw is told them, without the comment."""
    return [" ".join(_ufw_rules.words({**rule, "comment": None})) for rule in rules]


def added(rules, ports=(6001,), trusted=TAILNET, **options):
    return told(_ufw_rules.changes(rules, ports, trusted, **options)["add"])


def changed(rules, ports=(6001,), trusted=TAILNET[:1]):
    return {name: told(found) for name, found in _ufw_rules.changes(rules, ports, trusted).items()}


NOTHING = {"add": [], "delete": [], "others": []}
OURS = {"comment": _ufw_rules.COMMENT}
GUIDE = "allow from 100.64.0.0/10 to any port {} proto tcp"


def test_one_rule_for_each_network_names_all_ports():
    assert added([], [6002, 6001]) == [
        "allow from 100.64.0.0/10 to any port 6001,6002 proto tcp",
        "allow from fd7a:115c:a1e0::/48 to any port 6001,6002 proto tcp",
    ]
    (rule,) = _ufw_rules.changes([], [6001], TAILNET[:1])["add"]
    assert _ufw_rules.words(rule)[-2:] == ["comment", _ufw_rules.COMMENT]


def test_a_rule_names_no_more_ports_than_ufw_takes():
    assert [rule.count(",") for rule in added([], range(1001, 1018), TAILNET[:1])] == [14, 1]


def test_no_ipv6_rule_where_ufw_refuses_them():
    assert added([], ipv6=False) == [GUIDE.format(6001)]
    ours = there("fd7a:115c:a1e0::/48", "6001", **OURS)
    assert _ufw_rules.changes([ours], [], [], ipv6=False) == NOTHING
    assert _ufw_rules.for_nothing([ours], ssh=False, ipv6=False) == []


def test_a_rule_without_a_source_names_the_interface():
    wg0 = [{"source": None, "interface": "wg0"}]
    assert added([], [6001], wg0) == ["allow in on wg0 from any to any port 6001 proto tcp"]
    one = [there("0.0.0.0/0", "6001", interface="wg0")]
    assert added(one, [6001], wg0) == ["allow in on wg0 from ::/0 to any port 6001 proto tcp"]


def test_single_addresses_are_written_as_ufw_writes_them():
    assert added([], trusted=[{"source": "192.0.2.7/32"}]) == ["allow from 192.0.2.7 to any port 6001 proto tcp"]


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
    assert changed([rule]) == NOTHING
    assert changed([rule], [6001, 7001])["add"] == [GUIDE.format(7001)]


@pytest.mark.parametrize("action", ["deny", "reject_log", "deny_log-all"])
@pytest.mark.parametrize("comment", [None, "mine", _ufw_rules.COMMENT])
@pytest.mark.parametrize("port", ["6001", "6001:6002", "22,6001", "any"])
@pytest.mark.parametrize("protocol", ["tcp", "any"])
def test_a_rule_that_says_the_opposite_of_ours_is_left_and_named(action, comment, port, protocol):
    """Field case E6: UFW has one rule of a tuple only, so that ours would take the other's place."""
    theirs = there("100.64.0.0/10", port, action=action, comment=comment, protocol=protocol)
    assert _ufw_rules.changes([theirs], [6001], TAILNET[:1]) == {**NOTHING, "others": [theirs]}
    assert _ufw_rules.changes([theirs], [], []) == NOTHING


def test_what_somebody_refuses_leaves_our_rule():
    rules = [there("100.64.0.0/10", "6001,6002", **OURS), there("100.64.0.0/10", "6001", action="deny")]
    assert changed(rules, [6001, 6002]) == {
        "add": [GUIDE.format(6002)],
        "delete": [GUIDE.format("6001,6002")],
        "others": ["deny from 100.64.0.0/10 to any port 6001 proto tcp"],
    }


@pytest.mark.parametrize(
    "rule",
    [
        there("100.64.0.0/10", "6001", protocol="udp"),
        there("100.64.0.0/10", "60010"),
        there("100.64.0.0/16", "6001"),
        there("100.64.0.0/16", "6001", action="deny"),
        there("100.64.0.0/10", "6001", direction="out"),
        there("100.64.0.0/10", "6001", destination="192.0.2.1"),
        there("100.64.0.0/10", "6001", source_port="80"),
        there("100.64.0.0/10", "6001", interface="eth0"),
        there("100.64.0.0/10", "6001", action="route:allow"),
        there("100.64.0.0/10", "6001", action="route:deny"),
    ],
)
def test_a_rule_that_says_something_else_does_not_serve(rule):
    assert changed([rule]) == {**NOTHING, "add": [GUIDE.format(6001)]}


ALL_OF_TAILSCALE0 = there("0.0.0.0/0", "any", protocol="any", interface="tailscale0")


@pytest.mark.parametrize(
    "rule",
    [
        ALL_OF_TAILSCALE0,
        {**ALL_OF_TAILSCALE0, "comment": "mine", "action": "allow_log"},
        there("0.0.0.0/0", "6001", interface="tailscale0"),
        there("100.64.0.0/10", "any", protocol="any"),
        there("100.0.0.0/8", "6000:6100", interface="tailscale0"),
        there("0.0.0.0/0", "6001"),
    ],
)
def test_a_wider_rule_serves(rule):
    assert changed([rule]) == NOTHING
    # A rule of ours from before stays: the wider one may go again.
    assert changed([rule, there("100.64.0.0/10", "6001", **OURS)]) == NOTHING


def test_a_rule_for_an_interface_serves_only_who_comes_by_it():
    anywhere = {"source": "100.64.0.0/10"}
    assert added([ALL_OF_TAILSCALE0], trusted=[anywhere]) == [GUIDE.format(6001)]
    assert added([ALL_OF_TAILSCALE0], trusted=[TAILNET[0], {**anywhere, "interface": "wg0"}]) == [GUIDE.format(6001)]


@pytest.mark.parametrize("refusal", [there("0.0.0.0/0", "6001", action="deny"), {**ALL_OF_TAILSCALE0, "action": "reject"}])
def test_a_wider_rule_behind_one_that_refuses_all_of_it_does_not_serve(refusal):
    assert added([refusal, ALL_OF_TAILSCALE0], trusted=TAILNET[:1]) == [GUIDE.format(6001)]
    assert added([ALL_OF_TAILSCALE0, refusal], trusted=TAILNET[:1]) == []


def test_only_rules_with_our_comment_are_deleted():
    rules = [there("100.64.0.0/10", "6001"), there("100.64.0.0/10", "6002", **OURS)]
    assert changed(rules, [])["delete"] == [GUIDE.format(6002)]
    # The comment is part of what ufw is told, so that it finds no other.
    (gone,) = _ufw_rules.changes(rules, [], [])["delete"]
    assert _ufw_rules.words(gone)[-2:] == ["comment", _ufw_rules.COMMENT]


def test_the_rule_for_ssh_goes_only_where_it_is_asked_for():
    rules = [there(source, "22", comment=_ufw_rules.SSH_COMMENT) for source in ("0.0.0.0/0", "::/0")]
    rules.append(there("100.64.0.0/10", "6001", **OURS))
    assert told(_ufw_rules.for_nothing(rules, ssh=False)) == [GUIDE.format(6001)]
    assert told(_ufw_rules.for_nothing(rules, ssh=True)) == ["allow from any to any port 22 proto tcp", GUIDE.format(6001)]
    assert changed(rules) == NOTHING


def test_a_port_that_moved_takes_its_rule_along():
    rules = [there("100.64.0.0/10", "6001,6002", **OURS)]
    assert changed(rules, [7001, 6002]) == {
        "add": [GUIDE.format("6002,7001")],
        "delete": [GUIDE.format("6001,6002")],
        "others": [],
    }


def test_rules_of_ours_for_single_ports_serve_and_are_taken_back():
    rules = [there("100.64.0.0/10", port, **OURS) for port in ("6001", "6002")]
    assert changed(rules, [6001, 6002]) == NOTHING
    assert changed(rules[:1], [6001, 6002]) == {**NOTHING, "add": [GUIDE.format(6002)]}
    assert changed(rules, [])["delete"] == [GUIDE.format(6001), GUIDE.format(6002)]


@pytest.mark.parametrize("action", ["allow_log", "limit", "limit_log-all"])
def test_a_rule_of_ours_that_somebody_changed_is_found_by_what_it_is_now(action):
    word, _separator, log = action.partition("_")
    rule = there("100.64.0.0/10", "6001", action=action, interface="eth0", destination="192.0.2.1", source_port="80", **OURS)
    said = f"{word} in on eth0 {log} from 100.64.0.0/10 port 80 to 192.0.2.1 port 6001 proto tcp".replace("  ", " ")
    assert changed([rule], [])["delete"] == [said]


def test_both_families_of_a_rule_for_any_source_are_one_command():
    ours = {"interface": "wg0", **OURS}
    rules = [there("0.0.0.0/0", "6001", **ours), there("::/0", "6001", **ours)]
    trusted = [{"source": None, "interface": "wg0"}]
    assert changed(rules, [6001], trusted) == NOTHING
    assert changed(rules, [], trusted)["delete"] == ["allow in on wg0 from any to any port 6001 proto tcp"]
    # The other family's is somebody's own.
    assert changed([rules[0], {**rules[1], "comment": None}], [])["delete"] == [
        "allow in on wg0 from 0.0.0.0/0 to any port 6001 proto tcp"
    ]


def test_a_second_look_finds_nothing_to_do():
    first = _ufw_rules.changes([], [6001, 6002], TAILNET)
    rules = [there(rule["source"], rule["port"], **OURS) for rule in first["add"]]
    assert _ufw_rules.changes(rules, [6001, 6002], TAILNET) == NOTHING


# -- SSH -----------------------------------------------------------------------------------------------------------------


def ssh(rules, ports=(22,), client="192.0.2.7", **options):
    found = _ufw_rules.for_ssh(rules, ports, client, **options)
    return told(found["add"]), told(found["refusing"])


SSH = "allow from any to any port 22 proto tcp"


def test_ssh_that_is_allowed_already_needs_no_rule():
    rules = [there("0.0.0.0/0", "22"), there("::/0", "20:25", protocol="any", action="limit")]
    assert ssh(rules, [22, 2222]) == ([SSH.replace("22", "2222")], [])
    assert ssh(rules[:1]) == ([SSH.replace("any", "::/0", 1)], [])
    assert ssh(rules[:1], ipv6=False) == ([], [])


@pytest.mark.parametrize(
    "rule",
    [
        there("192.0.2.0/24", "22"),
        there("0.0.0.0/0", "22", interface="eth0"),
        there("0.0.0.0/0", "22", destination="192.0.2.1"),
        there("0.0.0.0/0", "22", source_port="1024:65535"),
        there("0.0.0.0/0", "22", protocol="udp"),
        there("0.0.0.0/0", "22", action="route:allow"),
        there("0.0.0.0/0", "22", direction="out"),
    ],
)
def test_what_lets_in_only_some_does_not_do_for_ssh(rule):
    assert ssh([rule]) == ([SSH], [])


@pytest.mark.parametrize(
    "refusal",
    [
        {"port": "22"},
        {"port": "22", "protocol": "any"},
        {"port": "20:25"},
        {"port": "80,22"},
        {"port": "80,20:25", "action": "reject"},
        {"port": "any"},
        {"port": "any", "protocol": "any", "action": "reject_log"},
        {"port": "22", "action": "deny_log-all"},
        {"port": "22", "interface": "eth0"},
        {"port": "22", "destination": "192.0.2.1"},
        {"port": "22", "comment": "mine"},
    ],
    ids=str,
)
@pytest.mark.parametrize("anywhere", ["0.0.0.0/0", "::/0"])
@pytest.mark.parametrize("client", [None, "192.0.2.7"])
def test_every_form_of_a_refusal_that_takes_ssh_is_named(refusal, anywhere, client):
    """Field case H1, in either family, whichever the connection in use has."""
    rule = there(anywhere, **{"action": "deny", **refusal})
    assert ssh([rule], client=client)[1] == told([rule])
    assert ssh([there("0.0.0.0/0", "443"), there("::/0", "443"), rule], client=client)[1] == told([rule])


@pytest.mark.parametrize(
    "refusal",
    [
        there("0.0.0.0/0", "2222", action="deny"),
        there("0.0.0.0/0", "23:65535", action="deny"),
        there("0.0.0.0/0", "22", action="deny", protocol="udp"),
        there("0.0.0.0/0", "22", action="deny", direction="out"),
        there("0.0.0.0/0", "22", action="route:deny"),
        there("0.0.0.0/0", "any", action="deny", source_port="53"),
        there("203.0.113.0/24", "22", action="deny"),
        there("2001:db8::/32", "any", action="deny"),
    ],
)
def test_what_refuses_others_locks_nobody_out(refusal):
    assert ssh([refusal]) == ([SSH], [])


def test_a_refusal_of_the_client_alone_is_named():
    rule = there("192.0.2.0/24", "any", action="deny")
    assert ssh([rule])[1] == ["deny from 192.0.2.0/24 to any proto tcp"]
    assert ssh([rule], client=None) == ([SSH], [])


def test_ufws_first_match_lets_ssh_in():
    allowed = [there("0.0.0.0/0", "20:25"), there("::/0", "22", action="limit")]
    refused = [there("0.0.0.0/0", "any", action="deny"), there("::/0", "22", action="reject", interface="eth0")]
    assert ssh(allowed + refused) == ([], [])
    assert ssh(refused + allowed)[1] == told(refused)
    # One that lets in some is no way in for the rest of those whom the next refuses.
    assert ssh([there("192.0.2.0/24", "22"), refused[0]])[1] == told(refused[:1])


def test_both_families_of_a_refusal_are_one():
    rules = [there(source, "22", action="deny") for source in ("0.0.0.0/0", "::/0")]
    assert ssh(rules, [22, 22])[1] == ["deny from any to any port 22 proto tcp"]


# -- UFW's files ---------------------------------------------------------------------------------------------------------


def test_it_is_active_by_its_own_setting() -> None:
    assert _ufw_rules.active("# /etc/ufw/ufw.conf\n# ENABLED=no\nENABLED=yes\nLOGLEVEL=low\n")
    assert not _ufw_rules.active("ENABLED=no\n")
    assert not _ufw_rules.active("")


def test_the_rules_in_ufws_file() -> None:
    # Written by ufw 0.36.2 for: allow OpenSSH; allow from 100.64.0.0/10 to any port 6001 proto tcp comment 'x y';
    # limit in on eth0 to any port 22 proto tcp; route allow …
    text = """*filter
### RULES ###

### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 OpenSSH - in
-A ufw-user-input -p tcp --dport 22 -j ACCEPT -m comment --comment 'dapp_OpenSSH'

### tuple ### allow tcp 6001 0.0.0.0/0 any 100.64.0.0/10 in comment=782079
-A ufw-user-input -p tcp --dport 6001 -s 100.64.0.0/10 -j ACCEPT

### tuple ### limit tcp 22 0.0.0.0/0 any 0.0.0.0/0 in_eth0

### tuple ### route:allow tcp 80 0.0.0.0/0 any 0.0.0.0/0 in_eth0!out_docker0
### tuple ### allow tcp 80 0.0.0.0/0 1024:65535 0.0.0.0/0 WWW -
### tuple ### broken
### END RULES ###
"""
    rules = _ufw_rules.parse(text, "ipv4")
    assert [(rule["action"], rule["port"], rule["source"], rule["interface"], rule["comment"]) for rule in rules] == [
        ("allow", "22", "0.0.0.0/0", None, None),
        ("allow", "6001", "100.64.0.0/10", None, "x y"),
        ("limit", "22", "0.0.0.0/0", "eth0", None),
        ("route:allow", "80", "0.0.0.0/0", "eth0!out_docker0", None),
        ("allow", "80", "0.0.0.0/0", None, None),
    ]
    assert {rule["family"] for rule in rules} == {"ipv4"}
    assert {rule["direction"] for rule in rules} == {"in"}
    assert [rule["source_port"] for rule in rules] == [*["any"] * 4, "1024:65535"]
