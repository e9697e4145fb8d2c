"""Which of Traefik's routers answers, by its API, and the document that is as guarded as the page."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.proxy import _traefik

HOST = "coolify.example.com"
PLACES = {"page": {"coolify:8080", "10.0.1.5:8080"}, "app": {"coolify:6001"}, "terminal": {"coolify:6002"}}


def router(name="coolify-https@file", rule=f"Host(`{HOST}`)", entry="https", **more):
    tls = "default" if entry == "https" else None
    found = {"name": name, "rule": rule, "entry_points": [entry], "priority": len(rule), "middlewares": [], "tls": tls}
    return {**found, "enabled": True, "leads": "page", **more}


def coolifys(scheme="https"):
    """What Coolify's own file makes, as the API of Traefik 3.7.15 shows it."""
    page = [router("coolify-http@file", entry="http", middlewares=["redirect-to-https@file"])]
    if scheme == "https":
        page.append(router(middlewares=["gzip@file"]))
    sockets = [
        router(f"coolify-{name}-{one['entry_points'][0]}@file", f"Host(`{HOST}`) && PathPrefix(`{path}`)", one["entry_points"][0],
               leads=name)
        for one in page
        for name, path in (("app", "/app"), ("app", "/apps"), ("terminal", "/terminal/ws"))
    ]  # fmt: skip
    others = [
        router("ping@internal", "PathPrefix(`/ping`)", "http", priority=9223372036854775807, leads=""),
        router("acme-http@internal", "PathPrefix(`/.well-known/acme-challenge/`)", "http", priority=2**63 - 2, leads=""),
        router("traefik@docker", "Host(`traefik-coolify-proxy`)", "http", leads=""),
        router("catchall@file", "PathPrefix(`/`)", "https", priority=-1000, leads=""),
        router("shop@docker", "(Host(`a.org`) || Host(`b.org`)) && PathPrefix(`/`)", "https", leads=""),
    ]
    return [*page, *sockets, *others]


def written(routers, *hosts):
    return _traefik.document(hosts or (HOST,), routers)["http"]["routers"]


def test_one_router_for_each_path_and_router_of_the_page():
    http = _traefik.document([HOST], coolifys())["http"]
    assert {
        name: (one["rule"], one["entryPoints"], one["middlewares"], one.get("tls")) for name, one in http["routers"].items()
    } == {
        f"selfhosted-coolify-{name}-{entry}": (f"Host(`{HOST}`) && {path}", [entry], middlewares, tls)
        for name, path in (("terminal", "Path(`/terminal/ws`)"), ("app", "(PathPrefix(`/app/`) || PathPrefix(`/apps/`))"))
        for entry, middlewares, tls in (("http", ["redirect-to-https@file"], None), ("https", ["gzip@file"], {}))
    }
    assert {one["service"] for one in http["routers"].values()} == set(http["services"])
    assert [service["loadBalancer"]["servers"][0]["url"] for service in http["services"].values()] == [
        "http://coolify-realtime:6002",
        "http://coolify-realtime:6001",
    ]


def test_no_certificate_is_ever_asked_for():
    assert "certResolver" not in json.dumps(_traefik.document([HOST], coolifys()))


def test_an_instance_whose_url_is_http_gets_no_router_for_https():
    assert {tuple(one["entryPoints"]) for one in written(coolifys("http")).values()} == {("http",)}


@pytest.mark.parametrize(
    ("page", "kept"),
    [
        ({"middlewares": ["ip-allow@docker", "auth@file"]}, {"middlewares": ["ip-allow@docker", "auth@file"]}),
        ({"tls": "mtls@file"}, {"tls": {"options": "mtls@file"}}),
        ({"entry_points": ["lan"], "tls": None}, {"entryPoints": ["lan"]}),
        ({"rule": f"Host(`{HOST}`) && ClientIP(`10.0.0.0/8`)"}, {"rule": f"Host(`{HOST}`) && ClientIP(`10.0.0.0/8`) && "}),
        ({"rule": f"(Host(`a.b`) || Host(`{HOST}`)) && PathPrefix(`/`)"}, {"rule": f"Host(`{HOST}`) && "}),
        ({"rule": f'Host("{HOST.upper()}")'}, {"rule": f"Host(`{HOST}`) && "}),
        ({"priority": 200000}, {"priority": 200001}),
    ],
)
def test_the_guard_of_the_page_comes_along(page, kept):
    """Field case H10: a list of addresses, a login and a client's certificate were walked past."""
    for found in written([router("own@file", **page)]).values():
        for key, value in kept.items():
            assert found[key].startswith(value) if key == "rule" else found[key] == value
        assert found["priority"] > 100


