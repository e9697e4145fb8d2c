# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hops of one Coolify host as rows: what its state says, compared with the access plan, and what its sockets said.

A row is a mapping: ``host``, ``hop``, ``from`` (``host``, ``control``, or the machine looked from), ``url`` (or the
thing looked at), ``seen``, ``milliseconds`` (None for state), ``ok``, and ``id``, ``cause``, ``next`` of the diagnosis
(None where it is fine). Rows come in the order of the path, from the outside to the inside.
Private to this collection: no stability is promised to anybody outside it.
"""

from __future__ import annotations

import ipaddress
import typing as t
from urllib.parse import urlsplit

from ..env import _pusher
from ..firewall import _ufw_rules
from ..plan import _access
from ..tailnet import _tailscale
from ..tunnel import _ingress
from . import _diagnosis

VIEWS = ("host", "control", "tailnet", "outside")
_ORDER = (
    "host",
    "domain",
    "tunnel",
    "traefik",
    "caddy",
    "tailscale",
    "firewall",
    "nginx",
    "app",
    "environment",
    "realtime",
    "self-heal",
)
_PATHS = (("terminal", "/terminal/ws"), ("app", "/app/"))

# Which rule must answer for which example of a path, and for a page that must not go to the realtime container.
_TUNNEL_EXAMPLES = (("terminal", "/terminal/ws"), ("app", "/app/key"), ("app", "/apps/coolify/events"))
_TUNNEL_PAGES = (
    "/api/v1/applications",
    "/project/uuid/environment/uuid/application/uuid",
    "/terminal",
)

# What a socket's symptom means where it is known which hop was looked at.
_REFINED = {
    "nginx": {"CWT-911": "CWT-211", "CWT-912": "CWT-211", "CWT-913": "CWT-211", "CWT-914": "CWT-212"},
    "traefik": {
        "CWT-901": "CWT-513",
        "CWT-902": "CWT-513",
        "CWT-911": "CWT-511",
        "CWT-912": "CWT-511",
        "CWT-913": "CWT-511",
        "CWT-914": "CWT-512",
    },
    "tailscale": {"CWT-902": "CWT-705", "CWT-903": "CWT-705"},
}
_REFINED["caddy"] = _REFINED["traefik"]

Json = t.Mapping[str, t.Any]
Row = t.Dict[str, t.Any]


# -- where to look -----------------------------------------------------------------------------------------------------


def targets(
    plan: Json,
    info: Json,
    view: str,
    connect_to: t.Mapping[str, str] | None = None,
    addresses: t.Sequence[str] = (),
) -> list[dict[str, t.Any]]:
    """Return the targets for the module ``websocket_info``, each named for its hop.

    :param plan: the access plan.
    :param info: what ``coolify_info`` returned.
    :param view: one of ``VIEWS``, the side that is looked from.
    :param connect_to: addresses to connect to in place of what a name resolves to.
    :param addresses: public addresses or names of the host; for the outside, which must find the ports closed there.
    :raises ValueError: for an unknown view.
    """
    if view not in VIEWS:
        raise ValueError("view is {!r}. Set it to one of {}.".format(view, ", ".join(VIEWS)))
    if view == "host":
        return _on_host(plan, info)
    if view == "tailnet":
        return _on_tailnet(plan)
    found = []
    domain = plan.get("domain")
    if domain and "domain" in plan["sides"]:
        base = "{scheme}://{host}".format(**domain)
        found = _both("domain", base, base, connect_to=(connect_to or {}).get(domain["host"]))
    if view == "outside":
        ports = plan["ports"]
        for address in addresses:
            if not _tailnet_address(address):
                base = f"http://{_bracketed(address)}"
                found += _published("firewall", base, ports, expect="closed")
    return found


def _on_host(plan: Json, info: Json) -> list[dict[str, t.Any]]:
    found = []
    ports, domain, kind = plan["ports"], plan.get("domain"), (info.get("proxy") or {}).get("kind")
    if ports["http"]:
        base = "http://{}:{}".format(_bound(info, "http"), ports["http"])
        found += _both("nginx", base, base)
    found += _published("realtime", f"http://{_bound(info, 'app')}", ports)
    if domain and kind in ("traefik", "caddy"):
        schemes = plan["traefik"]["entrypoints"] if kind == "traefik" else [domain["scheme"]]
        for scheme in schemes:
            base = "{}://{}".format(scheme, domain["host"])
            # The certificate is proved where people come in; behind a tunnel the proxy often has none for the name.
            found += _both(kind, base, base, connect_to="127.0.0.1", validate_certs=False)
    return found


def _on_tailnet(plan: Json) -> list[dict[str, t.Any]]:
    tailnet, ports = plan.get("tailscale"), plan["ports"]
    if not tailnet or "tailscale" not in plan["sides"]:
        return []
    address = f"http://{_bracketed(tailnet['ipv4'] or tailnet['ipv6'])}"
    page = "{}:{}".format(address, ports["http"])
    return (_both("tailscale", page, page) if ports["http"] else []) + _published("tailscale", address, ports)


def _both(hop: str, terminal: str, app: str, **options: t.Any) -> list[dict[str, t.Any]]:
    bases = {"terminal": terminal, "app": app}
    return [dict(options, name=hop, kind=kind, url=bases[kind] + path) for kind, path in _PATHS]


def _published(hop: str, base: str, ports: Json, **options: t.Any) -> list[dict[str, t.Any]]:
    return [dict(options, name=hop, kind=kind, url=f"{base}:{ports[kind]}{path}") for kind, path in _PATHS if ports[kind]]


def _bound(info: Json, name: str) -> str:
    """The address at which the host itself finds a published port: loopback, where that is among them (fact 53)."""
    addresses = (info.get("addresses") or {}).get(name) or []
    for anywhere, loopback in (("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]")):
        if anywhere in addresses:
            return loopback
    return _bracketed(addresses[0]) if addresses else "127.0.0.1"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _tailnet_address(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in ipaddress.ip_network(network) for network in (_tailscale.IPV4_RANGE, _tailscale.IPV6_RANGE))


# -- what was found ----------------------------------------------------------------------------------------------------


class _Rows:
    """Collects the rows of one host."""

    def __init__(self, host: str, page_port: int | None = None) -> None:
        self._host = host
        self._page_port = page_port
        self.rows: list[Row] = []

    def good(self, hop: str, thing: str, seen: str) -> None:
        self._add(hop, "host", thing, seen, None, None)

    def bad(self, identifier: str, thing: str, seen: str, detail: str = "", hop: str | None = None) -> None:
        diagnosis = _diagnosis.explain(identifier, detail)
        self._add(hop or _diagnosis.TABLE[identifier].hop, "host", thing, seen, None, diagnosis)

    def looked(self, origin: str, result: Json) -> None:
        hop, diagnosis = result["name"], result["diagnosis"]
        if diagnosis is not None:
            refined = _REFINED.get(hop, {}).get(diagnosis["id"])
            if refined == "CWT-705" and urlsplit(result["url"]).port != self._page_port:
                refined = "CWT-609"
            diagnosis = _diagnosis.explain(refined) if refined else diagnosis
        self._add(hop, origin, result["url"], result["seen"], result["milliseconds"], diagnosis)

    def not_looked(self, origin: str, reason: str) -> None:
        self._add("host", origin, "", "not looked", None, _diagnosis.explain("CWT-104", reason))

    def _add(self, hop: str, origin: str, url: str, seen: str, milliseconds: float | None, diagnosis: Json | None) -> None:
        row: Row = {"host": self._host, "hop": hop, "from": origin, "url": url, "seen": seen}
        row.update(milliseconds=milliseconds, ok=diagnosis is None)
        row.update({key: diagnosis[key] if diagnosis else None for key in ("id", "cause", "next")})
        self.rows.append(row)


def rows(
    host: str,
    plan: Json,
    info: Json,
    looks: t.Sequence[Json],
    traefik_document: t.Any = None,
) -> list[Row]:
    """Return the rows of one host.

    :param host: its name.
    :param plan: the access plan.
    :param info: what ``coolify_info`` returned.
    :param looks: what ``websocket_info`` returned on each machine looked from, or how Ansible failed there (``msg``);
        ``item`` is the machine's name.
    :param traefik_document: what the content of Traefik's file of ours says as YAML; None where it is no YAML.
    """
    found = _Rows(host, plan["ports"]["http"])
    _tunnel(found, plan, info)
    _proxy(found, plan, info, traefik_document)
    _tailnet(found, plan)
    _firewall(found, plan, info)
    _nginx(found, info)
    _coolify(found, info)
    _environment(found, plan, info)
    _realtime(found, plan, info)
    _self_heal(found, info)
    for look in looks:
        if "results" not in look:
            found.not_looked(look["item"], _first_line(look.get("msg")))
        for result in look.get("results", []):
            found.looked(look["item"], result)
    return sorted(found.rows, key=lambda row: _ORDER.index(row["hop"]))


def result(
    host: str,
    plan: Json,
    info: Json,
    looks: t.Sequence[Json],
    traefik_document: t.Any = None,
) -> dict[str, t.Any]:
    """Return the rows of one host with what a reader wants to know beside them; parameters as of `rows`."""
    found = _judged(host, rows(host, plan, info, looks, traefik_document))
    found["plan"] = {"mode": plan["mode"], "why": plan["why"], "sides": plan["sides"], "urls": _urls(plan)}
    found["versions"] = {
        "coolify": info["coolify"]["version"],
        "docker": info["docker"]["version"],
        "proxy": " ".join(str(info["proxy"][key]) for key in ("kind", "version") if info["proxy"].get(key)),
        "system": info["os"]["pretty_name"],
    }
    return found


def ended(host: str, identifier: str, reason: str = "") -> dict[str, t.Any]:
    """Return the result of a host that could not be looked at: one row."""
    found = _Rows(host)
    found.bad(identifier, "", "not looked", _first_line(reason))
    return _judged(host, found.rows)


def refused(host: str, reason: str, info: Json, tailscale: Json, access: str) -> dict[str, t.Any]:
    """Return the result of a host for which there is no plan: one row.

    :param reason: why, as the role coolify_access or the connection said it.
    :param info: what ``coolify_info`` returned, or how Ansible failed there.
    :param tailscale: what ``tailscale_info`` returned below ``tailscale``.
    :param access: what the user chose.
    """
    identifier = "CWT-102"
    if info.get("unreachable"):
        identifier, reason = "CWT-101", info.get("msg") or reason
    elif info.get("docker") and not info["docker"]["reachable"]:
        identifier, reason = "CWT-105", info["docker"]["error"]
    elif info.get("coolify") and not info["coolify"]["found"]:
        identifier, reason = "CWT-106", ""
    elif info.get("env_file") and not info["env_file"]["exists"]:
        identifier, reason = "CWT-301", info["env_file"]["path"]
    elif reason and reason == _access.traefik_refusal(info):
        identifier, reason = "CWT-505", info["proxy"]["version"]
    elif access in ("tailscale", "dual") and tailscale and not _reachable(tailscale):
        logged_out = tailscale.get("backend_state") in ("NeedsLogin", "NeedsMachineAuth")
        identifier = "CWT-703" if logged_out else "CWT-702" if tailscale.get("installed") else "CWT-701"
    return ended(host, identifier, reason)


def _reachable(tailscale: Json) -> bool:
    # A tailscaled that was told to go down leaves its interface up, without an address.
    return bool(tailscale.get("up") and (tailscale.get("ipv4") or tailscale.get("ipv6")))


def _judged(host: str, found: list[Row]) -> dict[str, t.Any]:
    faults = ["{hop} ({id})".format(**row) for row in found if not row["ok"]]
    return {"host": host, "ok": not faults, "broken": list(dict.fromkeys(faults)), "rows": found}


def _urls(plan: Json) -> list[str]:
    """What people open, by the sides that the plan promises."""
    urls = []
    if "domain" in plan["sides"]:
        urls.append("{scheme}://{host}/".format(**plan["domain"]))
    if "tailscale" in plan["sides"]:
        address = _bracketed(plan["tailscale"]["ipv4"] or plan["tailscale"]["ipv6"])
        urls.append("http://{}:{}/".format(address, plan["ports"]["http"]))
    return urls


def _first_line(text: t.Any) -> str:
    return " ".join(str(text or "").split())[:400]


def _tunnel(found: _Rows, plan: Json, info: Json) -> None:
    tunnel = info["managed"]["tunnel"]
    if not tunnel["present"]:
        if tunnel["managed_by_coolify"]:
            found.good("tunnel", "coolify-cloudflared", "list at Cloudflare")
        return
    if tunnel["error"]:
        found.bad("CWT-804", tunnel["path"], "unreadable", tunnel["error"])
        return
    if not plan["tunnel"]["wanted"]:
        return
    ingress = [_ingress.Rule(rule["hostname"], rule["path"], rule["service"]) for rule in tunnel["rules"]]
    if not ingress or ingress[-1].hostname or ingress[-1].path:
        found.bad("CWT-805", tunnel["path"], "no catch-all")
    host = plan["tunnel"]["hostname"]
    services = dict(zip(("terminal", "app"), (rule["service"] for rule in plan["tunnel"]["rules"])))
    for kind, path in _TUNNEL_EXAMPLES:
        _tunnel_path(found, ingress, host, path, services.get(kind, ""))
    taken = [path for path in _TUNNEL_PAGES if _leads_to(_match(ingress, host, path), *services.values())]
    if taken:
        found.bad("CWT-803", _site(host, taken[0]), "to realtime", ", ".join(taken))
    else:
        found.good("tunnel", _site(host, _TUNNEL_PAGES[0]), _service(_match(ingress, host, _TUNNEL_PAGES[0])))


def _tunnel_path(found: _Rows, ingress: list[_ingress.Rule], host: str, path: str, service: str) -> None:
    rule = _match(ingress, host, path)
    if _leads_to(rule, service):
        found.good("tunnel", _site(host, path), _service(rule))
        return
    later = any(_leads_to(other, service) and _ingress.takes(other, host, path) for other in ingress)
    # The domain's own rule for everything is what people have; any other one in front swallows the path.
    swallowed = rule is not None and bool(rule.hostname) and rule.hostname.lower() != host
    identifier = "CWT-801" if later or swallowed else "CWT-802"
    found.bad(identifier, _site(host, path), _service(rule), f"{path} goes to {_service(rule)}, not to {service}")


def _match(ingress: list[_ingress.Rule], host: str, path: str) -> _ingress.Rule | None:
    try:
        return _ingress.first_match(ingress, _site(host, path))
    except ValueError:
        return None


def _leads_to(rule: _ingress.Rule | None, *services: str) -> bool:
    """Whether the rule's service is at a port of these services, by whatever name of the host."""
    if rule is None:
        return False
    try:
        return urlsplit(rule.service).port in [urlsplit(service).port for service in services if service]
    except ValueError:
        return False


