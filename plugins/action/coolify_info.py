# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the YAML that the module of the same name found on the host; its text goes no further."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.selfhosted.coolify.plugins.module_utils.tunnel import _ingress
from ansible_collections.selfhosted.coolify.plugins.plugin_utils import strategy, tunnel_list, yaml_text


class ActionModule(ActionBase):
    """Puts what the texts say in their place."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        # Every role begins with this look: what it cannot be played by ends it here.
        refusal = strategy.refusal(str(self._task.get_play().strategy)) if self._task._role else ""
        if refusal and len((task_vars or {}).get("ansible_play_hosts_all", ())) > 1:
            return {**result, "failed": True, "msg": f"{refusal}. Nothing was changed."}
        result.update(self._execute_module(task_vars=task_vars))
        managed = result.get("managed", {})
        tunnel, traefik = managed.get("tunnel", {}), managed.get("traefik", {})
        traefik["broken"] = yaml_text.broken(traefik.pop("neighbours", []))
        text = tunnel.pop("text", None)
        tunnel.update(tunnel_facts(text or ""))
        return result


def tunnel_facts(text: str) -> dict[str, t.Any]:
    """The rules in the file, why it cannot be read, and why its list can only be changed by hand."""
    try:
        found = tunnel_list.read(text)
    except tunnel_list.UnreadError as error:
        return {"rules": [], "error": None, "by_hand": str(error)}
    except _ingress.IngressError as error:
        return {"rules": [], "error": str(error), "by_hand": ""}
    by_hand = tunnel_list.uneditable(found) if found.rules else ""
    return {"rules": [rule._asdict() for rule in found.rules], "error": None, "by_hand": by_hand}
