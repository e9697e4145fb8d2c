# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows from what coolify_info said of a lab host before and after site.yml (hops/*.json), and of one fault each."""

from __future__ import annotations

import copy
import json
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.plan import _access, _tailnet
from ansible_collections.selfhosted.coolify.plugins.module_utils.verify import _diagnosis, _hops, _table, _targets

FIXTURES = Path(__file__).parent / "hops"
HOST = "coolify.example.com"
Info = t.Dict[str, t.Any]


WRITTEN = {"traefik": "present", "tunnel": "present"}


def host(name: str, states: t.Mapping[str, str] | None = None, **choices: t.Any) -> tuple[Info, Info]:
    found = json.loads((FIXTURES / f"{name}.json").read_text())
    chosen = {"access": "dual", "states": WRITTEN if states is None else states, **choices}
    return found["info"], _access.plan(found["info"], found["tailscale"], **chosen)


def treated() -> Info:
    info: Info = json.loads((FIXTURES / "treated.json").read_text())["info"]
    return info


DOMAIN = treated()["domain"]["host"]


def rows_of(info: Info, plan: Info, looks: t.Sequence[t.Any] = (), document: t.Any = "planned") -> list[dict[str, t.Any]]:
    if document == "planned":
        document = plan["traefik"]["document"]
    return _hops.result(HOST, plan, info, looks, document)["rows"]


def faults(info: Info, plan: Info, **options: t.Any) -> list[tuple[str, str]]:
    return [(row["hop"], row["id"]) for row in rows_of(info, plan, **options) if not row["ok"]]


def test_treated_host_has_no_fault() -> None:
    info, plan = host("treated")
    assert faults(info, plan) == []


def test_every_name_of_the_instance_has_its_rows() -> None:
    found = json.loads((FIXTURES / "treated.json").read_text())
    info, other = found["info"], "panel.example.org"
    plan = _access.plan(info, found["tailscale"], access="dual", extra_domains=[other])
    looked = [one["url"] for view in ("host", "domain") for one in _targets.targets(plan, info, view) if other in one["url"]]
    # From outside; Traefik has no router for it.
    assert len(looked) == 2
    rows = rows_of(info, plan)
    assert [(row["id"], row["ok"]) for row in rows if row["url"].startswith(f"https://{other}/")] == [
        ("CWT-802", False), ("CWT-802", False), (None, True),
    ]  # fmt: skip
    assert f"https://{other}/" in _hops.result(HOST, plan, info, [])["plan"]["urls"]


def test_untreated_host_is_red_at_every_hop_that_a_run_changes() -> None:
    info, plan = host("untreated")
    assert faults(info, plan, document=None) == [
        ("tunnel", "CWT-802"),
        ("tunnel", "CWT-802"),
        ("traefik", "CWT-501"),
        ("firewall", "CWT-602"),
        ("firewall", "CWT-608"),
        ("nginx", "CWT-201"),
        ("environment", "CWT-303"),
        ("self-heal", "CWT-401"),
    ]


def rule(service: str, hostname: str = "", path: str = "") -> dict[str, str]:
    return {"hostname": hostname, "path": path, "service": service}


def put(info: Info, value: t.Any, *path: t.Any) -> None:
    for part in path[:-1]:
        info = info[part]
    info[path[-1]] = value


def wildcard_first(info: Info, _plan: Info) -> None:
    info["managed"]["tunnel"]["rules"].insert(0, rule("http://localhost:80", "*.lab.test"))


def bare_app(info: Info, plan: Info) -> None:
    info["managed"]["tunnel"]["rules"].insert(0, rule("http://localhost:6001", plan["tunnel"]["hostname"], "/app"))


def own_rule_first(info: Info, plan: Info) -> None:
    info["managed"]["tunnel"]["rules"].insert(0, rule("http://localhost:8000", plan["tunnel"]["hostname"]))


def no_path_rules(info: Info, _plan: Info) -> None:
    rules = info["managed"]["tunnel"]["rules"]
    info["managed"]["tunnel"]["rules"] = [one for one in rules if not one["path"]]


def everywhere(info: Info, **values: str) -> None:
    """In .env, and in the container that was made from it."""
    info["env_file"]["variables"].update(values)
    info["coolify"]["environment"].update(values)


def unused_override(info: Info, _plan: Info) -> None:
    info["realtime"]["unused_override"] = "/data/coolify/source/docker-compose.custom.yml"
    info["addresses"].update(app=["0.0.0.0", "::"], terminal=["0.0.0.0"])


def moved_backend(info: Info, _plan: Info) -> None:
    info["layout"] = "bundled"
    everywhere(info, PUSHER_BACKEND_HOST="c.example", PUSHER_BACKEND_PORT="443")


def address_changed(info: Info, plan: Info) -> None:
    values = {"PUSHER_HOST": "100.64.0.2", "PUSHER_PORT": "6001", "PUSHER_SCHEME": "http"}
    plan["mode"] = "tailscale"
    plan["pusher"]["environment"] = values
    info["env_file"]["variables"] = dict(values, PUSHER_HOST="100.64.0.99")
    info["coolify"]["environment"] = info["env_file"]["variables"]


def somebodys(rule: str, **more: t.Any) -> dict[str, t.Any]:
    """A router of somebody's in Traefik."""
    return {
        "name": "shop@docker", "rule": rule.format("h6-coolify.lab.test"), "entry_points": ["https"], "priority": 99,
        "middlewares": [], "tls": "default", "enabled": True, "leads": "", **more,
    }  # fmt: skip


def setting(value: t.Any, *path: t.Any) -> t.Callable[[Info, Info], None]:
    return lambda info, _plan: put(info, value, *path)


FOREIGN = [{"path": "/app/", "location": "/app", "file": "/etc/nginx/x.conf", "line": 3, "served": False}]
NOT_LOADED = {"table_loaded": False, "rules": [], "intact": None, "refused_packets": None, "refused": [], "unit": "active"}


def firewall(**changes: t.Any) -> t.Callable[[Info, Info], None]:
    return lambda info, _plan: info["managed"]["firewall"].update(changes)


def refuse(plan: Info, hop: str, identifier: str) -> None:
    plan[hop]["refusal"] = {"id": identifier, "why": "for this reason"}


