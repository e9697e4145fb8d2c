"""Images and other build products, cached by what goes into them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

import docker
import docker.errors
import paths
from progress import LabError, say

REPOSITORY = "selfhosted.coolify.lab"
LABEL = "selfhosted.coolify.lab.image"


def digest(*parts: str | Path) -> str:
    """Return a short hash of texts, and of files and folders with the names and modes in them."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            total.update(b"text\0" + part.encode() + b"\0")
            continue
        for file in sorted([part, *part.rglob("*")]):
            if file.is_file() and "__pycache__" not in file.parts:
                name = str(file.relative_to(part)) if file != part else part.name
                total.update(f"file\0{name}\0{file.stat().st_mode & 0o111:o}\0".encode())
                total.update(file.read_bytes())
    return total.hexdigest()[:16]


def exists(client: docker.DockerClient, reference: str) -> bool:
    """Say whether the engine has this image."""
    try:
        client.images.get(reference)
    except docker.errors.ImageNotFound:
        return False
    return True


def reference(name: str, key: str) -> str:
    """Return the name under which the engine keeps our image of this content."""
    return f"{REPOSITORY}/{name}:{key}"


def prune(client: docker.DockerClient, name: str, keep: str) -> None:
    """Remove older contents of an image of ours; what a container still uses stays."""
    for image in client.images.list(name=f"{REPOSITORY}/{name}"):
        for tag in image.tags:
            if tag.startswith(f"{REPOSITORY}/{name}:") and tag != keep:
                with contextlib.suppress(docker.errors.APIError):
                    client.images.remove(tag)


def build(
    client: docker.DockerClient,
    tag: str,
    context: Path,
    dockerfile: str = "Dockerfile",
    arguments: dict[str, str] | None = None,
    network: str = "none",
) -> None:
    """Build an image; it appears under its name only when it is whole.

    Raises:
        LabError: a build step failed; carries the last lines of its output.
    """
    try:
        client.images.build(
            path=str(context),
            dockerfile=dockerfile,
            buildargs=arguments or {},
            tag=tag,
            labels={LABEL: tag.split(":")[0]},
            network_mode=network,
            rm=True,
            forcerm=True,
        )
    except docker.errors.BuildError as failure:
        output = "".join(line.get("stream", "") for line in failure.build_log)
        raise LabError(f"building {tag} failed: {failure.msg}\n{output[-2000:]}") from failure


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder in the cache that is gone afterwards; on the cache's own file system, so that rename works."""
    folder = Path(tempfile.mkdtemp(prefix=f"tmp-{os.getpid()}-", dir=paths.cache()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear_scratch() -> None:
    """Remove what builds that were cut have left."""
    for folder in paths.cache().glob("tmp-*"):
        if not Path("/proc", folder.name.split("-")[1]).exists():
            shutil.rmtree(folder, ignore_errors=True)


def product(name: str, key: str, make: Callable[[Path], None], in_use: Collection[str] = ()) -> Path:
    """Return a file of the cache; make(path) writes it first where it is missing. Older contents go.

    Args:
        in_use: paths that stay although they are old.
    """
    wanted = paths.cache() / f"{name}@{key}"
    if not wanted.exists():
        with scratch() as folder:
            half = folder / name
            make(half)
            half.rename(wanted)
    for other in paths.cache().glob(f"{name}@*"):
        if other != wanted and str(other) not in in_use:
            other.unlink()
    return wanted


def save_as(client: docker.DockerClient, names: dict[str, list[str]], target: Path) -> None:
    """Save images into one tar in which each carries other names than it has in this engine.

    So the developer's own engine never sees the names that Coolify's images have.

    Args:
        names: reference in this engine -> references in the tar.
    """
    answer = client.api.get(
        f"{client.api.base_url}/v{client.api.api_version}/images/get",
        params={"names": list(names)},
        stream=True,
    )
    answer.raise_for_status()
    stream = _Stream(answer.iter_content(1 << 20))
    with tarfile.open(fileobj=stream, mode="r|") as source, tarfile.open(target, "w") as saved:
        for member in source:
            content = source.extractfile(member) if member.isfile() else None
            if member.name == "manifest.json" and content is not None:
                manifest = json.load(content)
                for image in manifest:
                    image["RepoTags"] = [new for old in image["RepoTags"] for new in names[old]]
                data = json.dumps(manifest).encode()
                member.size = len(data)
                saved.addfile(member, io.BytesIO(data))
            elif member.name not in ("repositories", "index.json", "oci-layout"):
                # Those three would carry the names of this engine.
                saved.addfile(member, content)
    say(f"saved {len(names)} images for the Coolify host's engine, {target.stat().st_size >> 20} MiB")


class _Stream(io.RawIOBase):
    """A file object over the chunks of an HTTP answer."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        parts = [self._rest]
        have = len(self._rest)
        while size < 0 or have < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            parts.append(chunk)
            have += len(chunk)
        data = b"".join(parts)
        self._rest = data[size:] if size >= 0 else b""
        return data[:size] if size >= 0 else data
