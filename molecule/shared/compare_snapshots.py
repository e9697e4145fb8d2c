"""Compares two snapshots of a host (host_snapshot.py); prints each difference; exits 1 if there is one."""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path

RULES = ("iptables", "ip6tables", "nft")


def flat(snapshot: dict, listed: list[str]) -> list[str]:
    lines = [f"{path}: {state}" for path, state in sorted(snapshot["files"].items())]
    lines += [f"{kind}: {rule}" for kind in listed for rule in snapshot[kind]]
    lines += [f"unit: {unit}" for unit in snapshot["units"]]
    return [*lines, f"http.conf in the container: {snapshot['http.conf']}"]


def differences(before: dict, after: dict) -> list[str]:
    """One line each. Rules that could not be listed before, since the tool came later, must not hold a trace of ours."""
    listed = [kind for kind in RULES if before[kind] is not None and after[kind] is not None]
    ours = [
        f"+{kind}: {rule}" for kind in RULES if before[kind] is None for rule in after[kind] or () if "coolify" in rule
    ]
    return ours + [
        line
        for line in difflib.unified_diff(flat(before, listed), flat(after, listed), lineterm="", n=0)
        if not line.startswith(("---", "+++", "@@"))
    ]


if __name__ == "__main__":
    found = differences(*(json.loads(Path(name).read_text()) for name in sys.argv[1:3]))
    print("\n".join(found) or "no difference")
    sys.exit(bool(found))
