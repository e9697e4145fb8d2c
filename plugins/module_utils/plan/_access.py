# SPDX-License-Identifier: GPL-3.0-or-later
"""The access plan: one pure function from what a host is, and what the user chose, to every value that a role writes.

The guide's rule (``auto``): the domain if there is one, else Tailscale. ``domain`` and ``tailscale`` choose one,
``dual`` serves both at once (fact 7). Whatever cannot work is refused here, before anything on the host is changed.
"""

from __future__ import annotations

import typing as t

from ..env import _pusher
from ..firewall import _nft_rules, _policy
from ..host import _versions
from ..nginx import _routes
from ..proxy import _traefik
from ..tailnet import _tailscale
from . import _environment, _tailnet, _tunnel, _words
from ._domain import AccessError, validate_data_path, validate_domain

MODES = ("auto", "domain", "tailscale", "dual")
SCHEMES = ("auto", "https", "http")
STATES = ("present", "absent")
#: Of the hops outside of the container, where nothing is needed as long as nothing is in the way.
OUTER = ("traefik", "tunnel")
#: The hops that a variable ``coolify_<hop>_state`` decides about.
HOPS = ("pusher", "nginx", "self_heal", "traefik", "firewall", "tunnel")

MINIMUM_DOCKER = "20.10"
MINIMUM_COOLIFY = "4.0.0-beta.426"
MINIMUM_TRAEFIK = "3.1"

Facts = t.Mapping[str, t.Any]
Domain = t.Dict[str, t.Any]


class _UnfitDomain(AccessError):
    """The domain that Coolify has could not be used: a reason to refuse only where people are to come in by it."""


class Choices(t.NamedTuple):
    """What the user chose, by the roles' variables, which explain them.

    `state` absent is for taking everything back, which needs neither a domain nor Tailscale: no value but this one is
    refused then, and what is not known is None. `states` has by hop what is another one than `state`.
    """

    access: str = "auto"
    domain: str | None = ""
    extra_domains: t.Sequence[str] = ()
    scheme: str = "auto"
    trusted: t.Sequence[t.Any] = ()
    outside_interfaces: t.Sequence[str] = ()
    cut_off: bool = False
    python: str = ""
    data_path: str = "/data/coolify"
    state: str = "present"
    tailscale_name: bool = False
    nginx: t.Mapping[str, t.Any] = {}
    tunnel_manage: bool = True
    tunnel_id: str = ""
    states: t.Mapping[str, str] = {}


def _choose(name: str, value: t.Any, choices: t.Sequence[str]) -> str:
    if value not in choices:
        raise AccessError("{} is {!r}. Set it to one of {}.".format(name, value, ", ".join(choices)))
    return str(value)


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
    # A version that cannot be read says nothing against the host.
    if _versions.at_least(version, MINIMUM_DOCKER) is False:
        raise AccessError(
            f"Docker {version} on this host is older than {MINIMUM_DOCKER}, which is the least that Coolify runs on. Upgrade "
            "Docker Engine (https://docs.docker.com/engine/install/)."
        )
    others = coolify.get("others")
    if not coolify.get("found") and others:
        raise AccessError(
            f"There is no container named coolify on this host, but {' and '.join(others)} runs Coolify's image. Only the names "
            f"of Coolify's own installer are supported: `docker rename {others[0]} coolify`, or install Coolify in its own way."
        )
    if not coolify.get("found"):
        raise AccessError(
            "There is no container named coolify on this host. Install Coolify first, or take the host out of the group that "
            "coolify_hosts names; where `docker ps -a` has it as …_coolify, as Compose leaves it when it is cut, run "
            "`docker rename …_coolify coolify`."
        )
    env_file = info.get("env_file") or {}
    # Before the version: with its .env away nothing can be read from the container.
    mounted = coolify.get("env_file")
    if not env_file.get("exists") and mounted and mounted != env_file.get("path"):
        folder = mounted[: -len("/source/.env")] if mounted.endswith("/source/.env") else ""
        remedy = f"Set coolify_data_path: {folder}" if folder else "Only Coolify's own layout, FOLDER/source/.env, is supported"
        raise AccessError(f"Coolify's .env on this host is {mounted}, not {env_file.get('path')}. {remedy}.")
    if not env_file.get("exists"):
        raise AccessError(
            f"There is no {env_file.get('path')} on this host. If Coolify's folder is another one, set "
            "coolify_data_path; if the file is lost, restore it from a backup first: it holds APP_KEY."
        )
    version = str(coolify.get("version") or "")
    # Such as "latest" (fact 52).
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


