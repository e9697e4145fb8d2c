"""Bad input ends the run on that host before its first change, with one message that names the cause and the remedy."""

from __future__ import annotations

import pytest
from compare_snapshots import differences


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({"coolify_domain": "https://coolify.lab.test"}, ["coolify_domain", "https://"]),
        ({"coolify_domain": "coolify.lab.test/app"}, ["coolify_domain"]),
        ({"coolify_domain": "coolify.lab.test:443"}, ["coolify_domain"]),
        ({"coolify_domain": "coolify lab.test"}, ["coolify_domain"]),
        ({"coolify_domain": "coolify.lab.test\u0007"}, ["coolify_domain"]),
        ({"coolify_access": "everything"}, ["coolify_access", "dual"]),
        ({"coolify_data_path": "/nowhere"}, ["coolify_data_path", "/nowhere/source/.env"]),
        ({"coolify_nginx_resolver": "ns.example.com"}, ["coolify_nginx_resolver", "IP address"]),
        # A role at the end of the play refuses before the first one changes anything, too.
        ({"coolify_verify_deadline": "soon"}, ["coolify_verify_deadline"]),
    ],
)
def test_bad_variable(lab, variables, names):
    before = lab.snapshot()
    run = lab.play("playbooks/site.yml", **variables)
    assert run.code != 0
    messages = run.failed[lab.host]
    assert len(messages) == 1, messages
    for name in names:
        assert name in messages[0]
    assert differences(before, lab.snapshot()) == []


def test_version_below_the_oldest_supported(lab):
    lab.shell("/data/coolify/source/upgrade.sh 4.0.0-beta.420")
    try:
        run = lab.play("playbooks/site.yml")
    finally:
        lab.shell("/data/coolify/source/upgrade.sh 4.7.6")
    assert run.code != 0
    assert "4.0.0-beta.420" in run.failed[lab.host][0]
    assert "4.0.0-beta.426" in run.failed[lab.host][0]


def test_no_container(lab):
    lab.shell("docker rename coolify elsewhere")
    try:
        run = lab.play("playbooks/site.yml")
    finally:
        lab.shell("docker rename elsewhere coolify")
    assert run.code != 0
    assert "coolify" in run.failed[lab.host][0]


def test_no_docker(lab):
    lab.shell("systemctl stop docker.socket docker.service")
    try:
        run = lab.play("playbooks/site.yml")
    finally:
        lab.shell("systemctl start docker.socket docker.service")
        lab.shell("for i in $(seq 60); do curl -fsS http://127.0.0.1:8000/api/health >/dev/null && exit 0; sleep 1; done; exit 1")
    assert run.code != 0
    assert "Docker" in run.failed[lab.host][0]


def test_neither_domain_nor_tailscale(lab):
    lab.shell("tailscale down; mv /data/coolify/proxy/dynamic/coolify.yaml /data/coolify/proxy/dynamic/coolify.off")
    try:
        run = lab.play("playbooks/site.yml")
    finally:
        lab.shell("tailscale up; mv /data/coolify/proxy/dynamic/coolify.off /data/coolify/proxy/dynamic/coolify.yaml")
    assert run.code != 0
    assert "coolify_domain" in run.failed[lab.host][0]
    assert "Tailscale" in run.failed[lab.host][0]
