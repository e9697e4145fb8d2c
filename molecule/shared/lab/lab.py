"""A whole lab: brought to what is wanted, looked at, taken down."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import cgroups
import docker
import docker.errors
import edge
import engine
import hostimages
import images
import inner
import inventory
import machines
import paths
import pki
import tailnet
import yaml
from docker.models.containers import Container
from progress import LabError, say
from topology import Part, Wanted, parts

_T = TypeVar("_T")
_READY = "/var/lib/lab-ready"
_HEALTHY_WITHIN = 120.0
_PYTHON38 = "3.8."


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Keep others out who run this command for the same thing at the same time."""
    with open(paths.cache() / f"{name}.lock", "w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run of this command ({name})")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def together(function: Callable[..., _T], calls: Iterable[tuple[Any, ...]]) -> list[_T]:
    """Call a function with each of these arguments at the same time; results in order, the first failure is raised."""
    with ThreadPoolExecutor(max_workers=6) as pool:
        futures = [pool.submit(function, *arguments) for arguments in calls]
        return [future.result() for future in futures]


@dataclass(frozen=True)
class Products:
    """What the containers are made from: image references, by system for the machines, and the inside's tar."""

    hosts: dict[str, str]
    edge: str
    control: str | None
    inner: Path


def build(client: docker.DockerClient, wanted: Wanted) -> Products:
    """Return everything that a lab's containers are made from, built where it is missing."""
    systems = {name: hostimages.SYSTEMS[name] for name in hostimages.SYSTEMS if name in {"trixie", *wanted.systems}}
    with locked("build"):
        images.clear_scratch()
        with ThreadPoolExecutor(max_workers=6) as pool:
            # The slow steps wait for the network and for the compiler in turn: all at once.
            inside = pool.submit(inner.ensure, client)
            agent = pool.submit(hostimages.tailscaled)
            together(hostimages.base, [(client, system) for system in systems.values()])
            outside = pool.submit(edge.ensure, client)
            hosts = together(hostimages.ensure, [(client, system, agent.result()) for system in systems.values()])
            control = tailnet.control_image(client) if wanted.tailnet and agent.result() else None
            return Products(dict(zip(systems, hosts)), outside.result(), control, inside.result())


def up(wanted: Wanted) -> None:
    """Bring the lab to what is wanted, from whatever is there."""
    client = engine.ensure()
    with locked(f"lab-{wanted.prefix}"):
        products = build(client, wanted)
        network = machines.ensure_network(client, wanted.prefix)
        way = ("tailscale" if products.control else "stand-in") if wanted.tailnet else "none"
        around = machines.Surroundings(
            wanted.prefix, network, parts(wanted, control=way == "tailscale"), way, machines.resolvers()
        )
        _remember(wanted)
        _written_files(around)
        kept = {part.name for part in around.parts}
        for container in machines.of_lab(client, wanted.prefix):
            if container.name not in kept:
                say(f"removing {container.name}")
                machines.remove(client, container)
        control = _servers(client, around, products)
        booting = [part for part in around.parts if machines.is_machine(part)]
        pythons = together(_machine, [(client, part, around, products, wanted, control) for part in booting])
        target = inventory.write(around, {part.name: python for part, python in zip(booting, pythons) if python})
    say(f"lab {wanted.prefix!r} is up: {target}")


def _remember(wanted: Wanted) -> None:
    (paths.written(wanted.prefix) / "wanted.json").write_text(json.dumps(asdict(wanted)), encoding="utf-8")


def remembered(prefix: str) -> Wanted:
    """Return what the last `up` of this prefix was asked for.

    Raises:
        LabError: there was none.
    """
    try:
        saved = json.loads((paths.LAB / prefix / "wanted.json").read_text(encoding="utf-8"))
    except OSError as missing:
        raise LabError(f"there is no lab {prefix!r}: bring it up with `lab up --prefix {prefix}`") from missing
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in saved.items()}
    return Wanted(**values)


def _written_files(around: machines.Surroundings) -> None:
    """Write what the containers mount: keys, certificates, the resolver's address."""
    folder = paths.written(around.prefix)
    for key in ("id_ed25519", "ssh_host_ed25519_key"):
        pki.ssh_key(folder / key)
    for part in around.parts:
        if part.domain:
            pki.server_certificate(folder / "certs", part.domain)
    text = "".join(f"nameserver {server}\n" for server in around.resolvers)
    resolver = folder / "resolv.conf"
    # A bind mount follows the inode: an unchanged file is left as it is.
    if not resolver.exists() or resolver.read_text(encoding="ascii") != text:
        resolver.write_text(text, encoding="ascii")


