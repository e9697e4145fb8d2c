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
  - Keeps the whole result as JSON, as a page to be read or sent, and as JUnit XML for a pipeline, if asked to. None of them
    holds a secret.
  - Does not fail for a broken hop, so that the table is whole; fail by RV(ignore:ok) afterwards.
  - This is an action plugin, it runs on the control node.
extends_documentation_fragment:
  - selfhosted.coolify.attributes.info
options:
  hosts:
    description:
      - Names of the hosts. One without a result gets a row that says that the run ended before.
      - Without it, those of the play. By C(serial) each batch shows its own hosts, and the last one all of them.
      - Required with the strategies V(free) and V(host_pinned), by which hosts do not wait for each other.
    type: list
    elements: str
  results:
    description: What P(selfhosted.coolify.verify_result#filter) made for each host.
    type: list
    elements: dict
    required: true
  path:
    description:
      - File on the control node for the result as JSON, by the schema that docs/report.schema.json holds.
      - A link stays one, and what it leads to is written. What is not a regular file, such as C(/dev/stdout), is refused.
    type: str
  html_path:
    description: File on the control node for the result as one HTML page, which needs no network and no script. As O(path).
    type: str
  junit_path:
    description:
      - File on the control node for the result as JUnit XML, with a test case for each row. What was not looked at is skipped.
        As O(path).
    type: str
  compare_path:
    description:
      - File that an earlier run wrote as O(path). The page then says what changed since.
      - Not the file that this run writes; copy that before.
    type: str
  mask:
    description:
      - Whether the page has masks in place of addresses, and of the names of hosts and domains, the same mask for the same
        thing, so that it can be shown to anybody.
      - What O(path) and O(junit_path) name is never masked.
    type: bool
    default: false
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

- name: Make a page to be posted in public, with what changed since the last one
  selfhosted.coolify.hop_report:
    hosts: "{{ ansible_play_hosts_all }}"
    results: "{{ results }}"
    path: hops.json
    compare_path: hops-of-yesterday.json
    html_path: hops.html
    mask: true
"""

RETURN = r"""
table:
  description:
    - The table and what stands around it, a text for each line.
    - It is shown as well, unless the callback that writes standard output makes JSON of it, such as C(ansible.posix.json).
  returned: always
  type: list
  elements: str
ok:
  description: Whether no row is a fault.
  returned: always
  type: bool
"""
