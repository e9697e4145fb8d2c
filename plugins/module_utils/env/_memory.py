# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a .env was there before the first edit, so that the edits can be taken back.

Also after Coolify's upgrade.sh has written the file anew in its own way (fact 5). Of what is not ours no value is kept:
the file is full of secrets.
"""

from __future__ import annotations

import typing as t

from ..keeper import _kept
from . import _dotenv, _outline


class EnvMemory:
    """The memory of the .env at `path`, in the directory `folder`. Every method may raise OSError and KeptError."""

    def __init__(self, folder: str, path: str) -> None:
        self._entry = _kept.Entry(folder, "env", path)

    def exists(self) -> bool:
        return self._entry.load() is not None

    def remember(self, before: bytes, after: bytes) -> None:
        """Keeps what to go back to, before `before` is overwritten with `after`. Raises DotenvError."""
        # What was ours stays ours, also a key that is as it was again: it may stand elsewhere.
        keys = {*self.keys(), *_dotenv.edited_keys(before, after)}
        kept = _outline.outline(self.original(before), keys)
        values, earlier = _dotenv.values(after), self._written()
        written = {key: [values.get(key), *earlier.get(key, ())] for key in sorted(keys)}
        self._entry.remember({**kept, "written": {key: list(dict.fromkeys(known)) for key, known in written.items()}})

    def done(self) -> None:
        before = self._entry.load()
        if before is not None:
            # From now on the file has the last values, and no earlier ones.
            before["written"] = {key: known[:1] for key, known in (before.get("written") or {}).items()}
            self._entry.done(before)

    def original(self, current: bytes) -> bytes:
        """`current` without any edit of ours, and with all that others changed since. Raises DotenvError."""
        before = self._before()
        if before is None:
            return current
        _dotenv.check(current, before["keys"])
        values, first = _dotenv.values(current), _outline.values(before)
        theirs = {
            key for key, known in self._written().items() if values.get(key) not in (*known, first.get(key))
        }
        return _outline.put_back(current, _outline.without(before, theirs))

    def _written(self) -> dict[str, list[str | None]]:
        """The value that we gave each key, None for none, and until that is done those before it.

        What has another one by now is somebody's own.
        """
        return t.cast("dict[str, list[str | None]]", (self._entry.load() or {}).get("written") or {})

    def keys(self) -> list[str]:
        """The keys that we wrote, or were about to write where a run was cut: they are ours, and no others."""
        before = self._before()
        return [] if before is None else before["keys"]

    def forget(self) -> None:
        self._entry.forget()

    def _before(self) -> _outline.Outline | None:
        return t.cast("_outline.Outline | None", self._entry.load())
