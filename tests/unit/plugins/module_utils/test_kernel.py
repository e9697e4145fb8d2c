"""The kernel's own word on nf_tables."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.firewall import _kernel


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize(("user", "allowed"), [(0, True), (65534, False)])
def test_the_kernel_lets_root_have_nf_tables_and_nobody_else(user: int, allowed: bool) -> None:
    lines = f"import os, runpy\nask = runpy.run_path({_kernel.__file__!r})['refusal']\nos.setuid({user})\nprint(ask())"
    words = ["unshare", "--net", sys.executable, "-c", lines]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=Path(_kernel.__file__).parent)
    assert done.stdout.strip() == ("None" if allowed else "Operation not permitted")


def message(kind: int, code: int) -> bytes:
    return struct.pack("=IHHIIi", 20, kind, 0, 1, 0, code)


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        (message(2, -1), "Operation not permitted"),
        # As from a kernel without the module.
        (message(2, -22), "Invalid argument"),
        (message(2, 0), None),
        (message(10 << 8 | 15, 7), None),
    ],
)
def test_what_an_answer_says(answer: bytes, refusal: str | None) -> None:
    assert _kernel.read(answer) == refusal


def test_a_kernel_without_netlink_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_arguments: object) -> None:
        raise OSError(93, "Protocol not supported")

    monkeypatch.setattr(_kernel.socket, "socket", none)
    assert _kernel.refusal() == "Protocol not supported"
