"""The scenario's hosts, in both layouts."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[3] / folder) for folder in ("tests", "molecule/shared")]

pytest.register_assert_rewrite("ways")

from ways import coolify, lab, version  # noqa: E402, F401
