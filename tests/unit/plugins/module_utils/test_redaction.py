from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.env import _redaction

ENVIRONMENT = {
    "APP_KEY": "base64:c2VjcmV0c2VjcmV0",
    "DB_USERNAME": "coolify",
    "DB_PASSWORD": "pass",
    "REDIS_PASSWORD": "passw0rd",
    "PUSHER_APP_ID": "4711a",
    "DATABASE_URL": "postgres://coolify@coolify-db:5432/coolify",
    "PRIVATE": "-----BEGIN LONG-----\nline of the private part\n-----END-----",
    "PUSHER_HOST": "a.long.name.coolify.example.com",
    "APP_URL": "a.long.name.coolify.example.com",
    "EMPTY_TOKEN": "",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("line 3: base64:c2VjcmV0c2VjcmV0", "line 3: (hidden)"),
        ("key c2VjcmV0c2VjcmV0", "key (hidden)"),
        ("redis says passw0rd is wrong", "redis says (hidden) is wrong"),
        ("app 4711a", "app (hidden)"),
        ("at postgres://coolify@coolify-db:5432/coolify", "at (hidden)"),
        ("line of the private part", "(hidden)"),
        ("the container coolify runs", "the container coolify runs"),
        ("host a.long.name.coolify.example.com", "host a.long.name.coolify.example.com"),
    ],
)
def test_hides_secrets_and_nothing_else(text, expected):
    assert _redaction.redact(text, ENVIRONMENT) == expected


def test_takes_every_environment():
    assert _redaction.redact("one two!", {"A_TOKEN": "one!"}, {"B_TOKEN": "two!"}) == "one (hidden)"


def test_finds_the_spellings_of_json_and_of_a_url():
    value = 'pa/ss+wö"rd'
    in_json = json.dumps(value)[1:-1]
    lower = quote(value).replace("%C3%B6", "%c3%b6").replace("%2B", "%2b")
    for text in (in_json, in_json.replace("/", "\\/"), quote(value, safe=""), lower):
        assert _redaction.redact(f"at {text} it", {"DB_PASSWORD": value}) == "at (hidden) it", text
