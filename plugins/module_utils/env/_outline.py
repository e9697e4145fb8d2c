# SPDX-License-Identifier: GPL-3.0-or-later
"""What it takes to give back a .env, without a value of what is not ours."""

from __future__ import annotations

import bisect
import collections
import typing as t

from . import _dotenv


class Outline(t.TypedDict):
    """A file as `put_back` needs it, fit for JSON.

    `lines` has of each statement the name, None for comments and blanks, or, where it is one of `keys`, name and text.
    `ends` is whether the last line has an end.
    """

    keys: list[str]
    lines: list[str | list[str] | None]
    ends: bool


def outline(data: bytes, keys: t.Collection[str]) -> Outline:
    """The lines of `keys`, and of the others the names alone. Raises DotenvError."""
    text = _dotenv.decode(data)
    lines: list[str | list[str] | None] = []
    for statement in _dotenv.statements(text):
        ours = statement.name is not None and statement.name in keys
        lines.append([str(statement.name), text[statement.start : statement.end]] if ours else statement.name)
    return {"keys": sorted(keys), "lines": lines, "ends": not lines or text.endswith(("\n", "\r"))}


def values(before: Outline) -> dict[str, str]:
    """What the outline's keys were. Raises DotenvError."""
    return _dotenv.values(_dotenv.encode("\n".join(line[1] for line in before["lines"] if isinstance(line, list))))


def without(before: Outline, keys: t.Collection[str]) -> Outline:
    """The outline as if these keys were none of its own."""
    lines = [line[0] if isinstance(line, list) and line[0] in keys else line for line in before["lines"]]
    return {"keys": [key for key in before["keys"] if key not in keys], "lines": lines, "ends": before["ends"]}


def put_back(data: bytes, before: Outline) -> bytes:
    """`data` with the lines of the outline's keys as they were in the file that it was made of.

    Byte for byte that file, if only lines of these keys were edited since. Else each line stands behind what it stood
    behind, or where the first of its key stands now if that is nearer to what somebody put there since. Raises DotenvError.
    """
    text, keys = _dotenv.decode(data), set(before["keys"])
    found = [(statement.name, text[statement.start : statement.end]) for statement in _dotenv.statements(text)]
    others = [index for index, (name, _raw) in enumerate(found) if name not in keys]
    names = [line for line in before["lines"] if not isinstance(line, list)]
    place = {was: others[now] for was, now in _matched(names, [found[index][0] for index in others])}
    first = {name: index for index, (name, _raw) in reversed(list(enumerate(found)))}
    came: dict[int, list[str]] = {}
    passed, start, last = 0, 0, len(found)
    for line in before["lines"]:
        if not isinstance(line, list):
            start = max(start, place.get(passed, -1) + 1)
            passed += 1
            continue
        end = next((place[n] for n in range(passed, len(names)) if n in place), last)
        now = first.get(line[0], -1)
        start = now if start <= now < end else start
        came.setdefault(start, []).append(line[1])
    kept: list[tuple[int, str]] = []
    for index, (name, raw) in enumerate([*found, (None, "")]):
        kept += [(-1, line) for line in came.get(index, ())] + [(index, raw)] * (bool(raw) and name not in keys)
    if not (before["ends"] or isinstance(before["lines"][-1], list)) and kept and kept[-1][0] == place.get(len(names) - 1):
        kept[-1] = (kept[-1][0], _dotenv.split_end(kept[-1][1])[0])
    eol = _dotenv.eol_of(text, *(line[1] for line in before["lines"] if isinstance(line, list)))
    body = ""
    for _index, raw in kept:
        # The last line of a file may have no end, and stand elsewhere now.
        body += eol * (bool(body) and not body.endswith(("\n", "\r"))) + raw
    return _dotenv.encode((_dotenv.BOM if text.startswith(_dotenv.BOM) else "") + body)


def _matched(before: t.Sequence[str | None], after: t.Sequence[str | None]) -> t.Iterator[tuple[int, int]]:
    """The offsets of what is the same: names that both have once, and what between two of them the lines begin and end with.

    Comments and blanks are many and all alike: to match each with each, as difflib does, takes the square of their number.
    """
    now = _once(after)
    anchors = [(-1, -1), *_rising((was, now[name]) for name, was in _once(before).items() if name in now)]
    for (a, b), (c, d) in zip(anchors, [*anchors[1:], (len(before), len(after))]):
        # First from the end: what comes to a line later is put above it rather than below.
        behind = _alike(before[a + 1 : c][::-1], after[b + 1 : d][::-1])
        yield from zip(range(c - behind, c), range(d - behind, d))
        ahead = _alike(before[a + 1 : c - behind], after[b + 1 : d - behind])
        yield from zip(range(max(a, 0), a + 1 + ahead), range(max(b, 0), b + 1 + ahead))


def _once(names: t.Sequence[str | None]) -> dict[str | None, int]:
    """Where each of the names stands that are there once."""
    counts = collections.Counter(names)
    return {name: index for index, name in enumerate(names) if name is not None and counts[name] == 1}


def _rising(pairs: t.Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The most of these pairs, which rise in the first number, that rise in the second too."""
    lasts: list[int] = []
    chains: list[tuple[t.Any, ...]] = []
    for was, now in pairs:
        at = bisect.bisect(lasts, now)
        lasts[at : at + 1] = [now]
        chains[at : at + 1] = [(was, now, chains[at - 1] if at else None)]
    found, chain = [], chains[-1] if chains else None
    while chain is not None:
        found.append(chain[:2])
        chain = chain[2]
    return found[::-1]


def _alike(one: t.Sequence[t.Any], other: t.Sequence[t.Any]) -> int:
    """How many of the first are the same in both."""
    return next((index for index, pair in enumerate(zip(one, other)) if pair[0] != pair[1]), min(len(one), len(other)))
