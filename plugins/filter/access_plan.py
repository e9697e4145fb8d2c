# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters that decide how people reach a Coolify host; the decision itself is in module_utils/plan."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.selfhosted.coolify.plugins.module_utils.plan import _access


def access_plan(info: t.Mapping[str, t.Any], tailscale: t.Mapping[str, t.Any], **choices: t.Any) -> dict[str, t.Any]:
    try:
        return _access.plan(info, tailscale.get("tailscale", tailscale), **choices)
    except _access.AccessError as error:
        raise AnsibleFilterError(str(error)) from error


def access_refusal(info: t.Mapping[str, t.Any], tailscale: t.Mapping[str, t.Any], **choices: t.Any) -> str:
    try:
        _access.plan(info, tailscale.get("tailscale", tailscale), **choices)
    except _access.AccessError as error:
        return str(error)
    return ""


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"access_plan": access_plan, "access_refusal": access_refusal}
