# SPDX-License-Identifier: GPL-3.0-or-later
"""One pass over one container: look, decide, mend, prove."""

from __future__ import annotations

import typing as t

from .engine import _client
from .nginx import _container, _http_conf, _routes
from .settings import Settings

# What a pass can end in. In place: CURRENT, WAITING, PREPARED, MENDED, LOADED, UNNEEDED. To be tried again: STARTING.
CURRENT = "current"  # nginx answers with the routes
WAITING = "waiting"  # in the file of a container that does not run, so that nothing is proved
PREPARED = "prepared"  # put into a container that does not run, for its nginx to find
MENDED = "mended"  # put into a running container, tested and loaded
LOADED = "loaded"  # the file was right, nginx had not loaded it
UNNEEDED = "unneeded"  # all our paths are served, or taken by somebody else's locations
STARTING = "starting"  # nginx does not answer yet
WITHDRAWN = "withdrawn"  # taken out again, because nginx fails with them
REFUSED = "refused"  # cannot be put in
GONE = "gone"  # no such container

# A container of which parts are away already.
_GOING = ("removing", "dead")

# As the engine counts what a container changed of its image's files.
_ADDED = 1

IN_PLACE = frozenset([CURRENT, WAITING, PREPARED, MENDED, LOADED, UNNEEDED])
CHANGED = frozenset([PREPARED, MENDED, LOADED, WITHDRAWN])


class Prepared(t.NamedTuple):
    """What goes into a container of the image with this id before its start: the same into every one of them."""

    image: str
    path: str
    file: _client.File
    foreign: tuple[_http_conf.Foreign, ...]


class Outcome(t.NamedTuple):
    """How a pass ended, and in words why.

    `foreign` are somebody else's locations on our paths; `prepared` is what the next container of the same image can be
    given without being read first.
    """

    kind: str
    detail: str = ""
    foreign: tuple[_http_conf.Foreign, ...] = ()
    prepared: Prepared | None = None


def heal(
    engine: _client.Engine, settings: Settings, container: str, check: bool = False, late: bool = False, withdrawn: bool = False
) -> Outcome:
    """Brings one container's nginx to the settings; with `check` it only says how that would end.

    `late`: the container has had all the time that its start-up needs. `withdrawn`: it failed with the routes before,
    so that they go in by way of an nginx that answers without them, and never into a container that does not run.
    Raises EngineError and EngineUnavailable; all that nginx or the file refuses is an outcome.
    """
    return _while_it_is_as_it_was(
        engine, container, lambda inspected: _heal(engine, settings, inspected, check, late, withdrawn)
    )


def _while_it_is_as_it_was(
    engine: _client.Engine, container: str, work: t.Callable[[dict[str, t.Any]], Outcome]
) -> Outcome:
    """What comes of the work on a container's inspection; what is refused while it goes up or down is said of that moment."""
    inspected = engine.inspect(container)
    if inspected is None:
        return Outcome(GONE, f"there is no container {container}")
    outcome = work(inspected)
    if outcome.kind == REFUSED:
        now = engine.inspect(inspected["Id"])
        status = now["State"]["Status"] if now else "gone"
        if status in _GOING or _moment(now) != _moment(inspected):
            return Outcome(STARTING, f"the container was started or stopped while it was looked at; it is {status} now")
    return outcome


def _moment(inspected: dict[str, t.Any] | None) -> tuple[t.Any, ...]:
    return tuple((inspected or {"State": {}})["State"].get(key) for key in ("Status", "StartedAt"))


def _heal(
    engine: _client.Engine, settings: Settings, inspected: dict[str, t.Any], check: bool, late: bool, withdrawn: bool
) -> Outcome:
    try:
        snapshot = _container.read(engine, inspected, settings.path)
        if withdrawn and not snapshot.running:
            return Outcome(STARTING, "the routes wait for it to run without them")
        wanted = _container.wanted(engine, snapshot, settings.nginx)
    except _container.NotRendered as reason:
        if late and not check and isinstance(reason, _container.Empty):
            _container.render_again(engine, inspected["Id"], settings.path)
        return Outcome(STARTING, str(reason))
    except (_container.NginxError, _routes.HttpConfError, _client.TooLarge) as error:
        return Outcome(REFUSED, str(error))
    if not snapshot.running:
        outcome = _prepare(engine, inspected, snapshot, wanted, check)
    elif withdrawn and not _container.answers(engine, snapshot):
        outcome = Outcome(STARTING, "nginx does not answer yet, without the routes")
    elif wanted.changed:
        outcome = _mend(engine, snapshot, wanted, check)
    else:
        outcome = _prove(engine, snapshot, check)
    unasked = [location.path for location in wanted.foreign if location.served is None]
    if outcome.kind == CURRENT and snapshot.running and unasked:
        outcome = Outcome(STARTING, f"the server behind {' and '.join(unasked)} does not answer, so that nginx cannot be judged")
    elif outcome.kind in (CURRENT, WAITING) and not wanted.paths:
        outcome = Outcome(UNNEEDED, "all the paths are served, or taken, without the routes")
    return outcome._replace(foreign=tuple(wanted.foreign))


