"""Each view in a process of its own: what comes back, whatever happens there."""

from __future__ import annotations

import os
import signal
import time

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.selfhosted.coolify.plugins.action import websocket_info


def collected(work, *arguments):
    return websocket_info._collect(*websocket_info._in_a_process_of_its_own(work, *arguments))


def test_more_than_a_pipe_holds_comes_back():
    assert collected(lambda size: {"results": ["x" * size]}, 10**6) == {"results": ["x" * 10**6]}


def unreachable():
    raise AnsibleConnectionFailure("no route to host")


def faulty():
    raise KeyError("nobody")


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (unreachable, {"unreachable": True, "msg": "no route to host"}),
        (faulty, {"failed": True, "msg": "'nobody'"}),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), {"failed": True, "msg": "the look from there ended without an answer"}),
    ],
)
def test_what_fails_there_is_said(work, said):
    assert collected(work) == said


def test_they_run_at_the_same_time():
    begun = time.monotonic()
    children = [websocket_info._in_a_process_of_its_own(lambda: time.sleep(0.3) or {}) for dummy in range(8)]
    assert [websocket_info._collect(*child) for child in children] == [{}] * 8
    assert time.monotonic() - begun < 8 * 0.3
