from __future__ import annotations

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.host import _versions

COOLIFY = [
    "3.12.36",
    "4.0.0-beta.99",
    "4.0.0-beta.420.1",
    "4.0.0-beta.426",
    "4.0.0-beta.426.2",
    "v4.0.0-beta.430",
    "4.0.0-rc.1",
    "4.0.0",
    "4.0.1",
    "4.3.0",
    "4.3.11",
    "v4.4-rc.1",
    "4.4.0",
    "4.10.0",
]


def test_releases_sort_in_the_order_they_came_out() -> None:
    assert all(
        _versions.at_least(later, earlier) and not _versions.at_least(earlier, later)
        for earlier, later in zip(COOLIFY, COOLIFY[1:])
    )


@pytest.mark.parametrize(
    ("have", "want", "answer"),
    [
        ("4.0.0-beta.425", "4.0.0-beta.426", False),
        ("4.0.0-beta.425.9", "4.0.0-beta.426", False),
        ("4.0.0-beta.426", "4.0.0-beta.426", True),
        ("4.0.0-nightly.900", "4.0.0-beta.426", False),
        ("20.10.24+dfsg1", "20.10", True),
        ("19.03.15", "20.10", False),
        ("26.1.5", "20.10", True),
        ("v3.1", "3.1", True),
        ("3.0.4", "3.1", False),
        ("", "20.10", None),
        ("latest", "3.1", None),
        ("4.0.0-beta.426\n4", "4.0.0-beta.426", None),
    ],
)
def test_at_least(have: str, want: str, answer: bool | None) -> None:
    assert _versions.at_least(have, want) is answer
