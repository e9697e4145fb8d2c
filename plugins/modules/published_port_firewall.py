#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: published_port_firewall
short_description: Decide who may reach ports that Docker publishes
version_added: 0.1.0
author: selfhosted.coolify contributors (@selfhosted)
description:
  - Closes published TCP ports to everyone but the trusted networks, with one nftables table of its own,
    C(inet coolify_websocket), that decides before Docker rewrites a packet's destination.
  - UFW cannot do that. Packets for a published port are forwarded, and UFW's rules for incoming traffic never see them.
  - This host, Docker's networks (those made later too) and established connections go on. All other ports
    and protocols are left alone, and nothing that belongs to Docker or Tailscale is edited.
  - The table is loaded in one transaction after C(nft -c) has accepted it. A unit,
    C(coolify-websocket-firewall.service), loads it at boot before the network comes up.
  - C(nftables.service) flushes the rule set whenever it starts, reloads or stops. A drop-in has it load the table in the same
    transaction, so that the ports are not open in between. Where its unit is not the distribution's own, the table comes back
    right after, some 50 ms later.
  - A flush by hand, C(nft flush ruleset), takes the table along until the unit is restarted.
requirements:
  - nft (package nftables) on the host, 0.9.3 or newer
extends_documentation_fragment:
  - selfhosted.coolify.attributes
  - selfhosted.coolify.attributes.kept
  - selfhosted.coolify.docker
options:
  ports:
    description:
      - The published TCP ports to guard, as seen from outside. SSH's port 22 is refused.
      - Required when O(state=present).
    type: list
    elements: int
    default: []
  container_ports:
    description:
      - The ports of the containers behind O(ports), where they differ, as with Coolify's C(SOKETI_PORT).
      - Engines before 28 let a neighbour send packets straight to a container's own address and port.
    type: list
    elements: int
    default: []
  trusted:
    description: Who gets in from outside. An entry with both O(trusted[].source) and O(trusted[].interface) wants both to hold.
    type: list
    elements: dict
    default: []
    suboptions:
      source:
        description: A network in CIDR notation or one address, IPv4 or IPv6. An IPv4-mapped IPv6 address means the IPv4 address.
        type: str
      interface:
        description: The interface by which packets have to arrive.
        type: str
  outside_interfaces:
    description:
      - Bridges that lead outside, besides those that the module finds when it runs, which are the bridge with the host's
        default route and every bridge that is none of Docker's.
      - A bridge that comes later counts as Docker's until the next run.
    type: list
    elements: str
    default: []
  ufw:
    description:
      - What is done to UFW, where it is installed, so that C(ufw status) shows who may reach the ports.
      - With V(rules) it allows the trusted networks, in one rule for each. Rules of your own that allow the same are not doubled,
        and those that refuse it stay and are named. A UFW that is not active stays so.
      - With V(enable) it is enabled too, if it is not active. The ports that sshd listens on, and that of the connection in
        use, are allowed first. Where a rule refuses them the module fails before it changes anything.
      - The files of a UFW that is not active are remembered as they are, for UFW writes them in its own form at the first rule.
    type: str
    choices: [leave, rules, enable]
    default: leave
  state:
    description:
      - V(present) closes the ports; V(absent) removes table, unit and files.
      - V(absent) also gives UFW back. It is disabled, if it was enabled by this module, and its files are put back as they were,
        unless somebody else has given it rules or enabled it since. Then this collection's rules are deleted.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Coolify's WebSocket ports are open to the tailnet only
  selfhosted.coolify.published_port_firewall:
    ports: [6001, 6002]
    trusted:
      - source: 100.64.0.0/10
        interface: tailscale0
      - source: fd7a:115c:a1e0::/48
        interface: tailscale0
    ufw: rules

- name: The ports are as Docker left them
  selfhosted.coolify.published_port_firewall:
    state: absent
"""

RETURN = r"""
rules:
  description: The rules of the table as they are after the run (in check mode, would be), one text each.
  returned: always
  type: list
  elements: str
  sample:
    - 'decide: iifname "lo" accept'
    - 'decide: iifname "tailscale0" ip saddr 100.64.0.0/10 accept'
    - 'decide: counter name "refused" drop'
