"""Makes ``ansible_collections.selfhosted.coolify`` importable from a plain checkout."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hypothesis

ROOT = Path(__file__).resolve().parent.parent
NAMESPACE = ROOT / ".collections" / "ansible_collections" / "selfhosted"

NAMESPACE.mkdir(parents=True, exist_ok=True)
if not (NAMESPACE / "coolify").exists():
    (NAMESPACE / "coolify").symlink_to("../../..")
sys.path.insert(0, str(ROOT / ".collections"))

# In CI the same commit gives the same verdict; new examples are sought by everybody's own runs and by `make fuzz`. Time
# decides no test.
hypothesis.settings.register_profile("run", derandomize=bool(os.environ.get("CI")), deadline=None)
hypothesis.settings.load_profile("run")
