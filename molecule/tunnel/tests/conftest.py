"""The scenario's hosts, and Cloudflare's API."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / folder) for folder in ("tests", "molecule/shared", "tests/unit/plugins/plugin_utils")]

from ways import coolify, lab, version  # noqa: E402, F401