def _domain(info: Facts, wanted: t.Any, scheme: str, remote: bool) -> tuple[Domain | None, str]:
    """Return the domain with its scheme and port, and where the two were taken from."""
    own = info.get("domain") or {}
    own_host = str(own.get("host") or "").lower()
    if wanted in ("", None):
        if not own_host:
            return None, ""
        try:
            host = validate_domain(own_host)
        except AccessError as error:
            raise _UnfitDomain(
                f"{error} It was read from {own.get('source')}: correct it in Coolify's settings, or set coolify_domain."
            ) from None
        origin = "read from Coolify's own configuration"
    else:
        host = validate_domain(wanted)
        origin = "given by coolify_domain"
    if scheme == "auto":
        # Behind a tunnel the browser uses https whatever the instance's URL says (fact 28); of a name that Coolify's
        # own file does not have nothing else is known than what the guide assumes.
        plain = own_host == host and own.get("scheme") == "http" and not (remote or _tunnel.present(info))
        scheme = "http" if plain else "https"
    return {"host": host, "scheme": scheme, "port": 443 if scheme == "https" else 80}, origin


def _extra_domains(given: t.Any, site: Domain | None, access: str) -> list[str]:
    """The other names that people open the instance by, each once. Raises AccessError."""
    if not isinstance(given, (list, tuple)):
        raise AccessError(f"coolify_access_extra_domains is {given!r}. Write a list of host names.")
    names = dict.fromkeys(validate_domain(name, "coolify_access_extra_domains:") for name in given)
    if names and site is None and access != "tailscale":
        raise AccessError(f"coolify_access_extra_domains is set, but no domain is known that they are beside: {_SET_A_DOMAIN}.")
    return [name for name in names if site is not None and name != site["host"]]


def _served(
    info: Facts, tailscale: Facts, site: Domain | None, access: str, notes: list[str]
) -> tuple[Domain | None, dict[str, t.Any] | None]:
    """The domain, and what tailscaled serves, of which people come in by one; a note where what is left out is not plain."""
    served = _tailnet.served(info, tailscale)
    # Of the name that tailscaled has, nobody but the tailnet knows an address.
    if served is None or (site is not None and site["host"] != served["host"]):
        return site, None
    if access == "tailscale":
        notes.append(
            f"tailscaled also carries Coolify's page as {served['url']} (tailscale serve). Live updates of a page that is opened "
            "there go to the tailnet's address; coolify_access: auto makes them go to the name."
        )
        return site, None
    if not served["by_page"]:
        notes.append(f"Pages at the tailnet's address are sent to {served['url']} too. {_USUAL_PORT}, and both work.")
    return None, served


_SET_A_DOMAIN = "set coolify_domain, or the instance's domain in Coolify's settings"


