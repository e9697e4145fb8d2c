"""What the two edits do to a Coolify that runs, and what they leave alone."""

from __future__ import annotations

import hashlib
import re
import shlex

import pytest
from coolify_host import HTTP_CONF, PORT
from coolify_sockets import Held, both_served

from ansible_collections.selfhosted.coolify.plugins.module_utils.env import _dotenv

SOURCE = "/data/coolify/source"
ENV = f"{SOURCE}/.env"
STATE = "/var/lib/coolify-websocket"
GUIDE = """
location /terminal/ws {
    proxy_pass http://coolify-realtime:6002;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
    proxy_read_timeout 86400;
}
location /app {
    proxy_pass http://coolify-realtime:6001;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
    proxy_read_timeout 86400;
}
"""
# Fails with a name in place of an address, and tells its log a secret on the way.
FUSSY = """
services:
  coolify:
    entrypoint:
      - sh
      - -c
      - 'case $$PUSHER_HOST in *[a-z]*) echo "key $$APP_KEY refused"; exit 3 ;; esac; exec start-coolify'
"""
# Coolify's upgrade.sh of today and of last year, in what they do to .env.
REWRITINGS = {
    "awk": f"""awk -F '=' '!seen[$1]++' {ENV} {SOURCE}/.env.production >{ENV}.tmp && mv {ENV}.tmp {ENV}""",
    "sort": f"""sort -u -t '=' -k 1,1 {ENV} {SOURCE}/.env.production | sed '/^$/d' >{ENV}.tmp && mv {ENV}.tmp {ENV}""",
}


def content(coolify):
    return coolify.shell(f"cat {ENV}")


def values(coolify):
    return _dotenv.values(content(coolify).encode())


def secrets(coolify):
    found = {key: value for key, value in values(coolify).items() if key not in _dotenv.NON_SECRET_KEYS}
    return {key: value for key, value in found.items() if re.search("KEY|SECRET|PASSWORD", key) and len(value) >= 8}


def running(coolify):
    """The container's id and what it has in its environment."""
    inspected = coolify.inspect()
    return inspected["Id"], dict(entry.split("=", 1) for entry in inspected["Config"]["Env"])


def test_no_socket_is_cut_by_any_edit_of_http_conf(coolify):
    before = coolify.shell(f"docker exec coolify sha256sum {HTTP_CONF}")
    coolify.shell(f"docker exec coolify cp {HTTP_CONF} /tmp/http.conf")
    coolify.shell(f"docker exec coolify sh -c {shlex.quote(f'echo {shlex.quote(GUIDE)} >>{HTTP_CONF}; nginx -s reload')}")
    coolify.wait("the guide's routes are served", lambda: both_served(coolify.address, PORT))
    by_hand = coolify.shell(f"docker exec coolify sha256sum {HTTP_CONF}")
    app_key = coolify.shell("docker exec coolify printenv PUSHER_APP_KEY").strip()
    held = Held(coolify.address, PORT, app_key, 50, 50)
    try:
        workers = coolify.worker_pids()
        assert coolify.edit("-t", "nginx").changed == 1
        assert coolify.worker_pids() - workers, "nothing was reloaded, so that this test shows nothing"
        assert "coolify_websocket_upstream" in coolify.http_conf()
        assert coolify.edit("-t", "nginx").changed == 0
        assert coolify.edit("-t", "nginx", coolify_nginx_read_timeout=4000).changed == 1
        assert coolify.edit("-t", "nginx", coolify_state="absent").changed == 1
        assert coolify.shell(f"docker exec coolify sha256sum {HTTP_CONF}") == by_hand
        assert held.lost == 0
    finally:
        held.close()
        coolify.shell(f"docker exec coolify sh -c 'cat /tmp/http.conf >{HTTP_CONF}; rm /tmp/http.conf; nginx -s reload'")
    assert coolify.shell(f"docker exec coolify sha256sum {HTTP_CONF}") == before


def test_env_is_edited_in_place_and_comes_back_to_the_byte(coolify):
    place = f"stat -c '%i %u %g %a' {ENV}"
    before, where = content(coolify), coolify.shell(place)
    container, _environment = running(coolify)
    others = coolify.shell("docker ps -q --no-trunc | sort").split()

    coolify.edit(coolify_access="domain")
    wanted = values(coolify)
    assert wanted["PUSHER_HOST"]
    assert coolify.shell(place) == where
    again, environment = running(coolify)
    assert again != container
    assert {key: environment.get(key) for key in _dotenv.NON_SECRET_KEYS} == {
        key: wanted.get(key) for key in _dotenv.NON_SECRET_KEYS
    }
    # Coolify alone was created again.
    assert sorted(others) == sorted({*coolify.shell("docker ps -q --no-trunc").split()} - {again} | {container})
    mode = where.split()[3]
    assert set(coolify.shell(f"stat -c '%F %a' {STATE}/*.backup").splitlines()) == {f"regular file {mode}"}
    assert coolify.shell(f"stat -c %a {STATE}").strip() == "700"
    assert coolify.edit(coolify_access="domain").changed == 0

    coolify.edit(coolify_state="absent")
    assert content(coolify) == before
    assert coolify.shell(place) == where
    assert coolify.attempt(f"ls {STATE}")[0] != 0


