# SPDX-License-Identifier: GPL-3.0-or-later
"""What it takes to give back a .env, without a value of what is not ours."""

from __future__ import annotations

import difflib
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
    blocks = difflib.SequenceMatcher(None, names, [found[index][0] for index in others], autojunk=False)
    place = {a + n: others[b + n] for a, b, length in blocks.get_matching_blocks() for n in range(length)}
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
