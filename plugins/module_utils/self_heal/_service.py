# SPDX-License-Identifier: GPL-3.0-or-later
"""The self-heal service on a host: its files, its unit, and what stood in their places before.

A host that followed the guide has a unit and a script by the same names. They are remembered before they are replaced,
and come back, with whether the unit was enabled, when the service is removed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import typing as t

from ..keeper import _durable, _kept, _trouble

# argv → exit status, standard output, standard error
Run = t.Callable[[t.List[str]], t.Tuple[int, str, str]]


class ServiceError(Exception):
    """A step that failed; the message says which and what to do."""


class Wanted(t.NamedTuple):
    """A file by its absolute path: text and permission bits. All of them belong to root.

    With `create_only` the text is the first one alone: the service itself writes into the file.
    """

    path: str
    content: str
    mode: int
    create_only: bool = False


class UnitState(t.NamedTuple):
    """What systemd says of the unit."""

    active: bool
    begun: bool  # also where it is not active yet, or waits for its next start
    enabled: bool
    stale: bool  # its file is newer than what systemd has read


class Change(t.NamedTuple):
    """A file that is to change: the text before and after, None for a file that is not there."""

    path: str
    before: str | None
    after: str | None


class Service:
    """Installs and removes the service of this `unit`, whose files' paths begin at `root`.

    `folder` belongs to the service alone: what is in it and not wanted is removed. `kept` keeps what it replaced.
    """

    def __init__(self, unit: str, folder: str, kept: _kept.Entry, run: Run, root: str = "/") -> None:
        self._unit = unit
        self._folder = folder
        self._kept = kept
        self._run = run
        self._root = root

    def unit_state(self) -> UnitState:
        """Raises ServiceError where there is no systemd."""
        properties = "--property=ActiveState,UnitFileState,NeedDaemonReload"
        out = self._systemctl("show", properties, self._unit)
        values = dict(line.partition("=")[::2] for line in out.splitlines())
        return UnitState(
            values.get("ActiveState") == "active",
            values.get("ActiveState") not in ("inactive", "failed", None),
            values.get("UnitFileState") == "enabled",
            values.get("NeedDaemonReload") == "yes",
        )

    def differences(self, files: t.Sequence[Wanted]) -> list[Change]:
        """What `install` would write and remove: after a run that was cut all, since the service may run with another."""
        wanted, cut = {file.path for file in files}, self._kept.cut()
        changes = []
        for file in files:
            before = self._read(file.path)
            content = before if file.create_only and before is not None else file.content
            if cut or before != content or not self._is_as_wanted(file):
                changes.append(Change(file.path, before, content))
        strays = dict.fromkeys(self._within(self._folder))
        left = {path: original for path, original in {**strays, **self._memory()["files"]}.items() if path not in wanted}
        return changes + [
            Change(path, self._read(path), None if original is None else str(original["text"]))
            for path, original in sorted(left.items())
        ]

    def install(self, files: t.Sequence[Wanted], changes: t.Sequence[Change], state: UnitState) -> None:
        """Brings files and unit to what is wanted; returns when the service says that it is ready."""
        for path in (self._folder, *(file.path for file in files)):
            _durable.refuse_link(self._at(path))
        memory = self._with(files, state)
        if memory != self._kept.load():
            self._kept.remember(memory)
        self._kept.begin()
        modes = {file.path: file.mode for file in files}
        for change in changes:
            target = self._at(change.path)
            if change.path in modes:
                os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
                _durable.write(target, str(change.after).encode("utf-8", "surrogateescape"), modes[change.path])
            else:
                # Of no use any longer: its place was moved, or it is a stray.
                _kept.give_back(target, memory["files"].pop(change.path, None))
        self._drop_empty()
        if state.stale or any(change.path.endswith(self._unit) for change in changes):
            self._systemctl("daemon-reload")
        if not state.enabled:
            self._systemctl("enable", self._unit)
        if changes or not state.active:
            self._systemctl("restart", self._unit)
        if memory != self._kept.load():
            self._kept.remember(memory)
        self._kept.done()

    def removal(self, files: t.Sequence[Wanted]) -> list[Change]:
        """What `remove` would write and remove."""
        changes = []
        for path, original in sorted(self._way_back(files).items()):
            before, after = self._read(path), None if original is None else str(original["text"])
            if before != after:
                changes.append(Change(path, before, after))
        return changes

    def kept(self) -> bool:
        """Whether there is something to give back: if nothing else, that a removal was cut before its last step."""
        return self._kept.load() is not None

    def remove(self, files: t.Sequence[Wanted], changed: bool, state: UnitState) -> None:
        """Stops the service, takes away all of it, and puts back what was there before. Each step may be made twice."""
        if changed:
            self._give_back(files, state)
        self._kept.forget()

    def _give_back(self, files: t.Sequence[Wanted], state: UnitState) -> None:
        memory = self._memory()
        for path in (self._folder, *self._way_back(files)):
            _durable.refuse_link(self._at(path))
        self._kept.begin()
        if state.begun:
            self._systemctl("stop", self._unit)
        if state.enabled:
            self._systemctl("disable", self._unit)
        for path, original in self._way_back(files).items():
            _kept.give_back(self._at(path), original)
        if os.path.isdir(self._at(self._folder)):
            shutil.rmtree(self._at(self._folder))
        state_link = self._at("/run/" + self._unit.rpartition(".")[0])
        if os.path.islink(state_link):
            # systemd leaves the link to a dynamic user's directory behind, after it has removed the directory.
            os.unlink(state_link)
        for folder in reversed(memory["folders"]):
            # Not empty: something else is there by now. Gone, or a link: not ours any longer.
            with contextlib.suppress(OSError):
                os.rmdir(self._at(folder))
        self._systemctl("daemon-reload")
        # A unit that had failed is remembered after its file is gone; for any other this says "not loaded".
        self._run(["systemctl", "reset-failed", self._unit])
        if memory["enabled"]:
            self._systemctl("enable", self._unit)

    def _memory(self) -> dict[str, t.Any]:
        """What each file's place held, None for nothing; the folders that were not there; whether the unit was enabled."""
        return self._kept.load() or {"files": {}, "folders": [], "enabled": False}

    def _with(self, files: t.Sequence[Wanted], state: UnitState) -> dict[str, t.Any]:
        """The memory with all of these files in it."""
        memory = self._memory()
        first = not memory["files"]
        for file in files:
            if file.path in memory["files"] or file.path.startswith(self._folder + "/"):
                continue
            picture = _kept.picture(self._at(file.path))
            # What names our folder is ours, of a run whose memory was lost.
            memory["files"][file.path] = None if picture is None or self._folder in picture["text"] else picture
            folder = os.path.dirname(file.path)
            missing = []
            while not os.path.isdir(self._at(folder)) and folder not in memory["folders"]:
                missing.append(folder)
                folder = os.path.dirname(folder)
            memory["folders"] += reversed(missing)
        if first:
            memory["enabled"] = any(memory["files"].values()) and state.enabled
        return memory

    def _way_back(self, files: t.Sequence[Wanted]) -> dict[str, dict[str, t.Any] | None]:
        """What is to be in each file's place, by path."""
        kept = self._kept.load()
        within = dict.fromkeys(self._within(self._folder))
        if kept is not None:
            return {**within, **kept["files"]}
        # Never installed, or given back, so that the guide's files stay; or the memory was lost: ours name the folder.
        return {**within, **{file.path: None for file in files if self._folder in (self._read(file.path) or "")}}

    def _read(self, path: str) -> str | None:
        return _kept.text(self._at(path))

    def _is_as_wanted(self, file: Wanted) -> bool:
        """Whether mode and owner of the file are: what root runs must not be another account's to write to."""
        try:
            status = os.lstat(self._at(file.path))
        except OSError:
            return False
        return status.st_mode & 0o7777 == file.mode and (file.create_only or status.st_uid == os.geteuid())

    def _within(self, folder: str) -> list[str]:
        found = []
        for where, _folders, names in os.walk(self._at(folder)):
            below = os.path.relpath(where, self._at(folder))
            found += [os.path.normpath(os.path.join(folder, below, name)) for name in names]
        return found

    def _drop_empty(self) -> None:
        """Removes the empty folders within the service's own, which strays have left."""
        for where, _folders, _names in os.walk(self._at(self._folder), topdown=False):
            if where != self._at(self._folder) and not os.listdir(where):
                os.rmdir(where)

    def _at(self, path: str) -> str:
        return os.path.join(self._root, path.lstrip("/"))

    def _systemctl(self, *arguments: str) -> str:
        code, out, err = self._run(["systemctl", *arguments])
        if code:
            words = _trouble.advised((err or out).strip() or "no reason given")
            raise ServiceError(
                f"systemctl {' '.join(arguments)} failed: {words}. Look at: journalctl --unit {self._unit} --lines 30"
            )
        return out
