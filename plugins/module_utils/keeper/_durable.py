# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are replaced in one step: whoever reads one finds the old or the new, after a power failure too."""

from __future__ import annotations

import contextlib
import errno
import os


def write(path: str, data: bytes, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Replaces the file; at no moment is it readable by more people than in the end.

    `mode` holds the permission bits, `owner` the numbers of user and group; None for those of this process. Raises OSError,
    with the file as it was, and nothing beside it.
    """
    refuse_link(path)
    try:
        descriptor = os.open(_candidate(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            target.write(data)
            target.flush()
            if owner is not None:
                os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        os.replace(_candidate(path), path)
    except OSError as error:
        with contextlib.suppress(OSError):
            sweep(path)
        raise OSError(error.errno, error.strerror, path) from error
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def refuse_link(path: str) -> None:
    """Raises OSError where a symbolic link is in the file's place: it is somebody's, and `write` would take it away."""
    if os.path.islink(path):
        raise OSError(errno.ELOOP, f"there is a symbolic link to {os.readlink(path)}", path)


def refuse_unfit(path: str, room: int) -> None:
    """Raises OSError where another program could not write the file in place with `room` bytes more, and would spoil it."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        size, system = os.fstat(descriptor).st_size, os.fstatvfs(descriptor)
    finally:
        os.close(descriptor)
    if system.f_bfree * system.f_frsize < size + room:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def remove(path: str) -> None:
    """Removes the file, if it is there, and what a cut `write` left beside it. Raises OSError."""
    sweep(path)
    _unlink(path)


def sweep(path: str) -> None:
    """Removes what a cut `write` left beside the file. Raises OSError."""
    _unlink(_candidate(path))


def cut(path: str) -> bool:
    """Whether a `write` of the file was cut."""
    return os.path.exists(_candidate(path))


def _candidate(path: str) -> str:
    # Always the same, so that the next write overwrites what a cut one left; neither systemd nor Traefik reads it.
    return path + ".new"


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(path)
