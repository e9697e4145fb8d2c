from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.keeper import _inplace_file, _kept

OLD = b"APP_KEY=secret\nPUSHER_HOST=203.0.113.7\n"
LONGER = OLD.replace(b"203.0.113.7", b"coolify.example.com") + b"PUSHER_PORT=443\n"
SHORTER = b"PUSHER_HOST=new\n"


class Killed(BaseException):
    """What SIGKILL is to the code under test: nothing of it runs any more."""


@pytest.fixture
def env(tmp_path):
    path = tmp_path / ".env"
    path.write_bytes(OLD)
    path.chmod(0o640)
    return path


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state"


def edit(env, folder, after):
    with _inplace_file.InPlaceFile(str(env), str(folder)) as file:
        file.recover()
        file.write(file.read(), after)


@pytest.mark.parametrize("after", [LONGER, SHORTER, OLD, b""])
def test_writes_in_place(env, folder, after):
    before = env.stat()
    os.setxattr(env, "user.note", b"kept")
    link = env.parent / "link"
    link.symlink_to(env)
    edit(link, folder, after)
    assert env.read_bytes() == after
    assert (env.stat().st_ino, env.stat().st_mode) == (before.st_ino, before.st_mode)
    assert os.getxattr(env, "user.note") == b"kept"
    assert link.is_symlink()
    assert os.listdir(folder) == []


def cut_at(when, monkeypatch):
    """Ends the process, so to say, at the `when`-th byte or system call that changes the file."""
    left = [when]

    def step():
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    def pwrite(descriptor, data, offset):
        step()
        # One byte a call: a cut may come after each.
        return real_pwrite(descriptor, data[:1], offset)

    def truncate(descriptor, length):
        step()
        real_truncate(descriptor, length)

    def unlink(path, **where):
        step()
        real_unlink(path, **where)

    def reserve(descriptor, offset, length):
        real_reserve(descriptor, offset, length)
        step()

    real_pwrite, real_truncate, real_reserve, real_unlink = os.pwrite, os.ftruncate, os.posix_fallocate, os.unlink
    monkeypatch.setattr(os, "pwrite", pwrite)
    monkeypatch.setattr(os, "ftruncate", truncate)
    monkeypatch.setattr(os, "posix_fallocate", reserve)
    monkeypatch.setattr(os, "unlink", unlink)
    return left


@pytest.mark.parametrize("after", [LONGER, SHORTER])
def test_a_cut_at_every_byte_is_mended_by_the_next_run(env, folder, after):
    folder.mkdir()
    torn = 0
    for when in range(1000):
        env.write_bytes(OLD)
        with pytest.MonkeyPatch.context() as patch:
            left = cut_at(when, patch)
            try:
                edit(env, folder, after)
                completed = left[0] >= 0
            except Killed:
                completed = False
        torn += env.read_bytes() not in (OLD, after)
        with _inplace_file.InPlaceFile(str(env), str(folder)) as file:
            assert file.read() in (OLD, after)
            file.recover()
            assert env.read_bytes() == file.read()
            assert file.cut_short() is None
        assert os.listdir(folder) == []
        if completed:
            break
    assert completed
    assert torn > 10


def cut(when, action, env, folder):
    with pytest.MonkeyPatch.context() as patch, _inplace_file.InPlaceFile(str(env), str(folder)) as file:
        cut_at(when, patch)
        with pytest.raises(Killed):
            action(file)


def test_a_cut_while_mending_is_mended_as_well(env, folder):
    for first in (3, 30, 60):
        for second in range(1, 40, 5):
            env.write_bytes(OLD)
            cut(first, lambda file: file.write(OLD, LONGER), env, folder)
            cut(second, lambda file: file.recover(), env, folder)
            edit(env, folder, LONGER)
            assert env.read_bytes() == LONGER


