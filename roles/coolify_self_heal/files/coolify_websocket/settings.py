# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role decided for this host: which container, which routes, which socket."""

from __future__ import annotations

import json
import typing as t

from .nginx import _http_conf, _routes


class Settings(t.NamedTuple):
    """`nginx` is what the user sets of the routes; `metrics` whether standard output is the metrics' file.

    `docker_cgroup` is the control group of the engine's unit while that runs, empty where it is no unit of systemd's.
    """

    container: str
    nginx: _routes.Settings
    docker_socket: str
    path: str = _http_conf.PATH
    metrics: bool = False
    docker_cgroup: str = ""


def load(path: str) -> Settings:
    """Reads the role's file. Raises OSError, and ValueError, KeyError or TypeError for a file that was damaged."""
    with open(path, encoding="utf-8") as source:
        values = json.load(source)
    return Settings(**{**values, "nginx": _routes.settings(values["nginx"])})