def withdraw(engine: _client.Engine, settings: Settings, container: str, reason: str) -> Outcome:
    """Takes our block out of a container that keeps ending, for this reason; never where it runs again by now.

    Raises EngineError and EngineUnavailable.
    """
    return _while_it_is_as_it_was(engine, container, lambda inspected: _withdraw(engine, settings, inspected, reason))


def _withdraw(engine: _client.Engine, settings: Settings, inspected: dict[str, t.Any], reason: str) -> Outcome:
    try:
        snapshot = _container.read(engine, inspected, settings.path)
        if snapshot.running:
            return Outcome(STARTING, "it is starting again")
        stock = _http_conf.remove(snapshot.text)
    except _container.NotRendered as starting:
        return Outcome(STARTING, str(starting))
    except (_container.NginxError, _routes.HttpConfError, _client.TooLarge) as error:
        return Outcome(REFUSED, str(error))
    if not stock.changed:
        return Outcome(REFUSED, reason)
    _container.put(engine, snapshot, stock.text)
    return Outcome(WITHDRAWN, reason)


def prepare(engine: _client.Engine, container: str, prepared: Prepared) -> Outcome:
    """Gives a container that was created this moment what another of its image was given.

    One request instead of three: from the moment that the engine is told to start it, it lets nobody at its files before
    it runs. Raises EngineError and EngineUnavailable.
    """
    engine.write_file(container, prepared.path, *prepared.file)
    return Outcome(PREPARED, "the routes were put in before the start", prepared.foreign)


def learn(engine: _client.Engine, settings: Settings, container: str, known: t.Collection[str]) -> Prepared | None:
    """What the next container of a running one's image can be given before its start; None where that is not sure.

    It is where http.conf was rendered from a template, and the template is the image's own but for our block. None also for
    an image whose id is `known`. Raises EngineError and EngineUnavailable.
    """
    inspected = engine.inspect(container)
    if inspected is None or inspected.get("Image") in known:
        return None
    template = _container.template_of(engine, inspected, settings.path)
    if template is None or engine.changes(container).get(settings.path) != _ADDED:
        return None
    try:
        stock = _http_conf.remove(template.text).text
        wanted = _http_conf.apply(stock, settings.nginx)
    except _routes.HttpConfError:
        return None
    file = template.file._replace(data=wanted.text.encode("latin-1"))
    return Prepared(str(inspected.get("Image")), template.path, file, tuple(wanted.foreign))


def _prepare(
    engine: _client.Engine, inspected: dict[str, t.Any], snapshot: _container.Snapshot, wanted: _http_conf.Result, check: bool
) -> Outcome:
    if not wanted.changed:
        return Outcome(WAITING, "the routes are in the file")
    if check:
        return Outcome(PREPARED, "the routes were put in before the start")
    _container.put(engine, snapshot, wanted.text)
    status = ((engine.inspect(snapshot.container) or {}).get("State") or {}).get("Status")
    prepared = None
    if status == "created":
        # Not started yet: what was read is the image's own.
        file = snapshot.file._replace(data=wanted.text.encode("latin-1"))
        prepared = Prepared(str(inspected.get("Image")), snapshot.path, file, tuple(wanted.foreign))
    return Outcome(PREPARED, "the routes were put in before the start", prepared=prepared)


def _mend(engine: _client.Engine, snapshot: _container.Snapshot, wanted: _http_conf.Result, check: bool) -> Outcome:
    try:
        if not check:
            _container.swap(engine, snapshot, wanted.text)
    except (_container.NotAnswering, _container.Conflict) as reason:
        return Outcome(STARTING, str(reason))
    except _container.NginxError as reason:
        complaint = _container.fault(engine, snapshot)
        if complaint is not None:
            return _yield_to_nginx(engine, snapshot, complaint, check)
        return Outcome(REFUSED, str(reason))
    return Outcome(MENDED, "the routes were missing or not the wanted ones")


def _prove(engine: _client.Engine, snapshot: _container.Snapshot, check: bool) -> Outcome:
    loaded = _container.is_loaded(engine, snapshot)
    if loaded:
        return Outcome(CURRENT, "nginx answers with the routes")
    complaint = _container.fault(engine, snapshot)
    if complaint is not None:
        return _yield_to_nginx(engine, snapshot, complaint, check)
    if loaded is None:
        return Outcome(STARTING, "nginx does not answer yet")
    try:
        if not check:
            _container.load(engine, snapshot)
    except _container.NginxError as reason:
        return Outcome(STARTING, str(reason))
    return Outcome(LOADED, "nginx had not loaded the file with the routes")


def _yield_to_nginx(engine: _client.Engine, snapshot: _container.Snapshot, complaint: str, check: bool) -> Outcome:
    """Where nginx refuses what is there, and would start without our block, the block goes: Coolify comes first."""
    stock = _http_conf.remove(snapshot.text)
    if not stock.changed:
        return Outcome(REFUSED, f"nginx refuses its own configuration: {complaint}")
    try:
        if not check:
            _container.swap(engine, snapshot, stock.text)
    except _container.NotAnswering:
        pass
    except _container.Conflict as reason:
        return Outcome(STARTING, str(reason))
    except _container.NginxError:
        return Outcome(REFUSED, f"nginx refuses its configuration, with our routes and without them: {complaint}")
    return Outcome(WITHDRAWN, f"nginx fails with the routes: {complaint}")
