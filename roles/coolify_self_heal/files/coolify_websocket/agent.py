# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the WebSocket routes in Coolify's nginx, whatever happens to its container.

The life of one event. Coolify updates itself and creates its container anew, from an image that knows nothing of the
routes. The engine says ``create`` on the stream that `Agent.follow` waits on, under the container's own name or under
a temporary one that compose gives it (fact 34). `Agent.take` reads http.conf out of the container that does not run
yet, adds the routes by the same text logic that the Ansible module uses, and puts the file back: when nginx starts it
finds them there (fact 27). The engine says ``start``, and `Agent.take` puts the container on the list of those to be
looked at. `Agent.look` then asks the running nginx, in the container, whether it answers with the routes. While it
does not answer it is asked again, more and more seldom. When it fails on them they are taken out at once, since
Coolify coming up goes before our routes, and are tried again once nginx answers without them. When they are missing,
because the agent was not there or was too late, they are put in, and loaded by ``nginx -s reload``, which ends no
connection. What came of it goes to the state file, to systemd and, if anything was changed, to the journal as one
line.

Nothing else wakes the agent but systemd's watchdog; it starts no process on the host, and writes nothing there but its
state under /run.
"""

from __future__ import annotations

import collections
import contextlib
import os
import re
import select
import signal
import sys
import time
import typing as t

from . import healing
from .engine import _client
from .report import Report
from .settings import Settings

_ACTIONS = ["create", "start", "unpause", "die", "destroy"]

# Longer than the longest pause in what is asked of the engine: nginx is given 5 s to answer after a reload.
_TIMEOUT = 30.0
# Of a pass that somebody waits for: how often, and after how many seconds.
_ONCE_ATTEMPTS, _ONCE_PAUSE = 6, 0.5

_RETRY_FIRST, _RETRY_FACTOR, _RETRY_MOST, _RETRY_LIMIT = 0.2, 1.6, 10.0, 40
# By this look, 14 seconds after the first one, a start-up has rendered what it renders.
_LATE = 8
_RECONNECT_FIRST, _RECONNECT_MOST = 0.2, 5.0
# So long an engine that has let us go is given to end; one that lives on then did not stop.
_STOPS_WITHIN = 10.0
# Where systemd keeps its control groups: by version 2, by both, by version 1.
_CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")
_UNPROVED_DEATHS = 2

# Exit statuses of a container that was told to stop.
_STOPPED = ("0", "137", "143")


class Watch(t.NamedTuple):
    """A running container whose routes are not proved yet.

    When to look again (monotonic seconds), and the how manieth time that will be.
    """

    due: float
    attempt: int
    cause: str


class Agent:
    """The service's whole life; `follow` returns only by an exception."""

    def __init__(self, engine: _client.Engine, settings: Settings, report: Report, heartbeat: float) -> None:
        self._engine = engine
        self._settings = settings
        self._report = report
        self._heartbeat = heartbeat
        self._watched: dict[str, Watch] = {}
        self._detail = ""
        self._proved: set[str] = set()
        self._given_up: set[str] = set()
        self._deaths: dict[str, int] = collections.Counter()
        self._prepared: dict[str, healing.Prepared] = {}
        self._seen: collections.deque[tuple[t.Any, ...]] = collections.deque(maxlen=64)
        self._followed: set[str] = set()
        self._lost = -_STOPS_WITHIN
        name = re.escape(settings.container)
        self._ours = re.compile(rf"(?:[0-9a-f]{{12}}_)?{name}")

    def run(self) -> t.NoReturn:
        """Follows the engine, and waits for it whenever it is away."""
        pause = _RECONNECT_FIRST
        cause = "start of the service"
        while True:
            # An engine that stops ends its streams before itself, and who waits at its socket by then has it started again.
            while time.monotonic() < self._lost + _STOPS_WITHIN and self._followed & processes(self._settings):
                time.sleep(_RECONNECT_FIRST)
            try:
                if is_stopped(self._settings):
                    # To connect would start it again, where systemd listens in its place.
                    raise _client.EngineUnavailable("it is stopped")
                self.follow(cause)
            except (_client.EngineError, LookupError, TypeError, ValueError, AttributeError) as error:
                # The last four: what answers has the form of no engine that is known, and will not be better at once.
                known = isinstance(error, _client.EngineError)
                was_connected = known and self._report.connected
                if was_connected:
                    self._lost = time.monotonic()
                self._report.disconnected(str(error) if known else f"it answers in an unknown form, {error!r}")
                pause = _RECONNECT_FIRST if was_connected else min(pause * 2, _RECONNECT_MOST)
            self._report.ready()
            self._report.alive()
            time.sleep(pause)
            cause = "Docker is back"

    def follow(self, cause: str) -> t.NoReturn:
        """Checks all there is, then lives from event to event. Raises EngineUnavailable when the engine goes away."""
        # Two streams, because the engine joins different filters by "and": the label finds a container that compose
        # creates under a temporary name, the name one that was not made by compose.
        label = f"com.docker.compose.service={self._settings.container}"
        common = {"type": ["container"], "event": _ACTIONS}
        with self._engine.events({**common, "label": [label]}) as by_label, self._engine.events(
            {**common, "container": [self._settings.container]}
        ) as by_name:
            streams = [by_label, by_name]
            self._followed = processes(self._settings)
            # The streams are open first, so that nothing falls between this check and the first event.
            self.check_all(label, cause)
            self._report.ready()
            while True:
                self._report.alive()
                self.look_at_due()
                for stream in streams:
                    event = stream.read(0)
                    while event is not None:
                        self.take(event)
                        event = stream.read(0)
                select.select(streams, [], [], self._until_next())

    def check_all(self, label: str, cause: str) -> None:
        """Looks at every container of ours as if it had just started."""
        self._watched.clear()
        self._given_up.clear()
        self._deaths.clear()
        found = {
            container["Id"]
            for filters in ({"label": [label]}, {"name": [self._settings.container]})
            for container in self._engine.containers(all=True, filters=filters)
            if any(self._ours.fullmatch(name.lstrip("/")) for name in container["Names"] or [])
        }
        if not found:
            self._report.no_container(self._settings.container)
        for container in found:
            self.look(container, Watch(0.0, 0, cause))

    def take(self, event: dict[str, t.Any]) -> None:
        """One event of the engine's."""
        container, attributes = event["Actor"]["ID"], event["Actor"]["Attributes"]
        key = (container, event["Action"], event["timeNano"])
        if not self._ours.fullmatch(attributes.get("name", "")) or key in self._seen:
            return
        self._seen.append(key)
        self._report.event()
        action = event["Action"]
        if action == "create":
            self._created(container, attributes)
        elif action in ("start", "unpause"):
            self._watched[container] = Watch(time.monotonic(), 0, "started")
        elif action == "die":
            self._watched.pop(container, None)
            self._died(container, attributes.get("exitCode", ""))
        elif action == "destroy":
            self._forget(container)

    def _created(self, container: str, attributes: dict[str, str]) -> None:
        """A container that may be started at any moment: the faster the better."""
        prepared = self._known(attributes) if self._prepared else None
        if prepared is None:
            self._pass(container, "created")
        else:
            known = prepared
            self._told(container, "created", lambda: healing.prepare(self._engine, container, known))

    def _learn(self, container: str) -> None:
        try:
            prepared = healing.learn(self._engine, self._settings, container, self._prepared)
        except _client.EngineError:
            # Nothing is lost but the head start; an engine that is away is noticed by the event stream.
            return
        if prepared is not None:
            self._prepared = {prepared.image: prepared}

    def _known(self, attributes: dict[str, str]) -> healing.Prepared | None:
        """By the image's id, which Compose writes on what it creates: under the same name there may be another by now."""
        identity = attributes.get("com.docker.compose.image") or ""
        if not identity:
            try:
                identity = str((self._engine.image(attributes.get("image", "")) or {}).get("Id"))
            except _client.EngineError:
                return None
        return self._prepared.get(identity)

    def look_at_due(self) -> None:
        """Looks at the running containers whose time has come."""
        for container, watch in list(self._watched.items()):
            if watch.due <= time.monotonic():
                self.look(container, watch)

    def look(self, container: str, watch: Watch) -> None:
        """One look at a container; it is looked at again later where nginx does not answer yet."""
        self._watched.pop(container, None)
        withdrawn = container in self._given_up
        kind = self._pass(container, watch.cause, late=watch.attempt >= _LATE, withdrawn=withdrawn)
        if kind in (healing.CURRENT, healing.MENDED, healing.LOADED, healing.UNNEEDED):
            self._proved.add(container)
            self._given_up.discard(container)
            self._learn(container)
            if kind in (healing.MENDED, healing.LOADED) and watch.attempt < _RETRY_LIMIT:
                # Once more: what could not be asked yet, since its server was still starting, is known by then.
                self._again(container, watch)
        elif kind == healing.WITHDRAWN and not withdrawn:
            self._given_up.add(container)
            self._again(container, watch)
        elif kind == healing.STARTING and watch.attempt < _RETRY_LIMIT:
            self._again(container, watch)
        elif kind == healing.STARTING:
            self._report.refused(container[:12], f"{self._detail}; nothing more is tried before the next event")

    def _again(self, container: str, watch: Watch) -> None:
        pause = min(_RETRY_FIRST * _RETRY_FACTOR**watch.attempt, _RETRY_MOST)
        self._watched[container] = Watch(time.monotonic() + pause, watch.attempt + 1, watch.cause)

    def _pass(self, container: str, cause: str, late: bool = False, withdrawn: bool = False) -> str:
        return self._told(
            container, cause, lambda: healing.heal(self._engine, self._settings, container, late=late, withdrawn=withdrawn)
        )

    def _told(self, container: str, cause: str, work: t.Callable[[], healing.Outcome]) -> str:
        """Does the work and reports what came of it. Raises EngineUnavailable only if the engine itself is away."""
        begun = time.monotonic()
        try:
            outcome = work()
        except _client.EngineUnavailable as error:
            # A container that ends cuts off the answers about it. Whether it was that, the engine itself tells.
            self._engine.version()
            outcome = healing.Outcome(healing.STARTING, str(error))
        except _client.EngineError as error:
            # The container went down or away while it was looked at: its next event decides.
            outcome = healing.Outcome(healing.STARTING, str(error))
        self._detail = outcome.detail
        self._report.passed(container, cause, outcome, time.monotonic() - begun)
        if outcome.prepared is not None:
            self._prepared = {outcome.prepared.image: outcome.prepared}
        return outcome.kind

    def _died(self, container: str, status: str) -> None:
        """A container that ends again and again before its routes were proved gets a start without them."""
        if container in self._proved or container in self._given_up or status in _STOPPED:
            self._proved.discard(container)
            return
        self._deaths[container] += 1
        if self._deaths[container] < _UNPROVED_DEATHS:
            return
        reason = f"the container ended {self._deaths[container]} times, last with {status}, before nginx answered"
        if self._told(container, "died", lambda: healing.withdraw(self._engine, self._settings, container, reason)) in (
            healing.WITHDRAWN,
            healing.REFUSED,
        ):
            self._given_up.add(container)

    def _forget(self, container: str) -> None:
        self._watched.pop(container, None)
        self._deaths.pop(container, None)
        self._proved.discard(container)
        self._given_up.discard(container)

    def _until_next(self) -> float:
        soonest = min((watch.due for watch in self._watched.values()), default=float("inf"))
        return max(0.0, min(soonest - time.monotonic(), self._heartbeat))


