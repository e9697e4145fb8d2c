"""A list at a place of its own, told to a unit of any name by its command line (T3, T9), with the guide's two rules in it."""

from __future__ import annotations

import difflib

import pytest
from connectors import LIST, page, read, started, unit, write
from ways import let_in_only, treated

PAGE = "/api/v1/applications"
TEXT = """\
# mine
tunnel: home
ingress:
  - hostname: "*.{zone}"
    path: ^/app/    # another machine's
    service: http://192.168.1.50:6001
  - {{hostname: wiki.{zone}, path: /app, service: 'http://localhost:9000'}}
  # from a guide
  - hostname: {domain}
    path: /app
    service: http://localhost:6001
  - hostname: {domain}
    path: "/terminal"
    service: http://localhost:6002
  - hostname: {domain}
    service: http://localhost:8000
  - service: http_status:404
"""


@pytest.fixture(scope="module", autouse=True)
def text(lab):
    """The list as its owner wrote it: made before the version's first snapshot, and as it was when all is given back."""
    domain = lab.variables()["lab_domain"]
    text = TEXT.format(domain=domain, zone=domain.partition(".")[2])
    write(lab, text)
    with unit(lab, f"--config {LIST} tunnel run"):
        yield text
        assert read(lab) == text
        assert "answered_by" not in page(lab, PAGE)


def test_the_guide_s_rules_take_no_page_any_more_and_nothing_else_of_the_list_is_touched(lab, version, text):
    domain, lab_s_own = lab.variables()["lab_domain"], read(lab, "/etc/cloudflared/config.yml")
    assert "answered_by" not in page(lab, PAGE)
    before = started(lab)
    run = treated(lab, coolify_access="domain")
    assert f"{domain} /app also took {PAGE}" in run.text
    assert f"{domain} /terminal also took" in run.text
    assert '"answered_by":"Coolify' in page(lab, PAGE)
    changes = list(difflib.ndiff(text.splitlines(), read(lab).splitlines()))
    assert [line[2:].strip() for line in changes if line.startswith("- ")] == ["path: /app", 'path: "/terminal"']
    after = started(lab)
    assert after != before
    let_in_only(lab, f"unit-{version}", ("public", ""))
    again = treated(lab, coolify_access="domain")
    assert again.changed.get(lab.host, []) == []
    assert started(lab) == after
    assert read(lab, "/etc/cloudflared/config.yml") == lab_s_own
