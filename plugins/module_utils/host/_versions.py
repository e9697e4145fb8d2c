# SPDX-License-Identifier: GPL-3.0-or-later
"""Order of the version numbers that Coolify, Docker and Traefik write."""

from __future__ import annotations

import re
import typing as t

# A release sorts after all of its pre-releases; a pre-release name nobody knows sorts before those that are known.
_STAGES = {"alpha": 1, "beta": 2, "rc": 3}
_UNKNOWN_STAGE = 0
_RELEASE = 4

_VERSION = re.compile(
    r"v?(?P<major>\d+)(?:\.(?P<minor>\d+))?(?:\.(?P<patch>\d+))?"
    r"(?:-(?P<stage>[A-Za-z]+)(?:[.-]?(?P<number>\d+)(?:\.(?P<sub>\d+))?)?)?"
    r"(?:[-+~.].*)?"
)

Version = t.Tuple[int, int, int, int, int, int]


def parse(text: str) -> Version | None:
    """Return a tuple that sorts as the versions do, or None where ``text`` is no version.

    Takes ``4.0.0-beta.426``, ``4.0.0-beta.420.1``, ``v4.4-rc.1``, ``20.10.24+dfsg1``, ``v3.1``.
    """
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        return None
    stage = match["stage"]
    rank = _RELEASE if stage is None else _STAGES.get(stage.lower(), _UNKNOWN_STAGE)
    return (
        int(match["major"]),
        int(match["minor"] or 0),
        int(match["patch"] or 0),
        rank,
        int(match["number"] or 0),
        int(match["sub"] or 0),
    )


def at_least(text: str, minimum: str) -> bool | None:
    """Whether version ``text`` is ``minimum`` or later; None where one of them is no version."""
    have, want = parse(text), parse(minimum)
    if have is None or want is None:
        return None
    return have >= want
