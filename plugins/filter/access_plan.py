# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that decides how people reach a Coolify host; the decision itself is in module_utils/plan."""

from __future__ import annotations

import typing as t

import yaml
from ansible.parsing.yaml.dumper import AnsibleDumper

from ansible_collections.selfhosted.coolify.plugins.module_utils.plan import _access, _domain

Json = t.Mapping[str, t.Any]
_HEADER = "# Managed by the Ansible collection selfhosted.coolify; what is changed here is changed back by its next run.\n"


def _traefik(info: Json, hop: Json) -> dict[str, t.Any]:
    """The hop with the file's text, which needs a YAML library, and whether the look has shown it in place already."""
    # What comes from the inventory is not str itself, which PyYAML alone refuses.
    content = _HEADER + yaml.dump(hop["document"], Dumper=AnsibleDumper, sort_keys=False) if hop["wanted"] else None
    seen = (info.get("managed") or {}).get("traefik") or {}
    settled = hop["wanted"] and seen.get("content") == content and not (seen.get("cut") or seen.get("broken"))
    return {**hop, "content": content, "settled": settled}


def access_plan(info: Json, tailscale: Json, **choices: t.Any) -> dict[str, t.Any]:
    try:
        plan = _access.plan(info, tailscale.get("tailscale", tailscale), **choices)
    except _domain.AccessError as error:
        return {"refusal": str(error)}
    return {"refusal": "", **plan, "traefik": _traefik(info, plan["traefik"])}


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"access_plan": access_plan}
