# SPDX-License-Identifier: GPL-3.0-or-later
"""UFW's own files, as they are where it is not active.

UFW writes its files in its own form at the first command, also those that the package left and it never wrote.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from ..keeper import _durable, _kept
from . import _host, _ufw_rules

RULES = ("user.rules", "user6.rules")
FILES = (*RULES, "ufw.conf")

# UFW keeps a rule's comment as a number.
_OURS = _ufw_rules.MARK.encode("ascii").hex()


class Return(NamedTuple):
    """What it takes to give UFW back: whether to disable it, and to put its files back as they were."""

    kept: bool
    disable: bool
    restore: bool


class UfwFiles:
    """Remembers UFW's files in `folder` by `kept`, and gives them back.

    `run` starts a process; `ufw` is the path of the command, None if it is not installed.
    """

    def __init__(self, kept: _kept.Entry, run: _host.Run, ufw: str | None, folder: str = "/etc/ufw") -> None:
        self._kept = kept
        self._run = run
        self._ufw = ufw
        self._folder = folder

    def active(self) -> bool:
        """Whether UFW is enabled."""
        return _ufw_rules.setting(self._text("ufw.conf"), "ENABLED") == "yes"

    def remember(self, enables: bool) -> None:
        """Keeps what an inactive UFW looks like, before it is given a rule, and that it will be enabled."""
        before = self._kept.load()
        if self._ufw is None or self.active():
            return
        for name in FILES:
            _durable.sweep(self._path(name))
        if before is None or before["enabled"] < enables:
            pictures = {name: _kept.picture(self._path(name)) for name in FILES}
            self._kept.remember({"files": pictures, **(before or {}), "enabled": enables})
        self._kept.done()

    def way_back(self) -> Return:
        """What `give_back` would do."""
        before = self._kept.load()
        if before is None or self._ufw is None:
            return Return(before is not None, False, False)
        disable = before["enabled"] and self.active()
        # Not if UFW has been enabled, or given rules, by somebody else since.
        same = all(_tuples(self._text(name)) == _tuples((before["files"][name] or {"text": ""})["text"]) for name in RULES)
        return Return(True, disable, same and (disable or not self.active()))

    def give_back(self) -> Return:
        """Disables UFW where it was remembered to be enabled by us, and puts its files back if nobody added to them.

        Raises FirewallError where ufw does not let itself be disabled.
        """
        before, way = self._kept.load(), self.way_back()
        if way.disable and self._ufw is not None:
            code, out, err = self._run([self._ufw, "disable"], None)
            if code:
                raise _host.FirewallError(f"ufw disable failed: {err.strip() or out.strip()}; mend UFW and run again")
        if way.restore and before is not None:
            for name in FILES:
                _kept.give_back(self._path(name), before["files"][name])
        self._kept.forget()
        return way

    def _path(self, name: str) -> str:
        # UFW itself writes through a link.
        return os.path.realpath(os.path.join(self._folder, name))

    def _text(self, name: str) -> str:
        return _kept.text(self._path(name)) or ""


def _tuples(text: str) -> list[str]:
    """The rules in one of UFW's files, without ours."""
    return [line for line in text.splitlines() if line.startswith("### tuple") and not line.endswith(_OURS)]
