"""What the control node makes of a module's answers, without a host."""

from __future__ import annotations

import base64
import hashlib
import json
from types import SimpleNamespace

import pytest

from ansible_collections.selfhosted.coolify.plugins.action import coolify_info, traefik_dynamic_file, tunnel_ingress

LIST = "token: sesame\ningress:\n  - hostname: a.b\n    service: http://localhost:8000\n  - service: http_status:404\n"
RULES = [{"path": "^/terminal/ws$", "service": "http://127.0.0.1:6002"}]


class Host:
    """The file on a host, as the module tunnel_ingress shows it; it is another one for the first `busy` executions.

    Without ``invocation``, as from ansible-core 2.21 on.
    """

    def __init__(self, text, busy=0):
        self.text, self.busy, self.asked = text, busy, []

    def __call__(self, module_args=None, task_vars=None):
        self.asked.append(module_args)
        found = self.text + "# new\n" * min(len(self.asked), self.busy)
        digest = hashlib.sha256(found.encode()).hexdigest()
        if module_args.get("digest") == digest:
            return {"changed": True}
        content = base64.b64encode(found.encode()).decode()
        return {"changed": False, "content": content, "digest": digest, "path": "/p"}


def play():
    return SimpleNamespace(strategy="linear")


def run(plugin, args, execute, monkeypatch):
    monkeypatch.setattr(plugin.ActionBase, "run", lambda *_arguments: {})
    action = plugin.ActionModule.__new__(plugin.ActionModule)
    action._task, action._execute_module = SimpleNamespace(args=args, _role=None, get_play=play), execute
    return action.run()


def listed(host, monkeypatch):
    result = run(tunnel_ingress, {"hostname": "a.b", "rules": RULES}, host, monkeypatch)
    assert "sesame" not in json.dumps(result)
    assert "content" not in result
    return result


def test_a_list_that_is_right_costs_one_execution_and_a_change_two(monkeypatch):
    host = Host(LIST)
    assert listed(host, monkeypatch)["changed"]
    assert len(host.asked) == 2
    # cloudflared itself is asked on the host.
    assert host.asked[1]["expected"] == [{"url": "https://a.b/terminal/ws", "service": "http://127.0.0.1:6002"}]
    right = LIST.replace("ingress:\n", "ingress:\n  - hostname: a.b\n    path: /terminal/ws\n    service: http://localhost:6002\n")
    host = Host(right)
    assert not listed(host, monkeypatch)["changed"]
    assert len(host.asked) == 1


def test_a_list_that_somebody_changes_meanwhile_is_read_again(monkeypatch):
    host = Host(LIST, busy=3)
    assert listed(host, monkeypatch)["changed"]
    assert len(host.asked) == 4
    assert "keeps changing" in listed(Host(LIST, busy=9), monkeypatch)["msg"]


def test_a_broken_list_fails_with_file_and_line(monkeypatch):
    result = listed(Host("token: sesame\ningress: [\n"), monkeypatch)
    assert result["failed"]
    assert result["msg"].startswith("/p: ")
    assert "(line 3, column 1)" in result["msg"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LIST, {"error": None, "by_hand": ""}),
        ("ingress: [{service: a}]", {"error": None, "by_hand": "the list is written in one piece, with brackets"}),
        ("url: http://localhost:8000", {"rules": [], "error": None, "by_hand": ""}),
        ("a: 1\n--- \nb: 1\n", {"rules": [], "error": None}),
        ("ingress: 5", {"rules": [], "error": "'ingress' is not a list (line 1, column 10)"}),
        (None, {"rules": [], "error": None}),
    ],
)
def test_the_text_of_the_list_goes_no_further_than_the_control_node(text, expected, monkeypatch):
    tunnel = {"path": "/p", "text": text}
    result = run(coolify_info, {}, lambda **_arguments: {"managed": {"tunnel": tunnel}}, monkeypatch)
    found = result["managed"]["tunnel"]
    assert found.items() >= expected.items()
    assert set(found) == {"path", "rules", "error", "by_hand"}


def test_a_host_that_cannot_be_looked_at(monkeypatch):
    assert run(coolify_info, {}, lambda **_arguments: {"failed": True, "msg": "m"}, monkeypatch) == {"failed": True, "msg": "m"}


LOST = {"path": "/lost", "error": "No such file or directory"}


def test_what_traefik_cannot_read_is_not_sent_and_a_neighbour_is_named_without_its_text(monkeypatch):
    def execute(**_arguments):
        return {"changed": True, "neighbours": [{"path": "/n", "text": "sesame: ["}, {"path": "/o", "text": "a: 1"}, LOST]}

    assert "so it was not written" in run(traefik_dynamic_file, {"content": "a: ["}, None, monkeypatch)["msg"]
    result = run(traefik_dynamic_file, {"content": "a: 1"}, execute, monkeypatch)
    assert [entry["path"] for entry in result["broken"]] == ["/n", "/lost"]
    assert "cannot read /n: " in result["warnings"][0]
    assert result["warnings"][1].endswith("cannot read /lost: No such file or directory")
    assert "sesame" not in json.dumps(result)


@pytest.mark.parametrize(("name", "given"), [("extra_hostnames", "b.io"), ("rules", {"path": "/app/"})])
def test_a_text_where_a_list_belongs_is_refused_before_the_host_is_asked(name, given, monkeypatch):
    host = Host(LIST)
    result = run(tunnel_ingress, {"hostname": "c.example.com", "rules": [], name: given}, host, monkeypatch)
    assert (result["failed"], host.asked) == (True, [])
    assert result["msg"] == f"{name} is {given!r}, and has to be a list"
