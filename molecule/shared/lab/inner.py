"""The images of the Coolify host's own engine, in one tar."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import docker
import images
import machines
import paths
from progress import say


def _preparation() -> ModuleType:
    file = paths.IMAGES / "inner" / "prepare.py"
    spec = importlib.util.spec_from_file_location("inner_prepare", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their own module up while they are made.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def ensure(client: docker.DockerClient) -> Path:
    """Return the tar with all images of the inside, made where the cache lacks it."""
    preparation = _preparation()
    key = str(preparation.content_hash())

    def make(target: Path) -> None:
        say("preparing the images of the inside")
        images.prune(client, "inner", keep="")
        names: dict[str, list[str]] = {}
        with images.scratch() as folder:
            for image in preparation.prepare(folder, say):
                images.build(client, image.tag, Path(image.context))
                if image.names:
                    names[image.tag] = list(image.names)
            images.save_as(client, names, target)
        images.prune(client, "inner", keep="")

    # A machine that mounts an older one could not be started again without it.
    mounted = {str(mount.get("Source")) for container in machines.of_lab(client) for mount in container.attrs["Mounts"]}
    return images.product("inner-images.tar", key, make, in_use=mounted)