refused_packets:
  description: How many packets the table that was loaded before the run had refused; null if none was loaded.
  returned: always
  type: int
  sample: 0
ufw:
  description: What became, or in check mode would, of UFW.
  returned: always
  type: dict
  contains:
    commands:
      description: What UFW was told, in this order.
      returned: always
      type: list
      elements: str
      sample: ["ufw allow from 100.64.0.0/10 to any port 6001,6002 proto tcp comment 'Coolify WebSocket (selfhosted.coolify)'"]
    others:
      description: Rules of others that refuse what O(trusted) asks for. They are left as they are, and keep their say.
      returned: always
      type: list
      elements: str
      sample: ["deny from 100.64.0.0/10 to any port 6001 proto tcp"]
    restored: {type: bool, returned: always, description: Whether its files were put back as they had been.}
    active: {type: bool, returned: always, description: Whether it is active after this.}
"""

import contextlib
import os
import shlex
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _client
from ansible_collections.selfhosted.coolify.plugins.module_utils.firewall import (
    _host,
    _nft_rules,
    _policy,
    _ssh,
    _ufw_files,
    _ufw_rules,
)
from ansible_collections.selfhosted.coolify.plugins.module_utils.keeper import _kept, _trouble


def outside_bridges(socket: str) -> list[str]:
    networks = None
    with contextlib.suppress(_client.EngineError):
        networks = _client.Engine(socket).networks()
    return _host.outside_now(networks)


def differences(
    state: _host.State, table: list[str], files: t.Mapping[str, str | None], enabled: bool, active: bool | None
) -> list[dict[str, str]]:
    """What ``--diff`` shows: one entry for each piece that differs."""
    before = {path: state.files[path] or "" for path in files}
    after = {path: text or "" for path, text in files.items()}
    before["running table"] = _lines(state.table["rules"] if state.table else [])
    after["running table"] = _lines(table)
    before["unit"] = _lines([f"enabled: {state.enabled}", f"active: {state.active}"])
    after["unit"] = _lines([f"enabled: {enabled}", f"active: {active}"])
    return [
        {"before_header": piece, "after_header": piece, "before": before[piece], "after": after[piece]}
        for piece in before
        if before[piece] != after[piece]
    ]


def _lines(items: t.Iterable[str]) -> str:
    return "".join(f"{item}\n" for item in items)


Outcome = t.Tuple[_host.State, t.List[t.Dict[str, str]], bool, t.List[str]]


def wanted(module: AnsibleModule) -> _policy.Policy:
    outside = [*module.params["outside_interfaces"], *outside_bridges(module.params["docker_socket"])]
    try:
        return _policy.policy(module.params["ports"], module.params["trusted"], outside, module.params["container_ports"])
    except ValueError as error:
        raise _host.FirewallError(str(error)) from error


def present(module: AnsibleModule, firewall: _host.Firewall, policy: _policy.Policy) -> Outcome:
    text = _nft_rules.text(policy)
    rules = _nft_rules.printed(policy)
    files = firewall.wanted(text)

    state = firewall.read()
    active = None if state.active is None else True
    diff = differences(state, rules, files, True, active)
    loaded = state.table is not None and state.table["rules"] == rules
    if (diff or not loaded) and firewall.installed:
        firewall.check(text)
    if not module.check_mode:
        if not loaded:
            firewall.load(text)
        firewall.install(files, state)
    return state, diff, bool(diff) or not loaded, rules


def absent(module: AnsibleModule, firewall: _host.Firewall) -> Outcome:
    state = firewall.read(absent=True)
    active = None if state.active is None else False
    diff = differences(state, [], dict.fromkeys(state.files), False, active)
    if not module.check_mode:
        firewall.remove(state)
    return state, diff, bool(diff) or state.table is not None, []


def ssh(module: AnsibleModule, run: _host.Run) -> tuple[set[int], _ssh.Connection | None]:
    """The ports that sshd is configured for, and the connection by which this very run came in."""
    sshd = module.get_bin_path("sshd", opt_dirs=["/usr/sbin", "/sbin"])
    return _ssh.ports(run([sshd, "-T"], None)[1] if sshd else ""), _ssh.connection(os.getpid())


def ufw_towards(
    module: AnsibleModule, files: _ufw_files.UfwFiles, run: _host.Run, policy: _policy.Policy
) -> _ufw_files.Change:
    """Raises FirewallError where SSH would be locked out."""
    intent = module.params["ufw"]
    if intent == "leave":
        return _ufw_files.Change()
    enables = intent == "enable" and files.installed and not files.active()
    return files.towards(policy.ports, _policy.as_options(policy.trusted), *(ssh(module, run) if enables else ()))


def ufw_differences(change: _ufw_files.Change, active: bool) -> list[dict[str, str]]:
    """As of `differences`: the rules as UFW is told them."""
    becomes = (active or change.enable) and not change.disable
    texts = {}
    for side, rules, status in (("before", change.gone, active), ("after", change.come, becomes)):
        lines = [shlex.join(["ufw", *_ufw_rules.words(rule)]) for rule in rules]
        texts[side] = _lines([*lines, f"enabled: {status}"])
    headers = {"before_header": "UFW", "after_header": "UFW"}
    return [{**headers, **texts}] if texts["before"] != texts["after"] else []


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "ports": {"type": "list", "elements": "int", "default": []},
            "container_ports": {"type": "list", "elements": "int", "default": []},
            "trusted": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"source": {"type": "str"}, "interface": {"type": "str"}},
            },
            "outside_interfaces": {"type": "list", "elements": "str", "default": []},
            "ufw": {"type": "str", "choices": ["leave", "rules", "enable"], "default": "leave"},
            "docker_socket": {"type": "path", "default": "/var/run/docker.sock"},
            "state_dir": {"type": "path", "default": "/var/lib/coolify-websocket"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    module.run_command_environ_update = {"LC_ALL": "C"}

    def run(argv: list[str], data: str | None) -> tuple[int, str, str]:
        return t.cast("tuple[int, str, str]", module.run_command(argv, data=data, binary_data=True))

    firewall = _host.Firewall(
        run=run,
        nft=module.get_bin_path("nft", opt_dirs=["/usr/sbin", "/sbin"]),
        systemctl=module.get_bin_path("systemctl"),
    )
    kept = _kept.Entry(module.params["state_dir"], "ufw")
    files = _ufw_files.UfwFiles(kept, run, module.get_bin_path("ufw", opt_dirs=["/usr/sbin", "/sbin"]))
    wants = module.params["state"] == "present"
    # In check mode the role has not installed the package yet.
    if wants and not firewall.installed and not module.check_mode:
        module.fail_json(
            msg="nft was not found on this host. Nothing has been changed: ports "
            f"{', '.join(map(str, module.params['ports']))} are open to everyone who can reach the host. "
            "Install the package nftables (role selfhosted.coolify.coolify_firewall does) and run again."
        )
    try:
        with _host.locked(wanted=not module.check_mode):
            active = files.active()
            if wants:
                policy = wanted(module)
                # First, since it refuses what would lock SSH out.
                change = ufw_towards(module, files, run, policy)
                files.check(change)
                state, diff, changed, rules = present(module, firewall, policy)
            else:
                change = files.way_back()
                files.check(change)
                state, diff, changed, rules = absent(module, firewall)
            if not module.check_mode:
                (files.apply if wants else files.give_back)(change)
    except (_host.FirewallError, _kept.KeptError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=_trouble.message(error, ("state_dir", module.params["state_dir"])))
    module.exit_json(
        changed=changed or bool(change.commands) or change.kept,
        diff=diff + ufw_differences(change, active),
        rules=rules,
        refused_packets=state.table["refused_packets"] if state.table else None,
        ufw={
            "commands": [shlex.join(["ufw", *words]) for words in change.commands],
            "others": [shlex.join(_ufw_rules.words(rule)) for rule in change.others],
            "restored": change.restore,
            "active": (active or change.enable) and not change.disable,
        },
    )


if __name__ == "__main__":
    main()
