"""The lab that the end-to-end tests look at."""

from __future__ import annotations

import os
import sys
import typing as t
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / folder) for folder in ("tests", "molecule/shared")]

pytest.register_assert_rewrite("ways")

from lab_client import Lab  # noqa: E402
from ways import coolify, version  # noqa: E402, F401

PREFIX = os.environ.get("LAB_PREFIX", "e2e")


@pytest.fixture(scope="session")
def lab() -> t.Iterator[Lab]:
    made = Lab(PREFIX)
    if not os.environ.get("LAB_KEEP"):
        made.down()
    made.up()
    yield made
    if not os.environ.get("LAB_KEEP"):
        made.down()
