"""By which faults each diagnosis is tested: of a host in the lab, and of a server that means harm."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS / "e2e"), str(TESTS / "unit" / "plugins" / "module_utils")]

import diagnosis_faults  # noqa: E402
import hostile_servers  # noqa: E402


def faults() -> dict[str, list[str]]:
    """By id the faults that it is given to, in words, those of a host first."""
    found: dict[str, list[str]] = {}
    for identifier, words in itertools.chain(diagnosis_faults.by_diagnosis(), hostile_servers.by_diagnosis()):
        found.setdefault(identifier, []).append(words)
    return found
