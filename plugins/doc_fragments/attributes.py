# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module of this collection promises: one text for those that write, one for those that look."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Says what a run would do, and changes nothing.
  diff_mode:
    support: full
    description: Shows what is changed, before and after, and of what may be secret only that it changes.
  idempotent:
    support: full
    description: A second run in a row changes nothing.
"""

    INFO = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Changes nothing on any host in any mode.
  diff_mode:
    support: none
    description: There is nothing to show a difference of.
  idempotent:
    support: full
    description: Changes nothing, so a second run is no different.
"""

    KEPT = r"""
options:
  state_dir:
    description:
      - The folder on the host for what was there before, backups, and what must survive a cut, readable by its owner only.
      - It is removed with the last thing in it.
    type: path
    default: /var/lib/coolify-websocket
"""
