"""Coolify's own update carries a treated host from one layout to the other, and nothing of ours is run meanwhile.

Each mode is one story: the host of the separate layout is treated, updated, given back, treated again in the bundled
layout, given back, and set back to the version that it came from.
"""

from __future__ import annotations

import os
import time
import typing as t

import pytest
from compare_snapshots import differences
from coolify_host import PORT, CoolifyHost
from coolify_sockets import Watch
from diagnosis_faults import SEPARATE
from lab_client import Browsing
from test_every_diagnosis import expect_each_where_it_is
from ways import kept_out, let_in_only, treated

OLD, MIDDLE, NEW = "4.3.24", "4.4.6", "4.7.6"
ENV = "/data/coolify/source/.env"
# Each mode's story takes some five minutes: `make test` tells one, `make test-all` all three.
MODES = os.environ.get("LAB_MODES", "dual").split()
SIDES = {"domain": ["public"], "tailscale": ["tailnet"], "dual": ["tailnet", "public"]}


@pytest.fixture(scope="module")
def coolify(lab) -> t.Iterator[CoolifyHost]:
    """The lab's host, untreated, and in the end as it was found."""
    host = CoolifyHost(lab.host)
    assert lab.play("playbooks/remove.yml").code == 0
    host.shell(f"cp -p {ENV} /root/env-found")
    yield host
    assert lab.play("playbooks/remove.yml").code == 0
    host.shell(f"cat /root/env-found >{ENV}")
    host.upgrade(NEW)
    host.shell(f"rm -f {ENV}-20*")


@pytest.fixture(scope="module")
def untouched(lab, coolify) -> t.Iterator[dict[str, t.Any]]:
    """Snapshots of the host before and after an update that meets nothing of ours: what has to be given back."""
    coolify.upgrade(OLD)
    coolify.shell(f"cp -p {ENV} /root/env-before")
    found = {OLD: lab.snapshot()}
    coolify.upgrade(NEW)
    found[NEW] = lab.snapshot()
    return found


def back_to_the_old_version(coolify: CoolifyHost) -> None:
    coolify.shell(f"cat /root/env-before >{ENV}")
    coolify.upgrade(OLD)
    coolify.shell(f"cat /root/env-before >{ENV}; rm -f {ENV}-20*")


def update_without_a_moment_without_routes(coolify: CoolifyHost, version: str) -> None:
    with Watch(coolify.address, PORT) as watch:
        coolify.upgrade(version)
        since = time.monotonic()
        coolify.wait("Coolify answers", lambda: len(watch.answers(since)) > 40)
    assert watch.without_routes() == []


def proved(lab, mode: str, name: str) -> None:
    """verify has nothing to name; from each side that the mode promises, a terminal is typed into and an event arrives; from
    nowhere else."""
    treated(lab, "playbooks/verify.yml", coolify_access=mode)
    let_in_only(lab, f"{name}-{mode}", *((side, "") for side in SIDES[mode]))


def nothing_to_change(lab, mode: str) -> None:
    run = lab.play("playbooks/site.yml", coolify_access=mode)
    assert run.code == 0, run.text
    assert run.stats[lab.host]["changed"] == 0, run.changed


def treated_as_check_mode_says(lab, mode: str) -> None:
    before = lab.snapshot()
    checked = lab.play("playbooks/site.yml", "--check", "--diff", coolify_access=mode)
    assert checked.code == 0, checked.text
    assert differences(before, lab.snapshot()) == []
    run = lab.play("playbooks/site.yml", "--diff", coolify_access=mode)
    assert run.code == 0, run.text
    assert run.changed[lab.host] == checked.changed[lab.host]


def given_back(lab, expected: dict[str, t.Any]) -> list[str]:
    """What differs after the removal; the copies that Coolify's own update makes of .env are nobody's fault."""
    run = lab.play("playbooks/remove.yml")
    assert run.code == 0, run.text
    return [line for line in differences(expected, lab.snapshot()) if f"{ENV}-20" not in line]


@pytest.mark.parametrize("mode", MODES)
def test_from_the_separate_layout_to_the_bundled_one(lab, coolify, untouched, mode):
    back_to_the_old_version(coolify)
    treated_as_check_mode_says(lab, mode)
    nothing_to_change(lab, mode)
    assert given_back(lab, untouched[OLD]) == []
    assert lab.play("playbooks/site.yml", coolify_access=mode).code == 0
    update_without_a_moment_without_routes(coolify, NEW)
    proved(lab, mode, "updated")
    nothing_to_change(lab, mode)
    assert given_back(lab, untouched[NEW]) == []
    # From here on it is what test_site.py tells of this mode.
    if mode != "dual":
        treated_as_check_mode_says(lab, mode)
        nothing_to_change(lab, mode)
        assert given_back(lab, untouched[NEW]) == []


def test_there_and_back_again(lab, coolify, untouched):
    back_to_the_old_version(coolify)
    assert lab.play("playbooks/site.yml", coolify_access="dual").code == 0
    staying = {side: Browsing(lab, side, f"staying-{side}", "--stay") for side in SIDES["dual"]}
    for browser in staying.values():
        browser.greeted()
    for browser in staying.values():
        browser.settled()
    for version in (MIDDLE, NEW, OLD):
        update_without_a_moment_without_routes(coolify, version)
        for side, browser in staying.items():
            browser.back(f"{side}-at-{version}")
        kept_out(lab, f"staying-{version}")
        nothing_to_change(lab, "dual")
    for side, browser in staying.items():
        seen = browser.ended()
        assert "error" not in seen, seen
        assert seen["back"] == [f"{side}-at-{version}" for version in (MIDDLE, NEW, OLD)]


@pytest.mark.parametrize("name", SEPARATE)
def test_each_fault_of_the_separate_layout_is_named_at_its_hop(lab, coolify, name):
    expect_each_where_it_is(lab, SEPARATE[name])


def test_an_update_without_a_version(lab, coolify):
    """Fact 52: it leaves ``latest`` where the version was."""
    coolify.shell("/data/coolify/source/upgrade.sh")
    proved(lab, "dual", "latest")
    nothing_to_change(lab, "dual")


def test_a_backend_port_that_an_earlier_run_wrote(lab, coolify, untouched):
    """Fact 42: the pair moves the realtime server inside the container, and its health check follows it."""
    assert lab.play("playbooks/remove.yml").code == 0
    back_to_the_old_version(coolify)
    domain = lab.variables()["lab_domain"]
    pair = f"PUSHER_BACKEND_HOST={domain} PUSHER_BACKEND_PORT=443"
    coolify.shell(f"sed -i /^PUSHER_BACKEND_/d {ENV}; printf '%s\\n' {pair} >>{ENV}")
    coolify.upgrade(MIDDLE)
    run = lab.play("playbooks/verify.yml", coolify_access="dual")
    assert run.code != 0
    assert "environment (CWT-309)" in run.failed[lab.host][0]
    # The health check follows the port: nothing else would have told.
    assert coolify.inspect()["State"]["Health"]["Status"] == "healthy"
    mended = lab.play("playbooks/site.yml", coolify_access="dual")
    assert mended.code == 0, mended.text
    proved(lab, "dual", "mended")