def test_no_secret_is_shown_by_any_run(coolify):
    since = coolify.clock()
    hidden = secrets(coolify)
    assert len(hidden) >= 5
    seen = {
        "apply": coolify.edit("-vvv", "--diff", coolify_access="domain").text,
        "check": coolify.edit("-vvv", "--diff", "--check", coolify_access="tailscale").text,
        "refused": coolify.attempt_edits("-vvv", "--diff", coolify_nginx_resolver="no address").text,
        "absent": coolify.edit("-vvv", "--diff", coolify_state="absent").text,
        "journal": coolify.shell(f"journalctl --since {shlex.quote(since)}"),
    }
    shown = [(where, key) for where, text in seen.items() for key, value in hidden.items() if value in text]
    assert shown == []


def test_a_running_deployment_is_not_cut(coolify):
    before, (container, _environment) = content(coolify), running(coolify)
    helper = coolify.shell("docker images --format '{{.Repository}}:{{.Tag}}' coollabsio/coolify-helper").split()[0]
    coolify.shell(f"docker run -d --name lab-deployment {helper}")
    try:
        failed = coolify.attempt_edits("-t", "pusher", coolify_access="domain", coolify_pusher_deployment_timeout=3)
        assert failed.code != 0
        assert "lab-deployment" in failed.text
        assert "coolify_pusher_deployments" in failed.text
        assert (content(coolify), running(coolify)[0]) == (before, container)
        coolify.edit("-t", "pusher", coolify_access="domain", coolify_pusher_deployments="ignore")
        assert running(coolify)[0] != container
    finally:
        coolify.shell("docker rm -f lab-deployment")


def test_an_edit_that_was_cut_before_the_recreation_is_finished(coolify):
    container, _environment = running(coolify)
    pending = coolify.edit("-t", "pusher", coolify_access="domain", coolify_pusher_recreate=False)
    assert "since coolify_pusher_recreate is false" in " ".join(pending.text.split())
    assert running(coolify)[0] == container
    coolify.edit("-t", "pusher", coolify_access="domain")
    assert running(coolify)[1]["PUSHER_HOST"] == values(coolify)["PUSHER_HOST"]


def test_a_recreation_that_fails_is_undone(coolify):
    before, hidden, environment = content(coolify), secrets(coolify), running(coolify)[1]
    custom = f"{SOURCE}/docker-compose.custom.yml"
    coolify.shell(f"cp -p {custom} {custom}.kept && cat >{custom} <<'END'\n{FUSSY}END")
    try:
        failed = coolify.attempt_edits("-t", "pusher", "-vvv", "--diff", coolify_access="domain")
        assert failed.code != 0
        assert "refused" in failed.text, "the container's last log lines belong into the message"
        assert [key for key, value in hidden.items() if value in failed.text] == []
        assert content(coolify) == before
        assert coolify.inspect()["State"]["Health"]["Status"] == "healthy"
        assert running(coolify)[1] == environment
    finally:
        coolify.shell(f"mv {custom}.kept {custom}")
    coolify.edit("-t", "pusher", coolify_access="domain")


@pytest.mark.parametrize("way", REWRITINGS)
def test_an_upgrades_rewriting_costs_one_change_and_no_key(coolify, way):
    coolify.edit(coolify_access="domain")
    treated = values(coolify)
    coolify.shell(REWRITINGS[way])
    assert treated.items() <= values(coolify).items()
    assert coolify.edit(coolify_access="domain").changed <= 1
    assert coolify.edit(coolify_access="domain").changed == 0
    assert treated.items() <= values(coolify).items()


def test_a_file_that_cannot_be_edited_safely_is_named_and_left(coolify):
    before = content(coolify)
    coolify.shell(f"""printf 'NOTE="never closed\\n' >>{ENV}""")
    broken = coolify.shell(f"sha256sum {ENV}")
    try:
        failed = coolify.attempt_edits("-t", "pusher", coolify_access="domain")
        assert failed.code != 0
        assert re.search(r"line \d+", failed.text)
        assert coolify.shell(f"sha256sum {ENV}") == broken
    finally:
        coolify.shell(f"""sed -i --follow-symlinks '/^NOTE=/d' {ENV}""")
    assert hashlib.sha256(content(coolify).encode()).digest() == hashlib.sha256(before.encode()).digest()
