"""The main job on one host, from an untreated Coolify to a stock one again. The tests stand in the order of the story."""

from __future__ import annotations

import os
import re
import typing as t
from pathlib import Path

from compare_snapshots import differences
from coolify_host import CoolifyHost
from lab_client import Browsing

DUAL = {"coolify_access": "dual"}
# Longer than what keeps a socket alive is apart, and than the stock time-outs of a proxy in `make test-all`.
IDLE = os.environ.get("LAB_IDLE_SECONDS", "35")
state: dict[str, t.Any] = {}


def bare_paths(lab) -> str:
    """What the page's port answers on the two prefixes without their slash."""
    asked = "curl -s -o /dev/null -w '%{http_code} %{redirect_url}\\n' http://127.0.0.1:8000"
    return lab.shell(f"for path in /app /apps; do {asked}$path; done")


def reported(lab) -> dict[str, str]:
    """The variables for a report in each form, and where it is."""
    return {f"coolify_verify_{name}_path": str(lab.folder / f"site-report-{name}") for name in ("report", "html", "junit")}


def secrets(lab) -> list[str]:
    """Every secret that the host has: of .env, of the tunnel, of Coolify's key to its servers."""
    lines = lab.shell("grep -E '^[A-Z_]*(KEY|SECRET|PASSWORD|TOKEN|APP_ID)[A-Z_]*=..' /data/coolify/source/.env").splitlines()
    values = [line.split("=", 1)[1].strip().strip("\"'") for line in lines]
    values += re.findall(r'"TunnelSecret": *"([^"]+)"', lab.shell("cat /etc/cloudflared/*.json", check=False))
    keys = lab.shell("grep -hv -- ----- $(grep -l 'PRIVATE KEY' /data/coolify/ssh/keys/*)").split()
    assert len([value for value in values if len(value) >= 12]) >= 5, lines
    assert len(keys) >= 3
    return [value.removeprefix("base64:") for value in values if len(value) >= 12] + keys


def assert_no_secret(lab, run) -> None:
    files = [Path(path) for path in reported(lab).values()]
    text = run.text + "".join(file.read_text() for file in files) + lab.shell("journalctl --no-pager -o cat")
    assert all(file.stat().st_size > 1000 for file in files)
    for number, value in enumerate(secrets(lab)):
        assert value not in text, f"secret {number} is shown"
    for file in files:
        file.unlink()


def test_untreated_host_is_red_with_named_causes(lab):
    state["untreated"] = lab.snapshot()
    state["bare paths"] = bare_paths(lab)
    run = lab.play("playbooks/verify.yml", "-vvv", **DUAL, **reported(lab))
    assert run.code != 0
    assert_no_secret(lab, run)
    for hop in ("nginx", "tunnel", "firewall", "environment", "self-heal"):
        assert re.search(rf"CWT-\S+\s.*{hop}|{hop}.*CWT-", run.text), hop


def test_check_mode_of_verify_is_as_red(lab):
    assert lab.play("playbooks/verify.yml", "--check", **DUAL).code != 0


def test_check_mode_changes_nothing(lab):
    run = lab.play("playbooks/site.yml", "--check", "--diff", **DUAL)
    assert run.code == 0, run.text
    state["predicted"] = run.changed[lab.host]
    assert differences(state["untreated"], lab.snapshot()) == []


def test_run_does_what_check_mode_said(lab):
    run = lab.play("playbooks/site.yml", "--diff", **DUAL)
    assert run.code == 0, run.text
    assert run.changed[lab.host] == state["predicted"]


def test_paths_that_only_look_alike_answer_as_before(lab):
    assert bare_paths(lab) == state["bare paths"]


def test_second_run_changes_nothing(lab):
    run = lab.play("playbooks/site.yml", **DUAL)
    assert run.code == 0, run.text
    assert run.stats[lab.host]["changed"] == 0, run.changed


def test_check_mode_is_red_where_no_change_would_mend_it(lab):
    lab.shell("systemctl stop cloudflared")
    try:
        runs = [lab.play(f"playbooks/{name}.yml", "--check", **DUAL) for name in ("verify", "site")]
    finally:
        lab.shell("systemctl start cloudflared")
    for run in runs:
        assert run.code != 0
        assert run.stats[lab.host]["changed"] == 0, run.changed


def test_no_secret_in_any_output(lab):
    run = lab.play("playbooks/site.yml", "-vvv", "--diff", **DUAL, **reported(lab))
    assert run.code == 0, run.text
    assert_no_secret(lab, run)


