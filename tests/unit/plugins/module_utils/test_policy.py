"""The firewall's options: what is refused, and one form for all ways of saying the same."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.selfhosted.coolify.plugins.module_utils.firewall import _policy

TAILNET = {"source": "100.64.0.0/10", "interface": "tailscale0"}


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
        ([6001], [TAILNET, {"source": "10.0.0.1/8"}], [], ["trusted[1].source", "10.0.0.0/8", "10.0.0.1"]),
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
        _policy.policy(ports, trusted, outside)
    for word in words:
        assert word in str(refusal.value)


def test_a_containers_port_is_refused_by_its_own_options_name():
    with pytest.raises(ValueError, match=r"^container_ports\[1\]: 0 is not a TCP port"):
        _policy.policy([6001], [], [], [6001, 0])


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
    once = _policy.policy(ports, trusted)
    assert _policy.policy([*reversed(ports), *ports], [*reversed(trusted), *trusted]) == once


@given(st.lists(ENTRIES, max_size=6))
def test_what_is_reported_can_be_given_back(trusted):
    wanted = _policy.policy([6001], trusted)
    assert _policy.policy([6001], _policy.as_options(wanted.trusted)) == wanted
