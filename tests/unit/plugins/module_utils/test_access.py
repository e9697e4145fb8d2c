from __future__ import annotations

import copy
import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.selfhosted.coolify.plugins.module_utils.env import _pusher
from ansible_collections.selfhosted.coolify.plugins.module_utils.plan import _access, _browser, _domain

DOMAIN = "coolify.example.com"
TAILSCALE = {
    "interface": "tailscale0",
    "installed": True,
    "present": True,
    "up": True,
    "ipv4": "100.64.0.1",
    "ipv6": "fd7a:115c:a1e0::1",
    "backend_state": "Running",
}
NO_TAILSCALE = {
    "interface": "tailscale0",
    "installed": False,
    "present": False,
    "up": False,
    "ipv4": None,
    "ipv6": None,
    "backend_state": None,
}
TAILNET_TRUSTED = [
    {"source": "100.64.0.0/10", "interface": "tailscale0"},
    {"source": "fd7a:115c:a1e0::/48", "interface": "tailscale0"},
]


def router(name: str, entry: str, host: str = DOMAIN, **more: Any) -> dict[str, Any]:
    """One of Coolify's own for the page, as Traefik's API shows it."""
    rule, tls = f"Host(`{host}`)", "default" if entry == "https" else None
    found = {"name": name, "rule": rule, "entry_points": [entry], "priority": len(rule), "middlewares": [], "tls": tls}
    return {**found, "enabled": True, "leads": "page", **more}


ROUTERS = [router("coolify-http@file", "http"), router("coolify-https@file", "https")]
PRESENT = {"states": {"traefik": "present", "tunnel": "present"}}
WHOLE_TAILNET = {"source": None, "interface": "tailscale0"}


def host(scheme: str | None = "https", tunnel: bool = True, proxy: Any = "traefik", **changes: Any) -> dict[str, Any]:
    """What coolify_info says of a host; ``scheme`` None: no domain is set in Coolify."""
    proxy = proxy if isinstance(proxy, dict) else {"kind": proxy}
    facts: dict[str, Any] = {
        "docker": {"reachable": True, "version": "26.1.5", "error": None},
        "coolify": {"found": True, "version": "4.3.0"},
        "env_file": {"path": "/data/coolify/source/.env", "exists": True},
        "realtime": {"found": True},
        "ports": {"app": 6001, "terminal": 6002, "http": 8000},
        "proxy": {"version": "3.6.15", "state": "running", "routers": ROUTERS, **proxy},
        "domain": {"host": DOMAIN, "scheme": scheme, "source": "coolify.yaml"} if scheme else None,
        "managed": {
            "tunnel": {"path": "/etc/cloudflared/config.yml", "present": tunnel, "managed_by_coolify": False, "rules": ["some"]},
        },
    }
    facts.update(changes)
    return facts


# -- the guide's rule --------------------------------------------------------------------------------------------------

PLAIN = {"PUSHER_SCHEME": "http", "PUSHER_BACKEND_HOST": None, "PUSHER_BACKEND_PORT": None}
HTTPS = {"PUSHER_HOST": DOMAIN, "PUSHER_PORT": "443", **PLAIN}
HTTP = {"PUSHER_HOST": DOMAIN, "PUSHER_PORT": "80", **PLAIN}
TAILNET = {"PUSHER_HOST": "100.64.0.1", "PUSHER_PORT": "6001", **PLAIN}
DUAL = {"PUSHER_HOST": "", "PUSHER_PORT": "", **PLAIN}


@pytest.mark.parametrize(
    ("info", "tailscale", "choices", "mode", "environment"),
    [
        (host(), TAILSCALE, {}, "domain", HTTPS),
        (host(), NO_TAILSCALE, {}, "domain", HTTPS),
        (host(scheme=None), TAILSCALE, {}, "tailscale", TAILNET),
        (host(scheme=None), TAILSCALE, {"domain": None}, "tailscale", TAILNET),
        (host(scheme=None), TAILSCALE, {"domain": "Coolify.Example.COM"}, "domain", HTTPS),
        (host(scheme=None), NO_TAILSCALE, {"domain": DOMAIN}, "domain", HTTPS),
        (host(), TAILSCALE, {"access": "domain"}, "domain", HTTPS),
        (host(), TAILSCALE, {"access": "tailscale"}, "tailscale", TAILNET),
        (host(scheme=None), TAILSCALE, {"access": "tailscale"}, "tailscale", TAILNET),
        (host(), TAILSCALE, {"access": "dual"}, "dual", DUAL),
        (host(scheme="http", tunnel=False), TAILSCALE, {}, "domain", HTTP),
        (host(scheme="http", tunnel=True), TAILSCALE, {}, "domain", HTTPS),
        (host(scheme="http", tunnel=False), TAILSCALE, {"scheme": "https"}, "domain", HTTPS),
        (host(scheme="https", tunnel=True), TAILSCALE, {"scheme": "http"}, "domain", HTTP),
    ],
)
def test_who_comes_in_and_what_env_must_have(
    info: Any, tailscale: Any, choices: Any, mode: str, environment: dict[str, str | None]
) -> None:
    plan = _access.plan(info, tailscale, **choices)
    assert (plan["mode"], plan["pusher"]["environment"]) == (mode, environment)


def test_an_instance_of_several_names() -> None:
    others = ["Panel.Example.ORG", DOMAIN, "panel.example.org"]
    plan = _access.plan(host(), TAILSCALE, extra_domains=others)
    assert (plan["mode"], plan["domain"]["host"], plan["domain"]["extra"]) == ("domain", DOMAIN, ["panel.example.org"])
    # One address for all of them there is none: a browser goes to that of its page.
    assert plan["pusher"]["environment"] == DUAL
    assert plan["tunnel"]["extra_hostnames"] == ["panel.example.org"]
    proxy = {"kind": "traefik", "routers": [*ROUTERS, router("panel@docker", "https", "panel.example.org")]}
    document = _access.plan(host(proxy=proxy), TAILSCALE, extra_domains=others, **PRESENT)["traefik"]["document"]
    rules = [one["rule"].partition(" ")[0] for one in document["http"]["routers"].values()]
    assert rules == [f"Host(`{DOMAIN}`)"] * 4 + ["Host(`panel.example.org`)"] * 2
    assert _access.plan(host(), TAILSCALE, extra_domains=[DOMAIN]) == _access.plan(host(), TAILSCALE)


def test_names_beside_a_domain_that_a_mode_does_not_need_refuse_nothing() -> None:
    plan = _access.plan(host(scheme=None), TAILSCALE, access="tailscale", extra_domains=["panel.example.org"])
    assert (plan["mode"], plan["domain"]) == ("tailscale", None)


NAME = "coolify.tail1234.ts.net"
EVERYWHERE = {name: ["0.0.0.0", "::"] for name in ("app", "terminal", "http")}
LOOPBACK = {name: ["127.0.0.1"] for name in ("app", "terminal", "http")}


def serving(port: int = 443, https: bool = True, target: str = "http://127.0.0.1:8000", **changes: Any) -> dict[str, Any]:
    """What tailscale_info says of a host with `tailscale serve`."""
    one = {"name": NAME, "port": port, "https": https, "target": target}
    return {**TAILSCALE, "name": NAME, "userspace": False, "served": [one], **changes}


def told(port: str) -> dict[str, str | None]:
    return {"PUSHER_HOST": NAME, "PUSHER_PORT": port, "TERMINAL_PORT": port, **PLAIN}


