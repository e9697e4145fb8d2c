"""Which releases of ansible-core are tried, as the docs say it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import cores  # noqa: E402


def test_everything_else_runs_on_the_newest_that_its_python_can_have() -> None:
    lock = (ROOT / "requirements-dev.txt").read_text()
    locked = re.findall(r"(?m)^ansible-core==(\S+) ; python_full_version (< |>= )'3.12'", lock)
    assert locked == [(cores.CORES["2.19"][0], "< "), (cores.CORES[cores.CURRENT][0], ">= ")]


def test_the_lock_names_no_address() -> None:
    assert "://" not in (ROOT / "requirements-dev.txt").read_text()


def test_the_table_is_of_the_releases_that_are_promised() -> None:
    table = (ROOT / "docs" / "versions.md").read_text().partition("<!-- BEGIN make matrix -->")[2]
    found = [line.split("|")[1].split()[0] for line in table.splitlines() if line.startswith("| 2")]
    assert found == [release for release, _python in cores.CORES.values()]
    assert f"| {cores.shown(cores.OLDEST_SUPPORTED)} |" in table
