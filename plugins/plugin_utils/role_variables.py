# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables that the collection's roles have, and names that only look like one of them."""

from __future__ import annotations

import difflib
import glob
import os
import typing as t

import yaml

#: What the playbooks know beside the roles' variables, and the facts that the roles leave.
_FURTHER = (
    "coolify_hosts",
    "coolify_own_variables",
    "coolify_access_changes_pending",
    "coolify_access_info",
    "coolify_access_plan",
    "coolify_access_tailscale",
    "coolify_access_unchanged",
    "coolify_verify_result",
)
_ROLES = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "roles")


def specifications() -> dict[str, dict[str, t.Any]]:
    """The variables of all roles of this collection, by name, as their ``meta/argument_specs.yml`` have them."""
    found: dict[str, dict[str, t.Any]] = {}
    for path in glob.glob(os.path.join(glob.escape(_ROLES), "*", "meta", "argument_specs.yml")):
        with open(path, encoding="utf-8") as file:
            found.update(yaml.safe_load(file)["argument_specs"]["main"]["options"])
    return found


def unknown(names: t.Iterable[str], known: t.Iterable[str]) -> list[str]:
    """A sentence for each name that begins as this collection's do, and is neither known nor one of _FURTHER."""
    problems = []
    known = [*known, *_FURTHER]
    for name in sorted(set(names) - set(known)):
        if name.startswith("coolify_"):
            nearest = difflib.get_close_matches(name, known, 1)
            advice = f"Did you mean {nearest[0]}? If the name is your own" if nearest else "If the name is your own"
            problems.append(
                f"{name} is no variable of selfhosted.coolify. {advice}, put it into the list coolify_own_variables."
            )
    return problems
