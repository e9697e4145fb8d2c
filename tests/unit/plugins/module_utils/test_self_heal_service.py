"""Installing and removing the self-heal service: what systemd is told, and what is on disk before and after."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.keeper import _kept
from ansible_collections.selfhosted.coolify.plugins.module_utils.self_heal import _service as self_heal_service

UNIT = "coolify-websocket.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
SCRIPT = "/data/coolify/nginx-config/apply-websocket.sh"
FOLDER = "/usr/local/lib/coolify-websocket"
STATE = "var/lib/coolify-websocket"
KEPT = f"{STATE}/kept/self-heal.json"
FILES = [
    self_heal_service.Wanted(f"{FOLDER}/package/agent.py", "agent\n", 0o644),
    self_heal_service.Wanted(UNIT_FILE, "unit\n", 0o644),
    self_heal_service.Wanted(SCRIPT, "#!/bin/sh\n", 0o755),
]


class Systemd:
    def __init__(self):
        self.active = self.enabled = self.stale = False
        self.asked = []
        self.fails = None
        self.state = ""

    def __call__(self, argv):
        verb = argv[1]
        if verb == "show":
            state = self.state or ("active" if self.active else "inactive")
            enabled = "enabled" if self.enabled else ""
            stale = "yes" if self.stale else "no"
            return 0, f"ActiveState={state}\nUnitFileState={enabled}\nNeedDaemonReload={stale}\n", ""
        self.asked.append(verb)
        if verb == self.fails:
            return 1, "", "Job failed"
        if verb in ("restart", "stop"):
            self.active = verb == "restart"
        if verb in ("enable", "disable"):
            self.enabled = verb == "enable"
        return 0, "", ""


@pytest.fixture
def systemd():
    return Systemd()


@pytest.fixture
def service(tmp_path, systemd):
    for folder in ("/etc/systemd/system", "/usr/local/lib", "/var/lib", "/data/coolify", "/run"):
        (tmp_path / folder[1:]).mkdir(parents=True)
    kept = _kept.Entry(str(tmp_path / STATE), "self-heal")
    return self_heal_service.Service(UNIT, FOLDER, kept, systemd, str(tmp_path))


def install(service, files=None):
    files = FILES if files is None else files
    changes = service.differences(files)
    service.install(files, changes, service.unit_state())
    return [change.path for change in changes]


def snapshot(root):
    found = {}
    for where, folders, names in os.walk(root):
        for name in folders + names:
            path = os.path.join(where, name)
            status = os.lstat(path)
            content = Path(path).read_bytes() if os.path.isfile(path) else None
            found[os.path.relpath(path, root)] = (status.st_mode, status.st_uid, content)
    return found


def test_installed_enabled_running_and_then_left_alone(service, systemd, tmp_path):
    assert install(service) == [file.path for file in FILES]
    assert systemd.asked == ["daemon-reload", "enable", "restart"]
    assert (tmp_path / SCRIPT[1:]).stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / STATE).stat().st_mode & 0o7777 == 0o700
    assert (tmp_path / KEPT).stat().st_mode & 0o7777 == 0o600
    systemd.asked.clear()
    assert install(service) == []
    assert systemd.asked == []


def test_a_changed_file_restarts_and_a_stray_one_goes(service, systemd, tmp_path):
    install(service)
    systemd.asked.clear()
    stray = tmp_path / FOLDER[1:] / "old" / "module.py"
    stray.parent.mkdir()
    stray.write_text("old")
    newer = [FILES[0]._replace(content="newer\n"), *FILES[1:]]
    assert install(service, newer) == [FILES[0].path, f"{FOLDER}/old/module.py"]
    assert not stray.parent.exists()
    assert systemd.asked == ["restart"]


MOVED = "/srv/apply-websocket.sh"


def test_a_file_whose_place_was_moved_goes_and_what_was_there_comes_back(service, tmp_path):
    for place in (SCRIPT, MOVED):
        (tmp_path / place[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place[1:]).write_text(f"theirs at {place}\n")
    before = snapshot(tmp_path)
    install(service)
    moved = [*FILES[:2], FILES[2]._replace(path=MOVED)]
    assert install(service, moved) == [MOVED, SCRIPT]
    assert (tmp_path / SCRIPT[1:]).read_text() == f"theirs at {SCRIPT}\n"
    assert service.differences(moved) == []
    service.remove(moved, True, service.unit_state())
    assert snapshot(tmp_path) == before


def test_what_the_service_writes_into_a_file_of_its_own_stays(service, tmp_path):
    before = snapshot(tmp_path)
    metrics = self_heal_service.Wanted("/var/metrics/coolify.prom", "", 0o644, create_only=True)
    install(service, [*FILES, metrics])
    (tmp_path / "var/metrics/coolify.prom").write_text("up 1\n")
    assert service.differences([*FILES, metrics]) == []
    install(service, [*FILES, metrics._replace(mode=0o600)])
    assert (tmp_path / "var/metrics/coolify.prom").read_text() == "up 1\n"
    # Not wanted any longer: nobody is told stale figures.
    assert install(service) == [metrics.path]
    assert not (tmp_path / "var/metrics/coolify.prom").exists()
    service.remove(FILES, True, service.unit_state())
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(("lost", "asked"), [("active", ["restart"]), ("enabled", ["enable"])])
def test_a_unit_that_was_stopped_or_disabled_comes_back(service, systemd, lost, asked):
    install(service)
    systemd.asked.clear()
    setattr(systemd, lost, False)
    assert install(service) == []
    assert systemd.asked == asked


def test_a_changed_mode_is_a_change(service, tmp_path):
    install(service)
    (tmp_path / SCRIPT[1:]).chmod(0o644)
    assert install(service) == [SCRIPT]
    assert (tmp_path / SCRIPT[1:]).stat().st_mode & 0o7777 == 0o755


def test_removed_without_a_trace(service, systemd, tmp_path):
    before = snapshot(tmp_path)
    install(service)
    (tmp_path / "run/coolify-websocket").symlink_to("private/coolify-websocket")
    service.remove(FILES, True, service.unit_state())
    assert snapshot(tmp_path) == before
    assert systemd.asked[-4:] == ["stop", "disable", "daemon-reload", "reset-failed"]
    assert service.removal(FILES) == []


def test_what_the_guide_left_comes_back(service, systemd, tmp_path):
    (tmp_path / SCRIPT[1:]).parent.mkdir()
    (tmp_path / SCRIPT[1:]).write_bytes(b"#!/bin/sh\n# \xff by hand")
    (tmp_path / SCRIPT[1:]).chmod(0o700)
    (tmp_path / UNIT_FILE[1:]).write_text("by hand\n")
    systemd.enabled = True
    before = snapshot(tmp_path)
    install(service)
    newer = [FILES[0]._replace(content="newer\n"), *FILES[1:]]
    install(service, newer)
    service.remove(newer, True, service.unit_state())
    assert snapshot(tmp_path) == before
    assert systemd.enabled


def test_what_we_never_replaced_is_not_removed(service, systemd, tmp_path):
    (tmp_path / UNIT_FILE[1:]).write_text("by hand\n")
    assert service.removal(FILES) == []
    assert not service.kept()


def test_a_lost_memory_costs_only_what_was_there_before(service, tmp_path):
    before = snapshot(tmp_path)
    ours = [FILES[0], FILES[1]._replace(content=f"ExecStart=python3 {FOLDER}\n")]
    install(service, ours)
    (tmp_path / KEPT).unlink()
    service.remove(ours, True, service.unit_state())
    assert snapshot(tmp_path) == before


def test_a_folder_that_others_use_stays(service, tmp_path):
    install(service)
    other = (tmp_path / SCRIPT[1:]).with_name("mine.txt")
    other.write_text("mine")
    service.remove(FILES, True, service.unit_state())
    assert other.read_text() == "mine"


def test_a_failed_start_says_where_to_look(service, systemd):
    systemd.fails = "restart"
    with pytest.raises(self_heal_service.ServiceError, match=r"restart .* failed: Job failed.*journalctl"):
        install(service)


def test_a_damaged_memory_is_refused(service, tmp_path):
    install(service)
    (tmp_path / KEPT).write_text("{")
    with pytest.raises(_kept.KeptError, match="damaged"):
        service.removal(FILES)


def test_removal_takes_the_folder_that_was_made_and_nothing_below_it(service, tmp_path):
    install(service)
    made = tmp_path / "data/coolify/nginx-config"
    # Empty folders of another program: a repository's, a database's.
    (made / "refs" / "heads").mkdir(parents=True)
    service.remove(FILES, True, service.unit_state())
    assert sorted(str(path.relative_to(made)) for path in made.rglob("*")) == ["refs", "refs/heads"]


def test_a_file_that_came_to_another_account_is_written_anew(service, tmp_path):
    install(service)
    assert service.differences(FILES) == []
    os.chown(tmp_path / SCRIPT[1:], 9999, 0)
    assert [change.path for change in service.differences(FILES)] == [SCRIPT]
    install(service)
    assert (tmp_path / SCRIPT[1:]).stat().st_uid == os.geteuid()


def test_a_link_in_the_place_of_the_service_s_folder_is_refused(service, tmp_path):
    install(service)
    folder = tmp_path / FOLDER[1:]
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    before = snapshot(tmp_path)
    with pytest.raises(OSError, match="symbolic link"):
        service.remove(FILES, True, service.unit_state())
    with pytest.raises(OSError, match="symbolic link"):
        install(service)
    assert snapshot(tmp_path) == before


def test_a_unit_that_is_being_started_is_stopped(service, systemd):
    install(service)
    systemd.asked.clear()
    systemd.state = "activating"
    service.remove(FILES, True, service.unit_state())
    assert "stop" in systemd.asked
