"""README.md's way onto a host, as it is printed: from a checkout with the oldest ansible-core, from a tarball with the newest.

By a user without root's rights, with an empty home, ansible-core alone and no Galaxy server. The tests stand in the order of
the story.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import ssl
import subprocess
import tarfile
import warnings
from pathlib import Path

import cores
import pytest
import run as stages
import yaml
from lab_client import ROOT

CHECKOUT = "/path/to/checkout"
GREEN = re.compile(r"(?m)^Every hop.* is as it should be\.$")


def printed(heading: str) -> list[list[str]]:
    """The commands of each console block in a section of README.md."""
    section = (ROOT / "README.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [re.findall(r"(?m)^\$ (.*)$", block) for block in re.findall(r"(?s)```console\n(.*?)```", section)]


GET_ANSIBLE, FROM_GIT, FROM_FOLDER, FROM_TARBALL, (CHECK, SITE, VERIFY), (REMOVE,), (BY_SUDO,), (ON_THE_HOST,) = printed(
    "On your host"
)
# With no rights but those of a user of that name, who owns what root owns.
AS_NOBODY = ["unshare", "--user", "--map-user=nobody", "--map-group=nogroup"]


def resolving(hosts: str, *command: str) -> list[str]:
    """The command where this file is /etc/hosts."""
    return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', hosts, *command]


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
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run(["git", "-c", "user.name=lab", "-c", "user.email=lab@lab.test", *words], cwd=copy, check=True)
    return copy


class Reader:
    """Somebody who types what README.md says, whose resolver and trusted authorities are those of the lab's Internet."""

    def __init__(self, home: Path, checkout: Path, lab, python: Path, **environment: str) -> None:
        variables = lab.variables()
        self.home, self._checkout, self._session = home, checkout, []
        self.collections = home / ".ansible" / "collections" / "ansible_collections"
        self.installed = self.collections / "selfhosted" / "coolify"
        (home / "scratch").mkdir()
        (home / "ssh_config").write_text(
            f"HostKeyAlias {variables['ansible_host']}\nIdentityFile {lab.folder}/id_ed25519\n"
            f"UserKnownHostsFile {lab.folder}/known_hosts\n"
        )
        self.hosts = home / "hosts"
        self.hosts.write_text(
            f"127.0.0.1 localhost\n{variables['ansible_host']} coolify.example.com\n"
            f"{variables['lab_edge_address']} {variables['lab_domain']}\n"
        )
        self.authorities = home / "authorities.pem"
        public = ssl.get_default_verify_paths().cafile
        self.authorities.write_text(
            Path(variables["coolify_verify_ca_path"]).read_text() + (Path(public).read_text() if public else "")
        )
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "VIRTUAL_ENV", "PYTHON"))}
        self._environment = {
            **kept,
            **stages.sanity_environment(),
            "HOME": str(home),
            "PATH": f"{python.resolve().parent}:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "SSL_CERT_FILE": str(self.authorities),
            "ANSIBLE_GALAXY_SERVER": "http://127.0.0.1:9",
            # With what Ansible gives by itself.
            "ANSIBLE_SSH_ARGS": f"-F {home}/ssh_config -C -o ControlMaster=auto -o ControlPersist=60s",
            **environment,
        }

    def here(self, command: str) -> str:
        return command.replace(CHECKOUT, str(self._checkout))

    def types(self, *commands: str, answer: str = "") -> str:
        """All that they say. What a command sets in the shell stays for later ones."""
        said = ""
        for command in map(self.here, commands):
            if command.startswith(". "):
                self._session.append(command)
            done = subprocess.run(
                resolving(str(self.hosts), *AS_NOBODY, "bash", "-c", "\n".join([*self._session, command])),
                cwd=self.home / "scratch", env=self._environment, input=answer, start_new_session=True,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
            said += done.stdout + done.stderr
        return said

    def core(self) -> list[int]:
        """The release of ansible-core that the virtual environment has."""
        found = re.search(r"core (\d+)\.(\d+)", self.types("ansible --version"))
        assert found
        return [int(number) for number in found.groups()]


@pytest.fixture(scope="module")
def oldest(tmp_path_factory, checkout, lab):
    home = tmp_path_factory.mktemp("oldest")
    python = cores.python_for(cores.OLDEST)
    assert python, f"this machine has no Python for ansible-core {cores.OLDEST}"
    (home / "constraint").write_text(f"ansible-core=={cores.CORES[cores.OLDEST][0]}\n")
    # Together with the oldest Python that a host may have, which no core since 2.20 works with.
    on_host = stages.oldest_python()
    if on_host is None:
        warnings.warn(f"no Python {stages.OLDEST_PYTHON} on this machine: seen with the host's own", stacklevel=1)
    interpreter = {} if on_host is None else {"ANSIBLE_PYTHON_INTERPRETER": str(on_host)}
    return Reader(home, checkout, lab, python, PIP_CONSTRAINT=str(home / "constraint"), **interpreter)


@pytest.fixture(scope="module")
def newest(tmp_path_factory, checkout, lab):
    python = next(filter(None, map(cores.python_for, reversed(cores.CORES))))
    return Reader(tmp_path_factory.mktemp("newest"), checkout, lab, python)


def changed(said: str) -> int:
    found = re.findall(r"(?m)^\S+ +: ok=.* changed=(\d+) ", said)
    assert len(found) == 1, said
    return int(found[0])


def test_from_a_checkout(oldest):
    oldest.types(*GET_ANSIBLE)
    assert oldest.core() == [int(number) for number in cores.OLDEST.split(".")]
    for install in (FROM_FOLDER, FROM_GIT):
        oldest.types(*install)
        assert (oldest.installed / "playbooks" / "site.yml").is_file()
        assert not (oldest.installed / "molecule").exists()


def test_the_example_of_requirements(oldest, checkout):
    example = (checkout / "requirements.yml").read_text()
    (command,) = re.findall(r"(?m)^# +(ansible-galaxy .*)$", example)
    (shows_commit,) = re.findall(r"(?m)^# +(git .*)$", example)
    commit = yaml.safe_load(example)["collections"][0]["version"]
    (oldest.home / "scratch" / "requirements.yml").write_text(
        oldest.here(example).replace(commit, oldest.types(shows_commit).strip())
    )
    shutil.rmtree(oldest.installed)
    oldest.types(command)
    assert (oldest.installed / "playbooks" / "site.yml").is_file()


def test_the_oldest_core_reaches_a_green_table(oldest):
    assert [path.name for path in oldest.collections.iterdir()] == ["selfhosted"]
    assert changed(oldest.types(CHECK)) > 0
    assert GREEN.search(oldest.types(SITE))
    assert GREEN.search(oldest.types(VERIFY))


def test_a_user_with_sudo(oldest, lab):
    password = secrets.token_hex(8)
    lab.shell(
        "useradd -m -G sudo -s /bin/sh deploy && install -d -o deploy /home/deploy/.ssh"
        " && install -o deploy -m 600 /root/.ssh/authorized_keys /home/deploy/.ssh/"
        f" && echo 'deploy:{password}' | chpasswd"
    )
    assert GREEN.search(oldest.types(BY_SUDO, answer=f"{password}\n"))
    lab.shell("pkill -u deploy; userdel -rf deploy", check=False)


def test_a_tarball_replaces_an_older_one(newest, checkout):
    newest.types(*GET_ANSIBLE)
    gone, other = checkout / "plugins" / "modules" / "of_before.py", checkout / "playbooks" / "site.yml"
    now = other.read_bytes()
    gone.write_text("# Not there any more.\n")
    other.write_text("[]\n")
    newest.types(*FROM_TARBALL)
    assert (newest.installed / "plugins" / "modules" / "of_before.py").exists()
    gone.unlink()
    other.write_bytes(now)
    newest.types(*FROM_TARBALL)
    (tarball,) = checkout.glob("selfhosted-coolify-*.tar.gz")
    with tarfile.open(tarball) as packed:
        files = {member.name for member in packed if member.isfile()}
    assert {str(path.relative_to(newest.installed)) for path in newest.installed.rglob("*") if path.is_file()} == files
    made = {"FILES.json", "MANIFEST.json"}
    assert [name for name in files - made if (newest.installed / name).read_bytes() != (checkout / name).read_bytes()] == []
    assert not {name.split("/")[0] for name in files} & {"molecule", "tests", "Makefile", ".lab", ".git"}


def test_the_newest_core_finds_nothing_to_change(newest):
    assert newest.core() > [int(number) for number in cores.OLDEST.split(".")]
    assert changed(newest.types(SITE)) == 0


def test_the_oldest_core_takes_everything_back(oldest):
    assert changed(oldest.types(REMOVE)) > 0


def test_the_newest_core_reaches_a_green_table(newest):
    assert [path.name for path in newest.collections.iterdir()] == ["selfhosted"]
    assert changed(newest.types(CHECK)) > 0
    assert GREEN.search(newest.types(SITE))
    assert GREEN.search(newest.types(VERIFY))


def test_on_the_coolify_host_itself(newest, checkout, lab):
    (packages,) = (newest.home / "ansible" / "lib").glob("python3.*/site-packages")
    (tarball,) = checkout.glob("selfhosted-coolify-*.tar.gz")
    lab.shell("mkdir /root/reader")
    for path in (packages, tarball, newest.hosts, newest.authorities):
        subprocess.run(["docker", "cp", "-q", str(path), f"{lab.host}:/root/reader/"], check=True)
    # The host reaches no package registry: what pip would bring is there already, without the commands.
    script = [
        "set -e; cd; export HOME=/root/reader PYTHONPATH=/root/reader/site-packages LC_ALL=C.UTF-8",
        f"export SSL_CERT_FILE=/root/reader/{newest.authorities.name}",
        'ansible-galaxy() { python3 -m ansible.cli.galaxy "$@"; }; ansible-playbook() { python3 -m ansible.cli.playbook "$@"; }',
        FROM_TARBALL[1].replace(CHECKOUT, "/root/reader"),
        ON_THE_HOST,
    ]
    said = lab.run(lab.host, *resolving(f"/root/reader/{newest.hosts.name}", "bash", "-c", "\n".join(script)))
    assert GREEN.search(said), said
    lab.shell("rm -r /root/reader")


def test_the_newest_core_takes_everything_back(newest):
    assert changed(newest.types(REMOVE)) > 0
