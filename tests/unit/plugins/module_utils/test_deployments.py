from __future__ import annotations

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _deployments

DATABASE = {
    "State": {"Running": True},
    "Config": {"Env": ["POSTGRES_USER=coolify", "POSTGRES_DB=instance", "POSTGRES_PASSWORD=x"]},
}


class FakeEngine:
    """Answers as the engine does; `counts` are psql's answers, the last one for ever."""

    def __init__(self, counts=("0",), images=("coollabsio/coolify:4.3.0",), container=..., status=0):
        self.counts = list(counts)
        self.images = images
        self.container = DATABASE if container is ... else container
        self.status = status
        self.commands = []

    def containers(self, all=True, filters=None):
        assert not all
        return [{"Image": image, "Names": [f"/name{number}"]} for number, image in enumerate(self.images)]

    def inspect(self, name):
        assert name == "coolify-db"
        return self.container

    def exec(self, container, argv, errors=True):
        assert not errors
        self.commands.append(argv)
        return self.status, (self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]).encode() + b"\n"


def test_asks_the_database_as_its_own_user():
    engine = FakeEngine()
    assert _deployments.running(engine, "coolify-db") == []
    (argv,) = engine.commands
    assert argv[:1] + argv[3:7] == ["psql", "-U", "coolify", "-d", "instance"]
    assert "'queued', 'in_progress'" in argv[-1]


def test_a_deployment_to_another_host_is_seen_in_the_database():
    assert _deployments.running(FakeEngine(["2"]), "coolify-db") == ["2 queued or in progress by the instance's database"]


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("ghcr.io/coollabsio/coolify-helper:1.0.12", True),
        ("coollabsio/coolify-helper", True),
        ("registry.local:5000/coollabsio/coolify-helper@sha256:00", True),
        ("coollabsio/coolify:4.3.0", False),
        ("mine/not-coollabsio/coolify-helper-x:1", False),
    ],
)
def test_a_deployment_to_this_host_is_seen_by_its_image(image, found):
    expected = ["the helper container name0"] if found else []
    assert _deployments.running(FakeEngine(images=[image]), "coolify-db") == expected


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        (FakeEngine(container=None), "no container coolify-db"),
        (FakeEngine(container={**DATABASE, "State": {"Running": False}}), "does not run"),
        (FakeEngine(['role "secret" does not exist'], status=2), "status 2"),
        (FakeEngine(["nonsense"]), "status 0"),
    ],
)
def test_does_not_guess_where_the_database_does_not_say(engine, reason):
    with pytest.raises(_deployments.UnknownError, match=reason) as caught:
        _deployments.running(engine, "coolify-db")
    assert "secret" not in str(caught.value)


def test_waits_until_nothing_is_deployed(monkeypatch):
    monkeypatch.setattr(_deployments, "_PAUSE", 0.01)
    engine = FakeEngine(["2", "1", "0"])
    assert _deployments.wait(engine, "coolify-db", 5) == []
    assert len(engine.commands) == 3


def test_waits_no_longer_than_it_is_told(monkeypatch):
    monkeypatch.setattr(_deployments, "_PAUSE", 0.01)
    assert _deployments.wait(FakeEngine(["1"]), "coolify-db", 0.05) != []
    engine = FakeEngine(["1"])
    assert _deployments.wait(engine, "coolify-db", 0) != []
    assert len(engine.commands) == 1
