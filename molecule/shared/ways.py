"""What the scenarios ask of every way in: whom it promises to let in comes in, a stranger does not, and all is given back."""

from __future__ import annotations

import json
import os
import re
import typing as t

import pytest
from compare_snapshots import differences
from coolify_host import CoolifyHost
from lab_client import ROOT, Browsing, Lab, Run

# Seconds that people are silent for, and the third of them that nginx and Traefik bear: by themselves a minute, of three.
SILENCE = int(os.environ.get("LAB_IDLE_SECONDS") or 15)
BORNE = f"{SILENCE // 3}s"
#: A version of each layout.
LAYOUTS = {"4.3.24": "separate", "4.7.6": "bundled"}


@pytest.fixture(scope="session", params=os.environ.get("LAB_HOSTS", "").split())
def lab(request) -> Lab:
    return Lab(os.environ.get("LAB_PREFIX") or "molecule", request.param)


@pytest.fixture(scope="session")
def coolify(lab) -> CoolifyHost:
    return CoolifyHost(lab.host)


@pytest.fixture(scope="module", params=LAYOUTS)
def version(request, lab, coolify) -> t.Iterator[str]:
    """The host at this version of Coolify, untreated before and after."""
    if coolify.inspect()["Config"]["Image"].rpartition(":")[2] != request.param:
        coolify.upgrade(request.param)
    before = lab.snapshot()
    yield request.param
    assert lab.play("playbooks/remove.yml").code == 0
    # The copies of .env are Coolify's own, of its updates.
    assert [line for line in differences(before, lab.snapshot()) if "/source/.env-20" not in line] == []


def treated(lab: Lab, playbook: str = "playbooks/site.yml", **variables: object) -> Run:
    """The run of site.yml, or of verify.yml, that found every hop of the plan as it should be."""
    run, found = lab.diagnoses(playbook, **variables)
    assert (run.code, found) == (0, {lab.host: set()}), run.text
    return run


def let_in_only(lab: Lab, name: str, *people: tuple[str, str], silent: int = 0) -> None:
    """All at once, each by a side and a domain (empty: the instance's): a terminal typed into, an event received.

    `silent`: then nothing for so many seconds, and again in the same sockets. Meanwhile a stranger is kept out.
    """
    stranger, opened = _stranger(lab, name), {}
    for side, domain in people:
        one = re.sub(r"[^\w.-]+", "-", f"{name}-{side}{domain}")
        opened[one] = Browsing(lab, side, one, "--idle", str(silent), domain=domain)
    for browser in opened.values():
        browser.greeted()
    _kept_out(lab, stranger)
    for one, browser in opened.items():
        seen = browser.ended()
        assert "error" not in seen, seen
        assert (seen["answer"], seen["event"]) == ("42", f"hello-{one}")
        assert seen.get("idle") == ("connected" if silent else None)


def kept_out(lab: Lab, name: str) -> None:
    """The public side has no way to the two ports, nor to a terminal by the page's own port."""
    _kept_out(lab, _stranger(lab, name))


def _stranger(lab: Lab, name: str) -> Browsing:
    return Browsing(lab, "stranger", f"{name}-stranger", "--timeout", "6")


def _kept_out(lab: Lab, stranger: Browsing) -> None:
    variables = lab.variables()
    public = answered(lab, f"{lab.prefix}-outside", variables["ansible_host"], variables["lab_address6"])
    assert list(public.values()) == [False] * 4, public
    stranger.greeted()
    seen = stranger.ended()
    assert "error" in seen
    assert "terminal" not in seen


def answered(lab: Lab, machine: str, *addresses: str) -> dict[str, bool]:
    """Whether each of the two ports answers that machine, at each of these addresses of the host."""
    ports = [(address, port) for address in addresses for port in (6001, 6002)]
    targets = [{"key": f"{address} {port}", "source": None, "host": address, "port": port} for address, port in ports]
    attempt = (ROOT / "molecule" / "firewall" / "attempt.py").read_text()
    return json.loads(lab.run(machine, "python3", "-c", attempt, json.dumps(targets)))
