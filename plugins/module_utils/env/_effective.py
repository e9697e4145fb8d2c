# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables made effective: written into .env and taken over by the container, or as they were before.

A Coolify that runs with the old values is worth more than one that does not run.
"""

from __future__ import annotations

import time
import typing as t

from ..engine import _client, _deployments
from ..keeper import _inplace_file
from . import _dotenv, _memory, _outline, _pusher, _recreation

#: Waits at most so many seconds until Coolify deploys nothing; what it still does then, in words. Raises EngineError.
Deployments = t.Callable[[float], t.List[str]]


class DeployingError(Exception):
    """Coolify began to deploy something while the change was prepared. Nothing is changed."""


class Change(t.NamedTuple):
    """What is to be done: the file's bytes, and the keys that they differ in.

    `expected` is what the container must have (None: must not), `pending` what of it the running one has another value of.
    `recovered`: an earlier write had been cut short. `removal`: all that is kept is to be forgotten in the end, and
    `kept`: there is something to forget.
    """

    before: bytes
    after: bytes
    keys: list[str]
    expected: dict[str, str | None]
    pending: list[str]
    recovered: bool
    removal: bool = False
    kept: bool = False


class Environment:
    """The .env in `file`, what it was before in `memory`, and the container made from it, None where there is none."""

    def __init__(
        self, file: _inplace_file.InPlaceFile, memory: _memory.EnvMemory, container: _recreation.Container | None
    ) -> None:
        self._file = file
        self._memory = memory
        self._container = container

    def wanted(self, values: _pusher.Values) -> Change:
        """What it takes to have these values; None for a key that must not be there. Raises DotenvError and OSError."""
        before = self._file.read()
        after, keys = _dotenv.edit(before, values)
        return self._change(before, after, keys, dict(values))

    def given_back(self) -> Change:
        """What it takes to have the values from before our first edit. Raises DotenvError, KeptError and OSError."""
        before = self._file.read()
        after = self._memory.original(before)
        found, keys = _dotenv.values(after), _dotenv.edited_keys(before, after)
        kept = self._memory.exists() or self._file.latest_backup() is not None
        # As long as it is remembered, so that a removal that was cut before the re-creation is finished by the next.
        expected = {key: found.get(key) for key in (*self._memory.keys(), *keys)}
        change = self._change(before, after, keys, expected)
        return change._replace(removal=True, kept=kept or change.recovered)

    def _change(self, before: bytes, after: bytes, keys: list[str], expected: dict[str, str | None]) -> Change:
        recovered = self._file.cut_short() is not None
        running = self._container.environment() if self._container else None
        pending = [] if running is None else _pusher.differing(expected, running)
        return Change(before, after, keys, expected, pending, recovered)

    def carry_out(
        self, change: Change, backup: bool, recreate: bool, timeout: float, deployments: Deployments, patience: float = 0
    ) -> float | None:
        """Do it. Returns the seconds that the re-creation took; None without one.

        `backup` keeps a copy of the file as it is. `recreate` lets the container, which was prepared for it, take over what
        is pending; it must be healthy within `timeout` seconds. `deployments` is asked directly before, and waited for
        `patience` seconds before the way back. Raises RecreationError where the container is not healthy: the file is as
        before then, and the container made from it; DeployingError, with all as before; and ChangedMeanwhileError, with
        nothing overwritten.
        """
        remembered = self._memory.exists()
        self._file.recover()
        if change.after != change.before:
            if not change.removal:
                self._memory.remember(change.before, change.after)
            if backup:
                self._file.back_up(change.before)
            self._file.write(change.before, change.after)
        if not change.removal:
            self._memory.done()
        seconds = None
        if recreate and change.pending:
            seconds = self._recreate(change, remembered, timeout, deployments, patience)
        if change.removal:
            self._memory.forget()
            self._file.forget()
        return seconds

    def _recreate(
        self, change: Change, remembered: bool, timeout: float, deployments: Deployments, patience: float
    ) -> float:
        if self._container is None:
            raise ValueError("nothing is pending where there is no container")
        started = time.monotonic()
        try:
            # A deployment is a job within the container.
            if deployments(0):
                raise DeployingError
            reason = self._container.recreate(change.expected, timeout)
        except BaseException:
            self._go_back(change, remembered)
            raise
        if not reason:
            return round(time.monotonic() - started, 1)
        self._go_back(change, remembered)
        log = self._container.log()
        message = f"The container {reason}. {self._file.path} is what it was before."
        try:
            deploying = deployments(patience)
        except (_client.EngineError, _deployments.UnknownError):
            # A Coolify that does not come up deploys nothing, and tells nothing.
            deploying = []
        if deploying:
            message += f" It still runs with the new values, since Coolify is deploying ({', '.join(deploying)}): run this again."
        else:
            again = self._container.recreate({}, timeout)
            message += " It runs with it again." if not again else f" It did not come up with it either: {again}."
        raise _recreation.RecreationError(self._container.redacted(f"{message}\nIts last log lines were:\n{log}"))

    def _go_back(self, change: Change, remembered: bool) -> None:
        current = self._file.read()
        # Together with what somebody else changed since.
        was = _outline.outline(change.before, change.keys)
        before = change.before if current == change.after else _outline.put_back(current, was)
        if before != current:
            self._file.write(current, before)
        if not remembered:
            self._memory.forget()
