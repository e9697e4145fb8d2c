"""Each diagnosis is given to the fault that it is for, at its hop, and none to a healthy host.

The faults are in diagnosis_faults.py; that each id of the table has one is checked by tests/unit/test_every_diagnosis.py.
"""

from __future__ import annotations

import os
import time
import typing as t

import pytest
from compare_snapshots import differences
from coolify_host import CoolifyHost
from diagnosis_faults import DUAL, ROUNDS, TOOLS, Round

# `make test` has those that take seconds, `make test-all` all.
EXTENT = os.environ.get("LAB_EXTENT", "quick")


@pytest.fixture(scope="module")
def coolify(lab) -> t.Iterator[CoolifyHost]:
    """The lab's host, treated, and in the end as it was found."""
    host = CoolifyHost(lab.host)
    assert lab.play("playbooks/remove.yml").code == 0
    # The table that the drops of some faults go into stays, empty, when they are taken out.
    host.shell("iptables -t raw -I PREROUTING -j RETURN && iptables -t raw -D PREROUTING -j RETURN")
    found = lab.snapshot()
    host.shell("mkdir -p /root/faults; cp -p /etc/cloudflared/config.yml /root/faults/untreated")
    run = lab.play("playbooks/site.yml", **DUAL)
    assert run.code == 0, run.text
    yield host
    assert lab.play("playbooks/remove.yml").code == 0
    host.shell("rm -r /root/faults")
    assert differences(found, lab.snapshot()) == []


def filled(value: t.Any, places: dict[str, str]) -> t.Any:
    """The variables of an inventory entry, with what only the lab knows."""
    if isinstance(value, dict):
        return {filled(key, places): filled(one, places) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one, places) for one in value]
    return value.format(**places) if isinstance(value, str) else value


def entries(lab, one: Round) -> dict[str, dict[str, t.Any]]:
    """The variables of each name that the round adds to the inventory."""
    variables = lab.variables()
    address = variables["ansible_host"]
    network = address.rpartition(".")[0]
    places = {"address": address, "network": network, "unused": network + ".250", "domain": variables["lab_domain"]}
    return {name: filled(fault.entry, places) for name, fault in one.faults.items() if fault.entry is not None}


def expect_each_where_it_is(lab, one: Round) -> None:
    """Makes the faults of a round, looks once, and undoes them."""
    machine = CoolifyHost(lab.host)
    more = entries(lab, one)
    begun = []
    try:
        for fault in one.faults.values():
            begun.append(fault)
            machine.shell(TOOLS + fault.make)
        # What nginx and systemd do after they have said yes.
        time.sleep(1)
        run, found = lab.diagnoses(one.playbook, *lab.also_named(more), **one.variables)
    finally:
        for fault in reversed(begun):
            machine.shell(TOOLS + fault.undo)
    # A host of which nothing is known yet is a row, and no error of ours.
    assert "undefined" not in run.text
    expected: dict[str, set[tuple[str, str]]] = {name: set() for name in (lab.host, *more)}
    allowed: dict[str, set[str]] = {name: set() for name in expected}
    for name, fault in one.faults.items():
        host = name if fault.entry is not None else lab.host
        expected[host] |= {(hop, identifier) for identifier, hop in fault.gives.items()}
        allowed[host] |= {*fault.gives, *fault.follows}
    assert {host: rows - found[host] for host, rows in expected.items()} == {host: set() for host in expected}, found
    others = {host: {row for row in found[host] if row[1] not in allowed[host]} for host in expected}
    assert others == {host: set() for host in expected}, found


def test_a_healthy_host_has_none(lab, coolify):
    assert lab.diagnoses("playbooks/verify.yml", **DUAL)[1] == {lab.host: set()}


@pytest.mark.parametrize("name", [name for name, one in ROUNDS.items() if one.quick or EXTENT == "all"])
def test_each_fault_is_named_at_its_hop(lab, coolify, name):
    expect_each_where_it_is(lab, ROUNDS[name])


def test_what_was_undone_leaves_none_and_nothing_to_do(lab, coolify):
    run, found = lab.diagnoses("playbooks/site.yml", **DUAL)
    assert (run.code, found) == (0, {lab.host: set()}), run.text
    assert run.stats[lab.host]["changed"] == 0, run.changed