def _service(rule: _ingress.Rule | None) -> str:
    return rule.service if rule else "no rule"


def _site(host: str, path: str) -> str:
    return f"https://{host}{path}"


def _proxy(found: _Rows, plan: Json, info: Json, document: t.Any) -> None:
    proxy, ours = info["proxy"], info["managed"]["traefik"]
    kind = proxy["kind"]
    if kind not in ("traefik", "caddy") or not plan.get("domain"):
        return
    if proxy["state"] != "running":
        found.bad("CWT-504", "coolify-proxy", str(proxy["state"]), hop=kind)
    else:
        found.good(kind, "coolify-proxy", "running {}".format(proxy["version"] or "").strip())
    if not plan["traefik"]["wanted"]:
        return
    if _access.traefik_refusal(info):
        found.bad("CWT-505", "coolify-proxy", str(proxy["version"]))
    if not ours["present"]:
        found.bad("CWT-501", ours["path"], "missing")
    elif document is None:
        found.bad("CWT-503", ours["path"], "not YAML")
    elif document != plan["traefik"]["document"]:
        found.bad("CWT-502", ours["path"], "differs")
    else:
        found.good("traefik", ours["path"], "as planned")


def _tailnet(found: _Rows, plan: Json) -> None:
    tailnet = plan.get("tailscale")
    if tailnet and "tailscale" in plan["sides"]:
        addresses = [address for address in (tailnet["ipv4"], tailnet["ipv6"]) if address]
        found.good("tailscale", tailnet["interface"], addresses[0])


