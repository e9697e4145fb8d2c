# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks from other machines while the module of the same name looks from the task's own.

Ansible has one connection for a task. The others are made here, by the plugin and the variables of their hosts, each in
a process of its own, so that nothing is shared that was not made for it.
"""

from __future__ import annotations

import collections
import copy
import json
import os
import typing as t

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.selfhosted.coolify.plugins.module_utils.verify import _handshake, _targets

Json = dict[str, t.Any]


class ActionModule(ActionBase):
    """The module, and beside it one more look for each of ``views``."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: Json | None = None) -> Json:
        result: Json = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        views = arguments.pop("views", None) or []
        begun = [_in_a_process_of_its_own(self._look, view, task_vars or {}) for view in views]
        try:
            result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        finally:
            seen = [_collect(*child) for child in begun]
        result["views"] = [{**one, "from": view["from"]} for one, view in zip(seen, views)]
        return result

    def _look(self, view: Json, task_vars: Json) -> Json:
        options = {name: value for name, value in view.items() if name != "from"}
        if view["from"] == _targets.CONTROL_NODE:
            deadline = float(options.get("deadline") or _handshake.DEADLINE)
            return {"results": _handshake.probe_all(options["targets"], deadline, None, options.get("ca_certificates"))}
        if view["from"] not in task_vars["hostvars"]:
            return {"failed": True, "msg": f"the inventory has no host {view['from']}"}
        found = task_vars["hostvars"][view["from"]]
        # What Ansible finds out about that host meanwhile, such as its Python, it keeps there.
        variables = collections.ChainMap({"ansible_facts": dict(found.get("ansible_facts") or {})}, found)
        there: t.Any = copy.copy(self)
        # Where the task itself is delegated to is no matter of this look.
        there._task = self._task.copy(exclude_parent=True, exclude_tasks=True)
        there._task.delegate_to = None
        there._play_context = self._play_context.copy()
        there._play_context.become = False
        there._connection = self._connected(there._play_context, variables)
        try:
            seen: Json = there._execute_module(module_args=options, task_vars=variables)
        finally:
            there._connection.close()
        return seen

    def _connected(self, play_context: t.Any, variables: t.Mapping[str, t.Any]) -> t.Any:
        name = variables.get("ansible_connection") or C.DEFAULT_TRANSPORT
        connection = self._shared_loader_obj.connection_loader.get(name, play_context, None)
        # As the task executor does: what the task says, the play's timeout and password, and the host's variables.
        keys = self._task.dump_attrs()
        del keys["retries"]
        keys["timeout"] = play_context.timeout
        if play_context.password:
            keys["password"] = play_context.password
        for kind, plugin in (("connection", connection), ("shell", connection._shell)):
            known = C.config.get_plugin_vars(kind, plugin._load_name)
            options = {variable: variables[variable] for variable in known if variable in variables}
            plugin.set_options(task_keys=keys, var_options=options)
        return connection


def _in_a_process_of_its_own(work: t.Callable[..., Json], *arguments: t.Any) -> tuple[int, t.Any]:
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, os.fdopen(reading, encoding="utf-8")
    try:
        os.close(reading)
        try:
            seen = work(*arguments)
        except AnsibleConnectionFailure as error:
            seen = {"unreachable": True, "msg": str(error)}
        except Exception as error:
            seen = {"failed": True, "msg": str(error)}
        with os.fdopen(writing, "w", encoding="utf-8") as answer:
            json.dump(seen, answer, default=str)
    finally:
        # Nothing of what the parent has to clean up or to say is this process's.
        os._exit(0)


def _collect(child: int, answer: t.Any) -> Json:
    with answer:
        text = answer.read()
    os.waitpid(child, 0)
    try:
        seen: Json = json.loads(text)
    except ValueError:
        seen = {"failed": True, "msg": "the look from there ended without an answer"}
    return seen
