# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The access plan: one pure function from what a host is, and what the user chose, to every value that a role writes.

The guide's rule (``auto``): the domain if there is one, else Tailscale. ``domain`` and ``tailscale`` choose one,
``dual`` serves both at once (fact 7). Whatever cannot work is refused here, before anything on the host is changed.
Private to this collection: no stability is promised to anybody outside it.
"""

from __future__ import annotations

import re
import typing as t

from ..env import _pusher
from ..firewall import _nft_rules
from ..host import _versions
from ..nginx import _http_conf
from ..proxy import _traefik
from ..tailnet import _tailscale

MODES = ("auto", "domain", "tailscale", "dual")
SCHEMES = ("auto", "https", "http")
STATES = ("present", "absent")
ENTRYPOINTS = ("https", "http")

MINIMUM_DOCKER = "20.10"
MINIMUM_COOLIFY = "4.0.0-beta.426"
MINIMUM_TRAEFIK = "3.1"

_DOMAIN_LIMIT = 253
_LABEL_LIMIT = 63
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")

Facts = t.Mapping[str, t.Any]
Domain = t.Dict[str, t.Any]


class AccessError(ValueError):
    """The host, or a variable, makes a plan impossible. The message names what is wrong or missing, and the remedy."""


def _domain_error(value: str, reason: str, remedy: str) -> AccessError:
    return AccessError(f"coolify_domain {value!r} {reason}. {remedy}")


def validate_domain(value: t.Any) -> str:
    """Return a host name in lower case, or raise AccessError saying what to write instead.

    RFC 1123 names of at most 253 characters, labels of at most 63: a name outside of them gets no certificate, and a
    character outside of them could carry syntax into the files that the name is written to.
    """
    bare = "Write the bare host name, like coolify.example.com."
    if not isinstance(value, str):
        raise _domain_error(value, "is not text", bare)
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise _domain_error(value, "has a control character (a line break, a tab …) in it", bare)
    if re.search(r"\s", value):
        raise _domain_error(value, "has a blank in it", bare)
    if "://" in value:
        raise _domain_error(
            value, "has a scheme in it", bare + " The scheme is a variable of its own: coolify_access_scheme."
        )
    if any(character in value for character in "/?#\\"):
        raise _domain_error(value, "has a path in it", bare)
    if "@" in value:
        raise _domain_error(value, "has a user name in it", bare)
    if "*" in value:
        raise _domain_error(value, "is a wildcard", "Write the one name that the instance is opened by.")
    if value.startswith("[") or value.count(":") > 1:
        raise _domain_error(
            value, "is an address", "Write a host name, or leave it empty and use coolify_access: tailscale."
        )
    if ":" in value:
        raise _domain_error(value, "has a port in it", bare)
    return _validate_labels(value)


def _validate_labels(value: str) -> str:
    if not value.isascii():
        raise _domain_error(
            value, "has letters beyond ASCII in it", f"Write its ASCII form (punycode){_punycode_example(value)}."
        )
    name = value.lower()
    labels = name.split(".")
    if name.endswith(".") and len(labels) > 1 and all(labels[:-1]):
        raise _domain_error(value, "ends in a dot", "Leave the last dot out.")
    if not all(labels):
        raise _domain_error(value, "has an empty label (nothing between two dots)", "Take the superfluous dot out.")
    if len(name) > _DOMAIN_LIMIT:
        raise _domain_error(
            value,
            f"is longer than {_DOMAIN_LIMIT} characters",
            "No name that long can be looked up: use a shorter one.",
        )
    for label in labels:
        if len(label) > _LABEL_LIMIT:
            raise _domain_error(
                value, f"has a label longer than {_LABEL_LIMIT} characters", "Use a shorter name between two dots."
            )
        if "_" in label:
            raise _domain_error(
                value,
                "has an underscore in it",
                "Host names know no underscore, and get no certificate with one: use a hyphen.",
            )
        if not _LABEL.fullmatch(label):
            raise _domain_error(
                value,
                f"has the label {label!r} in it",
                "Only letters, digits and hyphens make a label, and a hyphen neither begins nor ends it.",
            )
    if labels[-1].isdigit():
        raise _domain_error(
            value, "is an address", "Write a host name, or leave it empty and use coolify_access: tailscale."
        )
    return name


def _punycode_example(value: str) -> str:
    try:
        return ": {}".format(value.encode("idna").decode("ascii"))
    except UnicodeError:
        return ", which begins with xn--"


def _choose(name: str, value: t.Any, choices: t.Sequence[str]) -> str:
    if value not in choices:
        raise AccessError("{} is {!r}. Set it to one of {}.".format(name, value, ", ".join(choices)))
    return str(value)


def _entrypoints(value: t.Any) -> list[str]:
    if not isinstance(value, (list, tuple)) or not value:
        raise AccessError(
            "coolify_traefik_entrypoints is {!r}. Set it to a list of {}.".format(value, ", ".join(ENTRYPOINTS))
        )
    return [_choose("coolify_traefik_entrypoints", name, ENTRYPOINTS) for name in value]


# -- what the host must have -------------------------------------------------------------------------------------------


def check_host(info: Facts) -> None:
    """Raise AccessError where the host lacks what every mode needs: Docker and Coolify, in versions that are known."""
    docker, coolify = info.get("docker") or {}, info.get("coolify") or {}
    if not docker.get("reachable"):
        raise AccessError(
            f"Docker does not answer on this host: {docker.get('error')}. Start it (systemctl start docker), or "
            "install Coolify, which brings it; for a socket elsewhere, set coolify_access_docker_socket."
        )
    version = str(docker.get("version") or "")
    if not _versions.at_least(version, MINIMUM_DOCKER):
        raise AccessError(
            "Docker {} on this host is older than {}, which is the least that Coolify runs on. Upgrade Docker Engine "
            "(https://docs.docker.com/engine/install/).".format(version or "(unknown version)", MINIMUM_DOCKER)
        )
    if not coolify.get("found"):
        raise AccessError(
            "There is no container named coolify on this host. Install Coolify first, or take the host out of the "
            "group that coolify_hosts names."
        )
    env_file = info.get("env_file") or {}
    # Before the version: with its .env away nothing can be read from the container.
    if not env_file.get("exists"):
        raise AccessError(
            f"There is no {env_file.get('path')} on this host. If Coolify's folder is another one, set "
            "coolify_data_path; if the file is lost, restore it from a backup first: it holds APP_KEY."
        )
    version = str(coolify.get("version") or "")
    # A version that cannot be read, such as "latest", says nothing against the host (fact 52).
    if _versions.at_least(version, MINIMUM_COOLIFY) is False:
        raise AccessError(
            f"Coolify {version} on this host is older than {MINIMUM_COOLIFY}. Update Coolify (Settings, or its "
            "upgrade.sh), then run this again."
        )


def traefik_refusal(info: Facts) -> str:
    """Return why routes cannot be put into this host's Traefik, and the remedy; empty where they can."""
    proxy = info.get("proxy") or {}
    if _versions.at_least(str(proxy.get("version") or ""), MINIMUM_TRAEFIK) is not False:
        return ""
    return (
        f"coolify-proxy runs Traefik {proxy['version']}, which does not know the rules of {MINIMUM_TRAEFIK}. Update the "
        "proxy in Coolify (Servers, Proxy), or set coolify_traefik_state: absent to do without routes in it."
    )


