# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that decides how people reach a Coolify host; the decision itself is in module_utils/plan."""

from __future__ import annotations

import typing as t

from ansible_collections.selfhosted.coolify.plugins.module_utils.plan import _access, _domain


def access_plan(info: t.Mapping[str, t.Any], tailscale: t.Mapping[str, t.Any], **choices: t.Any) -> dict[str, t.Any]:
    try:
        return {"refusal": "", **_access.plan(info, tailscale.get("tailscale", tailscale), **choices)}
    except _domain.AccessError as error:
        return {"refusal": str(error)}


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"access_plan": access_plan}
