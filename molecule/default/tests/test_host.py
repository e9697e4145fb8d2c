"""The state of a treated host: files, modes, units, sockets, the running rules."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

LAB_FOLDERS = Path(__file__).resolve().parents[3] / ".lab"


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("/data/coolify/nginx-config/apply-websocket.sh", 0o755),
        ("/etc/systemd/system/coolify-websocket.service", 0o644),
        ("/etc/systemd/system/coolify-websocket-firewall.service", 0o644),
    ],
)
def test_files_of_the_collection(host, path, mode):
    file = host.file(path)
    assert file.is_file
    assert file.mode == mode
    assert file.user == "root"


def test_environment_file_keeps_owner_and_mode(host):
    name = host.backend.get_hostname()
    prefix = os.environ.get("LAB_PREFIX", "molecule")
    untreated = json.loads((LAB_FOLDERS / prefix / f"{name}-untreated.json").read_text())["files"]
    for path in ("/data/coolify/source/.env", "/data/coolify", "/data/coolify/source"):
        file = host.file(path)
        mode, owner, *_ = untreated[path].split()
        assert oct(file.mode)[2:] == oct(int(mode, 8) & 0o7777)[2:]
        assert f"{file.uid}:{file.gid}" == owner


@pytest.mark.parametrize("unit", ["coolify-websocket", "coolify-websocket-firewall"])
def test_units_run_and_come_back_after_a_boot(host, unit):
    service = host.service(unit)
    assert service.is_enabled
    assert service.is_running, host.run(f"journalctl -u {unit} -n 30 --no-pager").stdout


def test_nftables_service_stays_disabled(host):
    assert not host.service("nftables").is_enabled


def test_state_of_the_agent(host):
    state = json.loads(host.file("/run/coolify-websocket/state.json").content_string)
    assert isinstance(state, dict)
    assert state


def test_table_is_loaded_and_names_the_ports(host):
    table = host.check_output("nft list table inet coolify_websocket")
    assert "6001" in table
    assert "6002" in table


def test_ufw_has_the_rules_of_the_guide(host):
    status = host.check_output("ufw status")
    for port in ("6001", "6002"):
        assert any(port in line and "100.64.0.0/10" in line for line in status.splitlines()), status


def test_nginx_configuration_is_valid(host):
    assert host.run("docker exec coolify nginx -t").rc == 0


def test_ssh_is_not_touched(host):
    assert host.socket("tcp://0.0.0.0:22").is_listening
    assert "22" not in host.check_output("nft list table inet coolify_websocket").replace("6002", "").split()


def test_nothing_is_written_outside_of_the_container_where_nothing_is_in_the_way(host):
    assert not host.file("/data/coolify/proxy/dynamic/coolify-websocket.yaml").exists


def test_environment_of_the_running_container(host):
    inspected = json.loads(host.check_output("docker inspect coolify"))
    environment = dict(entry.split("=", 1) for entry in inspected[0]["Config"]["Env"])
    if host.file("/data/coolify/proxy/dynamic/coolify.yaml").exists:
        assert environment["PUSHER_HOST"].endswith(".lab.test")
        assert environment["PUSHER_PORT"] == "443"
    else:
        assert environment["PUSHER_HOST"].startswith("100.")
        assert environment["PUSHER_PORT"] == "6001"
    # The backend's own call is left alone: 6001 is what the bundled layout's compose file gives by itself.
    assert "PUSHER_BACKEND_HOST" not in environment
    assert environment.get("PUSHER_BACKEND_PORT") in (None, "6001")
    assert environment["PUSHER_SCHEME"] == "http"
