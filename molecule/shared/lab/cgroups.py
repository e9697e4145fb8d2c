"""What systemd in a container leaves in the machine's control groups (version 1)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def tidy() -> None:
    """Remove the mount points that systemd made for itself, and groups of containers that are gone.

    On cgroup v1 that folder is the machine's own, seen by every container that boots systemd. Only what is empty
    and not mounted goes, so that nothing in use is touched.
    """
    with contextlib.suppress(OSError):
        for entry in _ROOT.iterdir():
            if entry.is_symlink():
                continue
            if os.path.ismount(entry):
                _remove_unused(entry / "docker")
            elif (_ROOT / "cgroup.controllers").exists():
                # Version 2: what is here are groups, and not ours.
                return
            else:
                _remove_unused(entry)


def _remove_unused(folder: Path) -> None:
    for parent, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            # The kernel refuses while anything runs in it.
            os.rmdir(parent)
