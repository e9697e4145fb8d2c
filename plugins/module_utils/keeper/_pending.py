# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to this collection: no promise is made to anybody else.

A note that a container still runs with values which its .env has not any longer. After a removal nothing else would say
so: a run that was cut between the two could not tell a host that it treated from one where somebody edits .env.
"""

from __future__ import annotations

import contextlib
import os

_NAME = "recreate-pending"


def noted(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, _NAME))


def note(folder: str) -> None:
    """Leaves the note in the directory `folder`. Raises OSError."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with open(os.path.join(folder, _NAME), "wb"):
        pass


def clear(folder: str) -> None:
    """Removes the note, and the directory if nothing else is in it. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(folder, _NAME))
    if os.path.isdir(folder) and not os.listdir(folder):
        os.rmdir(folder)
