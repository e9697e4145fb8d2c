# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the variables of a host with what the roles' specifications say, and ends its run where they differ."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

from ansible_collections.selfhosted.coolify.plugins.plugin_utils import role_variables

Json = t.Dict[str, t.Any]

_TYPES = {
    "bool": "true or false", "dict": "a mapping", "float": "a number", "int": "a whole number", "list": "a list",
    "path": "a path", "str": "a text",
}  # fmt: skip


class ActionModule(ActionBase):
    """Runs on the control node alone."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: Json | None = None) -> Json:
        result: Json = super().run(tmp, task_vars)
        _checked, options = self.validate_argument_spec({"own": {"type": "list", "elements": "str", "default": []}})
        variables, known = task_vars or {}, role_variables.specifications()
        problems = role_variables.unknown(variables, [*known, *options["own"]])
        for name in sorted(known.keys() & variables.keys()):
            try:
                problems += wrong(name, self._templar.template(variables[name]), known[name])
            except AnsibleError as error:
                problems.append(f"{name} has a value that Ansible cannot work out: {error}.")
        if problems:
            result.update(failed=True, msg=" ".join([*problems, "Nothing was changed."]))
        return {**result, "changed": False}


def wrong(name: str, value: t.Any, specification: Json) -> list[str]:
    """What is wrong with a variable's value: a sentence, or nothing."""
    wanted, choices = specification.get("type", "str"), specification.get("choices")
    listed = isinstance(value, (list, tuple))
    shown = "a list" if listed else "a mapping" if isinstance(value, dict) else repr(value)
    if value is None:
        return [f"{name} has no value: give it {_TYPES.get(wanted, 'one')}, or take the line away."]
    if wanted == "list" and not listed:
        # Ansible would split a text at its commas here, and go through its letters later.
        return [f"{name} is {shown}, and has to be a list, such as [{value!r}]."]
    # A text can be made of everything.
    misshapen = wanted in ("str", "path") and (listed or isinstance(value, dict))
    errors = ArgumentSpecValidator({name: specification}).validate({name: value}).error_messages
    if not errors and not misshapen:
        return []
    if wanted not in _TYPES or (listed and wanted == "list"):
        return [f"{name}: {error}." for error in errors]
    right = f"one of: {', '.join(map(str, choices))}" if choices else _TYPES[wanted]
    return [f"{name} is {shown}, and has to be {right}."]