STATE_FAULTS: dict[str, tuple[str, t.Callable[[Info, Info], None]]] = {
    "CWT-111": ("app", setting("exited", "coolify", "container", "state")),
    "CWT-112": ("app", setting("unhealthy", "coolify", "container", "health")),
    "CWT-113": ("realtime", setting(False, "realtime", "found")),
    "CWT-114": ("realtime", setting("exited", "realtime", "state")),
    "CWT-115": ("realtime", setting("unhealthy", "realtime", "health")),
    "CWT-116": ("realtime", setting(None, "ports", "terminal")),
    "CWT-117": ("app", setting(None, "ports", "http")),
    "CWT-118": ("realtime", setting({"state": "running"}, "realtime", "left_over")),
    "CWT-120": ("realtime", unused_override),
    "CWT-121": ("realtime", setting(["127.0.0.1"], "addresses", "app")),
    "CWT-122": ("realtime", setting("My Coolify!", "env_file", "variables", "APP_NAME")),
    "CWT-201": ("nginx", lambda info, _plan: info["managed"]["nginx"].update(present=False, current=False)),
    "CWT-202": ("nginx", setting(False, "managed", "nginx", "current")),
    "CWT-203": ("nginx", setting(FOREIGN, "managed", "nginx", "foreign")),
    "CWT-205": ("nginx", lambda _info, plan: refuse(plan, "nginx", "CWT-205")),
    "CWT-407": ("self-heal", lambda _info, plan: refuse(plan, "self_heal", "CWT-407")),
    "CWT-408": ("self-heal", lambda _info, plan: refuse(plan, "self_heal", "CWT-408")),
    "CWT-613": ("firewall", lambda _info, plan: refuse(plan, "firewall", "CWT-613")),
    "CWT-614": ("firewall", lambda _info, plan: refuse(plan, "firewall", "CWT-614")),
    "CWT-204": ("nginx", setting("line 3: unexpected }", "managed", "nginx", "error")),
    "CWT-301": ("environment", setting(False, "env_file", "exists")),
    "CWT-302": ("environment", setting("line 3", "env_file", "error")),
    "CWT-303": (
        "environment",
        lambda info, _plan: [
            put(info, "203.0.113.9", *way, "PUSHER_HOST") for way in (("env_file", "variables"), ("coolify", "environment"))
        ],
    ),
    "CWT-304": ("environment", lambda info, _plan: everywhere(info, PUSHER_SCHEME="https")),
    "CWT-305": ("environment", lambda info, _plan: everywhere(info, PUSHER_SCHEME="tls")),
    "CWT-306": ("environment", setting("203.0.113.9", "coolify", "environment", "PUSHER_HOST")),
    "CWT-307": ("environment", setting("203.0.113.9", "coolify", "environment", "TERMINAL_HOST")),
    "CWT-308": ("environment", lambda _info, plan: put(plan, 7001, "ports", "app")),
    "CWT-309": ("environment", moved_backend),
    "CWT-310": ("environment", lambda info, _plan: everywhere(info, PUSHER_BACKEND_HOST="c.example")),
    "CWT-401": ("self-heal", setting(False, "managed", "self_heal", "installed")),
    "CWT-402": ("self-heal", setting("failed", "managed", "self_heal", "active_state")),
    "CWT-403": ("self-heal", setting("inactive", "managed", "self_heal", "active_state")),
    "CWT-404": ("self-heal", setting(False, "managed", "self_heal", "enabled")),
    "CWT-405": ("self-heal", setting([{"reason": "nginx: [emerg] x"}], "managed", "self_heal", "state", "refusals")),
    "CWT-406": ("self-heal", setting(False, "managed", "self_heal", "state", "connected")),
    "CWT-501": ("traefik", setting(False, "managed", "traefik", "present")),
    "CWT-504": ("traefik", setting("exited", "proxy", "state")),
    "CWT-505": ("traefik", setting("3.0.4", "proxy", "version")),
    "CWT-506": ("traefik", setting([{"path": "/x/custom.yaml", "error": "(line 1)"}], "managed", "traefik", "broken")),
    "CWT-507": ("traefik", lambda info, _plan: info["proxy"]["routers"].append(somebodys("Host(`{}`) && PathPrefix(`/app`)"))),
    "CWT-602": ("firewall", firewall(**dict(NOT_LOADED, file_present=False))),
    "CWT-603": ("firewall", firewall(**NOT_LOADED)),
    "CWT-604": ("firewall", firewall(rules=["decide: accept"])),
    "CWT-605": ("firewall", firewall(rules=["decide: accept"], intact=False)),
    "CWT-606": ("firewall", firewall(unit="failed")),
    "CWT-607": ("firewall", lambda _info, plan: refuse(plan, "firewall", "CWT-607")),
    "CWT-608": ("firewall", setting([], "ufw", "rules")),
    "CWT-704": ("environment", address_changed),
    "CWT-801": ("tunnel", wildcard_first),
    "CWT-802": ("tunnel", no_path_rules),
    "CWT-803": ("tunnel", bare_app),
    "CWT-804": ("tunnel", setting("line 3, column 1: a tab", "managed", "tunnel", "error")),
    "CWT-805": ("tunnel", lambda info, _plan: info["managed"]["tunnel"]["rules"].pop()),
}


@pytest.mark.parametrize("identifier", sorted(STATE_FAULTS))
def test_one_fault_is_named_alone(identifier: str) -> None:
    hop, breaks = STATE_FAULTS[identifier]
    info, plan = host("treated")
    breaks(info, plan)
    assert set(faults(info, plan)) == {(hop, identifier)}


@pytest.mark.parametrize(
    ("access", "values", "told"),
    [
        ("domain", {"TERMINAL_PORT": "443"}, []),
        ("domain", {"TERMINAL_HOST": DOMAIN, "TERMINAL_PORT": "443", "TERMINAL_PROTOCOL": "wss"}, []),
        ("domain", {"TERMINAL_HOST": DOMAIN, "TERMINAL_PORT": "6002"}, [f"wss://{DOMAIN}:6002/terminal/ws"]),
        ("domain", {"TERMINAL_PROTOCOL": "ws"}, [f"ws://{DOMAIN}/terminal/ws"]),
        ("domain", {"TERMINAL_PROTOCOL": "gopher"}, [f"gopher://{DOMAIN}/terminal/ws"]),
        ("dual", {"TERMINAL_PORT": "443"}, ["ws://100.64.0.2:443/terminal/ws"]),
        ("tailscale", {"TERMINAL_PORT": "6002"}, []),
    ],
)
def test_the_browsers_own_address_is_judged(access: str, values: dict[str, str], told: list[str]) -> None:
    """By all variables that it is worked out of, whichever of them are set."""
    info, tailscale = treated(), json.loads((FIXTURES / "treated.json").read_text())["tailscale"]
    plan = _access.plan(info, tailscale, access=access)
    for key, value in {**plan["pusher"]["environment"], **values}.items():
        everywhere(info, **{key: value or ""})
    plan = _access.plan(info, tailscale, access=access)
    named = [row["cause"] for row in rows_of(info, plan) if row["id"] == "CWT-307"]
    assert len(named) == len(told)
    assert all(url in cause and url in " ".join(plan["words"]) for cause, url in zip(named, told))
    seen_from = "domain" if access == "domain" else "tailnet"
    # What is no address cannot be opened, and is wrong all the same.
    assert [url for _hop, url, _expect in urls(seen_from, plan, info) if url in told] == [url for url in told if url[0] == "w"]
    # Where the socket opens, there is nothing to mend, but for what no browser does.
    looks = [looked(seen_from, "domain", url, None) for url in told]
    left = [row["id"] for row in rows_of(info, plan, looks) if row["id"] == "CWT-307"]
    assert left == (["CWT-307"] if "TERMINAL_PROTOCOL" in values and named else [])


