# SPDX-License-Identifier: GPL-3.0-or-later
"""Readers of what a Coolify host says about itself: text or JSON in, facts out, nothing opened, nothing run.

Each returns plain values (str, int, bool, list, dict, None) that fit into Ansible facts; what a text does not say is
None, never an exception, since a half-broken host is the one that most needs describing.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ..engine import _client
from ..env import _pusher
from . import _versions

Json = t.Mapping[str, t.Any]

_QUOTED = r"""(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)")"""
_VERSION_ENTRY = re.compile(r"""['"]version['"]\s*=>\s*(?:env\(\s*['"]\w+['"]\s*\)\s*\?:\s*)?""" + _QUOTED)


def coolify_version(constants: str, image: t.Mapping[str, str]) -> str | None:
    """Return Coolify's version: the one written in its ``config/constants.php``, else COOLIFY_VERSION of its image.

    Since 4.3 the entry is ``env('COOLIFY_VERSION') ?: '4.3.0'``. The container's own variable is no witness, since an
    update without a version leaves ``latest`` in it (fact 52); that and what else is no version count as unknown.
    """
    match = _VERSION_ENTRY.search(constants)
    written = (match["single"] if match["single"] is not None else match["double"]) if match else ""
    return next((text for text in (written, image.get("COOLIFY_VERSION") or "") if _versions.parse(text)), None)


def scheme_obeyed(broadcasting: str, layout: str | None) -> bool:
    """Whether Coolify's backend takes PUSHER_SCHEME for its own calls, by its ``config/broadcasting.php``.

    Where that names PUSHER_BACKEND_SCHEME it does not (facts 41, 43); what it does not tell, the layout does.
    """
    if "PUSHER_" not in broadcasting:
        return layout != _pusher.BUNDLED
    return "PUSHER_BACKEND_SCHEME" not in broadcasting


# -- what the engine says of a container -------------------------------------------------------------------------------


def container_state(inspected: Json) -> dict[str, t.Any]:
    """Return name, state and health of an inspected container."""
    state = inspected.get("State") or {}
    name = str(inspected.get("Name") or "").lstrip("/") or None
    return {"name": name, "state": state.get("Status"), "health": (state.get("Health") or {}).get("Status")}


_IMAGE = re.compile(r"(?:^|/)coollabsio/coolify(?::|@|$)")


def others(listed: t.Iterable[Json]) -> list[str]:
    """Return the names of the containers in the engine's list that run Coolify's image, whatever they are called."""
    return sorted(name.lstrip("/") for one in listed if _IMAGE.search(str(one.get("Image"))) for name in one.get("Names") or [])


def mounted_env_file(coolify: Json) -> str | None:
    """Return the host's file that the container ``coolify`` has as its ``.env``."""
    mounts = [(str(one.get("Destination")), str(one.get("Source"))) for one in coolify.get("Mounts") or []]
    return next((source for inside, source in mounts if inside.endswith("/.env")), None)


def layout(coolify: Json, has_reverb: t.Callable[[], bool]) -> str:
    """Return which layout the container ``coolify`` belongs to (fact 37): ``bundled`` or ``separate``.

    `coolify` is its inspection; whether it has a service Reverb is asked only where its ports do not tell.
    """
    offered = any(_client.offers(coolify, port) for port in (6001, 6002))
    return _pusher.BUNDLED if offered or has_reverb() else _pusher.SEPARATE


def _bindings(inspected: Json, container_port: int) -> list[tuple[str, int]]:
    """Address and port of the host for each place that TCP ``container_port`` is published at.

    A running container's real ones; of a stopped one what it was created with.
    """
    key = f"{container_port}/tcp"
    live = (inspected.get("NetworkSettings") or {}).get("Ports") or {}
    created = (inspected.get("HostConfig") or {}).get("PortBindings") or {}
    for bindings in (live.get(key), created.get(key)):
        ports = [(str(one.get("HostIp") or "0.0.0.0"), str(one.get("HostPort") or "")) for one in bindings or []]
        found = [(address, int(port)) for address, port in ports if port.isdigit() and port != "0"]
        if found:
            return found
    return []


