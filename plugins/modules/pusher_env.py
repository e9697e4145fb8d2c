#!/usr/bin/python
# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of Coolify's .env, edited in place."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pusher_env
short_description: Set variables in Coolify's .env, in place
version_added: 0.1.0
description:
  - Gives each variable one line of its own, in a form that Laravel, Docker Compose and Coolify's C(upgrade.sh) all read
    alike. Every other byte of the file stays.
  - The file is written in place, since Coolify mounts it into its container by itself and a new inode would not be seen
    there. Owner, mode and extended attributes stay, and a symbolic link is followed.
  - A write that was cut short is noticed by the next run, which puts the bytes from before back and goes on from there.
  - A change by somebody else during the run is noticed, and nothing is overwritten then.
  - The running container has the values that were in the file when it was created. Use
    M(selfhosted.coolify.coolify_container) to create it again where they differ.
extends_documentation_fragment:
  - selfhosted.coolify.attributes
options:
  path:
    description: The file.
    type: path
    default: /data/coolify/source/.env
  values:
    description:
      - The variables, each with its value, or with null to remove it.
      - Required with O(state=present).
      - Set C(no_log) on the task if a value is a secret. Values are returned and shown for the PUSHER_ and TERMINAL_
        variables that browsers see, and for no other.
    type: dict
  state:
    description:
      - V(present) sets the variables.
      - V(absent) puts the lines back that were there before the first edit, byte for byte, keeps what somebody else
        changed since, and removes all that this module keeps.
    type: str
    choices: [present, absent]
    default: present
  backup:
    description:
      - Whether to keep a copy of the file in O(state_dir) before it is changed, with the same owner and mode.
      - The newest five are kept.
    type: bool
    default: true
  state_dir:
    description:
      - The folder on the host for backups and for what the file was before, readable by its owner only.
      - It is removed with the last thing in it.
    type: path
    default: /var/lib/coolify-websocket
  note_pending:
    description:
      - Whether to leave a note in O(state_dir) when O(state=absent) changed the file. It says that the container has to
        be created again, and M(selfhosted.coolify.coolify_container) takes it away.
    type: bool
    default: false
seealso:
  - module: selfhosted.coolify.coolify_container
author:
  - selfhosted.coolify contributors (@selfhosted)
"""

EXAMPLES = r"""
- name: Let browsers reach the live updates by the domain
  selfhosted.coolify.pusher_env:
    values:
      PUSHER_HOST: coolify.example.com
      PUSHER_PORT: "443"
      PUSHER_SCHEME: http

- name: Let a variable go
  selfhosted.coolify.pusher_env:
    values:
      PUSHER_BACKEND_HOST: null

- name: Put the lines back that were there before
  selfhosted.coolify.pusher_env:
    state: absent
"""

RETURN = r"""
changed_keys:
  description: The variables whose lines were changed.
  returned: success
  type: list
  elements: str
  sample: [PUSHER_HOST, PUSHER_PORT]
values:
  description:
    - What the file says after the run, for the PUSHER_ and TERMINAL_ variables that browsers see.
    - A variable that is not set is null.
  returned: success
  type: dict
  sample:
    PUSHER_HOST: coolify.example.com
    PUSHER_PORT: "443"
    PUSHER_BACKEND_HOST: null
backup_file:
  description: The newest backup, by this run or an earlier one; null if there is none.
  returned: success
  type: str
  sample: /var/lib/coolify-websocket/env-1f0c5d8e2b7a9c34-20260101T120000-0.backup
pending:
  description: Whether a removal has left a note that the container has to be created again.
  returned: success
  type: bool
recovered:
  description: Whether an earlier write had been cut short, so that the bytes from before were put back first.
  returned: success
  type: bool
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.coolify.plugins.module_utils.env import _dotenv, _memory
from ansible_collections.selfhosted.coolify.plugins.module_utils.keeper import _inplace_file, _pending, _undo


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/data/coolify/source/.env"},
            "values": {"type": "dict"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "backup": {"type": "bool", "default": True},
            "state_dir": {"type": "path", "default": "/var/lib/coolify-websocket"},
            "note_pending": {"type": "bool", "default": False},
        },
        required_if=[("state", "present", ("values",))],
        supports_check_mode=True,
    )
    path, state_dir = module.params["path"], module.params["state_dir"]
    try:
        with _inplace_file.InPlaceFile(path, state_dir) as file:
            if module.params["state"] == "present":
                _present(module, file)
            else:
                _absent(module, file)
    except FileNotFoundError:
        module.fail_json(msg=f"path: {path} does not exist; set it to the .env in the folder source of Coolify's data")
    except _dotenv.DotenvError as error:
        module.fail_json(msg=f"{path}: {error}")
    except (_inplace_file.ChangedMeanwhileError, _inplace_file.LockedError, _undo.DamagedStoreError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.filename or path}: {error.strerror}; the file was not changed")


def _present(module: AnsibleModule, file: _inplace_file.InPlaceFile) -> None:
    recovered = file.cut_short() is not None
    before = file.read()
    after, changed_keys = _dotenv.edit(before, _wanted(module))
    if not module.check_mode:
        file.recover()
        if after != before:
            memory = _memory.EnvMemory(module.params["state_dir"], file.path)
            memory.remember(before, after)
            if module.params["backup"]:
                file.back_up(before)
            file.write(before, after)
    _exit(module, file, before, after, changed_keys, recovered or after != before, recovered)


def _absent(module: AnsibleModule, file: _inplace_file.InPlaceFile) -> None:
    memory = _memory.EnvMemory(module.params["state_dir"], file.path)
    recovered = file.cut_short() is not None
    kept = recovered or memory.exists() or file.latest_backup() is not None
    before = file.read()
    after = memory.original(before)
    if not module.check_mode:
        file.recover()
        if after != before:
            if module.params["note_pending"]:
                _pending.note(module.params["state_dir"])
            file.write(before, after)
        memory.forget()
        file.forget()
    _exit(module, file, before, after, _dotenv.edited_keys(before, after), kept or after != before, recovered)


def _wanted(module: AnsibleModule) -> dict[str, str | None]:
    wanted: dict[str, str | None] = {}
    for key, value in module.params["values"].items():
        if isinstance(value, (bool, dict, list)):
            module.fail_json(msg=f"values: {key} is no string; put its value into quotes")
        wanted[str(key)] = None if value is None else str(value)
    return wanted


def _shown(data: bytes, changed_keys: t.Sequence[str], other: str) -> str:
    found = _dotenv.values(data)
    lines = []
    for key in changed_keys:
        if key in found:
            lines.append(f"{key}={found[key] if key in _dotenv.NON_SECRET_KEYS else other}\n")
    return "".join(lines)


def _exit(
    module: AnsibleModule,
    file: _inplace_file.InPlaceFile,
    before: bytes,
    after: bytes,
    changed_keys: list[str],
    changed: bool,
    recovered: bool,
) -> None:
    found = _dotenv.values(after)
    module.exit_json(
        changed=changed,
        changed_keys=changed_keys,
        values={key: found.get(key) for key in sorted(_dotenv.NON_SECRET_KEYS)},
        backup_file=file.latest_backup(),
        pending=_pending.noted(module.params["state_dir"]),
        recovered=recovered,
        diff={
            "before_header": module.params["path"],
            "after_header": module.params["path"],
            "before": _shown(before, changed_keys, "(hidden)"),
            "after": _shown(after, changed_keys, "(hidden, changed)"),
        },
    )


if __name__ == "__main__":
    main()
