"""A connector in a container of Coolify's network, where no port of the host is (T5, T9)."""

from __future__ import annotations

import pytest
from connectors import BY_RULES_ALONE, CONTAINER, LIST, container, read, rules, started, write
from ways import let_in_only, treated

TEXT = """\
tunnel: home
ingress:
  - hostname: {domain}
    path: /app
    service: http://coolify-realtime:6001
  - hostname: {domain}
    service: http://coolify:8080
  - service: http_status:404
"""


@pytest.fixture(scope="module", autouse=True)
def connector(lab, coolify):
    """Made before the version's first snapshot, and there until all is given back."""
    text = TEXT.format(domain=lab.variables()["lab_domain"])
    write(lab, text)
    with container(lab, coolify):
        yield
        assert read(lab) == text


def test_the_rules_lead_to_the_container_of_the_servers(lab, version):
    domain = lab.variables()["lab_domain"]
    before = started(lab)
    run = treated(lab, coolify_access="domain", **BY_RULES_ALONE)
    assert f"{domain} /app also took /api/v1/applications" in run.text
    assert rules(lab) == [
        (domain, "^/terminal/ws$", "http://coolify-realtime:6002"),
        (domain, "^/apps?/", "http://coolify-realtime:6001"),
        (domain, "^/apps?/", "http://coolify-realtime:6001"),
        (domain, "", "http://coolify:8080"),
        ("", "", "http_status:404"),
    ], read(lab)
    assert started(lab) != before
    let_in_only(lab, f"{CONTAINER}-{version}", ("public", ""))
    assert lab.shell(f"docker exec {CONTAINER} cat /etc/cloudflared/config.yml") == read(lab, LIST)