def test_the_realtime_address_of_a_users_own_is_looked_at() -> None:
    info, plan = host("treated")
    plan.update(sides=["domain"])
    plan["pusher"]["wanted"] = False
    everywhere(info, PUSHER_HOST="sockets.example.com", PUSHER_PORT="443")
    assert "https://sockets.example.com/app/" not in str(rows_of(info, plan))
    assert ("domain", "wss://sockets.example.com/app/", "open") in urls("domain", plan, info)


def test_a_table_that_nothing_can_read_was_flushed_by_nobody() -> None:
    info, plan = host("treated")
    info["managed"]["firewall"].update(NOT_LOADED)
    info["nft"] = {"available": False, "version": None, "error": "nft is not installed"}
    assert faults(info, plan) == [("firewall", "CWT-607")]
    # Before the first run, which installs nft, it is the table that is missing.
    info["managed"]["firewall"]["file_present"] = False
    assert faults(info, plan) == [("firewall", "CWT-602")]


def test_an_interface_that_became_a_bridge_since_is_seen() -> None:
    found = json.loads((FIXTURES / "treated.json").read_text())
    found["info"]["managed"]["firewall"]["outside_bridges"] = ["br0"]
    plan = _access.plan(found["info"], found["tailscale"], access="dual")
    assert plan["firewall"]["outside_interfaces"] == ["br0"]
    assert faults(found["info"], plan) == [("firewall", "CWT-604")]


def test_a_wider_rule_in_ufw_serves() -> None:
    info, plan = host("treated")
    wide = {"action": "allow", "protocol": "any", "port": "any", "direction": "in", "interface": "tailscale0"}
    info["ufw"]["rules"] = [
        {**wide, "source": source, "family": family} for family, source in (("ipv4", "0.0.0.0/0"), ("ipv6", "::/0"))
    ]
    assert faults(info, plan) == []


@pytest.mark.parametrize("hop", ["pusher", "nginx", "self_heal", "traefik", "firewall"])
def test_a_hop_that_the_user_left_out_is_never_red(hop: str) -> None:
    """Field case V1: on a host where the hop is as Coolify's installer leaves it."""
    info, _plan = host("treated")
    untreated, _plan = host("untreated")
    tailscale = json.loads((FIXTURES / "treated.json").read_text())["tailscale"]
    info["managed"] = dict(info["managed"], **{hop: untreated["managed"].get(hop)})
    if hop == "pusher":
        info["env_file"], info["coolify"] = untreated["env_file"], untreated["coolify"]
    if hop == "firewall":
        info["ufw"] = untreated["ufw"]
    wanted = _access.plan(info, tailscale, access="dual", states=WRITTEN)
    assert faults(info, wanted) != []
    plan = _access.plan(info, tailscale, access="dual", states={**WRITTEN, hop: "absent"})
    assert faults(info, plan) == []
    views = [_targets.targets(plan, info, view, addresses=["203.0.113.7"]) for view in _targets.VIEWS]
    looked_at = {target["name"] for targets in views for target in targets}
    assert {"nginx": "nginx", "traefik": "traefik", "firewall": "firewall"}.get(hop) not in looked_at


def test_own_rule_before_the_paths_is_an_order_fault() -> None:
    info, plan = host("treated")
    own_rule_first(info, plan)
    assert set(faults(info, plan)) == {("tunnel", "CWT-801")}


def test_wildcard_that_swallows_an_untreated_domain_is_an_order_fault() -> None:
    info, plan = host("untreated")
    wildcard_first(info, plan)
    assert {identifier for hop, identifier in faults(info, plan) if hop == "tunnel"} == {"CWT-801"}


def test_a_list_that_cannot_be_edited_is_no_fault_while_nginx_carries_both_paths() -> None:
    info, plan = host("untreated")
    put(info, "in brackets", "managed", "tunnel", "by_hand")
    assert "tunnel" not in {hop for hop, _identifier in faults(info, plan)}
    wildcard_first(info, plan)
    assert ("tunnel", "CWT-801") in faults(info, plan)
    put(info, [], "managed", "tunnel", "rules")
    assert "tunnel" not in {hop for hop, _identifier in faults(info, plan)}


def traefik(info: Info, plan: Info, **options: t.Any) -> list[tuple[str, str, t.Any]]:
    return [(row["url"], row["seen"], row["id"]) for row in rows_of(info, plan, **options) if row["hop"] == "traefik"]


FILE = "/data/coolify/proxy/dynamic/coolify-websocket.yaml"


def test_a_proxy_that_needs_nothing_has_a_row_that_says_so_and_why() -> None:
    info, plan = host("untreated", {})
    running = ("coolify-proxy", "running 3.6.15", None)
    assert traefik(info, plan) == [running, (FILE, "not needed: nginx has both paths", None)]
    info, plan = host("untreated", {"traefik": "absent"})
    assert traefik(info, plan) == [running, (FILE, "not wanted", None)]


def test_a_proxy_that_is_no_way_in_may_be_stopped() -> None:
    """Field case G12: coolify-proxy was never started, and a tunnel leads to port 8000."""
    found = json.loads((FIXTURES / "untreated.json").read_text())
    put(found, {"kind": "traefik", "version": "3.6.15", "state": "created", "routers": None, "ports": {}}, "info", "proxy")
    plan = _access.plan(found["info"], found["tailscale"], access="dual")
    assert ("coolify-proxy", "created, no way in", None) in traefik(found["info"], plan)
    put(found, {"present": False, "connectors": [], "managed_by_coolify": False, "rules": []}, "info", "managed", "tunnel")
    plan = _access.plan(found["info"], found["tailscale"], access="dual")
    assert ("coolify-proxy", "created", "CWT-504") in traefik(found["info"], plan)


@pytest.mark.parametrize("states", [{}, WRITTEN])
def test_a_folder_that_one_file_keeps_from_being_loaded_is_seen_by_the_api(states: dict[str, str]) -> None:
    """Valid YAML with a field that Traefik does not know."""
    info, plan = host("treated", states)
    ours = [one for one in info["proxy"]["routers"] if "selfhosted-coolify" in one["name"]]
    folder = ("/data/coolify/proxy/dynamic", "not loaded", "CWT-506")
    put(info, [one for one in info["proxy"]["routers"] if one not in ours], "proxy", "routers")
    assert (folder in traefik(info, plan)) == bool(states)
    put(info, True, "managed", "traefik", "settling")
    assert folder not in traefik(info, plan)
    put(info, [], "proxy", "routers")
    assert folder in traefik(info, plan)


