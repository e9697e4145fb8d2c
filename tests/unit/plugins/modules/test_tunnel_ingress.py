"""The module tunnel_ingress from its options to its result, with a scripted cloudflared."""

from __future__ import annotations

import functools
import hashlib
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent)]
from module_run import run  # noqa: E402

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _client  # noqa: E402
from ansible_collections.selfhosted.coolify.plugins.modules import tunnel_ingress  # noqa: E402
from ansible_collections.selfhosted.coolify.plugins.plugin_utils import tunnel_list  # noqa: E402

NAME = "c.example.com"
RULE = f"- hostname: {NAME}\n  service: http://localhost:8000\n"
LIST = f"tunnel: x\ncredentials-contents: sesame\ningress:\n{RULE}- service: http_status:404\n"
RULES = [
    {"path": "^/terminal/ws$", "service": "http://127.0.0.1:6002"},
    {"path": "^/apps?/", "service": "http://127.0.0.1:6001"},
]
EDIT = tunnel_list.edit(LIST, [NAME], RULES)
CLOUDFLARED = """#!/bin/sh
echo "$*" >>"$(dirname "$0")/asked"
[ ! -e "$(dirname "$0")/refuses" ] || { echo "Validating rules: bad rule"; exit 1; }
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    client = tmp_path / "bin" / "cloudflared"
    client.write_text(CLOUDFLARED)
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    path = tmp_path / "config.yml"
    path.write_text(LIST)
    return path


@pytest.fixture
def module(file, monkeypatch):
    def called(check=False, **options):
        given = {"path": str(file), "state_dir": str(file.parent / "state"), **options}
        if given.get("state") != "absent":
            digest = hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else ""
            given = {"hostname": NAME, "rules": RULES, "splices": EDIT.splices, "digest": digest, "expected": [], **given}
        result = run(monkeypatch, tunnel_ingress, check, **given)
        assert "content" in result or "sesame" not in str(result)
        return result

    return called


def asked(file):
    path = file.parent / "bin" / "asked"
    return path.read_text().splitlines() if path.exists() else []


def files(file):
    return sorted(str(path.relative_to(file.parent)) for path in file.parent.rglob("*"))


def test_check_mode_shows_the_rules_and_writes_and_starts_nothing(file, module):
    before = files(file)
    result = module(check=True)
    assert result["changed"]
    assert "^/terminal/ws$" in result["diff"]["after"]
    assert file.read_text() == LIST
    assert (asked(file), files(file)) == ([], before)


def test_judged_written_and_given_back(file, module):
    assert module()["changed"]
    assert file.read_text() == EDIT.text
    assert any("ingress validate" in call for call in asked(file))
    assert not (file.parent / "state").exists()
    assert module(check=True, state="absent")["changed"]
    assert file.read_text() == EDIT.text
    assert module(state="absent")["changed"]
    assert file.read_text() == LIST
    assert not module(state="absent")["changed"]


def test_what_cloudflared_refuses_is_not_written(file, module):
    (file.parent / "bin" / "refuses").touch()
    result = module()
    assert "bad rule" in result["msg"]
    assert "was not changed" in result["msg"]
    assert file.read_text() == LIST


def test_a_file_that_is_another_one_by_now_is_read_again_and_not_written(file, module):
    result = module(digest="0" * 64)
    assert (result["changed"], set(result) >= {"content", "digest"}) == (False, True)
    assert file.read_text() == LIST


def test_in_check_mode_nothing_is_put_into_the_connector_s_container(file, module, monkeypatch):
    def refuse(_socket):
        raise AssertionError("the engine is asked")

    monkeypatch.setattr(tunnel_ingress._client, "Engine", refuse)
    assert module(check=True, container="cloudflared")["changed"]
    monkeypatch.setattr(tunnel_ingress._client, "Engine", functools.partial(_client.Engine, "/nowhere"))


def test_no_file(file, module):
    file.unlink()
    assert not module(state="absent")["changed"]
    assert "there is no such file" in module()["msg"]


def test_a_damaged_journal_of_a_run_that_was_cut_is_named(file, module):
    state = file.parent / "state"
    state.mkdir()
    key = hashlib.sha256(str(file).encode()).hexdigest()[:16]
    (state / f"journal-{key}.json").write_text("{")
    result = module()
    assert "is damaged" in result["msg"]
    assert file.read_text() == LIST