@pytest.mark.parametrize(
    ("port", "https", "addresses", "url", "environment"),
    [
        # A page without a port goes to its own, and one at http://100.x:8000 to 6001 and 6002 of its address.
        (443, True, EVERYWHERE, f"https://{NAME}", DUAL),
        (80, False, EVERYWHERE, f"http://{NAME}", DUAL),
        (443, True, LOOPBACK, f"https://{NAME}", DUAL),
        # A page with one would go to 6001 and 6002 of the name, where nobody speaks TLS.
        (8443, True, EVERYWHERE, f"https://{NAME}:8443", told("8443")),
        (10000, True, EVERYWHERE, f"https://{NAME}:10000", told("10000")),
        (8443, False, EVERYWHERE, f"http://{NAME}:8443", DUAL),
        (8443, False, {**EVERYWHERE, "terminal": ["100.64.0.1"]}, f"http://{NAME}:8443", DUAL),
        (8443, False, LOOPBACK, f"http://{NAME}:8443", told("8443")),
        (8443, False, {**EVERYWHERE, "terminal": []}, f"http://{NAME}:8443", told("8443")),
    ],
)
def test_tailscale_serve_is_a_way_in_by_domain(port: int, https: bool, addresses: Any, url: str, environment: Any) -> None:
    """Field case P5: it was taken for 100.x:6001, which an https page cannot use."""
    plan = _access.plan(host(scheme=None, addresses=addresses), serving(port, https))
    assert (plan["mode"], plan["sides"], plan["served"]["url"]) == ("domain", ["served"], url)
    assert plan["pusher"]["environment"] == environment
    assert {hop: plan[hop]["wanted"] for hop in _access.HOPS} == {
        "pusher": True, "nginx": True, "self_heal": True, "traefik": False, "firewall": True, "tunnel": False,
    }  # fmt: skip
    assert (plan["domain"], plan["tailscale"]["ipv4"]) == (None, "100.64.0.1")
    assert url in plan["why"]
    assert "tailscale serve" in plan["why"]
    assert bool(plan["notes"]) == (environment != DUAL)


@pytest.mark.parametrize(
    "tailscale",
    [
        serving(target="http://localhost:8000"),
        serving(target="http://localhost:8000/"),
        serving(target="http://[::1]:8000"),
        serving(target="http://100.64.0.1:8000"),
        # tailscaled carries the connection to the page by itself.
        serving(present=False, up=False, ipv4=None, ipv6=None, userspace=True),
        serving(served=[*serving(target="http://127.0.0.1:3000")["served"], *serving(8443)["served"]]),
    ],
)
def test_what_serves_coolifys_page(tailscale: Any) -> None:
    info = host(scheme=None, addresses={**EVERYWHERE, "http": ["127.0.0.1", "100.64.0.1"]})
    assert _access.plan(info, tailscale)["sides"] == ["served"]


@pytest.mark.parametrize(
    "tailscale",
    [
        serving(served=[]),
        serving(served=None),
        {key: value for key, value in serving().items() if key != "served"},
        serving(target="http://127.0.0.1:3000"),
        serving(target="https://127.0.0.1:8000"),
        serving(target="http://127.0.0.1:8000/docs"),
        serving(target="http://192.0.2.7:8000"),
        serving(target="http://127.0.0.1:x"),
        serving(backend_state="Stopped"),
        serving(served=[{"name": "a b", "port": 443, "https": True, "target": "http://127.0.0.1:8000"}]),
    ],
)
def test_what_serves_something_else(tailscale: Any) -> None:
    plan = _access.plan(host(scheme=None, addresses=EVERYWHERE), tailscale)
    assert (plan["sides"], plan["served"], plan["pusher"]["environment"]) == (["tailscale"], None, TAILNET)


def test_of_several_served_ports_a_page_uses_the_one_that_needs_no_port() -> None:
    tailscale = serving(served=[*serving(80, False)["served"], *serving(8443)["served"], *serving(443)["served"]])
    assert _access.plan(host(scheme=None), tailscale)["served"]["url"] == f"https://{NAME}"


def test_a_domain_comes_before_what_tailscaled_serves() -> None:
    plan = _access.plan(host(), serving())
    assert (plan["sides"], plan["served"], plan["pusher"]["environment"]) == (["domain"], None, HTTPS)


@pytest.mark.parametrize("given", [{"domain": NAME.upper()}, {"access": "domain"}, {"domain": NAME, "access": "domain"}])
def test_the_served_name_given_as_the_domain(given: Any) -> None:
    """Nobody but the tailnet comes in by it, so that neither Traefik nor a look from outside is of use."""
    plan = _access.plan(host(scheme=None), serving(), **given)
    assert (plan["sides"], plan["domain"], plan["traefik"]["wanted"]) == (["served"], None, False)


def test_tailscale_chosen_where_tailscaled_serves() -> None:
    plan = _access.plan(host(scheme=None), serving(), access="tailscale")
    assert (plan["sides"], plan["served"], plan["pusher"]["environment"]) == (["tailscale"], None, TAILNET)
    assert f"https://{NAME}" in plan["notes"][0]
    assert "coolify_access: auto" in plan["notes"][0]


def test_dual_with_what_tailscaled_serves() -> None:
    plan = _access.plan(host(scheme=None), serving(), access="dual")
    assert (plan["sides"], plan["pusher"]["environment"]) == (["served", "tailscale"], DUAL)
    with pytest.raises(_domain.AccessError, match=r"coolify_access is dual.*:8443.*tailscale serve --bg --https=443 8000"):
        _access.plan(host(scheme=None), serving(8443), access="dual")


def test_a_port_that_is_served_no_longer_is_taken_out() -> None:
    values = {key: str(value) for key, value in told("8443").items() if value is not None}
    for place in ({"env_file": {"exists": True, "variables": values}}, {"coolify": {"found": True, "environment": values}}):
        gone = _access.plan(host(scheme=None, addresses=EVERYWHERE, **place), serving(served=[]))
        assert gone["pusher"]["environment"] == {**TAILNET, "TERMINAL_PORT": None}
        still = _access.plan(host(scheme=None, addresses=EVERYWHERE, **place), serving(8443))
        assert still["pusher"]["environment"] == told("8443")
    # A port of the user's own stays.
    own = host(scheme=None, env_file={"exists": True, "variables": {**values, "TERMINAL_PORT": "7002"}})
    assert "TERMINAL_PORT" not in _access.plan(own, serving())["pusher"]["environment"]


def test_userspace_networking_is_named() -> None:
    """Field case P7: it said to start tailscaled, which ran."""
    down = {**NO_TAILSCALE, "installed": True, "backend_state": "Running", "userspace": True}
    with pytest.raises(_domain.AccessError, match=r"--tun=userspace-networking.*tailscale serve --bg 8000") as refused:
        _access.plan(host(scheme=None), down)
    assert ": start tailscaled" not in str(refused.value)


def test_a_tunnel_that_coolify_manages_is_a_tunnel() -> None:
    info = host(scheme="http", tunnel=False)
    info["managed"]["tunnel"]["managed_by_coolify"] = True
    plan = _access.plan(info, TAILSCALE)
    assert plan["domain"]["scheme"] == "https"
    # … but it is not on this host that its list can be edited.
    assert not plan["tunnel"]["wanted"]


def test_an_instance_url_of_http_behind_a_tunnel() -> None:
    """Field case P1: PUSHER_PORT was 80, and the page https."""
    plan = _access.plan(host(scheme="http", tunnel=True), TAILSCALE)
    assert (plan["domain"]["scheme"], plan["pusher"]["environment"]) == ("https", HTTPS)


def test_sides() -> None:
    assert _access.plan(host(), TAILSCALE)["sides"] == ["domain"]
    assert _access.plan(host(scheme=None), TAILSCALE)["sides"] == ["tailscale"]
    assert _access.plan(host(), TAILSCALE, access="dual")["sides"] == ["domain", "tailscale"]


def test_ipv6_only_tailnet_is_written_as_a_browser_takes_it() -> None:
    plan = _access.plan(host(scheme=None), {**TAILSCALE, "ipv4": None})
    assert plan["pusher"]["environment"]["PUSHER_HOST"] == "[fd7a:115c:a1e0::1]"


def test_the_tailnets_name_where_the_user_wants_it() -> None:
    info, tailscale = host(scheme=None), {**TAILSCALE, "name": "coolify.tail1234.ts.net"}
    assert _access.plan(info, tailscale)["pusher"]["environment"]["PUSHER_HOST"] == "100.64.0.1"
    named = _access.plan(info, tailscale, tailscale_name=True)
    assert named["pusher"]["environment"]["PUSHER_HOST"] == "coolify.tail1234.ts.net"
    assert named["tailscale"]["ipv4"] == "100.64.0.1"
    with pytest.raises(_domain.AccessError, match=r"coolify_access_tailscale_name .* MagicDNS"):
        _access.plan(info, TAILSCALE, tailscale_name=True)