# -- the parts of the plan ---------------------------------------------------------------------------------------------


def _tunnel_present(info: Facts) -> bool:
    tunnel = (info.get("managed") or {}).get("tunnel") or {}
    return bool(tunnel.get("present") or tunnel.get("managed_by_coolify"))


def _domain(info: Facts, wanted: t.Any, scheme: str) -> tuple[Domain | None, str]:
    """Return the domain with its scheme and port, and where the two were taken from."""
    own = info.get("domain") or {}
    own_host = str(own.get("host") or "").lower()
    if wanted in ("", None):
        if not own_host:
            return None, ""
        try:
            host = validate_domain(own_host)
        except AccessError as error:
            raise AccessError(
                f"{error} It was read from {own.get('source')}: correct it in Coolify's settings, or set "
                "coolify_domain."
            ) from None
        origin = "read from Coolify's own configuration"
    else:
        host = validate_domain(wanted)
        origin = "given by coolify_domain"
    if scheme == "auto":
        # Behind a tunnel the browser uses https whatever the instance's URL says (fact 28); of a name that Coolify's
        # own file does not have nothing else is known than what the guide assumes.
        plain = own_host == host and own.get("scheme") == "http" and not _tunnel_present(info)
        scheme = "http" if plain else "https"
    return {"host": host, "scheme": scheme, "port": 443 if scheme == "https" else 80}, origin


