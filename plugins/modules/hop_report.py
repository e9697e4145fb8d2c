#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: hop_report
short_description: Shows the hops of Coolify hosts as one table
version_added: 0.1.0
author: selfhosted.coolify contributors (@selfhosted)
description:
  - A hop is a place that the WebSockets pass or depend on, such as Coolify's nginx, the firewall, or the tunnel.
  - Shows what P(selfhosted.coolify.verify_result#filter) found, for all hosts of a play in one table, and below it one line
    for each broken hop with its cause and the next step. In colour where the output is a terminal.
  - Keeps the whole result as JSON, if asked to. It holds no secret.
  - Does not fail for a broken hop, so that the table is whole; fail by RV(ignore:ok) afterwards.
  - This is an action plugin, it runs on the control node.
extends_documentation_fragment:
  - selfhosted.coolify.attributes.info
options:
  hosts:
    description:
      - Names of the hosts. One without a result gets a row that says that the run ended before.
      - Without it, those of the play. By C(serial) each batch shows its own hosts, and the last one all of them.
    type: list
    elements: str
  results:
    description: What P(selfhosted.coolify.verify_result#filter) made for each host.
    type: list
    elements: dict
    required: true
  path:
    description: File on the control node for the result as JSON.
    type: str
seealso:
  - plugin: selfhosted.coolify.verify_result
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show one host
  selfhosted.coolify.hop_report:
    hosts: ["{{ inventory_hostname }}"]
    results: ["{{ plan | selfhosted.coolify.verify_result(info, inventory_hostname, seen) }}"]
    path: hops.json
"""

RETURN = r"""
ok:
  description: Whether no row is a fault.
  returned: always
  type: bool
"""
