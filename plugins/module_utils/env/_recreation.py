# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes Coolify's container anew, and proves that it came up with what it should have."""

from __future__ import annotations

import time

from ..engine import _client, _compose
from ..keeper import _durable
from . import _pusher, _redaction

_PAUSE = 0.5
_LOG_LINES = 20
# A container without a health check is taken as up when it has run for this long without ending.
_SETTLED = 5.0
# One that ends again and again is not waited for until the end.
_RESTARTS = 3


class RecreationError(Exception):
    """The container does not run with what it should have. The message says what became of it, without secrets."""


class Container:
    """The container `name` of the engine at `socket`, of a Coolify whose .env is `env_file`. Raises EngineError."""

    def __init__(self, socket: str, name: str, env_file: str) -> None:
        self._socket = socket
        self._engine = _client.Engine(socket)
        self._name = name
        self._env_file = env_file
        self._before = self._engine.inspect(name)
        self._compose: _compose.Compose | None = None

    @property
    def exists(self) -> bool:
        """Whether there was one when it was looked at first."""
        return self._before is not None

    def environment(self) -> dict[str, str]:
        """What the container had in its environment when it was looked at first."""
        return _client.environment(self._before or {})

    def prepare(self, docker: str) -> None:
        """See that it can be made anew just as it was made, before anything is touched; `docker` is the client's path.

        Raises RecreationError with the remedy.
        """
        before = self._before or {}
        try:
            self._compose = _compose.Compose(docker, self._socket, _compose.recipe(before, self._env_file))
            self._compose.check_image(before["Image"])
        except _compose.ComposeError as error:
            raise RecreationError(self.redacted(f"The container {self._name} {error}. Nothing was changed.")) from None

    def recreate(self, wanted: _pusher.Values, timeout: float) -> str:
        """Make the container anew and wait until it is healthy. Returns what went wrong, to follow its name, or "".

        `wanted` are the variables that it must have then (None: must not have); it has `timeout` seconds for that.
        """
        if self._compose is None:
            raise ValueError("recreate goes after prepare")
        try:
            self._compose.recreate()
            reason = self._wait(timeout)
            found = _client.environment(self._engine.inspect(self._name) or {})
        except (_compose.ComposeError, _client.EngineError) as error:
            return str(error)
        if reason:
            return reason
        differing = _pusher.differing(wanted, found)
        if differing:
            return (
                f"was re-created and still has another {', '.join(differing)}, so that something besides "
                f"{self._env_file} sets it; look into docker-compose.custom.yml"
            )
        return ""

    def log(self) -> str:
        """The last lines that the container wrote; none where the engine does not give them."""
        try:
            return self._compose.logs(self._name, _LOG_LINES) if self._compose else ""
        except _compose.ComposeError:
            return ""

    def redacted(self, text: str) -> str:
        """The text without the secrets of the container and of .env."""
        # By lines, since what Compose complains about may be a line that no reader understands.
        source = _durable.read_through(self._env_file).decode("utf-8", "replace")
        pairs = (line.strip().partition("=") for line in source.splitlines())
        lines = {name: value.strip("'\"") for name, _equals, value in pairs}
        return _redaction.redact(text, self.environment(), lines)

    def _wait(self, timeout: float) -> str:
        started = time.monotonic()
        while True:
            inspected = self._engine.inspect(self._name) or {}
            state = inspected.get("State") or {"Status": "missing"}
            waited = time.monotonic() - started
            health = (state.get("Health") or {}).get("Status")
            if health == "healthy" or (health is None and state["Status"] == "running" and waited >= _SETTLED):
                return ""
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
