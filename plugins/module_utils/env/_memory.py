# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to this collection: no promise is made to anybody else.

What a .env was before the first edit, so that the edits can be taken back, also after Coolify's upgrade.sh has written
the file anew in its own way (fact 5).
"""

from __future__ import annotations

from ..keeper import _undo
from . import _dotenv


class EnvMemory:
    """The memory of the .env at `path`, in the directory `folder`.

    Every method may raise OSError and DamagedStoreError.
    """

    def __init__(self, folder: str, path: str) -> None:
        self._store = _undo.Store(folder, path)
        # What the file says where a run was cut after it remembered and before it wrote.
        self._unwritten = _undo.Store(folder, path + ".unwritten")

    def exists(self) -> bool:
        return self._store.load() is not None or self._unwritten.load() is not None

    def remember(self, before: bytes, after: bytes) -> None:
        """Keeps what to go back to, before `before` is overwritten with `after`. Raises DotenvError."""
        original = _text(self.original(before))
        self._unwritten.save(_undo.Memory(original, _text(before)))
        self._store.save(_undo.Memory(original, _text(after)))

    def original(self, current: bytes) -> bytes:
        """`current` without any edit of ours, and with all that others changed since. Raises DotenvError."""
        memory = self._store.load()
        if memory is None:
            return current
        for exact in (memory, self._unwritten.load()):
            if exact is not None and _text(current) == exact.written:
                return _bytes(exact.original)
        merged = _undo.original(memory, _text(current))
        original = _bytes(memory.original)
        put_back = _dotenv.put_back(current, original, self.keys())
        # Line by line is nearest to the bytes of before, but only knows lines: where it disagrees about a variable, as
        # it may after the file was sorted, key by key is right.
        if merged is not None and not _dotenv.edited_keys(_bytes(merged), put_back):
            return _bytes(merged)
        return put_back

    def keys(self) -> list[str]:
        """The keys that we wrote, or were about to write where a run was cut: they are ours, and no others."""
        edits = [_dotenv.edited_keys(_bytes(memory.original), _bytes(memory.written)) for memory in self._memories()]
        return sorted({key for keys in edits for key in keys})

    def _memories(self) -> list[_undo.Memory]:
        return [memory for memory in (self._store.load(), self._unwritten.load()) if memory is not None]

    def forget(self) -> None:
        self._unwritten.forget()
        self._store.forget()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