@pytest.mark.parametrize(("document", "identifier"), [(None, "CWT-503"), ({"http": {}}, "CWT-502")])
def test_traefik_file(document: t.Any, identifier: str) -> None:
    info, plan = host("treated")
    assert faults(info, plan, document=document) == [("traefik", identifier)]


AT_CLOUDFLARE = {"name": "coolify-cloudflared", "remote": True, "counts": True}


@pytest.mark.parametrize(
    "tunnel",
    [
        {"present": False, "managed_by_coolify": True},
        {"present": True, "remote": True, "connectors": [AT_CLOUDFLARE, {"name": "other.service", "counts": False}]},
    ],
)
def test_a_list_at_cloudflare_was_not_looked_at(tunnel: dict[str, t.Any]) -> None:
    """Field cases V7 and T7: the row was green, and nobody had looked, or at a file that nothing reads."""
    info, plan = host("treated")
    info["managed"]["tunnel"].update(tunnel, rules=[])
    found = _hops.result(HOST, plan, info, [], plan["traefik"]["document"])
    assert (found["ok"], found["broken"], found["unknown"]) == (True, [], ["tunnel (CWT-806)"])
    assert [row["ok"] for row in found["rows"] if row["hop"] == "tunnel"] == [None]
    lines = _table.lines(found["rows"])
    assert {line.ok for line in lines if "CWT-806" in line.text or "coolify-cloudflared" in line.text} == {None}
    assert not any(line.text == "Every hop is as it should be." for line in lines)


def test_served_by_somebody_elses_routes() -> None:
    info, plan = host("treated")
    info["managed"]["nginx"].update(present=False, paths=[], foreign=[dict(FOREIGN[0], served=True)])
    assert faults(info, plan) == []


def test_ufw_that_is_not_active_is_no_fault() -> None:
    info, plan = host("treated")
    info["ufw"].update(active=False, rules=[])
    assert faults(info, plan) == []


# -- sockets -----------------------------------------------------------------------------------------------------------------


def looked(item: str, name: str, url: str, identifier: str | None, **more: t.Any) -> dict[str, t.Any]:
    diagnosis = _diagnosis.explain(identifier) if identifier else None
    result = {"name": name, "url": url, "seen": "x", "milliseconds": 1.0, "ok": identifier is None, "diagnosis": diagnosis}
    kind = "terminal" if url.endswith("/terminal/ws") else "app"
    return {"item": item, "results": [{**result, "kind": kind, "status": None, "server": None, "page": None, **more}]}


def inside(**broken: str) -> list[dict[str, t.Any]]:
    """What the host itself saw of its links; `broken` has by hop what was met there."""
    places = {
        "realtime": "http://127.0.0.1:6001/app/",
        "nginx": "http://127.0.0.1:8000/app/",
        "traefik": f"https://{DOMAIN}/app/",
    }
    return [looked("host", hop, url, broken.get(hop)) for hop, url in places.items()]


def in_front(symptom: str, links: list[dict[str, t.Any]], url: str = f"https://{DOMAIN}/app/", **more: t.Any) -> dict[str, t.Any]:
    """The row of what the control node saw in place of a socket."""
    info, plan = host("treated")
    plan["firewall"]["wanted"] = False
    rows = rows_of(info, plan, [*links, looked("control", "domain", url, symptom, **more)])
    (row,) = (row for row in rows if (row["hop"], row["from"], row["url"]) == ("domain", "control", url))
    return row


@pytest.mark.parametrize(
    ("symptom", "status", "page", "identifier"),
    [
        ("CWT-911", 404, True, "CWT-834"),
        ("CWT-912", 302, True, "CWT-834"),
        ("CWT-915", 426, True, "CWT-834"),
        ("CWT-917", 500, True, "CWT-834"),
        ("CWT-911", 404, False, "CWT-837"),
        ("CWT-912", 200, False, "CWT-837"),
        ("CWT-917", 500, False, "CWT-837"),
        ("CWT-914", 502, None, "CWT-836"),
        # What is known of it already, and what nothing more is known of.
        ("CWT-911", 404, None, "CWT-911"),
        ("CWT-917", 429, True, "CWT-917"),
        ("CWT-831", 302, None, "CWT-831"),
        ("CWT-835", 403, None, "CWT-835"),
        ("CWT-913", 301, None, "CWT-913"),
        ("CWT-832", 530, None, "CWT-832"),
    ],
)
def test_where_every_link_holds_the_fault_is_in_front(symptom: str, status: int, page: bool | None, identifier: str) -> None:
    """Field case G8, which was "run site" and "read the logs"."""
    row = in_front(symptom, inside(), status=status, page=page, server="openresty")
    assert (row["id"], row["ok"]) == (identifier, _diagnosis.verdict(identifier))
    assert ("answered by openresty" in row["cause"]) == (identifier in ("CWT-834", "CWT-836", "CWT-837"))


def test_whom_the_firewall_refused_is_named_where_a_gateway_cannot_reach_the_host() -> None:
    info, plan = host("treated")
    info["managed"]["firewall"]["refused"] = ["192.168.1.9"]
    looks = [*inside(), looked("control", "domain", f"https://{DOMAIN}/app/", "CWT-914", status=502)]
    causes = [row["cause"] for row in rows_of(info, plan, looks) if row["id"] == "CWT-836"]
    assert [cause for cause in causes if "the firewall refused 192.168.1.9" in cause] == causes != []


@pytest.mark.parametrize(
    ("broken", "first"),
    [
        ({"nginx": "CWT-911"}, "nginx first (CWT-211)"),
        ({"traefik": "CWT-914"}, "traefik first (CWT-512)"),
        ({"realtime": "CWT-904", "nginx": "CWT-914", "traefik": "CWT-914"}, "realtime first (CWT-904)"),
    ],
)
def test_the_first_broken_link_from_inside_is_what_to_mend(broken: dict[str, str], first: str) -> None:
    row = in_front("CWT-914", inside(**broken), status=502)
    assert (row["id"], first in row["next"]) == ("CWT-914", True)
    # A login stands before all of them.
    assert in_front("CWT-831", inside(**broken))["next"] == _diagnosis.TABLE["CWT-831"].next


def test_without_a_look_at_the_containers_nginx_nothing_is_said_of_what_is_in_front() -> None:
    assert in_front("CWT-911", inside()[:1], status=404, page=True)["id"] == "CWT-911"
    terminal = in_front("CWT-911", inside(), f"https://{DOMAIN}/terminal/ws", status=404, page=True)
    assert terminal["id"] == "CWT-911"