def _firewall(found: _Rows, plan: Json, info: Json) -> None:
    firewall, wanted, thing = info["managed"]["firewall"], plan["firewall"], "inet coolify_websocket"
    if not wanted["ports"]:
        return
    if not firewall["table_loaded"]:
        if firewall["file_present"]:
            found.bad("CWT-603", thing, "not loaded")
        elif not info["nft"]["available"] and info["nft"].get("version"):
            found.bad("CWT-607", thing, "nft refused", _first_line(info["nft"].get("error")))
        else:
            found.bad("CWT-602", thing, "missing")
    elif not firewall["intact"]:
        found.bad("CWT-605", thing, "changed")
    elif (sorted(firewall["ports"]), _entries(firewall["trusted"])) != (
        sorted(wanted["ports"]),
        _entries(wanted["trusted"]),
    ):
        found.bad("CWT-604", thing, "differs")
    else:
        found.good("firewall", thing, "loaded, {} refused".format(firewall["refused_packets"] or 0))
    if firewall["file_present"] and firewall["unit"] != "active":
        found.bad("CWT-606", "coolify-websocket-firewall", str(firewall["unit"]))
    ufw = info["ufw"]
    if ufw["active"]:
        missing = _ufw_rules.changes(ufw["rules"], wanted["ports"], wanted["trusted"], ufw.get("ipv6", True))["add"]
        if missing:
            detail = ", ".join("{source} to {port}".format(**rule) for rule in missing)
            found.bad("CWT-608", "ufw", "rules missing", detail)
        else:
            found.good("firewall", "ufw", "active")
    else:
        found.good("firewall", "ufw", "inactive" if ufw["installed"] else "not installed")


