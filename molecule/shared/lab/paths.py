"""Where the lab keeps things: in the checkout, and in the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

SHARED = Path(__file__).resolve().parent.parent
CHECKOUT = SHARED.parent.parent
IMAGES = SHARED / "images"
COOLIFY = SHARED / "coolify"
LAB = CHECKOUT / ".lab"


def cache() -> Path:
    """Return the folder of build products that outlive a lab, made if missing."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "selfhosted.coolify"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def written(prefix: str) -> Path:
    """Return the folder of what the lab of this prefix wrote, made if missing."""
    folder = LAB / prefix
    folder.mkdir(parents=True, exist_ok=True)
    return folder