def test_a_killed_process_leaves_a_file_that_is_mended(env, folder):
    program = (
        "import os, signal, sys\n"
        f"sys.path[:] = {sys.path!r}\n"
        f"from {_inplace_file.__package__} import _inplace_file\n"
        "real = os.pwrite\n"
        "def pwrite(descriptor, data, offset):\n"
        "    real(descriptor, data[:20], offset)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "os.pwrite = pwrite\n"
        f"with _inplace_file.InPlaceFile({str(env)!r}, {str(folder)!r}) as file:\n"
        f"    file.write({OLD!r}, {b'#' * 60!r})\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    assert env.read_bytes().startswith(b"#" * 20)
    with _inplace_file.InPlaceFile(str(env), str(folder)) as file:
        assert file.cut_short() == OLD
        file.recover()
    assert env.read_bytes() == OLD


def test_what_somebody_wrote_after_a_cut_stays(env, folder):
    cut(10, lambda file: file.write(OLD, LONGER), env, folder)
    env.write_bytes(b"APP_KEY=repaired by hand\n")
    with _inplace_file.InPlaceFile(str(env), str(folder)) as file:
        file.recover()
    assert env.read_bytes() == b"APP_KEY=repaired by hand\n"
    assert os.listdir(folder) == []


@pytest.mark.parametrize("how", ["write", "replace"])
def test_a_change_by_somebody_else_is_not_overwritten(env, folder, how):
    with _inplace_file.InPlaceFile(str(env), str(folder)) as file:
        before = file.read()
        if how == "write":
            env.write_bytes(OLD + b"X=1\n")
        else:
            # As upgrade.sh does it: another file under the same name.
            (env.parent / "new").write_bytes(OLD + b"X=1\n")
            os.replace(env.parent / "new", env)
        with pytest.raises(_inplace_file.ChangedMeanwhileError, match="run again"):
            file.write(before, LONGER)
    assert env.read_bytes() == OLD + b"X=1\n"
    assert os.listdir(folder) == []


def test_a_full_disk_is_found_before_the_first_byte(env, folder, monkeypatch):
    def reserve(descriptor, offset, length):
        os.ftruncate(descriptor, offset + 1)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", reserve)
    monkeypatch.setattr(os, "pwrite", lambda *_: pytest.fail("a byte was written"))
    with pytest.raises(OSError, match="No space left"):
        edit(env, folder, LONGER)
    assert env.read_bytes() == OLD
    assert os.listdir(folder) == []


def test_a_second_run_waits_and_then_gives_up(env, folder):
    with _inplace_file.InPlaceFile(str(env), str(folder)):
        # As Coolify's own update does it.
        moved = env.with_name(".env.tmp")
        moved.write_bytes(OLD)
        for _file in ("the same", "another one"):
            with pytest.raises(_inplace_file.LockedError, match="another run"), _inplace_file.InPlaceFile(
                str(env), str(folder), lock_timeout=0.2
            ):
                pass
            if moved.exists():
                moved.replace(env)
    edit(env, folder, LONGER)


def test_an_error_after_the_first_byte_is_put_right_at_once(env, folder, monkeypatch):
    real = os.pwrite
    left = [10]

    def pwrite(descriptor, data, offset):
        left[0] -= 1
        if left[0] == 0:
            raise OSError(errno.EIO, "Input/output error")
        return real(descriptor, data[:1], offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(OSError, match="Input/output error"):
        edit(env, folder, LONGER)
    assert env.read_bytes() == OLD
    assert os.listdir(folder) == []


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"old": 1, "new": 2}', b"\xff", b'{"old": "YQ=="}'])
def test_a_damaged_journal_is_named(env, folder, damaged):
    folder.mkdir()
    with _inplace_file.InPlaceFile(str(env), str(folder)) as file:
        journal = folder / os.path.basename(file._journal)
        journal.write_bytes(damaged)
        with pytest.raises(_kept.KeptError, match=f"{journal} is damaged.*then delete {journal}"):
            file.recover()
    assert env.read_bytes() == OLD


def test_what_is_no_file_is_not_waited_for(env, folder):
    env.unlink()
    os.mkfifo(env)
    with _inplace_file.InPlaceFile(str(env), str(folder)) as file, pytest.raises(OSError, match="no regular file"):
        file.read()


def test_the_newest_backup_stays_whatever_the_clock_says(env, folder, monkeypatch):
    years = iter(range(2040, 2000, -1))
    monkeypatch.setattr(_inplace_file.time, "strftime", lambda *_: f"{next(years)}0101T000000")
    with _inplace_file.InPlaceFile(str(env), str(folder)) as file:
        for number in range(12):
            taken = file.back_up(b"%d" % number)
            assert file.latest_backup() == taken
            with open(taken, "rb") as source:
                assert source.read() == b"%d" % number


def test_backups_have_the_mode_of_the_file_and_are_bounded(env, folder):
    with _inplace_file.InPlaceFile(str(env), str(folder)) as file:
        assert file.latest_backup() is None
        taken = [file.back_up(b"%d" % number) for number in range(12)]
        assert file.latest_backup() == taken[-1]
        kept = [name for name in taken if os.path.exists(name)]
        assert kept == taken[-5:]
        with open(kept[0], "rb") as source:
            assert source.read() == b"7"
        assert stat.S_IMODE(os.stat(kept[0]).st_mode) == 0o640
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        file.forget()
    assert not folder.exists()


def test_no_copy_is_readable_by_more_than_its_owner_while_it_is_written(env, folder, monkeypatch):
    seen = []
    monkeypatch.setattr(os, "fchown", lambda descriptor, *_: seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode)))
    with _inplace_file.InPlaceFile(str(env), str(folder)) as file:
        file.back_up(OLD)
    assert seen == [0o600]


def test_forgets_nothing_of_others(env, folder):
    with _inplace_file.InPlaceFile(str(env), str(folder)) as file:
        file.back_up(OLD)
        (folder / "original-of-somebody.json").write_text("{}")
        file.forget()
    assert os.listdir(folder) == ["original-of-somebody.json"]