@pytest.mark.parametrize(
    ("hop", "scheme", "good"), [("traefik", "https", True), ("domain", "https", True), ("domain", "http", False)]
)
def test_a_redirect_to_https_is_fine_where_pages_are_https(hop: str, scheme: str, good: bool) -> None:
    """Field case G11, which was "a broken file stops all later changes"."""
    info, plan = host("treated")
    plan["domain"]["scheme"] = scheme
    url = f"http://{DOMAIN}/app/"
    found = [(row["ok"], row["id"]) for row in rows_of(info, plan, [looked("host", hop, url, "CWT-918")]) if row["url"] == url]
    assert found == [(True, None) if good else (False, "CWT-918")]


@pytest.mark.parametrize("symptom", ["CWT-811", "CWT-812", "CWT-901", "CWT-902", "CWT-903"])
def test_a_machine_that_finds_no_way_says_nothing_of_what_others_reach(symptom: str) -> None:
    """Field case G15, and hairpin NAT. The host itself finds the name at loopback, which is no other machine."""
    assert in_front(symptom, inside())["id"] == symptom
    # Whatever they are answered: that the address is there is what it says.
    for answer in (None, "CWT-918"):
        others = looked("outside", "domain", f"https://{DOMAIN}/app/", answer)
        row = in_front(symptom, [*inside(), others])
        assert (row["ok"], row["id"]) == (None, "CWT-838")
    row = in_front(symptom, [*inside(), looked("outside", "domain", f"https://{DOMAIN}/app/", "CWT-902")])
    assert (row["ok"], row["id"]) == (False, symptom)


def test_what_tailscaled_serves_is_a_way_with_links_too() -> None:
    info, plan = served()
    url = "https://coolify.tail1234.ts.net/app/"
    looks = [*inside()[:2], looked("peer", "tailscale", url, "CWT-912", status=200, page=True)]
    assert [row["id"] for row in rows_of(info, plan, looks) if row["url"] == url] == ["CWT-834"]


@pytest.mark.parametrize(
    ("hop", "url", "symptom", "identifier"),
    [
        ("nginx", "http://127.0.0.1:8000/app/", "CWT-911", "CWT-211"),
        ("nginx", "http://127.0.0.1:8000/app/", "CWT-912", "CWT-211"),
        ("nginx", "http://127.0.0.1:8000/app/", "CWT-914", "CWT-212"),
        ("nginx", "http://127.0.0.1:8000/app/", "CWT-901", "CWT-901"),
        ("traefik", "https://c.example/app/", "CWT-911", "CWT-511"),
        ("traefik", "https://c.example/app/", "CWT-914", "CWT-512"),
        ("traefik", "https://c.example/app/", "CWT-901", "CWT-513"),
        ("tailscale", "http://100.64.0.2:8000/app/", "CWT-902", "CWT-705"),
        ("tailscale", "http://100.64.0.2:6001/app/", "CWT-902", "CWT-609"),
        ("firewall", "http://203.0.113.7:6001/app/", "CWT-601", "CWT-601"),
    ],
)
def test_symptom_at_a_known_hop(hop: str, url: str, symptom: str, identifier: str) -> None:
    info, plan = host("treated")
    found = [row for row in rows_of(info, plan, [looked("lab-peer", hop, url, symptom)]) if not row["ok"]]
    assert [(row["hop"], row["from"], row["id"]) for row in found] == [(hop, "lab-peer", identifier)]


def test_a_file_that_nginx_has_not_loaded_is_not_as_planned() -> None:
    info, plan = host("treated")
    info["managed"]["nginx"]["loaded"] = False
    assert [(hop, identifier) for hop, identifier in faults(info, plan) if hop == "nginx"] == [("nginx", "CWT-211")]


def test_machine_that_cannot_be_looked_from_is_a_row() -> None:
    info, plan = host("treated")
    found = rows_of(info, plan, [{"item": "lab-outside", "msg": "ssh:\n  no route", "unreachable": True}])
    assert [(row["from"], row["ok"], row["id"]) for row in found if not row["ok"]] == [("lab-outside", None, "CWT-104")]


@pytest.mark.parametrize(
    ("machines", "addresses", "expected"),
    [
        ({}, ["203.0.113.7"], [("CWT-706", "tailnet"), ("CWT-610", "outside")]),
        ({"tailnet": ["peer"]}, ["203.0.113.7"], [("CWT-610", "outside")]),
        ({"tailnet": ["peer"], "outside": ["o"]}, ["203.0.113.7", "2001:db8::7"], []),
        ({"tailnet": ["peer"], "outside": ["o"]}, ["coolify.example.com"], []),
        # Field case V4: Ansible comes in by the tailnet, or from the host itself.
        ({"tailnet": ["peer"], "outside": ["o"]}, ["100.64.0.2", "2001:db8::7"], [("CWT-612", "outside")]),
        ({"tailnet": ["peer"], "outside": ["o"]}, ["10.4.0.9"], [("CWT-612", "outside")]),
        ({"tailnet": ["peer"], "outside": ["o"]}, ["192.168.1.15", "fd00::7", "169.254.1.1"], [("CWT-612", "outside")]),
        ({"tailnet": ["peer"], "outside": ["o"], "addresses_given": True}, ["192.168.1.15"], []),
        ({"tailnet": ["peer"], "outside": ["o"]}, ["vps.tail1234.ts.net"], [("CWT-612", "outside")]),
        ({"tailnet": ["peer"], "outside": ["o"]}, ["localhost", "127.0.0.1", "::1"], [("CWT-612", "outside")]),
        ({"tailnet": ["peer"], "outside": ["o"], "addresses_given": True}, ["2001:db8::7"], []),
    ],
)
def test_a_side_that_nobody_looks_from_is_told(machines: Info, addresses: list[str], expected: t.Any) -> None:
    info, plan = host("treated")
    if "10.4.0.9" in addresses:
        plan["tailscale"]["ipv4"] = "10.4.0.9"
    unlooked = _targets.looks(plan, info, addresses=addresses, **machines)["unlooked"]
    assert [tuple(one) for one in unlooked] == expected
    found = _hops.result(HOST, plan, info, [], plan["traefik"]["document"], unlooked)
    assert [(row["id"], row["from"], row["ok"]) for row in found["rows"] if row["id"]] == [
        (*one, None) for one in sorted(expected, key=lambda one: _hops._ORDER.index(_diagnosis.TABLE[one[0]].hop))
    ]


def test_nothing_is_missed_where_nothing_is_promised() -> None:
    info, plan = host("treated")
    plan.update(sides=["domain"], firewall={"wanted": False, "refusal": {}, "ports": [], "trusted": []})
    assert _targets.looks(plan, info)["unlooked"] == []


