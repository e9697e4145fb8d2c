#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: check_variables
short_description: Ends a run for a variable that this collection does not know, or that has a wrong value
version_added: 0.1.0
author: selfhosted.coolify contributors (@selfhosted)
description:
  - Checks each variable of the host whose name begins with C(coolify_) against the specifications of this collection's
    roles.
  - Fails for a name that no role has, and suggests the nearest one that a role has. Ansible alone ignores such a variable.
  - Fails for a value of a wrong type, or that is none of the choices. The message names variable, value, and what is right.
  - Changes nothing. This is an action plugin, it runs on the control node.
extends_documentation_fragment:
  - selfhosted.coolify.attributes.info
options:
  own:
    description:
      - Names of your own variables, registered results and facts that begin with C(coolify_).
      - The collection's playbooks hand over the variable C(coolify_own_variables).
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Check the variables before the first role
  selfhosted.coolify.check_variables:

- name: Allow two names of your own
  selfhosted.coolify.check_variables:
    own: [coolify_backup_host, coolify_backup_result]
"""

RETURN = r"""#"""
