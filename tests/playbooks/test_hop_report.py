"""The table and the JSON of a fleet that is played in batches, by ansible-playbook itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOSTS = ["a", "b", "c", "d", "e"]
ROW = {"hop": "app", "from": "host", "url": "coolify", "seen": "running", "milliseconds": None, "ok": True}


def play(tmp_path, serial, lost=(), options=None, **environment):
    good = {"ok": True, "broken": [], "unknown": []}
    results = {name: {"host": name, **good, "rows": [{**ROW, "host": name, "id": None}]} for name in HOSTS}
    tasks = [
        {"ansible.builtin.fail": {"msg": "lost"}, "when": f"inventory_hostname in {list(lost)}"},
        {"ansible.builtin.set_fact": {"coolify_verify_result": "{{ results[inventory_hostname] }}"}},
        {
            "selfhosted.coolify.hop_report": {
                "results": "{{ ansible_play_hosts_all | map('extract', hostvars)"
                " | selectattr('coolify_verify_result', 'defined') | map(attribute='coolify_verify_result') }}",
                "path": str(tmp_path / "report.json"),
                **(options or {}),
            },
            "when": "inventory_hostname == ansible_play_batch | first",
        },
    ]
    playbook = [{"hosts": ",".join(HOSTS), "gather_facts": False, "serial": serial, "vars": {"results": results}, "tasks": tasks}]
    (tmp_path / "play.yml").write_text(json.dumps(playbook))
    inventory = "".join(f"{name} ansible_connection=local\n" for name in HOSTS)
    # Two that no play goes to; the address of one cannot be worked out.
    inventory += "peerbox ansible_host=jumpbox\nlostbox ansible_host='{{ nowhere }}'\n"
    (tmp_path / "inventory").write_text(inventory)
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", str(tmp_path / "inventory"), str(tmp_path / "play.yml")],
        cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "COLUMNS": "200", **environment},
    )
    if environment:
        return done
    parts = done.stdout.split("TASK [selfhosted.coolify.hop_report]")[1:]
    tables = [re.findall(r"(?m)^([a-e]) +(?:app|host) ", part) for part in parts]
    report = json.loads((tmp_path / "report.json").read_text())
    return tables, [host["host"] for host in report["hosts"]], report


@pytest.mark.parametrize(
    ("serial", "tables"),
    [
        ([], ["abcde"]),
        ([2], ["ab", "cd", "abcde"]),
        # A table of one host has no column for it.
        ([1, "40%"], ["", "bc", "abcde"]),
    ],
)
def test_each_batch_shows_its_own_and_the_last_one_all(tmp_path, serial, tables):
    """Field case V6: the first batch's table had the hosts of the others as lost."""
    shown, kept, _report = play(tmp_path, serial)
    assert (["".join(table) for table in shown], kept) == (tables, HOSTS)


def test_a_host_that_fell_out_of_its_batch_is_told(tmp_path):
    shown, kept, report = play(tmp_path, [2], lost=["a"])
    assert (["".join(table) for table in shown], kept) == (["ab", "cd", "abcde"], HOSTS)
    assert [row["id"] for row in report["hosts"][0]["rows"]] == ["CWT-103"]


def test_where_standard_output_is_json_the_table_is_in_it(tmp_path):
    done = play(tmp_path, [], ANSIBLE_STDOUT_CALLBACK="ansible.posix.json")
    tasks = json.loads(done.stdout)["plays"][0]["tasks"]
    (task,) = [task for task in tasks if task["task"]["name"] == "selfhosted.coolify.hop_report"]
    (shown,) = [host["table"] for host in task["hosts"].values() if "table" in host]
    assert [line[0] for line in shown if re.match(r"[a-e] +(?:app|host) ", line)] == HOSTS


@pytest.mark.parametrize("strategy", ["free", "host_pinned"])
def test_hosts_that_do_not_wait_for_each_other_get_no_table(tmp_path, strategy):
    done = play(tmp_path, [], ANSIBLE_STRATEGY=strategy)
    assert done.returncode != 0
    assert f"The play's strategy is {strategy}" in " ".join(done.stdout.split())
    assert not (tmp_path / "report.json").exists()


@pytest.mark.parametrize("mask", [True, False])
def test_no_name_of_the_inventory_is_on_a_masked_page(tmp_path, monkeypatch, mask):
    """Field case G20: of one label, so that nothing around it tells a name."""
    monkeypatch.setitem(ROW, "seen", "peerbox by jumpbox or lostbox")
    html = tmp_path / "hops.html"
    _shown, kept, _report = play(tmp_path, [], options={"html_path": str(html), "mask": mask})
    assert kept == HOSTS
    assert bool(re.search(r"\w+box", html.read_text())) is not mask
