"""What a user's inventory says gets into Traefik's file as it does from Python: Ansible's text is not str itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from ansible_collections.selfhosted.coolify.plugins.filter.access_plan import access_plan

ROOT = Path(__file__).resolve().parents[2]
FOUND = ROOT / "tests" / "unit" / "plugins" / "module_utils" / "hops" / "treated.json"
PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    coolify_traefik_entrypoints: [https]
    chosen: {access: dual, entrypoints: "{{ coolify_traefik_entrypoints }}"}
  tasks:
    - ansible.builtin.set_fact:
        plan: "{{ info | selfhosted.coolify.access_plan(tailscale, **chosen) }}"
    - ansible.builtin.copy:
        content: "{{ plan.traefik.content }}"
        dest: "{{ playbook_dir }}/written.yaml"
        mode: "0600"
"""


def test_entry_points_of_an_inventory(tmp_path):
    (tmp_path / "play.yml").write_text(PLAY)
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
    }
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-e", f"@{FOUND}", "play.yml"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(FOUND.read_text())
    plan = access_plan(found["info"], found["tailscale"], access="dual", entrypoints=["https"])
    assert (tmp_path / "written.yaml").read_text() == plan["traefik"]["content"]
