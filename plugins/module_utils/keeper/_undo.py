# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to this collection: no promise is made to anybody else.

What a text file was before it was edited, kept beside what was written, so that the edit can be taken back: byte for
byte where nobody touched the file since, else together with the changes that somebody made in between.
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import json
import os
import re
import typing as t


class DamagedStoreError(ValueError):
    """What was kept cannot be read back."""


class Memory(t.NamedTuple):
    """A text as it was found, and as it was written in its place."""

    original: str
    written: str


class Store:
    """Keeps one Memory for the file at `path`, in a folder that only its owner can enter."""

    def __init__(self, folder: str, path: str) -> None:
        self._folder = folder
        name = hashlib.sha256(os.path.abspath(path).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self._file = os.path.join(folder, f"original-{name}.json")
        self._path = path

    def load(self) -> Memory | None:
        """What was kept, or None. Raises OSError and DamagedStoreError."""
        try:
            with open(self._file, "rb") as source:
                content = json.loads(source.read().decode("ascii"))
            return Memory(_decode(content["original"]), _decode(content["written"]))
        except FileNotFoundError:
            return None
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedStoreError(f"{self._file} is damaged; delete it to go on without the original") from error

    def save(self, memory: Memory) -> None:
        """Keeps `memory` durably, before the file itself is touched. Raises OSError."""
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        content = {"path": self._path, "original": _encode(memory.original), "written": _encode(memory.written)}
        temporary = self._file + ".new"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            target.write(json.dumps(content).encode("ascii"))
            target.flush()
            os.fsync(target.fileno())
        os.replace(temporary, self._file)

    def forget(self) -> None:
        """Removes what was kept, and the folder if nothing else is in it. Raises OSError."""
        for leftover in (self._file, self._file + ".new"):
            if os.path.exists(leftover):
                os.unlink(leftover)
        if os.path.isdir(self._folder) and not os.listdir(self._folder):
            os.rmdir(self._folder)


def undo(memory: Memory, current: str) -> str | None:
    """`current` without what the edit changed; None where a later change overlaps it."""
    base = _lines(memory.written)
    ours, theirs = _hunks(base, _lines(memory.original)), _hunks(base, _lines(current))
    merged = sorted(ours + [hunk for hunk in theirs if hunk not in ours], key=lambda hunk: hunk[:2])
    for (_start, stop, _text), (next_start, next_stop, _next_text) in zip(merged, merged[1:]):
        if next_start < stop or (next_start == stop == next_stop):
            return None
    for start, stop, replacement in reversed(merged):
        base[start:stop] = replacement
    return "".join(base)


def original(memory: Memory | None, current: str) -> str | None:
    """What `current` would be had it never been edited; None where that cannot be told."""
    if memory is None or current == memory.original:
        return current
    return undo(memory, current)


def _lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _hunks(old: list[str], new: list[str]) -> list[tuple[int, int, list[str]]]:
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return [(i1, i2, new[j1:j2]) for tag, i1, i2, j1, j2 in matcher.get_opcodes() if tag != "equal"]


def _encode(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode("ascii")


def _decode(text: str) -> str:
    return base64.b64decode(text, validate=True).decode("utf-8", "surrogateescape")
