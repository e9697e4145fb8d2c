"""Compares two snapshots of a host (host_snapshot.py); prints each difference; exits 1 if there is one."""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path


def flat(snapshot: dict) -> list[str]:
    lines = [f"{path}: {state}" for path, state in sorted(snapshot["files"].items())]
    lines += [f"rule: {rule}" for rule in snapshot["rules"]]
    lines += [f"unit: {unit}" for unit in snapshot["units"]]
    return [*lines, f"http.conf in the container: {snapshot['http.conf']}"]


def differences(before: dict, after: dict) -> list[str]:
    return [
        line
        for line in difflib.unified_diff(flat(before), flat(after), lineterm="", n=0)
        if not line.startswith(("---", "+++", "@@"))
    ]


if __name__ == "__main__":
    found = differences(*(json.loads(Path(name).read_text()) for name in sys.argv[1:3]))
    print("\n".join(found) or "no difference")
    sys.exit(bool(found))
