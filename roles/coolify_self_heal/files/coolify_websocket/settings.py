# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role decided for this host: which container, which routes, which socket."""

from __future__ import annotations

import json
import typing as t


class Settings(t.NamedTuple):
    """`read_timeout` is in seconds; the other values are those of the module nginx_snippet."""

    container: str
    path: str
    resolver: str
    read_timeout: int
    docker_socket: str


def load(path: str) -> Settings:
    """Reads the role's file. Raises OSError, and ValueError, KeyError or TypeError for a file that was damaged."""
    with open(path, encoding="utf-8") as source:
        values = json.load(source)
    # A number that came through a template of ansible-core before 2.19 is text.
    return Settings(**{**values, "read_timeout": int(values["read_timeout"])})
