"""A whole lab: brought to what is wanted, looked at, taken down."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from dataclasses import asdict
from typing import Any

import cgroups
import docker
import edge
import engine
import images
import inventory
import limits
import machines
import paths
import pki
import provision
import tailnet
from docker.models.containers import Container
from products import Products, build
from progress import LabError, say
from together import locked, together
from topology import Wanted, parts


def up(wanted: Wanted) -> None:
    """Bring the lab to what is wanted, from whatever is there."""
    client = engine.ensure()
    limits.lift()
    with locked(f"lab-{wanted.prefix}"):
        products = build(client, wanted)
        way = ("tailscale" if products.control else "stand-in") if wanted.tailnet else "none"
        around = _surroundings(client, wanted, way)
        _remember(wanted)
        _written_files(around)
        kept = {part.name for part in around.parts}
        for container in machines.of_lab(client, wanted.prefix):
            if container.name not in kept:
                say(f"removing {container.name}")
                machines.remove(client, container)
        control = _servers(client, around, products)
        booting = [part for part in around.parts if machines.is_machine(part)]
        pythons = together(provision.bring_up, [(client, part, around, products, wanted, control) for part in booting])
        interpreters = {part.name: python for part, python in zip(booting, pythons) if python}
        target = inventory.write(around, interpreters, dict(wanted.variables))
    say(f"lab {wanted.prefix!r} is up: {target}")


def _surroundings(client: docker.DockerClient, wanted: Wanted, way: str) -> machines.Surroundings:
    network = machines.ensure_network(client, wanted.prefix)
    return machines.Surroundings(
        wanted.prefix, network, parts(wanted, control=way == "tailscale"), way, machines.resolvers()
    )


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
    for pairs in ("by_system", "variables"):
        values[pairs] = tuple((key, value) for key, value in saved.get(pairs, ()))
    return Wanted(**values)


def remembered_variables(prefix: str) -> tuple[tuple[str, str], ...]:
    """Return the inventory variables of the last `up` of this prefix, none if there was none."""
    try:
        return remembered(prefix).variables
    except LabError:
        return ()


def _written_files(around: machines.Surroundings) -> None:
    """Write what the containers mount: keys, certificates, the resolver's address."""
    folder = paths.written(around.prefix)
    for key in ("id_ed25519", "ssh_host_ed25519_key"):
        pki.ssh_key(folder / key)
    for part in around.parts:
        if part.domain:
            pki.server_certificate(folder / "certs", part.domain)
        elif part.role == "control":
            pki.server_certificate(folder / "control", part.name)
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
            folder = paths.written(around.prefix) / "control"
            extra = {
                "command": tailnet.control_command(part.name, f"{around.prefix}.tailnet.test"),
                "binds": [f"{folder}:{tailnet.CERTIFICATES}:ro"],
                "certificate": images.digest(folder / f"{part.name}.pem"),
            }
            control = machines.ensure(client, part, products.control, around, extra)
    return control


def down(prefix: str | None, keep_engine: bool) -> None:
    """Take down one lab, or all (None); with the last one the engine goes too, if it is ours."""
    client = engine.connect()
    if client is None:
        say("no engine answers: no lab can be running")
        limits.put_back()
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
        limits.put_back()
    if keep_engine:
        return
    others = client.containers.list(all=True, ignore_removed=True)
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
    """Stop, start, restart or re-create one part; wait until what was started is there again.

    Args:
        action: "stop", "start", "restart" or "recreate".
    """
    client = engine.ensure()
    wanted = remembered(prefix)
    container = find(client, prefix, part)
    say(f"{action} {container.name}")
    with locked(f"lab-{prefix}"):
        if action == "stop":
            container.stop(timeout=20)
        elif action == "recreate":
            machines.remove(client, container)
        else:
            if action == "restart":
                container.restart(timeout=20)
            else:
                container.start()
            _settle(client, wanted, container)
    if action == "recreate":
        up(wanted)


def _settle(client: docker.DockerClient, wanted: Wanted, changed: Container) -> None:
    """Wait for a part that was started again, and for those who have to join its tailnet anew."""
    there = {str(one.name): one for one in machines.of_lab(client, wanted.prefix)}
    control = there.get(f"{wanted.prefix}-control")
    way = ("tailscale" if control else "stand-in") if wanted.tailnet else "none"
    around = _surroundings(client, wanted, way)
    concerned = [
        part
        for part in around.parts
        if machines.is_machine(part) and part.name in there and there[part.name].status == "running"
        if changed.name == part.name or changed.labels[machines.PART] == "control"
    ]
    together(provision.settle, [(client, there[part.name], part, around, control) for part in concerned])


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