REFUSED = {
    "CWT-101": ({"unreachable": True, "msg": "ssh"}, {}, "auto"),
    "CWT-102": ({}, {"up": False}, "auto"),
    "CWT-107": ({}, {}, "auto"),
    "CWT-105": ({"docker": {"reachable": False, "error": "no socket"}}, {}, "dual"),
    "CWT-106": ({"coolify": {"found": False}}, {}, "dual"),
    "CWT-301": ({"env_file": {"exists": False, "path": "/data/coolify/source/.env"}}, {}, "dual"),
    "CWT-701": ({"coolify": {"found": True}}, {"up": False, "installed": False}, "tailscale"),
    "CWT-702": ({"coolify": {"found": True}}, {"up": True, "ipv4": None, "installed": True, "backend_state": "Stopped"}, "dual"),
    "CWT-703": ({"coolify": {"found": True}}, {"up": False, "installed": True, "backend_state": "NeedsLogin"}, "dual"),
}


@pytest.mark.parametrize("identifier", sorted(REFUSED))
def test_host_without_a_plan_is_one_row(identifier: str) -> None:
    info, tailscale, access = REFUSED[identifier]
    reason = "Missing sudo password" if identifier == "CWT-107" else f"No address. {_tailnet.missing(tailscale)}; or another."
    found = _hops.refused(HOST, reason, info, tailscale, access)
    assert [row["id"] for row in found["rows"]] == [identifier]
    if identifier.startswith("CWT-70"):
        # Refused for another reason, it is that one that counts.
        found = _hops.refused(HOST, "coolify_nginx_read_timeout is 0.", info, tailscale, access)
        assert [(row["id"], "read_timeout" in row["cause"]) for row in found["rows"]] == [("CWT-102", True)]


@pytest.mark.parametrize(
    "words",
    [
        "Missing sudo password",
        "Incorrect sudo password",
        "Task failed: Incorrect su password",
        "sudo: a password is required",
        "deploy is not in the sudoers file.",
        "Timeout (12s) waiting for privilege escalation prompt: ",
        "su: Authentication failure",
        "doas: Operation not permitted",
        "sudo-rs: interactive authentication is required",
        "sudo: I'm sorry deploy. I'm afraid I can't do that",
        "sudo-rs: authentication failed, 3 incorrect attempts",
        "Timed out waiting for become success or become password prompt",
        "Premature end of stream waiting for become success.",
        "/bin/sh: 1: sudo: not found",
    ],
)
def test_ansible_that_cannot_become_root_is_told(words: str) -> None:
    """Field case V9, in the words of Ansible and of what it becomes root by; it calls some of them unreachable."""
    for reason, info in (
        (words, {}),
        (words, {"unreachable": True, "msg": words}),
        ("", {"unreachable": True, "msg": words}),
        ("Module result deserialization failed", {"module_stderr": f"a banner\n{words}\n", "module_stdout": ""}),
        ("MODULE FAILURE", {"module_stderr": "", "module_stdout": f"{words}\r\n"}),
    ):
        (row,) = _hops.refused(HOST, reason, info, {}, "auto")["rows"]
        assert row["id"] == "CWT-107"
        assert words.strip()[:40] in row["cause"] + row["seen"]


def test_host_refused_for_its_traefik_says_so() -> None:
    info, _plan = host("treated")
    put(info, "3.0.4", "proxy", "version")
    found = _hops.refused(HOST, _access.traefik_refusal(info), info, {}, "auto")
    assert [(row["id"], row["hop"]) for row in found["rows"]] == [("CWT-505", "traefik")]
    # Refused for another reason, it is that one that counts.
    assert [row["id"] for row in _hops.refused(HOST, "why", info, {}, "auto")["rows"]] == ["CWT-102"]


def test_unpublished_port_is_no_fault_where_nobody_comes_in_by_it() -> None:
    info, plan = host("treated")
    put(info, {"app": None, "terminal": None, "http": 8000}, "ports")
    plan.update(sides=["domain"], firewall={"wanted": False, "refusal": {}, "ports": [], "trusted": []})
    plan["tunnel"]["wanted"] = False
    assert "CWT-116" not in {identifier for _hop, identifier in faults(info, plan)}


def test_each_port_says_what_it_is_bound_to() -> None:
    """Field case P2, where nobody was told; whoever comes in by the domain alone needs no address of the tailnet's."""
    info, plan = host("treated")
    info["addresses"] = {"http": ["127.0.0.1"], "terminal": [plan["tailscale"]["ipv4"]], "app": ["0.0.0.0", "::"]}
    found = {row["url"]: (row["hop"], row["seen"], row["id"]) for row in rows_of(info, plan) if row["url"].startswith("port ")}
    assert found == {
        "port 8000": ("app", "127.0.0.1", "CWT-121"),
        "port 6002": ("realtime", plan["tailscale"]["ipv4"], None),
        "port 6001": ("realtime", "0.0.0.0, ::", None),
    }
    plan["sides"] = ["domain"]
    assert faults(info, plan) == []
    # Field case P4: all goes by the proxy.
    put(info, {"app": None, "terminal": None, "http": None}, "ports")
    assert {identifier for _hop, identifier in faults(info, plan)} <= {"CWT-201"}


def urls(view: str, plan: Info, info: Info, **options: t.Any) -> list[tuple[str, str, str]]:
    return [
        (target["name"], target["url"], target.get("expect", "open")) for target in _targets.targets(plan, info, view, **options)
    ]


def test_targets_follow_the_sides_that_the_plan_promises() -> None:
    info, plan = host("treated")
    plan["sides"] = ["domain"]
    assert urls("tailnet", plan, info) == []
    assert [url for _hop, url, _expect in urls("domain", plan, info)] == [
        "https://h6-coolify.lab.test/terminal/ws",
        "https://h6-coolify.lab.test/app/",
    ]
    plan["sides"] = ["tailscale"]
    assert urls("domain", plan, info) == []
    assert [url for _hop, url, _expect in urls("tailnet", plan, info)] == [
        "http://100.64.0.2:8000/terminal/ws",
        "http://100.64.0.2:8000/app/",
        "http://100.64.0.2:6002/terminal/ws",
        "http://100.64.0.2:6001/app/",
    ]


def test_outside_finds_the_published_ports_closed_in_both_families() -> None:
    info, plan = host("treated")
    plan["sides"] = ["tailscale"]
    addresses = ["203.0.113.7", "2001:db8::7", "100.64.0.2", "fd7a:115c:a1e0::1"]
    assert urls("outside", plan, info, addresses=addresses) == [
        ("firewall", "http://203.0.113.7:6002/terminal/ws", "closed"),
        ("firewall", "http://203.0.113.7:6001/app/", "closed"),
        ("firewall", "http://[2001:db8::7]:6002/terminal/ws", "closed"),
        ("firewall", "http://[2001:db8::7]:6001/app/", "closed"),
    ]


def test_outside_looks_at_every_port_that_is_guarded() -> None:
    info, plan = host("treated")
    plan["sides"], plan["firewall"]["ports"] = ["tailscale"], [6001, 16001, 6002]
    assert ("firewall", "http://203.0.113.7:16001/app/", "closed") in urls("outside", plan, info, addresses=["203.0.113.7"])


