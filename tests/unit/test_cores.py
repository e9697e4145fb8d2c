"""Which releases of ansible-core are tried, as the docs say it."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import cores  # noqa: E402


def test_everything_else_runs_on_2_19() -> None:
    assert f"ansible-core=={cores.CORES['2.19'][0]}" in (ROOT / "requirements-dev.txt").read_text().split()


def test_the_table_is_of_the_releases_that_are_promised() -> None:
    table = (ROOT / "docs" / "versions.md").read_text().partition("<!-- BEGIN make matrix -->")[2]
    found = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| 2")]
    assert found == [release for release, _python in cores.CORES.values()]
