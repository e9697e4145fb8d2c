"""The lab's command: a Coolify host and its surroundings on this machine."""

from __future__ import annotations

import argparse
import sys

import engine
from progress import LabError

def main() -> int:
    p = argparse.ArgumentParser()
    p.add_argument("command")
    a = p.parse_args()
    try:
        if a.command == "engine":
            engine.ensure()
        elif a.command == "stop-engine":
            engine.stop()
    except LabError as e:
        print("lab:", e)
        return 1
    return 0

sys.exit(main())