def _mode(
    access: str, domain: Domain | None, served: Facts | None, tailnet: Facts | None, tailscale: Facts, origin: str
) -> tuple[str, str]:
    """Return the mode and the sentence that says why."""
    by_serve = f"tailscaled carries Coolify's page as {served['url']} (tailscale serve)" if served else ""
    if access == "auto":
        if domain is not None:
            return "domain", "There is a domain, {} ({}), and by the rule of auto it comes before Tailscale.".format(
                domain["host"], origin
            )
        if served is not None:
            return "domain", f"There is no other domain, but {by_serve}."
        if tailnet is not None:
            return "tailscale", "There is no domain, but Tailscale is up ({}).".format(tailnet["ipv4"] or tailnet["ipv6"])
        raise AccessError(
            f"There is neither a domain nor Tailscale on this host, so nobody could come in. Either {_SET_A_DOMAIN}. "
            f"Or: {_tailnet.missing(tailscale)}."
        )
    if domain is None and served is None and access in ("domain", "dual"):
        raise AccessError(f"coolify_access is {access}, but no domain is known: {_SET_A_DOMAIN}.")
    if tailnet is None and access in ("tailscale", "dual"):
        raise AccessError(
            f"coolify_access is {access}, but the tailnet's address is not known. "
            f"{_tailnet.missing(tailscale)}; or set coolify_access: domain."
        )
    if access == "dual" and served is not None and not served["by_page"]:
        raise AccessError(
            f"coolify_access is dual, but {by_serve}, and no value of PUSHER_PORT is right for both ways. {_USUAL_PORT}, or set "
            "coolify_access: domain."
        )
    return access, f"Chosen by coolify_access: {access}." + (f" {by_serve[0].upper()}{by_serve[1:]}." if served else "")


_USUAL_PORT = "Let tailscaled have the port that a URL leaves out: tailscale serve --bg --https=443 8000"


def _ports(info: Facts) -> dict[str, t.Any]:
    known, found = info.get("ports") or {}, (info.get("realtime") or {}).get("found")
    # Between the removal and the re-creation of the container its ports are what Coolify's compose file says.
    usual = {} if found else {"app": _pusher.APP_PORT, "terminal": _pusher.TERMINAL_PORT}
    return {name: known.get(name) or usual.get(name) for name in ("app", "terminal", "http")}


def _trusted(info: Facts, tailscale: Facts, extra: t.Any) -> list[dict[str, str | None]]:
    entries = []
    # Also while tailscaled is down: a rule for an interface that is not there lets nobody in, and the tailnet must
    # not be locked out by a run that met a moment's outage.
    if tailscale.get("present") or tailscale.get("installed"):
        interface = tailscale.get("interface")
        ranges: list[str | None] = [_tailscale.IPV4_RANGE, _tailscale.IPV6_RANGE]
        own = [address for address in (tailscale.get("ipv4"), tailscale.get("ipv6")) if address]
        loaded = ((info.get("managed") or {}).get("firewall") or {}).get("rules") or []
        whole = _policy.Trusted(interface, None)
        # Nothing tells another tailnet's prefixes, neither the kernel nor tailscaled, which lets in by this interface what
        # comes from a peer's own address.
        if not all(map(_tailscale.in_range, own)) or (not own and _nft_rules.lets_in(loaded, whole)):
            ranges = [None]
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
        return _policy.as_options(_policy.policy([_pusher.APP_PORT], given).trusted)
    except ValueError as error:
        raise AccessError(f"coolify_firewall_{error}.") from None


def _firewall(
    reason: str,
    info: Facts,
    ports: t.Sequence[int],
    behind: t.Sequence[int],
    trusted: t.Sequence[t.Any],
    outside: t.Any,
    cut_off: bool,
    notes: list[str],
) -> dict[str, t.Any]:
    if not isinstance(outside, (list, tuple)):
        raise AccessError(f"coolify_firewall_outside_interfaces is {outside!r}. Write a list.")
    bridges = ((info.get("managed") or {}).get("firewall") or {}).get("outside_bridges") or []
    shut = [*outside, *bridges]
    options: dict[str, t.Any] = {"ports": ports, "container_ports": behind, "trusted": trusted, "outside_interfaces": shut}
    try:
        policy = None if reason else _policy.policy(**options)
    except ValueError as error:
        raise AccessError(f"coolify_firewall_{error}.") from None
    if policy is None:
        return _hop(reason, None, rules=[], **options)
    shut_out = [one["address"] for one in info.get("clients") or [] if not _policy.lets_in(policy, one)]
    private = [address for address in shut_out if _policy.is_private(address)]
    public = [address for address in shut_out if address not in private]
    if public:
        notes.append(f"Connected to Coolify's servers now, and not let in again: {', '.join(public)}.")
    refusal = {}
    system = info.get("os") or {}
    if system.get("units"):
        refusal = {
            "id": "CWT-614",
            "why": f"The firewall's table could not be loaded at boot: {system['units']}. Set coolify_firewall_state: absent, "
            "and close the ports in another way.",
        }
    if private and not cut_off:
        refusal = {"id": "CWT-613", "why": _CUT_OFF.format(" and ".join(private), ", ".join(private))}
    nft = info.get("nft") or {}
    if nft.get("lacks"):
        refusal = {"id": "CWT-607", "why": _NO_NFT[nft["lacks"]].format(nft["error"])}
    return _hop(reason, refusal, **options, rules=_nft_rules.printed(policy))


