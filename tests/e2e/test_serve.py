"""`tailscale serve` in front of Coolify's page, by the real tailscaled, on a host without a domain (field case P5).

The control server of the lab lets a node have a certificate, and no authority of the internet's gives it one: where tailscaled
keeps those that it got lies one of the lab's own.
"""

from __future__ import annotations

import json
import os

import pytest
import trustme
from lab_client import ROOT
from ways import BORNE, SILENCE, let_in_only, treated

CERTIFICATES = "/var/lib/tailscale/certs"
# Each kind of what is then written; `make test-all` tries them all.
SERVED = [(443, True), (8443, True), (8443, False)]
if os.environ.get("LAB_EXTENT") == "all":
    SERVED += [(10000, True), (80, False)]
IMPATIENT = "/etc/nginx/conf.d/impatient.conf"
DYNAMIC = "/data/coolify/proxy/dynamic"


@pytest.fixture(scope="module")
def name(lab, version):
    """The host's name in the tailnet, with a certificate, which the peer finds; the host has no domain."""
    found = json.loads(lab.shell("tailscale status --json"))
    name, address = found["Self"]["DNSName"].rstrip("."), found["TailscaleIPs"][0]
    keys = ROOT / ".lab"
    made = trustme.CA.from_pem((keys / "ca.pem").read_bytes(), (keys / "ca-key.pem").read_bytes()).issue_cert(name)
    files = {"crt": b"".join(one.bytes() for one in made.cert_chain_pems), "key": made.private_key_pem.bytes()}
    lab.shell(f"mkdir -p {CERTIFICATES}; mv {DYNAMIC}/coolify.yaml {DYNAMIC}/coolify.off")
    for kind, content in files.items():
        lab.shell(f"cat >{CERTIFICATES}/{name}.{kind} <<'END'\n{content.decode()}END")
    peer = f"{lab.prefix}-peer"
    lab.shell(f"grep -q {name} /etc/hosts || echo {address} {name} >>/etc/hosts", peer)
    yield name
    assert lab.play("playbooks/remove.yml").code == 0
    lab.shell(f"tailscale serve reset; rm -r {CERTIFICATES}; mv {DYNAMIC}/coolify.off {DYNAMIC}/coolify.yaml")
    lab.shell(f"sed '/ {name}$/d' /etc/hosts >/tmp/hosts; cat /tmp/hosts >/etc/hosts; rm /tmp/hosts", peer)


def serve(lab, name: str, port: int, https: bool) -> None:
    """What `tailscale serve --bg --https=PORT 8000` makes; the command itself first asks the control server for leave."""
    kind = {"HTTPS": True} if https else {"HTTP": True}
    page = {"Handlers": {"/": {"Proxy": "http://127.0.0.1:8000"}}}
    config = {"TCP": {port: kind}, "Web": {f"{name}:{port}": page}}
    lab.shell(f"tailscale serve reset; echo '{json.dumps(config)}' | tailscale serve set-raw")


@pytest.mark.parametrize(("port", "https"), SERVED)
def test_a_terminal_and_an_event_by_the_served_name_and_by_no_other(lab, name, port, https):
    serve(lab, name, port, https)
    treated(lab)
    url = f"http{'s' * https}://{name}" + ("" if port in (443, 80) else f":{port}")
    report = json.loads((lab.folder / "report.json").read_text())["hosts"][0]
    assert report["plan"]["urls"] == [f"{url}/"]
    looked = [row["url"] for row in report["rows"] if row["from"] == f"{lab.prefix}-peer" and row["hop"] == "tailscale"]
    assert looked == [f"{url}/terminal/ws", f"{url}/app/"]
    let_in_only(lab, f"served-{port}", (f"{url}/", ""))
    again = lab.play("playbooks/site.yml")
    assert (again.code, again.stats[lab.host]["changed"]) == (0, 0), again.changed


def test_silence_that_nginx_by_itself_would_not_bear(lab, name):
    serve(lab, name, 443, True)
    treated(lab)
    borne = f"proxy_read_timeout {BORNE}; proxy_send_timeout {BORNE};"
    lab.shell(f"docker exec -u 0 coolify sh -c \"echo '{borne}' >{IMPATIENT} && nginx -t -q && nginx -s reload\"")
    try:
        let_in_only(lab, "silent", (f"https://{name}/", ""), silent=SILENCE)
    finally:
        lab.shell(f"docker exec -u 0 coolify sh -c 'rm {IMPATIENT} && nginx -s reload'")


def test_the_command_that_people_type(lab, name):
    lab.shell("tailscale serve reset; tailscale serve --bg --http=80 8000")
    tailscale = lab.module("tailscale_info")["tailscale"]
    assert tailscale["served"] == [{"name": name, "port": 80, "https": False, "target": "http://127.0.0.1:8000"}]


def test_both_by_the_name_and_by_the_address(lab, name):
    serve(lab, name, 443, True)
    treated(lab, coolify_access="dual")
    let_in_only(lab, "both", (f"https://{name}/", ""), ("tailnet", ""))