OPEN = router("open@file", priority=10)
REFUSED = {
    "nobody answers": [router("x@file", "Host(`a.b`)")],
    "disabled": [router(enabled=False)],
    "a rule that is not plain": [OPEN, router("x@file", f"Host(`{HOST}`) && !PathPrefix(`/api`)")],
    "a header": [OPEN, router("x@file", f"Host(`{HOST}`) && Header(…)")],
    "&& before ||": [OPEN, router("x@file", f"Host(`a.b`) || Host(`{HOST}`) && ClientIP(`10.0.0.0/8`)")],
    "a method": [router("x@file", f"Host(`{HOST}`) && Method(`GET`)")],
    "any host by an expression": [OPEN, router("x@file", "HostRegexp(…)")],
    "any host": [OPEN, router("x@file", "PathPrefix(`/`)", priority=99)],
    "two of the same priority": [OPEN, router("x@file", priority=10)],
    "a login in front, as a service": [router(leads="")],
    "a login for one path": [
        OPEN, router("x@file", f"Host(`{HOST}`) && PathPrefix(`/terminal`)", middlewares=["auth@file"], leads="terminal")
    ],
    "a certificate for one path": [OPEN, router("x@file", f"Host(`{HOST}`) && PathPrefix(`/app`)", tls="mtls", leads="app")],
    "addresses for one path": [
        OPEN, router("x@file", f"Host(`{HOST}`) && PathPrefix(`/app`) && ClientIP(`10.0.0.0/8`)", leads="app")
    ],
    "one path to another program": [OPEN, router("x@file", f"Host(`{HOST}`) && PathPrefix(`/app`)", leads="")],
    "only the sockets": [router("x@file", f"Host(`{HOST}`) && PathPrefix(`/app`)", leads="app")],
    "the entry point redirects": [
        router(entry="http"), router("http-to-https@internal", "HostRegexp(…)", "http", priority=9223372036854775806, leads="")
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_where_the_page_s_way_is_not_plain_nothing_is_written(name):
    with pytest.raises(_traefik.RefusedError):
        written(REFUSED[name])


def test_what_takes_nothing_of_the_host_hinders_nothing():
    others = [
        router("x@file", "Host(`a.b`) && Header(…)", priority=50),
        router("y@file", f"Host(`{HOST}`) && Path(`/robots.txt`)", priority=50, middlewares=["auth@file"], leads=""),
    ]
    assert len(written([OPEN, *others])) == 2


def test_each_name_has_routers_of_its_own():
    other = router("panel@file", "Host(`panel.example.org`)", middlewares=["auth@file"])
    found = written([router(), other], HOST, "panel.example.org")
    rules = [one["rule"].partition(" ")[0] for one in found.values()]
    assert rules == [f"Host(`{HOST}`)"] * 2 + ["Host(`panel.example.org`)"] * 2
    assert [one.get("middlewares") for one in found.values()] == [None, None, ["auth@file"], ["auth@file"]]


def test_at_which_entry_points_the_page_is():
    assert _traefik.entry_points(coolifys(), HOST) == ["http", "https"]
    assert _traefik.entry_points(coolifys("http"), HOST) == ["http"]
    assert _traefik.entry_points(REFUSED["the entry point redirects"], HOST) == []
    assert _traefik.entry_points(coolifys(), "a.b") == []


def test_a_router_that_takes_a_socket_to_another_program_is_in_the_way():
    """Not where it leads to the page, whose nginx has the routes, nor below the page's own router."""
    assert _traefik.in_the_way(coolifys(), HOST) == []
    ours = router("selfhosted-coolify-app-https@file", f"Host(`{HOST}`) && PathPrefix(`/app/`)", leads="", priority=99)
    assert _traefik.in_the_way([OPEN, ours], HOST) == []
    for path, leads, priority, found in (
        ("/app", "", 99, True), ("/terminal", "", 99, True), ("/app", "page", 99, False), ("/app", "", 5, False),
        ("/api", "", 99, False),
    ):  # fmt: skip
        one = router("x@file", f"Host(`{HOST}`) && PathPrefix(`{path}`)", leads=leads, priority=priority)
        assert _traefik.in_the_way([OPEN, one], HOST) == ([one] if found else [])


@contextlib.contextmanager
def api(routers, services, status=200):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            assert self.headers["Host"] == "traefik-coolify-proxy"
            body = json.dumps(routers if "/routers?" in self.path else services).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


#: As the API of 3.7.15 answers, but for what is not read.
PAGE = {
    "entryPoints": ["https"], "middlewares": ["gzip@file"], "service": "coolify", "rule": f"Host(`{HOST}`)", "priority": 26,
    "tls": {"options": "mtls", "certResolver": "letsencrypt"}, "status": "warning", "using": ["https"],
    "name": "https-conflicted-coolify-https@file", "provider": "file",
}  # fmt: skip
SERVICES = [
    {"name": "api@internal", "provider": "internal"},
    {"loadBalancer": {"servers": [{"url": "http://coolify:8080"}]}, "name": "coolify@file"},
    {"loadBalancer": {"servers": [{"url": "http://10.0.1.5:8080"}]}, "name": "coolify@docker"},
    {"loadBalancer": {"servers": [{"url": "http://coolify:8080"}, {"url": "http://elsewhere:80"}]}, "name": "both@file"},
    {"loadBalancer": {"servers": [{"url": "http://coolify:6001"}]}, "name": "coolify-reverb@file"},
    {"weighted": {}, "name": "weighted@file"},
]


def test_the_api_is_asked():
    secret = {**PAGE, "rule": f"Host(`{HOST}`) && Header(`X-Key`, `sesame`)", "status": "disabled"}
    with api([PAGE, secret], SERVICES) as port:
        page, hidden = _traefik.ask("127.0.0.1", port, PLACES)
    assert page == router(PAGE["name"], middlewares=["gzip@file"], tls="mtls", priority=26)
    assert (hidden["enabled"], "sesame" in str(hidden)) == (False, False)


@pytest.mark.parametrize(
    ("service", "leads"),
    [
        ("coolify@docker", "page"), ("both", ""), ("coolify-reverb", "app"), ("weighted", ""), ("api@internal", ""), ("none", ""),
    ],
)  # fmt: skip
def test_what_a_router_leads_to_is_told_by_its_service_s_servers(service, leads):
    with api([{**PAGE, "service": service}], SERVICES) as port:
        assert _traefik.ask("127.0.0.1", port, PLACES)[0]["leads"] == leads


def test_an_api_that_says_nothing():
    with api([], [], status=404) as port:
        assert _traefik.ask("127.0.0.1", port, PLACES) is None
    assert _traefik.ask("127.0.0.1", port, PLACES) is None
    with api({"no": "list"}, []) as port:
        assert _traefik.ask("127.0.0.1", port, PLACES) is None


def test_each_neighbour_that_traefik_reads_is_read_or_said_why_not(tmp_path):
    """As Traefik's file provider goes through a folder, pkg/provider/file/file.go at v3.1: a link to nothing stops it."""
    (tmp_path / "ours.yaml").write_text("ours: 1")
    (tmp_path / "theirs.yml").write_text("theirs: 1")
    (tmp_path / "notes.txt").write_text("[")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "lost.yaml").symlink_to(tmp_path / "nowhere")
    assert _traefik.neighbours(str(tmp_path / "ours.yaml")) == [
        {"path": str(tmp_path / "lost.yaml"), "error": "No such file or directory"},
        {"path": str(tmp_path / "theirs.yml"), "text": "theirs: 1"},
    ]
    assert _traefik.neighbours(str(tmp_path / "none" / "ours.yaml")) == []
