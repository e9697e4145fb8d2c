#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file in the folder that Traefik watches, never seen half written."""

from __future__ import annotations

DOCUMENTATION = r"""
module: traefik_dynamic_file
short_description: Put a file into the folder that Traefik watches
version_added: 0.1.0
description:
  - Writes one file of dynamic configuration for Traefik's file provider.
  - Traefik reads every C(.yaml), C(.yml) and C(.toml) file of its folder, hidden ones too, and one that is not valid stops
    every later change in that folder from being loaded. So the content is written beside it under a name that Traefik
    ignores, and gets its own name in one step when it is complete.
  - A file of the same name that was there before is remembered, and comes back with O(state=absent). One that this module
    never wrote is left alone then.
  - Says which other files in the folder cannot be read as YAML, and leaves them alone.
extends_documentation_fragment:
  - selfhosted.coolify.attributes
  - selfhosted.coolify.attributes.kept
options:
  path:
    description: The file, with the ending C(.yaml) or C(.yml). Its folder must exist.
    type: path
    required: true
  content:
    description:
      - What the file holds, as YAML.
      - Required with O(state=present).
    type: str
  state:
    description: Whether the file is there, or as it was before.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - name: Traefik's file provider
    description: How Traefik reads the folder.
    link: https://doc.traefik.io/traefik/providers/file/
author: selfhosted.coolify contributors (@selfhosted)
"""

EXAMPLES = r"""
- name: Route the terminal in Coolify's proxy
  selfhosted.coolify.traefik_dynamic_file:
    path: /data/coolify/proxy/dynamic/coolify-websocket.yaml
    content: |
      http:
        routers:
          selfhosted-coolify-terminal-https:
            entryPoints: [https]
            rule: Host(`coolify.example.com`) && Path(`/terminal/ws`)
            service: selfhosted-coolify-terminal
            tls: {certResolver: letsencrypt}
        services:
          selfhosted-coolify-terminal:
            loadBalancer:
              servers:
                - url: http://coolify-realtime:6002

- name: Take it out again
  selfhosted.coolify.traefik_dynamic_file:
    path: /data/coolify/proxy/dynamic/coolify-websocket.yaml
    state: absent
"""

RETURN = r"""
broken:
  description: Other files in the folder that cannot be read as YAML, and so keep Traefik from loading any change.
  returned: success
  type: list
  elements: dict
  contains:
    path: {type: str, description: The file.}
    error: {type: str, description: "What is wrong, with line and column, or why the file cannot be opened."}
  sample:
    - path: /data/coolify/proxy/dynamic/custom.yaml
      error: found unexpected end of stream (line 5, column 1)
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.coolify.plugins.module_utils.keeper import _durable, _kept, _trouble
from ansible_collections.selfhosted.coolify.plugins.module_utils.proxy import _traefik


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "content": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "state_dir": {"type": "path", "default": "/var/lib/coolify-websocket"},
        },
        required_if=[("state", "present", ("content",))],
        supports_check_mode=True,
    )
    path, after = module.params["path"], module.params["content"]
    if not path.endswith((".yaml", ".yml")):
        module.fail_json(msg=f"path: {path} must end in .yaml or .yml, or Traefik does not read it")
    kept = _kept.Entry(module.params["state_dir"], "traefik", path)
    try:
        if module.params["state"] == "present":
            before, changed = _present(kept, path, after, module.check_mode)
        else:
            before, after, changed = _absent(kept, path, module.check_mode)
        neighbours = _traefik.neighbours(path)
    except _kept.KeptError as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        if not os.path.isdir(os.path.dirname(path)):
            module.fail_json(msg=f"path: there is no {os.path.dirname(path)}; start Coolify's proxy once to have it")
        module.fail_json(msg=_trouble.message(problem, ("path", path), ("state_dir", module.params["state_dir"])))
    module.exit_json(
        changed=changed,
        diff={"before_header": path, "after_header": path, "before": before or "", "after": after or ""},
        # Read on the control node, which alone has a YAML library, and not passed on.
        neighbours=neighbours,
    )


def _present(kept: _kept.Entry, path: str, after: str, check_mode: bool) -> tuple[str | None, bool]:
    """The text from before, and whether anything is, or would be, different after."""
    picture = _kept.picture(path)
    before = None if picture is None else str(picture["text"])
    changed = before != after or kept.cut()
    if changed and not check_mode:
        os.stat(os.path.dirname(path))
        _durable.refuse_link(path)
        if kept.load() is None:
            kept.remember({"file": picture})
        kept.begin()
        _durable.write(path, after.encode("utf-8", "surrogateescape"), 0o644)
        kept.done()
    return before, changed


def _absent(kept: _kept.Entry, path: str, check_mode: bool) -> tuple[str | None, str | None, bool]:
    """The text from before and after, and whether anything is, or would be, different."""
    remembered = kept.load()
    # What lies there without a word from us is another program's.
    picture = None if remembered is None else _kept.picture(path)
    original = None if remembered is None else remembered["file"]
    if not check_mode:
        if remembered is not None:
            _durable.refuse_link(path)
            kept.begin()
            _kept.give_back(path, original)
        kept.forget()
    texts = [None if one is None else str(one["text"]) for one in (picture, original)]
    return texts[0], texts[1], remembered is not None


if __name__ == "__main__":
    main()
