# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarts connectors one at a time, each only once the one before is back, so that a tunnel with several stays up."""

from __future__ import annotations

import time
import typing as t

from ..engine import _client

#: argv -> (exit status, standard output, standard error).
Run = t.Callable[[t.Sequence[str]], t.Tuple[int, str, str]]

#: So long it must stay up, in seconds: a connector that refuses its list ends at once, and some are started again and again.
SETTLED = 3.0
_PAUSE = 0.5


class RestartError(Exception):
    """A connector was not restarted, or is not back; the message names it and the remedy."""


class Unit:
    """A systemd unit."""

    def __init__(self, name: str, run: Run) -> None:
        self._name = name
        self._run = run

    def __str__(self) -> str:
        return f"the unit {self._name}"

    @property
    def remedy(self) -> str:
        """What tells more."""
        return f"look at journalctl -u {self._name}"

    def restart(self) -> None:
        """Raises RestartError."""
        status, output, error = self._run(["systemctl", "restart", "--", self._name])
        if status:
            raise RestartError(f"{self} cannot be restarted: {(error or output).strip()}; {self.remedy}")

    def up(self) -> bool:
        """Whether it runs at this moment."""
        return self._run(["systemctl", "is-active", "--quiet", "--", self._name])[0] == 0


class Container:
    """A container, by its name; its health check counts where it has one."""

    def __init__(self, name: str, engine: _client.Engine) -> None:
        self._name = name
        self._engine = engine

    def __str__(self) -> str:
        return f"the container {self._name}"

    @property
    def remedy(self) -> str:
        """What tells more."""
        return f"look at docker logs {self._name}"

    def restart(self) -> None:
        """Raises RestartError."""
        try:
            self._engine.restart(self._name)
        except _client.EngineError as error:
            raise RestartError(f"{self} cannot be restarted: {error}; {self.remedy}") from error

    def up(self) -> bool:
        """Whether it runs at this moment, and is healthy."""
        try:
            state = (self._engine.inspect(self._name) or {}).get("State") or {}
        except _client.EngineError:
            return False
        health = (state.get("Health") or {}).get("Status") or "none"
        return bool(state.get("Running")) and not state.get("Restarting") and health in ("none", "healthy")


def one_by_one(
    connectors: t.Sequence[Unit | Container],
    timeout: float,
    clock: t.Callable[[], float] = time.monotonic,
    sleep: t.Callable[[float], None] = time.sleep,
) -> None:
    """Restart each and wait until it has been up for SETTLED seconds.

    `timeout` is how long one may take, in seconds. Raises RestartError for the first that is not back; those after it are
    left running as they are.
    """
    for index, connector in enumerate(connectors):
        connector.restart()
        began = clock()
        since = None
        while since is None or clock() - since < SETTLED:
            if not connector.up():
                since = None
            elif since is None:
                since = clock()
            if clock() - began > timeout and (since is None or since - began > timeout):
                left = ", ".join(str(one) for one in connectors[index + 1 :])
                others = f"; not restarted, since they still carry the tunnel: {left}" if left else ""
                raise RestartError(f"{connector} is not back after {timeout:g} seconds; {connector.remedy}{others}")
            sleep(_PAUSE)
