"""What was there before: kept privately and readably, and given back by a later run, wherever an earlier one was cut."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from test_self_heal_service import FILES, FOLDER, SCRIPT, UNIT, UNIT_FILE, Systemd

from ansible_collections.selfhosted.coolify.plugins.module_utils.env import _effective, _memory
from ansible_collections.selfhosted.coolify.plugins.module_utils.firewall import _host, _ufw_files, _ufw_rules
from ansible_collections.selfhosted.coolify.plugins.module_utils.keeper import _inplace_file, _kept
from ansible_collections.selfhosted.coolify.plugins.module_utils.self_heal import _service
from ansible_collections.selfhosted.coolify.plugins.modules import (
    published_port_firewall,
    self_heal_service,
    traefik_dynamic_file,
)


class Env:
    """Coolify's .env, without a last line end and with a variable that stands twice."""

    def __init__(self, root):
        self.path, self.state = root / ".env", str(root / "state")
        self.path.write_bytes(b"APP_KEY=secret\nPUSHER_HOST=old\nAPP_ENV=production\nPUSHER_HOST=older\nLAST=1")

    def run(self, present):
        with _inplace_file.InPlaceFile(str(self.path), self.state) as file:
            environment = _effective.Environment(file, _memory.EnvMemory(self.state, file.path), None)
            wanted = {"PUSHER_HOST": "c.example.com", "PUSHER_PORT": "443"}
            change = environment.wanted(wanted) if present else environment.given_back()
            environment.carry_out(change, False, False, 0)
            return change.after != change.before or change.recovered or change.kept


class SelfHeal:
    """The service in place of the guide's, whose unit is enabled."""

    def __init__(self, root):
        for folder in ("etc/systemd/system", "usr/local/lib", "data/coolify/nginx-config"):
            (root / folder).mkdir(parents=True)
        (root / UNIT_FILE[1:]).write_text("by hand\n")
        (root / SCRIPT[1:]).write_bytes(b"#!/bin/sh\n# \xff by hand")
        (root / SCRIPT[1:]).chmod(0o700)
        self.systemd = Systemd()
        self.systemd.enabled = True
        self.loaded, self.root = "by hand\n", root

    def run(self, present):
        kept = _kept.Entry(str(self.root / "state"), "self-heal")
        service = _service.Service(UNIT, FOLDER, kept, self.command, str(self.root))
        return self_heal_service.ensure(service, FILES, "present" if present else "absent", False)["changed"]

    def command(self, argv):
        if argv[1] != "show":
            os.sync()  # a step like any other, to be cut at
        if argv[1] in ("restart", "daemon-reload"):
            self.loaded = (self.root / UNIT_FILE[1:]).read_text()
        return self.systemd(argv)

    def facts(self):
        return self.systemd.active, self.systemd.enabled, self.loaded


class Traefik:
    """A file of somebody's under our file's name."""

    before: bytes | None = b"http: {}  # \xff mine\r\n"

    def __init__(self, root):
        self.path, self.state = root / "coolify-websocket.yaml", str(root / "state")
        if self.before is not None:
            self.path.write_bytes(self.before)
            self.path.chmod(0o640)

    def run(self, present):
        kept = _kept.Entry(self.state, "traefik", str(self.path))
        if present:
            return traefik_dynamic_file._present(kept, str(self.path), "http: {}\n", False)[1]
        return traefik_dynamic_file._absent(kept, str(self.path), False)[2]


class TraefikWithoutAFile(Traefik):
    before = None


class Ufw:
    """An inactive UFW, which writes its files anew when it is given a rule, enabled and disabled."""

    def __init__(self, root):
        self.root, self.state = root, str(root / "state")
        (root / "user.rules").write_bytes(b"# the package's\n### tuple ### allow tcp 22 \n")
        (root / "ufw.conf").write_text("# Set to yes\nENABLED=no\n")
        (root / "ufw.conf").chmod(0o644)

    def run(self, present):
        kept = _kept.Entry(self.state, "ufw")
        files = _ufw_files.UfwFiles(kept, self.command, "/usr/sbin/ufw", str(self.root))
        if not present:
            return published_port_firewall.care_for_ufw(files, "absent", "leave", False).kept
        if files.active():
            return False
        published_port_firewall.care_for_ufw(files, "present", "enable", False)
        self.command(["ufw", "allow"], None)
        self.command(["ufw", "enable"], None)
        return True

    def command(self, argv, _text):
        os.sync()  # a step like any other, to be cut at
        if argv[1] == "allow":
            (self.root / "user.rules").write_text(f"### tuple ### allow tcp 22 \n### tuple ### allow tcp 1 comment={OURS}\n")
            (self.root / "user6.rules").write_text("*filter\n")
        else:
            (self.root / "ufw.conf").write_text(f"ENABLED={'yes' if argv[1] == 'enable' else 'no'}\n")
        return 0, "", ""


OURS = _ufw_rules.COMMENT.encode().hex()
USERS = [Env, SelfHeal, Traefik, TraefikWithoutAFile, Ufw]
STEPS = ["replace", "unlink", "rmdir", "mkdir", "fsync", "sync", "pwrite", "ftruncate", "fchown", "fchmod", "posix_fallocate"]


class Cut(BaseException):
    """The end of a process, which nothing handles."""


