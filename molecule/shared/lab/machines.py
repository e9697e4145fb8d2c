"""The lab's machines as containers: made, started, entered, removed."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.models.networks
import docker.types
import images
import paths
import pki
from docker.models.containers import Container
from progress import LabError
from topology import Network, Part, preferred_number

LABEL = "selfhosted.coolify.lab"
PART = f"{LABEL}.part"
# Who Ansible comes as where it does not come as root.
USER = "deploy"
_SPEC = f"{LABEL}.spec"
_NUMBER = f"{LABEL}.network"
_BOOT_WITHIN = 90.0
# What a machine of the public or the tailnet side does without.
_NOT_ON_CLIENTS = ("docker.service", "docker.socket", "containerd.service", "ufw.service")


@dataclass(frozen=True)
class Surroundings:
    """What all machines of one lab share; tailnet is "tailscale", "stand-in" or "none"."""

    prefix: str
    network: Network
    parts: list[Part]
    tailnet: str
    resolvers: list[str]

    @property
    def edge(self) -> Part:
        return next(part for part in self.parts if part.role == "edge")

    def names(self) -> dict[str, str]:
        """Return the names that every machine resolves: its neighbours, and the domains as public DNS has them."""
        found = {part.name: self.network.ipv4(part) for part in self.parts}
        found.update({part.domain: self.network.ipv4(self.edge) for part in self.parts if part.domain})
        return found


def ensure_network(client: docker.DockerClient, prefix: str) -> Network:
    """Return the network of the lab, made if missing, with a number that no other network here has."""
    name = f"{prefix}-net"
    found = client.networks.list(names=[name], filters={"label": f"{LABEL}={prefix}"})
    for network in found:
        if network.name == name:
            return Network(name, int(network.attrs["Labels"][_NUMBER]))
    first = preferred_number(prefix)
    for number in [*range(first, 255), *range(1, first)]:
        made = Network(name, number)
        try:
            make_network(client, name, made.subnet4, made.subnet6, {LABEL: prefix, _NUMBER: str(number)})
        except docker.errors.APIError as refused:
            if "overlap" in str(refused).lower():
                continue
            raise
        return made
    raise LabError("no free network for the lab: remove others with `lab down --all`")


def make_network(
    client: docker.DockerClient, name: str, subnet4: str, subnet6: str, labels: dict[str, str]
) -> docker.models.networks.Network:
    """Make a bridge network with both address families."""
    pools = [docker.types.IPAMPool(subnet=subnet) for subnet in (subnet4, subnet6)]
    ipam = docker.types.IPAMConfig(pool_configs=pools)
    return client.networks.create(name, driver="bridge", enable_ipv6=True, ipam=ipam, labels=labels)


def resolvers() -> list[str]:
    """Return the machine's name servers that a container can ask too."""
    for file in ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"):
        with contextlib.suppress(OSError), open(file, encoding="utf-8") as text:
            servers = [line.split()[1] for line in text if line.startswith("nameserver ")]
            usable = [server for server in servers if not server.startswith("127.") and server != "::1"]
            if usable:
                return usable
    return []


def of_lab(client: docker.DockerClient, prefix: str | None = None) -> list[Container]:
    """Return the containers of one lab, or of all; without those that another lab takes down meanwhile."""
    label = LABEL if prefix is None else f"{LABEL}={prefix}"
    found = client.containers.list(all=True, filters={"label": label}, ignore_removed=True)
    return sorted(found, key=lambda one: str(one.name))


def remove(client: docker.DockerClient, container: Container) -> None:
    """Remove a machine and what it has on disk."""
    with contextlib.suppress(docker.errors.NotFound):
        container.remove(force=True, v=True)
    with contextlib.suppress(docker.errors.NotFound):
        client.volumes.get(f"{container.name}-docker").remove(force=True)


def ensure(
    client: docker.DockerClient, part: Part, image: str, around: Surroundings, extra: dict[str, Any]
) -> Container:
    """Return the part's container, running, made anew where it is not what is wanted.

    Args:
        extra: what this kind of part adds: "binds" (list), "command" (list), "environment" (dict), "ready" (file
            in a running machine that says it was set up to the end).
    """
    config = _config(client, part, image, around, extra)
    spec = images.digest(json.dumps([config, extra], sort_keys=True, default=str))
    try:
        container = client.containers.get(part.name)
    except docker.errors.NotFound:
        container = None
    if container is not None:
        if container.labels.get(LABEL) != around.prefix:
            raise LabError(f"a container {part.name} exists that is not this lab's: choose another --prefix")
        if container.labels.get(_SPEC) == spec and (not extra.get("ready") or has_file(container, extra["ready"])):
            if container.status != "running":
                container.start()
            return container
        remove(client, container)
    config["Labels"] = {LABEL: around.prefix, PART: part.role, _SPEC: spec}
    if part.role == "coolify":
        client.volumes.create(f"{part.name}-docker", labels={LABEL: around.prefix})
    client.api.create_container_from_config(config, name=part.name)
    container = client.containers.get(part.name)
    if is_machine(part):
        container.put_archive("/", _first_files(part, around))
    container.start()
    return container


def is_machine(part: Part) -> bool:
    """Say whether the part boots systemd."""
    return part.role in ("coolify", "peer", "outside")


