"""The filter access_plan: the plan with what needs a YAML library, which only the control node has."""

from __future__ import annotations

import json
import typing as t

import pytest
import yaml
from report_samples import HOPS

from ansible_collections.selfhosted.coolify.plugins.filter.access_plan import access_plan

Json = t.Dict[str, t.Any]


def traefik(change: Json | None = None, **choices: t.Any) -> Json:
    """Traefik's part of the plan for a host whose file is in place but for what `change` says of it."""
    found = json.loads((HOPS / "treated.json").read_text())
    info, tailscale = found["info"], found["tailscale"]
    seen = info["managed"]["traefik"]
    present: Json = {"states": {"traefik": "present"}}
    content = access_plan(info, tailscale, **present)["traefik"]["content"]
    seen.update({"cut": False, "broken": [], "content": content}, **change or {})
    return t.cast(Json, access_plan(info, tailscale, **{**present, **choices})["traefik"])


def test_the_file_s_text_says_what_the_plan_says() -> None:
    hop = traefik()
    assert yaml.safe_load(hop["content"]) == hop["document"]
    assert hop["content"].startswith("# Managed by the Ansible collection selfhosted.coolify;")
    assert traefik(states={"traefik": "absent"})["content"] is None


@pytest.mark.parametrize(
    ("change", "choices", "settled"),
    [
        ({}, {}, True),
        ({"content": None}, {}, False),
        ({"content": "# theirs"}, {}, False),
        ({"cut": True}, {}, False),
        ({"broken": [{"path": "/x/theirs.yaml", "error": "line 1"}]}, {}, False),
        ({}, {"states": {}}, False),
        ({}, {"states": {"traefik": "absent"}}, False),
        ({"content": None}, {"states": {"traefik": "absent"}}, False),
    ],
)
def test_a_file_that_the_look_has_seen_in_place_is_settled(change: Json, choices: Json, settled: bool) -> None:
    assert traefik(change, **choices)["settled"] is settled


def test_a_refusal_is_one_message() -> None:
    assert "coolify_access" in access_plan({}, {}, access="nonsense")["refusal"]
