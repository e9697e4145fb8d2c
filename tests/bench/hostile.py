"""How long the product's own client stays with servers that mean no good, and what memory they get of it."""

from __future__ import annotations

import resource
import sys
import time
import typing as t
from pathlib import Path

from figures import Figure

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "unit" / "plugins" / "module_utils"))

import hostile_servers  # noqa: E402
from test_handshake import server, target  # noqa: E402

from ansible_collections.selfhosted.coolify.plugins.module_utils.verify import _handshake  # noqa: E402

_DEADLINE = 1.0


def servers() -> list[tuple[hostile_servers.Serve, str]]:
    """Each hostile behaviour that the unit tests know, with its diagnosis."""
    answers = [(hostile_servers.answering(answer), identifier) for answer, identifier in hostile_servers.ANSWERS.values()]
    return [*hostile_servers.HOSTILE.values(), *answers]


def endured(_bench: t.Any = None) -> list[Figure]:
    """The two figures. Raises AssertionError where a behaviour gets another diagnosis than its own."""
    late = 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for serve, identifier in servers():
        with server(serve) as port:
            began = time.monotonic()
            result = _handshake.probe_all([target(port)], _DEADLINE)[0]
            late = max(late, time.monotonic() - began - _DEADLINE)
        assert result["diagnosis"]["id"] == identifier, (identifier, result)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return [
        Figure(f"of {len(servers())} hostile behaviours, the longest beyond the deadline", max(late, 0.0), 0.2, "s"),
        Figure("memory that they made the process grow by", grown, 32.0, "MiB"),
    ]
