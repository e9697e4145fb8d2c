"""Everything that a lab's containers are made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import docker
import edge
import hostimages
import images
import inner
import tailnet
from together import locked, pool, together
from topology import Wanted


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
        with pool() as workers:
            # The slow steps wait for the network and for the compiler in turn: all at once.
            inside = workers.submit(inner.ensure, client)
            agent = workers.submit(hostimages.tailscaled)
            together(hostimages.prepare, [(client, system) for system in systems.values()])
            outside = workers.submit(edge.ensure, client)
            hosts = together(hostimages.ensure, [(client, system, agent.result()) for system in systems.values()])
            control = tailnet.control_image(client) if wanted.tailnet and agent.result() else None
            return Products(dict(zip(systems, hosts)), outside.result(), control, inside.result())
