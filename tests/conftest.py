"""Makes ``ansible_collections.selfhosted.coolify`` importable from a plain checkout."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMESPACE = ROOT / ".collections" / "ansible_collections" / "selfhosted"

NAMESPACE.mkdir(parents=True, exist_ok=True)
if not (NAMESPACE / "coolify").exists():
    (NAMESPACE / "coolify").symlink_to("../../..")
sys.path.insert(0, str(ROOT / ".collections"))
