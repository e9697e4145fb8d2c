# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which UFW rules to add and delete; the decision itself is in module_utils/firewall."""

from __future__ import annotations

import typing as t

from ansible_collections.selfhosted.coolify.plugins.module_utils.firewall import _ufw_rules


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"ufw_changes": _ufw_rules.changes}
