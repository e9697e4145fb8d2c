"""A full disk, a read-only mount, the immutable flag, a link in the file's place: said clearly, and nothing lost by it.

And the same where something is taken back. The run after, when the place is fit again, finishes by itself.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import sys

import pytest
from conftest import ROOT
from places import FAULTS, PLACES, STEPS, TUNNEL, TUNNEL_HOSTNAME, TUNNEL_RULES

from ansible_collections.selfhosted.coolify.plugins.plugin_utils import tunnel_list

sys.path.insert(0, str(ROOT / "tests" / "faults"))

import cuts


@pytest.fixture(scope="session", autouse=True)
def untreated():
    """Nothing of the host's own is edited here."""


@pytest.fixture(scope="session")
def found(coolify):
    """What is wrong in each cell of the table."""
    edit = tunnel_list.edit(TUNNEL, TUNNEL_HOSTNAME, TUNNEL_RULES)
    known = {"tunnel": {"splices": edit.splices, "digest": hashlib.sha256(TUNNEL.encode()).hexdigest()}}
    here = ROOT / "molecule" / "edits" / "tests"
    cuts.put_modules(coolify.name, here / "unfit_places.py", here / "places.py")
    try:
        # The role brings it, where the host has none.
        coolify.shell("command -v nft >/dev/null || { apt-get update && apt-get install -y nftables; } >&2")
        command = shlex.join(["python3", f"{cuts.FOLDER}/unfit_places.py", cuts.FOLDER, json.dumps(known)])
        return json.loads(coolify.shell(command).splitlines()[-1])
    finally:
        coolify.shell(f"rm -rf {cuts.FOLDER}")


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("place", [place.name for place in PLACES])
def test_a_place_that_cannot_be_written_to(found, place, step, kind):
    assert found[f"{place}-{step}-{kind}"] == ""
