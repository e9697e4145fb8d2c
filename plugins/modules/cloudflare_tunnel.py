#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudflare_tunnel
short_description: Route Coolify's WebSocket paths in the list that Cloudflare keeps of a tunnel
version_added: 0.1.0
author: selfhosted.coolify contributors (@selfhosted)
description:
  - For a tunnel that is managed in Cloudflare's dashboard, which is every tunnel whose connector was started with a token.
    For one with a file on the host there is M(selfhosted.coolify.tunnel_ingress).
  - Puts rules for Coolify's terminal and live updates at the very top of the tunnel's list. The first rule that matches
    answers a URL, so they are right whatever follows.
  - They lead to the host, and have the C(originRequest), of the list's own rule for the hostname.
  - A path is a regular expression of Go's that may match anywhere, so a bare V(/app) also takes C(/api/v1/applications)
    and every application's page. Such a rule of the same hostname to the realtime ports is narrowed at its place, and
    RV(swallowed) says which pages it took.
  - A list that serves both paths already is left as it is. Everything else in the tunnel's configuration is carried over.
  - What this module writes carries the mark C((|selfhosted.coolify)) at the end of its path, which changes nothing about
    what the path takes. O(state=absent) goes by it, so that rules entered by hand stay, even the same ones.
  - Cloudflare tells the connectors by itself. Nothing is restarted.
  - This is an action plugin. It runs on the control node, connects to no host, and makes one request where nothing changes.
  - All hostnames of one tunnel belong into one task that runs once. The role P(selfhosted.coolify.coolify_tunnel#role) sees
    to that for hosts that share a tunnel.
extends_documentation_fragment:
  - selfhosted.coolify.attributes
options:
  account_id:
    description: The account's id, 32 hexadecimal digits.
    type: str
    required: true
  tunnel_id:
    description: The tunnel's id, a UUID.
    type: str
    required: true
  api_token:
    description:
      - An API token with the permission Account > Cloudflare Tunnel > Edit for this account. This is not the token with
        which the connector was started.
    type: str
    required: true
  routes:
    description:
      - The hostnames and the paths to route for each.
      - Required with O(state=present). With O(state=absent) the hostnames whose rules are taken back; all, if unset.
    type: list
    elements: dict
    suboptions:
      hostname:
        description: The public name of the Coolify instance, without scheme, port and path. Case tells nothing.
        type: str
        required: true
      rules:
        description: The paths, in order. Without effect with O(state=absent).
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: The regular expression for the path, V(^/terminal/ws$) or V(^/apps?/).
            type: str
            required: true
          service:
            description:
              - Where the host publishes the port, such as V(http://127.0.0.1:6002). Where the list reaches Coolify by another
                address, or by the name of its container, the rule does likewise.
            type: str
            required: true
  state:
    description:
      - V(present) routes the paths.
      - V(absent) takes back what this module wrote, and touches nothing else.
    type: str
    choices: [present, absent]
    default: present
  timeout:
    description:
      - Seconds for each of Cloudflare's answers, from the question to its last byte. A request that fails in passing is made
        three times, and where Cloudflare asks to wait, a minute is spent on that in all.
    type: int
    default: 30
  api_url:
    description: Where the API is. For tests, for which it may be C(http) at 127.0.0.1.
    type: str
    default: https://api.cloudflare.com/client/v4
seealso:
  - module: selfhosted.coolify.tunnel_ingress
  - name: Cloudflare's API for a tunnel's configuration
    description: What is asked and sent.
    link: https://developers.cloudflare.com/api/resources/zero_trust/subresources/tunnels/subresources/cloudflared/subresources/configurations/
"""

EXAMPLES = r"""
- name: Route the terminal and the live updates past the rule for the whole host
  selfhosted.coolify.cloudflare_tunnel:
    account_id: 023e105f4ecef8ad9ca31a8372d0c353
    tunnel_id: f70ff985-a4ef-4643-bbbc-4a0ed4fc8415
    api_token: "{{ lookup('ansible.builtin.env', 'CLOUDFLARE_API_TOKEN') }}"
    routes:
      - hostname: coolify.example.com
        rules:
          - path: ^/terminal/ws$
            service: http://127.0.0.1:6002
          - path: ^/apps?/
            service: http://127.0.0.1:6001
  run_once: true

- name: Take back what was written
  selfhosted.coolify.cloudflare_tunnel:
    account_id: 023e105f4ecef8ad9ca31a8372d0c353
    tunnel_id: f70ff985-a4ef-4643-bbbc-4a0ed4fc8415
    api_token: "{{ lookup('ansible.builtin.env', 'CLOUDFLARE_API_TOKEN') }}"
    state: absent
  run_once: true
"""

RETURN = r"""
hostnames:
  description: The hostnames that O(routes) named, in lower case.
  returned: success
  type: list
  elements: str
rules:
  description: The list after the run, in the order in which C(cloudflared) tries it.
  returned: success
  type: list
  elements: dict
  contains:
    hostname: {type: str, description: "The rule's hostname, empty where it takes all."}
    path: {type: str, description: "The rule's path, empty where it takes all."}
    service: {type: str, description: Where the rule sends what it takes.}
  sample:
    - hostname: coolify.example.com
      path: ^/terminal/ws$(|selfhosted.coolify)
      service: http://127.0.0.1:6002
swallowed:
  description: The rules that took pages of Coolify along and were narrowed in this run.
  returned: success
  type: list
  elements: dict
  contains:
    rule: {type: dict, description: "The rule as it was found, with C(hostname), C(path) and C(service)."}
    pages: {type: list, elements: str, description: Examples of the pages that it took.}
unpublished:
  description:
    - The hostnames that the tunnel does not publish, for which nothing was written. Publish them first, or see whether
      O(tunnel_id) is the right one.
  returned: success
  type: list
  elements: str
"""
