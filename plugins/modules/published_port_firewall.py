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
    and protocols are left alone, and nothing that belongs to Docker, UFW or Tailscale is edited.
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
      - What is going to be done to UFW after this, as far as it is installed and not active.
      - With V(rules) or V(enable) its files are remembered as they are, for UFW writes them in its own form at the first rule.
    type: str
    choices: [leave, rules, enable]
    default: leave
  state:
    description:
      - V(present) closes the ports; V(absent) removes table, unit and files.
      - V(absent) also gives back a UFW that was remembered. It is disabled, if it was to be enabled, and its files are put
        back, unless somebody else has given it rules or enabled it since.
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
    disabled: {type: bool, returned: always, description: Whether it was disabled.}
    restored:
      description: Whether its files were put back as they had been, so that no rule of this collection is in it.
      type: bool
      returned: always
    active: {type: bool, returned: always, description: Whether it is active after this.}
"""

import contextlib
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _client
from ansible_collections.selfhosted.coolify.plugins.module_utils.firewall import _host, _nft_rules, _policy, _ufw_files
from ansible_collections.selfhosted.coolify.plugins.module_utils.keeper import _kept, _trouble


def outside_bridges(socket: str) -> list[str]:
    texts = []
    for path in ("/proc/net/route", "/proc/net/ipv6_route"):
        try:
            with open(path, encoding="ascii") as file:
                texts.append(file.read())
        except FileNotFoundError:
            texts.append("")
    networks = None
    with contextlib.suppress(_client.EngineError):
        networks = _client.Engine(socket).networks()
    return _host.outside_bridges(_host.bridges(), _host.default_route_interfaces(*texts), networks)


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


def present(module: AnsibleModule, firewall: _host.Firewall) -> Outcome:
    outside = [*module.params["outside_interfaces"], *outside_bridges(module.params["docker_socket"])]
    try:
        policy = _policy.policy(
            module.params["ports"], module.params["trusted"], outside, module.params["container_ports"]
        )
    except ValueError as error:
        module.fail_json(msg=str(error))
    text = _nft_rules.text(policy)
    rules = _nft_rules.printed(policy)
    files = firewall.wanted(text)

    state = firewall.read()
    active = None if state.active is None else True
    diff = differences(state, rules, files, True, active)
    loaded = state.table is not None and state.table["rules"] == rules and state.table["intact"]
    if (diff or not loaded) and firewall.installed:
        firewall.check(text)
    if not module.check_mode:
        if not loaded:
            firewall.load(text)
        firewall.install(files, state)
    return state, diff, bool(diff) or not loaded, rules


def absent(module: AnsibleModule, firewall: _host.Firewall) -> Outcome:
    state = firewall.read()
    active = None if state.active is None else False
    diff = differences(state, [], dict.fromkeys(state.files), False, active)
    if not module.check_mode:
        firewall.remove(state)
    return state, diff, bool(diff) or state.table is not None, []


def care_for_ufw(files: _ufw_files.UfwFiles, state: str, intent: str, check_mode: bool) -> _ufw_files.Return:
    """Remembers UFW or gives it back; what of that is, or would be, done."""
    if state == "absent":
        return files.way_back() if check_mode else files.give_back()
    if intent != "leave" and not check_mode:
        files.remember(intent == "enable")
    return _ufw_files.Return(False, False, False)


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
            state, diff, changed, rules = (present if wants else absent)(module, firewall)
            way = care_for_ufw(files, module.params["state"], module.params["ufw"], module.check_mode)
    except (_host.FirewallError, _kept.KeptError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=_trouble.message(error, ("state_dir", module.params["state_dir"])))
    module.exit_json(
        changed=changed or way.kept,
        diff=diff,
        rules=rules,
        refused_packets=state.table["refused_packets"] if state.table else None,
        ufw={"disabled": way.disable, "restored": way.restore, "active": files.active() and not way.disable},
    )


if __name__ == "__main__":
    main()