def served(port: int = 443) -> tuple[Info, Info]:
    """A treated host without a domain, whose page tailscaled serves, with what a run would have written for it."""
    found = json.loads((FIXTURES / "treated.json").read_text())
    info, name = found["info"], "coolify.tail1234.ts.net"
    info["domain"] = None
    target = {"name": name, "port": port, "https": True, "target": "http://127.0.0.1:8000"}
    plan = _access.plan(info, {**found["tailscale"], "backend_state": "Running", "name": name, "served": [target]})
    wanted = plan["pusher"]["environment"]
    everywhere(info, **{key: value or "" for key, value in wanted.items()})
    return info, plan


@pytest.mark.parametrize(("port", "url"), [(443, "https://coolify.tail1234.ts.net"), (8443, "https://coolify.tail1234.ts.net:8443")])
def test_what_tailscaled_serves_is_looked_at_from_the_tailnet(port: int, url: str) -> None:
    """Field case P5."""
    info, plan = served(port)
    assert faults(info, plan) == []
    assert ("tailscale serve", url) in [(row["url"], row["seen"]) for row in rows_of(info, plan)]
    assert urls("tailnet", plan, info) == [
        ("tailscale", f"{url}/terminal/ws", "open"),
        ("tailscale", f"{url}/app/", "open"),
    ]
    assert urls("domain", plan, info) == []
    assert {one[0] for one in urls("outside", plan, info, addresses=["203.0.113.7"])} == {"firewall"}
    looks = _targets.looks(plan, info)
    assert ["CWT-706", "tailnet"] in looks["unlooked"]
    # The host itself goes where tailscaled does.
    assert [one["url"] for one in looks["broadcast"]] == ["http://127.0.0.1:6001/app/", "http://127.0.0.1:8000/app/"]
    assert _hops.result(HOST, plan, info, [])["plan"]["urls"] == [f"{url}/"]


def test_a_served_name_that_does_not_answer_is_no_fault_of_the_firewall() -> None:
    info, plan = served()
    look = looked("peer", "tailscale", "https://coolify.tail1234.ts.net/app/", "CWT-902")
    assert [row["id"] for row in rows_of(info, plan, [look]) if not row["ok"]] == ["CWT-902"]


def test_name_is_connected_to_where_the_inventory_says() -> None:
    info, plan = host("treated")
    found = _targets.targets(plan, info, "domain", connect_to={plan["domain"]["host"]: "198.51.100.3"})
    assert {target["connect_to"] for target in found} == {"198.51.100.3"}


def test_a_tailnet_of_ipv6_alone_is_looked_at() -> None:
    info, plan = host("treated")
    plan["tailscale"]["ipv4"] = None
    address = f"[{plan['tailscale']['ipv6']}]"
    assert [url for hop, url, _expect in urls("tailnet", plan, info) if hop == "tailscale"] == [
        f"http://{address}:{port}{path}"
        for port, path in ((8000, "/terminal/ws"), (8000, "/app/"), (6002, "/terminal/ws"), (6001, "/app/"))
    ]


@pytest.mark.parametrize(
    ("name", "given", "asked_for"),
    [
        ("My Coolify!", "my_coolify_session", "my_coolify__session"),
        ("My  Coolify", "my_coolify_session", "my__coolify_session"),
        (" Coolify", "coolify_session", "_coolify_session"),
        ("me@home", "me_at_home_session", "me_home_session"),
        ("Coolify (prod)", "coolify_prod_session", "coolify__prod__session"),
        ("café", "cafe_session", "caf__session"),
        ("My Coolify", "", ""),
        ("my-coolify_2", "", ""),
        ("", "", ""),
    ],
)
def test_the_two_names_of_the_sessions_cookie_are_compared(name: str, given: str, asked_for: str) -> None:
    """Field case E13; in the bundled layout the terminal server is told by Coolify itself."""
    info, plan = host("treated")
    put(info, name, "env_file", "variables", "APP_NAME")
    causes = [row["cause"] for row in rows_of(info, plan) if row["id"] == "CWT-122"]
    assert [f"({given}, {asked_for})" in cause for cause in causes] == ([True] if given else [])
    put(info, "my_coolify__session", "env_file", "variables", "SESSION_COOKIE")
    assert ("CWT-122" in dict(map(reversed, faults(info, plan)))) == (name not in ("", "My Coolify!"))
    put(info, "bundled", "layout")
    assert "CWT-122" not in [row["id"] for row in rows_of(info, plan)]


def test_a_tailnet_of_ipv6_alone_is_not_reached_by_ports_of_ipv4() -> None:
    """Field case E16."""
    info, plan = host("treated")
    plan["tailscale"]["ipv4"] = None
    info["addresses"] = {name: ["0.0.0.0"] for name in info["addresses"]}
    assert {identifier for _hop, identifier in faults(info, plan)} == {"CWT-121"}
    info["addresses"] = {name: ["0.0.0.0", "::"] for name in info["addresses"]}
    assert faults(info, plan) == []


def test_host_looks_at_each_entry_point_and_port() -> None:
    info, plan = host("treated")
    found = urls("host", plan, info)
    assert [hop for hop, _url, _expect in found] == ["nginx"] * 2 + ["realtime"] * 2 + ["traefik"] * 2
    plan["ports"] = {"app": None, "terminal": None, "http": None}
    plan["traefik"]["ways"] = []
    assert urls("host", plan, info) == []


def test_host_looks_at_the_address_that_is_bound() -> None:
    """Field case P3: a false CWT-901 at localhost."""
    info, plan = host("treated")
    info["addresses"] = {"http": ["100.101.102.103"], "app": ["100.101.102.104"], "terminal": ["100.101.102.105"]}
    servers = {"http://100.101.102.104:6001/app/", "http://100.101.102.105:6002/terminal/ws"}
    page = {f"http://100.101.102.103:8000{path}" for path in ("/app/", "/terminal/ws")}
    assert {url for hop, url, _expect in urls("host", plan, info) if hop in ("nginx", "realtime")} == servers | page
    looks = _targets.looks(plan, info)
    itself = {one["url"] for name in ("broadcast", "prompts") for one in looks[name] if "100.101.102.10" in one["url"]}
    assert itself == servers


def test_unknown_view() -> None:
    with pytest.raises(ValueError, match="view"):
        _targets.targets({}, {}, "moon")


# -- result, table, page -------------------------------------------------------------------------------------------------------


def test_result_names_what_people_open_and_what_is_broken() -> None:
    info, plan = host("untreated")
    found = _hops.result(HOST, plan, info, [])
    assert found["plan"]["urls"] == ["https://h6-coolify.lab.test/", "http://100.64.0.2:8000/"]
    assert found["versions"]["coolify"] == "4.3.0"
    assert found["broken"].count("tunnel (CWT-802)") == 1
    assert not found["ok"]