def published_ports(inspected: Json, container_port: int) -> list[int]:
    """Return every host port that TCP ``container_port`` is published on, the one first that most find (fact 53)."""

    def narrow(binding: tuple[str, int]) -> tuple[bool, bool]:
        return binding[0].startswith("127.") or binding[0] == "::1", binding[0] not in ("0.0.0.0", "::")

    return list(dict.fromkeys(port for _address, port in sorted(_bindings(inspected, container_port), key=narrow)))


def published_addresses(inspected: Json, container_port: int) -> list[str]:
    """Return the host's addresses with the first of `published_ports`; ``0.0.0.0`` and ``::`` are all (fact 53)."""
    first = published_ports(inspected, container_port)[:1]
    return list(dict.fromkeys(address for address, port in _bindings(inspected, container_port) if port in first))


def own_addresses(inspected: Json) -> list[str]:
    """Return the addresses that a container has in Docker's networks."""
    networks = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    return [str(one["IPAddress"]) for one in networks.values() if (one or {}).get("IPAddress")]


_OLD_SERVICE = re.compile(
    r"^(?P<indent>[ \t]+)soketi[ \t]*:[^\n]*\n(?P<body>(?:(?P=indent)[ \t]+[^\n]*\n|[ \t]*(?:#[^\n]*)?\n)*)", re.M
)
_PORTS = re.compile(r"^[ \t]+ports[ \t]*:", re.M)


def binds_old_service(override: str) -> bool:
    """Whether a ``docker-compose.custom.yml`` sets ports of the service ``soketi``.

    In the bundled layout that is a placeholder, and its ports bind nothing (facts 37, 53). Read by lines, since the host
    need not have a YAML reader.
    """
    return any(_PORTS.search(match["body"]) for match in _OLD_SERVICE.finditer(override + "\n"))


_TAG = re.compile(r":([^:/@]+)(?:@.*)?$")


def image_tag(image: str) -> str | None:
    """Return the tag of an image's name, without a digest; None where there is none."""
    match = _TAG.search(image)
    return match[1] if match else None


def proxy(inspected: Json | None) -> dict[str, t.Any]:
    """Describe the proxy container (fact 13): Traefik, Caddy, or none.

    The version is the image's own label where it has one, since a tag may be as vague as ``v3``; without the leading v.
    """
    if inspected is None:
        return {"kind": "none", "version": None, "state": None}
    config = inspected.get("Config") or {}
    image = str(config.get("Image") or "")
    kind = next((kind for kind in ("traefik", "caddy") if kind in image.lower()), "none")
    version = (config.get("Labels") or {}).get("org.opencontainers.image.version") or image_tag(image)
    version = version[1:] if version and re.match(r"v\d", version) else version
    return {"kind": kind, "version": version, "state": container_state(inspected)["state"]}


# -- the instance's domain ---------------------------------------------------------------------------------------------

# Coolify's own routers for the page, each with what is indented below it.
_TRAEFIK_ROUTER = re.compile(
    r"""(?m)^(?P<indent>[ ]*)["']?coolify-(?P<scheme>https?)["']?[ ]*:(?P<body>.*(?:\r?\n(?:(?P=indent)[ ]+.*|[ ]*))*)"""
)
_TRAEFIK_HOST = re.compile(r"""\brule["']?:.*?Host\(\s*`(?P<host>[^`]+)`""")
_CADDY_ADDRESS = re.compile(r"(?:(?P<scheme>https?)://)?(?P<host>[A-Za-z0-9_*][A-Za-z0-9_.*-]*)(?::\d+)?/?")


