"""One hop alone, by its tag: the real playbooks and dependencies, with roles that only say their name."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOPS = ("pusher", "nginx", "self_heal", "traefik", "firewall", "tunnel")
TASKS = """
- ansible.builtin.command: sleep 1
  when: inventory_hostname == 'slow'
- ansible.builtin.debug:
    msg: I am {{ role_name }}
"""


@pytest.fixture(scope="module")
def collections(tmp_path_factory):
    path = tmp_path_factory.mktemp("collections")
    collection = path / "ansible_collections" / "selfhosted" / "coolify"
    shutil.copytree(ROOT / "playbooks", collection / "playbooks")
    shutil.copytree(ROOT / "meta", collection / "meta")
    shutil.copytree(ROOT / "plugins", collection / "plugins")
    shutil.copy(ROOT / "galaxy.yml", collection)
    for role in (ROOT / "roles").iterdir():
        shutil.copytree(role / "meta", collection / "roles" / role.name / "meta")
        tasks = collection / "roles" / role.name / "tasks"
        tasks.mkdir()
        (tasks / "main.yml").write_text(TASKS)
    return path


def roles_run(collections, playbook, *options, hosts="localhost,", **more):
    """What really runs: a listing does not show which dependencies Ansible holds for done already."""
    environment = {
        "PATH": "/usr/bin:/bin", "HOME": str(collections), "LC_ALL": "C.UTF-8", "ANSIBLE_COLLECTIONS_PATH": str(collections),
        **more,
    }
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", hosts, f"selfhosted.coolify.{playbook}",
         "-e", "coolify_hosts=all ansible_connection=local ansible_become=false", *options],
        env=environment, cwd=collections, capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"I am coolify_(\w+)", done.stdout)


@pytest.mark.parametrize("playbook", ["site", "remove"])
@pytest.mark.parametrize("hop", ["nginx", "pusher"])
def test_a_hop_alone_after_the_look_at_the_host(collections, playbook, hop):
    ran = roles_run(collections, playbook, "--tags", hop)
    assert ran[0] == "access"
    assert ran[-1] == hop
    assert set(ran) == {"access", hop}


def test_the_proof_alone(collections):
    assert roles_run(collections, "site", "--tags", "verify") == ["access", "verify"]
    assert roles_run(collections, "verify", "--tags", "verify") == ["verify"]


def test_a_hop_left_out(collections):
    ran = roles_run(collections, "site", "--skip-tags", "firewall")
    assert set(ran) == {"access", *HOPS, "verify"} - {"firewall"}
    assert ran[0] == "access"


def test_every_variable_is_checked_first_whatever_the_tag(collections):
    # The firewall's own check comes when the hops before it are changed.
    with pytest.raises(AssertionError) as failure:
        roles_run(collections, "site", "--tags", "nginx", "-e", "coolify_firewall_state=perhaps")
    assert "I am" not in str(failure.value)


@pytest.mark.parametrize("strategy", ["free", "host_pinned"])
@pytest.mark.parametrize("playbook", ["site", "verify", "remove"])
def test_hosts_go_in_step_whatever_the_configuration_says(collections, playbook, strategy):
    ran = roles_run(collections, playbook, hosts="slow,fast", ANSIBLE_STRATEGY=strategy)
    assert ran[::2] == ran[1::2]
    assert len(ran) >= 2
