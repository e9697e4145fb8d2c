#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarts the connectors of a Cloudflare Tunnel."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tunnel_connector
short_description: Restart the connectors of a Cloudflare Tunnel, one at a time
version_added: 0.1.0
description:
  - Restarts systemd units and containers that run C(cloudflared), since it reads its list only when it starts.
  - One at a time, and the next only when the one before has been up for some seconds, so that a tunnel with several
    connectors stays up.
  - If one does not come back, the module fails and leaves those after it running.
  - A restart cuts the connections that are open through the connector.
extends_documentation_fragment:
  - selfhosted.coolify.docker
attributes:
  check_mode:
    support: full
    description: Says what a run would do, and changes nothing.
  diff_mode:
    support: none
    description: There is nothing to show a difference of.
  idempotent:
    support: none
    description: Each run restarts. Let it be notified by what changes the list.
options:
  connectors:
    description:
      - What to restart, in order. M(selfhosted.coolify.coolify_info) tells which connectors there are, and what they read.
    type: list
    elements: dict
    required: true
    suboptions:
      kind:
        description: What it is.
        type: str
        choices: [unit, container]
        required: true
      name:
        description: The name of the unit or of the container.
        type: str
        required: true
  timeout:
    description: How many seconds each may take to be back.
    type: int
    default: 60
seealso:
  - module: selfhosted.coolify.tunnel_ingress
author: selfhosted.coolify contributors (@selfhosted)
"""

EXAMPLES = r"""
- name: Restart a unit, and then a container
  selfhosted.coolify.tunnel_connector:
    connectors:
      - {kind: unit, name: cloudflared.service}
      - {kind: container, name: cloudflare-tunnel}
"""

RETURN = r"""
restarted:
  description: What was restarted, in order.
  returned: success
  type: list
  elements: str
  sample: [the unit cloudflared.service]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _client
from ansible_collections.selfhosted.coolify.plugins.module_utils.tunnel import _restart


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "connectors": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "kind": {"type": "str", "choices": ["unit", "container"], "required": True},
                    "name": {"type": "str", "required": True},
                },
            },
            "timeout": {"type": "int", "default": 60},
            "docker_socket": {"type": "path", "default": "/var/run/docker.sock"},
        },
        supports_check_mode=True,
    )
    # The engine gives a connector five seconds to end, and then ends it.
    engine = _client.Engine(module.params["docker_socket"], timeout=30.0)
    connectors = [
        _restart.Unit(one["name"], module.run_command) if one["kind"] == "unit" else _restart.Container(one["name"], engine)
        for one in module.params["connectors"]
    ]
    try:
        if not module.check_mode:
            _restart.one_by_one(connectors, module.params["timeout"])
    except _restart.RestartError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(connectors), restarted=[str(one) for one in connectors])


if __name__ == "__main__":
    main()
