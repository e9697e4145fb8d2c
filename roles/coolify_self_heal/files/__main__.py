# SPDX-License-Identifier: GPL-3.0-or-later
"""Started as ``python3 <this folder>``: the service; with --once one pass; with --check a pass that changes nothing."""

from __future__ import annotations

import os
import sys

from coolify_websocket import agent, settings

USAGE = """usage: apply-websocket.sh [--check]
Puts the WebSocket routes into Coolify's nginx and says what it did. With --check: says what it would do.
Exit status: 0 the routes are in place (with --check: nothing to do), 1 they are not, 2 wrong usage."""


def main(arguments: list[str]) -> int:
    folder = os.path.dirname(os.path.abspath(__file__))
    if not set(arguments) <= {"--once", "--check"}:
        print(USAGE, file=sys.stdout if "--help" in arguments else sys.stderr)
        return 0 if "--help" in arguments else 2
    configuration = settings.load(os.path.join(folder, "config.json"))
    if arguments:
        return agent.once(configuration, check="--check" in arguments)
    return agent.serve(configuration)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
