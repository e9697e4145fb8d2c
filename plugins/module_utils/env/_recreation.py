# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to this collection: no promise is made to anybody else.

Makes Coolify's container anew, proves that it came up with what it should have, and goes back where it did not: a
Coolify that runs with the old values is worth more than one that does not run.
"""

from __future__ import annotations

import time
import typing as t

from ..engine import _client, _compose
from ..keeper import _inplace_file
from . import _dotenv, _pusher, _redaction

_PAUSE = 0.5
_LOG_LINES = 20
# A container without a health check is taken as up when it has run for this long without ending.
_SETTLED = 5.0
# One that ends again and again is not waited for until the end.
_RESTARTS = 3


class RecreationError(Exception):
    """The container does not run with what it should have. The message says what became of it, without secrets."""


class Container:
    """The container `name` of the engine at `socket`, of a Coolify whose .env is `env_file`.

    `state_dir` keeps the journal of writes to that file.

    :raises RecreationError: there is no such container.
    """

    def __init__(self, socket: str, name: str, env_file: str, state_dir: str) -> None:
        self._socket = socket
        self._engine = _client.Engine(socket)
        self._name = name
        self._env_file = env_file
        self._state_dir = state_dir
        self._before = self._inspect()

    def environment(self) -> dict[str, str]:
        """What the container had in its environment when it was looked at first."""
        return _client.environment(self._before)

    def recreate(
        self, docker: str, wanted: t.Mapping[str, str | None], timeout: float, restore_from: str | None
    ) -> float:
        """Makes the container anew and waits until it is healthy. Returns the seconds that took.

        :param docker: path of the Docker client.
        :param wanted: the variables that it must have then; None: must not have.
        :param timeout: seconds until it must be healthy.
        :param restore_from: the .env to take the lines of those variables from on failure; None: it stays as it is.
        :raises RecreationError: it did not come up so, and was made from the old .env again.
        """
        started = time.monotonic()
        try:
            compose = _compose.Compose(docker, self._socket, _compose.recipe(self._before, self._env_file))
            compose.check_image(self._before["Image"])
        except _compose.ComposeError as error:
            # Nothing was touched yet but the file.
            restored = self._restore(restore_from, wanted)
            raise RecreationError(self._redacted(f"The container {self._name} {error}. {restored}")) from None
        reason = self._attempt(compose, wanted, timeout)
        if reason is None:
            return round(time.monotonic() - started, 1)
        log = compose.logs(self._name, _LOG_LINES)
        message = f"The container {self._name} {reason}. {self._restore(restore_from, wanted)}"
        if restore_from is not None:
            again = self._attempt(compose, {}, timeout)
            message += " It runs with it again." if again is None else f" It did not come up with it either: {again}."
        raise RecreationError(self._redacted(f"{message}\nIts last log lines were:\n{log}"))

    def _attempt(self, compose: _compose.Compose, wanted: t.Mapping[str, str | None], timeout: float) -> str | None:
        """What went wrong, to follow the container's name; None if nothing did."""
        try:
            compose.recreate()
            reason = self._wait(timeout)
        except (_compose.ComposeError, _client.EngineError) as error:
            return str(error)
        if reason is not None:
            return reason
        current = _client.environment(self._inspect())
        differing = _pusher.differing(wanted, current)
        if differing:
            return (
                f"was re-created and still has another {', '.join(differing)}, so that something besides "
                f"{self._env_file} sets it; look into docker-compose.custom.yml"
            )
        return None

    def _wait(self, timeout: float) -> str | None:
        started = time.monotonic()
        while True:
            inspected = self._engine.inspect(self._name) or {}
            state = inspected.get("State") or {"Status": "missing"}
            waited = time.monotonic() - started
            health = (state.get("Health") or {}).get("Status")
            if health == "healthy" or (health is None and state["Status"] == "running" and waited >= _SETTLED):
                return None
            if inspected.get("RestartCount", 0) >= _RESTARTS:
                return f"ended {inspected['RestartCount']} times after it was re-created"
            # A container that has just ended counts as unhealthy too, and may come up when it is started again.
            if health == "unhealthy" and state["Status"] == "running":
                return f"became unhealthy {waited:.0f} s after it was re-created"
            if state["Status"] in ("exited", "dead") and not state.get("Restarting"):
                return f"ended with status {state.get('ExitCode')} after it was re-created"
            if waited >= timeout:
                return f"was not healthy {timeout:g} s after it was re-created (it is {health or state['Status']})"
            time.sleep(_PAUSE)

    def _restore(self, restore_from: str | None, keys: t.Iterable[str]) -> str:
        if restore_from is None:
            return f"{self._env_file} stays as it is, since there is no backup of it to go back to."
        with open(restore_from, "rb") as source:
            backup = source.read()
        with _inplace_file.InPlaceFile(self._env_file, self._state_dir) as file:
            before = file.read()
            file.recover()
            after = _dotenv.put_back(before, backup, keys)
            if sorted(after.splitlines()) == sorted(backup.splitlines()):
                # Nobody changed anything else since, so that the order can be that of before as well.
                after = backup
            if after != before:
                file.write(before, after)
        return f"{self._env_file} is what it was before."

    def _inspect(self) -> dict[str, t.Any]:
        inspected = self._engine.inspect(self._name)
        if inspected is None:
            raise RecreationError(f"name: there is no container {self._name}; start Coolify first")
        return inspected

    def _redacted(self, text: str) -> str:
        with open(self._env_file, encoding="utf-8", errors="replace") as source:
            # By lines, since what Compose complains about may be a line that no reader understands.
            pairs = (line.strip().partition("=") for line in source)
            lines = {name: value.strip("'\"") for name, _equals, value in pairs}
        return _redaction.redact(text, self.environment(), lines)