def _named(host: str) -> bool:
    """Whether ``host`` is a name: an instance set to a bare address has no domain that a certificate could be for."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return bool(host)
    return False


def domain_of_traefik(text: str, source: str) -> dict[str, str] | None:
    """Return the instance's domain from Coolify's own ``coolify.yaml`` (facts 12, 28).

    It is the first name in the rule of the router that Coolify names `coolify-https`, or else `coolify-http`. Read by lines,
    since the host need not have a YAML reader.
    """
    bodies = {match["scheme"]: match["body"] for match in _TRAEFIK_ROUTER.finditer(text)}
    scheme = "https" if "https" in bodies else "http"
    match = _TRAEFIK_HOST.search(bodies.get(scheme, ""))
    if match is None or not _named(match["host"]):
        return None
    return {"host": match["host"].lower(), "scheme": scheme, "source": source}


def domain_of_caddy(text: str, source: str) -> dict[str, str] | None:
    """Return the instance's domain from Coolify's own ``coolify.caddy`` (fact 29): its first site block with a name."""
    depth = 0
    for raw in text.splitlines():
        line = re.sub(r"(?:^|\s)#.*", "", raw).strip()
        if depth == 0 and line.endswith("{"):
            sites = [_CADDY_ADDRESS.fullmatch(word) for word in re.split(r"[\s,]+", line[:-1]) if word]
            named = [site for site in sites if site and _named(site["host"])]
            if named:
                https = any(site["scheme"] != "http" for site in named)
                return {"host": named[0]["host"].lower(), "scheme": "https" if https else "http", "source": source}
        depth += line.count("{") - line.count("}")
    return None


# -- the operating system ----------------------------------------------------------------------------------------------

_PRETTY_NAME = re.compile(r"^PRETTY_NAME=(.*)$", re.MULTILINE)
_SYSTEMD_LIBRARY = re.compile(r"libsystemd-shared-(?P<version>\d+)")


def system_name(os_release: str) -> str | None:
    """Return the system's name for people from the text of ``/etc/os-release``."""
    match = _PRETTY_NAME.search(os_release)
    return match[1].strip().strip("\"'") if match else None


def systemd_version(library_names: t.Iterable[str]) -> str | None:
    """Return systemd's version from the name of its private library, which carries it on every distribution."""
    return next((match["version"] for match in map(_SYSTEMD_LIBRARY.search, library_names) if match), None)


def python_version(path: str) -> str | None:
    """Return the version that an interpreter's real name tells, as in ``/usr/bin/python3.11``; None where there is none."""
    match = re.search(r"/python(\d+\.\d+)$", path)
    return match.group(1) if match else None


DOCKER_SOCKET_UNIT = "docker.socket"
_DOCKER_SOCKETS = ("/run/docker.sock", "/var/run/docker.sock")


def is_kept_stopped(units: t.Mapping[str, t.Mapping[str, t.Any]], socket: str) -> bool:
    """Whether the engine was stopped, and systemd listens at its `socket` to start it for whoever connects."""
    service, listener = (units.get(name) or {} for name in ("docker.service", DOCKER_SOCKET_UNIT))
    stopped = service.get("active_state") in ("inactive", "failed")
    return socket in _DOCKER_SOCKETS and stopped and listener.get("active_state") == "active"


def systemd_units(text: str) -> dict[str, dict[str, t.Any]]:
    """Return the units in the output of ``systemctl show`` for several units, by their ids.

    Blocks are parted by an empty line. ``enabled`` is None where systemd says nothing of it (no unit file).
    """
    units = {}
    for block in text.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if values.get("Id"):
            file_state = values.get("UnitFileState", "")
            units[values["Id"]] = {
                "installed": values.get("LoadState") == "loaded",
                "active_state": values.get("ActiveState") or None,
                "cgroup": values.get("ControlGroup") or None,
                "enabled": file_state in ("enabled", "enabled-runtime", "static") if file_state else None,
            }
    return units


_NFT_VERSION = re.compile(r"""(?:nftables v|"version":\s*")(?P<version>\d[\w.]*)""")


def nft_version(text: str) -> str | None:
    """Return nft's version from ``nft --version``, or from the head of any ``nft -j`` output."""
    match = _NFT_VERSION.search(text)
    return match["version"] if match else None
