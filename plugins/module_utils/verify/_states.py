# SPDX-License-Identifier: GPL-3.0-or-later
"""What the state of one host says about each hop, compared with the plan, as rows.

A row is a mapping: ``host``, ``hop``, ``from`` (``host``, ``control``, or the machine looked from), ``url`` (or the
thing looked at), ``seen``, ``milliseconds`` (None for state), ``ok`` (true, false, or None for what was not looked at), and
``id``, ``cause``, ``next`` of the diagnosis (None where it is fine). A hop that the user left out is a row that says so,
never a fault.
"""

from __future__ import annotations

import re
import typing as t
import unicodedata

from ..env import _pusher
from ..firewall import _policy, _ufw_rules
from ..plan import _access
from ..plan._tailnet import published
from ..proxy import _traefik
from ..tunnel import _ingress
from . import _diagnosis, _targets

# A path that the wanted rule answers, for the reader.
_TUNNEL_EXAMPLES = {"terminal": "/terminal/ws", "app": "/app/"}

Json = t.Mapping[str, t.Any]
Row = t.Dict[str, t.Any]


class Rows:
    """Collects the rows of one host."""

    def __init__(self, host: str) -> None:
        self._host = host
        self.rows: list[Row] = []

    def good(self, hop: str, thing: str, seen: str) -> None:
        self._add(hop, "host", thing, seen, None, None)

    def left_out(self, wanted: Json, hop: str, thing: str) -> bool:
        """Whether the plan does without this hop, which is a row then, or cannot have it, which is a fault."""
        if wanted["refusal"]:
            self.bad(wanted["refusal"]["id"], thing, "refused", first_line(wanted["refusal"]["why"]))
        elif not wanted["wanted"]:
            self._add(hop, "host", thing, "not wanted", None, None)
        return bool(wanted["refusal"]) or not wanted["wanted"]

    def bad(self, identifier: str, thing: str, seen: str, detail: str = "", hop: str | None = None) -> None:
        diagnosis = _diagnosis.explain(identifier, detail)
        self._add(hop or _diagnosis.TABLE[identifier].hop, "host", thing, seen, None, diagnosis)

    def looked(self, origin: str, result: Json, diagnosis: Json | None) -> None:
        self._add(result["name"], origin, result["url"], result["seen"], result["milliseconds"], diagnosis)

    def not_looked(self, identifier: str, origin: str, thing: str = "", reason: str = "") -> None:
        hop = _diagnosis.TABLE[identifier].hop
        self._add(hop, origin, thing, "not looked at", None, _diagnosis.explain(identifier, reason))

    def _add(self, hop: str, origin: str, url: str, seen: str, milliseconds: float | None, diagnosis: Json | None) -> None:
        row: Row = {"host": self._host, "hop": hop, "from": origin, "url": url, "seen": seen}
        row.update(milliseconds=milliseconds, ok=_diagnosis.verdict(diagnosis["id"] if diagnosis else None))
        row.update({key: diagnosis[key] if diagnosis else None for key in ("id", "cause", "next")})
        self.rows.append(row)


def first_line(text: t.Any) -> str:
    """What others said, in one line, and short."""
    return " ".join(str(text or "").split())[:400]


def add(found: Rows, plan: Json, info: Json, traefik_document: t.Any, opened: t.Container[str]) -> None:
    """Add the rows of every hop's state; `opened` are the URLs that a socket was opened at from wherever it was tried."""
    _tunnel(found, plan, info)
    _proxy(found, plan, info, traefik_document)
    _tailnet(found, plan)
    _firewall(found, plan, info)
    _nginx(found, plan, info)
    _coolify(found, plan, info)
    _published(found, plan, info)
    _environment(found, plan, info, opened)
    _session_cookie(found, info)
    _realtime(found, plan, info)
    _self_heal(found, plan, info)


