# SPDX-License-Identifier: GPL-3.0-or-later
"""Started as ``python3 <this folder>``: the service; with --once one pass; with --check a pass that changes nothing."""

from __future__ import annotations

import os
import sys
import time
import traceback

USAGE = """usage: apply-websocket.sh [--check]
Puts the WebSocket routes into Coolify's nginx and says what it did. With --check: says what it would do.
Exit status: 0 the routes are in place (with --check: nothing to do), 1 they are not, 2 wrong usage."""

# systemd starts the service again after a moment however it ended, and could count kills and faults only together: the
# pause after a fault of the service's own, which a start at once would meet again, is its own.
PAUSE_AFTER_FAULT = 10.0


def main(arguments: list[str]) -> int:
    folder = os.path.dirname(os.path.abspath(__file__))
    if not set(arguments) <= {"--once", "--check"}:
        print(USAGE, file=sys.stdout if "--help" in arguments else sys.stderr)
        return 0 if "--help" in arguments else 2
    try:
        from coolify_websocket import agent, settings

        configuration = settings.load(os.path.join(folder, "config.json"))
        if arguments:
            return agent.once(configuration, check="--check" in arguments)
        return agent.serve(configuration)
    except Exception:
        traceback.print_exc()
        # Before Python 3.9 it would come with the end.
        sys.stderr.flush()
        if not arguments:
            time.sleep(PAUSE_AFTER_FAULT)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