def _entries(trusted: t.Sequence[Json]) -> set[tuple[t.Any, t.Any]]:
    return {(entry.get("source"), entry.get("interface")) for entry in trusted}


def _nginx(found: _Rows, info: Json) -> None:
    nginx, thing = info["managed"]["nginx"], "http.conf"
    strangers = [location for location in nginx["foreign"] if not location["served"]]
    if nginx.get("error"):
        found.bad("CWT-204", thing, "unreadable", _first_line(nginx["error"]))
    elif strangers:
        places = ["{location} in {file}:{line}".format(**location) for location in strangers]
        found.bad("CWT-203", thing, "foreign route", "; ".join(places))
    elif nginx["current"]:
        found.good("nginx", thing, "routes as planned")
    elif nginx["present"]:
        found.bad("CWT-202", thing, "differs")
    else:
        found.bad("CWT-201", thing, "no routes")


def _container(found: _Rows, hop: str, container: Json, stopped: str, unhealthy: str) -> None:
    seen = ", ".join(str(container[key]) for key in ("state", "health") if container.get(key))
    if container.get("state") != "running":
        found.bad(stopped, str(container.get("name")), seen)
    elif container.get("health") == "unhealthy":
        found.bad(unhealthy, str(container.get("name")), seen)
    else:
        found.good(hop, str(container.get("name")), seen)


