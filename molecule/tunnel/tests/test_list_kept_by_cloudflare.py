"""A connector that runs by a token, whose list Cloudflare keeps, whatever file lies on the host (T7): by the API, and by hand."""

from __future__ import annotations

import base64
import copy
import json
import re

import pytest
from cloudflare import ACCOUNT, TOKEN, TUNNEL, Api
from connectors import BY_RULES_ALONE, LIST, started, unit, write
from ways import let_in_only

SECRET = "c2VjcmV0IG9mIHRoZSB0dW5uZWwgaW4gdGhlIGxhYg=="  # noqa: S105 (nobody's)
CONNECTOR_TOKEN = base64.b64encode(json.dumps({"a": ACCOUNT, "t": TUNNEL, "s": SECRET}).encode()).decode()
#: What verify does not look at: the list at Cloudflare. Whether its rules are right is told by the domain's rows.
NOT_LOOKED = {("tunnel", "CWT-806")}
MINE = {"hostname": "wiki.example.com", "path": "/app", "service": "http://localhost:9000", "id": "1"}


@pytest.fixture(scope="module")
def api(lab):
    """Cloudflare with this host's tunnel, telling each change to the connector."""
    origin = {"access": {"required": False}, "connectTimeout": 30}
    coolify = {"hostname": lab.variables()["lab_domain"], "service": "http://localhost:8000", "originRequest": origin}
    found = {"ingress": [MINE, coolify, {"service": "http_status:404"}], "warp-routing": {"enabled": True}}
    with Api(found) as api:
        api.changed = lambda: write(lab, json.dumps(api.config))
        api.changed()
        yield api


@pytest.fixture(scope="module", autouse=True)
def connector(lab, api):
    """Made before the version's first snapshot, and there until all is given back."""
    with unit(lab, f"tunnel run --token {CONNECTOR_TOKEN}", f"Environment=TUNNEL_LIST={LIST}"):
        yield


@pytest.fixture
def by_api(api):
    api.asked.clear()
    return {"coolify_tunnel_id": "auto", "coolify_tunnel_api_token": TOKEN, "coolify_tunnel_api_url": api.url}


def test_without_credentials_it_is_told_what_to_enter_and_by_api_it_is_done(lab, version, api, by_api):
    chosen = {"coolify_access": "domain", **BY_RULES_ALONE}
    untreated, before = copy.deepcopy(api.config), started(lab)
    run, found = lab.diagnoses("playbooks/site.yml", **chosen)
    told = re.findall(r"\d\. hostname (\S+), path (\S+), service (\S+) \(in the dashboard", run.text)
    assert api.asked == []
    # Until they are entered, both paths are answered by Coolify's page.
    assert found[lab.host] == {("domain", "CWT-912"), ("broadcast", "CWT-329"), *NOT_LOOKED}, run.text
    entered = [dict(zip(("hostname", "path", "service"), one)) for one in told]
    api.change([*entered, *api.config["ingress"]])
    run, found = lab.diagnoses("playbooks/verify.yml", **chosen)
    assert (run.code, found[lab.host]) == (0, NOT_LOOKED), run.text
    let_in_only(lab, f"by-hand-{version}", ("public", ""))

    api.put(untreated)
    run, found = lab.diagnoses("playbooks/site.yml", **chosen, **by_api)
    assert (run.code, found[lab.host]) == (0, NOT_LOOKED), run.text
    assert api.asked == ["GET", "GET", "PUT"]
    assert not [secret for secret in (TOKEN, CONNECTOR_TOKEN, SECRET) if secret in run.text]
    rest = untreated["ingress"]
    assert api.config["ingress"][2:] == rest
    assert [(rule["service"], rule["originRequest"]) for rule in api.config["ingress"][:2]] == [
        (f"http://127.0.0.1:{port}", rest[1]["originRequest"]) for port in (6002, 6001)
    ]
    let_in_only(lab, f"by-api-{version}", ("public", ""))
    api.asked.clear()
    assert lab.play("playbooks/site.yml", "--tags", "tunnel", **chosen, **by_api).changed == {}
    assert api.asked == ["GET"]
    assert lab.play("playbooks/remove.yml", "--tags", "tunnel", **by_api).code == 0
    assert api.config == untreated
    # Cloudflare tells the connector by itself.
    assert started(lab) == before
