"""What comes of publishing an event, by what the program in the container says of it."""

from __future__ import annotations

import json
import threading
import time
import typing as t

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _client
from ansible_collections.selfhosted.coolify.plugins.module_utils.verify import _broadcast, _diagnosis

TOLD = {
    "scheme": "http", "host": "127.0.0.1", "port": "6001",
    "error": 0, "patience": 4000, "connected": True, "status": 200, "location": "", "json": True,
}


class Engine:
    """Runs nothing, and has this output."""

    def __init__(self, output: t.Any) -> None:
        self.output = output
        self.asked: list[t.Any] = []

    def exec(self, container: str, argv: list[str], errors: bool = True) -> tuple[int, bytes]:
        self.asked.append((container, argv))
        if isinstance(self.output, Exception):
            raise self.output
        return 0, self.output if isinstance(self.output, bytes) else json.dumps(self.output).encode()


@pytest.mark.parametrize(
    ("changes", "identifier"),
    [
        ({}, None),
        ({"error": 6}, "CWT-321"),
        ({"error": 7}, "CWT-322"),
        ({"error": 28}, "CWT-322"),
        ({"error": 28, "patience": 3000}, "CWT-322"),
        # As in a fleet of 20 on one machine, whose one server took 1.6 s and more to answer.
        ({"error": 28, "patience": 2999}, "CWT-330"),
        ({"error": 28, "patience": 1500, "connected": False}, "CWT-322"),
        ({"error": 28, "patience": 1499, "connected": False}, "CWT-330"),
        ({"error": 7, "patience": 500}, "CWT-322"),
        ({"error": 52}, "CWT-322"),
        ({"error": 35}, "CWT-323"),
        ({"error": 60}, "CWT-323"),
        ({"status": 400, "json": False}, "CWT-323"),
        ({"status": 404, "json": False, "port": "443"}, "CWT-323"),
        ({"status": 401}, "CWT-324"),
        ({"status": 403}, "CWT-324"),
        ({"status": 302, "json": False}, "CWT-325"),
        ({"status": 403, "json": False}, "CWT-325"),
        ({"status": 200, "json": False}, "CWT-325"),
        ({"status": 413}, "CWT-326"),
        ({"status": 404}, "CWT-326"),
        ({"status": 502, "json": False}, "CWT-326"),
    ],
)
def test_each_answer_has_its_diagnosis(changes: dict[str, t.Any], identifier: str | None) -> None:
    engine: t.Any = Engine({**TOLD, **changes})
    result = _broadcast.publish(engine, "coolify", "channel", time.monotonic() + 60, True)
    assert (result["diagnosis"] or {}).get("id") == identifier
    assert result["ok"] is _diagnosis.verdict(identifier)
    (container, argv) = engine.asked[0]
    assert (container, argv[:2], argv[3:-1]) == ("coolify", ["php", "-r"], ["channel", "selfhosted-coolify"])
    # As long as the caller has time, by the clock that the container has too.
    assert 50 < float(argv[-1]) - time.time() < 61


@pytest.mark.parametrize(("patience", "identifier"), [(1500, "CWT-322"), (1499, "CWT-330")])
def test_a_server_that_takes_connections_and_answers_nobody_is_no_busy_one(patience: int, identifier: str) -> None:
    engine: t.Any = Engine({**TOLD, "error": 28, "patience": patience})
    result = _broadcast.publish(engine, "coolify", "channel", time.monotonic() + 60, False)
    assert result["diagnosis"]["id"] == identifier


@pytest.mark.parametrize(
    "output",
    [
        b"", b"PHP Fatal error: the secret is s3cret", b"[]", b'{"error": 0}', b"\xff", _client.EngineError("no php"),
        _client.EngineUnavailable("no engine"), b"[" * 100000,
    ],
    ids=range(8),
)
def test_what_cannot_be_understood_is_no_verdict_and_is_not_repeated(output: t.Any) -> None:
    engine: t.Any = Engine(output)
    result = _broadcast.publish(engine, "coolify", "channel", time.monotonic() + 60, True)
    assert (result["ok"], result["diagnosis"]["id"]) == (None, "CWT-328")
    assert "s3cret" not in json.dumps(result)


def test_a_container_that_does_not_come_to_an_end_is_waited_for_no_longer_than_anything_else() -> None:
    held = threading.Event()

    class Stuck(Engine):
        def exec(self, container: str, argv: list[str], errors: bool = True) -> tuple[int, bytes]:
            held.wait(30)
            return super().exec(container, argv)

    engine: t.Any = Stuck(b"")
    began = time.monotonic()
    (result,) = _broadcast.prove(engine, "coolify", "key", [], 0.5)
    held.set()
    assert time.monotonic() - began < 5
    assert (result["ok"], result["diagnosis"]["id"]) == (None, "CWT-328")
