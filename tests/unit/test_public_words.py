"""What a stranger reads refers to nothing that only we have: numbered notes, case names, the guide we set out from."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSIDE = re.compile(r"\bfacts? \d|\bfield cases?\b|\b(issue|point|case) [A-Z]?\d|\bthe (old )?guide\b", re.IGNORECASE)
PAGES = sorted(
    path
    for pattern in (
        "*.md", "*.rst", "inventory.example", "docs/*.md", "roles/*/README.md", "roles/*/meta/*.yml", "plugins/filter/*.yml",
        "changelogs/fragments/*.yml", "playbooks/*.yml",
    )
    for path in ROOT.glob(pattern)
)


def documentation(module):
    """The texts that ansible-doc shows of a module or a fragment."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(page):
    assert not INSIDE.search(page.read_text())


@pytest.mark.parametrize("folder", ["modules", "doc_fragments"])
def test_documentation(folder):
    texts = [text for module in sorted((ROOT / "plugins" / folder).glob("*.py")) for text in documentation(module)]
    assert texts
    assert [text for text in texts if INSIDE.search(text)] == []