def cut(monkeypatch, user, present, step):
    """Runs until the given step; whether there is one."""
    made = 0

    def dies(function):
        def count(*arguments, **options):
            nonlocal made
            made += 1
            if made > step:
                raise Cut
            return function(*arguments, **options)

        return count

    with monkeypatch.context() as patch:
        for name in STEPS:
            patch.setattr(os, name, dies(getattr(os, name)))
        try:
            user.run(present)
        except Cut:
            return True
    return False


def seen(user, root):
    found = {"facts": user.facts()} if hasattr(user, "facts") else {}
    for path in sorted(root.rglob("*")):
        found[str(path)] = (path.stat().st_mode, path.read_bytes() if path.is_file() else None)
    return found


@pytest.fixture
def fixed(monkeypatch):
    monkeypatch.setattr(_kept, "_now", lambda: "2026-01-01T00:00:00Z")


@pytest.mark.usefixtures("fixed")
@pytest.mark.parametrize("again", [True, False], ids=["then present", "then absent"])
@pytest.mark.parametrize("present", [True, False], ids=["present", "absent"])
@pytest.mark.parametrize("make", USERS)
def test_a_run_that_was_cut_at_any_step_is_finished_by_the_next(make, present, again, tmp_path, monkeypatch):
    """Field case E5."""
    model = make(folder(tmp_path, "model"))
    wanted = {False: seen(model, tmp_path / "model")}
    assert model.run(True)
    wanted[True] = seen(model, tmp_path / "model")
    step, more = 0, True
    while more:
        root = folder(tmp_path, "model", str(step))
        user = make(root)
        if not present:
            user.run(True)
        more = cut(monkeypatch, user, present, step)
        user.run(again)
        assert comparable(seen(user, root), root) == comparable(wanted[again], tmp_path / "model"), step
        assert not user.run(again), step
        assert comparable(seen(user, root), root) == comparable(wanted[again], tmp_path / "model"), step
        step += 1
    assert step > 5


def folder(tmp_path, *names):
    path = tmp_path.joinpath(*names) if len(names) == 1 else tmp_path / "-".join(names)
    path.mkdir()
    return path


def comparable(found, root):
    text = str(root)
    names = {key.replace(text, "").replace(text.replace("/", "-"), ""): value for key, value in found.items()}
    return {key: (value[0], value[1].replace(text.encode(), b"")) if key != "facts" and value[1] else value
            for key, value in names.items()}


def test_an_entry_is_private_readable_and_leaves_nothing(tmp_path):
    entry = _kept.Entry(str(tmp_path / "state"), "traefik", "/data/a.yaml")
    assert (entry.load(), entry.cut()) == (None, False)
    (tmp_path / "a").write_bytes(b"caf\xe9\r\n")
    picture = _kept.picture(str(tmp_path / "a"))
    entry.remember({"file": picture})
    assert entry.cut()
    entry.done()
    assert (entry.load(), entry.cut()) == ({"file": picture}, False)
    file = tmp_path / "state/kept/traefik-data-a.yaml.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (file.parent, file.parent.parent)] == [0o700, 0o700]
    content = json.loads(file.read_text())
    assert (content["hop"], content["path"], content["state"]) == ("traefik", "/data/a.yaml", "written")
    other = _kept.Entry(str(tmp_path / "state"), "env")
    other.remember({})
    entry.forget()
    assert other.load() == {}
    other.forget()
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"hop": "a", "before": {}}', '{"hop": "a", "path": "/a", "before": 1, "state": "written"}']
)
def test_damage_is_named_and_nothing_is_lost(tmp_path, content):
    entry = _kept.Entry(str(tmp_path), "a", "/a")
    entry.remember({})
    file = Path(entry.file)
    file.write_text(content)
    for look in (entry.load, entry.cut):
        with pytest.raises(_kept.KeptError, match=r"kept/a-a.json is damaged; mend it, or delete it"):
            look()
    assert file.read_text() == content


@pytest.mark.parametrize(
    ("theirs", "way"),
    [
        ({}, (True, True, True)),
        ({"user.rules": "### tuple ### allow tcp 22 \n### tuple ### deny tcp 80 \n"}, (True, True, False)),
        ({"ufw.conf": "ENABLED=no\n"}, (True, False, True)),
    ],
)
def test_ufw_is_put_back_only_as_far_as_nobody_else_changed_it(tmp_path, theirs, way):
    user = Ufw(tmp_path)
    before = seen(user, tmp_path)
    user.run(True)
    for name, text in theirs.items():
        (tmp_path / name).write_text(text)
    files = _ufw_files.UfwFiles(_kept.Entry(user.state, "ufw"), user.command, "ufw", str(tmp_path))
    assert files.way_back() == way
    assert files.give_back() == way
    assert not files.active()
    assert (seen(user, tmp_path) == before) == way[2]
    assert files.way_back() == (False, False, False)


def test_a_ufw_that_somebody_else_enabled_stays(tmp_path):
    user = Ufw(tmp_path)
    files = _ufw_files.UfwFiles(_kept.Entry(user.state, "ufw"), user.command, "ufw", str(tmp_path))
    files.remember(False)
    user.command(["ufw", "enable"], None)
    assert files.give_back() == (True, False, False)
    assert files.active()


def test_a_ufw_that_cannot_be_disabled_stays_remembered(tmp_path):
    user = Ufw(tmp_path)
    user.run(True)
    kept = _kept.Entry(user.state, "ufw")
    with pytest.raises(_host.FirewallError, match="ufw disable failed: no kernel; mend UFW"):
        _ufw_files.UfwFiles(kept, lambda *_words: (1, "", "no kernel"), "ufw", str(tmp_path)).give_back()
    assert kept.load()["enabled"]
