#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: self_heal_service
short_description: The service that keeps the WebSocket routes in Coolify's container
version_added: 0.1.0
description:
  - Installs the files of C(coolify-websocket.service), enables it and keeps it running, in one step.
  - The service is restarted only when one of its files changed.
  - Files of the same names that were there before, such as those of a hand-made setup, are remembered, and come back
    with O(state=absent).
extends_documentation_fragment:
  - selfhosted.coolify.attributes
  - selfhosted.coolify.attributes.kept
options:
  sources:
    description:
      - Where the service's Python files lie on the control node. A folder for each place below O(folder).
      - All files of a folder whose names end in C(.py) are added to O(files), and none of its subfolders.
    type: dict
  files:
    description: All files of the service but those of O(sources), the unit included.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where the file belongs on the host.
        type: path
        required: true
      content:
        description: The file's text.
        type: str
        required: true
      mode:
        description: Permission bits, as an octal number in quotes.
        type: str
        default: '0644'
      create_only:
        description: The service itself writes into the file; O(files[].content) is only what it is made with.
        type: bool
        default: false
  unit:
    description: Name of the unit.
    type: str
    default: coolify-websocket.service
  folder:
    description: The directory that belongs to the service alone. What is in it and not in O(files) is removed.
    type: path
    default: /usr/local/lib/coolify-websocket
  state:
    description: Whether the service is installed, enabled and running, or not there at all.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: selfhosted.coolify.nginx_snippet
author: selfhosted.coolify contributors (@selfhosted)
"""

EXAMPLES = r"""
- name: Install the service
  selfhosted.coolify.self_heal_service:
    sources:
      "": "{{ role_path }}/files"
    files:
      - path: /etc/systemd/system/coolify-websocket.service
        content: "{{ lookup('ansible.builtin.template', 'coolify-websocket.service.j2') }}"
"""

RETURN = r"""
changed_files:
  description: The files that were written or removed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [/etc/systemd/system/coolify-websocket.service]
restarted:
  description: Whether the service was started or restarted.
  returned: success
  type: bool
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.coolify.plugins.module_utils.keeper import _kept, _trouble
from ansible_collections.selfhosted.coolify.plugins.module_utils.self_heal import _service


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            # Taken over into `files` by the action plugin of the same name.
            "sources": {"type": "dict"},
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "path": {"type": "path", "required": True},
                    "content": {"type": "str", "required": True},
                    "mode": {"type": "str", "default": "0644"},
                    "create_only": {"type": "bool", "default": False},
                },
            },
            "unit": {"type": "str", "default": "coolify-websocket.service"},
            "folder": {"type": "path", "default": "/usr/local/lib/coolify-websocket"},
            "state_dir": {"type": "path", "default": "/var/lib/coolify-websocket"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    systemctl = module.get_bin_path("systemctl")
    if systemctl is None:
        module.fail_json(msg="the host has no systemctl; the self-heal service needs systemd")

    def run(argv: list[str]) -> tuple[int, str, str]:
        return t.cast("tuple[int, str, str]", module.run_command([systemctl, *argv[1:]]))

    params = module.params
    kept = _kept.Entry(params["state_dir"], "self-heal")
    service = _service.Service(params["unit"], params["folder"], kept, run)
    try:
        module.exit_json(**ensure(service, wanted_files(params["files"]), params["state"], module.check_mode))
    except _service.ServiceError as error:
        module.fail_json(msg=f"{params['unit']}: {error}")
    except OSError as error:
        files = [("files", file["path"]) for file in params["files"]]
        module.fail_json(msg=_trouble.message(error, *((name, params[name]) for name in ("folder", "state_dir")), *files))
    except ValueError as error:
        module.fail_json(msg=str(error))


def wanted_files(entries: list[dict[str, t.Any]]) -> list[_service.Wanted]:
    """The option O(files) in the logic's terms. Raises ValueError for a mode that is no octal number."""
    files = []
    for entry in entries:
        try:
            mode = int(entry["mode"], 8)
        except ValueError as error:
            raise ValueError(f"files: mode {entry['mode']!r} must be an octal number in quotes, as '0644'") from error
        files.append(_service.Wanted(entry["path"], entry["content"], mode, entry["create_only"]))
    return files


def ensure(service: _service.Service, files: list[_service.Wanted], state: str, check_mode: bool) -> dict[str, t.Any]:
    """Brings the host to the wanted state; the values to return."""
    unit = service.unit_state()
    present = state == "present"
    changes = service.differences(files) if present else service.removal(files)
    restarted = present and (bool(changes) or not unit.active)
    running = unit.active and unit.enabled and not unit.stale
    changed = bool(changes) or (not running if present else service.kept())
    if not check_mode and present and changed:
        service.install(files, changes, unit)
    elif not check_mode and not present:
        service.remove(files, changed, unit)
    return {
        "changed": changed,
        "changed_files": [change.path for change in changes],
        "restarted": restarted,
        "diff": [
            {
                "before_header": change.path,
                "after_header": change.path,
                "before": change.before or "",
                "after": change.after or "",
            }
            for change in changes
        ],
    }


if __name__ == "__main__":
    main()