def _coolify(found: _Rows, info: Json) -> None:
    container = info["coolify"]["container"]
    _container(found, "app", container, "CWT-111", "CWT-112")
    if container.get("state") == "running" and not info["ports"]["http"]:
        found.bad("CWT-117", "port 8000", "not published")


def _realtime(found: _Rows, plan: Json, info: Json) -> None:
    realtime, ports = info["realtime"], info["ports"]
    if not realtime["found"]:
        found.bad("CWT-113", "coolify-realtime", "missing")
        return
    left_over, override = realtime.get("left_over"), realtime.get("unused_override")
    if left_over:
        found.bad("CWT-118", "coolify-realtime", str(left_over["state"]))
    if override:
        places = sorted({place for name in ("app", "terminal") for place in info["addresses"][name]})
        found.bad("CWT-120", override, "binds nothing", "published on {}".format(", ".join(places) or "no address"))
    _container(found, "realtime", realtime, "CWT-114", "CWT-115")
    missing = [str(port) for port, name in ((6001, "app"), (6002, "terminal")) if not ports[name]]
    # Whoever comes in by the domain never uses these ports: unpublished, they are one door less.
    missing = missing if "tailscale" in plan["sides"] else []
    if realtime.get("state") == "running" and missing:
        found.bad("CWT-116", "port " + ", ".join(missing), "not published")