def test_ports_are_the_published_ones() -> None:
    plan = _access.plan(host(scheme="https", ports={"app": 6101, "terminal": 6102, "http": 8100}), TAILSCALE, access="tailscale")
    assert plan["pusher"]["environment"]["PUSHER_PORT"] == "6101"
    assert plan["firewall"]["ports"] == [6101, 6102]
    assert plan["tunnel"]["rules"] == [
        {"path": "^/terminal/ws$", "service": "http://127.0.0.1:6102"},
        {"path": "^/apps?/", "service": "http://127.0.0.1:6101"},
    ]
    # The ports inside the container are fixed.


@pytest.mark.parametrize(
    ("tunnel", "chosen", "wanted", "by_hand", "give_back"),
    [
        ({}, {}, True, False, False),
        ({"rules": []}, {}, False, False, True),
        ({"rules": [], "error": "line 1"}, {}, True, False, False),
        ({"rules": [], "by_hand": "a tab"}, {}, True, False, False),
        ({}, {"tunnel_manage": False}, False, True, False),
        ({}, {"tunnel_manage": False, "state": "absent"}, False, False, True),
        ({}, {"states": {"tunnel": "absent"}}, False, False, True),
        ({"present": False}, {}, False, False, False),
        ({"present": False, "managed_by_coolify": True}, {}, False, True, False),
    ],
)
def test_what_is_done_with_the_tunnels_list(
    tunnel: dict[str, Any], chosen: dict[str, Any], wanted: bool, by_hand: bool, give_back: bool
) -> None:
    info = host()
    info["managed"]["tunnel"].update(tunnel)
    found = _access.plan(info, TAILSCALE, domain="coolify.example.com", **chosen)["tunnel"]
    assert (found["wanted"], found["by_hand"], found["give_back"]) == (wanted, by_hand, give_back)
    assert bool(found["why"]) != wanted


REMOTE = {"tunnel_id": "f70ff985-a4ef-4643-bbbc-4a0ed4fc8415"}
CONNECTOR = {"kind": "unit", "name": "cloudflared.service", "running": True, "remote": True, "path": None, "counts": True}
IDS = {"account": "023e105f4ecef8ad9ca31a8372d0c353", "tunnel": "f70ff985-a4ef-4643-bbbc-4a0ed4fc8415"}


@pytest.mark.parametrize(
    ("connectors", "chosen", "found"),
    [
        ([{**CONNECTOR, **IDS}], "auto", ("present", IDS["tunnel"], IDS["account"])),
        ([{**CONNECTOR, **IDS}, {**CONNECTOR, **IDS}], "auto", ("present", IDS["tunnel"], IDS["account"])),
        ([{**CONNECTOR, **IDS}], IDS["tunnel"].upper(), ("present", IDS["tunnel"].upper(), IDS["account"])),
        # Another tunnel than the connector's: its account is not known from that.
        ([{**CONNECTOR, **IDS}], "0" * 36, ("present", "0" * 36, "")),
        ([{**CONNECTOR, "account": None, "tunnel": None}], "auto", ("", "", "")),
        ([{**CONNECTOR, **IDS}, {**CONNECTOR, **IDS, "tunnel": "0" * 36}], "auto", ("", "", "")),
        ([{**CONNECTOR, **IDS}], "", ("", "", "")),
    ],
)
def test_ids_from_the_connectors_token(connectors: Any, chosen: str, found: Any) -> None:
    info = host()
    info["managed"]["tunnel"].update(present=False, remote=True, connectors=connectors)
    part = _access.plan(info, TAILSCALE, tunnel_id=chosen)["tunnel"]
    assert (part["remote"], part["tunnel_id"], part["account_id"]) == found
    # What cannot be done from here is said.
    assert part["by_hand"] is (part["remote"] == "")


def test_a_list_on_the_host_stays_the_one_that_counts_with_auto() -> None:
    assert _access.plan(host(), TAILSCALE, tunnel_id="auto") == _access.plan(host(), TAILSCALE)


@pytest.mark.parametrize(
    ("tunnel", "chosen", "remote", "by_hand", "give_back"),
    [
        ({"present": False}, {}, "present", False, False),
        ({"present": False, "managed_by_coolify": True}, {}, "present", False, False),
        # A file beside it is not what the connector takes: what was put into it goes.
        ({}, {}, "present", False, True),
        ({"present": False}, {"tunnel_manage": False}, "", True, False),
        ({"present": False}, {"state": "absent"}, "absent", False, False),
        ({"present": False}, {"states": {"tunnel": "absent"}}, "absent", False, False),
    ],
)
def test_what_is_done_with_a_list_that_cloudflare_keeps(
    tunnel: dict[str, Any], chosen: dict[str, Any], remote: str, by_hand: bool, give_back: bool
) -> None:
    info = host(scheme="http")
    info["managed"]["tunnel"].update(tunnel)
    plan = _access.plan(info, TAILSCALE, domain=DOMAIN, **REMOTE, **chosen)
    found = plan["tunnel"]
    assert (found["remote"], found["by_hand"], found["give_back"]) == (remote, by_hand, give_back)
    assert not found["wanted"]
    assert found["hostname"] == DOMAIN
    assert plan["domain"]["scheme"] == "https"


def test_a_host_without_a_domain_or_a_port_needs_nothing_of_cloudflares_list() -> None:
    for info in (host(scheme=None), host(ports={"app": None, "terminal": None, "http": 8000})):
        assert _access.plan(info, TAILSCALE, **REMOTE)["tunnel"]["remote"] == ""


def test_the_tunnels_rules_name_the_address_that_is_bound() -> None:
    """Field case P3: they said localhost."""
    info = host(addresses={"app": ["100.64.0.1"], "terminal": ["::", "0.0.0.0"]})
    rules = _access.plan(info, TAILSCALE, domain="coolify.example.com")["tunnel"]["rules"]
    assert [rule["service"] for rule in rules] == ["http://127.0.0.1:6002", "http://100.64.0.1:6001"]


def test_ports_of_a_realtime_container_that_is_being_re_created() -> None:
    info = host(realtime={"found": False}, ports={"app": None, "terminal": None, "http": 8000})
    assert _access.plan(info, TAILSCALE)["firewall"]["ports"] == [6001, 6002]


def test_every_port_that_a_server_is_published_at_is_guarded() -> None:
    info = host(published={"app": [6001, 16001], "terminal": [6002], "http": [8000, 18000]})
    plan = _access.plan(info, TAILSCALE)
    assert (plan["firewall"]["ports"], plan["firewall"]["container_ports"]) == ([6001, 16001, 6002], [6001, 6002])


def test_a_port_that_is_not_published_is_not_ours() -> None:
    info = host(ports={"app": 6001, "terminal": None, "http": 8000})
    plan = _access.plan(info, TAILSCALE)
    assert plan["firewall"]["ports"] == [6001]
    assert [rule["service"] for rule in plan["tunnel"]["rules"]] == ["http://127.0.0.1:6001"]


@pytest.mark.parametrize(
    ("tailscale", "extra", "expected"),
    [
        (TAILSCALE, [], TAILNET_TRUSTED),
        (NO_TAILSCALE, [], []),
        # A moment's outage does not lock the tailnet out.
        ({**NO_TAILSCALE, "installed": True}, [], TAILNET_TRUSTED),
        (
            TAILSCALE,
            ["192.0.2.7", {"source": "2001:db8::/32", "interface": "eth1"}, {"interface": "wg0"}, "100.64.0.0/10"],
            [
                *TAILNET_TRUSTED,
                {"source": "100.64.0.0/10", "interface": None},
                {"source": "192.0.2.7/32", "interface": None},
                {"source": "2001:db8::/32", "interface": "eth1"},
                {"source": None, "interface": "wg0"},
            ],
        ),
        (TAILSCALE, [TAILNET_TRUSTED[0]], TAILNET_TRUSTED),
        # A tailnet with prefixes of its own, of which nothing tells the length (fact 59).
        ({**TAILSCALE, "ipv4": "10.4.0.2"}, [], [WHOLE_TAILNET]),
        ({**TAILSCALE, "ipv6": "fd00:4::2"}, [], [WHOLE_TAILNET]),
        ({**TAILSCALE, "ipv4": None}, [], TAILNET_TRUSTED),
        ({**TAILSCALE, "interface": "ts0"}, [], [{**entry, "interface": "ts0"} for entry in TAILNET_TRUSTED]),
    ],
)
def test_trusted(tailscale: Any, extra: list[Any], expected: list[dict[str, str | None]]) -> None:
    """Field case P6 is the tailnet with prefixes of its own: every peer was locked out."""

    def in_any_order(entries: list[dict[str, str | None]]) -> list[str]:
        return sorted(json.dumps(entry, sort_keys=True) for entry in entries)

    found = _access.plan(host(), tailscale, trusted=extra)["firewall"]["trusted"]
    assert in_any_order(found) == in_any_order(expected)