def _tailnet(tailscale: Facts, by_name: t.Any) -> dict[str, t.Any] | None:
    if not tailscale.get("up") or not (tailscale.get("ipv4") or tailscale.get("ipv6")):
        return None
    if by_name and not tailscale.get("name"):
        raise AccessError(
            "coolify_access_tailscale_name is true, but tailscaled tells no name for this host. Enable MagicDNS for "
            "the tailnet, or set coolify_access_tailscale_name: false."
        )
    # A browser takes a bare IPv6 address only in brackets.
    address = tailscale.get("ipv4") or f"[{tailscale['ipv6']}]"
    return {
        "interface": tailscale["interface"],
        "ipv4": tailscale.get("ipv4"),
        "ipv6": tailscale.get("ipv6"),
        "host": tailscale["name"] if by_name else address,
    }


def _tailscale_missing(tailscale: Facts) -> str:
    interface = tailscale.get("interface") or "tailscale0"
    if tailscale.get("backend_state") in ("NeedsLogin", "NeedsMachineAuth"):
        return "Tailscale is installed on this host, but not logged in: run tailscale up on it"
    if tailscale.get("backend_state") == "Stopped":
        return "Tailscale is stopped on this host: run tailscale up on it"
    if tailscale.get("installed") and not tailscale.get("present"):
        return f"Tailscale is installed on this host, but the interface {interface} is not there: start tailscaled"
    if tailscale.get("present"):
        return f"The interface {interface} on this host is down or has no address: run tailscale up on it"
    return f"There is no interface {interface} on this host: install Tailscale and run tailscale up"


_SET_A_DOMAIN = "set coolify_domain, or the instance's domain in Coolify's settings"


def _mode(access: str, domain: Domain | None, tailnet: Facts | None, tailscale: Facts, origin: str) -> tuple[str, str]:
    """Return the mode and the sentence that says why."""
    if access == "auto":
        if domain is not None:
            return "domain", "There is a domain, {} ({}), and by the rule of auto it comes before Tailscale.".format(
                domain["host"], origin
            )
        if tailnet is not None:
            return "tailscale", "There is no domain, but Tailscale is up ({}).".format(
                tailnet["ipv4"] or tailnet["ipv6"]
            )
        raise AccessError(
            f"There is neither a domain nor Tailscale on this host, so nobody could come in. Either {_SET_A_DOMAIN}. "
            f"Or: {_tailscale_missing(tailscale)}."
        )
    if domain is None and access in ("domain", "dual"):
        raise AccessError(f"coolify_access is {access}, but no domain is known: {_SET_A_DOMAIN}.")
    if tailnet is None and access in ("tailscale", "dual"):
        raise AccessError(
            f"coolify_access is {access}, but the tailnet's address is not known. "
            f"{_tailscale_missing(tailscale)}; or set coolify_access: domain."
        )
    return access, f"Chosen by coolify_access: {access}."


