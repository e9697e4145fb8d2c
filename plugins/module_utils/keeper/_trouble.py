# SPDX-License-Identifier: GPL-3.0-or-later
"""A place that cannot be written to, said in a way that tells which file, by which option, and what to do."""

from __future__ import annotations

import errno
import os

_ROOM = "free room or inodes where it lies (see df -h and df -i)"
# By number, since the C library says it in the host's language; by words for what other programs say.
_ADVICE = (
    (errno.ENOSPC, "no space left on device", _ROOM),
    (errno.EDQUOT, "quota exceeded", _ROOM),
    (errno.EROFS, "read-only", "mount its file system read-write"),
    (errno.EPERM, "operation not permitted", "end what keeps it or its folder from being changed (see lsattr -d; chattr -i)"),
    (errno.ELOOP, "symbolic link", "remove the link, or put what it leads to in its place"),
    (errno.EINVAL, "no regular file", "move away what is there"),
    (errno.EFBIG, "larger than", "move away what is there"),
)


def message(error: OSError, *options: tuple[str, str]) -> str:
    """What happened, where, and what to do. `options` are names with the paths that they gave, the main one first."""
    path = str(error.filename or options[0][1])
    advice = next((text for code, _words, text in _ADVICE if code == error.errno), "see to it")
    named = next((f"{name}: " for name, given in options if _is_within(path, given)), "")
    return f"{named}{path}: {error.strerror or error}; {advice}, and run again"


def advised(words: str) -> str:
    """The words of another program, with what to do where they tell of such a place."""
    advice = next((text for _code, known, text in _ADVICE if known in words.lower()), "")
    return f"{words}; {advice}, and run again" if advice else words


def _is_within(path: str, folder: str) -> bool:
    return any(path == one or path.startswith(one + "/") for one in (folder, os.path.realpath(folder)))
