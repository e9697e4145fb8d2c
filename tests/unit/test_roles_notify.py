"""site.yml looks at a host only once where nothing changed since: whatever may change it has to say so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    path for path in ROOT.glob("roles/*/tasks/*.yml") if path.parts[-3] not in ("coolify_access", "coolify_verify")
)
CHANGING = re.compile(r"selfhosted\.coolify\.(?!\w+_info$)\w+|ansible\.builtin\.(package|copy|file)")


def tasks(found):
    for task in found:
        inner = [part for name in ("block", "rescue", "always") for part in task.get(name, [])]
        yield from tasks(inner) if inner else [task]


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-3::2]))
def test_every_task_that_may_change_the_host_says_so(path):
    changing = [task for task in tasks(yaml.safe_load(path.read_text())) if any(map(CHANGING.fullmatch, task))]
    silent = [task["name"] for task in changing if "The host has changed" not in str(task.get("notify"))]
    assert silent == []


def test_there_are_such_tasks():
    assert sum("The host has changed" in path.read_text() for path in FILES) >= 6