def environment(
    mode: str | None, domain: Facts | None, tailnet: Facts | None, app_port: int, info: Facts
) -> dict[str, str | None]:
    """Return the keys that .env must have, None for a key that must not be there (facts 7, 42, 43)."""
    host = port = ""
    if mode == "domain" and domain is not None:
        host, port = domain["host"], str(domain["port"])
    elif mode == "tailscale" and tailnet is not None:
        host, port = tailnet["host"], str(app_port)
    present = (info.get("env_file") or {}).get("values") or {}
    obeyed = (info.get("coolify") or {}).get("pusher_scheme_obeyed", True)
    return _pusher.wanted(host, port, info.get("layout"), present, bool(obeyed))


def _ports(info: Facts) -> dict[str, t.Any]:
    known = info.get("ports") or {}
    if (info.get("realtime") or {}).get("found"):
        realtime = {"app": known.get("app"), "terminal": known.get("terminal")}
    else:
        # Between the removal and the re-creation of the container its ports are what Coolify's compose file says.
        realtime = {"app": known.get("app") or _pusher.APP_PORT, "terminal": known.get("terminal") or _pusher.TERMINAL_PORT}
    return {"app": realtime["app"], "terminal": realtime["terminal"], "http": known.get("http")}


def _trusted(tailscale: Facts, extra: t.Any) -> list[dict[str, str | None]]:
    entries = []
    # Also while tailscaled is down: a rule for an interface that is not there lets nobody in, and the tailnet must
    # not be locked out by a run that met a moment's outage.
    if tailscale.get("present") or tailscale.get("installed"):
        interface = tailscale.get("interface")
        ranges = (_tailscale.IPV4_RANGE, _tailscale.IPV6_RANGE)
        entries = [{"source": source, "interface": interface} for source in ranges]
    for entry in _trusted_by_user(extra):
        if entry not in entries:
            entries.append(entry)
    return entries


def _trusted_by_user(extra: t.Any) -> list[dict[str, str | None]]:
    if not isinstance(extra, (list, tuple)):
        raise AccessError(f"coolify_firewall_trusted is {extra!r}. Write a list.")
    given = [{"source": entry} if isinstance(entry, str) else entry for entry in extra]
    for entry in given:
        if not isinstance(entry, dict) or not set(entry) <= {"source", "interface"}:
            raise AccessError(
                f"coolify_firewall_trusted has the entry {entry!r}. Write {{source: 192.0.2.0/24}}, "
                "{interface: eth1}, or both in one."
            )
    try:
        return _nft_rules.as_options(_nft_rules.policy([_pusher.APP_PORT], given).trusted)
    except ValueError as error:
        raise AccessError(f"coolify_firewall_{error}.") from None


def _data_path(value: t.Any) -> str:
    if not isinstance(value, str) or not value.startswith("/"):
        raise AccessError(
            f"coolify_data_path is {value!r}. Write Coolify's folder as an absolute path, like /data/coolify."
        )
    return value.rstrip("/")


def _check_nginx(resolver: t.Any, read_timeout: t.Any) -> None:
    """Try the two values on an empty file, as nginx_snippet will on the real one."""
    # The command line gives every value as text.
    seconds = int(read_timeout) if isinstance(read_timeout, str) and read_timeout.isdecimal() else read_timeout
    try:
        _http_conf.apply("", _http_conf.ROUTES, str(resolver), seconds)
    except _http_conf.HttpConfError as error:
        raise AccessError(f"coolify_nginx_{error}.") from None


def _traefik_part(
    info: Facts, data_path: str, domain: Domain | None, entrypoints: t.Sequence[str], state: str
) -> dict[str, t.Any]:
    wanted = domain is not None and state == "present" and (info.get("proxy") or {}).get("kind") == "traefik"
    return {
        "wanted": wanted,
        "path": data_path + "/proxy/dynamic/coolify-websocket.yaml",
        "host": domain["host"] if domain else None,
        "entrypoints": list(entrypoints),
        "document": _traefik.document(domain["host"], list(entrypoints)) if wanted and domain else None,
    }


