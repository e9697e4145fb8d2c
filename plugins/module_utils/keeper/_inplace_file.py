# SPDX-License-Identifier: GPL-3.0-or-later
"""Overwrites a small file in place, so that its inode, owner, mode and attributes stay.

A file that is mounted into a container by itself must not be replaced by rename (fact 5). What rename would give is made
up for by a journal:

1. The old and the new bytes are written beside each other into a journal, durably, before the file is touched.
2. Room is reserved, so that a full disk is found before the first byte is overwritten.
3. The file is overwritten, synced, and cut to its new length; then the journal goes.

Where that is cut short, every byte of the file is the old one, the new one, or zero where room was reserved. A later
run that finds a journal and such a file puts the old bytes back; a file that says anything else was written by somebody
else since, and stays.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import stat
import time

from . import _durable, _kept

_KEPT_BACKUPS = 5


class ChangedMeanwhileError(Exception):
    """Somebody else wrote to the file between our reading and our writing. Nothing was overwritten."""


class LockedError(Exception):
    """Another run holds the lock for longer than was waited."""


class InPlaceFile:
    """The file at `path`, symbolic links followed, with its journal, backups and lock in the directory `folder`.

    A context manager: within it, no other run of this code works on the same file. `folder` is made when something is
    kept there, readable by its owner only, and goes with the last thing in it. Every method may raise OSError.
    """

    def __init__(self, path: str, folder: str, lock_timeout: float = 60.0) -> None:
        self.path = os.path.realpath(path)
        self._folder = folder
        # By the name that it was given: a file that is moved elsewhere, with a link in its place, is still the same.
        self._key = hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()[:16]
        self._journal = os.path.join(folder, f"journal-{self._key}.json")
        self._name = os.path.basename(self.path).lstrip(".") or "file"
        self._lock_timeout = lock_timeout
        self._lock = -1

    def __enter__(self) -> InPlaceFile:
        # Its folder carries the lock: check mode then needs no file of its own, nothing is left over, and Coolify's own update,
        # which moves another file into the place, does not end it.
        self._lock = os.open(os.path.dirname(self.path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        deadline = time.monotonic() + self._lock_timeout
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return self
            except OSError as error:
                busy = error.errno in (errno.EWOULDBLOCK, errno.EACCES)
                if not busy or time.monotonic() >= deadline:
                    os.close(self._lock)
                    if not busy:
                        raise
                    raise LockedError(
                        f"another run has been working on {self.path} for {self._lock_timeout:.0f} s; let it end first"
                    ) from None
            time.sleep(0.1)

    def __exit__(self, *_exception: object) -> None:
        os.close(self._lock)

    def read(self) -> bytes:
        """The file's bytes; those from before, where a write of ours was cut short."""
        old = self.cut_short()
        return self._content() if old is None else old

    def cut_short(self) -> bytes | None:
        """The bytes from before a write that was cut short; None where the file is whole."""
        journal = self._read_journal()
        if journal is None:
            return None
        old, new = journal
        current = self._content()
        if current in (old, new) or not _is_cut(current, old, new):
            return None
        return old

    def recover(self) -> None:
        """Puts the old bytes back where a write was cut short, and drops a journal that has served."""
        old = self.cut_short()
        if old is not None:
            with open(self.path, "r+b", buffering=0) as target:
                _overwrite(target.fileno(), old)
        _durable.remove(self._journal)

    def write(self, before: bytes, after: bytes) -> None:
        """Overwrites `before`, which is what was read, with `after`.

        Raises ChangedMeanwhileError where the file does not hold `before` any longer, or is another file by now.
        """
        self._keep(self._journal, _journal_text(before, after), None)
        try:
            with open(self.path, "r+b", buffering=0) as target:
                opened, named = os.fstat(target.fileno()), os.stat(self.path)
                # As late as it can be: what remains is the time of two system calls.
                if target.read() != before or not os.path.samestat(opened, named):
                    raise ChangedMeanwhileError(f"{self.path} was changed by somebody else during this run; run again")
                _reserve(target.fileno(), len(before), len(after))
                try:
                    _overwrite(target.fileno(), after)
                except OSError:
                    _overwrite(target.fileno(), before)
                    raise
        finally:
            if self.cut_short() is None:
                _durable.remove(self._journal)

    def back_up(self, data: bytes) -> str:
        """Keeps `data` with the file's owner and mode, and of all backups the newest few. Returns its path."""
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        # By the number, since a clock may go back.
        number = max((number for _name, number, _stamp in self._backups()), default=-1) + 1
        backup = os.path.join(self._folder, f"{self._name}-{self._key}-{stamp}-{number}.backup")
        self._keep(backup, data, os.stat(self.path))
        for name, _number, _stamp in self._backups()[:-_KEPT_BACKUPS]:
            _durable.remove(os.path.join(self._folder, name))
        return backup

    def latest_backup(self) -> str | None:
        """The path of the newest backup, or None."""
        backups = self._backups()
        return os.path.join(self._folder, backups[-1][0]) if backups else None

    def forget(self) -> None:
        """Removes what is kept for this file, and the directory if nothing else is in it."""
        if not os.path.isdir(self._folder):
            return
        for name in os.listdir(self._folder):
            if self._key in name and re.search(r"\.backup(\.new)?$|^journal-", name):
                _durable.remove(os.path.join(self._folder, name))
        # Something else is in it, or it is a mount or a link of somebody's.
        with contextlib.suppress(OSError):
            os.rmdir(self._folder)

    def _content(self) -> bytes:
        return _durable.read_through(self.path)

    def _backups(self) -> list[tuple[str, int, str]]:
        """Name, number and time of each backup, oldest first."""
        if not os.path.isdir(self._folder):
            return []
        pattern = re.compile(rf"{re.escape(self._name)}-{self._key}-(\w+)-(\d+)\.backup")
        found = [match for match in map(pattern.fullmatch, os.listdir(self._folder)) if match]
        return sorted(((match[0], int(match[2]), match[1]) for match in found), key=lambda backup: backup[1:])

    def _keep(self, path: str, data: bytes, like: os.stat_result | None) -> None:
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        if like is None:
            _durable.write(path, data, 0o600)
        else:
            _durable.write(path, data, stat.S_IMODE(like.st_mode), (like.st_uid, like.st_gid))

    def _read_journal(self) -> tuple[bytes, bytes] | None:
        found = _durable.read(self._journal)
        if found is None:
            return None
        try:
            content = json.loads(found[0].decode("ascii"))
            return base64.b64decode(content["old"]), base64.b64decode(content["new"])
        except (KeyError, TypeError, ValueError):
            raise _kept.KeptError(
                f"{self._journal} is damaged. It may be of an edit that was cut: see whether {self.path} is whole, as by "
                f"the newest backup beside the journal, then delete {self._journal}"
            ) from None


def _journal_text(old: bytes, new: bytes) -> bytes:
    content = {"old": base64.b64encode(old).decode("ascii"), "new": base64.b64encode(new).decode("ascii")}
    return json.dumps(content).encode("ascii")


def _is_cut(current: bytes, old: bytes, new: bytes) -> bool:
    length = max(len(old), len(new))
    if not min(len(old), len(new)) <= len(current) <= length:
        return False
    candidates = zip(current, old.ljust(length, b"\0"), new.ljust(length, b"\0"))
    return all(byte in (was, becomes, 0) for byte, was, becomes in candidates)


def _reserve(descriptor: int, old: int, new: int) -> None:
    if new <= old:
        return
    try:
        os.posix_fallocate(descriptor, old, new - old)
    except OSError:
        os.ftruncate(descriptor, old)
        raise


def _overwrite(descriptor: int, data: bytes) -> None:
    written = 0
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], written)
    os.ftruncate(descriptor, len(data))
    os.fsync(descriptor)
