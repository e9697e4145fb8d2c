# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters behind coolify_verify: where to look, and what was found; the logic is in module_utils/verify."""

from __future__ import annotations

import typing as t

import yaml

from ansible_collections.selfhosted.coolify.plugins.module_utils.verify import _hops, _targets

Json = t.Mapping[str, t.Any]


def verify_result(
    plan: Json, info: Json, host: str, seen: Json, unlooked: t.Sequence[tuple[str, str]] = ()
) -> dict[str, t.Any]:
    content = info["managed"]["traefik"]["content"]
    try:
        document = yaml.safe_load(content) if content else None
    except yaml.YAMLError:
        document = None
    looks = [dict(seen, item="host")]
    for view in seen.get("views", []):
        looks.append(dict(view, item="control" if view["from"] == _targets.CONTROL_NODE else view["from"]))
    return _hops.result(host, plan, info, looks, document, unlooked)


def verify_refused(host: str, reason: str, info: Json, tailscale: Json, access: str = "auto") -> dict[str, t.Any]:
    return _hops.refused(host, reason, info, tailscale.get("tailscale", {}), access)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "verify_looks": _targets.looks,
            "verify_result": verify_result,
            "verify_refused": verify_refused,
        }
