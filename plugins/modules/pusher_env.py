#!/usr/bin/python
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
  - A container keeps the variables that it was created with, whatever the file says later. Where those of Coolify's
    differ, it is created again, by Docker Compose, from the project and files that it was made from. No other service is
    touched, nothing is pulled, and the registry and the tag of its image are pinned to those that it runs.
  - Waits until no deployment runs before anything is changed, and until the container is healthy after.
  - On failure, the file is put back, the container is created from it, and the module fails with the last lines of the
    container's log, without secrets.
extends_documentation_fragment:
  - selfhosted.coolify.attributes
  - selfhosted.coolify.attributes.kept
  - selfhosted.coolify.docker
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
  container:
    description: Coolify's container. Where there is none, the file alone is edited.
    type: str
    default: coolify
  recreate:
    description: Whether to create the container again where it differs. If not, RV(pending) says what it has not taken over.
    type: bool
    default: true
  timeout:
    description: For how many seconds to wait for the new container to be healthy.
    type: float
    default: 300
  deployments:
    description: Whether to wait for running deployments, which would be cut off, or to ignore them.
    type: str
    choices: [wait, ignore]
    default: wait
  deployment_timeout:
    description: For how many seconds to wait for running deployments.
    type: float
    default: 600
  database:
    description: The container of the instance's PostgreSQL, which knows what is being deployed.
    type: str
    default: coolify-db
requirements:
  - To create the container again, the Docker client with its Compose plugin on the host, as Coolify installs them.
author: selfhosted.coolify contributors (@selfhosted)
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
variables:
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
  description: The variables that the running container has not taken over.
  returned: success
  type: list
  elements: str
  sample: [PUSHER_HOST]
recreated:
  description: Whether the container was created again, or would be in check mode.
  returned: success
  type: bool
seconds:
  description: How long it took from the re-creation until the container was healthy.
  returned: when the container was created again
  type: float
  sample: 8.4
recovered:
  description: Whether an earlier write had been cut short, so that the bytes from before were put back first.
  returned: success
  type: bool
