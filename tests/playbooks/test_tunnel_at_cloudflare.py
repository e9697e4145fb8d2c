"""The role coolify_tunnel over hosts that share tunnels which Cloudflare keeps, by ansible-playbook, against a stand-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "unit" / "plugins" / "plugin_utils"))
from cloudflare import ACCOUNT, NAME, TOKEN, TUNNEL, Api, config, error  # noqa: E402

HOSTS = [f"c{number}.example.com" for number in range(10)]
PLAY = """
- hosts: all
  connection: local
  gather_facts: false
  serial: "{{ batch | default('100%') }}"
  tasks:
    - ansible.builtin.set_fact:
        coolify_access_plan:
          tunnel:
            {wanted: false, give_back: false, by_hand: "{{ remote | default('present') == '' }}", path: null,
             remote: "{{ remote | default('present') }}",
             hostname: "{{ inventory_hostname }}", rules: [{path: ^/terminal/ws$, service: "http://127.0.0.1:6002"},
             {path: ^/apps?/, service: "http://127.0.0.1:6001"}],
             extra_hostnames: "{{ extra | default([]) }}",
             tunnel_id: "{{ coolify_tunnel_id }}", account_id: ""}
    - ansible.builtin.include_role: {name: tunnel_alone}
  handlers:
    - name: The host has changed
      ansible.builtin.debug: {msg: again}
"""


@pytest.fixture
def play(tmp_path):
    """Runs the role on the hosts; without what it depends on, which needs a host."""
    role = tmp_path / "roles" / "tunnel_alone"
    (role / "meta").mkdir(parents=True)
    for part in ("tasks", "defaults", "vars", "handlers"):
        (role / part).symlink_to(ROOT / "roles" / "coolify_tunnel" / part)
    (role / "meta" / "argument_specs.yml").symlink_to(ROOT / "roles" / "coolify_tunnel" / "meta" / "argument_specs.yml")
    book = tmp_path / "play.yml"
    book.write_text(PLAY)

    def run(api, *arguments, hosts=HOSTS, token=TOKEN, **more):
        api.asked.clear()
        given = {"coolify_tunnel_id": TUNNEL, "coolify_tunnel_account_id": ACCOUNT, "coolify_tunnel_api_url": api.url, **more}
        environment = {
            **os.environ,
            "CLOUDFLARE_API_TOKEN": token,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOME": str(tmp_path / "home"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
        }
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-vvvv", "-i", ",".join(hosts) + ",", str(book)]
        done = subprocess.run(
            [*command, "-e", json.dumps(given), *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert TOKEN not in done.stdout + done.stderr
        return done.returncode, done.stdout + done.stderr

    return run


def routed(api):
    return {item["hostname"] for item in api.config["ingress"] if item.get("path", "").endswith("(|selfhosted.coolify)")}


def test_ten_hosts_of_one_tunnel_are_one_look_and_one_change(play):
    with Api(config(*HOSTS)) as api:
        code, output = play(api)
        assert code == 0, output
        assert api.asked == ["GET", "GET", "PUT"]
        assert routed(api) == set(HOSTS)
        assert play(api)[0] == 0
        assert api.asked == ["GET"]
        # In batches each has its look, since a list that was read before the last batch's work is an old one.
        assert play(api, batch=5, remote="absent")[0] == 0
        assert api.asked == ["GET", "GET", "PUT"] * 2
        assert api.config == config(*HOSTS)


def test_every_name_of_an_instance_is_routed(play):
    with Api(config(NAME, "panel.example.org")) as api:
        code, output = play(api, hosts=[NAME], extra=["panel.example.org"])
        assert code == 0, output
        assert routed(api) == {NAME, "panel.example.org"}
        assert play(api, hosts=[NAME], extra=["panel.example.org"])[0] == 0
        assert api.asked == ["GET"]


def test_where_the_change_fails_it_fails_for_every_host(play):
    with Api(config(*HOSTS)) as api:
        api.faults = [{"status": 403, "body": error(10000, "Authentication error")}]
        code, output = play(api)
        assert code != 0
        assert api.asked == ["GET"]
        assert "Account > Cloudflare Tunnel > Edit" in output
        assert output.count("failed=1") == len(HOSTS)


def test_without_a_token_it_is_said_what_to_enter(play):
    with Api() as api:
        code, output = play(api, hosts=[NAME], token="")
        assert code == 0, output
        assert api.asked == []
        assert "Subdomain coolify, Domain example.com, Path ^/terminal/ws$, Type HTTP, URL 127.0.0.1:6002" in output
        assert "set coolify_tunnel_account_id and coolify_tunnel_api_token as well" in output
        assert output.index("URL 127.0.0.1:6002") < output.index("URL 127.0.0.1:6001")


def test_where_nothing_is_set_it_is_also_said_how_the_api_does_it(play):
    with Api() as api:
        api_instead = "set coolify_tunnel_id to auto (or to the tunnel's id) and coolify_tunnel_api_token"
        code, output = play(api, hosts=[NAME], remote="")
        assert code == 0, output
        assert api.asked == []
        assert "URL 127.0.0.1:6002" in output
        assert api_instead in output
        assert api_instead not in play(api, hosts=[NAME], remote="", coolify_tunnel_manage=False)[1]


def test_a_name_that_is_not_published_is_said(play):
    with Api(config()) as api:
        code, output = play(api, hosts=["elsewhere.org", NAME])
        assert code == 0, output
        assert f"Tunnel {TUNNEL} has no entry for elsewhere.org" in output
        assert routed(api) == {NAME}
