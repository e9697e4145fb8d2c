# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a play, which Ansible itself passes over with exit code 0 where there are none."""

from __future__ import annotations

import typing as t

from ansible import context
from ansible.errors import AnsibleFilterError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader

Groups = t.Mapping[str, t.Sequence[str]]


def required_hosts(pattern: t.Any, groups: Groups, limit: str = "") -> t.Any:
    """The pattern as it is. Raises AnsibleFilterError where no host matches it, or none of those is within the limit."""
    if context.CLIARGS.get("syntax"):
        # --syntax-check goes to no host, and needs no inventory.
        return pattern
    if not _matching(groups, pattern, None):
        raise AnsibleFilterError(f"No host of the inventory matches {pattern!r} (variable coolify_hosts). {_remedy(groups)}")
    if limit and not _matching(groups, pattern, limit):
        raise AnsibleFilterError(
            f"No host that matches {pattern!r} (variable coolify_hosts) is within --limit {limit!r}. {_remedy(groups)}"
        )
    return pattern


def _matching(groups: Groups, pattern: t.Any, limit: str | None) -> list[t.Any]:
    """The hosts by Ansible's own rules for patterns; its implicit localhost counts only where it is named."""
    inventory = InventoryManager(loader=DataLoader(), parse=False)
    for name, hosts in groups.items():
        inventory.add_group(name)
        for host in hosts:
            inventory.add_host(host, group=name)
    if limit is not None:
        inventory.subset(limit)
    found: list[t.Any] = inventory.get_hosts(pattern)
    return found


def _remedy(groups: Groups) -> str:
    names = sorted(name for name, hosts in groups.items() if hosts and name not in ("all", "ungrouped"))
    if names:
        return f"The inventory's groups are: {', '.join(names)}. Set coolify_hosts to one of them, to a host, or to all."
    if groups.get("all"):
        return "The inventory has hosts and no group: set coolify_hosts=all, or put the Coolify hosts into a group named coolify."
    return "The inventory has no host: check the option -i. A host name in the place of a file ends in a comma, as in -i NAME,"


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"required_hosts": required_hosts}
