"""Progress lines with the time since the command began."""

from __future__ import annotations

import sys
import threading
import time

_BEGAN = time.monotonic()
_LOCK = threading.Lock()


def say(message: str) -> None:
    """Print one progress line; several threads may call this at once."""
    with _LOCK:
        sys.stdout.write(f"[{time.monotonic() - _BEGAN:6.1f}s] {message}\n")
        sys.stdout.flush()


class LabError(Exception):
    """Something the person at the keyboard has to know: says what is wrong and what to do."""
