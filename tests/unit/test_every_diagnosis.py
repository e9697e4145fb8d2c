"""No diagnosis without a fault that it is seen to be given to, and no fault that waits for one that there is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.verify import _diagnosis, _hops

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import diagnosed

ROUNDS = {**diagnosed.diagnosis_faults.ROUNDS, **diagnosed.diagnosis_faults.SEPARATE}


def test_every_diagnosis_has_its_fault() -> None:
    assert set(diagnosed.faults()) == set(_diagnosis.TABLE)


@pytest.mark.parametrize("name", ROUNDS)
def test_a_round_knows_what_it_waits_for(name: str) -> None:
    faults = ROUNDS[name].faults.values()
    waited_for = [identifier for fault in faults if fault.entry is None for identifier in fault.gives]
    assert len(waited_for) == len(set(waited_for)), "two faults of one host with the same id cannot be told apart"
    for fault in faults:
        assert fault.gives
        assert {*fault.gives, *fault.follows} <= set(_diagnosis.TABLE)
        assert set(fault.gives.values()) <= set(_hops._ORDER)
        assert bool(fault.make) == bool(fault.undo)
        for script in (fault.make, fault.undo):
            subprocess.run(["sh", "-n"], input=diagnosed.diagnosis_faults.TOOLS + script, text=True, check=True)
