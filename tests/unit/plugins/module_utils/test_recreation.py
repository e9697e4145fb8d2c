"""Variables made effective, against a stand-in for the docker client, which writes down how it is called."""

from __future__ import annotations

import json

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _compose
from ansible_collections.selfhosted.coolify.plugins.module_utils.env import _effective, _memory, _recreation
from ansible_collections.selfhosted.coolify.plugins.module_utils.keeper import _inplace_file

IMAGE_ID = "sha256:1111"
DOCKER = """#!/bin/sh
echo "$LATEST_IMAGE $REGISTRY_URL $DOCKER_HOST $*" >> "$(dirname "$0")/calls"
env > "$(dirname "$0")/environment"
case "$*" in
    *"config --images") cat "$(dirname "$0")/images" ;;
    "image inspect"*) echo sha256:1111 ;;
    logs*) echo "cannot connect with hunter22 as coolify" ;;
    *" up "*) test ! -e "$(dirname "$0")/refuse" || { echo "bad APP_KEY=base64:topsecret"; exit 1; } ;;
esac
"""
BEFORE = b"APP_KEY=base64:topsecret\nDB_PASSWORD=hunter22\nPUSHER_HOST=203.0.113.7\n"
AFTER = BEFORE.replace(b"203.0.113.7", b"coolify.example.com")
WANTED = {"PUSHER_HOST": "coolify.example.com", "PUSHER_BACKEND_HOST": None}


class Host:
    """A host with Coolify's files, the client, and an engine that shows `states` of the container one after the other."""

    def __init__(self, folder):
        self.folder = folder
        self.env = folder / ".env"
        self.env.write_bytes(BEFORE)
        self.state = folder / "state"
        for name in ("docker-compose.yml", "docker-compose.prod.yml"):
            (folder / name).write_text("services: {}\n")
        (folder / "images").write_text("postgres:15-alpine\ncoollabsio/coolify:4.3.0\n")
        self.client = folder / "docker"
        self.client.write_text(DOCKER)
        self.client.chmod(0o755)
        self.states = [{"Status": "running", "Health": {"Status": "healthy"}}]
        self.environment = ["PUSHER_HOST=coolify.example.com"]
        self.image = "docker.io/coollabsio/coolify:4.3.0"
        self.started = False
        self.meanwhile = lambda: None

    def labels(self):
        files = ",".join(str(self.folder / name) for name in ("docker-compose.yml", "docker-compose.prod.yml"))
        return {
            "com.docker.compose.project": "source",
            "com.docker.compose.service": "coolify",
            "com.docker.compose.project.config_files": files,
            "com.docker.compose.project.working_dir": str(self.folder),
            "com.docker.compose.project.environment_file": str(self.env),
        }

    def inspect(self, _name):
        first, self.started = not self.started, True
        if not first:
            meanwhile, self.meanwhile = self.meanwhile, lambda: None
            meanwhile()
        state = {"Status": "running"} if first else self.states.pop(0) if len(self.states) > 1 else self.states[0]
        environment = ["PUSHER_HOST=203.0.113.7"] if first else self.environment
        config = {"Image": self.image, "Labels": self.labels(), "Env": [*environment, "DB_PASSWORD=hunter22"]}
        return {"Image": IMAGE_ID, "State": state, "Config": config, "RestartCount": state.get("Restarts", 0)}

    def calls(self):
        return (self.folder / "calls").read_text().splitlines()

    def ups(self):
        return [call for call in self.calls() if " up " in call]

    def make_effective(self, timeout=0.2, meanwhile=lambda: None):
        container = _recreation.Container("/run/docker.sock", "coolify", str(self.env))
        with _inplace_file.InPlaceFile(str(self.env), str(self.state)) as file:
            environment = _effective.Environment(file, _memory.EnvMemory(str(self.state), file.path), container)
            change = environment.wanted(WANTED)
            container.prepare(str(self.client))
            self.meanwhile = meanwhile
            return environment.carry_out(change, backup=False, recreate=True, timeout=timeout)


@pytest.fixture
def host(tmp_path, monkeypatch):
    host = Host(tmp_path)
    monkeypatch.setattr(_recreation._client, "Engine", lambda _socket: host)
    monkeypatch.setattr(_recreation, "_PAUSE", 0.01)
    for name in ("COMPOSE_FILE", "APP_PORT", "APP_ENV", "PUSHER_HOST"):
        monkeypatch.setenv(name, "of-the-task")
    return host


def test_makes_one_container_anew_as_it_was_made(host):
    """Field case E2: nothing of the task's own environment reaches Compose."""
    assert host.make_effective() >= 0
    (call,) = host.ups()
    pinned, _colon, arguments = call.partition(" compose ")
    assert pinned == "4.3.0 docker.io unix:///run/docker.sock"
    given = {line.partition("=")[0] for line in (host.folder / "environment").read_text().splitlines()}
    # The last four are those that a shell gives itself.
    assert given - {"PATH", "HOME", "PWD", "OLDPWD", "SHLVL", "_"} == {"DOCKER_HOST", "LATEST_IMAGE", "REGISTRY_URL"}
    folder = host.folder
    assert arguments.split() == [
        *("--project-name", "source", "--project-directory", str(folder), "--env-file", str(host.env)),
        *("--file", f"{folder}/docker-compose.yml", "--file", f"{folder}/docker-compose.prod.yml"),
        *("up", "--detach", "--no-deps", "--no-build", "--pull", "never", "--force-recreate", "coolify"),
    ]
    assert host.env.read_bytes() == AFTER


