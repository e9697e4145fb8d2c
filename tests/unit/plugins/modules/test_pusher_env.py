"""The module pusher_env from its options to its result, against the stand-in for Docker's client and engine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "module_utils")]
from module_run import run  # noqa: E402
from test_recreation import AFTER, BEFORE, Host  # noqa: E402

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _deployments  # noqa: E402
from ansible_collections.selfhosted.coolify.plugins.module_utils.env import _recreation  # noqa: E402
from ansible_collections.selfhosted.coolify.plugins.modules import pusher_env  # noqa: E402

HEALTHY = {"Status": "running", "Health": {"Status": "healthy"}}


class Engine(Host):
    """With a database that says what is being deployed."""

    def __init__(self, folder):
        super().__init__(folder)
        self.counts = []
        self.looks = 0
        self.running = "203.0.113.7"

    def inspect(self, name):
        if name == "coolify-db":
            return {"State": {"Running": True}, "Config": {"Env": ["POSTGRES_USER=coolify"]}}
        self.looks += 1
        up = bool((self.folder / "calls").exists() and self.ups())
        config = {
            "Image": self.image, "Labels": self.labels(),
            "Env": [f"PUSHER_HOST={'coolify.example.com' if up else self.running}", "DB_PASSWORD=hunter22"],
        }  # fmt: skip
        return {"Image": "sha256:1111", "State": HEALTHY, "Config": config, "RestartCount": 0}

    def containers(self, all=True, filters=None):
        return []

    def exec(self, container, argv, errors=True):
        count = self.counts.pop(0) if self.counts else "0"
        return 0, str(count() if callable(count) else count).encode()


@pytest.fixture
def host(tmp_path, monkeypatch):
    host = Engine(tmp_path)
    for module in (_recreation, pusher_env):
        monkeypatch.setattr(module._client, "Engine", lambda _socket: host)
    monkeypatch.setattr(_recreation, "_PAUSE", 0.0)
    monkeypatch.setattr(_deployments, "_PAUSE", 0.0)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return host


@pytest.fixture
def module(host, monkeypatch):
    def called(check=False, **options):
        given = {"path": str(host.env), "state_dir": str(host.state), "deployment_timeout": 60, **options}
        if given.get("state") != "absent":
            given.setdefault("values", {"PUSHER_HOST": "coolify.example.com"})
        return run(monkeypatch, pusher_env, check, **given)

    return called


def test_check_mode_says_all_and_changes_nothing(host, module):
    host.counts = ["1"] * 5
    result = module(check=True)
    assert (result["changed"], result["recreated"], result["changed_keys"]) == (True, True, ["PUSHER_HOST"])
    assert host.env.read_bytes() == BEFORE
    assert not host.state.exists()
    assert not (host.folder / "calls").exists()
    # A deployment that runs now is none that runs then.
    assert len(host.counts) == 5


def test_written_taken_over_and_given_back(host, module):
    result = module()
    assert (result["changed"], result["recreated"]) == (True, True)
    assert host.env.read_bytes() == AFTER
    assert len(host.ups()) == 1
    assert module()["changed"] is False
    back = module(state="absent", recreate=False)
    assert (back["changed"], back["pending"]) == (True, ["PUSHER_HOST"])
    assert host.env.read_bytes() == BEFORE
    assert not host.state.exists()


def test_what_is_being_deployed_is_waited_for(host, module):
    host.counts = ["1", "1", lambda: int(host.env.read_bytes() != BEFORE)]
    module()
    assert host.counts == []
    assert len(host.ups()) == 1


def test_after_a_wait_all_is_looked_at_again(host, module):
    """Coolify updates itself while a deployment is waited for: the container is another one, of another image, by then."""

    def update():
        host.image = "docker.io/coollabsio/coolify:4.4.0"
        (host.folder / "images").write_text("coollabsio/coolify:4.4.0\n")
        host.running = "coolify.example.com"
        host.env.write_bytes(AFTER)
        return 0

    host.counts = ["1", update]
    result = module()
    # Nothing is pending by then, so that nothing is done.
    assert (result["changed"], result["recreated"]) == (False, False)
    assert host.ups() == []


def test_after_a_wait_the_new_image_is_the_one_that_is_pinned(host, module):
    def update():
        host.image = "docker.io/coollabsio/coolify:4.4.0"
        (host.folder / "images").write_text("coollabsio/coolify:4.4.0\n")
        return 0

    host.counts = ["1", update]
    assert module()["recreated"]
    (call,) = host.ups()
    assert call.startswith("4.4.0 docker.io ")


def test_a_deployment_that_begins_after_the_file_was_written_is_waited_for_too(host, module):
    host.counts = ["0", "1", "0"]
    result = module()
    assert (result["recreated"], len(host.ups()), host.counts) == (True, 1, [])
    assert host.env.read_bytes() == AFTER


def test_one_that_does_not_end_is_named_and_all_is_as_before(host, module):
    host.counts = ["1"] * 9999
    result = module(deployment_timeout=0.2)
    assert result["failed"]
    assert "deployment_timeout: after 0.2 s Coolify is still deploying (1 queued" in result["msg"]
    assert host.env.read_bytes() == BEFORE
    assert not host.state.exists()
    assert module(deployment_timeout=0.2, deployments="ignore")["recreated"]


def test_a_database_that_does_not_say_is_named(host, module):
    host.counts = ["what?"]
    result = module()
    assert "cannot tell whether Coolify is deploying" in result["msg"]
    assert host.env.read_bytes() == BEFORE


def test_a_value_of_a_variable_that_may_be_secret_is_in_no_result(host, module):
    result = module(check=True, values={"PUSHER_APP_SECRET": "sesame", "DB_PASSWORD": "sesame2"})
    assert result["changed"]
    assert "sesame" not in str(result)
    assert "hunter22" not in str(result)


def test_a_link_and_a_pipe_in_its_place(host, module):
    host.env.unlink()
    assert "does not exist" in module()["msg"]
    (host.folder / "elsewhere").write_bytes(BEFORE)
    host.env.symlink_to(host.folder / "elsewhere")
    assert module()["changed"]
    assert (host.folder / "elsewhere").read_bytes() == AFTER
