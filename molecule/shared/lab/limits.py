"""Limits of the machine that several systems on one kernel run into, raised while there is a lab."""

from __future__ import annotations

import json
from pathlib import Path

import paths
from progress import say

# Each systemd, dockerd and tailscaled watches files; the default of 128 instances is for one of each.
_ENOUGH = {"fs/inotify/max_user_instances": 4096, "fs/inotify/max_user_watches": 262144}


def _file() -> Path:
    return paths.cache() / "limits.json"


def _value(name: str) -> Path:
    return Path("/proc/sys") / name


def lift() -> None:
    """Raise what is too low, and remember what it was; without the right to, say what to do."""
    before: dict[str, int] = json.loads(_file().read_text(encoding="ascii")) if _file().exists() else {}
    for name, enough in _ENOUGH.items():
        now = int(_value(name).read_text(encoding="ascii"))
        if now >= enough:
            continue
        before.setdefault(name, now)
        _file().write_text(json.dumps(before), encoding="ascii")
        try:
            _value(name).write_text(str(enough), encoding="ascii")
        except OSError:
            say(f"if units fail at boot: sysctl -w {name.replace('/', '.')}={enough} (now {now})")
        else:
            say(f"raised {name.replace('/', '.')} from {now} to {enough} until the last lab is down")


def put_back() -> None:
    """Put back what was raised."""
    if _file().exists():
        for name, value in json.loads(_file().read_text(encoding="ascii")).items():
            if int(_value(name).read_text(encoding="ascii")) == _ENOUGH.get(name):
                _value(name).write_text(str(value), encoding="ascii")
        _file().unlink()
