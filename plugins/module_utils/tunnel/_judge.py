# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets cloudflared itself read a new list before it is installed: the host's program, or the one in its container."""

from __future__ import annotations

import contextlib
import re
import typing as t

from ..engine import _client

#: In a container the candidate is put here, and emptied afterwards, since the image may have no program that removes it.
CANDIDATE = "/tmp/coolify-websocket.yml"  # noqa: S108 - a folder that the image has; the engine writes there, not the host

_SERVICE = re.compile(r"(?m)^\s*service:[ \t]*(?P<service>\S+)")
#: The user of cloudflared's image.
_NONROOT = 65532

#: Arguments of cloudflared -> (exit status, what it wrote).
Run = t.Callable[[t.Sequence[str]], t.Tuple[int, str]]


class RefusedError(Exception):
    """cloudflared does not take the list, or takes it otherwise; the message says how."""


def judge(file: str, expected: t.Iterable[t.Mapping[str, str]], run: Run) -> None:
    """Let cloudflared check the list in `file`, and answer each `url` in `expected` with its `service`.

    Raises RefusedError.
    """
    status, said = run(["tunnel", "--config", file, "ingress", "validate"])
    if status:
        raise RefusedError(f"cloudflared refuses the new list: {said.strip()}")
    for one in expected:
        status, said = run(["tunnel", "--config", file, "ingress", "rule", one["url"]])
        found = _SERVICE.search(said)
        if status or found is None:
            raise RefusedError(f"cloudflared finds no rule for {one['url']} in the new list: {said.strip()}")
        if found["service"].rstrip("/").lower() != one["service"].rstrip("/").lower():
            raise RefusedError(f"cloudflared sends {one['url']} to {found['service']}, and not to {one['service']}")


def in_container(engine: _client.Engine, name: str, text: bytes, expected: t.Iterable[t.Mapping[str, str]]) -> bool:
    """Let the program in a running container judge; False where it cannot be asked.

    Raises RefusedError.
    """
    try:
        inspected = engine.inspect(name) or {}
        user = str((inspected.get("Config") or {}).get("User") or "0").partition(":")[0]
        if not (inspected.get("State") or {}).get("Running"):
            return False
        known = {"root": 0, "nonroot": _NONROOT}
        uid = int(user) if user.isdecimal() else known.get(user)
        # It may hold a token, so that nobody else is to read it.
        mode = 0o644 if uid is None else 0o600
        engine.write_file(name, CANDIDATE, text, mode, uid or 0, uid or 0)
    except _client.EngineError:
        return False
    try:
        judge(CANDIDATE, expected, lambda words: _asked(engine, name, words))
    except _client.EngineError:
        return False
    finally:
        _emptied(engine, name)
    return True


def _asked(engine: _client.Engine, name: str, words: t.Sequence[str]) -> tuple[int, str]:
    status, output = engine.exec(name, ["cloudflared", *words])
    if status in (126, 127):
        raise _client.EngineError(f"there is no cloudflared in the container {name}")
    return status, output.decode("utf-8", "replace")


def _emptied(engine: _client.Engine, name: str) -> None:
    with contextlib.suppress(_client.EngineError):
        engine.write_file(name, CANDIDATE, b"", 0o600, 0, 0)
