"""One style of docstrings: prose that names parameters in backticks and ends in what it raises; ruff has the rest."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIELDS = re.compile(r"^\s*(?:\"\"\")?(:(param|returns?|raises)\b|(Args|Returns|Raises|Yields):\s*$)", re.MULTILINE)
FILES = [path for folder in ("plugins", "roles/coolify_self_heal/files") for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_docstring_is_prose(path: Path) -> None:
    assert FIELDS.findall(path.read_text(encoding="utf-8")) == []
