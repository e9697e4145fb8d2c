# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes hostnames in the list that Cloudflare keeps of a tunnel; there is nothing to do on a host."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.selfhosted.coolify.plugins.module_utils.tunnel import _ingress
from ansible_collections.selfhosted.coolify.plugins.plugin_utils import cloudflare_api, tunnel_remote

_RULE = {"path": {"type": "str", "required": True}, "service": {"type": "str", "required": True}}
_SPEC = {
    "account_id": {"type": "str", "required": True},
    "tunnel_id": {"type": "str", "required": True},
    "api_token": {"type": "str", "required": True, "no_log": True},
    "routes": {
        "type": "list",
        "elements": "dict",
        "options": {
            "hostname": {"type": "str", "required": True},
            "rules": {"type": "list", "elements": "dict", "options": _RULE, "default": []},
        },
    },
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "timeout": {"type": "int", "default": 30},
    "api_url": {"type": "str", "default": cloudflare_api.URL},
}


class ActionModule(ActionBase):
    """Runs on the control node alone."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _checked, options = self.validate_argument_spec(_SPEC, required_if=[("state", "present", ["routes"])])
        try:
            routes = _by_name(options["routes"], options["state"])
            if options["timeout"] <= 0:
                raise cloudflare_api.ApiError("timeout is not a number of seconds above 0")
            tunnel = cloudflare_api.Tunnel(
                options["api_url"], options["account_id"], options["tunnel_id"], options["api_token"], options["timeout"]
            )
            found = tunnel.read()
            config = found.config or {}
            items = config.get("ingress") or []
            edit = _edit(found, items, routes, options["state"])
            changed = edit.items != items
            if changed and not self._task.check_mode:
                wanted = {**config, "ingress": edit.items}
                tunnel.replace(found, wanted, lambda now: _rules(now) == _rules(wanted))
        except (cloudflare_api.ApiError, _ingress.IngressError) as error:
            return {**result, "failed": True, "changed": False, "msg": f"tunnel {options['tunnel_id']}: {error}"}
        header = f"ingress of tunnel {options['tunnel_id']}"
        return {
            **result,
            "changed": changed,
            "hostnames": [hostname for hostname, _rules in routes or []],
            "rules": [{**tunnel_remote.rule(item)._asdict(), "path": item.get("path") or ""} for item in edit.items],
            "swallowed": [{"rule": rule._asdict(), "pages": pages} for rule, pages in edit.swallowed],
            "unpublished": edit.unpublished,
            "diff": {
                "before_header": header,
                "after_header": header,
                "before": tunnel_remote.shown(items),
                "after": tunnel_remote.shown(edit.items),
            },
        }


def _rules(config: t.Mapping[str, t.Any] | None) -> list[tuple[t.Any, str]]:
    # Cloudflare gives a rule more than it was sent with.
    return [(tunnel_remote.rule(item), item.get("path") or "") for item in (config or {}).get("ingress") or []]


_Routes = t.List[t.Tuple[str, t.List[t.Dict[str, str]]]]


def _by_name(given: list[dict[str, t.Any]] | None, state: str) -> _Routes | None:
    """Each hostname once: several hosts may stand behind one name, where they agree on it."""
    if given is None:
        return None
    routes: dict[str, list[dict[str, str]]] = {}
    for route in given:
        name, rules = route["hostname"].lower(), [{key: rule[key] for key in _RULE} for rule in route["rules"]]
        if state == "present" and not rules:
            raise _ingress.IngressError(f"routes: there are no rules for {name}")
        if routes.setdefault(name, rules) != rules:
            raise _ingress.IngressError(f"routes: two hosts want other rules for the one hostname {name}; give each its own name")
    return list(routes.items())


def _edit(found: cloudflare_api.Found, items: list[tunnel_remote.Item], routes: _Routes | None, state: str) -> tunnel_remote.Edit:
    if state == "absent":
        names = None if routes is None else [hostname for hostname, _rules in routes]
        return tunnel_remote.Edit(tunnel_remote.without(items, names), [], [])
    if found.source == "local":
        raise cloudflare_api.ApiError(
            "its list is a file on the host, not kept by Cloudflare; use selfhosted.coolify.tunnel_ingress (in the role: leave "
            "coolify_tunnel_id unset)"
        )
    return tunnel_remote.edit(items, routes or [])
