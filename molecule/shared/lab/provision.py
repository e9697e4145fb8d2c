"""One machine of the lab, from its container to a Coolify that is up."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import docker
import hostimages
import images
import machines
import paths
import pki
import tailnet
import yaml
from docker.models.containers import Container
from products import Products
from progress import LabError, say
from topology import Part, Wanted

_READY = "/var/lib/lab-ready"
_MAKE_USER = f"""
set -e
useradd --create-home --shell /bin/bash {machines.USER}
cp -r /root/.ssh /home/{machines.USER}/
chown -R {machines.USER}: /home/{machines.USER}/.ssh
echo '{machines.USER} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/{machines.USER}
"""
_HEALTHY_WITHIN = 120.0


def python38() -> Path | None:
    """Return the folder of a Python 3.8 that can be mounted into the machines, or None."""
    found = sorted((Path.home() / ".pyenv" / "versions").glob("3.8.*"))
    return found[-1] if found else None


def bring_up(
    client: docker.DockerClient,
    part: Part,
    around: machines.Surroundings,
    products: Products,
    wanted: Wanted,
    control: Container | None,
) -> str:
    """Bring one machine to what it has to be; return the interpreter for modules there ("" = its own)."""
    authority = pki.authority()
    # For the stand-in of cloudflared: the machine has no PyYAML, as a fresh VPS has none.
    yaml_package = Path(yaml.__file__).parent
    binds = [
        f"{authority}:/usr/local/share/ca-certificates/selfhosted-lab.crt:ro",
        f"{authority}:/etc/lab/ca.pem:ro",
        # Modules that are given the control side's path of the CA find it here too.
        f"{authority}:{authority}:ro",
    ]
    interpreter = ""
    if part.role == "coolify":
        binds += [
            f"{paths.COOLIFY}:/opt/lab:ro",
            f"{products.inner}:/opt/lab-images/images.tar:ro",
            f"{yaml_package}:/opt/lab-python/yaml:ro",
        ]
        # Also where modules run on another one: a test may ask for it.
        old = python38()
        if part.python38 and old is None:
            say(f"{part.name}: no Python 3.8 on this machine: modules run on the system's own Python there")
        if old is not None:
            binds.append(f"{old}:{old}:ro")
            interpreter = str(old / "bin" / "python3.8") if part.python38 else ""
    extra: dict[str, Any] = {"binds": binds, "ready": _READY, "authority": images.digest(authority)}
    if part.role == "coolify":
        extra["sudo"] = part.sudo
        extra["installation"] = [images.digest(paths.COOLIFY), _installation(part, around, wanted)]
    container = machines.ensure(client, part, products.hosts[part.system], around, extra)
    fresh = not machines.has_file(container, _READY)
    failed = machines.wait_booted(container)
    if failed and fresh:
        raise LabError(f"{part.name}: units failed at its first boot: {', '.join(failed)}; see its journal")
    what = hostimages.system_of(products.hosts[part.system])
    say(f"{part.name}: booted ({what})" + (f"; failed units: {', '.join(failed)}" if failed else ""))
    if fresh:
        machines.run(container, ["update-ca-certificates"])
        if part.sudo:
            machines.run(container, ["sh", "-c", _MAKE_USER])
        if part.role == "coolify":
            machines.run(container, ["ufw", "allow", "OpenSSH"])
            machines.run(container, ["ufw", "--force", "enable"])
    _join_tailnet(client, container, part, around, control)
    if part.role == "coolify":
        if fresh:
            log = paths.written(around.prefix) / f"{part.name}-install.log"
            _install_coolify(container, _installation(part, around, wanted), log)
        waiting = _wait_healthy(container)
        if waiting and fresh:
            raise LabError(f"{part.name}: after {_HEALTHY_WITHIN:.0f} s not healthy: {waiting}")
    if fresh:
        machines.run(container, ["touch", _READY])
    return interpreter


def settle(
    client: docker.DockerClient,
    container: Container,
    part: Part,
    around: machines.Surroundings,
    control: Container | None,
) -> None:
    """Wait for a machine that was started again; what somebody has broken in it stays so and is named."""
    failed = machines.wait_booted(container)
    say(f"{part.name}: booted" + (f"; failed units: {', '.join(failed)}" if failed else ""))
    _join_tailnet(client, container, part, around, control)
    if part.role == "coolify":
        _wait_healthy(container)


def _join_tailnet(
    client: docker.DockerClient,
    container: Container,
    part: Part,
    around: machines.Surroundings,
    control: Container | None,
) -> None:
    if part.role == "outside":
        return
    if control is not None:
        tailnet.join(container, control, str(control.name))
    elif around.tailnet == "stand-in":
        tailnet.stand_in(client, container, part, around)


def _installation(part: Part, around: machines.Surroundings, wanted: Wanted) -> dict[str, str]:
    """Return the environment that install-coolify works from."""
    return {
        "LAB_DOMAIN": part.domain,
        "LAB_SCHEME": wanted.scheme,
        "LAB_PUBLIC_ADDRESS": around.network.ipv4(part),
        "LAB_EDGE_ADDRESS": around.network.ipv4(around.edge),
        "LAB_CA": "/etc/lab/ca.pem",
        "LAB_COOLIFY_VERSION": part.version,
    }


def _install_coolify(container: Container, environment: dict[str, str], log: Path) -> None:
    version = environment["LAB_COOLIFY_VERSION"]
    say(f"{container.name}: installing Coolify {version}")
    machines.run(container, ["/opt/lab/install-coolify"], environment, log)
    say(f"{container.name}: Coolify {version} installed")


def _wait_healthy(container: Container) -> str:
    """Wait until Coolify's containers are up, and healthy where they say so; return which are not in the end."""
    deadline = time.monotonic() + _HEALTHY_WITHIN
    listing = ["docker", "ps", "-a", "--filter", "name=^coolify", "--format", "{{.Names}}: {{.Status}}"]
    while True:
        code, output = machines.attempt(container, listing)
        lines = output.strip().splitlines()
        waiting = [line for line in lines if ": Up" not in line or "starting" in line or "unhealthy" in line]
        if code == 0 and lines and not waiting:
            say(f"{container.name}: {len(lines)} containers inside are up and healthy")
            return ""
        if time.monotonic() > deadline:
            named = "; ".join(waiting) or output.strip() or "no containers"
            say(f"{container.name}: not healthy: {named}")
            return named
        time.sleep(0.5)
