"""What was there before: kept privately and readably, and given back by a later run, wherever an earlier one was cut."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from pathlib import Path

import pytest
from test_self_heal_service import FILES, FOLDER, SCRIPT, UNIT, UNIT_FILE, Systemd

from ansible_collections.selfhosted.coolify.plugins.module_utils.env import _effective, _memory
from ansible_collections.selfhosted.coolify.plugins.module_utils.firewall import _host, _ssh, _ufw_files, _ufw_rules
from ansible_collections.selfhosted.coolify.plugins.module_utils.keeper import _durable, _inplace_file, _kept, _trouble
from ansible_collections.selfhosted.coolify.plugins.module_utils.self_heal import _service
from ansible_collections.selfhosted.coolify.plugins.modules import self_heal_service, traefik_dynamic_file


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
            environment.carry_out(change, False, False, 0, lambda _seconds: [])
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
        self.etc = root / "etc/ufw"
        self.etc.mkdir(parents=True, exist_ok=True)
        if not (self.etc / "ufw.conf").exists():
            (self.etc / "user6.rules").write_text("# the package's\n")
            (self.etc / "user.rules").write_bytes(b"# the package's\n### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in\n")
            (self.etc / "ufw.conf").write_text("# Set to yes\nENABLED=no\n")
            (self.etc / "ufw.conf").chmod(0o644)
        self.kept = _kept.Entry(self.state, "ufw")
        self.files = _ufw_files.UfwFiles(self.kept, self.command, "/usr/sbin/ufw", str(root))
        self.said = []

    def run(self, present):
        change = self.towards() if present else self.files.way_back()
        (self.files.apply if present else self.files.give_back)(change)
        return bool(change.commands) or change.kept

    def towards(self, *connection):
        return self.files.towards([6001, 6002], [{"source": "100.64.0.0/10"}], {22}, *connection)

    def command(self, argv, _text):
        os.sync()  # a step like any other, to be cut at
        self.said.append(" ".join(argv[1:]))
        rules = self.etc / "user.rules"
        there = [line for line in rules.read_text().splitlines() if line.startswith("###")]
        if argv[-1] in ("enable", "disable"):
            (self.etc / "ufw.conf").write_text(f"ENABLED={'yes' if argv[-1] == 'enable' else 'no'}\n")
            return 0, "", ""
        line = f"### tuple ### allow tcp {argv[-5]} 0.0.0.0/0 any {argv[-9]} in comment={argv[-1].encode().hex()}"
        there = [one for one in there if one != line] + ([] if argv[1] == "delete" else [line])
        rules.write_text("\n".join(["*filter", *there, ""]))
        (self.etc / "user6.rules").write_text("*filter\n")
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


SSH_RULE = "### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in\n"
BY_HAND = f"{SSH_RULE}### tuple ### deny tcp 80 0.0.0.0/0 any 0.0.0.0/0 in\n"
RULE = f"allow from 100.64.0.0/10 to any port 6001,6002 proto tcp comment {_ufw_rules.COMMENT}"


@pytest.mark.parametrize(
    ("theirs", "said", "restored"),
    [
        ({}, ["disable"], True),
        ({"user.rules": BY_HAND}, ["disable"], False),
        ({"user.rules": f"{BY_HAND}### tuple ### allow tcp 6001,6002 0.0.0.0/0 any 100.64.0.0/10 in comment={OURS}\n"},
         ["disable", f"delete {RULE}"], False),
        ({"ufw.conf": "ENABLED=no\n"}, [], True),
    ],
)
def test_ufw_is_put_back_only_as_far_as_nobody_else_changed_it(tmp_path, theirs, said, restored):
    user = Ufw(tmp_path)
    before = seen(user, tmp_path)
    assert user.run(True)
    assert user.said == [RULE, "--force enable"]
    for name, text in theirs.items():
        (user.etc / name).write_text(text)
    user.said.clear()
    way = user.files.way_back()
    assert (way.restore, way.kept) == (restored, True)
    user.files.give_back(way)
    assert user.said == said
    assert not user.files.active()
    assert (seen(user, tmp_path) == before) == restored
    assert OURS not in (user.etc / "user.rules").read_text()
    assert user.files.way_back() == _ufw_files.Change(gone=[])


def test_a_ufw_that_somebody_else_enabled_stays_without_our_rules(tmp_path):
    user = Ufw(tmp_path)
    user.files.apply(user.files.towards([6001, 6002], [{"source": "100.64.0.0/10"}]))
    user.command(["ufw", "enable"], None)
    user.said.clear()
    assert user.run(False)
    assert user.said == [f"delete {RULE}"]
    assert user.files.active()


def test_files_that_had_rules_of_ours_before_are_not_put_back(tmp_path):
    user = Ufw(tmp_path)
    user.command(["ufw", *RULE.replace("6001,6002", "6001").split(" ", 10)], None)
    assert user.run(True)
    assert user.run(False)
    assert OURS not in (user.etc / "user.rules").read_text()
    assert not user.run(False)


def test_the_rule_for_ssh_stays_with_a_ufw_that_stays_active(tmp_path):
    user = Ufw(tmp_path)
    (user.etc / "user.rules").write_text("")
    user.run(True)
    ssh = f"allow from 0.0.0.0/0 to any port 22 proto tcp comment {_ufw_rules.SSH_COMMENT}"
    assert user.said == [RULE, ssh, "--force enable"]
    user.kept.forget()
    user.said.clear()
    user.run(False)
    assert user.said == [f"delete {RULE}"]
    user.command(["ufw", "disable"], None)
    user.run(False)
    assert user.said[-1] == f"delete {ssh}"


def test_a_ufw_that_cannot_be_disabled_stays_remembered(tmp_path):
    user = Ufw(tmp_path)
    user.run(True)
    broken = _ufw_files.UfwFiles(user.kept, lambda *_words: (1, "", "no kernel"), "ufw", str(tmp_path))
    with pytest.raises(_host.FirewallError, match="ufw disable failed: no kernel; mend UFW"):
        broken.give_back(broken.way_back())
    assert user.kept.load()["enabled"]


@pytest.mark.parametrize(
    ("said", "remedy"), [("ERROR: problem running", 'run "ufw reload" on the host'), ("ERROR: Bad port", 'See "ufw status"')]
)
def test_a_rule_that_ufw_does_not_take(tmp_path, said, remedy):
    user = Ufw(tmp_path)
    broken = _ufw_files.UfwFiles(user.kept, lambda *_words: (1, "", f"{said}\n"), "ufw", str(tmp_path))
    with pytest.raises(_host.FirewallError, match=rf"UFW does not take a rule: {said}.*port 6001,6002.*{remedy}"):
        broken.apply(user.towards())


def test_ufw_is_not_enabled_where_it_would_lock_ssh_out(tmp_path):
    user = Ufw(tmp_path)
    before = seen(user, tmp_path)
    refused = "### tuple ### deny any {0} 0.0.0.0/0 any 0.0.0.0/0 in\n"
    for rules, connection, ports, reason in (
        (refused.format("any"), None, {22}, r"refuse SSH at 22.*: deny from 0.0.0.0/0 to any\. Delete.*ufw_enable: false"),
        (refused.format("2000:3000"), _ssh.Connection("192.0.2.7", 2222), {22}, r"at 22, 2222,.*port 2000:3000\. "),
        (SSH_RULE, _ssh.Connection("2001:db8::7", 22), {22}, "all of IPv6, and with it the connection in use. Set IPV6=yes"),
        (SSH_RULE, None, set(), "neither sshd -T nor the connection in use tells SSH's port.*ufw allow PORT/tcp"),
    ):
        (user.etc / "user.rules").write_text(rules)
        with pytest.raises(_host.FirewallError, match=f"UFW is not enabled, and the ports are as they were.*{reason}"):
            user.files.towards([6001], [], ports, connection)
    (user.etc / "user.rules").write_bytes(before[str(user.etc / "user.rules")][1])
    assert seen(user, tmp_path) == before
    assert user.said == []


@pytest.mark.parametrize(("free", "fault"), [(70000, None), (65536, "No space left.*/etc/ufw/ufw.conf")])
def test_ufw_is_told_nothing_where_it_would_lose_what_it_cannot_write(tmp_path, monkeypatch, free, fault):
    user = Ufw(tmp_path)
    system = type("System", (), {"f_bfree": free, "f_frsize": 1})
    monkeypatch.setattr(os, "fstatvfs", lambda _descriptor: system)
    for name in _ufw_files.RULES:
        (user.etc / name).write_text("")
    with pytest.raises(OSError, match=fault) if fault else contextlib.nullcontext():
        user.files.check(user.towards())
    (user.etc / "user6.rules").unlink()
    with pytest.raises(FileNotFoundError):
        user.files.check(user.towards())
    user.files.check(_ufw_files.Change())


def test_ssh_does_not_matter_to_a_ufw_that_is_not_going_to_be_enabled(tmp_path):
    user = Ufw(tmp_path)
    (user.etc / "user.rules").write_text("### tuple ### deny tcp 22 0.0.0.0/0 any 0.0.0.0/0 in\n")
    assert not user.files.towards([6001], []).commands
    user.command(["ufw", "enable"], None)
    assert not user.files.towards([6001], [], {22}).commands


def test_no_ufw_no_change(tmp_path):
    none = _ufw_files.UfwFiles(_kept.Entry(str(tmp_path / "state"), "ufw"), Ufw(tmp_path).command, None, str(tmp_path))
    assert none.towards([6001], [{"source": "100.64.0.0/10"}], {22}) == none.way_back() == _ufw_files.Change()
    assert not none.active()


@pytest.fixture
def anybodys(tmp_path):
    """A folder that another account may write to, as Coolify's are, and a file outside of it that this account may."""
    folder = tmp_path / "anybodys"
    folder.mkdir()
    folder.chmod(0o777)
    (tmp_path / "outside").write_text("precious")
    return folder


