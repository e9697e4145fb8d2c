# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One pass over one container: look, decide, mend, prove."""

from __future__ import annotations

import typing as t

from .engine import _client
from .nginx import _container, _http_conf
from .settings import Settings

# What a pass can end in. In place: CURRENT, PREPARED, MENDED, LOADED, UNNEEDED. To be tried again: STARTING.
CURRENT = "current"  # nginx answers with the routes
PREPARED = "prepared"  # put into a container that does not run, for its nginx to find
MENDED = "mended"  # put into a running container, tested and loaded
LOADED = "loaded"  # the file was right, nginx had not loaded it
UNNEEDED = "unneeded"  # somebody else's locations take all our paths
STARTING = "starting"  # nginx does not answer yet
WITHDRAWN = "withdrawn"  # taken out again, because nginx fails with them
REFUSED = "refused"  # cannot be put in
GONE = "gone"  # no such container

IN_PLACE = frozenset([CURRENT, PREPARED, MENDED, LOADED, UNNEEDED])
CHANGED = frozenset([PREPARED, MENDED, LOADED, WITHDRAWN])


class Outcome(t.NamedTuple):
    """How a pass ended, and in words why; `foreign` are somebody else's locations on our paths."""

    kind: str
    detail: str = ""
    foreign: tuple[_http_conf.Foreign, ...] = ()


def heal(engine: _client.Engine, settings: Settings, container: str, check: bool = False) -> Outcome:
    """Brings one container's nginx to the settings; with `check` it only says how that would end.

    Raises EngineError and EngineUnavailable; all that nginx or the file refuses is an outcome.
    """
    inspected = engine.inspect(container)
    if inspected is None:
        return Outcome(GONE, f"there is no container {container}")
    try:
        snapshot = _container.read(engine, inspected, settings.path)
        wanted = _http_conf.apply(
            snapshot.text,
            settings.routes,
            settings.resolver,
            settings.read_timeout,
            snapshot.texts,
            snapshot.upstreams,
        )
    except _container.NotRendered as reason:
        return Outcome(STARTING, str(reason))
    except (_container.NginxError, _http_conf.HttpConfError) as error:
        return Outcome(REFUSED, str(error))
    if not snapshot.running:
        outcome = _prepare(engine, snapshot, wanted, check)
    elif wanted.changed:
        outcome = _mend(engine, snapshot, wanted, check)
    else:
        outcome = _prove(engine, snapshot, check)
    if outcome.kind == CURRENT and not wanted.paths:
        outcome = Outcome(UNNEEDED, "locations of somebody else take all the paths")
    return outcome._replace(foreign=tuple(wanted.foreign))


def withdraw(engine: _client.Engine, settings: Settings, container: str, reason: str) -> Outcome:
    """Takes our block out of a container that keeps ending, for this reason.

    Raises EngineError and EngineUnavailable.
    """
    inspected = engine.inspect(container)
    if inspected is None:
        return Outcome(GONE, f"there is no container {container}")
    try:
        snapshot = _container.read(engine, inspected, settings.path)
        stock = _http_conf.remove(snapshot.text)
    except (_container.NginxError, _http_conf.HttpConfError) as error:
        return Outcome(REFUSED, str(error))
    if not stock.changed:
        return Outcome(REFUSED, reason)
    _container.put(engine, snapshot, stock.text)
    return Outcome(WITHDRAWN, reason)


def _prepare(
    engine: _client.Engine, snapshot: _container.Snapshot, wanted: _http_conf.Result, check: bool
) -> Outcome:
    if not wanted.changed:
        return Outcome(CURRENT, "the routes are in the file")
    if not check:
        _container.put(engine, snapshot, wanted.text)
    return Outcome(PREPARED, "the routes were put in before the start")


def _mend(
    engine: _client.Engine, snapshot: _container.Snapshot, wanted: _http_conf.Result, check: bool
) -> Outcome:
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


def _yield_to_nginx(
    engine: _client.Engine, snapshot: _container.Snapshot, complaint: str, check: bool
) -> Outcome:
    """nginx refuses what is there. If it would start without our block, the block goes: Coolify comes first."""
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
