"""The releases of ansible-core that README.md promises, each in a virtual environment of its own in ``.cache/cores``."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "cores"

#: Release line -> the release tested, and the oldest Python that it runs on.
CORES = {
    "2.17": ("2.17.14", (3, 10)),
    "2.18": ("2.18.19", (3, 11)),
    "2.19": ("2.19.14", (3, 11)),
    "2.20": ("2.20.10", (3, 12)),
    "2.21": ("2.21.5", (3, 12)),
}
OLDEST, CURRENT = "2.17", "2.21"
#: The oldest that Ansible itself still supports.
OLDEST_SUPPORTED = "2.20"
#: One that is refused.
TOO_OLD = {"2.16": ("2.16.14", (3, 10))}
_NEWEST_PYTHON = {"2.16": (3, 12), "2.17": (3, 12)}


def shown(line: str) -> str:
    """Return the release of this line as the table names it."""
    return CORES[line][0] + (" (the oldest that Ansible still supports)" if line == OLDEST_SUPPORTED else "")


def python_for(line: str) -> Path | None:
    """Return a Python that this release line runs on: this one, one under a pyenv, or a command; None without any."""
    least, most = _release(line)[1], _NEWEST_PYTHON.get(line, (3, 13))
    if least <= sys.version_info[:2] <= most:
        return Path(sys.executable)
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for minor in range(least[1], most[1] + 1):
        candidates = [*sorted(root.glob(f"versions/3.{minor}.*/bin/python")), shutil.which(f"python3.{minor}")]
        for candidate in filter(None, candidates):
            return Path(candidate)
    return None


def ensure(line: str) -> Path | None:
    """Return the folder with the commands of this release line, made where it is missing; None without a Python for it.

    Raises:
        subprocess.CalledProcessError: the package registry does not answer.
    """
    release = _release(line)[0]
    home = CACHE / release
    python = python_for(line)
    if python is None:
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{release}.lock").open("w") as lock:
        # Tests that run beside each other may want the same one.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / ".ready").exists():
            shutil.rmtree(home, ignore_errors=True)
            subprocess.run([str(python), "-m", "venv", str(home)], check=True)
            pip = [str(home / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, f"ansible-core=={release}"], check=True)
            (home / ".ready").touch()
    return home / "bin"


def _release(line: str) -> tuple[str, tuple[int, int]]:
    return {**CORES, **TOO_OLD}[line]


def collections_path() -> str:
    """Return where the collections lie that the virtual environment of the checkout has, this one first."""
    site = next((ROOT / ".venv" / "lib").glob("python3.*/site-packages"))
    return f"{ROOT / '.collections'}:{site}"
