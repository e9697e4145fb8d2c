"""The README's first commands, as they are printed there, work in an empty home, without the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest
import yaml
from lab_client import BIN, ROOT

URL = yaml.safe_load((ROOT / "galaxy.yml").read_text())["repository"]


def printed(heading: str) -> list[list[str]]:
    """The commands of each console block in a section of README.md."""
    section = re.split(r"(?m)^## ", (ROOT / "README.md").read_text().split(f"## {heading}\n")[1])[0]
    blocks = re.findall(r"(?s)```console\n(.*?)```", section)
    return [re.findall(r"(?m)^\$ (.*)$", block) for block in blocks]


(FROM_GIT, SITE), FROM_CHECKOUT, (REMOVE,) = printed("In two commands")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """The files as they are now, as a repository with one commit, so that what is not committed is tested too."""
    copy = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name, follow_symlinks=False)
    # The tools are those of this checkout; to fetch them once more would prove nothing about the collection.
    (copy / ".venv").symlink_to(ROOT / ".venv")
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run(["git", "-c", "user.name=lab", "-c", "user.email=lab@lab.test", *words], cwd=copy, check=True)
    return copy


class Somebody:
    """A user with an empty home, to whom the repository's address leads to the checkout, and the host's to the lab."""

    def __init__(self, home, checkout, lab):
        self.home = home
        self.scratch = home / "scratch"
        self.scratch.mkdir()
        variables = lab.variables()
        (home / "ssh_config").write_text(
            f"Host coolify.example.com\n  HostName {variables['ansible_host']}\n  HostKeyAlias {variables['ansible_host']}\n"
            f"  IdentityFile {lab.folder}/id_ed25519\n  UserKnownHostsFile {lab.folder}/known_hosts\n"
        )
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        self.environment = {
            **kept,
            "HOME": str(home),
            "PATH": f"{BIN}:{os.environ['PATH']}",
            # With what Ansible gives by itself.
            "ANSIBLE_SSH_ARGS": f"-F {home}/ssh_config -C -o ControlMaster=auto -o ControlPersist=60s",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.file://{checkout}.insteadOf",
            "GIT_CONFIG_VALUE_0": URL,
        }

    def types(self, command):
        done = subprocess.run(
            command, shell=True, cwd=self.scratch, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
        return done.stdout

    @property
    def installed(self):
        return self.home / ".ansible" / "collections" / "ansible_collections" / "selfhosted" / "coolify"


@pytest.fixture
def somebody(tmp_path, checkout, lab):
    return Somebody(tmp_path, checkout, lab)


def test_from_the_repository(somebody):
    assert URL in FROM_GIT
    somebody.types(FROM_GIT)
    assert "changed=" in somebody.types(f"{SITE} --check --diff")
    assert "changed=" in somebody.types(f"{REMOVE} --check --diff")


def test_from_a_checkout(somebody, checkout):
    (somebody.scratch / "path" / "to").mkdir(parents=True)
    (somebody.scratch / "path" / "to" / "checkout").symlink_to(checkout)
    for command in FROM_CHECKOUT:
        somebody.types(command)
    assert (somebody.installed / "playbooks" / "site.yml").is_file()
    for unwanted in ("molecule", "tests", "Makefile", ".lab"):
        assert not (somebody.installed / unwanted).exists(), unwanted
    somebody.types(f"{SITE} --check --diff")


def test_from_the_example_of_requirements(somebody, checkout):
    somebody.types(f"ansible-galaxy collection install -r {checkout}/requirements.yml")
    assert (somebody.installed / "playbooks" / "site.yml").is_file()