def test_terminal_and_events_from_each_side(lab):
    """Two people at the same time: a terminal typed into, made narrower, pasted into and left alone; an event; all anew."""
    opened = {side: Browsing(lab, side, side, "--work", "--idle", IDLE, "--stay") for side in ("tailnet", "public")}
    for browser in opened.values():
        browser.greeted()
    for browser in opened.values():
        browser.settled()
    lab.shell("docker rm -f coolify")
    CoolifyHost(lab.host).create_coolify("4.7.6")
    for side, browser in opened.items():
        browser.back(f"again-{side}")
        seen = browser.ended()
        assert "error" not in seen, seen
        assert (seen["terminal"], seen["answer"], seen["pusher"]) == ("connected", "42", "connected")
        assert (seen["event"], seen["back"]) == (f"hello-{side}", [f"again-{side}"])
        wide, narrow = (int(size.split()[1]) for size in seen["sizes"])
        assert narrow < wide
        assert (seen["pasted"], seen["idle"]) == ("200000", "connected")


def test_remove_gives_the_untreated_host_back(lab):
    run = lab.play("playbooks/remove.yml")
    assert run.code == 0, run.text
    assert differences(state["untreated"], lab.snapshot()) == []


def test_second_remove_changes_nothing(lab):
    run = lab.play("playbooks/remove.yml")
    assert run.code == 0, run.text
    assert run.stats[lab.host]["changed"] == 0, run.changed


def test_treated_again(lab):
    """From here on by foreign hands: what they do to a file stays theirs, and remove.yml would not undo it."""
    assert lab.play("playbooks/site.yml", **DUAL).code == 0


def test_hops_that_the_user_leaves_out_are_taken_back_and_not_red(lab):
    """Field cases V1 and V2: the plan says one thing to the roles, the self-heal service and verify."""
    left_out = {"coolify_nginx_state": "absent", "coolify_firewall_state": "absent"}
    run = lab.play("playbooks/site.yml", **DUAL, **left_out)
    assert run.code == 0, run.text
    assert run.text.count("not wanted") >= 3
    assert "coolify-websocket" not in lab.shell("systemctl list-units --all --plain --no-legend 'coolify-websocket*'")
    assert "selfhosted.coolify" not in lab.shell("docker exec coolify cat /etc/nginx/site-opts.d/http.conf")
    again = lab.play("playbooks/site.yml", **DUAL, **left_out)
    assert again.stats[lab.host]["changed"] == 0, again.changed
    assert lab.play("playbooks/site.yml", **DUAL).code == 0


BREAKAGES = {
    "nginx": "docker exec coolify sh -c \"sed -i 's#location = /terminal/ws#location = /terminal/wx#'"
    " /etc/nginx/site-opts.d/http.conf && nginx -s reload\"",
    "environment": "sed -i 's#^PUSHER_HOST=.*#PUSHER_HOST=203.0.113.9#' /data/coolify/source/.env",
    "firewall": "nft delete table inet coolify_websocket",
    "tunnel": "python3 - <<'END'\n"
    "import re\n"
    "path = '/etc/cloudflared/config.yml'\n"
    "text = open(path).read()\n"
    "rule = re.search(r'(?m)^( *)- hostname: [\"\\']?\\*\\.lab\\.test[\"\\']?\\n(?:\\1  .*\\n)+', text)\n"
    "rest = text.replace(rule.group(), '')\n"
    "open(path, 'w').write(re.sub(r'(?m)^ingress:.*\\n', lambda m: m.group() + rule.group(), rest, count=1))\n"
    "END\n",
    "self-heal": "systemctl stop coolify-websocket",
}


def test_verify_names_every_broken_hop_and_site_mends_them(lab):
    """Each of them by itself is a fault of test_every_diagnosis.py."""
    for breakage in BREAKAGES.values():
        lab.shell(breakage)
    run = lab.play("playbooks/verify.yml", **DUAL)
    assert run.code != 0
    (blamed,) = run.failed[lab.host]
    assert [hop for hop in BREAKAGES if f"{hop} (CWT-" not in blamed] == []
    mended = lab.play("playbooks/site.yml", **DUAL)
    assert mended.code == 0, mended.text
    assert len(mended.changed[lab.host]) >= len(BREAKAGES), mended.changed


def test_routes_survive_an_upgrade(lab):
    """Last, since an upgrade rewrites .env by itself: the host is no longer what it was."""
    lab.shell("/data/coolify/source/upgrade.sh 4.4.6")
    run = lab.play("playbooks/verify.yml", **DUAL)
    assert run.code == 0, run.text
    again = lab.play("playbooks/site.yml", **DUAL)
    assert again.code == 0, again.text
    assert again.stats[lab.host]["changed"] == 0, again.changed
