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
        self._entry.remember(_outline.outline(self.original(before), keys))

    def done(self) -> None:
        self._entry.done()

    def original(self, current: bytes) -> bytes:
        """`current` without any edit of ours, and with all that others changed since. Raises DotenvError."""
        before = self._before()
        return current if before is None else _outline.put_back(current, before)

    def keys(self) -> list[str]:
        """The keys that we wrote, or were about to write where a run was cut: they are ours, and no others."""
        before = self._before()
        return [] if before is None else before["keys"]

    def forget(self) -> None:
        self._entry.forget()

    def _before(self) -> _outline.Outline | None:
        return t.cast("_outline.Outline | None", self._entry.load())
