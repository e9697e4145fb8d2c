"""websocket_info looks from other hosts of the inventory too, also where the task itself is delegated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Nothing listens there.
TARGET = {"name": "nobody", "url": "http://127.0.0.1:9/"}


@pytest.mark.parametrize("delegated", [{}, {"delegate_to": "b"}], ids=["here", "delegated"])
def test_each_view_has_its_look(tmp_path, delegated):
    views = [{"from": name, "targets": [TARGET], "deadline": 2} for name in ("c", "localhost", "nobody-at-all")]
    task = {"selfhosted.coolify.websocket_info": {"targets": [TARGET], "views": views}, "register": "seen", **delegated}
    shown = {"ansible.builtin.copy": {"content": "{{ seen | to_json }}", "dest": str(tmp_path / "seen"), "mode": "0600"}}
    playbook = [{"hosts": "a", "gather_facts": False, "tasks": [task, shown]}]
    (tmp_path / "play.yml").write_text(json.dumps(playbook))
    local = f"ansible_connection=local ansible_python_interpreter={sys.executable}"
    (tmp_path / "inventory").write_text("".join(f"{name} {local}\n" for name in "abc"))
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", str(tmp_path / "inventory"), str(tmp_path / "play.yml")],
        cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads((tmp_path / "seen").read_text())
    here, there, control, nowhere = [seen, *seen["views"]]
    assert [[row["diagnosis"]["id"] for row in look["results"]] for look in (here, there, control)] == [["CWT-901"]] * 3
    assert nowhere["msg"] == "the inventory has no host nobody-at-all"
