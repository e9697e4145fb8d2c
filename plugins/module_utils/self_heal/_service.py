# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to this collection: no promise is made to anybody else.

The self-heal service on a host: its files, its unit, and what stood in their places before.

A host that followed the guide has a unit and a script by the same names. They are remembered before they are replaced,
and come back, with whether the unit was enabled, when the service is removed.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import typing as t

# argv → exit status, standard output, standard error
Run = t.Callable[[t.List[str]], t.Tuple[int, str, str]]


class ServiceError(Exception):
    """A step that failed; the message says which and what to do."""


class Wanted(t.NamedTuple):
    """A file by its absolute path: text and permission bits. All of them belong to root."""

    path: str
    content: str
    mode: int


class UnitState(t.NamedTuple):
    """What systemd says of the unit."""

    active: bool
    enabled: bool
    stale: bool  # its file is newer than what systemd has read


class Change(t.NamedTuple):
    """A file that is to change: the text before and after, None for a file that is not there."""

    path: str
    before: str | None
    after: str | None


class Service:
    """Installs and removes.

    Args:
        unit: name of the unit.
        folder: directory that belongs to the service alone; what is in it and not wanted is removed.
        memory: file that keeps what the service replaced, in a directory of mode 0700.
        run: how to start a process.
        root: where paths begin; other than ``/`` in tests.
    """

    def __init__(self, unit: str, folder: str, memory: str, run: Run, root: str = "/") -> None:
        self._unit = unit
        self._folder = folder
        self._memory = memory
        self._run = run
        self._root = root

    def unit_state(self) -> UnitState:
        """Raises ServiceError where there is no systemd."""
        properties = "--property=ActiveState,UnitFileState,NeedDaemonReload"
        out = self._systemctl("show", properties, self._unit)
        values = dict(line.partition("=")[::2] for line in out.splitlines())
        return UnitState(
            values.get("ActiveState") == "active",
            values.get("UnitFileState") == "enabled",
            values.get("NeedDaemonReload") == "yes",
        )

    def differences(self, files: t.Sequence[Wanted]) -> list[Change]:
        """What `install` would write and remove."""
        wanted = {file.path for file in files}
        changes = []
        for file in files:
            before = self._read(file.path)
            if before != file.content or self._mode(file.path) != file.mode:
                changes.append(Change(file.path, before, file.content))
        strays = sorted(path for path in self._within(self._folder) if path not in wanted)
        return changes + [Change(path, self._read(path), None) for path in strays]

    def install(self, files: t.Sequence[Wanted], changes: t.Sequence[Change], state: UnitState) -> None:
        """Brings files and unit to what is wanted; returns when the service says that it is ready."""
        if not os.path.exists(self._at(self._memory)):
            self._remember(files, state)
        modes = {file.path: file.mode for file in files}
        for change in changes:
            if change.after is None:
                os.unlink(self._at(change.path))
            else:
                self._write(change.path, change.after, modes[change.path], 0o755)
        self._drop_empty(self._folder)
        if state.stale or any(change.path.endswith(self._unit) for change in changes):
            self._systemctl("daemon-reload")
        if not state.enabled:
            self._systemctl("enable", self._unit)
        if changes or not state.active:
            self._systemctl("restart", self._unit)

    def removal(self, files: t.Sequence[Wanted]) -> list[Change]:
        """What `remove` would write and remove."""
        originals = self._recall()["originals"]
        paths = sorted({file.path for file in files} | set(self._within(self._folder)) | set(originals))
        changes = []
        for path in paths:
            before = self._read(path)
            after = _decoded(originals[path]["content"]) if path in originals else None
            if before != after:
                changes.append(Change(path, before, after))
        return changes

    def remove(self, changes: t.Sequence[Change], state: UnitState) -> None:
        """Stops the service, takes away all of it, and puts back what was there before."""
        memory = self._recall()
        if state.active:
            self._systemctl("stop", self._unit)
        if state.enabled:
            self._systemctl("disable", self._unit)
        for change in changes:
            if change.after is None:
                os.unlink(self._at(change.path))
            else:
                original = memory["originals"][change.path]
                self._write(change.path, change.after, original["mode"], 0o755)
                os.chown(self._at(change.path), original["uid"], original["gid"])
        if os.path.isdir(self._at(self._folder)):
            shutil.rmtree(self._at(self._folder))
        state_link = self._at("/run/" + self._unit.rpartition(".")[0])
        if os.path.islink(state_link):
            # systemd leaves the link to a dynamic user's directory behind, after it has removed the directory.
            os.unlink(state_link)
        for folder in reversed(memory["folders"]):
            self._drop_empty(folder, itself=True)
        if any(change.path.endswith(self._unit) for change in changes):
            self._systemctl("daemon-reload")
            # A unit that had failed is remembered after its file is gone; for any other this says "not loaded".
            self._run(["systemctl", "reset-failed", self._unit])
        if memory["enabled"]:
            self._systemctl("enable", self._unit)
        if os.path.exists(self._at(self._memory)):
            os.unlink(self._at(self._memory))
            self._drop_empty(os.path.dirname(self._memory), itself=True)

    def _remember(self, files: t.Sequence[Wanted], state: UnitState) -> None:
        originals = {}
        folders: list[str] = []
        for file in files:
            content = self._read(file.path)
            if content is not None and not file.path.startswith(self._folder + "/"):
                status = os.stat(self._at(file.path))
                originals[file.path] = {
                    "content": base64.b64encode(content.encode("utf-8", "surrogateescape")).decode("ascii"),
                    "mode": status.st_mode & 0o7777,
                    "uid": status.st_uid,
                    "gid": status.st_gid,
                }
            missing = []
            folder = os.path.dirname(file.path)
            while not os.path.isdir(self._at(folder)) and folder not in folders:
                missing.append(folder)
                folder = os.path.dirname(folder)
            folders += reversed(missing)
        memory = {"originals": originals, "folders": folders, "enabled": bool(originals) and state.enabled}
        self._write(self._memory, json.dumps(memory), 0o600, 0o700)

    def _recall(self) -> dict[str, t.Any]:
        content = self._read(self._memory)
        if content is None:
            return {"originals": {}, "folders": [], "enabled": False}
        try:
            memory: dict[str, t.Any] = json.loads(content)
        except ValueError as error:
            raise ServiceError(
                f"{self._memory} is damaged; delete it to go on, without what stood in the files' places before"
            ) from error
        return memory

    def _write(self, path: str, content: str, mode: int, folder_mode: int) -> None:
        """In one step, so that a service that starts at this moment finds the old file or the new one."""
        target = self._at(path)
        folder = os.path.dirname(target)
        if not os.path.isdir(folder):
            os.makedirs(folder)
            os.chmod(folder, folder_mode)
        temporary = os.path.join(folder, f".{os.path.basename(path)}.new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content.encode("utf-8", "surrogateescape"))
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)

    def _read(self, path: str) -> str | None:
        try:
            with open(self._at(path), "rb") as source:
                return source.read().decode("utf-8", "surrogateescape")
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _mode(self, path: str) -> int | None:
        return os.stat(self._at(path)).st_mode & 0o7777 if os.path.exists(self._at(path)) else None

    def _within(self, folder: str) -> list[str]:
        found = []
        for where, _folders, names in os.walk(self._at(folder)):
            below = os.path.relpath(where, self._at(folder))
            found += [os.path.normpath(os.path.join(folder, below, name)) for name in names]
        return found

    def _drop_empty(self, folder: str, itself: bool = False) -> None:
        for where, _folders, _names in os.walk(self._at(folder), topdown=False):
            if (itself or where != self._at(folder)) and not os.listdir(where):
                os.rmdir(where)

    def _at(self, path: str) -> str:
        return os.path.join(self._root, path.lstrip("/"))

    def _systemctl(self, *arguments: str) -> str:
        code, out, err = self._run(["systemctl", *arguments])
        if code:
            words = (err or out).strip() or "no reason given"
            raise ServiceError(
                f"systemctl {' '.join(arguments)} failed: {words}. Look at: journalctl --unit {self._unit} --lines 30"
            )
        return out


def _decoded(content: str) -> str:
    return base64.b64decode(content).decode("utf-8", "surrogateescape")