def test_an_outage_keeps_what_the_table_trusts_of_a_tailnet_with_prefixes_of_its_own() -> None:
    info = host()
    info["managed"]["firewall"] = {"rules": ['decide: iifname "tailscale0" accept']}
    down = {**NO_TAILSCALE, "installed": True}
    assert _access.plan(info, down)["firewall"]["trusted"] == [WHOLE_TAILNET]
    assert _access.plan(info, TAILSCALE)["firewall"]["trusted"] == TAILNET_TRUSTED


@pytest.mark.parametrize(
    ("proxy", "scheme", "wanted"),
    [("traefik", "https", True), ("caddy", "https", False), ("none", "https", False), ("traefik", None, False)],
)
def test_traefik_is_written_where_it_runs_and_a_domain_is_known(proxy: str, scheme: str | None, wanted: bool) -> None:
    traefik = _access.plan(host(scheme=scheme, proxy=proxy), TAILSCALE, **PRESENT)["traefik"]
    assert traefik["wanted"] is wanted
    assert (traefik["document"] is not None) is wanted
    assert traefik["give_back"] is not wanted
    assert traefik["path"] == "/data/coolify/proxy/dynamic/coolify-websocket.yaml"


GUARDED = [router("coolify-https@file", "https", leads="")]


@pytest.mark.parametrize(
    ("proxy", "chosen", "give_back", "why"),
    [
        ({}, {}, True, "Not needed"),
        ({}, {"nginx": "absent"}, False, "coolify_nginx_state is absent"),
        ({}, {"traefik": "absent"}, True, "coolify_traefik_state is absent"),
        ({"routers": None}, {"traefik": "present"}, True, "its API does not answer"),
        ({"routers": GUARDED}, {"traefik": "present"}, True, "coolify-https@file does not lead to Coolify's page itself"),
    ],
)
def test_nothing_is_written_where_nothing_is_needed_or_not_all_is_known(
    proxy: dict[str, Any], chosen: dict[str, str], give_back: bool, why: str
) -> None:
    traefik = _access.plan(host(proxy={"kind": "traefik", **proxy}), TAILSCALE, states=chosen)["traefik"]
    assert (traefik["wanted"], traefik["document"], traefik["give_back"]) == (False, None, give_back)
    assert why in traefik["why"]


@pytest.mark.parametrize(
    ("proxy", "scheme", "tunnel", "chosen", "ways"),
    [
        ({}, "https", False, "auto", [f"https://{DOMAIN}"]),
        ({"routers": ROUTERS[:1]}, "https", False, "auto", [f"http://{DOMAIN}"]),
        ({"routers": ROUTERS[:1], "ports": {"http": 5080, "https": 5443}}, "http", True, "auto", [f"http://{DOMAIN}:5080"]),
        # Field case G12: what is no way in, or not one that is known to be one, is not looked at.
        ({"routers": []}, "https", False, "auto", []),
        ({"routers": None}, "https", True, "auto", []),
        ({"routers": None}, "http", False, "auto", [f"http://{DOMAIN}"]),
        ({}, "https", False, "absent", []),
        ({"kind": "caddy"}, "https", True, "absent", [f"https://{DOMAIN}"]),
        ({"kind": "none"}, "https", False, "auto", []),
    ],
)
def test_where_the_proxy_answers_for_the_page(
    proxy: dict[str, Any], scheme: str, tunnel: bool, chosen: str, ways: list[str]
) -> None:
    info = host(scheme, tunnel, {"kind": "traefik", **proxy})
    assert _access.plan(info, TAILSCALE, states={"traefik": chosen})["traefik"]["ways"] == ways


def test_auto_is_taken_back_with_all_else() -> None:
    plan = _access.plan(host(), TAILSCALE, state="absent", states={"traefik": "auto", "tunnel": "auto"})
    assert [plan[hop]["why"] for hop in _access.OUTER] == ["coolify_traefik_state is absent.", "coolify_tunnel_state is absent."]


def test_traefik_of_an_unknown_version_is_taken_as_it_is() -> None:
    assert _access.plan(host(proxy={"kind": "traefik", "version": None}), TAILSCALE, **PRESENT)["traefik"]["wanted"]


def test_an_old_traefik_is_in_nobodys_way_where_it_gets_no_routes() -> None:
    old = {"kind": "traefik", "version": "3.0.4"}
    for state in ("absent", "auto"):
        plan = _access.plan(host(proxy=old), TAILSCALE, states={"traefik": state})
        assert (plan["mode"], plan["traefik"]["wanted"]) == ("domain", False)
    assert _access.plan(host(proxy=old, scheme=None), TAILSCALE, **PRESENT)["mode"] == "tailscale"


def test_a_last_slash_of_the_folder_is_nothing() -> None:
    plan = _access.plan(host(), TAILSCALE, data_path="/srv/coolify/")
    assert plan["traefik"]["path"] == "/srv/coolify/proxy/dynamic/coolify-websocket.yaml"


def test_a_number_that_the_command_line_gave_as_text() -> None:
    assert _access.plan(host(), TAILSCALE, nginx={"read_timeout": "3600"})["mode"] == "domain"


def test_a_host_that_publishes_neither_port_has_nothing_to_close_and_nothing_for_the_tunnels_list() -> None:
    """Field case P4."""
    plan = _access.plan(host(ports={"app": None, "terminal": None, "http": 8000}), TAILSCALE)
    assert (plan["firewall"]["wanted"], plan["firewall"]["ports"]) == (False, [])
    assert "neither port" in plan["firewall"]["why"]
    assert not plan["tunnel"]["wanted"]


@pytest.mark.parametrize("version", [None, "latest", "next", "nonsense"])
def test_a_version_that_cannot_be_read_is_no_refusal(version: str | None) -> None:
    """Field case P9, fact 52."""
    assert _access.plan(host(coolify={"found": True, "version": version}), TAILSCALE)["mode"] == "domain"


def test_a_bundled_host_that_publishes_elsewhere() -> None:
    """Field case P12: REVERB_PORT=7001."""
    info = host(scheme=None, layout="bundled", ports={"app": 7001, "terminal": 6002, "http": 8000})
    plan = _access.plan(info, TAILSCALE)
    assert plan["pusher"]["environment"]["PUSHER_PORT"] == "7001"
    assert (plan["firewall"]["ports"], plan["firewall"]["container_ports"]) == ([7001, 6002], [6001, 6002])


@pytest.mark.parametrize("access", ["domain", "tailscale", "dual"])
def test_what_compose_adds_to_a_bundled_container_is_no_difference(access: str) -> None:
    """Field cases P10 and P11, fact 38."""
    plan = _access.plan(host(layout="bundled"), TAILSCALE, access=access)
    running = {key: value for key, value in plan["pusher"]["environment"].items() if value is not None}
    assert _pusher.differing(plan["pusher"]["environment"], running) == []
    assert _pusher.differing(plan["pusher"]["environment"], {**running, "PUSHER_BACKEND_PORT": "6001"}) == []
    moved = {**running, "PUSHER_BACKEND_PORT": "443"}
    assert _pusher.differing(plan["pusher"]["environment"], moved) == ["PUSHER_BACKEND_PORT"]


