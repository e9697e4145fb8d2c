"""Variables made effective, against a stand-in for the docker client, which writes down how it is called."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _client, _compose, _deployments
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
        self.deployments = []  # what is told each time it is asked, nothing after the last one
        self.asked = []

    def deploying(self, seconds):
        self.asked.append((seconds, len(self.ups())))
        return self.deployments.pop(0) if self.deployments else []

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
            return environment.carry_out(change, False, True, timeout, self.deploying, 600)


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
        assert environment.carry_out(change, False, True, 0.2, host.deploying) is not None
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


def test_what_is_being_deployed_is_asked_directly_before_and_nothing_is_cut_off(host):
    host.deployments = [["the helper container x"]]
    with pytest.raises(_effective.DeployingError):
        host.make_effective()
    assert host.asked == [(0, 0)]
    assert host.ups() == []
    assert host.env.read_bytes() == BEFORE
    assert not host.state.exists()


def test_what_is_being_deployed_is_waited_for_before_the_way_back_too(host):
    host.environment = ["PUSHER_HOST=fixed"]
    host.deployments = [[], ["1 queued"]]
    with pytest.raises(_recreation.RecreationError, match=r"still runs with the new values.*1 queued"):
        host.make_effective()
    assert host.asked == [(0, 0), (600, 1)]
    assert len(host.ups()) == 1
    assert host.env.read_bytes() == BEFORE


def test_a_database_that_is_gone_with_coolify_keeps_nothing_from_the_way_back(host):
    host.states = [{"Status": "exited", "ExitCode": 1}, {"Status": "running", "Health": {"Status": "healthy"}}]
    told = iter([[]])

    def deploying(_seconds):
        for answer in told:
            return answer
        raise _deployments.UnknownError("psql ended")

    host.deploying = deploying
    with pytest.raises(_recreation.RecreationError, match="It runs with it again"):
        host.make_effective()
    assert len(host.ups()) == 2


def test_an_engine_that_fails_just_after_healthy_leads_back(host):
    healthy = {"Status": "running", "Health": {"Status": "healthy"}}
    real, answers = host.inspect, []

    def inspect(name):
        answers.append(name)
        # The first is the look before, the second the wait, the third what the new container has.
        if len(answers) == 3:
            raise _client.EngineError("the daemon is shutting down")
        return real(name)

    host.inspect, host.states = inspect, [healthy]
    with pytest.raises(_recreation.RecreationError, match=r"shutting down.*It runs with it again"):
        host.make_effective()
    assert host.env.read_bytes() == BEFORE
    assert len(host.ups()) == 2


@pytest.fixture
def slow(host, monkeypatch):
    """A client that hangs once, as one does whose engine hangs, in what its calls match."""
    monkeypatch.setattr(_compose, "_TIMEOUT", 1.5)

    def hangs(pattern):
        late = host.folder / "late"
        lines = f'case "$*" in {pattern}) [ -e {late} ] || {{ sleep 30 & echo $! >{late}; wait; }};; esac\ncase'
        host.client.write_text(DOCKER.replace("case", lines, 1))

    return hangs


def alive(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{number}/stat", encoding="ascii") as state:
        return state.read().rpartition(") ")[2][0] != "Z"


def test_an_up_that_is_late_is_ended_before_another_begins(host, slow):
    slow('*" up "*')
    with pytest.raises(_recreation.RecreationError, match=r"(?s)not done after .* s of docker compose.*It runs with it again"):
        host.make_effective()
    assert host.env.read_bytes() == BEFORE
    assert not alive(int((host.folder / "late").read_text()))


def test_a_log_that_does_not_come_keeps_nothing_from_the_way_back(host, slow):
    slow("logs*")
    host.states = [{"Status": "exited", "ExitCode": 1}, {"Status": "running", "Health": {"Status": "healthy"}}]
    with pytest.raises(_recreation.RecreationError, match=r"is what it was before\. It runs with it again"):
        host.make_effective()
    assert host.env.read_bytes() == BEFORE


def test_what_the_client_warns_of_is_no_part_of_its_answers(host):
    host.client.write_text(DOCKER.replace("case", "echo 'WARNING: Error loading config file' >&2\ncase", 1))
    assert host.make_effective() >= 0
