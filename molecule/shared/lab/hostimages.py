"""Images of the lab's machines: three systems, each from the packages of its distribution."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import docker
import docker.errors
import golang
import images
import paths
from progress import LabError, say


@dataclass(frozen=True)
class System:
    """One system a Coolify host may run, and what stands for it where no container registry answers."""

    name: str
    ubuntu: str


SYSTEMS = {
    "trixie": System("trixie", "24.04"),
    "bookworm": System("bookworm", "22.04"),
    "bullseye": System("bullseye", "20.04"),
}
_FOLDER = paths.IMAGES / "host"
_COMPOSE_PLUGIN = "usr/libexec/docker/cli-plugins/docker-compose"
# The Debian whose Compose v2 a system has that brings v1 only, and beside it the glibc that it was made for.
_COMPOSE_FROM = {"bookworm": "trixie", "bullseye": "forky"}
_UNRELEASED = "forky"
_COMPOSE_HOME = "usr/libexec/compose"
_COMPOSE_START = f"""#!/bin/sh
exec /{_COMPOSE_HOME}/ld-linux*.so.* --library-path /{_COMPOSE_HOME} /{_COMPOSE_HOME}/docker-compose "$@"
"""
_GLIBC = re.compile(r"(ld-linux.*\.so\.\d|libc\.so\.6|libresolv\.so\.2)")
# What nobody does in the lab, and takes a quarter of what is to be compiled.
_TAILSCALE_WITHOUT = (
    "aws", "bird", "capture", "clientupdate", "cloud", "completion", "desktop_sessions", "drive", "identityfederation", "kube",
    "networkmanager", "oauthkey", "posture", "qrcodes", "relayserver", "ssh", "synology", "syspolicy", "systray", "taildrop",
    "tap", "tpm", "wakeonlan", "webbrowser", "webclient",
)  # fmt: skip
# Nobody reads manuals in the lab, and they are a third of the files.
_LEFT_OUT = ("doc", "info", "man", "locale")


def packages(*lists: str) -> list[str]:
    """Return the packages named in files of images/host/packages."""
    return [name for one in lists for name in (_FOLDER / "packages" / one).read_text(encoding="ascii").split()]


def tailscaled() -> Path | None:
    """Return the tailscaled program (also the CLI, by its name), or None where no Go can be had."""
    tags = ",".join(["ts_include_cli", *(f"ts_omit_{feature}" for feature in _TAILSCALE_WITHOUT)])
    try:
        return golang.program("tailscaled", paths.IMAGES / "tailnet", "tailscale.com/cmd/tailscaled", tags=tags)
    except LabError as reason:
        say(f"no real Tailscale: {reason}")
        return None


def ensure(client: docker.DockerClient, system: System, agent: Path | None) -> str:
    """Return the reference of the image of a machine with this system, built where the engine lacks it.

    Args:
        agent: the tailscaled program, if there is one.
    """
    shape = images.digest(_FOLDER / "Dockerfile", _FOLDER / "rootfs", agent.name if agent else "", *_LEFT_OUT, _COMPOSE_START)
    names = {
        "registry": (f"host-ubuntu-{system.ubuntu}", images.digest(shape, *_registry_packages(system))),
        "packages": (f"host-{system.name}", images.digest(shape, *_debian_packages(system))),
    }
    for name, key in names.values():
        if images.exists(client, images.reference(name, key)):
            return images.reference(name, key)
    base_image = base(client, system)
    source = "registry" if "ubuntu" in base_image else "packages"
    name, key = names[source]
    tag = images.reference(name, key)
    with images.scratch() as context:
        shutil.copytree(_FOLDER, context, dirs_exist_ok=True, ignore=shutil.ignore_patterns("packages"))
        if agent:
            _place(agent, context / "products/usr/sbin/tailscaled")
        if source == "packages" and system.name in _COMPOSE_FROM:
            shutil.unpack_archive(_compose(_COMPOSE_FROM[system.name]), context / "products", "tar")
        (context / "products").mkdir(exist_ok=True)
        images.build(client, tag, context, arguments={"BASE": base_image})
    images.prune(client, name, keep=tag)
    say(f"{system.name}: host image built")
    return tag


def base(client: docker.DockerClient, system: System) -> str:
    """Return the reference of an image with a system's packages and nothing of the lab's, made where missing."""
    made = {
        "registry": images.reference(
            f"base-ubuntu-{system.ubuntu}", images.digest(_FOLDER / "registry.Dockerfile", *_registry_packages(system))
        ),
        "packages": images.reference(f"base-{system.name}", images.digest(*_debian_packages(system), *_LEFT_OUT)),
    }
    for tag in made.values():
        if images.exists(client, tag):
            return tag
    if _registry_has(system):
        say(f"{system.name}: from the registry's ubuntu:{system.ubuntu}")
        _registry_base(client, system, made["registry"])
        return made["registry"]
    say(
        f"{system.name}: from Debian's packages (no container registry answers), in the place of Ubuntu {system.ubuntu}"
    )
    _debian_base(client, system, made["packages"])
    return made["packages"]


def system_of(reference: str) -> str:
    """Return in words what a host image is made from."""
    name = reference.split("/")[1].split(":")[0]
    if name.startswith("host-ubuntu-"):
        return f"official image ubuntu:{name.rsplit('-', 1)[1]}"
    system = SYSTEMS[name[len("host-") :]]
    return f"Debian {system.name}, standing for Ubuntu {system.ubuntu}"


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755)


def _registry_packages(system: System) -> list[str]:
    return packages("common", f"ubuntu-{system.ubuntu}")


def _debian_packages(system: System) -> list[str]:
    return packages("common", system.name)


def _registry_has(system: System) -> bool:
    try:
        docker.from_env(timeout=20).api.inspect_distribution(f"ubuntu:{system.ubuntu}")
    except (docker.errors.DockerException, OSError):
        return False
    return True


def _registry_base(client: docker.DockerClient, system: System, tag: str) -> None:
    arguments = {"RELEASE": system.ubuntu, "PACKAGES": " ".join(_registry_packages(system))}
    images.build(client, tag, _FOLDER, "registry.Dockerfile", arguments, network="default")
    images.prune(client, f"base-ubuntu-{system.ubuntu}", keep=tag)


def _debian_base(client: docker.DockerClient, system: System, tag: str) -> None:
    with images.scratch() as folder:
        root = debian_root(system.name, _debian_packages(system), folder)
        repository, key = tag.split(":")
        label = f"LABEL {images.LABEL}={repository}"
        client.api.import_image(src=str(root), repository=repository, tag=key, changes=[label])
    images.prune(client, f"base-{system.name}", keep=tag)


def debian_root(suite: str, wanted: list[str], folder: Path) -> Path:
    """Write the root file system of a Debian suite with these packages as a tar into the folder, and return it."""
    left_out = [f"--dpkgopt=path-exclude=/usr/share/{kind}/*" for kind in _LEFT_OUT]
    return _unpacked(suite, wanted, folder, "--variant=minbase", *left_out)


def _unpacked(suite: str, wanted: list[str], folder: Path, *options: str) -> Path:
    ensure_mmdebstrap()
    tar = folder / f"{suite}.tar"
    done = subprocess.run(
        ["mmdebstrap", "--quiet", f"--include={','.join(wanted)}", *options, suite, str(tar)],
        env=dict(os.environ, TMPDIR=str(folder)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LabError(f"mmdebstrap {suite} failed: {(done.stderr or done.stdout).strip()[-2000:]}")
    return tar


def ensure_mmdebstrap() -> None:
    """Install what makes root file systems from packages, where it is missing."""
    if shutil.which("mmdebstrap"):
        return
    say("installing mmdebstrap")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-qq"]
    for step in (["update"], ["install", "-y", "--no-install-recommends", "mmdebstrap", "debian-archive-keyring"]):
        done = subprocess.run([*apt, *step], env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0 and step[0] == "install":
            raise LabError(
                "no container registry answers, and the package mmdebstrap, which makes the images without one, "
                f"cannot be installed: {done.stderr.strip()[-500:]}"
            )


def _compose(suite: str) -> Path:
    """Return a tar with the Compose v2 of a Debian suite, which any system runs with the glibc beside it."""

    # What is not released yet is signed for a week, which a mirror may be behind.
    late = ["--aptopt=Acquire::Check-Valid-Until \"false\""] if suite == _UNRELEASED else []

    def make(target: Path) -> None:
        with images.scratch() as folder:
            tar = _unpacked(suite, ["docker-compose"], folder, "--variant=extract", *late)
            with tarfile.open(tar) as root, tarfile.open(target, "w") as product:
                start = tarfile.TarInfo(_COMPOSE_PLUGIN)
                start.size, start.mode = len(_COMPOSE_START), 0o755
                product.addfile(start, io.BytesIO(_COMPOSE_START.encode("ascii")))
                for member in root:
                    name = Path(member.name).name
                    if member.isfile() and (_GLIBC.fullmatch(name) or member.name.endswith(_COMPOSE_PLUGIN)):
                        file = root.extractfile(member)
                        member.name = f"{_COMPOSE_HOME}/{name}"
                        product.addfile(member, file)
                if f"{_COMPOSE_HOME}/docker-compose" not in product.getnames():
                    raise LabError(f"Debian {suite}'s docker-compose has moved its plugin")

    return images.product(f"docker-compose-{suite}", images.digest(suite, _COMPOSE_START), make)