@pytest.mark.parametrize("own", ["my_coolify.example.com", "cöolify.example.com", "*.example.com"])
def test_a_domain_that_a_mode_does_not_need_refuses_nothing(own: str) -> None:
    """Field case P8."""
    info = host(domain={"host": own, "scheme": "https", "source": "/x/coolify.yaml"})
    plan = _access.plan(info, TAILSCALE, access="tailscale")
    assert (plan["mode"], plan["domain"], plan["traefik"]["wanted"]) == ("tailscale", None, False)
    assert own in plan["notes"][0]
    with pytest.raises(_domain.AccessError, match=r"/x/coolify\.yaml"):
        _access.plan(info, TAILSCALE)


def test_an_old_traefik_refuses_no_tailnet() -> None:
    info = host(proxy={"kind": "traefik", "version": "2.10.7"})
    plan = _access.plan(info, TAILSCALE, access="tailscale", **PRESENT)
    assert (plan["traefik"]["wanted"], plan["traefik"]["document"]) == (False, None)
    assert "2.10.7" in plan["traefik"]["why"]


def test_every_hop_is_wanted_or_says_why_not() -> None:
    plan = _access.plan(host(), TAILSCALE, **PRESENT)
    assert {hop: plan[hop]["wanted"] for hop in _access.HOPS} == dict.fromkeys(_access.HOPS, True)
    gone = _access.plan(host(), TAILSCALE, states=dict.fromkeys(_access.HOPS, "absent"))
    assert all(not gone[hop]["wanted"] and f"coolify_{hop}_state" in gone[hop]["why"] for hop in _access.HOPS)


@pytest.mark.parametrize(
    ("seen", "choices", "settled"),
    [
        ({"current": True, "loaded": True, "foreign": []}, {}, True),
        ({"current": True, "loaded": True, "foreign": [{"served": True}, {"served": None}]}, {}, True),
        ({"current": True, "loaded": True, "foreign": [{"served": False}]}, {}, False),
        ({"current": True, "loaded": False, "foreign": []}, {}, False),
        ({"current": True, "loaded": None, "foreign": []}, {}, False),
        ({"current": False, "loaded": True, "foreign": []}, {}, False),
        ({"current": None, "loaded": None, "foreign": [], "error": "not rendered"}, {}, False),
        ({}, {}, False),
        ({"current": True, "loaded": True, "foreign": []}, {"states": {"nginx": "absent"}}, False),
    ],
)
def test_routes_that_the_look_has_seen_at_work_are_settled(seen: dict[str, Any], choices: dict[str, Any], settled: bool) -> None:
    info = host()
    info["managed"]["nginx"] = seen
    assert _access.plan(info, NO_TAILSCALE, **choices)["nginx"]["settled"] is settled


def test_without_routes_there_is_nothing_to_keep() -> None:
    """Field case V2: the service would put the routes back."""
    plan = _access.plan(host(), TAILSCALE, states={"nginx": "absent", "self_heal": "present"})
    assert (plan["nginx"]["wanted"], plan["self_heal"]["wanted"]) == (False, False)
    assert "coolify_nginx_state" in plan["self_heal"]["why"]


def test_a_hop_that_stays_while_all_else_goes() -> None:
    plan = _access.plan(host(), TAILSCALE, state="absent", states={"firewall": "present"})
    assert (plan["firewall"]["wanted"], plan["nginx"]["wanted"]) == (True, False)


@pytest.mark.parametrize("hop", _access.HOPS)
def test_a_state_that_is_none(hop: str) -> None:
    with pytest.raises(_domain.AccessError, match=f"coolify_{hop}_state.*present, absent"):
        _access.plan(host(), TAILSCALE, states={hop: "off"})


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("info", "tailscale", "choices", "words"),
    [
        (
            host(docker={"reachable": False, "error": "No such file"}),
            TAILSCALE,
            {},
            ["Docker", "No such file", "systemctl start docker"],
        ),
        (
            host(docker={"reachable": True, "version": "19.03.15"}),
            TAILSCALE,
            {},
            ["Docker 19.03.15", "20.10", "Upgrade"],
        ),
        (host(coolify={"found": False}), TAILSCALE, {}, ["container named coolify", "Install Coolify"]),
        (
            host(coolify={"found": True, "version": "4.0.0-beta.425"}),
            TAILSCALE,
            {},
            ["4.0.0-beta.425", "4.0.0-beta.426", "Update"],
        ),
        (
            host(scheme=None),
            NO_TAILSCALE,
            {},
            ["neither a domain nor Tailscale", "coolify_domain", "install Tailscale"],
        ),
        (host(scheme=None), {**NO_TAILSCALE, "installed": True}, {}, ["coolify_domain", "start tailscaled"]),
        (host(scheme=None), {**TAILSCALE, "up": False}, {}, ["tailscale0", "tailscale up"]),
        (
            host(scheme=None),
            {**TAILSCALE, "ipv4": None, "ipv6": None, "backend_state": "NeedsLogin"},
            {},
            ["not logged in", "tailscale up"],
        ),
        (
            host(scheme=None),
            {**TAILSCALE, "ipv4": None, "ipv6": None, "backend_state": "Stopped"},
            {},
            ["stopped", "tailscale up"],
        ),
        (host(scheme=None), TAILSCALE, {"access": "domain"}, ["coolify_access is domain", "coolify_domain"]),
        (host(scheme=None), TAILSCALE, {"access": "dual"}, ["coolify_access is dual", "coolify_domain"]),
        (host(), NO_TAILSCALE, {"access": "tailscale"}, ["coolify_access is tailscale", "install Tailscale"]),
        (host(), NO_TAILSCALE, {"access": "dual"}, ["coolify_access is dual", "install Tailscale"]),
        (host(), TAILSCALE, {"extra_domains": "a.b"}, ["coolify_access_extra_domains", "'a.b'", "list"]),
        (host(), TAILSCALE, {"extra_domains": ["https://a.b"]}, ["coolify_access_extra_domains", "scheme in it"]),
        (host(), TAILSCALE, {"extra_domains": [7]}, ["coolify_access_extra_domains", "7"]),
        (host(scheme=None), TAILSCALE, {"extra_domains": ["a.b"]}, ["coolify_access_extra_domains", "set coolify_domain"]),
        (host(), TAILSCALE, {"access": "vpn"}, ["coolify_access", "vpn", "auto, domain, tailscale, dual"]),
        (host(), TAILSCALE, {"access": None}, ["coolify_access", "auto, domain, tailscale, dual"]),
        (host(), TAILSCALE, {"scheme": "wss"}, ["coolify_access_scheme", "wss", "auto, https, http"]),
        (host(), TAILSCALE, {"states": {"traefik": "maybe"}}, ["coolify_traefik_state", "maybe", "present, absent, auto"]),
        (host(), TAILSCALE, {"states": {"nginx": "auto"}}, ["coolify_nginx_state", "auto", "present, absent"]),
        (host(), TAILSCALE, {"trusted": ["everybody"]}, ["coolify_firewall_trusted", "everybody"]),
        (host(), TAILSCALE, {"trusted": "192.0.2.0/24"}, ["coolify_firewall_trusted", "list"]),
        (host(), TAILSCALE, {"trusted": [{"cidr": "192.0.2.0/24"}]}, ["coolify_firewall_trusted", "cidr", "source"]),
        (host(), TAILSCALE, {"trusted": [{"interface": "a b"}]}, ["coolify_firewall_trusted", "a b"]),
        (host(), TAILSCALE, {"trusted": [7]}, ["coolify_firewall_trusted", "7"]),
        (host(), TAILSCALE, {"state": "gone"}, ["coolify_state", "gone", "present, absent"]),
        (
            host(env_file={"path": "/srv/source/.env", "exists": False}),
            TAILSCALE,
            {},
            ["/srv/source/.env", "coolify_data_path", "backup"],
        ),
        (host(), TAILSCALE, {"data_path": "data/coolify"}, ["coolify_data_path", "data/coolify", "absolute"]),
        (host(), TAILSCALE, {"nginx": {"resolver": "127.0.0.11; x"}}, ["coolify_nginx_resolver", "'127.0.0.11;'", "IP address"]),
        (host(), TAILSCALE, {"nginx": {"read_timeout": 0}}, ["coolify_nginx_read_timeout", "seconds"]),
        (host(), TAILSCALE, {"nginx": {"read_timeout": "1h"}}, ["coolify_nginx_read_timeout", "1h", "seconds"]),
        (
            host(proxy={"kind": "traefik", "version": "2.10.7"}),
            TAILSCALE,
            PRESENT,
            ["Traefik 2.10.7", "3.1", "Update", "coolify_traefik_state"],
        ),
        (
            host(domain={"host": "my_coolify.example.com", "scheme": "https", "source": "/x/coolify.yaml"}),
            TAILSCALE,
            {},
            ["/x/coolify.yaml", "coolify_domain"],
        ),
    ],
)
def test_what_cannot_work_is_refused_with_the_remedy(info: Any, tailscale: Any, choices: Any, words: list[str]) -> None:
    with pytest.raises(_domain.AccessError) as refused:
        _access.plan(info, tailscale, **choices)
    message = str(refused.value)
    assert [word for word in words if word not in message] == []
    assert "\n" not in message