@pytest.mark.parametrize(
    ("image", "registry", "tag"),
    [
        ("ghcr.io/coollabsio/coolify:4.0.0-beta.426", "ghcr.io", "4.0.0-beta.426"),
        ("coollabsio/coolify:latest", "docker.io", "latest"),
        ("registry.local:5000/mirror/coollabsio/coolify:4.3.0", "registry.local:5000/mirror", "4.3.0"),
    ],
)
def test_pins_what_the_container_runs(host, image, registry, tag):
    inspected = {"Config": {"Image": image, "Labels": host.labels()}}
    assert dict(_compose.recipe(inspected, "/unused").variables) == {"REGISTRY_URL": registry, "LATEST_IMAGE": tag}


@pytest.mark.parametrize(
    ("states", "reason"),
    [
        ([{"Status": "running", "Health": {"Status": "starting"}}], "not healthy 0.2 s after it was re-created"),
        ([{"Status": "running", "Health": {"Status": "unhealthy"}}], "became unhealthy"),
        ([{"Status": "exited", "ExitCode": 3}], "ended with status 3"),
        ([{"Status": "restarting", "Restarting": True, "Restarts": 3}], "ended 3 times"),
    ],
)
def test_goes_back_where_it_does_not_come_up(host, states, reason):
    host.states = [*states, {"Status": "running", "Health": {"Status": "healthy"}}]
    if "healthy 0.2" in reason:
        host.states = states
    with pytest.raises(_recreation.RecreationError, match=reason) as caught:
        host.make_effective()
    message = str(caught.value)
    assert host.env.read_bytes() == BEFORE
    assert len(host.ups()) == 2
    assert "is what it was before" in message
    assert not host.state.exists()
    assert ("It runs with it again" in message) == ("healthy 0.2" not in reason)
    assert "cannot connect with (hidden) as coolify" in message
    assert "hunter22" not in message


def test_hides_what_compose_says_of_secrets(host):
    (host.folder / "refuse").touch()
    with pytest.raises(_recreation.RecreationError) as caught:
        host.make_effective()
    assert "bad APP_KEY=(hidden)" in str(caught.value)
    assert "topsecret" not in str(caught.value)
    assert host.env.read_bytes() == BEFORE


def test_a_value_that_something_else_sets_is_a_failure(host):
    host.environment = ["PUSHER_HOST=fixed"]
    with pytest.raises(_recreation.RecreationError, match=r"another PUSHER_HOST.*docker-compose\.custom\.yml"):
        host.make_effective()
    assert host.env.read_bytes() == BEFORE


def test_keeps_what_somebody_else_changed_meanwhile(host):
    host.states = [{"Status": "exited", "ExitCode": 1}]
    with pytest.raises(_recreation.RecreationError, match="either"):
        host.make_effective(meanwhile=lambda: host.env.write_bytes(AFTER + b"MINE=1\n"))
    assert host.env.read_bytes() == BEFORE + b"MINE=1\n"


def test_goes_back_whatever_fails(host):
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        host.make_effective(meanwhile=interrupt)
    assert host.env.read_bytes() == BEFORE
    assert not host.state.exists()


def test_a_removal_that_was_cut_before_the_recreation_is_finished_by_the_next(host):
    host.make_effective()
    assert host.env.read_bytes() == AFTER
    # Cut after the file: the container still has what we wrote.
    host.env.write_bytes(BEFORE)
    container = _recreation.Container("/run/docker.sock", "coolify", str(host.env))
    with _inplace_file.InPlaceFile(str(host.env), str(host.state)) as file:
        environment = _effective.Environment(file, _memory.EnvMemory(str(host.state), file.path), container)
        change = environment.given_back()
        assert (change.before, change.after, change.pending) == (BEFORE, BEFORE, ["PUSHER_HOST"])
        container.prepare(str(host.client))
        host.environment = ["PUSHER_HOST=203.0.113.7"]
        assert environment.carry_out(change, backup=False, recreate=True, timeout=0.2) is not None
    assert not host.state.exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda host: (host.folder / "images").write_text("coollabsio/coolify:latest\n"), "another image"),
        (lambda host: (host.folder / "docker-compose.prod.yml").unlink(), "is gone"),
        (lambda host: setattr(host, "image", "sha256:2222"), "no tag"),
        (lambda host: host.client.write_text(DOCKER.replace("sha256:1111", "sha256:3333")), "not named"),
    ],
)
def test_touches_nothing_where_the_same_image_would_not_come_back(host, change, reason):
    change(host)
    with pytest.raises(_recreation.RecreationError, match=reason):
        host.make_effective()
    assert not (host.folder / "calls").exists() or host.ups() == []
    assert host.env.read_bytes() == BEFORE


def test_a_container_that_compose_did_not_make_is_refused():
    inspected = {"Config": {"Image": "coollabsio/coolify:4.3.0", "Labels": None}}
    with pytest.raises(_compose.ComposeError, match="not made by Docker Compose"):
        _compose.recipe(json.loads(json.dumps(inspected)), "/data/coolify/source/.env")
