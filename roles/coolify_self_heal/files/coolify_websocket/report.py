# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent tells others: systemd (sd_notify), the journal, and whoever reads its state file under /run."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import typing as t

from . import healing

_JOURNAL = "/run/systemd/journal/socket"
_REMEMBERED_REFUSALS = 10

INFO, WARNING = 6, 4

# Where the unit has opened the metrics' file for us: in its folder we could not make one ourselves.
_METRICS = 1


class Report:
    """Keeps the state file in `folder` (None: keeps none) and speaks to systemd where it was started by it.

    With `metrics` the standard output is a file for Prometheus' node_exporter.
    """

    def __init__(self, folder: str | None, metrics: bool = False) -> None:
        self._metrics = metrics
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
        self._complained = False
        self._recall()

    def passed(self, container: str, cause: str, outcome: healing.Outcome, seconds: float) -> None:
        """A pass over a container has ended."""
        now = _now()
        short = container[:12]
        checked = {"at": now, "seconds": int(time.time()), "container": short, "cause": cause, "outcome": outcome.kind}
        self._state["last_check"] = checked
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
            if self._state["refusals"] and outcome.kind not in healing.CHANGED:
                message = f"{outcome.kind}: container {short} ({cause}): {outcome.detail}"
                self.log(INFO, message, outcome=outcome.kind, container=short)
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
        self._measure(up=False)

    def log(self, priority: int, message: str, **fields: object) -> None:
        """One journal entry with its fields, or one line on standard error where there is no journal."""
        entry = {"MESSAGE": message, "PRIORITY": str(priority), "SYSLOG_IDENTIFIER": "coolify-websocket"}
        entry.update((f"COOLIFY_WEBSOCKET_{name.upper()}", str(value)) for name, value in fields.items())
        if "JOURNAL_STREAM" not in os.environ or not _send(_JOURNAL, _journal_entry(entry)):
            print(message, file=sys.stderr, flush=True)

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

    def _measure(self, up: bool) -> None:
        """All of the metrics in one write, always of the same length: who reads them meanwhile reads them whole."""
        if not self._metrics:
            return
        check = self._state["last_check"] or {}
        in_place = up and self._state["connected"] and check.get("outcome") in healing.IN_PLACE
        values = {
            "up": up,
            "docker_connected": self._state["connected"],
            "routes_in_place": in_place,
            "heals_total": self._state["heals"],
            "refusals": len(self._state["refusals"]),
            "last_check_timestamp_seconds": check.get("seconds", 0),
        }
        lines = []
        for name, value in values.items():
            lines.append(f"# HELP coolify_websocket_{name} {_METRIC_WORDS[name]}")
            lines.append(f"# TYPE coolify_websocket_{name} {'counter' if name.endswith('_total') else 'gauge'}")
            lines.append(f"coolify_websocket_{name} {int(value):<20d}")
        try:
            os.pwrite(_METRICS, "".join(f"{line}\n" for line in lines).encode("ascii"), 0)
        except OSError as error:
            self._not_kept("metrics", error)

    def _write(self) -> None:
        self._measure(up=True)
        if self._file is None:
            return
        temporary = self._file + ".new"
        try:
            with open(temporary, "w", encoding="utf-8") as target:
                json.dump(self._state, target, indent=1)
                os.fchmod(target.fileno(), 0o644)
            os.replace(temporary, self._file)
            self._complained = False
        except OSError as error:
            self._not_kept("state", error)

    def _not_kept(self, what: str, error: OSError) -> None:
        """The routes come first: a full disk, as for one, is said once, and is no end."""
        if not self._complained:
            self._complained = True
            self.log(WARNING, f"the {what} cannot be written: {error.strerror or error}")


_METRIC_WORDS = {
    "up": "Whether the service runs.",
    "docker_connected": "Whether the Docker engine answered last time.",
    "routes_in_place": "Whether the routes were in place at the last check.",
    "heals_total": "How often the routes were put in, loaded or taken out since the host's start.",
    "refusals": "How many reasons there are now for which the routes are not in place.",
    "last_check_timestamp_seconds": "When a container was last looked at, in Unix time.",
}

_WORDS = {
    healing.CURRENT: "the routes are in place",
    healing.WAITING: "the routes are in place before the start",
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