BAD_DOMAINS = {
    "https://coolify.example.com": "scheme",
    "wss://coolify.example.com": "scheme",
    "coolify.example.com/": "path",
    "coolify.example.com/terminal": "path",
    "coolify.example.com?x": "path",
    "coolify.example.com#x": "path",
    "coolify.example.com:443": "port",
    "203.0.113.7": "address",
    "203.0.113.7:8000": "port",
    "[2001:db8::1]": "address",
    "2001:db8::1": "address",
    "coolify.example .com": "blank",
    " coolify.example.com": "blank",
    "coolify.example.com ": "blank",
    "coolify.example.com\n": "control character",
    "coolify\t.example.com": "control character",
    "coolify.example.com\x00": "control character",
    "coolify.example.com\x7f": "control character",
    "coolify..example.com": "empty label",
    ".example.com": "empty label",
    "..": "empty label",
    "coolify.example.com.": "dot",
    "a" * 64 + ".example.com": "63",
    ".".join(["abcdefg"] * 32): "253",
    "my_coolify.example.com": "underscore",
    "_dmarc.example.com": "underscore",
    "-coolify.example.com": "hyphen",
    "coolify-.example.com": "hyphen",
    "*.example.com": "wildcard",
    "coolify.bücher.example": "coolify.xn--bcher-kva.example",
    "user@coolify.example.com": "user name",
    "coolify.example.com`) || Host(`evil": "blank",
    "a`b.example.com": "hyphen",
    "a$b.example.com": "hyphen",
    'a"b': "hyphen",
    "": "empty label",
}


@pytest.mark.parametrize("value", BAD_DOMAINS)
def test_bad_domain(value: str) -> None:
    with pytest.raises(_domain.AccessError, match=r"^coolify_domain ") as refused:
        _domain.validate_domain(value)
    assert BAD_DOMAINS[value] in str(refused.value)


@pytest.mark.parametrize("value", [7, ["coolify.example.com"], {"host": "x"}, True])
def test_domain_that_is_no_text(value: Any) -> None:
    with pytest.raises(_domain.AccessError, match=r"coolify_domain .* is not text"):
        _domain.validate_domain(value)


@pytest.mark.parametrize(
    "value",
    [
        "coolify.example.com",
        "a",
        "x.y",
        "a-b.c--d.example",
        "1.example",
        "coolify.xn--bcher-kva.example",
        "a" * 63 + ".example",
    ],
)
def test_good_domain(value: str) -> None:
    assert _domain.validate_domain(value) == value
    assert _domain.validate_domain(value.upper()) == value


# -- taking it back ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("info", [host(), host(scheme=None), host(docker={"reachable": False}, coolify={"found": False}), {}])
@pytest.mark.parametrize("tailscale", [TAILSCALE, NO_TAILSCALE, {}])
@pytest.mark.parametrize("domain", ["", DOMAIN, "https://wrong/"])
def test_taking_it_back_needs_nothing(info: Any, tailscale: Any, domain: str) -> None:
    plan = _access.plan(info, tailscale, domain=domain, state="absent")
    assert plan["traefik"]["path"] == "/data/coolify/proxy/dynamic/coolify-websocket.yaml"
    assert set(plan) == set(_access.plan(host(), TAILSCALE))


# -- properties --------------------------------------------------------------------------------------------------------

_names = st.text(string.ascii_lowercase + string.digits + "-_.A:/ \n*ü", max_size=20)
_ports = st.none() | st.integers(1, 65535)
_versions = st.sampled_from(["4.0.0-beta.425", "4.0.0-beta.426", "4.3.0", "4.4-rc.1", None, "?"])
_infos = st.fixed_dictionaries(
    {
        "docker": st.fixed_dictionaries(
            {"reachable": st.booleans(), "version": st.sampled_from(["19.03.1", "20.10.24+dfsg1", "29.0.0", None])}
        )
        | st.just({"reachable": True, "version": "26.1.5"}),
        "coolify": st.fixed_dictionaries({"found": st.booleans(), "version": _versions})
        | st.just({"found": True, "version": "4.3.0"}),
        "realtime": st.fixed_dictionaries({"found": st.booleans()}),
        "ports": st.fixed_dictionaries({"app": _ports, "terminal": _ports, "http": _ports}),
        "proxy": st.fixed_dictionaries(
            {"kind": st.sampled_from(["traefik", "caddy", "none"]), "routers": st.sampled_from([None, [], ROUTERS])}
        ),
        "domain": st.none()
        | st.fixed_dictionaries(
            {"host": st.just(DOMAIN) | _names, "scheme": st.sampled_from(["http", "https"]), "source": st.just("x")}
        ),
        "managed": st.fixed_dictionaries(
            {
                "tunnel": st.fixed_dictionaries(
                    {"present": st.booleans(), "managed_by_coolify": st.booleans(), "path": st.just("/x")}
                )
            }
        ),
    }
)
_tailscales = st.just(TAILSCALE) | st.fixed_dictionaries(
    {
        "interface": st.just("tailscale0"),
        "installed": st.booleans(),
        "present": st.booleans(),
        "up": st.booleans(),
        "ipv4": st.sampled_from([None, "100.64.0.1"]),
        "ipv6": st.sampled_from([None, "fd7a:115c:a1e0::1"]),
        "name": st.sampled_from([None, "coolify.tail1234.ts.net"]),
        "backend_state": st.sampled_from([None, "Running", "NeedsLogin", "Stopped"]),
        "served": st.none()
        | st.lists(
            st.fixed_dictionaries(
                {
                    "name": st.just(NAME) | _names,
                    "port": st.sampled_from([80, 443, 8443]),
                    "https": st.booleans(),
                    "target": st.sampled_from(["http://127.0.0.1:8000", "http://localhost:1", "http://[", "x"]),
                }
            )
        ),
    }
)
_OUTER = st.sampled_from(["auto", "present", "absent"])
_choices = st.fixed_dictionaries(
    {},
    optional={
        "access": st.sampled_from([*_access.MODES, "vpn"]),
        "domain": st.just("") | st.just(DOMAIN) | _names,
        "scheme": st.sampled_from([*_access.SCHEMES, "ftp"]),
        "trusted": st.lists(st.sampled_from(["192.0.2.0/24", {"source": "::1"}, {"interface": "eth1"}, "x", {}]), max_size=3),
        "states": st.fixed_dictionaries({"traefik": _OUTER, "tunnel": _OUTER}),
        "state": st.sampled_from(["present", "absent"]),
        "tailscale_name": st.booleans(),
    },
)


def _plan_or_refusal(info: Any, tailscale: Any, choices: Any) -> dict[str, Any] | str:
    try:
        return _access.plan(info, tailscale, **choices)
    except _domain.AccessError as error:
        return str(error)


