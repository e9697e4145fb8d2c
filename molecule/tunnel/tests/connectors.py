"""Connectors as people run them, each in the place of the one that the lab starts."""

from __future__ import annotations

import contextlib
import shlex
import typing as t

import yaml
from coolify_host import CoolifyHost
from lab_client import Lab

LIST = "/srv/tunnel/list.yml"
UNIT = "to-the-world.service"
CONTAINER = "cloudflare-tunnel"

#: The container's own routes are left out, so that nothing but the tunnel's rules leads to the two servers.
BY_RULES_ALONE = {"coolify_nginx_state": "absent", "coolify_self_heal_state": "absent"}

_IMAGE = "cloudflare/cloudflared:2026.8.2"
# The image's program is the stand-in, with the host's own Python.
_MAKE_IMAGE = f"""
set -e
docker create --name image-of-cloudflared redis:7-alpine
docker commit --change 'ENV PATH=/opt/bin:/usr/bin' --change 'USER 65532:65532' \
    --change 'ENTRYPOINT ["cloudflared", "--no-autoupdate"]' --change 'CMD ["version"]' image-of-cloudflared {_IMAGE}
docker rm image-of-cloudflared
"""
_PROGRAM = "-v /usr:/usr:ro -v /opt/lab-python:/opt/lab-python:ro -v /opt/lab/cloudflared-stand-in:/opt/bin/cloudflared:ro"


def write(lab: Lab, text: str, path: str = LIST) -> None:
    """As somebody with an editor does it."""
    lab.shell(f"mkdir -p $(dirname {path}); printf %s {shlex.quote(text)} >{path}")


def read(lab: Lab, path: str = LIST) -> str:
    return lab.shell(f"cat {path}")


def rules(lab: Lab) -> list[tuple[str, ...]]:
    """Hostname, path and service of each rule of the list."""
    return [tuple(rule.get(key, "") for key in ("hostname", "path", "service")) for rule in yaml.safe_load(read(lab))["ingress"]]


@contextlib.contextmanager
def unit(lab: Lab, arguments: str, environment: str = "") -> t.Iterator[None]:
    """A unit of a name of its own, with cloudflared where a package puts it."""
    path = f"/etc/systemd/system/{UNIT}"
    exec_start = f"ExecStart=/usr/local/bin/cloudflared {arguments}"
    lab.shell(
        "set -e; systemctl stop cloudflared; ln -sf /opt/lab/cloudflared-stand-in /usr/local/bin/cloudflared;"
        f"sed 's#^ExecStart=.*#{exec_start}\\n{environment}#' /etc/systemd/system/cloudflared.service >{path};"
        f"systemctl daemon-reload; systemctl start {UNIT}"
    )
    yield
    lab.shell(
        f"set -e; systemctl stop {UNIT}; rm {path} /usr/local/bin/cloudflared; rm -rf /srv/tunnel;"
        "systemctl daemon-reload; systemctl start cloudflared"
    )


@contextlib.contextmanager
def container(lab: Lab, host: CoolifyHost) -> t.Iterator[None]:
    """A container of cloudflared's image in Coolify's network."""
    names = lab.shell("sed -n 's/^Environment=//p' /etc/systemd/system/cloudflared.service").splitlines()
    environment = " ".join("-e " + (name if name.startswith('"') else shlex.quote(name)) for name in names)
    lab.shell("systemctl stop cloudflared")
    lab.shell(_MAKE_IMAGE)
    lab.shell(
        f"docker run -d --name {CONTAINER} --network coolify --restart unless-stopped {environment} {_PROGRAM} "
        f"-v {LIST}:/etc/cloudflared/config.yml {_IMAGE} tunnel --config /etc/cloudflared/config.yml run"
    )
    host.wait("the connector is registered", lambda: registered(lab))
    yield
    lab.shell(f"docker rm -f {CONTAINER}; docker rmi {_IMAGE}; rm -rf /srv/tunnel; systemctl start cloudflared")


def registered(lab: Lab) -> bool:
    return "Registered" in lab.shell(f"docker logs {CONTAINER}")


def started(lab: Lab) -> str:
    """When the connector last started: another value after each restart."""
    return lab.shell(
        f"systemctl show -p ExecMainStartTimestampMonotonic --value {UNIT};"
        f"docker inspect -f '{{{{.State.StartedAt}}}}' {CONTAINER} 2>/dev/null || true"
    )


def page(lab: Lab, path: str) -> str:
    """What a page of Coolify's is, to somebody who comes by the tunnel."""
    domain, edge = (lab.variables()[key] for key in ("lab_domain", "lab_edge_address"))
    return lab.shell(f"curl -ks --resolve {domain}:443:{edge} https://{domain}{path}", f"{lab.prefix}-outside")