def test_table_is_aligned_and_ends_with_one_line_for_each_broken_hop() -> None:
    info, plan = host("untreated")
    rows = rows_of(info, plan, [looked("lab-outside", "firewall", "http://203.0.113.7:6001/app/", "CWT-601")], document=None)
    lines = _table.lines(rows)
    end = next(number for number, line in enumerate(lines) if not line.text)
    header, ruler, body = lines[0].text, lines[1].text, lines[2:end]
    assert [len(part) for part in ruler.split("  ")][-1] == 3
    assert header.split() == ["hop", "from", "url", "seen", "ms", "ok"]
    assert [line.ok for line in body] == [row["ok"] for row in rows]
    place = header.index("  ok") + 2
    assert {line.text[place:] for line in body} == {"yes", "NO"}
    assert [line.text.split()[0] for line in lines[end + 1 :]] == list(dict.fromkeys(row["id"] for row in rows if not row["ok"]))


def test_fleet_has_a_column_for_the_host() -> None:
    lines = _table.lines(_hops.ended("a", "CWT-101", "ssh")["rows"] + _hops.ended("b", "CWT-103")["rows"])
    assert lines[0].text.startswith("host")
    assert [line.text.split()[1] for line in lines if line.text.startswith("CWT")] == ["a", "b"]


def test_nothing_that_others_sent_reaches_the_terminal_as_it_is() -> None:
    lines = _table.lines(_hops.ended("a", "CWT-101", "\x1b[2J\u202e evil")["rows"])
    assert all(line.text.isprintable() for line in lines)


def test_every_diagnosis_has_a_hop_a_cause_and_a_next_step() -> None:
    page = (Path(__file__).resolve().parents[4] / "docs" / "diagnoses.md").read_text(encoding="utf-8")
    for identifier, entry in _diagnosis.TABLE.items():
        assert identifier.startswith("CWT-")
        assert entry.hop in (*_hops._ORDER, "socket")
        assert entry.cause.endswith(".")
        assert entry.next
        assert f'id="{identifier.lower()}"' in page


def test_the_page_on_troubleshooting_knows_every_id_it_names() -> None:
    page = (Path(__file__).resolve().parents[4] / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    named = set(re.findall(r"CWT-\d{3}", page))
    assert named
    assert named <= set(_diagnosis.TABLE)


def test_every_diagnosis_of_a_state_is_tried_here() -> None:
    elsewhere = {
        *("CWT-103", "CWT-104", "CWT-119", "CWT-610", "CWT-611", "CWT-612", "CWT-615", "CWT-706", "CWT-806"),
        *(f"CWT-{number}" for number in range(321, 331)),
        *("CWT-211", "CWT-212", "CWT-502", "CWT-503", "CWT-511", "CWT-512", "CWT-513", "CWT-601", "CWT-609", "CWT-705"),
    }
    states = {name for name in _diagnosis.TABLE if name < "CWT-810"}
    assert states - elsewhere == {*STATE_FAULTS, *REFUSED}


def test_fixtures_are_not_changed_by_looking() -> None:
    info, plan = host("treated")
    before = copy.deepcopy((info, plan))
    rows_of(info, plan)
    assert before == (info, plan)


def test_every_machine_that_something_is_promised_to_looks() -> None:
    info, plan = host("treated")
    looks = _targets.looks(plan, info, ["peer"], ["one", "two"], addresses=["203.0.113.7"], deadline=3.0)
    assert looks["targets"] == _targets.targets(plan, info, "host")
    assert [(view["from"], view["deadline"]) for view in looks["views"]] == [
        ("peer", 3.0), ("localhost", 3.0), ("one", 3.0), ("two", 3.0),
    ]  # fmt: skip
    domain, closed = (_targets.targets(plan, info, view, addresses=["203.0.113.7"]) for view in ("domain", "outside"))
    assert looks["views"][1]["targets"] == domain
    assert looks["views"][2]["targets"] == [*domain, *closed]
    # Field case G15: the control node may find the domain nowhere.
    looks = _targets.looks(plan, info, ["peer"], ["one"], control=False)
    assert [view["from"] for view in looks["views"]] == ["peer", "one"]
    assert "CWT-833" not in dict(looks["unlooked"])
    assert dict(_targets.looks(plan, info, ["peer"], control=False)["unlooked"])["CWT-833"] == "control"
    # It may resolve on the tailnet alone, and the ports are to be closed all the same.
    looks = _targets.looks(plan, info, ["peer"], ["one"], addresses=["203.0.113.7"], control=False, domain=["peer"])
    by_name = {view["from"]: {target["name"] for target in view["targets"]} for view in looks["views"]}
    assert by_name == {"peer": {"tailscale", "domain"}, "one": {"firewall"}}
    assert dict(_targets.looks(plan, info, [], ["one"], control=False, domain=[])["unlooked"])["CWT-833"] == "control"
    promised_nothing = dict(plan, sides=[], domain=None, firewall=dict(plan["firewall"], wanted=False))
    assert _targets.looks(promised_nothing, info, ["peer"], ["one"])["views"] == []


def test_nothing_is_published_where_that_is_left_out() -> None:
    info, plan = host("treated")
    looks = _targets.looks(plan, info, broadcast=False)
    assert (looks["broadcast"], bool(looks["prompts"])) == ([], True)


@pytest.mark.parametrize(
    ("look", "identifier"),
    [
        ({"unreachable": True, "msg": "ssh: connection reset"}, "CWT-101"),
        ({"failed": True, "msg": "deadline is 0.0. Set it to some seconds."}, "CWT-103"),
    ],
)
def test_a_host_whose_own_handshakes_are_missing_is_no_green_one(look: Info, identifier: str) -> None:
    info, plan = host("treated")
    found = _hops.result(HOST, plan, info, [{"item": "host", **look}], plan["traefik"]["document"])
    assert not found["ok"]
    (row,) = [row for row in found["rows"] if row["id"]]
    assert (row["id"], row["ok"]) == (identifier, False)
    assert look["msg"] in row["cause"]


def test_a_private_address_is_not_asked_from_outside_unless_the_user_says_so() -> None:
    info, plan = host("treated")
    for given in (False, True):
        looks = _targets.looks(plan, info, outside=["o"], addresses=["10.0.0.5"], addresses_given=given)
        asked = [target for view in looks["views"] for target in view["targets"] if "10.0.0.5" in target["url"]]
        assert bool(asked) is given


def test_who_was_refused_in_a_private_network_is_named_and_no_fault() -> None:
    info, plan = host("treated")
    info["managed"]["firewall"]["refused"] = ["203.0.113.9", "192.168.1.103", "fd00::7"]
    rows = [row for row in rows_of(info, plan) if row["id"] == "CWT-615"]
    assert [(row["hop"], row["seen"], row["ok"]) for row in rows] == [("firewall", "2 refused", None)]
    assert "192.168.1.103, fd00::7" in rows[0]["cause"]
    assert "203.0.113.9" not in rows[0]["cause"]
