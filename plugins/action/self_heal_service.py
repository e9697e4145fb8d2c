# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the service's Python files from the control node, for the module of the same name to install."""

from __future__ import annotations

import glob
import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Adds the files of the option ``sources`` to those of the option ``files``."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        options = dict(self._task.args)
        folder = options.get("folder") or "/usr/local/lib/coolify-websocket"
        files = [
            {"path": os.path.join(folder, place, name), "content": text}
            for place, source in (options.pop("sources", None) or {}).items()
            for name, text in _programs(source)
        ]
        options["files"] = [*files, *(options.get("files") or [])]
        result.update(self._execute_module(module_args=options, task_vars=task_vars))
        return result


def _programs(source: str) -> list[tuple[str, str]]:
    """Name and text of each Python file in a folder of the control node. Raises AnsibleActionFail."""
    paths = sorted(glob.glob(os.path.join(glob.escape(source), "*.py")))
    if not paths:
        raise AnsibleActionFail(f"sources: there is no Python file in {source} on the control node")
    try:
        return [(os.path.basename(path), _text(path)) for path in paths]
    except OSError as error:
        raise AnsibleActionFail(f"sources: {error}") from error


def _text(path: str) -> str:
    with open(path, encoding="utf-8") as source:
        return source.read()