def _config(
    client: docker.DockerClient, part: Part, image: str, around: Surroundings, extra: dict[str, Any]
) -> dict[str, Any]:
    options: dict[str, Any] = {"binds": list(extra.get("binds", [])), "extra_hosts": around.names()}
    if is_machine(part):
        options.update(
            # Not --privileged: not every engine is given CAP_SYS_RESOURCE, and systemd does without it.
            cap_add=["ALL"],
            cap_drop=["SYS_RESOURCE"],
            security_opt=["seccomp=unconfined", "apparmor=unconfined"],
            tmpfs={"/run": "", "/run/lock": ""},
            devices=["/dev/net/tun"],
            device_cgroup_rules=["a *:* rwm"],
            # So that a reboot from inside is one; a stop from outside stays a stop.
            restart_policy={"Name": "on-failure", "MaximumRetryCount": 20},
            sysctls={"net.ipv6.conf.all.disable_ipv6": "0"},
        )
        options["binds"].append("/sys/fs/cgroup:/sys/fs/cgroup:rw")
        if around.resolvers:
            # Docker's own resolver lives on NAT rules in the machine's name space, which a test may flush.
            options["binds"].append(f"{paths.written(around.prefix) / 'resolv.conf'}:/etc/resolv.conf")
        if part.role == "coolify":
            options["binds"].append(f"{part.name}-docker:/var/lib/docker")
    host_config = client.api.create_host_config(**options)
    if is_machine(part):
        host_config.update({"MaskedPaths": [], "ReadonlyPaths": [], "CgroupnsMode": "host"})
    address = client.api.create_endpoint_config(
        ipv4_address=around.network.ipv4(part), ipv6_address=around.network.ipv6(part)
    )
    config: dict[str, Any] = client.api.create_container_config(
        image,
        command=extra.get("command"),
        hostname=part.name,
        environment=extra.get("environment"),
        host_config=host_config,
        networking_config=client.api.create_networking_config({around.network.name: address}),
    )
    return config


def _first_files(part: Part, around: Surroundings) -> bytes:
    """Return a tar of what a machine must have before it boots for the first time."""
    folder = paths.written(around.prefix)
    public = pki.ssh_key(folder / "id_ed25519")
    host_public = pki.ssh_key(folder / "ssh_host_ed25519_key")
    files = {
        "root/.ssh/authorized_keys": (public.encode() + b"\n", 0o600),
        "etc/ssh/ssh_host_ed25519_key": ((folder / "ssh_host_ed25519_key").read_bytes(), 0o600),
        "etc/ssh/ssh_host_ed25519_key.pub": (host_public.encode() + b"\n", 0o644),
    }
    masked = [] if part.role == "coolify" else list(_NOT_ON_CLIENTS)
    if part.role == "outside" or around.tailnet != "tailscale":
        masked.append("tailscaled.service")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        home = tarfile.TarInfo("root/.ssh")
        home.type, home.mode = tarfile.DIRTYPE, 0o700
        tar.addfile(home)
        for name, (data, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(data), mode, int(time.time())
            tar.addfile(entry, io.BytesIO(data))
        for unit in masked:
            entry = tarfile.TarInfo(f"etc/systemd/system/{unit}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "/dev/null"
            tar.addfile(entry)
    return buffer.getvalue()


def has_file(container: Container, path: str) -> bool:
    """Say whether the container has this file, running or not."""
    try:
        container.get_archive(path)
    except docker.errors.NotFound:
        return False
    return True


def run(
    container: Container,
    command: Sequence[str],
    environment: dict[str, str] | None = None,
    log: Path | None = None,
) -> str:
    """Run a command in a machine and return its output.

    Raises:
        LabError: it ended with another exit code than 0; carries its last lines.
    """
    code, output = attempt(container, command, environment)
    if log is not None:
        log.write_text(output, encoding="utf-8")
    if code != 0:
        where = f" (all of it: {log})" if log else ""
        raise LabError(f"{container.name}: {' '.join(command)} ended with {code}{where}: {output.strip()[-1500:]}")
    return output


def attempt(container: Container, command: Sequence[str], environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Run a command in a machine and return its exit code and output."""
    code, output = container.exec_run(list(command), environment=environment)
    return int(code), output.decode("utf-8", "replace")


def wait_booted(container: Container) -> list[str]:
    """Wait until systemd has started everything; return the units that failed.

    Raises:
        LabError: it has not within the time, or the container ended.
    """
    deadline = time.monotonic() + _BOOT_WITHIN
    state = "starting"
    while state not in ("running", "degraded"):
        if time.monotonic() > deadline:
            raise LabError(f"{container.name} is still {state!r} after {_BOOT_WITHIN:.0f} s")
        time.sleep(0.3)
        try:
            _, output = attempt(container, ["systemctl", "is-system-running"])
            state = output.strip()
        except docker.errors.APIError as failure:
            container.reload()
            if container.status not in ("running", "restarting"):
                last = container.logs(tail=20).decode("utf-8", "replace")
                raise LabError(f"{container.name} ended while booting: {last}") from failure
    _, failed = attempt(container, ["systemctl", "list-units", "--failed", "--plain", "--no-legend"])
    return [line.split()[0] for line in failed.splitlines() if line.split()]
