"""Connectors are restarted one at a time, each when the one before is back."""

from __future__ import annotations

from typing import Any, Sequence

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _client
from ansible_collections.selfhosted.coolify.plugins.module_utils.tunnel import _restart


class Host:
    """Units and containers that are up again `delay` seconds after a restart, and what happened to them in order."""

    def __init__(self, delay: float = 2.0, dies_after: float = 1e9) -> None:
        self.now, self.delay, self.dies_after = 0.0, delay, dies_after
        self.restarted: dict[str, float] = {}
        self.told: list[str] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def is_up(self, name: str) -> bool:
        return self.delay <= self.now - self.restarted[name] < self.dies_after

    def restart(self, name: str) -> None:
        if name == "gone":
            raise _client.EngineError("No such container: gone", 404)
        self.restarted[name] = self.now
        self.told.append(f"{name} at {self.now:g}")

    def run(self, argv: Sequence[str]) -> tuple[int, str, str]:
        if argv[1] == "restart":
            if argv[-1] == "gone.service":
                return 5, "", "Unit gone.service not found.\n"
            self.restart(argv[-1])
            return 0, "", ""
        return (0 if self.is_up(argv[-1]) else 3), "", ""

    def inspect(self, name: str) -> dict[str, Any]:
        # With a health check it is not there yet while it only runs.
        return {"State": {"Running": True, "Health": {"Status": "healthy" if self.is_up(name) else "starting"}}}

    def go(self, *names: str, timeout: float = 20.0) -> None:
        engine: Any = self
        connectors = [
            _restart.Unit(name, self.run) if name.endswith(".service") else _restart.Container(name, engine) for name in names
        ]
        _restart.one_by_one(connectors, timeout, clock=lambda: self.now, sleep=self.sleep)


def test_the_next_one_waits_until_the_one_before_is_back() -> None:
    host = Host()
    host.go("a.service", "b", "c.service")
    times = [float(told.rpartition(" ")[2]) for told in host.told]
    assert [told.split()[0] for told in host.told] == ["a.service", "b", "c.service"]
    assert all(later - earlier >= host.delay + _restart.SETTLED for earlier, later in zip(times, times[1:]))


@pytest.mark.parametrize("host", [Host(delay=1e6), Host(delay=0, dies_after=1.0)], ids=["never up", "up and down again"])
@pytest.mark.parametrize(("name", "remedy"), [("a.service", "journalctl -u a.service"), ("a", "docker logs a")])
def test_one_that_does_not_come_back_is_named_and_the_others_are_left_running(host: Host, name: str, remedy: str) -> None:
    host.told.clear()
    with pytest.raises(_restart.RestartError) as caught:
        host.go(name, "b.service")
    assert "is not back after 20 seconds" in str(caught.value)
    assert remedy in str(caught.value)
    assert "the unit b.service" in str(caught.value)
    assert [told.split()[0] for told in host.told] == [name]


@pytest.mark.parametrize("name", ["gone", "gone.service"])
def test_one_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(_restart.RestartError, match=name + " cannot be restarted"):
        Host().go(name)


def test_one_that_is_up_late_may_still_settle() -> None:
    Host(delay=19.0).go("a.service")
