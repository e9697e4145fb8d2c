"""What ends a run before its first task on a host: no host, a wrong variable, an ansible-core that is too old.

By the three playbooks of the collection, as a user starts them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cores
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(sys.executable).parent
PLAYBOOKS = ("site", "verify", "remove")
CORES = ("2.17", "current")


def run(tmp_path, playbook, *options, core="current", inventory="host-a,", **environment):
    """Exit code and whole output. A host that a role got to would be unreachable."""
    commands = HERE if core == "current" else cores.ensure(core)
    if commands is None:
        pytest.fail(f"this machine has no Python for ansible-core {core}")
    done = subprocess.run(
        [str(commands / "ansible-playbook"), "-i", inventory, f"selfhosted.coolify.{playbook}", "--ssh-extra-args=-p 9",
         "-e", "ansible_host=127.0.0.1", *options],
        env={
            "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "COLUMNS": "1000",
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"), "ANSIBLE_NOCOLOR": "1", **environment,
        },
        cwd=tmp_path, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def inventory(tmp_path):
    (tmp_path / "inventory").write_text("[web]\nw.example.org\n[panels]\np.example.org\n")
    return "inventory"


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_a_group_that_is_not_there(tmp_path, inventory, playbook):
    code, said = run(tmp_path, playbook, inventory=inventory)
    assert code != 0
    assert "No host of the inventory matches 'coolify' (variable coolify_hosts). The inventory's groups are: panels, web." in said


@pytest.mark.parametrize("core", CORES)
def test_no_host_in_the_words_of_each_mistake(tmp_path, inventory, core):
    # A comma is missing: Ansible takes the name for a file's.
    code, said = run(tmp_path, "verify", "-e", "coolify_hosts=all", inventory="host-a", core=core)
    assert code != 0
    assert "The inventory has no host: check the option -i. A host name in the place of a file ends in a comma" in said
    # A host and no group.
    code, said = run(tmp_path, "verify", core=core)
    assert code != 0
    assert "The inventory has hosts and no group: set coolify_hosts=all" in said
    # Hosts, of which --limit leaves none.
    code, said = run(tmp_path, "verify", "-e", "coolify_hosts=panels", "-l", "web", inventory=inventory, core=core)
    assert code != 0
    assert "No host that matches 'panels' (variable coolify_hosts) is within --limit 'web'." in said


def test_a_pattern_is_taken_as_ansible_takes_it(tmp_path, inventory):
    for pattern, limit in (("all:!web", "p*"), ("~p\\..*", "all"), ("panels", "panels:web")):
        code, said = run(tmp_path, "verify", "-e", f"coolify_hosts={pattern}", "-l", limit, inventory=inventory)
        assert "No host" not in said
        assert (code, "CWT-101" in said) == (2, True), said


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_a_misspelt_variable(tmp_path, playbook):
    code, said = run(tmp_path, playbook, "-e", "coolify_hosts=all coolify_domian=coolify.example.org")
    assert code == 2
    assert "coolify_domian is no variable of selfhosted.coolify. Did you mean coolify_domain?" in said
    assert "unreachable=0" in said


def test_a_variable_of_ones_own(tmp_path):
    mine = {"coolify_hosts": "all", "coolify_backup_host": "b.example.org", "coolify_own_variables": ["coolify_backup_host"]}
    code, said = run(tmp_path, "verify", "-e", json.dumps(mine))
    assert "is no variable of" not in said
    assert (code, "CWT-101" in said) == (2, True), said
    mine["coolify_own_variables"] = []
    assert "coolify_backup_host is no variable" in run(tmp_path, "verify", "-e", json.dumps(mine))[1]


#: What is given, and the sentence for it.
WRONG = {
    "coolify_access": ("everything", "coolify_access is 'everything', and has to be one of: auto, domain, tailscale, dual."),
    "coolify_verify_deadline": ("soon", "coolify_verify_deadline is 'soon', and has to be a number."),
    "coolify_nginx_read_timeout": (["x"], "coolify_nginx_read_timeout is a list, and has to be a whole number."),
    "coolify_pusher_recreate": ("perhaps", "coolify_pusher_recreate is 'perhaps', and has to be true or false."),
    "coolify_access_extra_domains": ("b.io", "coolify_access_extra_domains is 'b.io', and has to be a list, such as ['b.io']."),
    "coolify_domain": (None, "coolify_domain has no value: give it a text, or take the line away."),
    "coolify_verify_connect_to": (["a"], "coolify_verify_connect_to is a list, and has to be a mapping."),
    "coolify_verify_html_path": ("{{ nowhere }}/x", "coolify_verify_html_path has a value that Ansible cannot work out:"),
}


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_wrong_values_are_a_sentence_each(tmp_path, core, playbook):
    given = {"coolify_hosts": "all", **{name: value for name, (value, _words) in WRONG.items()}}
    code, said = run(tmp_path, playbook, "-e", json.dumps(given), core=core)
    assert code == 2
    # YAML doubles the quotes in a text of its own.
    shown = said.replace("''", "'")
    assert {name: words in shown for name, (_value, words) in WRONG.items()} == dict.fromkeys(WRONG, True), said
    assert "unreachable=0" in said
    for dumped in ("argument_spec", "argument_errors", "short_description", "elements"):
        assert dumped not in said


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_an_ansible_that_is_too_old_names_both_releases(tmp_path, playbook):
    code, said = run(tmp_path, playbook, "-e", "coolify_hosts=all", core="2.16")
    wanted = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["requires_ansible"].strip(">=")
    assert code == 2
    assert f"This is ansible-core 2.16.14; selfhosted.coolify needs {wanted} or newer" in said
    assert "unreachable=0" in said


@pytest.mark.parametrize("strategy", ["free", "host_pinned"])
def test_a_play_of_ones_own_whose_hosts_do_not_wait_is_refused_at_its_first_role(tmp_path, strategy):
    roles = [f"selfhosted.coolify.coolify_{name}" for name in ("nginx", "verify")]
    play = {"hosts": "all", "gather_facts": False, "connection": "local", "strategy": strategy, "roles": roles}
    (tmp_path / "own.yml").write_text(json.dumps([play]))
    (tmp_path / "inventory").write_text("a\nb\n")
    done = subprocess.run(
        [str(HERE / "ansible-playbook"), "-i", "inventory", "own.yml"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "ANSIBLE_NOCOLOR": "1",
             "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections")},
    )  # fmt: skip
    said = " ".join(done.stdout.split())
    assert done.returncode == 2
    assert f"The play's strategy is {strategy}, by which hosts do not wait for each other" in said
    assert "Nothing was changed." in said
    assert "Route the WebSockets" not in said


def test_every_fact_that_a_role_leaves_is_known():
    check = (ROOT / "plugins" / "plugin_utils" / "role_variables.py").read_text()
    left = set()
    for path in ROOT.glob("roles/*/*/*.yml"):
        for task in tasks(yaml.safe_load(path.read_text())):
            left |= {*(task.get("ansible.builtin.set_fact") or {}), task.get("register")}
    public = {name for name in left - {None, "cacheable"} if name.startswith("coolify_")}
    assert {"coolify_access_plan", "coolify_verify_result"} < public
    assert [name for name in sorted(public) if f'"{name}"' not in check] == []


def tasks(found):
    for task in found if isinstance(found, list) else []:
        yield task
        for part in ("block", "rescue", "always"):
            yield from tasks(task.get(part))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("coolify_verify_deadline", 0, "coolify_verify_deadline is 0"),
        ("coolify_verify_deadline", -1.5, "coolify_verify_deadline is -1.5"),
        ("coolify_verify_outside_hosts", ["host-a", "hots-b"], "the inventory has no host hots-b. Correct the name"),
        ("coolify_verify_domain_hosts", ["hots-b"], "the inventory has no host hots-b. Correct the name"),
        ("coolify_verify_tailnet_hosts", ["hots-b", "c"], "the inventory has no host c and no hots-b. Correct the name"),
        ("coolify_verify_ca_path", "nowhere.pem", "coolify_verify_ca_path: nowhere.pem is no file on the control node"),
        ("coolify_verify_ca_path", "key.pem", "coolify_verify_ca_path: key.pem is no file on the control node"),
        ("coolify_verify_ca_path", "ca.der", "coolify_verify_ca_path: ca.der is no file on the control node"),
        # Nothing is wrong with these: the host is looked at.
        ("coolify_verify_ca_path", "ca.pem", "CWT-101"),
        ("coolify_verify_outside_hosts", ["localhost", "host-a"], "CWT-101"),
    ],
)
@pytest.mark.parametrize("core", CORES)
def test_what_verify_cannot_use_ends_it_before_it_looks(tmp_path, name, value, said, core):
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n")
    (tmp_path / "ca.der").write_bytes(b"\x30\x82\xff\x00")
    (tmp_path / "ca.pem").write_text("# Wurzel für alle\n-----BEGIN CERTIFICATE-----\nMIIB+/==\n-----END CERTIFICATE-----\n")
    if name == "coolify_verify_ca_path":
        value = str(tmp_path / value)
        said = said.replace("ca_path: ", f"ca_path: {tmp_path}/")
    code, output = run(tmp_path, "verify", "-e", "coolify_hosts=all", "-e", json.dumps({name: value}), core=core)
    assert code != 0
    assert said in output
    assert ("CWT-101" in output) == (said == "CWT-101")
