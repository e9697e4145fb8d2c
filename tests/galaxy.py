"""Builds the tarball and imports it as a Galaxy server would; exit status 1 at an error or a warning of galaxy-importer."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
BUILT = ROOT / ".cache" / "galaxy"
# What it objects to it only logs.
OBJECTION = re.compile(r"(?m)^(WARNING|ERROR|CRITICAL): ")


def main() -> int:
    shutil.rmtree(BUILT, ignore_errors=True)
    build = [str(BIN / "ansible-galaxy"), "collection", "build", "--output-path", str(BUILT)]
    subprocess.run(build, cwd=ROOT, check=True)
    (tarball,) = BUILT.glob("*.tar.gz")
    done = subprocess.run(
        [sys.executable, "-m", "galaxy_importer.main", tarball.name],
        cwd=BUILT,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "GALAXY_IMPORTER_ANSIBLE_LOCAL_TMP": str(BUILT / "tmp")},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )
    print(done.stdout)
    return int(done.returncode != 0 or OBJECTION.search(done.stdout) is not None)


if __name__ == "__main__":
    sys.exit(main())
