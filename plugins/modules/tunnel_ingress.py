#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Coolify's two WebSocket paths in the ingress list of a locally managed Cloudflare Tunnel."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tunnel_ingress
short_description: Route Coolify's WebSocket paths in a Cloudflare Tunnel's ingress list
version_added: 0.1.0
description:
  - Puts rules for Coolify's terminal and live updates at the very top of the C(ingress) list of C(cloudflared)'s
    configuration file, in one marked block. The first rule that matches answers a URL, so they are right whatever follows.
  - They lead to the host, and have the C(originRequest), of the list's own rule for the hostname.
  - A path is a regular expression of Go's that may match anywhere, so a bare V(/app) also takes C(/api/v1/applications)
    and every application's page. Such a rule of the same hostname to the realtime ports is narrowed at its place, and
    RV(swallowed) says which pages it took.
  - A list that serves both paths already is left as it is. So is one that has no place for a block, such as a list in
    brackets; RV(by_hand) then says why.
  - All other bytes of the file stay, comments and quoting among them. The file is read as YAML on the control node; the
    host needs no YAML library.
  - Where C(cloudflared) is installed, on the host or in O(container), it judges the new list before the file is overwritten,
    and is asked where it would send each path.
  - The connector is not restarted. Do that on change, and mind that a restart cuts open connections.
extends_documentation_fragment:
  - selfhosted.coolify.attributes
  - selfhosted.coolify.attributes.kept
  - selfhosted.coolify.docker
options:
  path:
    description:
      - The configuration file of C(cloudflared).
      - It is overwritten in place, so that its owner and mode stay, and a container that it is mounted into sees the change.
    type: path
    default: /etc/cloudflared/config.yml
  hostname:
    description:
      - The public name of the Coolify instance, without scheme, port and path. Case tells nothing.
      - Required with O(state=present).
    type: str
  extra_hostnames:
    description: Other names that the same instance is opened by. Each gets rules of its own, in the same block.
    type: list
    elements: str
    default: []
  rules:
    description:
      - The paths to route, in order.
      - Required with O(state=present).
    type: list
    elements: dict
    suboptions:
      path:
        description: The regular expression for the path, such as V(^/terminal/ws$) or V(^/apps?/).
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
      - V(absent) gives back every byte that was changed, and touches nothing else.
    type: str
    choices: [present, absent]
    default: present
  container:
    description:
      - The container whose C(cloudflared) reads the file, and judges the new list instead of the host's. One that does not run
        is not asked.
    type: str
  expected:
    description: Which O(expected[].service) is to answer which O(expected[].url). Filled in on the control node.
    type: list
    elements: dict
    suboptions:
      url: {type: str, required: true, description: "A URL of the instance."}
      service: {type: str, required: true, description: "Where the new list sends it."}
  splices:
    description: What changes, and where. Filled in on the control node.
    type: list
    elements: list
  digest:
    description: The SHA-256 of the file that O(splices) are for. Filled in on the control node.
    type: str
seealso:
  - name: Ingress rules of Cloudflare Tunnel
    description: How C(cloudflared) reads the list.
    link: https://developers.cloudflare.com/cloudflare-one/connections/connect-networks/do-more-with-tunnels/local-management/configuration-file/
author: selfhosted.coolify contributors (@selfhosted)
"""

EXAMPLES = r"""
- name: Route the terminal and the live updates past the rule for the whole host
  selfhosted.coolify.tunnel_ingress:
    hostname: coolify.example.com
    rules:
      - path: ^/terminal/ws$
        service: http://127.0.0.1:6002
      - path: ^/apps?/
        service: http://127.0.0.1:6001
  notify: Restart cloudflared

- name: Give back the file as it was
  selfhosted.coolify.tunnel_ingress:
    state: absent
"""

RETURN = r"""
rules:
  description: The list after the run, in the order in which C(cloudflared) tries it.
  returned: with O(state=present)
  type: list
  elements: dict
  contains:
    hostname: {type: str, description: "The rule's hostname, empty where it takes all."}
    path: {type: str, description: "The rule's path, empty where it takes all."}
    service: {type: str, description: Where the rule sends what it takes.}
  sample:
    - hostname: coolify.example.com
      path: ^/terminal/ws$
      service: http://127.0.0.1:6002