def _servers(client: docker.DockerClient, around: machines.Surroundings, products: Products) -> Container | None:
    """Run the edge and the tailnet's control server; return the latter."""
    control = None
    for part in around.parts:
        if part.role == "edge":
            certificates = paths.written(around.prefix) / "certs"
            machines.ensure(client, part, products.edge, around, {"binds": edge.binds(certificates)})
        elif part.role == "control" and products.control:
            command = [f"-name={part.name}", f"-tailnet={around.prefix}.tailnet.test"]
            control = machines.ensure(client, part, products.control, around, {"command": command})
    return control


def python38() -> Path | None:
    """Return the folder of a Python 3.8 that can be mounted into the machines, or None."""
    found = sorted((Path.home() / ".pyenv" / "versions").glob(f"{_PYTHON38}*"))
    return found[-1] if found else None


def _machine(
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
        old = python38() if part.python38 else None
        if old is not None:
            binds.append(f"{old}:{old}:ro")
            interpreter = str(old / "bin" / "python3.8")
    extra: dict[str, Any] = {"binds": binds, "ready": _READY, "authority": images.digest(authority)}
    if part.role == "coolify":
        extra["installation"] = [images.digest(paths.COOLIFY), _installation(part, around, wanted)]
    container = machines.ensure(client, part, products.hosts[part.system], around, extra)
    failed = machines.wait_booted(container)
    fresh = not machines.has_file(container, _READY)
    if failed and fresh:
        raise LabError(f"{part.name}: units failed at its first boot: {', '.join(failed)}; see its journal")
    what = hostimages.system_of(products.hosts[part.system])
    say(f"{part.name}: booted ({what})" + (f"; failed units: {', '.join(failed)}" if failed else ""))
    if fresh:
        machines.run(container, ["update-ca-certificates"])
        if part.role == "coolify":
            machines.run(container, ["ufw", "allow", "OpenSSH"])
            machines.run(container, ["ufw", "--force", "enable"])
    if part.role != "outside":
        if control is not None:
            tailnet.join(container, control, str(control.name))
        elif around.tailnet == "stand-in":
            tailnet.stand_in(client, container, part, around)
    if part.role == "coolify":
        if fresh:
            log = paths.written(around.prefix) / f"{part.name}-install.log"
            _install_coolify(container, _installation(part, around, wanted), log)
        _wait_healthy(container)
    if fresh:
        machines.run(container, ["touch", _READY])
    return interpreter


def _installation(part: Part, around: machines.Surroundings, wanted: Wanted) -> dict[str, str]:
    """Return the environment that install-coolify works from."""
    return {
        "LAB_DOMAIN": part.domain,
        "LAB_SCHEME": wanted.scheme,
        "LAB_PUBLIC_ADDRESS": around.network.ipv4(part),
        "LAB_EDGE_ADDRESS": around.network.ipv4(around.edge),
        "LAB_CA": "/etc/lab/ca.pem",
        "LAB_COOLIFY_VERSION": wanted.version,
    }


def _install_coolify(container: Container, environment: dict[str, str], log: Path) -> None:
    version = environment["LAB_COOLIFY_VERSION"]
    say(f"{container.name}: installing Coolify {version}")
    machines.run(container, ["/opt/lab/install-coolify"], environment, log)
    say(f"{container.name}: Coolify {version} installed")


def _wait_healthy(container: Container) -> None:
    """Wait until every container of the inside is up, and healthy where it says so."""
    deadline = time.monotonic() + _HEALTHY_WITHIN
    while True:
        code, output = machines.attempt(container, ["docker", "ps", "-a", "--format", "{{.Names}}: {{.Status}}"])
        lines = output.strip().splitlines()
        waiting = [line for line in lines if ": Up" not in line or "starting" in line or "unhealthy" in line]
        if code == 0 and lines and not waiting:
            say(f"{container.name}: {len(lines)} containers inside are up and healthy")
            return
        if time.monotonic() > deadline:
            raise LabError(
                f"{container.name}: after {_HEALTHY_WITHIN:.0f} s not healthy: {'; '.join(waiting) or output}"
            )
        time.sleep(0.5)


def down(prefix: str | None, keep_engine: bool) -> None:
    """Take down one lab, or all (None); with the last one the engine goes too, if it is ours."""
    client = engine.connect()
    if client is None:
        say("no engine answers: no lab can be running")
        engine.stop()
        return
    with contextlib.ExitStack() as stack:
        if prefix is not None:
            stack.enter_context(locked(f"lab-{prefix}"))
        containers = machines.of_lab(client, prefix)
        together(machines.remove, [(client, container) for container in containers])
        labels = {"label": machines.LABEL if prefix is None else f"{machines.LABEL}={prefix}"}
        for network in client.networks.list(filters=labels):
            network.remove()
        for volume in client.volumes.list(filters=labels):
            volume.remove(force=True)
        gone = {str(container.labels[machines.LABEL]) for container in containers}
        for one in gone | ({prefix} if prefix else set()):
            inventory.path(one).unlink(missing_ok=True)
            shutil.rmtree(paths.LAB / one, ignore_errors=True)
        say(f"removed {len(containers)} machines")
    if not machines.of_lab(client):
        cgroups.tidy()
    if keep_engine:
        return
    others = client.containers.list(all=True)
    client.close()
    if others:
        say(f"the engine stays: it has {len(others)} more containers")
    else:
        engine.stop()


def find(client: docker.DockerClient, prefix: str, part: str) -> Container:
    """Return the container of a part by its full name, or by what follows the prefix.

    Raises:
        LabError: there is none; names those there are.
    """
    there = machines.of_lab(client, prefix)
    for container in there:
        if container.name in (part, f"{prefix}-{part}"):
            return container
    names = ", ".join(str(container.name) for container in there) or "none; `lab up` makes them"
    raise LabError(f"no part {part!r} in lab {prefix!r}; there are: {names}")


def status(prefix: str | None) -> None:
    """Print each machine with its state and addresses."""
    client = engine.connect()
    if client is None:
        say("no engine answers: no lab is running")
        return
    for container in machines.of_lab(client, prefix):
        addresses = [
            address
            for network in container.attrs["NetworkSettings"]["Networks"].values()
            for address in (network["IPAddress"], network["GlobalIPv6Address"])
            if address
        ]
        what = container.labels[machines.PART]
        print(f"{container.name:<28} {what:<8} {container.status:<10} {' '.join(addresses)}")


def change(prefix: str, part: str, action: str) -> None:
    """Stop, start, restart or re-create one part, and bring it to what was wanted again.

    Args:
        action: "stop", "start", "restart" or "recreate".
    """
    client = engine.ensure()
    wanted = remembered(prefix)
    container = find(client, prefix, part)
    say(f"{action} {container.name}")
    if action == "stop":
        container.stop(timeout=20)
        return
    if action == "restart":
        container.restart(timeout=20)
    elif action == "recreate":
        machines.remove(client, container)
    up(wanted)


def enter(prefix: str, part: str, argv: list[str]) -> int:
    """Run a command in a part, its output passed on as it comes; return its exit code."""
    client = engine.connect()
    if client is None:
        raise LabError("no engine answers: bring the lab up first")
    container = find(client, prefix, part)
    made = client.api.exec_create(container.id, argv or ["true"])
    for chunk in client.api.exec_start(made["Id"], stream=True):
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
    return int(client.api.exec_inspect(made["Id"])["ExitCode"])


def address(prefix: str) -> None:
    """Print how to open the instances of a lab in a browser on this machine: by name, without a port."""
    client = engine.ensure()
    wanted = remembered(prefix)
    network = machines.ensure_network(client, prefix)
    all_parts = parts(wanted, control=False)
    at_edge = next(network.ipv4(part) for part in all_parts if part.role == "edge")
    for part in all_parts:
        if part.domain:
            print(f"https://{part.domain}/  through the edge; CA: {pki.authority()}")
            print(f"  /etc/hosts:  {at_edge} {part.domain}")
            print(
                f"  or:          chromium --user-data-dir=$(mktemp -d) --ignore-certificate-errors "
                f"--host-resolver-rules='MAP {part.domain} {at_edge}' https://{part.domain}/"
            )