def _tunnel_part(info: Facts, domain: Domain | None, ports: Facts) -> dict[str, t.Any]:
    tunnel = (info.get("managed") or {}).get("tunnel") or {}
    published = ((r"^/terminal/ws$", ports["terminal"]), (r"^/apps?/", ports["app"]))
    rules = [{"path": path, "service": f"http://localhost:{port}"} for path, port in published if port]
    return {
        "wanted": domain is not None and bool(tunnel.get("present")) and bool(rules),
        "hostname": domain["host"] if domain else None,
        "path": tunnel.get("path"),
        "rules": rules,
    }


def plan(
    info: Facts,
    tailscale: Facts,
    access: str = "auto",
    domain: str | None = "",
    trusted: t.Sequence[t.Any] = (),
    entrypoints: t.Sequence[str] = ENTRYPOINTS,
    scheme: str = "auto",
    data_path: str = "/data/coolify",
    state: str = "present",
    tailscale_name: bool = False,
    traefik_state: str = "present",
    resolver: str = _http_conf.RESOLVER,
    read_timeout: t.Any = _http_conf.READ_TIMEOUT,
) -> dict[str, t.Any]:
    """Return every value that any role writes on this host.

    :param info: what ``coolify_info`` returned.
    :param tailscale: what ``tailscale_info`` returned below ``tailscale``.
    :param access: one of ``MODES``.
    :param domain: the instance's host name; empty for the one that Coolify's own file has (fact 12).
    :param trusted: who besides the tailnet may reach the published ports: CIDRs, or mappings of source and interface.
    :param entrypoints: Traefik's entry points that carry the routes.
    :param scheme: what browsers use on the domain, one of ``SCHEMES``.
    :param data_path: Coolify's folder on the host.
    :param state: ``present``, or ``absent`` for taking everything back, which needs neither a domain nor Tailscale:
        no value but this one is refused then, and what is not known is None.
    :param tailscale_name: whether browsers on the tailnet are sent to the host's name there, not to its address.
    :param traefik_state: whether Traefik is to have routes at all, one of ``STATES``.
    :param resolver: what nginx asks for the realtime container's address.
    :param read_timeout: seconds that a WebSocket may be silent before nginx ends it.
    :raises AccessError: what is wrong, and the remedy.
    """
    absent = _choose("coolify_state", state, STATES) == "absent"
    try:
        folder = _data_path(data_path)
        if not absent:
            check_host(info)
        access = _choose("coolify_access", access, MODES)
        scheme = _choose("coolify_access_scheme", scheme, SCHEMES)
        _check_nginx(resolver, read_timeout)
        names = _entrypoints(entrypoints)
        site, origin = _domain(info, domain, scheme)
        tailnet = _tailnet(tailscale, tailscale_name)
        mode: str | None
        mode, why = _mode(access, site, tailnet, tailscale, origin)
        allowed = _trusted(tailscale, trusted)
        traefik = _traefik_part(info, folder, site, names, _choose("coolify_traefik_state", traefik_state, STATES))
        if traefik["wanted"] and traefik_refusal(info):
            raise AccessError(traefik_refusal(info))
    except AccessError as error:
        if not absent:
            raise
        traefik = _traefik_part(info, str(data_path).rstrip("/"), None, ENTRYPOINTS, "absent")
        mode, why, site, tailnet, allowed = None, str(error), None, None, []
    ports = _ports(info)
    variables = environment(mode, site, tailnet, ports["app"] or _pusher.APP_PORT, info)
    running = (info.get("coolify") or {}).get("environment") or {}
    sides = {"domain": ["domain"], "tailscale": ["tailscale"], "dual": ["domain", "tailscale"]}
    return {
        "mode": mode,
        "sides": sides.get(mode or "", []),
        "why": why,
        "domain": site,
        "tailscale": tailnet,
        "environment": variables,
        "pending": _pusher.differing(variables, running),
        "ports": ports,
        "nginx": {"routes": [dict(route) for route in _http_conf.ROUTES]},
        "traefik": traefik,
        "firewall": {"ports": [port for port in (ports["app"], ports["terminal"]) if port], "trusted": allowed},
        "tunnel": _tunnel_part(info, site, ports),
    }