swallowed:
  description: The rules that took pages of Coolify along and were narrowed in this run.
  returned: success
  type: list
  elements: dict
  contains:
    rule: {type: dict, description: "The rule as it was found, with C(hostname), C(path) and C(service)."}
    pages: {type: list, elements: str, description: Examples of the pages that it took.}
by_hand:
  description: Why the list was left as it is though it lacks the rules; empty otherwise.
  returned: success
  type: str
"""

import base64
import hashlib
import os
import tempfile

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _client
from ansible_collections.selfhosted.coolify.plugins.module_utils.keeper import _inplace_file, _kept, _trouble
from ansible_collections.selfhosted.coolify.plugins.module_utils.tunnel import _ingress, _judge


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/etc/cloudflared/config.yml"},
            "hostname": {"type": "str"},
            "extra_hostnames": {"type": "list", "elements": "str", "default": []},
            "rules": {
                "type": "list",
                "elements": "dict",
                "options": {"path": {"type": "str", "required": True}, "service": {"type": "str", "required": True}},
            },
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "state_dir": {"type": "path", "default": "/var/lib/coolify-websocket"},
            "container": {"type": "str"},
            "docker_socket": {"type": "path", "default": "/var/run/docker.sock"},
            "expected": {
                "type": "list",
                "elements": "dict",
                "options": {"url": {"type": "str", "required": True}, "service": {"type": "str", "required": True}},
            },
            "splices": {"type": "list", "elements": "list"},
            "digest": {"type": "str"},
        },
        required_if=[("state", "present", ("hostname", "rules"))],
        supports_check_mode=True,
    )
    path, state = module.params["path"], module.params["state"]
    if not os.path.exists(path):
        if state == "absent":
            module.exit_json(changed=False)
        module.fail_json(
            msg=f"{path}: there is no such file; set path to cloudflared's configuration file, or enter the rules in "
            "Cloudflare's dashboard if the tunnel is managed there"
        )
    try:
        with _inplace_file.InPlaceFile(path, module.params["state_dir"]) as file:
            _ensure(module, file)
    except (
        _ingress.IngressError, _inplace_file.ChangedMeanwhileError, _inplace_file.LockedError, _kept.KeptError,
    ) as error:
        module.fail_json(msg=f"{path}: {error}")
    except OSError as error:
        module.fail_json(msg=_trouble.message(error, ("path", path), ("state_dir", module.params["state_dir"])))


def _ensure(module: AnsibleModule, file: _inplace_file.InPlaceFile) -> None:
    found, present = file.read(), module.params["state"] == "present"
    digest = hashlib.sha256(found).hexdigest()
    if present and digest != module.params["digest"]:
        # Not read yet, or changed by somebody else since: the control node looks at this, and comes back.
        content = base64.b64encode(found).decode("ascii")
        module.exit_json(changed=False, content=content, digest=digest, path=module.params["path"])
    before = found.decode("utf-8", "surrogateescape")
    after = _ingress.spliced(_ingress.strip(before), module.params["splices"] or [])
    if after != before:
        if present and not module.check_mode:
            _judged(module, after)
        if not module.check_mode:
            file.recover()
            file.write(found, after.encode("utf-8", "surrogateescape"))
            file.forget()
    path = module.params["path"]
    diff = {"before_header": path, "after_header": path, "before": _shown(before), "after": _shown(after)}
    module.exit_json(changed=after != before, diff=diff)


def _judged(module: AnsibleModule, text: str) -> None:
    """Lets cloudflared itself read the candidate, where there is one."""
    data, expected = text.encode("utf-8", "surrogateescape"), module.params["expected"] or []
    try:
        container = module.params["container"]
        if container and _judge.in_container(_client.Engine(module.params["docker_socket"]), container, data, expected):
            return
        binary = module.get_bin_path("cloudflared")
        if not binary:
            return
        with tempfile.NamedTemporaryFile("wb", suffix=".yml", dir=module.tmpdir) as target:
            target.write(data)
            target.flush()
            _judge.judge(target.name, expected, lambda words: _ran(module, [binary, *words]))
    except _judge.RefusedError as error:
        module.fail_json(msg=f"{error}. {module.params['path']} was not changed")


def _ran(module: AnsibleModule, argv: list[str]) -> tuple[int, str]:
    status, output, error = module.run_command(argv)
    return status, error + output


def _shown(text: str) -> str:
    readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return _ingress.shown(readable)


if __name__ == "__main__":
    main()
