# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds on the control node what must change in the tunnel's list, for the module of the same name to carry out."""

from __future__ import annotations

import base64
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.selfhosted.coolify.plugins.module_utils.tunnel import _ingress
from ansible_collections.selfhosted.coolify.plugins.plugin_utils import tunnel_list

_ATTEMPTS = 3


class ActionModule(ActionBase):
    """One execution of the module where nothing changes, two where something does."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        options = dict(self._task.args)
        for name in ("extra_hostnames", "rules"):
            if isinstance(options.get(name), (str, dict)):
                return {**result, "failed": True, "msg": f"{name} is {options[name]!r}, and has to be a list"}
        answer = self._execute_module(module_args=options, task_vars=task_vars)
        hostnames = [options["hostname"], *(options.get("extra_hostnames") or [])] if options.get("hostname") else []
        known: dict[str, t.Any] = {"swallowed": [], "by_hand": ""}
        for _attempt in range(_ATTEMPTS):
            content = answer.pop("content", None)
            if content is None:
                return {**result, **known, **answer}
            text = base64.b64decode(content).decode("utf-8", "surrogateescape")
            path, digest = answer.pop("path"), answer.pop("digest")
            try:
                edit = tunnel_list.edit(text, hostnames, options["rules"])
            except _ingress.IngressError as error:
                return {**result, **answer, "failed": True, "msg": f"{path}: {error}"}
            known = {
                "rules": [rule._asdict() for rule in edit.rules],
                "swallowed": [{"rule": rule._asdict(), "pages": pages} for rule, pages in edit.swallowed],
                "by_hand": edit.by_hand,
            }
            if edit.text == text:
                return {**result, **known, **answer, "swallowed": []}
            expected = tunnel_list.expected(edit.rules, hostnames, options["rules"])
            asked = {**options, "splices": edit.splices, "digest": digest, "expected": expected}
            answer = self._execute_module(module_args=asked, task_vars=task_vars)
        if "content" not in answer:
            return {**result, **known, **answer}
        return {**result, "failed": True, "msg": "somebody else keeps changing the tunnel's list; run again when it is quiet"}
