# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of Ansible's strategies the roles can be played by."""

from __future__ import annotations


def refusal(strategy: str) -> str:
    """Why the hosts of a play of this strategy cannot share a table or a tunnel; empty where they can."""
    if not strategy.endswith(("free", "host_pinned")):
        return ""
    return (
        f"The play's strategy is {strategy}, by which hosts do not wait for each other: one table is of them all, and one "
        "of them changes the list of a tunnel that several share. Set strategy: linear in the play"
    )
