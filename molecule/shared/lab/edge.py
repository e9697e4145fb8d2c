"""The stand-in for Cloudflare's edge."""

from __future__ import annotations

from pathlib import Path

import docker
import hostimages
import images
import paths

_FOLDER = paths.IMAGES / "edge"


def ensure(client: docker.DockerClient) -> str:
    """Return the reference of the edge's image, built where the engine lacks it."""
    base = hostimages.base(client, hostimages.SYSTEMS["trixie"])
    tag = images.reference("edge", images.digest(_FOLDER, base))
    if not images.exists(client, tag):
        images.build(client, tag, _FOLDER, arguments={"BASE": base})
        images.prune(client, "edge", keep=tag)
    return tag


def binds(certificates: Path) -> list[str]:
    """Return the mounts that the edge runs with."""
    return [f"{certificates}:/certs:ro"]
