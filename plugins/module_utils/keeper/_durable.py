# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are replaced in one step: whoever reads one finds the old or the new, after a power failure too.

Root works here in folders that other accounts write to, such as those that Coolify's containers have mounted. So nothing is
read, written or removed through a link that another account could have put there, and nothing is waited for.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import typing as t

#: No file of this collection, and none that one takes the place of, is that large (bytes).
MOST = 16 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MOST_LINKS = 40


def write(path: str, data: bytes, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Replaces the file; at no moment is it readable by more people than in the end.

    `mode` holds the permission bits, `owner` the numbers of user and group; None for those of this process. Raises OSError,
    with the file as it was, and nothing beside it.
    """
    with _folder_of(path) as (folder, name):
        _refuse_link(folder, name, path)
        try:
            # One that was left, or that another account has put there, is not written into.
            _unlink(folder, _candidate(name))
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(_candidate(name), flags, 0o600, dir_fd=folder)
            with os.fdopen(descriptor, "wb") as target:
                target.write(data)
                target.flush()
                if owner is not None:
                    os.fchown(descriptor, *owner)
                os.fchmod(descriptor, mode)
                os.fsync(descriptor)
            os.replace(_candidate(name), name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                _unlink(folder, _candidate(name))
            raise OSError(error.errno, error.strerror, path) from error
        os.fsync(folder)


def read(path: str) -> tuple[bytes, os.stat_result] | None:
    """The file's bytes, and what it is; None for one that is not there. Raises OSError, for what is no regular file too."""
    try:
        with _folder_of(path) as (folder, name):
            _refuse_link(folder, name, path)
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _whole(descriptor, path)


def read_through(path: str) -> bytes:
    """The bytes of another program's file, links followed. Raises OSError, for what is no regular file too."""
    return _whole(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), path)[0]


def _whole(descriptor: int, path: str) -> tuple[bytes, os.stat_result]:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", path)
    with os.fdopen(descriptor, "rb") as source:
        data = source.read(MOST + 1)
    if len(data) > MOST:
        raise OSError(errno.EFBIG, f"it is larger than {MOST >> 20} MiB", path)
    return data, status


def refuse_link(path: str) -> None:
    """Raises OSError where a symbolic link is in the file's place, or on the way there: `write` would refuse it too."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), _folder_of(path) as (folder, name):
        _refuse_link(folder, name, path)


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
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), _folder_of(path) as (folder, name):
        _unlink(folder, name)


def sweep(path: str) -> None:
    """Removes what a cut `write` left beside the file. Raises OSError."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), _folder_of(path) as (folder, name):
        _unlink(folder, _candidate(name))


def cut(path: str) -> bool:
    """Whether a `write` of the file was cut."""
    return os.path.lexists(_candidate(path))


def _candidate(path: str) -> str:
    # Always the same, so that the next write clears away what a cut one left; neither systemd nor Traefik reads it.
    return path + ".new"


def _unlink(folder: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _refuse_link(folder: int, name: str, path: str) -> None:
    target = _link(name, folder)
    if target is not None:
        raise OSError(errno.ELOOP, f"there is a symbolic link to {target}", path)


@contextlib.contextmanager
def _folder_of(path: str) -> t.Iterator[tuple[int, str]]:
    """The file's folder, open, and its name there. Raises OSError."""
    absolute = os.path.abspath(path)
    try:
        folder = _opened(os.path.dirname(absolute))
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    try:
        yield folder, os.path.basename(absolute)
    except OSError as error:
        # It names the file as it is called in its folder.
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(folder)


def _opened(path: str) -> int:
    """The folder's descriptor, reached step by step, through a link only where root or this account alone can have put it."""
    steps, links = path.split("/"), 0
    folder = os.open("/", _FOLDER)
    try:
        while steps:
            step = steps.pop(0) or "."
            try:
                further = os.open(step, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            except NotADirectoryError:
                # What Linux says of a link, too.
                target = _link(step, folder)
                if target is None:
                    raise
                links += 1
                if links > _MOST_LINKS or not _is_own(os.fstat(folder)):
                    raise OSError(errno.ELOOP, f"there is a symbolic link to {target} on the way", path) from None
                steps[:0] = target.split("/")
                further = os.open("/" if target.startswith("/") else ".", _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = further
    except BaseException:
        os.close(folder)
        raise
    return folder


def _link(name: str, folder: int) -> str | None:
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:
        return None


def _is_own(folder: os.stat_result) -> bool:
    """Whether nobody but root and this account writes to the folder."""
    others = folder.st_mode & (stat.S_IWOTH | (stat.S_IWGRP if folder.st_gid else 0))
    return folder.st_uid in (0, os.geteuid()) and not others
