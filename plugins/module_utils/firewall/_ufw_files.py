# SPDX-License-Identifier: GPL-3.0-or-later
"""UFW on a host: its rules and its setting are read from its own files, and changed by its own command.

UFW writes its files in its own form at the first command, also those that the package left and it never wrote. So what
they are where it is not active is remembered, and given back.
"""

from __future__ import annotations

import os
import shlex
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from ..keeper import _durable, _kept
from . import _host, _ssh, _ufw_rules

RULES = {"user.rules": "ipv4", "user6.rules": "ipv6"}
FILES = (*RULES, "ufw.conf")

# What UFW's own form of a file may take more than the one before; in bytes.
_ROOM = 65536

# UFW keeps a rule's comment as a number.
_OURS = _ufw_rules.MARK.encode("ascii").hex()


class Change(NamedTuple):
    """What is to be done to UFW.

    `come` and `gone` are rules, `others` those of somebody's that keep rules of ours out. `restore`: its files are put back
    as they were, and rules of ours are gone by that. `kept`: something is remembered that is forgotten after this.
    """

    come: Sequence[Mapping[str, Any]] = ()
    gone: Sequence[Mapping[str, Any]] = ()
    others: Sequence[Mapping[str, Any]] = ()
    enable: bool = False
    disable: bool = False
    restore: bool = False
    kept: bool = False

    @property
    def commands(self) -> list[list[str]]:
        """What ``ufw`` is told, in this order: who may come in goes on coming in."""
        return [
            *([["disable"]] if self.disable else []),
            *map(_ufw_rules.words, self.come),
            *([] if self.restore else (["delete", *_ufw_rules.words(rule)] for rule in self.gone)),
            *([["--force", "enable"]] if self.enable else []),
        ]