"""

import os
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _client, _deployments
from ansible_collections.selfhosted.coolify.plugins.module_utils.env import _dotenv, _effective, _memory, _recreation
from ansible_collections.selfhosted.coolify.plugins.module_utils.keeper import _inplace_file, _kept, _trouble


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/data/coolify/source/.env"},
            "values": {"type": "dict"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "backup": {"type": "bool", "default": True},
            "state_dir": {"type": "path", "default": "/var/lib/coolify-websocket"},
            "container": {"type": "str", "default": "coolify"},
            "recreate": {"type": "bool", "default": True},
            "timeout": {"type": "float", "default": 300},
            "deployments": {"type": "str", "choices": ["wait", "ignore"], "default": "wait"},
            "deployment_timeout": {"type": "float", "default": 600},
            "database": {"type": "str", "default": "coolify-db"},
            "docker_socket": {"type": "path", "default": "/var/run/docker.sock"},
        },
        required_if=[("state", "present", ("values",))],
        supports_check_mode=True,
    )
    path, state_dir = module.params["path"], module.params["state_dir"]
    try:
        deadline = time.monotonic() + module.params["deployment_timeout"]
        with _inplace_file.InPlaceFile(path, state_dir) as file:
            while True:
                # All of it anew after any wait: Coolify may have updated itself meanwhile.
                container = _container(module)
                environment = _effective.Environment(file, _memory.EnvMemory(state_dir, path), container)
                try:
                    _ensure(module, file, environment, container)
                except _effective.DeployingError:
                    _let_deployments_end(module, deadline)
    except _dotenv.DotenvError as error:
        module.fail_json(msg=f"{path}: {error}")
    except _deployments.UnknownError as error:
        module.fail_json(
            msg=f"deployments: cannot tell whether Coolify is deploying something, since {error}. Nothing was changed. See "
            "that it answers, or set coolify_pusher_deployments to ignore"
        )
    except _client.EngineError as error:
        module.fail_json(msg=f"docker_socket: {error}. The file was not changed; to edit it alone, set recreate to false")
    except (
        _inplace_file.ChangedMeanwhileError,
        _inplace_file.LockedError,
        _kept.KeptError,
        _recreation.RecreationError,
    ) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        if not os.path.exists(path):
            module.fail_json(msg=f"path: {path} does not exist; set it to the .env in the folder source of Coolify's data")
        module.fail_json(msg=_trouble.message(error, ("path", path), ("state_dir", state_dir)))


def _container(module: AnsibleModule) -> _recreation.Container | None:
    params = module.params
    try:
        container = _recreation.Container(params["docker_socket"], params["container"], params["path"])
    except _client.EngineError:
        if params["recreate"]:
            raise
        return None
    return container if container.exists else None


def _ensure(
    module: AnsibleModule,
    file: _inplace_file.InPlaceFile,
    environment: _effective.Environment,
    container: _recreation.Container | None,
) -> None:
    params = module.params
    present = params["state"] == "present"
    change = environment.wanted(_wanted(module)) if present else environment.given_back()
    recreated = params["recreate"] and bool(change.pending)
    result: dict[str, t.Any] = {}
    if not module.check_mode:
        if recreated and container is not None:
            container.prepare(module.get_bin_path("docker", required=True))
            if _deploying(module, 0):
                raise _effective.DeployingError
        seconds = environment.carry_out(
            change, params["backup"], recreated, params["timeout"], lambda seconds: _deploying(module, seconds),
            params["deployment_timeout"],
        )
        if seconds is not None:
            result["seconds"] = seconds
    found = _dotenv.values(change.after)
    module.exit_json(
        changed=change.after != change.before or change.recovered or change.kept or recreated,
        changed_keys=change.keys,
        variables={key: found.get(key) for key in sorted(_dotenv.NON_SECRET_KEYS)},
        backup_file=file.latest_backup(),
        pending=[] if recreated else change.pending,
        recreated=recreated,
        recovered=change.recovered,
        diff=_diff(params["path"], change, recreated, container),
        **result,
    )


def _deploying(module: AnsibleModule, seconds: float) -> list[str]:
    """What Coolify deploys, if it is to be waited for; after at most so many seconds."""
    params = module.params
    if params["deployments"] == "ignore":
        return []
    return _deployments.wait(_client.Engine(params["docker_socket"]), params["database"], seconds)


def _let_deployments_end(module: AnsibleModule, deadline: float) -> None:
    params = module.params
    found = _deploying(module, deadline - time.monotonic()) or ["one that began just now"]
    if time.monotonic() > deadline:
        module.fail_json(
            msg=f"deployment_timeout: after {params['deployment_timeout']:g} s Coolify is still deploying "
            f"({', '.join(found)}). Nothing was changed. Let it end or cancel it in Coolify, set "
            "coolify_pusher_deployment_timeout higher, or coolify_pusher_deployments to ignore"
        )


def _wanted(module: AnsibleModule) -> dict[str, str | None]:
    wanted: dict[str, str | None] = {}
    for key, value in module.params["values"].items():
        if isinstance(value, (bool, dict, list)):
            module.fail_json(msg=f"values: {key} is no string; put its value into quotes")
        wanted[str(key)] = None if value is None else str(value)
    return wanted


def _diff(path: str, change: _effective.Change, recreated: bool, container: _recreation.Container | None) -> list[dict[str, str]]:
    before, after = _dotenv.values(change.before), _dotenv.values(change.after)
    entries = [_entry(path, before, after, change.keys)]
    if recreated and container is not None:
        running = container.environment()
        entries.append(_entry("environment of the container", running, change.expected, change.pending))
    return entries


def _entry(header: str, before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any], keys: t.Sequence[str]) -> dict[str, str]:
    return {
        "before_header": header,
        "after_header": header,
        "before": _shown(before, keys, "(hidden)"),
        "after": _shown(after, keys, "(hidden, changed)"),
    }


def _shown(found: t.Mapping[str, t.Any], keys: t.Sequence[str], other: str) -> str:
    present = [key for key in keys if found.get(key) is not None]
    return "".join(f"{key}={found[key] if key in _dotenv.NON_SECRET_KEYS else other}\n" for key in present)


if __name__ == "__main__":
    main()