@given(_infos, _tailscales, _choices)
def test_plan_is_total_pure_and_consistent(info: Any, tailscale: Any, choices: Any) -> None:
    before = copy.deepcopy((info, tailscale, choices))
    outcome = _plan_or_refusal(info, tailscale, choices)
    assert (info, tailscale, choices) == before
    assert _plan_or_refusal(info, tailscale, choices) == outcome
    if isinstance(outcome, str):
        assert choices.get("state") != "absent"
        assert outcome.endswith(".")
        return

    json.dumps(outcome)
    environment, mode = outcome["pusher"]["environment"], outcome["mode"]
    assert set(environment) - {"TERMINAL_PORT"} == set(HTTPS)
    # The backend's own call is left alone, whoever comes in (fact 42).
    assert {key: environment[key] for key in PLAIN} == PLAIN
    # Nothing of a value can end a line of .env, or be read as more than text.
    for value in environment.values():
        assert value is None or all(character.isalnum() or character in ".-:[]" for character in value)
    if mode == "dual":
        assert environment["PUSHER_HOST"] == ""
        assert environment["PUSHER_PORT"] == ""
    for side in outcome["sides"]:
        assert outcome[side] is not None
    if mode is None:
        assert choices["state"] == "absent"
    assert outcome["tunnel"]["wanted"] <= bool(outcome["tunnel"]["hostname"])
    assert outcome["traefik"]["wanted"] == (outcome["traefik"]["document"] is not None)
    assert outcome["why"].endswith(".")


@given(st.text(max_size=40) | _names)
def test_a_domain_that_is_taken_is_a_host_name(value: str) -> None:
    try:
        name = _domain.validate_domain(value)
    except _domain.AccessError as error:
        refusal: str | None = str(error)
    else:
        refusal = None
    if refusal is not None:
        # One line, whatever the value was.
        assert len(refusal.splitlines()) == 1
        return
    assert name == value.lower()
    assert name.encode("idna").decode("ascii") == name
    assert set(name) <= set(string.ascii_lowercase + string.digits + "-.")


# -- in words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "values", "sockets"),
    [
        ("https://c.example/", {}, ("wss://c.example/terminal/ws", "wss://c.example/app/")),
        ("http://c.example/", {}, ("ws://c.example/terminal/ws", "ws://c.example/app/")),
        ("http://100.64.0.1:8000/", {}, ("ws://100.64.0.1:6002/terminal/ws", "ws://100.64.0.1:6001/app/")),
        ("http://[fd00::1]:8000/", {}, ("ws://[fd00::1]:6002/terminal/ws", "ws://[fd00::1]:6001/app/")),
        ("https://n.ts.net:8443/", {}, ("wss://n.ts.net:6002/terminal/ws", "wss://n.ts.net:6001/app/")),
        (
            "https://n.ts.net:8443/",
            {"PUSHER_HOST": "n.ts.net", "PUSHER_PORT": "8443", "TERMINAL_PORT": "8443"},
            ("wss://n.ts.net:8443/terminal/ws", "wss://n.ts.net:8443/app/"),
        ),
        # Field case P1: a port of the guide's, told to an https page.
        (
            "https://c.example/",
            {"PUSHER_HOST": "c.example", "PUSHER_PORT": "80"},
            ("wss://c.example/terminal/ws", "wss://c.example:80/app/"),
        ),
        (
            "https://c.example/",
            {"PUSHER_HOST": "c.example", "PUSHER_PORT": "443", "TERMINAL_PORT": "443"},
            ("wss://c.example/terminal/ws", "wss://c.example/app/"),
        ),
        (
            "https://c.example/",
            {"TERMINAL_HOST": "c.example", "TERMINAL_PORT": "6002"},
            ("wss://c.example:6002/terminal/ws", "wss://c.example/app/"),
        ),
        (
            "http://100.64.0.1:8000/",
            {"TERMINAL_PROTOCOL": "wss", "TERMINAL_HOST": "c.example", "TERMINAL_PORT": "443", "PUSHER_HOST": None},
            ("wss://c.example/terminal/ws", "ws://100.64.0.1:6001/app/"),
        ),
    ],
)
def test_where_a_browser_goes(page: str, values: dict[str, str], sockets: tuple[str, str]) -> None:
    assert tuple(_browser.sockets(page, values).values()) == sockets


BY_TUNNEL = f"""\
Way in: domain. There is a domain, {DOMAIN} (read from Coolify's own configuration), and by the rule of auto it comes before \
Tailscale.
People open https://{DOMAIN}/, and the browser connects to wss://{DOMAIN}/terminal/ws and wss://{DOMAIN}/app/. \
The tunnel's list in /etc/cloudflared/config.yml sends both paths to their servers.
"""
BY_ADDRESS = """\
Way in: tailnet address. There is no domain, but Tailscale is up (100.64.0.1).
People on the tailnet open http://100.64.0.1:8000/, and the browser connects to ws://100.64.0.1:6002/terminal/ws and \
ws://100.64.0.1:6001/app/. Docker publishes these ports; the firewall keeps them to the tailnet and whom you trust.
"""
BY_SERVE = f"""\
Way in: tailscale serve. There is no other domain, but tailscaled carries Coolify's page as https://{NAME} (tailscale serve).
People on the tailnet open https://{NAME}/, and the browser connects to wss://{NAME}/terminal/ws and wss://{NAME}/app/. \
tailscaled leads to the page, and the nginx in the container coolify carries both paths.
"""


@pytest.mark.parametrize(
    ("scheme", "tailscale", "lines"),
    [("https", TAILSCALE, BY_TUNNEL), (None, TAILSCALE, BY_ADDRESS), (None, serving(), BY_SERVE)],
)
def test_the_plan_in_words(scheme: str | None, tailscale: Any, lines: str) -> None:
    assert _access.plan(host(scheme=scheme), tailscale)["words"] == lines.splitlines()


@pytest.mark.parametrize(
    ("info", "choices", "word"),
    [
        # Field case P1: what the page was taken for is said.
        (
            host(scheme="http"),
            {},
            "Coolify's own URL begins with http://; pages are taken to be https, since TLS ends at the tunnel.",
        ),
        (host(scheme="http", tunnel=False), {"scheme": "https"}, "as you chose."),
        (host(tunnel=False), PRESENT, "Traefik carries both paths."),
        (host(tunnel=False), {}, "Traefik leads to the page, and the nginx in the container coolify carries both paths."),
        (host(tunnel=False, proxy="caddy"), {}, "Coolify's Caddy carries both paths."),
        (host(tunnel=False, proxy="none"), {}, "The nginx in the container coolify carries both paths."),
        (
            host(tunnel=False, domain=None),
            {"domain": DOMAIN, "tunnel_id": "f70ff985-a4ef-4643-bbbc-4a0ed4fc8415"},
            "kept by Cloudflare",
        ),
        (
            host(),
            {"states": {"tunnel": "absent"}},
            "A tunnel is in front, and the nginx in the container",
        ),
        (host(), {"extra_domains": ["panel.example.org"]}, "People open https://panel.example.org/"),
        (host(), {"access": "dual"}, "Way in: domain and tailnet address."),
        (host(), {"state": "absent", "domain": "https://wrong/"}, "No way in is wanted."),
        # Field case P2: nobody was told.
        (
            host(scheme=None, addresses={**EVERYWHERE, "http": ["127.0.0.1"]}),
            {},
            "But port 8000 is bound to 127.0.0.1, where the tailnet does not reach. Bind them to the tailnet address",
        ),
        (
            host(env_file={"path": "/x", "exists": True, "variables": {"PUSHER_HOST": "old.example", "PUSHER_PORT": "6001"}}),
            {"states": {"pusher": "absent"}},
            "wss://old.example:6001/app/",
        ),
    ],
)
def test_what_the_words_say(info: Any, choices: Any, word: str) -> None:
    assert word in "\n".join(_access.plan(info, TAILSCALE, **choices)["words"])


@pytest.mark.parametrize("version", [None, "", "master-5b4a3", "library-import"])
def test_a_docker_whose_version_cannot_be_read_is_not_too_old(version: Any) -> None:
    """Field case G17."""
    _access.check_host(host(docker={"reachable": True, "version": version}))


