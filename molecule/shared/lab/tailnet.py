"""The machines' way into the tailnet."""

from __future__ import annotations

import json
import shutil
import threading
import time

import docker
import golang
import images
import machines
import paths
from docker.models.containers import Container
from progress import LabError, say
from topology import Part

CONTROL_PORT = 8080
CERTIFICATES = "/certificates"
_JOINED = "/var/lib/tailscale/lab-control"
_WITHIN = 40.0
_INTERFACE = "tailscale0"
_MAKING = threading.Lock()


def control_image(client: docker.DockerClient) -> str:
    """Return the reference of the image of the control server and relay, built where the engine lacks it."""
    folder = paths.IMAGES / "tailnet"
    program = golang.program("control", folder, "./control")
    tag = images.reference("control", images.digest(program.name, folder / "Dockerfile"))
    if not images.exists(client, tag):
        with images.scratch() as context:
            shutil.copyfile(folder / "Dockerfile", context / "Dockerfile")
            shutil.copyfile(program, context / "control")
            (context / "control").chmod(0o755)
            images.build(client, tag, context)
        images.prune(client, "control", keep=tag)
    return tag


def control_command(name: str, tailnet: str) -> list[str]:
    """Return the options of the control server, whose certificate lies in CERTIFICATES."""
    file = f"{CERTIFICATES}/{name}"
    return [f"-name={name}", f"-tailnet={tailnet}", f"-certificate={file}.pem", f"-key={file}.key"]


def stand_in(client: docker.DockerClient, machine: Container, part: Part, around: machines.Surroundings) -> None:
    """Give a machine an interface tailscale0 without Tailscale: the end of a veth pair, with addresses of its ranges.

    It has Tailscale's name, addresses and reach, and none of its rules in the packet filter.
    """
    name = f"{around.prefix}-tailnet"
    number = around.network.number
    subnet4, subnet6 = f"100.64.{number}", f"fd7a:115c:a1e0:{number:x}:"
    with _MAKING:
        found = [network for network in client.networks.list(names=[name]) if network.name == name]
        network = (
            found[0]
            if found
            else machines.make_network(
                client, name, f"{subnet4}.0/24", f"{subnet6}:/64", {machines.LABEL: around.prefix}
            )
        )
    ipv4, ipv6 = f"{subnet4}.{part.number}", f"{subnet6}:{part.number:x}"
    machine.reload()
    if name not in machine.attrs["NetworkSettings"]["Networks"]:
        network.connect(machine, ipv4_address=ipv4, ipv6_address=ipv6)
    links = machines.run(machine, ["ip", "-o", "-4", "addr", "show", "to", ipv4])
    link = links.split()[1]
    if link != _INTERFACE:
        for command in (
            ["ip", "link", "set", link, "down"],
            ["ip", "link", "set", link, "name", _INTERFACE],
            ["ip", "link", "set", _INTERFACE, "up"],
            # A link that goes down loses its IPv6 addresses.
            ["ip", "addr", "replace", f"{ipv6}/64", "dev", _INTERFACE, "nodad"],
        ):
            machines.run(machine, command)
    say(f"{machine.name}: {ipv4} on a veth named {_INTERFACE}, a stand-in: there is no Tailscale in this lab")


def join(machine: Container, control: Container, control_address: str) -> str:
    """Bring a machine into the tailnet, anew where the control server has forgotten it; return its IPv4 address.

    Raises:
        LabError: Tailscale does not reach the state Running.
    """
    control.reload()
    # The control server keeps its nodes in memory: one start of it is one tailnet.
    tailnet = str(control.attrs["State"]["StartedAt"])
    _, joined = machines.attempt(machine, ["cat", _JOINED])
    if joined.strip() != tailnet:
        machines.run(machine, ["systemctl", "stop", "tailscaled.service"])
        machines.run(machine, ["rm", "-f", "/var/lib/tailscale/tailscaled.state"])
        machines.run(machine, ["systemctl", "start", "tailscaled.service"])
    machines.run(
        machine,
        [
            "tailscale",
            "up",
            f"--login-server=http://{control_address}:{CONTROL_PORT}",
            "--accept-dns=false",
            f"--hostname={machine.name}",
            f"--timeout={_WITHIN:.0f}s",
        ],
    )
    deadline = time.monotonic() + _WITHIN
    while time.monotonic() < deadline:
        code, output = machines.attempt(machine, ["tailscale", "status", "--json"])
        try:
            status = json.loads(output) if code == 0 else {}
        except ValueError:
            # Of an engine under load nothing may come, with exit code 0.
            status = {}
        if status.get("BackendState") == "Running" and status.get("TailscaleIPs"):
            machines.run(machine, ["sh", "-c", f"printf %s '{tailnet}' > {_JOINED}"])
            address = str(status["TailscaleIPs"][0])
            say(f"{machine.name}: on the tailnet as {address}")
            return address
        time.sleep(0.3)
    raise LabError(f"{machine.name}: tailscale is not Running after {_WITHIN:.0f} s; see its journal")
