"""Builds the documentation of the modules, filters and roles as a site in build/site, as antsibull-docs and Sphinx do.

Every warning ends it with exit status 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "build" / "site"
NAME = "selfhosted.coolify"
# Ansible's own pages that the generated text refers to. Sphinx would fetch the list of all, which needs the network.
ANSIBLE = "https://docs.ansible.com/projects/ansible/latest/"
LABELS = {
    "action_plugins": "plugins/action.html#action-plugins",
    "ansible_configuration_settings": "reference_appendices/config.html#ansible-configuration-settings",
    "common_return_values": "reference_appendices/common_return_values.html#common-return-values",
}
SPHINX = f"""
intersphinx_mapping = {{"ansible": ("{ANSIBLE}", "../ansible.inv")}}
"""
# The collection is on no Galaxy server: its pages lead to the site's first, and say how a checkout is installed.
ANTSIBULL = f"""
breadcrumbs = true
indexes = true
collection_url = {{
  {NAME} = "index.html"
}}
collection_install = {{
  {NAME} = "ansible-galaxy collection install git+file:///path/to/checkout"
}}
"""


def inventory() -> bytes:
    """Sphinx's list of the pages that may be referred to, as its version 2 is written."""
    lines = "".join(f"{label} std:label -1 {place} {label.replace('_', ' ')}\n" for label, place in LABELS.items())
    head = ("Sphinx inventory version 2", "Project: Ansible", "Version: ", "The remainder of this file is compressed using zlib.")
    return "".join(f"# {line}\n" for line in head).encode() + zlib.compress(lines.encode())


def command(name: str, *arguments: str) -> None:
    commands = Path(sys.executable).parent
    environment = {"PATH": f"{commands}:{os.environ['PATH']}", "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections")}
    subprocess.run([str(commands / name), *arguments], cwd=SITE, env={**os.environ, **environment}, check=True)


def main() -> int:
    shutil.rmtree(SITE, ignore_errors=True)
    SITE.mkdir(parents=True)
    whose = ["--project", NAME, "--title", NAME, "--copyright", f"{NAME} contributors"]
    try:
        command("antsibull-docs", "sphinx-init", "--use-current", "--squash-hierarchy", "--dest-dir", ".", *whose, NAME)
        with (SITE / "conf.py").open("a") as settings:
            settings.write(SPHINX)
        (SITE / "antsibull-docs.cfg").write_text(ANTSIBULL)
        (SITE / "ansible.inv").write_bytes(inventory())
        command(
            "antsibull-docs", "--config-file", "antsibull-docs.cfg", "collection", "--use-current", "--squash-hierarchy",
            "--fail-on-error", "--dest-dir", "rst", NAME,
        )
        command("sphinx-build", "-M", "html", "rst", "build", "-c", ".", "-q", "-W", "--keep-going")
    except subprocess.CalledProcessError as error:
        return int(error.returncode)
    print(f"{(SITE / 'build' / 'html' / 'index.html').relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
