# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent tells others: systemd (sd_notify), the journal, and whoever reads its state file under /run."""

from __future__ import annotations

import json
import os
import socket
import time
import typing as t

from . import healing

_JOURNAL = "/run/systemd/journal/socket"
_REMEMBERED_REFUSALS = 10

INFO, WARNING = 6, 4


class Report:
    """Keeps the state file in `folder` (None: keeps none) and speaks to systemd where it was started by it."""

    def __init__(self, folder: str | None) -> None:
        self._file = None if folder is None else os.path.join(folder, "state.json")
        self._state: dict[str, t.Any] = {
            "status": "starting",
            "connected": False,
            "last_check": None,
            "last_heal": None,
            "heals": 0,
            "events": 0,
            "refusals": [],
            "foreign": [],
        }
        self._recall()

    def passed(self, container: str, cause: str, outcome: healing.Outcome, seconds: float) -> None:
        """A pass over a container has ended."""
        now = _now()
        short = container[:12]
        self._state["last_check"] = {"at": now, "container": short, "cause": cause, "outcome": outcome.kind}
        self._state["foreign"] = [location._asdict() for location in outcome.foreign]
        if outcome.kind in healing.CHANGED:
            milliseconds = round(seconds * 1000)
            healed = {"container": short, "cause": cause, "outcome": outcome.kind, "milliseconds": milliseconds}
            self._state["heals"] += 1
            self._state["last_heal"] = {"at": now, **healed, "detail": outcome.detail}
            priority = WARNING if outcome.kind == healing.WITHDRAWN else INFO
            self.log(priority, f"{outcome.kind}: container {short} ({cause}), {milliseconds} ms: {outcome.detail}", **healed)
        if outcome.kind == healing.REFUSED:
            self.refused(short, outcome.detail)
        elif outcome.kind == healing.WITHDRAWN:
            self._remember(short, outcome.detail)
        elif outcome.kind in healing.IN_PLACE:
            # What was refused before is history once the routes are there.
            self._state["refusals"] = []
        self._say(f"{_WORDS[outcome.kind]} (container {short}, {cause}, {now})", connected=True)

    def refused(self, container: str, reason: str) -> None:
        """The routes are not there, and nothing more is tried before the next event."""
        if self._remember(container, reason):
            self.log(WARNING, f"refused: container {container}: {reason}", outcome="refused", container=container)
            self._write()

    def disconnected(self, reason: str) -> None:
        """The engine cannot be reached."""
        if self._state["connected"] or self._state["status"] == "starting":
            self.log(WARNING, f"waiting for Docker: {reason}")
        self._say(f"waiting for Docker: {reason}", connected=False)

    def no_container(self, name: str) -> None:
        self._say(f"waiting for a container {name}", connected=True)

    def event(self) -> None:
        """One of the container's events has been seen. Written with the next pass, not by itself."""
        self._state["events"] += 1

    @property
    def connected(self) -> bool:
        """Whether the engine answered last time."""
        return bool(self._state["connected"])

    def ready(self) -> None:
        _notify("READY=1")

    def alive(self) -> None:
        _notify("WATCHDOG=1")

    def stopping(self) -> None:
        _notify("STOPPING=1")

    def log(self, priority: int, message: str, **fields: object) -> None:
        """One journal entry with its fields, or one line where there is no journal."""
        entry = {"MESSAGE": message, "PRIORITY": str(priority), "SYSLOG_IDENTIFIER": "coolify-websocket"}
        entry.update((f"COOLIFY_WEBSOCKET_{name.upper()}", str(value)) for name, value in fields.items())
        if "JOURNAL_STREAM" not in os.environ or not _send(_JOURNAL, _journal_entry(entry)):
            print(message, flush=True)

    def _say(self, status: str, connected: bool) -> None:
        self._state.update(status=status, connected=connected)
        _notify(f"STATUS={status}")
        self._write()

    def _remember(self, container: str, reason: str) -> bool:
        """Whether this refusal is news."""
        refusals = self._state["refusals"]
        if any(known["container"] == container and known["reason"] == reason for known in refusals):
            return False
        refusals.append({"at": _now(), "container": container, "reason": reason})
        del refusals[:-_REMEMBERED_REFUSALS]
        return True

    def _recall(self) -> None:
        """Counts go on over a restart: systemd keeps the folder until the unit stops or the host boots."""
        if self._file is None:
            return
        try:
            with open(self._file, encoding="utf-8") as source:
                before = json.load(source)
            self._state.update({key: before[key] for key in ("last_heal", "heals", "events")})
        except (OSError, ValueError, KeyError, TypeError):
            pass

    def _write(self) -> None:
        if self._file is None:
            return
        temporary = self._file + ".new"
        with open(temporary, "w", encoding="utf-8") as target:
            json.dump(self._state, target, indent=1)
            os.fchmod(target.fileno(), 0o644)
        os.replace(temporary, self._file)


_WORDS = {
    healing.CURRENT: "the routes are in place",
    healing.PREPARED: "the routes are in place before the start",
    healing.MENDED: "the routes were put back",
    healing.LOADED: "the routes were loaded",
    healing.UNNEEDED: "locations of somebody else take the paths",
    healing.STARTING: "waiting for nginx",
    healing.WITHDRAWN: "the routes were taken out, nginx fails with them",
    healing.REFUSED: "the routes are not in place",
    healing.GONE: "the container is gone",
}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _notify(message: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        _send("\0" + address[1:] if address.startswith("@") else address, message.encode("utf-8"))


def _journal_entry(fields: dict[str, str]) -> bytes:
    """The journal's native form; a value with a line break would need its length in front, so it gets none."""
    return "".join(f"{name}={' '.join(value.split())}\n" for name, value in fields.items()).encode("utf-8")


def _send(address: str, payload: bytes) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        try:
            channel.connect(address)
            channel.sendall(payload)
        except OSError:
            return False
    return True
