"""What a file was before: kept privately, given back exactly, with what others changed since."""

from __future__ import annotations

import stat

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.keeper import _undo

MEMORY = _undo.Memory("a\nb\nc\nd\n", "a\nNEW\nb\nd\n")


@pytest.mark.parametrize(
    ("current", "expected"),
    [
        (MEMORY.written, MEMORY.original),
        (MEMORY.original, MEMORY.original),
        ("0\na\nNEW\nb\nd\n", "0\na\nb\nc\nd\n"),
        ("a\nNEW\nb\nd\nend", "a\nb\nc\nd\nend"),
        ("a\nNEW\nb\n", "a\nb\nc\n"),
        ("a\nCHANGED\nb\nd\n", None),
    ],
)
def test_undo_takes_back_ours_and_keeps_theirs(current, expected):
    assert _undo.original(MEMORY, current) == expected


def test_without_memory_the_text_is_its_own_original():
    assert _undo.original(None, "a\n") == "a\n"


def test_store_is_private_and_leaves_nothing(tmp_path):
    folder = tmp_path / "state"
    store = _undo.Store(str(folder), "/etc/cloudflared/config.yml")
    assert store.load() is None
    odd = _undo.Memory(b"caf\xe9\r\n".decode("utf-8", "surrogateescape"), "é\n")
    store.save(odd)
    assert store.load() == odd
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()] == [0o600]
    store.forget()
    assert not folder.exists()


def test_store_keeps_two_files_apart_and_the_folder_of_others(tmp_path):
    first, second = (_undo.Store(str(tmp_path / "state"), path) for path in ("/a", "/b"))
    first.save(MEMORY)
    second.save(_undo.Memory("x", "y"))
    first.forget()
    assert first.load() is None
    assert second.load() == ("x", "y")


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"original": "*", "written": ""}', '{"original": 1, "written": 2}'])
def test_damage_is_named(tmp_path, content):
    store = _undo.Store(str(tmp_path), "/a")
    store.save(MEMORY)
    next(tmp_path.iterdir()).write_text(content)
    with pytest.raises(_undo.DamagedStoreError, match="delete it to go on"):
        store.load()