def _tunnel(found: Rows, plan: Json, info: Json) -> None:
    tunnel = info["managed"]["tunnel"]
    if tunnel.get("remote"):
        for one in tunnel["connectors"]:
            if one["counts"]:
                found.not_looked("CWT-806", "host", one["name"])
        return
    if not tunnel["present"]:
        if tunnel["managed_by_coolify"]:
            found.not_looked("CWT-806", "host", "coolify-cloudflared")
        return
    if tunnel["error"]:
        found.bad("CWT-804", tunnel["path"], "unreadable", tunnel["error"])
        return
    if not plan["tunnel"]["wanted"]:
        return
    if not tunnel["rules"]:
        found.good("tunnel", tunnel["path"], "not judged")
        return
    rules = [_ingress.Rule(rule["hostname"], rule["path"], rule["service"]) for rule in tunnel["rules"]]
    if rules[-1].hostname or rules[-1].path:
        found.bad("CWT-805", tunnel["path"], "no catch-all")
    for host in (plan["tunnel"]["hostname"], *plan["tunnel"]["extra_hostnames"]):
        wants = _ingress.wanted(rules, host, plan["tunnel"]["rules"])
        for want in wants:
            _tunnel_path(found, _ingress.mended(rules, wants), want, bool(tunnel.get("by_hand")) and plan["nginx"]["wanted"])
        taken = [page for rule in rules for page in _ingress.swallowed(rule, wants)]
        if taken:
            found.bad("CWT-803", _site(host, taken[0]), "to realtime", ", ".join(taken))
        else:
            own = _ingress.own(rules, host)
            found.good("tunnel", _site(host, "/"), _service(None if own is None else rules[own]))


def _tunnel_path(found: Rows, rules: list[_ingress.Rule], want: _ingress.Rule, carried: bool) -> None:
    """`carried` tells that without a rule the container's nginx has the path, and that a rule is the user's to enter."""
    path = _TUNNEL_EXAMPLES[_ingress.kind(want.path)]
    rule = _ingress.answering(rules, want)
    later = any(_ingress.serves(other, want) for other in rules)
    # The domain's own rule for everything is what people have; any other one in front swallows the path.
    in_front = rule is not None and bool(rule.hostname) and not _ingress.is_of(rule, want.hostname)
    identifier = "CWT-801" if later or in_front else "CWT-802"
    if _ingress.serves(rule, want) or (carried and identifier == "CWT-802"):
        found.good("tunnel", _site(want.hostname, path), _service(rule))
        return
    detail = f"{path} goes to {_service(rule)}, not to {want.service}"
    found.bad(identifier, _site(want.hostname, path), _service(rule), detail)


def _service(rule: _ingress.Rule | None) -> str:
    return rule.service if rule else "no rule"


def _site(host: str, path: str) -> str:
    return f"https://{host}{path}"


def _proxy(found: Rows, plan: Json, info: Json, document: t.Any) -> None:
    proxy, hop = info["proxy"], plan["traefik"]
    kind = proxy["kind"]
    if kind not in ("traefik", "caddy") or not plan.get("domain"):
        return
    if proxy["state"] == "running":
        found.good(kind, "coolify-proxy", "running {}".format(proxy["version"] or "").strip())
    elif hop["wanted"] or hop["ways"]:
        found.bad("CWT-504", "coolify-proxy", str(proxy["state"]), hop=kind)
    else:
        found.good(kind, "coolify-proxy", "{}, no way in".format(proxy["state"]))
    if kind == "traefik" and (hop["wanted"] or hop["ways"]):
        _folder(found, plan, info)
    if hop["wanted"]:
        _our_file(found, plan, info, document)
    elif kind == "traefik":
        left_out = hop["why"].startswith("coolify_traefik_state is absent")
        found.good("traefik", hop["path"], "not wanted" if left_out else "not needed: nginx has both paths")


def _folder(found: Rows, plan: Json, info: Json) -> None:
    """What somebody else's files in the folder that Traefik watches do to ours, and to Coolify's own."""
    ours, routers, domain = info["managed"]["traefik"], info["proxy"].get("routers"), plan["domain"]
    for neighbour in ours.get("broken", []):
        found.bad("CWT-506", neighbour["path"], "unreadable", neighbour["error"])
    if routers is None or ours.get("broken"):
        return
    names = [one["name"] for one in routers if one["name"].endswith("@file")]
    settled = ours["present"] and not ours.get("settling") and plan["traefik"]["wanted"]
    if (not names and (info["domain"] or {}).get("source")) or (settled and not any(_traefik.OURS in name for name in names)):
        found.bad("CWT-506", ours["path"].rpartition("/")[0], "not loaded", "`docker logs coolify-proxy` names it")
    for host in (domain["host"], *domain["extra"]):
        for one in _traefik.in_the_way(routers, host):
            found.bad("CWT-507", _site(host, "/"), one["name"], "{name}: {rule}".format(**one))