def planted(kind, place, target):
    if kind == "link":
        place.symlink_to(target)
    elif kind == "link to nothing":
        place.symlink_to(target.with_name("nothing"))
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.write_text("left")
        place.chmod(0o666)


@pytest.mark.parametrize("kind", ["link", "link to nothing", "pipe", "open to all"])
def test_what_lies_in_the_candidate_s_place_is_not_written_into(tmp_path, anybodys, kind, monkeypatch):
    file, outside = anybodys / "ours.yaml", tmp_path / "outside"
    planted(kind, anybodys / "ours.yaml.new", outside)
    modes = []
    real = os.fchmod
    monkeypatch.setattr(os, "fchmod", lambda opened, mode: (modes.append(os.fstat(opened).st_mode & 0o777), real(opened, mode)))
    _durable.write(str(file), b"new", 0o644)
    assert file.read_bytes() == b"new"
    assert modes == [0o600]
    assert (outside.read_text(), outside.stat().st_mode & 0o777) == ("precious", 0o644)
    assert sorted(os.listdir(tmp_path)) == ["anybodys", "outside"]
    assert os.listdir(anybodys) == ["ours.yaml"]


@pytest.mark.parametrize("kind", ["link", "link to nothing", "pipe"])
def test_what_is_no_file_is_neither_read_nor_waited_for(tmp_path, anybodys, kind):
    file = anybodys / "ours.yaml"
    planted(kind, file, tmp_path / "outside")
    with pytest.raises(OSError, match=r"symbolic link to|no regular file") as refusal:
        _kept.picture(str(file))
    assert "None" not in _trouble.message(refusal.value, ("path", str(file)))