def _environment(found: _Rows, plan: Json, info: Json) -> None:
    file, wanted = info["env_file"], plan["environment"]
    if not file["exists"]:
        found.bad("CWT-301", file["path"], "missing")
        return
    if file.get("error"):
        found.bad("CWT-302", file["path"], "unreadable", _first_line(file["error"]))
        return
    values = file["values"]
    differing = {key for key in wanted if (values.get(key) or "") != (wanted[key] or "")}
    backend = differing & {_pusher.BACKEND_HOST, _pusher.BACKEND_PORT}
    detail = ", ".join(f"{key} is {_value(values.get(key))}, should be {_value(wanted[key])}" for key in sorted(differing))
    if not differing:
        found.good("environment", file["path"], "as planned")
    elif plan["mode"] == "tailscale" and _tailnet_address(values.get("PUSHER_HOST") or ""):
        found.bad("CWT-704", file["path"], "old address", detail, hop="environment")
    elif differing & {"PUSHER_HOST", "PUSHER_PORT"}:
        found.bad("CWT-303", file["path"], "differs", detail)
    elif not backend and values.get("PUSHER_SCHEME") == "https":
        found.bad("CWT-304", file["path"], "https", detail)
    elif not backend:
        found.bad("CWT-305", file["path"], "differs", detail)
    if backend:
        moved = info.get("layout") == _pusher.BUNDLED and _pusher.BACKEND_PORT in backend
        found.bad("CWT-309" if moved else "CWT-310", file["path"], "breaks the backend", detail)
    _running_environment(found, plan, info)


def _running_environment(found: _Rows, plan: Json, info: Json) -> None:
    values, running = info["env_file"]["values"], info["coolify"]["environment"]
    expected = {key: values.get(key) or "" for key in plan["environment"]}
    stale = _pusher.differing(expected, {key: running.get(key) or "" for key in expected})
    if stale:
        found.bad("CWT-306", "container coolify", "differs from .env", ", ".join(stale))
    else:
        found.good("environment", "container coolify", "as .env")
    override = sorted(key for key, value in running.items() if key.startswith("TERMINAL_") and value)
    if override and (plan["mode"] == "dual" or running.get("TERMINAL_HOST") != plan["environment"]["PUSHER_HOST"]):
        found.bad("CWT-307", "container coolify", "override", ", ".join(override))
    port = plan["ports"]["app"]
    if "tailscale" in plan["sides"] and not plan["environment"]["PUSHER_PORT"] and port not in (6001, None):
        found.bad("CWT-308", "SOKETI_PORT", str(port))


def _value(value: str | None) -> str:
    return "not set" if value is None else value or "empty"


def _self_heal(found: _Rows, info: Json) -> None:
    unit, thing = info["managed"]["self_heal"], "coolify-websocket"
    state = unit["state"] or {}
    if not unit["installed"]:
        found.bad("CWT-401", thing, "missing")
    elif unit["active_state"] == "failed":
        found.bad("CWT-402", thing, "failed")
    elif unit["active_state"] not in ("active", "activating", "reloading"):
        found.bad("CWT-403", thing, str(unit["active_state"]))
    elif not unit["enabled"]:
        found.bad("CWT-404", thing, "not enabled")
    elif state.get("refusals"):
        found.bad("CWT-405", thing, "refused", _first_line(state["refusals"][-1].get("reason")))
    elif state.get("connected") is False and state.get("status") != "starting":
        found.bad("CWT-406", thing, "waiting for Docker", _first_line(state.get("status")))
    else:
        found.good("self-heal", thing, "active")