def _our_file(found: Rows, plan: Json, info: Json, document: t.Any) -> None:
    ours = info["managed"]["traefik"]
    if _access.traefik_refusal(info):
        found.bad("CWT-505", "coolify-proxy", str(info["proxy"]["version"]))
    if not ours["present"]:
        found.bad("CWT-501", ours["path"], "missing")
    elif document is None:
        found.bad("CWT-503", ours["path"], "not YAML")
    elif document != plan["traefik"]["document"]:
        found.bad("CWT-502", ours["path"], "differs")
    else:
        found.good("traefik", ours["path"], "as planned")


def _tailnet(found: Rows, plan: Json) -> None:
    tailnet = plan.get("tailscale")
    if "served" in plan["sides"]:
        found.good("tailscale", "tailscale serve", plan["served"]["url"])
    if tailnet and "tailscale" in plan["sides"]:
        addresses = [address for address in (tailnet["ipv4"], tailnet["ipv6"]) if address]
        found.good("tailscale", tailnet["interface"], addresses[0])


def _firewall(found: Rows, plan: Json, info: Json) -> None:
    firewall, wanted, thing = info["managed"]["firewall"], plan["firewall"], "inet coolify_websocket"
    if found.left_out(wanted, "firewall", thing):
        return
    nft = info["nft"]
    if not firewall["table_loaded"]:
        # Where there is no nft, a table that was installed may well be loaded.
        if not nft["available"] and firewall["file_present"]:
            found.bad("CWT-607", thing, "no nft", first_line(nft["error"]))
        elif firewall["file_present"]:
            found.bad("CWT-603", thing, "not loaded")
        else:
            found.bad("CWT-602", thing, "missing")
    elif firewall["rules"] == wanted["rules"]:
        found.good("firewall", thing, "loaded, {} refused".format(firewall["refused_packets"] or 0))
    elif firewall["intact"]:
        found.bad("CWT-604", thing, "differs")
    else:
        found.bad("CWT-605", thing, "changed")
    refused = [address for address in firewall["refused"] if _policy.is_private(address)]
    if refused:
        found.bad("CWT-615", thing, f"{len(refused)} refused", ", ".join(refused[:10]))
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


def _nginx(found: Rows, plan: Json, info: Json) -> None:
    nginx, thing = info["managed"]["nginx"], "http.conf"
    if found.left_out(plan["nginx"], "nginx", thing):
        return
    strangers = [location for location in nginx["foreign"] if location["served"] is False]
    if nginx.get("error"):
        found.bad("CWT-204", thing, "unreadable", first_line(nginx["error"]))
    elif strangers:
        places = ["{location} in {file}:{line}".format(**location) for location in strangers]
        found.bad("CWT-203", thing, "foreign route", "; ".join(places))
    elif nginx["current"] and nginx.get("loaded") is False:
        found.bad("CWT-211", thing, "not loaded")
    elif nginx["current"]:
        found.good("nginx", thing, "routes as planned")
    elif nginx["present"]:
        found.bad("CWT-202", thing, "differs")
    else:
        found.bad("CWT-201", thing, "no routes")


def _container(found: Rows, hop: str, container: Json, stopped: str, unhealthy: str) -> None:
    seen = ", ".join(str(container[key]) for key in ("state", "health") if container.get(key))
    if container.get("state") != "running":
        found.bad(stopped, str(container.get("name")), seen)
    elif container.get("health") == "unhealthy":
        found.bad(unhealthy, str(container.get("name")), seen)
    else:
        found.good(hop, str(container.get("name")), seen)


def _coolify(found: Rows, plan: Json, info: Json) -> None:
    container = info["coolify"]["container"]
    _container(found, "app", container, "CWT-111", "CWT-112")
    # Whoever comes in by the domain is let in by the proxy, or by a tunnel whose rows say where it leads.
    if container.get("state") == "running" and not info["ports"]["http"] and "tailscale" in plan["sides"]:
        found.bad("CWT-117", "port 8000", "not published")


