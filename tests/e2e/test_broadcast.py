"""An event that Coolify's backend publishes, by settings that are right and by each kind of wrong ones (field case V5)."""

from __future__ import annotations

import json
import shlex

import pytest
from coolify_host import CoolifyHost
from diagnosis_faults import BROADCAST

from ansible_collections.selfhosted.coolify.plugins.module_utils.verify import _diagnosis

APP = "http://127.0.0.1:6001/app/"
SECRETS = ("PUSHER_APP_SECRET", "APP_KEY", "DB_PASSWORD", "REDIS_PASSWORD")
# A server that is none of Pusher's, with the answers that a path asks for.
OTHER = """<?php
[, $status, $kind, $location] = explode('|', file_get_contents('/tmp/answer'));
if ($status === 'silent') { sleep(9); }
http_response_code((int) $status);
header("Content-Type: $kind");
if ($location) { header("Location: $location"); }
echo $kind === 'application/json' ? '{}' : '<html>log in</html>';
"""
OPTIONS = {"scheme": "http", "host": "127.0.0.1", "port": "6001"}
CACHE = "/var/www/html/bootstrap/cache"


def look(lab, url=APP):
    result = lab.module(
        "websocket_info",
        targets=[{"name": "realtime", "url": APP, "kind": "app"}],
        broadcast=[{"name": "broadcast", "url": url, "kind": "app"}],
        app_key_container="coolify",
        deadline=6.0,
    )
    text = json.dumps(result)
    environment = CoolifyHost(lab.host).shell("docker exec coolify printenv").splitlines()
    values = dict(line.split("=", 1) for line in environment if "=" in line)
    assert not any(values[name] in text for name in SECRETS if values.get(name))
    return result["results"][1:]


@pytest.fixture
def settings(lab):
    """Gives the backend other settings, as Laravel caches them, and a server of another kind."""
    host = CoolifyHost(lab.host)

    def give(changes, answer):
        changes = {**OPTIONS, **changes}
        secret, seconds = changes.pop("secret", None), float(changes.pop("seconds", "0"))
        script = (
            "require 'app/environment.php'; $c = require 'config/broadcasting.php'; $p = &$c['connections']['pusher'];"
            f"$p['options'] = json_decode('{json.dumps(changes)}', true);"
            + (f"$p['secret'] = '{secret}';" if secret else "")
            + f"@mkdir('{CACHE}', 0755, true);"
            f"$cached = '<?php usleep({seconds * 1e6:.0f}); return '.var_export(['broadcasting' => $c], true).';';"
            f"file_put_contents('{CACHE}/config.php', $cached);"
        )
        host.shell(f"docker exec -w /var/www/html coolify php -r {shlex.quote(script)}")
        if answer:
            host.shell(f"docker exec -i coolify tee /tmp/answer >/dev/null <<'EOF'\n{answer}|\nEOF")
            host.shell(f"docker exec -i coolify tee /tmp/other.php >/dev/null <<'EOF'\n{OTHER}EOF")
            host.shell("docker exec -d coolify php -S 127.0.0.1:7999 /tmp/other.php; sleep 0.5")

    yield give
    host.shell(f"docker exec coolify sh -c 'rm -rf {CACHE}; pkill -f [1]27.0.0.1:7999; true'")


def test_an_event_arrives_and_leaves_nothing(lab):
    published, seen = look(lab)
    assert (published["ok"], published["status"], published["url"]) == (True, 200, "http://127.0.0.1:6001/apps/…/events")
    assert (seen["ok"], seen["seen"]) == (True, "event")


@pytest.mark.parametrize("fault", BROADCAST)
def test_a_fault_is_told_from_the_others(lab, settings, fault):
    changes, answer, identifier = BROADCAST[fault]
    settings(changes, answer)
    results = look(lab)
    assert [result["diagnosis"]["id"] for result in results if not result["ok"]] == [identifier]
    assert {result["ok"] for result in results if result["diagnosis"]} == {_diagnosis.verdict(identifier)}
    address = "{scheme}://{host}:{port}".format(**{**OPTIONS, **changes})
    assert address in results[0]["url"]


def test_settings_that_cannot_be_read_are_no_verdict(lab):
    host = CoolifyHost(lab.host)
    file = "/var/www/html/config/broadcasting.php"
    host.shell(f"docker exec coolify mv {file} {file}.away")
    try:
        assert [(result["ok"], result["diagnosis"]["id"]) for result in look(lab)] == [(None, "CWT-328")]
    finally:
        host.shell(f"docker exec coolify mv {file}.away {file}")


def test_a_way_in_that_the_host_itself_cannot_go_is_no_verdict(lab):
    published, seen = look(lab, "http://127.0.0.1:6999/app/")
    assert (published["ok"], seen["ok"], seen["diagnosis"]["id"]) == (True, None, "CWT-329")


def test_a_server_that_takes_connections_and_answers_nobody(lab):
    """The time was spent on waiting for it, and not by a busy host."""
    host = CoolifyHost(lab.host)
    host.shell("docker exec coolify pkill -STOP -f soketi")
    try:
        assert [(result["ok"], result["diagnosis"]["id"]) for result in look(lab)] == [(False, "CWT-322")]
    finally:
        host.shell("docker exec coolify pkill -CONT -f soketi")
