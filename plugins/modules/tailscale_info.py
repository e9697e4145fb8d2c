#!/usr/bin/python
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
    interface: {type: str, description: Name of the interface that was looked at., sample: tailscale0}
    installed: {type: bool, description: "Whether Tailscale is on this host at all, also while it is down."}
    present: {type: bool, description: Whether the interface exists.}
    up: {type: bool, description: Whether the interface is up.}
    ipv4: {type: str, description: "The interface's IPv4 address, or null.", sample: 100.64.0.1}
    ipv6: {type: str, description: "The interface's address in Tailscale's IPv6 range, or null.", sample: fd7a:115c:a1e0::1}
    backend_state: {type: str, description: "What tailscaled says of itself, or null where it does not answer.", sample: Running}
    name: {type: str, description: "The host's name in the tailnet, or null.", sample: coolify.tail1234.ts.net}
    userspace:
      description: Whether tailscaled runs with userspace networking, and so without an interface; null where it does not answer.
      type: bool
    served:
      description:
        - What tailscaled serves on the tailnet (C(tailscale serve --bg)) at the path C(/) of a name and a port. Each has the
          C(name), the C(port), whether it is C(https), and the C(target) that it leads to.
        - Null where it does not tell.
      type: list
      elements: dict
      sample: [{name: coolify.tail1234.ts.net, port: 443, https: true, target: "http://127.0.0.1:8000"}]
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
