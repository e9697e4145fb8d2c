"""The built tarball, installed into an empty place, works without the checkout."""

from __future__ import annotations

import json
import os
import subprocess

from conftest import BIN, ROOT


def test_tarball_runs_without_the_checkout(lab, tmp_path):
    environment = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections"),
        "ANSIBLE_HOME": str(tmp_path / "home"),
    }
    for command in (
        ["ansible-galaxy", "collection", "build", str(ROOT), "--output-path", str(tmp_path)],
        ["ansible-galaxy", "collection", "install", "--offline", "--no-deps", "-p", str(tmp_path / "collections"),
         str(tmp_path / "selfhosted-coolify-0.1.0.tar.gz")],
        ["ansible-playbook", "-i", str(lab.inventory), "selfhosted.coolify.site", "--check",
         "-e", json.dumps({"coolify_access": "dual"})],
    ):
        done = subprocess.run(
            [str(BIN / command[0]), *command[1:]], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    installed = tmp_path / "collections" / "ansible_collections" / "selfhosted" / "coolify"
    assert (installed / "playbooks" / "site.yml").is_file()
    for unwanted in ("molecule", "tests", "Makefile", ".lab"):
        assert not (installed / unwanted).exists(), unwanted
