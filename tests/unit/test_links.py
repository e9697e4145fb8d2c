"""Every page of the documentation that another one names is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("roles/*/README.md")]
_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)")


def dead(page: Path) -> list[str]:
    return [link for link in _LINK.findall(page.read_text()) if not (page.parent / link).exists()]


def test_no_link_is_dead() -> None:
    assert {str(page.relative_to(ROOT)): links for page in PAGES if (links := dead(page))} == {}


def test_every_page_is_found_from_the_first() -> None:
    found, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page.suffix == ".md" and page not in found:
            found.add(page)
            waiting += [(page.parent / link).resolve() for link in _LINK.findall(page.read_text())]
    assert [str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md") if page not in found] == []
