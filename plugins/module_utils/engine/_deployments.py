# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Coolify is deploying something.

A deployment is a job inside the container `coolify` and ends with it (fact 35); one to this host shows as a container of
Coolify's helper image, one to another host only in the instance's database.
"""

from __future__ import annotations

import re
import time
import typing as t

from . import _client

_HELPER = re.compile(r"(^|/)coollabsio/coolify-helper([:@]|$)")
_QUERY = "SELECT count(*) FROM application_deployment_queues WHERE status IN ('queued', 'in_progress')"
_PAUSE = 2.0


class UnknownError(Exception):
    """The instance's database does not say whether something is being deployed."""


def running(engine: _client.Engine, database: str) -> list[str]:
    """What is being deployed, in words; empty if nothing is. `database` is the container of the instance's PostgreSQL.

    Raises UnknownError and EngineError.
    """
    found = []
    for container in engine.containers(all=False):
        if _HELPER.search(container["Image"]):
            found.append("the helper container {}".format(container["Names"][0].lstrip("/")))
    count = _queued(engine, database)
    if count:
        found.append(f"{count} queued or in progress by the instance's database")
    return found


def wait(engine: _client.Engine, database: str, timeout: float) -> list[str]:
    """Waits at most `timeout` seconds until nothing is being deployed; what still is then, in words."""
    deadline = time.monotonic() + timeout
    while True:
        found = running(engine, database)
        left = deadline - time.monotonic()
        if not found or left <= 0:
            return found
        time.sleep(min(_PAUSE, left))


def _queued(engine: _client.Engine, database: str) -> int:
    inspected: t.Any = engine.inspect(database)
    if inspected is None:
        raise UnknownError(f"there is no container {database}")
    if not inspected["State"]["Running"]:
        raise UnknownError(f"the container {database} does not run")
    environment = _client.environment(inspected)
    user = environment.get("POSTGRES_USER") or "postgres"
    name = environment.get("POSTGRES_DB") or user
    status, output = engine.exec(database, ["psql", "-X", "-w", "-U", user, "-d", name, "-tAc", _QUERY], errors=False)
    answer = output.decode("utf-8", "replace").strip()
    if status != 0 or not answer.isdigit():
        # psql's own words name the user and the database, which are nobody else's business.
        raise UnknownError(f"psql in {database} ended with status {status}")
    return int(answer)
