"""A terminal on the host itself, opened by verify with the cookies of somebody who is signed in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests
from coolify_host import PORT, CoolifyHost

DUAL = {"coolify_access": "dual"}
# The server itself; the page by the domain and on the tailnet, where it goes to the server's own port.
WAYS = ["127.0.0.1:6002", "{lab_domain}", "{tailnet}:8000", "{tailnet}:6002"]


@pytest.fixture(scope="module")
def signed_in(lab) -> str:
    """The header Cookie of a browser that has opened Coolify's page, on a host with every way in."""
    assert lab.play("playbooks/site.yml", **DUAL).code == 0
    page = requests.Session()
    page.get(f"http://{CoolifyHost(lab.host).address}:{PORT}/", timeout=10)
    return "Cookie: " + "; ".join(f"{one.name}={one.value}" for one in page.cookies)


def look(lab, folder: Path, cookies: str):
    session, report = folder / "cookies", folder / "report.json"
    session.write_text(cookies + "\n")
    paths = {"coolify_verify_session_path": str(session), "coolify_verify_report_path": str(report)}
    run = lab.play("playbooks/verify.yml", "-vvv", **DUAL, **paths)
    for pair in cookies.removeprefix("Cookie: ").split("; "):
        assert pair.partition("=")[2] not in run.text + report.read_text()
    (host,) = json.loads(report.read_text())["hosts"]
    return run, [row for row in host["rows"] if row["hop"] == "terminal"]


def test_a_prompt_by_every_way_in_and_no_trace(lab, signed_in, tmp_path):
    history = "cat /root/.bash_history 2>/dev/null; true"
    before = lab.shell(history)
    tailnet = {"tailnet": lab.shell("tailscale ip -4").strip()}
    run, rows = look(lab, tmp_path, signed_in)
    assert run.code == 0, run.text
    assert [(row["ok"], row["seen"]) for row in rows] == [(True, "a prompt")] * len(WAYS)
    assert [row["url"].split("//")[1].split("/")[0] for row in rows] == [way.format(**lab.variables(), **tailnet) for way in WAYS]
    assert lab.shell(history) == before


def test_a_session_that_has_ended_is_no_verdict(lab, signed_in, tmp_path):
    run, rows = look(lab, tmp_path, signed_in.replace("_session=", "_session=x"))
    assert run.code == 0, run.text
    assert [(row["ok"], row["id"]) for row in rows] == [(None, "CWT-941")] * len(WAYS)


@pytest.mark.parametrize("content", [None, "", "laravel_session=only"])
def test_a_file_without_a_session_is_named(lab, tmp_path, content):
    session = tmp_path / "cookies"
    if content is not None:
        session.write_text(content)
    run = lab.play("playbooks/verify.yml", **DUAL, coolify_verify_session_path=str(session))
    assert run.code != 0
    assert any("coolify_verify_session_path" in message for message in run.failed[lab.host])
