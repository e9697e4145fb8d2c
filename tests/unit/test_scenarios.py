"""Which Coolify each scenario has on which system, as CONTRIBUTING tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_TABLE = (ROOT / "CONTRIBUTING.md").read_text().partition("<!-- BEGIN scenarios -->")[2]
SCENARIOS = {line.split("|")[1].strip(): line for line in _TABLE.splitlines() if "bundled" in line or "separate" in line}


def test_every_scenario_is_in_the_table() -> None:
    assert set(SCENARIOS) == {path.parent.name for path in ROOT.glob("molecule/*/molecule.yml")}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_has_both_layouts_over_the_systems(name: str) -> None:
    assert {cell.split()[1] for cell in SCENARIOS[name].split("|")[2:-1]} == {"bundled", "separate"}
