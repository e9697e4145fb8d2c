#!/usr/bin/python
# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Coolify is deploying something."""

from __future__ import annotations

DOCUMENTATION = r"""
module: coolify_idle
short_description: Wait until Coolify deploys nothing
version_added: 0.1.0
description:
  - A deployment is a job inside Coolify's container and ends with it. Use this module before anything that stops or
    re-creates the container.
  - Looks for containers of Coolify's helper image on this host, and for queued and running deployments in the
    instance's database, which knows those to other hosts too.
  - Fails when something is still being deployed after O(timeout), and when the database does not answer.
extends_documentation_fragment:
  - selfhosted.coolify.attributes.info
  - selfhosted.coolify.docker
options:
  timeout:
    description: For how many seconds to wait.
    type: float
    default: 600
  database:
    description: The container of the instance's PostgreSQL.
    type: str
    default: coolify-db
seealso:
  - module: selfhosted.coolify.coolify_container
author:
  - selfhosted.coolify contributors (@selfhosted)
"""

EXAMPLES = r"""
- name: Let running deployments end first
  selfhosted.coolify.coolify_idle:
    timeout: 1800
"""

RETURN = r"""
deployments:
  description: What is still being deployed, in words.
  returned: always
  type: list
  elements: str
  sample: [1 queued or in progress by the instance's database]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _client, _deployments


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "timeout": {"type": "float", "default": 600},
            "database": {"type": "str", "default": "coolify-db"},
            "docker_socket": {"type": "path", "default": "/var/run/docker.sock"},
        },
        supports_check_mode=True,
    )
    timeout = module.params["timeout"]
    engine = _client.Engine(module.params["docker_socket"])
    try:
        found = _deployments.wait(engine, module.params["database"], 0 if module.check_mode else timeout)
    except _deployments.UnknownError as error:
        module.fail_json(
            msg=f"database: cannot tell whether Coolify is deploying something, since {error}. See that it answers, or "
            "set coolify_pusher_deployments to ignore",
            deployments=[],
        )
    except _client.EngineError as error:
        module.fail_json(msg=f"docker_socket: {error}", deployments=[])
    if found and not module.check_mode:
        module.fail_json(
            msg=f"timeout: after {timeout:g} s Coolify is still deploying ({', '.join(found)}). Let it end or cancel it "
            "in Coolify, set coolify_pusher_deployment_timeout higher, or coolify_pusher_deployments to ignore",
            deployments=found,
        )
    module.exit_json(changed=False, deployments=found)


if __name__ == "__main__":
    main()