def is_stopped(settings: Settings) -> bool:
    """Whether the engine's unit is not there; False where that cannot be told."""
    group = settings.docker_cgroup
    slices = [mount for mount in _CGROUPS if os.path.isdir(mount + os.path.dirname(group))] if group else []
    return bool(slices) and not any(os.path.isdir(mount + group) for mount in slices)


def processes(settings: Settings) -> set[str]:
    """The ids of the processes of the engine's unit; none where that cannot be told."""
    found: set[str] = set()
    for mount in _CGROUPS if settings.docker_cgroup else ():
        with contextlib.suppress(OSError), open(f"{mount}{settings.docker_cgroup}/cgroup.procs", encoding="ascii") as listed:
            found.update(listed.read().split())
    return found


def serve(settings: Settings) -> int:
    """The service. Ends with 0 when it is told to."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    report = Report(os.environ.get("RUNTIME_DIRECTORY"), settings.metrics)
    heartbeat = int(os.environ.get("WATCHDOG_USEC", 60_000_000)) / 1e6 / 2
    try:
        Agent(_client.Engine(settings.docker_socket, _TIMEOUT), settings, report, heartbeat).run()
    finally:
        report.stopping()


def once(settings: Settings, check: bool) -> int:
    """One pass over the container by its name, told in words. With `check` nothing is changed."""
    engine = _client.Engine(settings.docker_socket, _TIMEOUT)
    for _attempt in range(_ONCE_ATTEMPTS):
        try:
            if is_stopped(settings):
                raise _client.EngineUnavailable("Docker is stopped")
            outcome = healing.heal(engine, settings, settings.container, check)
        except _client.EngineError as error:
            outcome = healing.Outcome(healing.REFUSED, str(error))
        if check or outcome.kind != healing.STARTING:
            break
        # The service may be at it in this very moment, or nginx about to answer.
        time.sleep(_ONCE_PAUSE)
    print(f"{'would be ' if check and outcome.kind in healing.CHANGED else ''}{outcome.kind}: {outcome.detail}")
    for location in outcome.foreign:
        answer = {True: "nginx serves", False: "nginx does not serve", None: "cannot be asked about now"}[location.served]
        print(f"{location.file}, line {location.line}: '{location.location}' takes {location.path}, which {answer}")
    done = {healing.CURRENT, healing.WAITING, healing.UNNEEDED} if check else healing.IN_PLACE
    return 0 if outcome.kind in done and all(location.served is not False for location in outcome.foreign) else 1
