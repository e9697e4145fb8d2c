#!/usr/bin/python
# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Coolify's two WebSocket paths in the ingress list of a locally managed Cloudflare Tunnel."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tunnel_ingress
short_description: Route Coolify's WebSocket paths in a Cloudflare Tunnel's ingress list
version_added: 0.1.0
description:
  - Puts rules for Coolify's terminal and live updates into the C(ingress) list of C(cloudflared)'s configuration file,
    ahead of every rule that would take the same paths.
  - The first rule that matches answers a URL. A path is a regular expression of Go's that may match anywhere, so a bare
    V(/app) also takes C(/api/v1/applications) and every application's page. Such a rule is narrowed, and
    RV(swallowed) says which pages it took.
  - A rule that serves a path rightly already, maybe by another address, is left as it is, or moved up where another
    rule stands in its way.
  - All other bytes of the file stay, comments and quoting among them. The host needs no YAML library.
  - Where C(cloudflared) is installed, it judges the new list before the file is replaced.
  - The connector is not restarted. Do that on change, and mind that a restart cuts open connections.
extends_documentation_fragment:
  - selfhosted.coolify.attributes
options:
  path:
    description:
      - The configuration file of C(cloudflared).
      - It is replaced in one step, with its owner and mode kept. A symbolic link is followed.
    type: path
    default: /etc/cloudflared/config.yml
  hostname:
    description:
      - The public name of the Coolify instance, without scheme, port and path.
      - Required with O(state=present).
    type: str
  rules:
    description:
      - The paths to route, in order.
      - Required with O(state=present).
    type: list
    elements: dict
    suboptions:
      path:
        description:
          - The regular expression for the path, such as V(^/terminal/ws$) or V(^/apps?/).
          - It must take at least one of Coolify's WebSocket paths and none of its pages.
        type: str
        required: true
      service:
        description:
          - The address that C(cloudflared) forwards to, such as V(http://localhost:6002).
        type: str
        required: true
  state:
    description:
      - V(present) routes the paths.
      - V(absent) gives back the file's bytes from before. What somebody else changed since is kept.
    type: str
    choices: [present, absent]
    default: present
  state_dir:
    description:
      - The folder on the host that keeps what the file was before, readable by its owner only.
      - It is removed with the last thing in it.
    type: path
    default: /var/lib/coolify-websocket
seealso:
  - name: Ingress rules of Cloudflare Tunnel
    description: How C(cloudflared) reads the list.
    link: https://developers.cloudflare.com/cloudflare-one/connections/connect-networks/do-more-with-tunnels/local-management/configuration-file/
author:
  - selfhosted.coolify contributors (@selfhosted)
"""

EXAMPLES = r"""
- name: Route the terminal and the live updates past the rule for the whole host
  selfhosted.coolify.tunnel_ingress:
    hostname: coolify.example.com
    rules:
      - path: ^/terminal/ws$
        service: http://localhost:6002
      - path: ^/apps?/
        service: http://localhost:6001
  notify: Restart cloudflared

- name: Give back the file as it was
  selfhosted.coolify.tunnel_ingress:
    state: absent
"""

RETURN = r"""
rules:
  description: The list after the run, in the order in which C(cloudflared) tries it.
  returned: success
  type: list
  elements: dict
  contains:
    hostname:
      description: The rule's hostname, empty where it takes all.
      type: str
      returned: always
    path:
      description: The rule's path, empty where it takes all.
      type: str
      returned: always
    service:
      description: Where the rule sends what it takes.
      type: str
      returned: always
  sample:
    - hostname: coolify.example.com
      path: ^/terminal/ws$
      service: http://localhost:6002
swallowed:
  description: The rules that took pages of Coolify along and were narrowed.
  returned: success
  type: list
  elements: dict
  contains:
    rule:
      description: The rule as it was found, with C(hostname), C(path) and C(service).
      type: dict
      returned: always
    pages:
      description: Examples of the pages that it took.
      type: list
      elements: str
      returned: always
"""

import os
import re
import tempfile

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.coolify.plugins.module_utils.keeper import _undo
from ansible_collections.selfhosted.coolify.plugins.module_utils.tunnel import _ingress

# cloudflared takes its token from this file too, and a diff ends up in logs.
_SECRET_LINE = re.compile(r"(?im)^([ \t]*[\w-]*(?:token|secret|password)[\w-]*[ \t]*:).*$")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/etc/cloudflared/config.yml"},
            "hostname": {"type": "str"},
            "rules": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "path": {"type": "str", "required": True},
                    "service": {"type": "str", "required": True},
                },
            },
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "state_dir": {"type": "path", "default": "/var/lib/coolify-websocket"},
        },
        required_if=[("state", "present", ("hostname", "rules"))],
        supports_check_mode=True,
    )
    path = os.path.realpath(module.params["path"])
    store = _undo.Store(module.params["state_dir"], path)
    try:
        if module.params["state"] == "present":
            _present(module, path, store)
        else:
            _absent(module, path, store)
    except (_ingress.IngressError, _undo.DamagedStoreError) as error:
        module.fail_json(msg=f"{path}: {error}")
    except OSError as error:
        module.fail_json(msg=f"{error.filename or path}: {error.strerror}")


def _present(module: AnsibleModule, path: str, store: _undo.Store) -> None:
    before = _read(path)
    if before is None:
        raise _ingress.IngressError(
            "there is no such file; set path to cloudflared's configuration file, or enter the rules in Cloudflare's "
            "dashboard if the tunnel is managed there"
        )
    result = _ingress.apply(before, module.params["hostname"], module.params["rules"])
    if result.changed:
        _judge(module, result.text)
    if result.changed and not module.check_mode:
        original = _undo.original(store.load(), before)
        store.save(_undo.Memory(_ingress.remove(before).text if original is None else original, result.text))
        _write(module, path, before, result.text)
    _exit(module, before, result.text, result.rules, result.swallowed, result.changed)


def _absent(module: AnsibleModule, path: str, store: _undo.Store) -> None:
    memory, before = store.load(), _read(path)
    after = before
    if before is not None:
        restored = _undo.original(memory, before) if memory else None
        after = _ingress.remove(before).text if restored is None else restored
    if not module.check_mode:
        if before is not None and after is not None and after != before:
            _write(module, path, before, after)
        store.forget()
    try:
        rules = _ingress.parse(after or "")
    except _ingress.IngressError:
        # What cannot be read is given back all the same.
        rules = []
    _exit(module, before or "", after or "", rules, [], after != before or memory is not None)


def _read(path: str) -> str | None:
    try:
        with open(path, "rb") as source:
            return source.read().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None


def _candidate(module: AnsibleModule, text: str) -> str:
    descriptor, name = tempfile.mkstemp(suffix=".yml", dir=module.tmpdir)
    with os.fdopen(descriptor, "wb") as target:
        target.write(text.encode("utf-8", "surrogateescape"))
        target.flush()
        os.fsync(target.fileno())
    module.add_cleanup_file(name)
    return name


def _judge(module: AnsibleModule, text: str) -> None:
    """Lets cloudflared itself read the candidate, where it is installed."""
    binary = module.get_bin_path("cloudflared")
    if not binary:
        return
    rc, out, err = module.run_command([binary, "tunnel", "--config", _candidate(module, text), "ingress", "validate"])
    if rc != 0:
        module.fail_json(
            msg=f"cloudflared refuses the new list, and {module.params['path']} was not changed: {(err or out).strip()}"
        )


def _write(module: AnsibleModule, path: str, before: str, after: str) -> None:
    candidate = _candidate(module, after)
    if _read(path) != before:
        module.fail_json(msg=f"{path} was changed by somebody else during this run; run again")
    module.atomic_move(candidate, path)


def _shown(text: str) -> str:
    readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return _SECRET_LINE.sub(r"\1 (hidden)", readable)


def _exit(
    module: AnsibleModule,
    before: str,
    after: str,
    rules: list[_ingress.Rule],
    swallowed: list[_ingress.Swallowed],
    changed: bool,
) -> None:
    header = module.params["path"]
    module.exit_json(
        changed=changed,
        diff={
            "before_header": header,
            "after_header": header,
            "before": _shown(before),
            "after": _shown(after),
        },
        rules=[rule._asdict() for rule in rules],
        swallowed=[{"rule": entry.rule._asdict(), "pages": entry.pages} for entry in swallowed],
    )


if __name__ == "__main__":
    main()
