# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts of what systemd gets of the firewall: its own unit, and the drop-in for ``nftables.service``."""

from __future__ import annotations

import os
import re

# No ExecStop and no conflict with shutdown.target: whoever stops the unit, the last moments of a shutdown
# included, must not open the ports. state=absent deletes the table.
UNIT = """\
[Unit]
Description=Coolify's published WebSocket ports, closed to all but the trusted networks
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target
# It begins with "flush ruleset".
After=nftables.service systemd-modules-load.service

[Service]
Type=oneshot
RemainAfterExit=yes
# No ExecStop: stopping this unit must not open the ports, at shutdown least of all.
ExecStart={load}
ExecReload={load}
CapabilityBoundingSet=CAP_NET_ADMIN
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes

[Install]
WantedBy=sysinit.target
"""

_HOOK = """\
# nftables.service flushes every table whenever it starts, reloads or stops; ours comes back in the same transaction, and where
# that cannot be, right after.
[Unit]
# At shutdown it stops, and so flushes, when Docker publishes nothing any more.
Before=docker.service

[Service]
{together}ExecStartPost=-{load}
ExecReload=-{load}
ExecStopPost=-{load}
"""

#: What the unit of Debian, of Fedora and of their like does; any other command of it is left to it.
_LOADS = re.compile(r"^(ExecStart|ExecReload)=(/\S*/nft) -f (/[\w./-]+)$", re.M)
_FLUSHES = re.compile(r"^(ExecStop)=(/\S*/nft) flush ruleset$", re.M)


def hook(load: str, rule_file: str, unit: str | None) -> str:
    """The drop-in for ``nftables.service``.

    `load` is the command that loads `rule_file`, `unit` the text of the service; None where there is none, or somebody else
    changes it too. Each command falls back to what the unit does by itself: a table of ours that does not load must not
    keep somebody's rules from being loaded.

    Nothing here stands against ``nft flush ruleset`` by hand. What would: a table with ``flags owner``, which a flush passes
    by, but it wants a process of ours that never ends, a kernel of 5.12 and nft 0.9.9, where Ubuntu 20.04 has 5.4 and 0.9.3;
    rules of iptables-legacy, a second way to say all this, about which iptables then warns everybody; a filter of tc, which
    knows no connections and sits on interfaces that come and go.
    """
    together = [
        # -I: nft looks for what a file includes in that file's own folder too.
        f"{key}=\n{key}=/bin/sh -c '[ -r {path} ] && cat {path} {rule_file} | {nft} -I {os.path.dirname(path)} -f - "
        f"|| exec {nft} -f {path}'\n"
        for key, nft, path in _LOADS.findall(unit or "")
    ] + [
        f"{key}=\n{key}=/bin/sh -c '(echo flush ruleset; cat {rule_file}) | {nft} -f - || exec {nft} flush ruleset'\n"
        for key, nft in _FLUSHES.findall(unit or "")
    ]
    return _HOOK.format(load=load, together="".join(together))
