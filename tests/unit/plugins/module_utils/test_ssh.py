"""Where SSH comes in."""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.firewall import _ssh


def test_the_ports_that_sshd_is_configured_for():
    printed = "port 22\nport 2222\nlistenaddress [::]:2022\nlistenaddress 192.0.2.1:2022\nsubsystem x port 7\nport 0x8\n"
    assert _ssh.ports(printed) == {22, 2222, 2022}
    assert _ssh.ports("") == set()


@pytest.fixture
def proc(tmp_path):
    """A shell that sshd started, sudo, and Python; process 40 was started by the machine."""
    environments = {
        1: "", 20: "A=b", 30: "SSH_CONNECTION=fe80::7%eth0 40000 fe80::1%eth0 2222\0HOME=/root", 31: "SUDO_UID=0",
        32: "NOT_SSH_CONNECTION=1 2 3 4", 40: "SSH_CONNECTION=broken",
    }  # fmt: skip
    parents = {1: 0, 20: 1, 30: 20, 31: 30, 32: 31, 40: 1}
    for pid, text in environments.items():
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "environ").write_bytes(text.encode())
        (folder / "stat").write_text(f"{pid} (a (b) c) S {parents[pid]} 1 1\n")
    return str(tmp_path)


def test_the_connection_is_known_to_what_started_sudo(proc):
    assert _ssh.connection(32, proc) == ("fe80::7", 2222)
    assert _ssh.connection(30, proc) == ("fe80::7", 2222)


@pytest.mark.parametrize("pid", [40, 20, 1, 99])
def test_a_process_that_came_by_no_connection(proc, pid):
    assert _ssh.connection(pid, proc) is None
