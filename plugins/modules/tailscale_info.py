#!/usr/bin/python
# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tailscale_info
short_description: Addresses and state of Tailscale on a host
version_added: 0.1.0
author: selfhosted.coolify contributors (@selfhosted)
description:
  - Reads the addresses of Tailscale's interface from the kernel, and the state of the login from tailscaled's socket.
  - Starts no process, and does not fail on a host without Tailscale.
extends_documentation_fragment:
  - selfhosted.coolify.attributes.info
options:
  interface:
    description: Name of Tailscale's network interface.
    type: str
    default: tailscale0
  socket:
    description: Path of tailscaled's socket on the host.
    type: path
    default: /var/run/tailscale/tailscaled.sock
seealso:
  - module: selfhosted.coolify.coolify_info
"""

EXAMPLES = r"""
- name: Read the tailnet's address of a host
  selfhosted.coolify.tailscale_info:
  register: tailnet

- name: Show it
  ansible.builtin.debug:
    msg: "{{ tailnet.tailscale.ipv4 }}"
"""

RETURN = r"""
tailscale:
  description: What the host knows of its tailnet.
  returned: always
  type: dict
  contains:
    interface:
      description: Name of the interface that was looked at.
      type: str
      sample: tailscale0
    installed:
      description: Whether Tailscale is on this host at all, also while it is down.
      type: bool
    present:
      description: Whether the interface exists.
      type: bool
    up:
      description: Whether the interface is up.
      type: bool
    ipv4:
      description: The interface's IPv4 address, or null.
      type: str
      sample: 100.64.0.1
    ipv6:
      description: The interface's address in Tailscale's IPv6 range, or null.
      type: str
      sample: fd7a:115c:a1e0::1
    backend_state:
      description: What tailscaled says of itself, or null where it does not answer.
      type: str
      sample: Running
    tailnet:
      description: Name of the tailnet, or null.
      type: str
      sample: example.com
    name:
      description: The host's name in the tailnet, or null.
      type: str
      sample: coolify.tail1234.ts.net
    version:
      description: Version of tailscaled, or null.
      type: str
      sample: 1.96.4
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.coolify.plugins.module_utils.tailnet import _tailscale


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "interface": {"type": "str", "default": "tailscale0"},
            "socket": {"type": "path", "default": "/var/run/tailscale/tailscaled.sock"},
        },
        supports_check_mode=True,
    )
    facts = _tailscale.discover(module.params["interface"], module.params["socket"])
    module.exit_json(changed=False, tailscale=facts)


if __name__ == "__main__":
    main()
