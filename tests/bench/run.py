"""Measures what the collection promises in figures, in a lab of its own: a table, and the same as JSON.

    .venv/bin/python tests/bench/run.py [--quick] [--only FIGURE] [--json FILE]

Every figure is a count or a ratio within one run, or a time between two things that were seen in it; the load of the
machine is told beside them. Exit status 1 where a figure is above its limit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / ".collections"), str(ROOT / "molecule" / "shared")]

import hostile  # noqa: E402
import playbook  # noqa: E402
import self_heal  # noqa: E402
import sizes  # noqa: E402
import terminal  # noqa: E402
import verify  # noqa: E402
from coolify_host import CoolifyHost  # noqa: E402
from figures import Figure, table  # noqa: E402

_NAMES = ("hostile", "sizes", "playbook", "verify", "terminal")
LAB = [sys.executable, "molecule/shared/lab"]


def lab(*words: str) -> None:
    subprocess.run([*LAB, *words], cwd=ROOT, check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few repetitions: whether it can be measured at all")
    parser.add_argument("--only", action="append", metavar="FIGURE", choices=[*_NAMES, *self_heal.MEASUREMENTS])
    parser.add_argument("--json", type=Path, default=ROOT / ".cache" / "bench.json", metavar="FILE")
    parser.add_argument("--prefix", default="bench", help="which lab (default: bench)")
    parser.add_argument("--coolify", default="4.7.6", metavar="VERSION", help="of the host (default: 4.7.6)")
    parser.add_argument("--keep", action="store_true", help="leave the lab up")
    options = parser.parse_args()
    inventory = ROOT / ".lab" / options.prefix / "inventory.yml"
    figures: list[Figure] = []
    lab("up", "--prefix", options.prefix, "--system", "trixie", "--coolify", options.coolify)
    try:
        playbook.play(inventory)
        host = CoolifyHost(f"{options.prefix}-coolify")
        bench = self_heal.Bench(host, options.coolify, lambda: playbook.play(inventory), options.quick)
        measurements = {
            "hostile": hostile.endured,
            "sizes": sizes.grown,
            "playbook": lambda bench: playbook.unchanged(inventory, host.address, bench.times(5)),
            "verify": lambda bench: verify.looked(inventory, bench.times(3)),
            "terminal": lambda bench: terminal.cost(host, bench.times(3), bench.times(200)),
            **self_heal.MEASUREMENTS,
        }
        for name, measure in measurements.items():
            if not options.only or name in options.only:
                print(f"{name} …", flush=True)
                found = measure(bench)
                figures += found
                print(table(found), flush=True)
    finally:
        if not options.keep:
            lab("down", "--prefix", options.prefix, "--keep-engine")
    print("\n" + table(figures))
    result = {
        "quick": options.quick,
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
        "figures": [{**figure._asdict(), "ok": figure.ok} for figure in figures],
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))
    return int(not all(figure.ok for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
