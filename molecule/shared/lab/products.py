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
    """Return everything that a lab's containers are made from, built where it is missing.

    What every lab has comes first, so that one of the newest system alone need not wait for another run's older ones.
    """
    newest = hostimages.SYSTEMS["trixie"]
    older = [system for name, system in hostimages.SYSTEMS.items() if name in wanted.systems and system != newest]
    with locked("build"):
        images.clear_scratch()
        with pool() as workers:
            # The slow steps wait for the network and for the compiler in turn: all at once.
            inside = workers.submit(inner.ensure, client)
            agent = workers.submit(hostimages.tailscaled)
            # By itself: it makes the base that the newest system's machines are made from too.
            outside = edge.ensure(client)
            hosts = {newest.name: hostimages.ensure(client, newest, agent.result())}
            control = tailnet.control_image(client) if wanted.tailnet and agent.result() else None
            inside.result()
    if older:
        with locked("build-older"):
            references = together(hostimages.ensure, [(client, system, agent.result()) for system in older])
            hosts.update(zip((system.name for system in older), references))
    return Products(hosts, outside, control, inside.result())