def _published(found: Rows, plan: Json, info: Json) -> None:
    """What each port is bound to (fact 53), and whether that lets in who is promised to come in by it."""
    for name, hop in (("http", "app"), ("terminal", "realtime"), ("app", "realtime")):
        port, places = info["ports"][name], info["addresses"][name]
        if port and "tailscale" in plan["sides"] and not published(info, plan.get("tailscale") or {}, name):
            found.bad("CWT-121", f"port {port}", ", ".join(places), ", ".join(places), hop=hop)
        elif port:
            found.good(hop, f"port {port}", ", ".join(places))


def _realtime(found: Rows, plan: Json, info: Json) -> None:
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


def _session_cookie(found: Rows, info: Json) -> None:
    values = info["env_file"]["variables"]
    name = values.get("APP_NAME")
    if info.get("layout") != _pusher.SEPARATE or not name:
        return
    asked_for = re.sub("[^a-zA-Z0-9]", "_", name).lower() + "_session"
    given = values.get("SESSION_COOKIE") or _laravel_slug(name) + "_session"
    if given != asked_for:
        found.bad("CWT-122", "APP_NAME", name, f"{given}, {asked_for}")


def _laravel_slug(text: str) -> str:
    """Str::slug(text, '_'); of other letters than ASCII's only that there is something for them."""
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").replace("@", "_at_")
    return re.sub(r"[_\s]+", "_", re.sub(r"[^_a-z0-9\s]", "", text.replace("-", "_").lower())).strip("_")


def _environment(found: Rows, plan: Json, info: Json, opened: t.Container[str]) -> None:
    file, wanted = info["env_file"], plan["pusher"]["environment"]
    if not file["exists"]:
        found.bad("CWT-301", file["path"], "missing")
        return
    if file.get("error"):
        found.bad("CWT-302", file["path"], "unreadable", first_line(file["error"]))
        return
    if found.left_out(plan["pusher"], "environment", file["path"]):
        return
    values = file["variables"]
    differing = {key for key in wanted if (values.get(key) or "") != (wanted[key] or "")}
    backend = differing & {_pusher.BACKEND_HOST, _pusher.BACKEND_PORT}
    detail = ", ".join(f"{key} is {_value(values.get(key))}, should be {_value(wanted[key])}" for key in sorted(differing))
    if not differing:
        found.good("environment", file["path"], "as planned")
    elif plan["mode"] == "tailscale" and _targets.is_tailnet_address(values.get("PUSHER_HOST") or ""):
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
    _running_environment(found, plan, info, opened)


def _running_environment(found: Rows, plan: Json, info: Json, opened: t.Container[str]) -> None:
    values, running = info["env_file"]["variables"], info["coolify"]["environment"]
    wanted = plan["pusher"]["environment"]
    expected = {key: values.get(key) or "" for key in wanted}
    stale = _pusher.differing(expected, {key: running.get(key) or "" for key in expected})
    if stale:
        found.bad("CWT-306", "container coolify", "differs from .env", ", ".join(stale))
    else:
        found.good("environment", "container coolify", "as .env")
    # No browser opens a plain socket from an encrypted page.
    lost = [
        f"a page at {one.page} goes to {one.told}, not to {one.meant}"
        for one in _targets.overrides(plan, info)
        if one.told not in opened or (one.page.startswith("https:") and not one.told.startswith(("wss:", "https:")))
    ]
    if lost:
        found.bad("CWT-307", "container coolify", "override", "; ".join(lost))
    port = plan["ports"]["app"]
    if "tailscale" in plan["sides"] and not wanted["PUSHER_PORT"] and port not in (6001, None):
        found.bad("CWT-308", "SOKETI_PORT", str(port))


def _value(value: str | None) -> str:
    return "not set" if value is None else value or "empty"


def _self_heal(found: Rows, plan: Json, info: Json) -> None:
    unit, thing = info["managed"]["self_heal"], "coolify-websocket"
    if found.left_out(plan["self_heal"], "self-heal", thing):
        return
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
        found.bad("CWT-405", thing, "refused", first_line(state["refusals"][-1].get("reason")))
    elif state.get("connected") is False and state.get("status") != "starting":
        found.bad("CWT-406", thing, "waiting for Docker", first_line(state.get("status")))
    else:
        found.good("self-heal", thing, "active")