class UfwFiles:
    """UFW's files below `root`; `kept` is where they are remembered.

    `run` starts a process; `ufw` is the path of the command, None if it is not installed.
    """

    def __init__(self, kept: _kept.Entry, run: _host.Run, ufw: str | None, root: str = "") -> None:
        self._kept = kept
        self._run = run
        self._ufw = ufw
        self._root = root

    @property
    def installed(self) -> bool:
        """Whether there is a UFW to ask."""
        return self._ufw is not None

    def active(self) -> bool:
        """Whether UFW is installed and enabled."""
        return self._ufw is not None and _ufw_rules.active(self._text("ufw.conf"))

    def towards(
        self,
        ports: Iterable[int],
        trusted: Iterable[Mapping[str, Any]],
        ssh_ports: Iterable[int] | None = None,
        connection: _ssh.Connection | None = None,
    ) -> Change:
        """What it takes for the trusted to be allowed, and UFW enabled where `ssh_ports` are those that SSH has to come in at.

        Raises FirewallError where UFW, enabled, would refuse SSH.
        """
        if self._ufw is None:
            return Change()
        rules, ipv6 = self._rules(), self._ipv6()
        found = _ufw_rules.changes(rules, ports, trusted, ipv6)
        enable = ssh_ports is not None and not self.active()
        ssh = self._for_ssh(rules, ipv6, set(ssh_ports or ()), connection) if enable else []
        return Change([*found["add"], *ssh], found["delete"], found["others"], enable)

    def way_back(self) -> Change:
        """What it takes for UFW to be as it was: disabled if it was remembered to be enabled by us, and without our rules.

        Its files are put back if nobody else gave it rules, or enabled it, since.
        """
        before = self._kept.load()
        if self._ufw is None:
            return Change(kept=before is not None)
        disable = before is not None and before["enabled"] and self.active()
        active = self.active() and not disable
        texts = {name: str(((before or {"files": {}})["files"].get(name) or {"text": ""})["text"]) for name in RULES}
        same = before is not None and all(_tuples(self._text(name)) == _tuples(text) for name, text in texts.items())
        # They had rules of ours where UFW was active before, and was disabled by somebody.
        same = same and not any(_OURS in text for text in texts.values())
        # An active UFW may have no other rule for SSH.
        gone = _ufw_rules.for_nothing(self._rules(), not active, self._ipv6())
        return Change(gone=gone, disable=disable, restore=same and not active, kept=before is not None)

    def check(self, change: Change) -> None:
        """Raises OSError where UFW could not write its files; it writes them in place, and loses what it cannot write."""
        if change.commands:
            for name in FILES:
                _durable.refuse_unfit(self._path(name), _ROOM)

    def apply(self, change: Change) -> None:
        """Makes the change `towards` something. Raises FirewallError with what UFW said."""
        if not self.active():
            self._remember(change)
        self._tell(change)
        self._kept.done()

    def give_back(self, change: Change) -> None:
        """Makes the `way_back`. Raises FirewallError with what UFW said."""
        before = self._kept.load()
        self._tell(change)
        if change.restore and before is not None:
            for name in FILES:
                _kept.give_back(self._path(name), before["files"][name])
        self._kept.forget()

    def _remember(self, change: Change) -> None:
        """Keeps what an inactive UFW looks like, before it is given a rule, and that it will be enabled."""
        before = self._kept.load()
        if before is not None:
            for name in FILES:
                _durable.sweep(self._path(name))
        if change.commands and (before is None or before["enabled"] < change.enable):
            pictures = {name: _kept.picture(self._path(name)) for name in FILES}
            self._kept.remember({"files": pictures, **(before or {}), "enabled": change.enable})

    def _for_ssh(
        self, rules: Sequence[Mapping[str, Any]], ipv6: bool, ports: set[int], connection: _ssh.Connection | None
    ) -> list[dict[str, Any]]:
        """The rules by which SSH comes in."""
        if connection is not None:
            ports = {*ports, connection.port}
            if ":" in connection.client and not ipv6:
                raise _locked_out(
                    "it would drop all of IPv6, and with it the connection in use. Set IPV6=yes in /etc/default/ufw"
                )
        if not ports:
            raise _locked_out(
                "neither sshd -T nor the connection in use tells SSH's port, and UFW would lock you out. "
                "Allow the port by hand (ufw allow PORT/tcp) and enable UFW yourself"
            )
        found = _ufw_rules.for_ssh(rules, ports, connection.client if connection else None, ipv6)
        if found["refusing"]:
            raise _locked_out(
                f"it has rules of yours that refuse SSH at {', '.join(map(str, sorted(ports)))}, and would lock you out: "
                f"{'; '.join(shlex.join(_ufw_rules.words(rule)) for rule in found['refusing'])}. "
                "Delete them (ufw show added lists them)"
            )
        return found["add"]

    def _tell(self, change: Change) -> None:
        for words in change.commands:
            code, out, err = self._run([str(self._ufw), *words], None)
            if not code:
                continue
            said = err.strip() or out.strip()
            if words[-1] in ("enable", "disable"):
                raise _host.FirewallError(f"ufw {words[-1]} failed: {said}; mend UFW and run again")
            remedy = (
                "Its chains are gone from the kernel, as after a flush of the whole rule set: "
                'run "ufw reload" on the host, then this again.'
                if "problem running" in said
                else 'See "ufw status" on the host.'
            )
            raise _host.FirewallError(
                f"UFW does not take a rule: {said}, of: {shlex.join(['ufw', *words])}. {remedy} Everything but UFW is done."
            )

    def _rules(self) -> list[dict[str, Any]]:
        return [rule for name, family in RULES.items() for rule in _ufw_rules.parse(self._text(name), family)]

    def _ipv6(self) -> bool:
        return guards_ipv6(self._root)

    def _path(self, name: str) -> str:
        # UFW itself writes through a link.
        return os.path.realpath(f"{self._root}/etc/ufw/{name}")

    def _text(self, name: str) -> str:
        return _kept.text(self._path(name)) or ""


def guards_ipv6(root: str = "") -> bool:
    """Whether UFW takes rules for IPv6: its setting below `root` says so, and the kernel has IPv6."""
    setting = _ufw_rules.setting(_kept.text(f"{root}/etc/default/ufw") or "", "IPV6")
    return setting == "yes" and os.path.isdir(f"{root}/proc/sys/net/ipv6")


def _locked_out(why: str) -> _host.FirewallError:
    return _host.FirewallError(
        f"UFW is not enabled, and the ports are as they were: {why}, or leave UFW off (coolify_firewall_ufw_enable: false)."
    )


def _tuples(text: str) -> list[str]:
    """The rules in one of UFW's files, without ours."""
    return [line for line in text.splitlines() if line.startswith("### tuple") and not line.endswith(_OURS)]
