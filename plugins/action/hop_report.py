# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the hops of all hosts of the play as one table, and keeps the whole result as JSON on the control node."""

from __future__ import annotations

import json
import os
import tempfile
import time
import typing as t

from ansible import constants as C
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible.utils.helpers import pct_to_int

from ansible_collections.selfhosted.coolify.plugins.module_utils.verify import _hops, _table

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
            }
        )
        known = {found["host"]: found for found in options["results"]}
        # A host that fell out of the play has left no result.
        shown, kept = self._batch(task_vars or {}) if options["hosts"] is None else (options["hosts"], options["hosts"])
        hosts = [known.get(name) or _hops.ended(name, "CWT-103") for name in kept]
        table = [host for host in hosts if host["host"] in shown]
        rows = [row for host in table for row in host["rows"]]
        for line in self._heads(table) + _table.lines(rows):
            colour = {True: C.COLOR_OK, False: C.COLOR_ERROR, None: None}[line.ok]
            display.display(line.text, color=colour)
        report = {
            "generated": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "ok": all(host["ok"] for host in hosts),
            "hosts": hosts,
        }
        if options["path"]:
            _write(os.path.expanduser(options["path"]), report)
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
                heads.append(_table.Line("{}: {}. {}".format(host["host"], plan["mode"], plan["why"]), None))
                heads += [_table.Line(f"  people open {url}", None) for url in plan["urls"]]
                heads += [_table.Line(f"  {note}", None) for note in plan["notes"]]
        return [*heads, _table.Line("", None)]


def _write(path: str, report: dict[str, t.Any]) -> None:
    """In one step, so that whoever reads the file sees a whole one."""
    folder = os.path.dirname(os.path.abspath(path))
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, encoding="utf-8") as target:
            json.dump(report, target, indent=1, sort_keys=True)
            target.write("\n")
        os.replace(target.name, path)
    except OSError as error:
        raise AnsibleActionFail(
            f"coolify_verify_report_path: {error}. Name a file in a folder of the control node that you may write to."
        ) from error
