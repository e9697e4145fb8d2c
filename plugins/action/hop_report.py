# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the hops of all hosts of the play as one table, and keeps the whole result on the control node, as files."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import typing as t

from ansible import constants as C
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible.utils.helpers import pct_to_int

from ansible_collections.selfhosted.coolify.plugins.module_utils.verify import _hops, _table
from ansible_collections.selfhosted.coolify.plugins.plugin_utils import strategy
from ansible_collections.selfhosted.coolify.plugins.plugin_utils.report import document, junit, page

display = Display()


class ActionModule(ActionBase):
    """Runs on the control node alone."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _checked, options = self.validate_argument_spec(
            {
                "hosts": {"type": "list", "elements": "str"},
                "results": {"type": "list", "elements": "dict", "required": True},
                "path": {"type": "str"},
                "html_path": {"type": "str"},
                "junit_path": {"type": "str"},
                "compare_path": {"type": "str"},
                "mask": {"type": "bool", "default": False},
            }
        )
        if options["hosts"] is None:
            refusal = strategy.refusal(str(self._task.get_play().strategy))
            if refusal:
                raise AnsibleActionFail(f"{refusal}, or give the option hosts.")
        known = {found["host"]: found for found in options["results"]}
        # A host that fell out of the play has left no result.
        shown, kept = self._batch(task_vars or {}) if options["hosts"] is None else (options["hosts"], options["hosts"])
        hosts = [known.get(name) or _hops.ended(name, "CWT-103") for name in kept]
        table = [host for host in hosts if host["host"] in shown]
        rows = [row for host in table for row in host["rows"]]
        lines = self._heads(table) + _table.lines(rows)
        result["table"] = [line.text for line in lines]
        # A callback such as ansible.posix.json writes one document there, the result above in it.
        if "json" not in C.DEFAULT_STDOUT_CALLBACK:
            for line in lines:
                display.display(line.text, color={True: C.COLOR_OK, False: C.COLOR_ERROR, None: None}[line.ok])
        report = document.document(hosts)
        problems = _keep(report, options, task_vars or {})
        if problems:
            raise AnsibleActionFail(" ".join(problems))
        result.update(changed=False, ok=report["ok"])
        return result

    def _batch(self, task_vars: dict[str, t.Any]) -> tuple[list[str], list[str]]:
        """The hosts to show and those to keep, of a play that goes by `serial`.

        Each batch shows its own, those that fell out of it included, and the last one the whole fleet.
        """
        hosts = task_vars["ansible_play_hosts_all"]
        position = hosts.index(task_vars["inventory_hostname"])
        sizes = list(self._task.get_play().serial) or [0]
        start = end = 0
        while end <= position:
            start, size = end, pct_to_int(sizes[0], len(hosts))
            end = min(start + size, len(hosts)) if size > 0 else len(hosts)
            sizes = sizes[1:] or sizes
        return hosts[0 if end == len(hosts) else start : end], hosts[:end]

    @staticmethod
    def _heads(hosts: list[dict[str, t.Any]]) -> list[_table.Line]:
        heads = [_table.Line("", None)]
        for host in hosts:
            plan = host.get("plan")
            if plan:
                heads.append(_table.Line(f"{host['host']}:", None))
                heads += [_table.Line(f"  {line}", None) for line in plan["words"]]
        return [*heads, _table.Line("", None)]


def _keep(report: dict[str, t.Any], options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> list[str]:
    """Writes every file that was asked for, and returns what is wrong with those that could not be."""
    problems = []
    earlier = None
    if options["compare_path"]:
        try:
            earlier = _earlier(options["compare_path"], options["path"])
        except (OSError, UnicodeDecodeError, document.ReportError) as error:
            remedy = "" if isinstance(error, document.ReportError) else f". {document.REMEDY}"
            problems.append(f"coolify_verify_compare_path: {error}{remedy}")
    known = _known(task_vars) if options["mask"] else []
    makers: dict[str, tuple[str, t.Callable[[], bytes]]] = {
        "path": ("report_path", lambda: bytes(json.dumps(report, indent=1, sort_keys=True) + "\n", "utf-8")),
        "html_path": ("html_path", lambda: page.page(report, earlier, options["mask"], known).encode()),
        "junit_path": ("junit_path", lambda: junit.junit(report)),
    }
    for option, (name, make) in makers.items():
        if options[option]:
            try:
                _write(os.path.expanduser(options[option]), make())
            except OSError as error:
                remedy = "Name a file in a folder of the control node that you may write to."
                problems.append(f"coolify_verify_{name}: {error}. {remedy}")
    return problems


def _known(task_vars: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """What the run knows that names of hosts are in, of every host of the inventory."""
    found = []
    for name, variables in task_vars.get("hostvars", {}).items():
        found.append({"host": name})
        for key in ("ansible_host", "coolify_access_info", "coolify_access_plan"):
            # An address of a host outside the play may be a template of what is known there alone.
            with contextlib.suppress(AnsibleError, KeyError):
                found[-1][key] = variables[key]
    return found


def _earlier(path: str, target: str | None) -> dict[str, t.Any]:
    """The report to compare with."""
    place = os.path.expanduser(path)
    # A play that goes by `serial` writes it after each batch: the second one would compare with the first.
    if target and os.path.realpath(place) == os.path.realpath(os.path.expanduser(target)):
        raise document.ReportError("It is the file that this run writes. Copy it before the run, and name the copy.")
    if os.path.exists(place) and not os.path.isfile(place):
        raise document.ReportError(f"It is not a regular file. {document.REMEDY}")
    with open(place, encoding="utf-8") as file:
        return document.parsed(file.read())


def _write(path: str, content: bytes) -> None:
    """In one step, so that whoever reads the file sees a whole one. A link stays one, and what it leads to is written."""
    special = os.path.abspath(path).startswith(("/dev/fd/", "/dev/std", "/proc/"))
    if special or (os.path.exists(path) and not os.path.isfile(path)):
        raise OSError(f"{path} is not a regular file")
    path = os.path.realpath(path)
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    with tempfile.NamedTemporaryFile("wb", dir=folder, delete=False) as target:
        target.write(content)
    try:
        os.replace(target.name, path)
    except OSError:
        os.unlink(target.name)
        raise
