# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges on the control node whether Traefik can read the file, and those beside it, as YAML."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.selfhosted.coolify.plugins.plugin_utils import yaml_text


class ActionModule(ActionBase):
    """Puts what is wrong in the place of the neighbours' texts."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        error = yaml_text.problem(str(self._task.args.get("content") or ""))
        if error and self._task.args.get("state") != "absent":
            msg = f"content: {error}; Traefik would load no further change, so it was not written"
            return {**result, "failed": True, "msg": msg}
        result.update(self._execute_module(task_vars=task_vars))
        if "neighbours" in result:
            result["broken"] = yaml_text.broken(result.pop("neighbours"))
            result.setdefault("warnings", []).extend(
                "Traefik loads no change while it cannot read {path}: {error}".format(**each) for each in result["broken"]
            )
        return result