def test_a_file_of_any_size_is_not_read(anybodys):
    file = anybodys / "ours.yaml"
    with file.open("wb") as large:
        large.truncate(_durable.MOST + 1)
    with pytest.raises(OSError, match="larger than 16 MiB"):
        _kept.picture(str(file))


def test_a_link_on_the_way_is_followed_only_where_this_account_has_put_it(tmp_path, anybodys):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data").symlink_to("elsewhere")
    _durable.write(str(tmp_path / "data" / "file"), b"mine", 0o600)
    assert _kept.text(str(tmp_path / "data" / "file")) == "mine"
    (anybodys / "dynamic").symlink_to(tmp_path / "elsewhere")
    through = str(anybodys / "dynamic" / "file")
    for act in (_kept.picture, _durable.remove, _durable.refuse_link, lambda path: _durable.write(path, b"x", 0o600)):
        with pytest.raises(OSError, match=r"symbolic link to .*elsewhere on the way"):
            act(through)
    assert (tmp_path / "elsewhere" / "file").read_bytes() == b"mine"


def test_links_in_a_circle_end(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic link"):
        _durable.write(str(tmp_path / "a" / "file"), b"", 0o600)


def test_an_error_without_a_number_is_said_in_its_words():
    assert "None" not in _trouble.message(OSError("Cannot call rmtree on a symbolic link"), ("folder", "/usr/local/lib/x"))


@pytest.mark.parametrize("act", [_durable.remove, _durable.sweep, lambda path: _durable.write(path, b"", 0o600), _kept.picture])
def test_an_error_names_the_whole_path(tmp_path, monkeypatch, act):
    def refuse(name, *_arguments, **_options):
        raise PermissionError(errno.EPERM, "Operation not permitted", name)

    for call in ("unlink", "readlink"):
        monkeypatch.setattr(os, call, refuse)
    path = str(tmp_path / "file")
    if act is _kept.picture:
        os.mkdir(path)
    with pytest.raises(OSError, match=r"not permitted|no regular file") as refusal:
        act(path)
    assert refusal.value.filename == path
