#!/usr/bin/python
# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Coolify's container, with the environment that it should have."""

from __future__ import annotations

DOCUMENTATION = r"""
module: coolify_container
short_description: Re-create Coolify's container where its environment is not what it should be
version_added: 0.1.0
description:
  - A container keeps the variables that it was created with, whatever its .env says later. Where they differ from
    O(environment), the container is created again, by Docker Compose, from the project and files that it was made from.
  - Nothing else is touched. Other services stay as they are, nothing is pulled, and the registry and the tag of its
    image are pinned to those that it runs.
  - Waits until no deployment runs before, and until the container is healthy after.
  - On failure, puts the lines of O(restore_from) back into the .env, creates the container from it, and fails with the
    last lines of its log, without secrets.
extends_documentation_fragment:
  - selfhosted.coolify.attributes
  - selfhosted.coolify.docker
options:
  environment:
    description: The variables, each with its value, or with null for one that must not be set.
    type: dict
    required: true
  name:
    description: The container.
    type: str
    default: coolify
  recreate:
    description: Whether to create the container again. If not, RV(pending) says what it has not taken over yet.
    type: bool
    default: true
  restore_from:
    description:
      - The file to take the lines of these variables from on failure, back into O(env_file).
      - Such as the C(backup_file) that M(selfhosted.coolify.pusher_env) returns.
    type: path
  env_file:
    description: The .env that Compose reads, if the container's labels name none, and that O(restore_from) goes to.
    type: path
    default: /data/coolify/source/.env
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
  state_dir:
    description: The folder on the host where M(selfhosted.coolify.pusher_env) keeps its state.
    type: path
    default: /var/lib/coolify-websocket
requirements:
  - The Docker client with its Compose plugin on the host, as Coolify installs them.
seealso:
  - module: selfhosted.coolify.pusher_env
  - module: selfhosted.coolify.coolify_idle
author:
  - selfhosted.coolify contributors (@selfhosted)
"""

EXAMPLES = r"""
- name: Let Coolify take over what its .env says
  selfhosted.coolify.coolify_container:
    environment:
      PUSHER_HOST: coolify.example.com
      PUSHER_PORT: "443"
"""

RETURN = r"""
recreated:
  description: Whether the container was created again, or would be in check mode.
  returned: success
  type: bool
pending:
  description: The variables that the running container has not taken over.
  returned: success
  type: list
  elements: str
  sample: [PUSHER_HOST]
seconds:
  description: How long it took from the re-creation until the container was healthy.
  returned: when the container was created again
  type: float
  sample: 8.4
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _client, _deployments
from ansible_collections.selfhosted.coolify.plugins.module_utils.env import _dotenv, _pusher, _recreation
from ansible_collections.selfhosted.coolify.plugins.module_utils.keeper import _pending


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "environment": {"type": "dict", "required": True},
            "name": {"type": "str", "default": "coolify"},
            "recreate": {"type": "bool", "default": True},
            "restore_from": {"type": "path"},
            "env_file": {"type": "path", "default": "/data/coolify/source/.env"},
            "timeout": {"type": "float", "default": 300},
            "deployments": {"type": "str", "choices": ["wait", "ignore"], "default": "wait"},
            "deployment_timeout": {"type": "float", "default": 600},
            "database": {"type": "str", "default": "coolify-db"},
            "state_dir": {"type": "path", "default": "/var/lib/coolify-websocket"},
            "docker_socket": {"type": "path", "default": "/var/run/docker.sock"},
        },
        supports_check_mode=True,
    )
    try:
        _run(module)
    except _recreation.RecreationError as error:
        module.fail_json(msg=str(error))
    except _client.EngineError as error:
        module.fail_json(msg=f"docker_socket: {error}")
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")


def _run(module: AnsibleModule) -> None:
    params = module.params
    wanted = {key: None if value is None else str(value) for key, value in params["environment"].items()}
    container = _recreation.Container(params["docker_socket"], params["name"], params["env_file"], params["state_dir"])
    current = container.environment()
    differing = _pusher.differing(wanted, current)
    before = _shown(current, differing, "(hidden)")
    result = {
        "changed": bool(differing) and params["recreate"],
        "recreated": bool(differing) and params["recreate"],
        "pending": [] if params["recreate"] else differing,
        "diff": {
            "before_header": f"environment of the container {params['name']}",
            "after_header": f"environment of the container {params['name']}",
            "before": before,
            "after": _shown(wanted, differing, "(hidden, changed)") if params["recreate"] else before,
        },
    }
    if module.check_mode:
        module.exit_json(**result)
    if result["recreated"]:
        _let_deployments_end(module)
        docker = module.get_bin_path("docker", required=True)
        result["seconds"] = container.recreate(docker, wanted, params["timeout"], params["restore_from"])
    _pending.clear(params["state_dir"])
    module.exit_json(**result)


def _let_deployments_end(module: AnsibleModule) -> None:
    if module.params["deployments"] == "ignore":
        return
    engine = _client.Engine(module.params["docker_socket"])
    try:
        found = _deployments.wait(engine, module.params["database"], module.params["deployment_timeout"])
    except _deployments.UnknownError as error:
        reason = f"cannot tell whether Coolify is deploying something, since {error}"
    else:
        if not found:
            return
        reason = f"Coolify is still deploying ({', '.join(found)})"
    module.fail_json(
        msg=f"deployments: the container was not created again, since {reason}. Run again later, or set "
        "coolify_pusher_deployments to ignore"
    )


def _shown(values: t.Mapping[str, str | None], keys: list[str], other: str) -> str:
    present = [key for key in keys if values.get(key) is not None]
    return "".join(f"{key}={values[key] if key in _dotenv.NON_SECRET_KEYS else other}\n" for key in present)


if __name__ == "__main__":
    main()
