"""Every page of the documentation that another one names is there, in the checkout and in the tarball."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("roles/*/README.md")]
GALAXY = yaml.safe_load((ROOT / "galaxy.yml").read_text())
# By itself ansible-galaxy leaves out its own file: the tarball has MANIFEST.json in its place.
LEFT_OUT = ["galaxy.yml", *GALAXY["build_ignore"]]
_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)")


def packed(path: Path) -> bool:
    """Whether ansible-galaxy puts a file or folder of the checkout into the tarball."""
    place = path.relative_to(ROOT)
    return not any(fnmatch.fnmatch(str(part), pattern) for part in (place, *place.parents) for pattern in LEFT_OUT)


def dead(page: Path) -> list[str]:
    places = {link: (page.parent / link).resolve() for link in _LINK.findall(page.read_text())}
    return [link for link, place in places.items() if not (place.exists() and place.is_relative_to(ROOT) and packed(place))]


def test_no_link_is_dead() -> None:
    assert [page for page in PAGES if not packed(page)] == []
    assert {str(page.relative_to(ROOT)): links for page in PAGES if (links := dead(page))} == {}


def test_every_page_is_found_from_the_first() -> None:
    found, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page.suffix == ".md" and page not in found:
            found.add(page)
            waiting += [(page.parent / link).resolve() for link in _LINK.findall(page.read_text())]
    assert [str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md") if page not in found] == []


def test_no_page_names_the_server_that_does_not_answer_yet() -> None:
    address = GALAXY["repository"].partition("://")[2]
    others = [ROOT / "requirements.yml", ROOT / "inventory.example"]
    assert [str(page.relative_to(ROOT)) for page in [*PAGES, *others] if address in page.read_text()] == []