@pytest.mark.parametrize(
    ("own", "places", "reached"),
    [
        ({"ipv6": "fd7a:115c:a1e0::1"}, ["0.0.0.0"], False),
        ({"ipv6": "fd7a:115c:a1e0::1"}, ["0.0.0.0", "::"], True),
        ({"ipv6": "fd7a:115c:a1e0::1"}, ["fd7a:115c:a1e0::1"], True),
        ({"ipv4": "100.64.0.1", "ipv6": "fd7a:115c:a1e0::1"}, ["0.0.0.0"], True),
        ({"ipv4": "100.64.0.1"}, ["::"], False),
        ({"ipv4": "100.64.0.1"}, ["127.0.0.1"], False),
    ],
)
def test_a_port_is_published_to_the_tailnet_in_its_own_family(own: Any, places: Any, reached: bool) -> None:
    """Field case E16."""
    info = host(domain=None, addresses=dict.fromkeys(("app", "terminal", "http"), places))
    tailscale = {**TAILSCALE, "ipv4": None, "ipv6": None, **own}
    words = " ".join(_access.plan(info, tailscale)["words"])
    assert ("Docker publishes these ports" in words, "where the tailnet does not reach" in words) == (reached, not reached)


# -- what cannot be made on this host ----------------------------------------------------------------------------------


def client(address: str, interface: str | None = "eth0", bridge: bool = False) -> dict[str, Any]:
    return {"address": address, "interface": interface, "bridge": bridge}


@pytest.mark.parametrize(
    ("clients", "chosen", "refused"),
    [
        ([client("192.168.1.103")], {}, True),
        ([client("fd00::7")], {}, True),
        ([client("100.64.0.9")], {}, True),
        ([client("100.64.0.9", "tailscale0")], {}, False),
        ([client("192.168.1.103")], {"trusted": ["192.168.1.0/24"]}, False),
        ([client("192.168.1.103")], {"trusted": [{"source": "192.168.1.103", "interface": "eth1"}]}, True),
        ([client("192.168.1.103", "wg0")], {"trusted": [{"interface": "wg0"}]}, False),
        ([client("192.168.1.103", None)], {"trusted": [{"interface": "wg0"}]}, True),
        ([client("192.168.1.103")], {"cut_off": True}, False),
        ([client("192.168.1.103")], {"states": {"firewall": "absent"}}, False),
        ([client("172.18.0.1", "br-1", True)], {}, False),
        ([client("172.18.0.1", "br-1", True)], {"outside_interfaces": ["br-1"]}, True),
        ([client("203.0.113.9")], {}, False),
        ([], {}, False),
    ],
)
def test_nobody_in_a_private_network_is_cut_off_unnamed(clients: Any, chosen: Any, refused: bool) -> None:
    plan = _access.plan(host(clients=clients), TAILSCALE, **chosen)
    assert bool(plan["refusals"]) is refused
    assert plan["firewall"]["refusal"].get("id") == ("CWT-613" if refused else None)
    if refused:
        for word in (clients[0]["address"], "coolify_firewall_trusted", "coolify_firewall_cut_off"):
            assert word in plan["refusals"][0]


def test_a_public_address_that_is_closed_out_is_named() -> None:
    plan = _access.plan(host(clients=[client("203.0.113.9"), client("2001:db8::9")]), TAILSCALE)
    assert any("203.0.113.9, 2001:db8::9" in note for note in plan["notes"])
    assert plan["refusals"] == []


@pytest.mark.parametrize(
    ("pythons", "given", "runs_with"),
    [
        ({"/usr/bin/python3": "3.8"}, "", "/usr/bin/python3"),
        ({"/usr/bin/python3": None, "/opt/bin/python3": "3.12"}, "", "/usr/bin/python3"),
        ({"/usr/bin/python3": "3.6", "/usr/bin/python3.9": "3.9"}, "", "/usr/bin/python3.9"),
        ({"/usr/bin/python3": "3.6", "/usr/bin/python3.9": "3.9"}, "/opt/python", "/opt/python"),
        ({"/usr/bin/python3": "3.6", "/root/.pyenv/bin/python3": "3.12"}, "", None),
        ({"/usr/bin/python3": "3.6", "/root/.pyenv/bin/python3": "3.12"}, "/opt/python", "/opt/python"),
    ],
)
def test_the_service_runs_with_a_python_that_it_can_have(pythons: Any, given: str, runs_with: str | None) -> None:
    system = {"pretty_name": "x", "systemd": "250", "units": None, "pythons": pythons}
    plan = _access.plan(host(os=system), TAILSCALE, python=given)
    assert plan["self_heal"]["refusal"].get("id") == (None if runs_with else "CWT-408")
    assert plan["self_heal"]["python"] == (runs_with or "/usr/bin/python3")
    assert (len(plan["refusals"]) == 1) is (runs_with is None)


@pytest.mark.parametrize(
    ("states", "refused"),
    [({}, ["CWT-407", "CWT-614"]), ({"self_heal": "absent"}, ["CWT-614"]), ({"self_heal": "absent", "firewall": "absent"}, [])],
)
def test_no_hop_that_needs_systemd_is_begun_without(states: dict[str, str], refused: list[str]) -> None:
    system = {"pretty_name": "x", "systemd": "250", "units": "/etc/systemd/system cannot be written", "pythons": {}}
    plan = _access.plan(host(os={**system, "pythons": {"/usr/bin/python3": "3.11"}}), TAILSCALE, states=states)
    assert [plan[hop]["refusal"]["id"] for hop in ("self_heal", "firewall") if plan[hop]["refusal"]] == refused
    assert ["cannot be written" in why for why in plan["refusals"]] == [True] * len(refused)
    # What was there before the host became so is still taken back as far as it goes.
    assert _access.plan(host(os=system), TAILSCALE, state="absent")["refusals"] == []


@pytest.mark.parametrize(("state", "refused"), [("present", ["CWT-205"]), ("absent", [])])
def test_a_mounted_http_conf_that_lacks_the_routes_is_refused(state: str, refused: list[str]) -> None:
    facts = host()
    facts["managed"]["nginx"] = {"mounted": True, "error": "mounted from /srv, add: location"}
    plan = _access.plan(facts, TAILSCALE, states={"nginx": state})
    assert [one["refusal"]["id"] for one in (plan["nginx"],) if one["refusal"]] == refused
    assert plan["refusals"] == ["mounted from /srv, add: location"] * len(refused)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"coolify": {"found": False, "others": ["my-coolify"]}}, ["my-coolify", "docker rename my-coolify coolify"]),
        ({"coolify": {"found": False, "others": []}}, ["no container named coolify", "Install Coolify"]),
        (
            {"coolify": {"found": True, "version": "4.7.6", "env_file": "/srv/coolify/source/.env"}},
            ["/srv/coolify/source/.env", "coolify_data_path: /srv/coolify."],
        ),
        ({"coolify": {"found": True, "version": "4.7.6", "env_file": "/srv/env/.env"}}, ["/srv/env/.env", "FOLDER/source/.env"]),
        ({"coolify": {"found": True, "version": "4.7.6", "env_file": None}}, ["restore it from a backup"]),
    ],
)
def test_another_layout_is_named_as_one(changes: Any, words: list[str]) -> None:
    """Nobody is sent to upgrade.sh, which would start a second Coolify, or to a backup of a file that is there."""
    with pytest.raises(_domain.AccessError) as refused:
        _access.plan(host(**{"env_file": {"path": "/data/coolify/source/.env", "exists": False}, **changes}), TAILSCALE)
    assert [word for word in words if word not in str(refused.value)] == []


@pytest.mark.parametrize(
    ("lacks", "error", "words"),
    [
        ("kernel", "Operation not permitted", ["nf_tables", ": Operation not permitted.", "CAP_NET_ADMIN"]),
        ("package", "nft is not installed", ["nft is not installed, and neither apt nor dnf", "Install the package nftables"]),
        (None, "nft is not installed", []),
    ],
)
def test_no_hop_is_begun_where_nft_will_not_be_had(lacks: str | None, error: str, words: list[str]) -> None:
    """Field cases L7 and E17: the package was installed for nothing, or four hops were changed before the fifth could not be."""
    nft = {"available": False, "version": None, "error": error, "lacks": lacks}
    plan = _access.plan(host(nft=nft), TAILSCALE)
    assert plan["firewall"]["refusal"].get("id") == ("CWT-607" if lacks else None)
    assert len(plan["refusals"]) == bool(lacks)
    for word in [*words, "coolify_firewall_state: absent"] if lacks else []:
        assert word in plan["refusals"][0]
    assert _access.plan(host(nft=nft), TAILSCALE, states={"firewall": "absent"})["refusals"] == []