_NO_NFT = {
    "kernel": "The kernel lets nobody use nf_tables on this host, with which the firewall closes the ports: {}. A container "
    "needs CAP_NET_ADMIN, and the module nf_tables where it runs. Without, set coolify_firewall_state: absent, and close the "
    "ports in front of this host.",
    "package": "{}, and neither apt nor dnf is on this host to install it. Install the package nftables, or set "
    "coolify_firewall_state: absent, and close the ports in another way.",
}
_CUT_OFF = (
    "{0} in a private network is connected to Coolify's realtime or terminal server now, and the firewall would not let it in "
    "again. If it is a reverse proxy or a browser of yours, set coolify_firewall_trusted: [{1}]; to close the ports all the "
    "same, set coolify_firewall_cut_off: true."
)


def _nginx(given: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The settings of the container's nginx, where nginx_snippet would not refuse them."""
    try:
        return _routes.settings(given)._asdict()
    except _routes.HttpConfError as error:
        raise AccessError(f"coolify_nginx_{error}.") from None


def _nginx_part(reason: str, info: Facts, settings: Facts) -> dict[str, t.Any]:
    seen = (info.get("managed") or {}).get("nginx") or {}
    refusal = {"id": "CWT-205", "why": str(seen["error"])} if seen.get("mounted") and not reason else {}
    return _hop(reason, refusal, settings=settings, settled=not reason and _nginx_settled(info))


MINIMUM_PYTHON = "3.8"
SYSTEM_PYTHON = "/usr/bin/python3"
# The service runs as a user of its own, whom these are closed to.
_CLOSED_FOLDERS = ("/root/", "/home/", "/run/user/")


def _self_heal(reason: str, info: Facts, python: str) -> dict[str, t.Any]:
    """The service, and the interpreter that it is to run with: the one given, the system's, or else the one Ansible uses."""
    system = info.get("os") or {}
    versions = system.get("pythons") or {SYSTEM_PYTHON: None}
    fit = [
        path
        for path, version in versions.items()
        if _versions.at_least(str(version or ""), MINIMUM_PYTHON) is not False and not path.startswith(_CLOSED_FOLDERS)
    ]
    refusal = {}
    if not reason and not fit and not python:
        found = " and ".join(f"{path} is {version}" for path, version in versions.items())
        refusal = {
            "id": "CWT-408",
            "why": f"The service that keeps the routes needs Python {MINIMUM_PYTHON} or later outside of home folders; {found}. "
            "Install one and name it in coolify_self_heal_python, or set coolify_self_heal_state: absent.",
        }
    if not reason and system.get("units"):
        refusal = {
            "id": "CWT-407",
            "why": f"No service can be installed: {system['units']}. Set coolify_self_heal_state: absent, and run this playbook "
            "again after each update of Coolify.",
        }
    return _hop(reason, refusal, python=python or next(iter(fit), SYSTEM_PYTHON))


def _nginx_settled(info: Facts) -> bool:
    """Whether the look has shown already that ``nginx_snippet`` would change nothing and complain of nothing."""
    seen = (info.get("managed") or {}).get("nginx") or {}
    foreign = seen.get("foreign") or []
    return bool(seen.get("current") and seen.get("loaded")) and all(one["served"] is not False for one in foreign)


def _left_out(choices: Choices) -> dict[str, str]:
    """Why a hop is not wanted, by its name; empty where the user wants it."""
    state = _choose("coolify_state", choices.state, STATES)
    reasons = {}
    for hop in HOPS:
        name = f"coolify_{hop}_state"
        own = _choose(name, choices.states.get(hop, state), (*STATES, "auto") if hop in OUTER else STATES)
        reasons[hop] = f"{name} is absent." if own == "absent" or (own == "auto" and state == "absent") else ""
    if reasons["nginx"] and not reasons["self_heal"]:
        reasons["self_heal"] = reasons["nginx"] + " There are no routes to keep."
    return reasons


def _hop(reason: str, refusal: t.Mapping[str, str] | None = None, **values: t.Any) -> dict[str, t.Any]:
    """One hop of the plan: whether it is wanted, else why not, and every value that is used for it.

    A `refusal` has the `id` of a diagnosis, and `why` the hop, which is wanted, cannot be made, with the remedy.
    """
    return {"wanted": not reason, "why": reason, "refusal": dict(refusal or {}), **values}


_NO_TRAEFIK = {
    "caddy": "Coolify's Caddy routes both paths by itself, and a second site block of ours would keep it from reloading.",
    "none": "There is no proxy; the container's nginx routes both paths.",
}


def _traefik_part(
    info: Facts, choices: Choices, mode: str | None, domain: Domain | None, reason: str, carried: bool
) -> dict[str, t.Any]:
    """`carried` tells that the container's nginx has both paths."""
    proxy = info.get("proxy") or {}
    kind, routers, names = str(proxy.get("kind")), proxy.get("routers"), [domain["host"], *domain["extra"]] if domain else []
    document, refusal, give_back, left_out = None, traefik_refusal(info), True, bool(reason)
    # Behind a tunnel it may be no way in, unless the user says so.
    surely = kind == "caddy" or choices.states.get("traefik") == "present" or not _tunnel.present(info)
    if not reason and kind != "traefik":
        reason = _NO_TRAEFIK.get(kind, _NO_TRAEFIK["none"])
    if not reason and domain is None:
        reason = "No domain is set, so there is no host for Traefik to route."
    if not reason and choices.states.get("traefik") != "present":
        reason, give_back = _AS_THE_PAGE if carried else _NOT_CARRIED, carried
    if not reason and refusal:
        if mode != "tailscale":
            raise AccessError(refusal)
        reason = refusal
    if not reason:
        try:
            if routers is None:
                raise _traefik.RefusedError("its API does not answer, so that nothing tells what guards the page")
            document = _traefik.document(names, routers)
        except _traefik.RefusedError as error:
            reason = f"Traefik gets no routes: {error}. Set coolify_traefik_state: auto; the container's nginx routes both paths."
    return _hop(
        reason,
        path=str(choices.data_path).rstrip("/") + "/proxy/dynamic/coolify-websocket.yaml",
        document=document,
        give_back=bool(reason) and give_back,
        ways=[] if left_out and kind == "traefik" else _proxied(proxy, names, domain, surely),
    )


_AS_THE_PAGE = "Not needed: what Traefik passes to the page goes on to the container's nginx, which routes both paths."
_NOT_CARRIED = (
    "The container's nginx has no routes (coolify_nginx_state is absent), and coolify_traefik_state is auto. Set it to present."
)


def _proxied(proxy: Facts, names: t.Sequence[str], domain: Domain | None, surely: bool) -> list[str]:
    """Where the proxy itself answers for the page, as URLs without a path.

    None where it is no way in; what its API does not tell is taken for one that `surely` is.
    """
    kind, routers, found = proxy.get("kind"), proxy.get("routers"), []
    # Of Caddy's file nothing is ours: what it has no block for goes the way of all other names.
    for host in names[: {"traefik": None, "caddy": 1}.get(str(kind), 0)]:
        schemes = ["https", "http"] if routers is not None else [str((domain or {})["scheme"])]
        if routers is not None:
            answering = _traefik.entry_points(routers, host)
            schemes = [scheme for scheme in schemes if scheme in answering][:1]
        elif not surely:
            schemes = []
        for scheme in schemes:
            port = (proxy.get("ports") or {}).get(scheme)
            found.append(f"{scheme}://{host}" + (f":{port}" if port not in (None, 443, 80) else ""))
    return found


def plan(info: Facts, tailscale: Facts, **chosen: t.Any) -> dict[str, t.Any]:
    """Return everything that is wanted on this host: for every hop whether, or why not, and every value used for it.

    From what ``coolify_info`` and ``tailscale_info`` returned, and the `Choices`. Raises AccessError with the remedy.
    """
    choices = Choices(**chosen)
    reasons = _left_out(choices)
    absent = choices.state == "absent"
    notes: list[str] = []
    mode: str | None
    try:
        validate_data_path(choices.data_path)
        if not absent:
            check_host(info)
        access = _choose("coolify_access", choices.access, MODES)
        scheme = _choose("coolify_access_scheme", choices.scheme, SCHEMES)
        nginx = _nginx(choices.nginx)
        try:
            site, origin = _domain(info, choices.domain, scheme, choices.tunnel_id not in ("", _tunnel.AUTO))
        except _UnfitDomain as unfit:
            if access != "tailscale":
                raise
            notes.append(f"The domain is left out: {unfit}")
            site, origin = None, ""
        others = _extra_domains(choices.extra_domains, site, access)
        if site is not None:
            site["extra"] = others
        tailnet = _tailnet.part(tailscale, choices.tailscale_name)
        site, served = _served(info, tailscale, site, access, notes)
        mode, why = _mode(access, site, served, tailnet, tailscale, origin)
        allowed = _trusted(info, tailscale, choices.trusted)
        traefik = _traefik_part(info, choices, mode, site, reasons["traefik"], not reasons["nginx"])
    except AccessError as error:
        if not absent:
            raise
        choices = Choices(state="absent", data_path=str(choices.data_path))
        mode, why, site, served, tailnet, allowed, nginx = None, str(error), None, None, None, [], _nginx({})
        traefik = _traefik_part(info, choices, mode, site, reasons["traefik"] or "There is nobody to come in.", False)
    ports = _ports(info)
    inner = {"app": _pusher.APP_PORT, "terminal": _pusher.TERMINAL_PORT}
    known = info.get("published") or {}
    guarded = [port for kind in inner if ports[kind] for port in dict.fromkeys([ports[kind], *known.get(kind, [])])]
    behind = [port for kind, port in inner.items() if ports[kind]]
    variables = _environment.environment(
        mode, site, served, tailnet, ports["app"] or _pusher.APP_PORT, info, tailscale.get("name")
    )
    by_name = "domain" if served is None else "served"
    sides = {"domain": [by_name], "tailscale": ["tailscale"], "dual": [by_name, "tailscale"]}
    unguarded = reasons["firewall"] or ("" if guarded else "Docker publishes neither port: there is nothing to close.")
    found: dict[str, t.Any] = {
        "mode": mode,
        "sides": sides.get(mode or "", []),
        "why": why,
        "notes": notes,
        "domain": site,
        "served": served,
        "tailscale": tailnet,
        "ports": ports,
        "pusher": _hop(reasons["pusher"], environment=variables),
        "nginx": _nginx_part(reasons["nginx"], info, nginx),
        "self_heal": _self_heal(reasons["self_heal"], info, choices.python),
        "traefik": traefik,
        "firewall": _firewall(
            unguarded, info, guarded, behind, allowed, choices.outside_interfaces, choices.cut_off, notes
        ),
        "tunnel": _hop(**_tunnel.part(info, site, ports, reasons["tunnel"], choices.tunnel_manage, choices.tunnel_id)),
    }
    refusals = [found[hop]["refusal"]["why"] for hop in HOPS if found[hop]["refusal"]]
    return {**found, "refusals": refusals, "words": _words.words(found, info)}
