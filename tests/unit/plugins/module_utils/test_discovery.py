from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Sequence

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _client
from ansible_collections.selfhosted.coolify.plugins.module_utils.firewall import _nft_rules
from ansible_collections.selfhosted.coolify.plugins.module_utils.host import _discovery
from ansible_collections.selfhosted.coolify.plugins.module_utils.nginx import _http_conf, _routes
from ansible_collections.selfhosted.coolify.plugins.module_utils.plan import _access

SECRETS = ["base64:c2VjcmV0", "pusher-key", "pusher-secret", "db-password"]
ENV = """\
APP_ID=1
APP_KEY=base64:c2VjcmV0
DB_PASSWORD="db-password"
PUSHER_APP_KEY=pusher-key
PUSHER_APP_SECRET=pusher-secret
PUSHER_HOST=203.0.113.7
PUSHER_PORT=6001
"""
HTTP_CONF = "listen 8080 default_server;\nroot /var/www/html/public;\nlocation / {\n    try_files $uri /index.php;\n}\n"
CONSTANTS = "<?php\nreturn [\n    'coolify' => [\n        'version' => env('COOLIFY_VERSION') ?: '4.3.0',\n"
COOLIFY_YAML = (
    "http:\n  routers:\n    coolify-http:\n      service: coolify\n      rule: 'Host(`coolify.example.com`)'\n"
)
TUNNEL = """\
tunnel: 6ff42ae2-765d-4adf-8112-31c55c1551ef
ingress:
  - hostname: coolify.example.com
    service: http://localhost:8000
  - service: http_status:404
"""


def inspected(name: str, image: str, ports: dict[str, str], env: str = "") -> dict[str, Any]:
    return {
        "Id": name[::-1],
        "Name": "/" + name,
        "State": {"Status": "running", "Running": True, "Health": {"Status": "healthy"}},
        "Config": {"Image": image, "Env": env.replace('"', "").splitlines(), "Labels": {}},
        "NetworkSettings": {
            "Ports": {port: [{"HostIp": "", "HostPort": public}] for port, public in ports.items()},
            "Networks": {"coolify": {"IPAddress": "10.0.1.7"}},
        },
    }


class Engine:
    """Answers as an engine with Coolify's containers does."""

    socket = "/var/run/docker.sock"

    def __init__(self) -> None:
        self.named: dict[str, dict[str, Any]] = {
            "coolify": inspected("coolify", "docker.io/coollabsio/coolify:4.3.0", {"8080/tcp": "8000"}, ENV),
            "coolify-realtime": inspected(
                "coolify-realtime",
                "docker.io/coollabsio/coolify-realtime:1.0.15",
                {"6001/tcp": "6001", "6002/tcp": "6002"},
            ),
            "coolify-proxy": inspected("coolify-proxy", "traefik:v3.6", {"80/tcp": "80"}),
        }
        self.asked: list[list[str]] = []
        self.served = "no /terminal/ws\nno /app/-\nno /apps/-\n"
        self.files = {_http_conf.PATH: HTTP_CONF.encode(), _discovery.CONSTANTS: CONSTANTS.encode()}

    def version(self) -> dict[str, Any]:
        return {"Version": "26.1.5", "ApiVersion": "1.45"}

    def inspect(self, name: str) -> dict[str, Any] | None:
        return self.named.get(name)

    def image(self, name: str) -> dict[str, Any] | None:
        return None

    def networks(self) -> list[dict[str, Any]]:
        return [{"Id": "0123456789abcdef", "Name": "coolify", "Options": {}}]

    def containers(self) -> list[dict[str, Any]]:
        return [{"Id": one["Id"], "Image": one["Config"]["Image"]} for one in self.named.values()]

    def has_path(self, container: str, path: str) -> bool:
        return False

    def read_file(self, container: str, path: str) -> _client.File | None:
        assert container == "coolify"[::-1]
        return _client.File(self.files[path], 0o644, 9999, 9999) if path in self.files else None

    def exec(self, container: str, argv: list[str], errors: bool = True) -> tuple[int, bytes]:
        assert container == "coolify"[::-1]
        self.asked.append(argv)
        return 0, self.served.encode()

    def read_tree(self, container: str, path: str) -> dict[str, _client.File]:
        assert container == "coolify"[::-1]
        return {
            name: _client.File(data, 0o644, 9999, 9999)
            for name, data in self.files.items()
            if name.startswith(path + "/")
        }


class Bundled(Engine):
    """A host of Coolify 4.4 or later (field case P10), updated without a version (P9)."""

    def __init__(self) -> None:
        super().__init__()
        ports = {"8080/tcp": "8000", "6001/tcp": "7001", "6002/tcp": "6002"}
        env = ENV + "COOLIFY_VERSION=latest\n"
        self.named["coolify"] = inspected("coolify", "docker.io/coollabsio/coolify:latest", ports, env)
        self.named["coolify"]["Config"]["ExposedPorts"] = {port: {} for port in ports}
        del self.named["coolify-realtime"]
        self.files[_discovery.CONSTANTS] = CONSTANTS.replace("4.3.0", "latest").encode()
        self.files[_discovery.BROADCASTING] = b"env('PUSHER_BACKEND_SCHEME', 'http')"

    def image(self, name: str) -> dict[str, Any] | None:
        return {"Config": {"Env": ["COOLIFY_VERSION=4.7.6"]}}


class Absent(Engine):
    def version(self) -> dict[str, Any]:
        raise _client.EngineUnavailable("no Docker engine answers at /x: No such file or directory")


class System:
    """The two programs that discovery runs, by their answers."""

    def __init__(self, *, table: str | None = None, nft: str = "", docker: str = "active", listener: str = "active") -> None:
        self.table, self.nft, self.states = table, nft, {"docker.service": docker, "docker.socket": listener}
        self.ran: list[str] = []

    def __call__(self, argv: Sequence[str]) -> tuple[int, str, str]:
        self.ran.append(argv[0])
        if argv[0] == "systemctl":
            states = {"coolify-websocket.service": "active", **self.states}
            words = "Id={}\nLoadState=loaded\nActiveState={}\nUnitFileState=enabled\nControlGroup=/system.slice/{}\n"
            return 0, "\n".join(words.format(*one, one[0]) for one in states.items()), ""
        if list(argv) == ["nft", "--version"]:
            return 0, "nftables v1.1.3 (Commodore Bullmoose #4)\n", ""
        if self.table is not None:
            return 0, self.table, ""
        return 1, "", self.nft or "Error: No such file or directory\nlist table inet coolify_websocket\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "data/coolify/source/.env": ENV,
        "data/coolify/proxy/dynamic/coolify.yaml": COOLIFY_YAML,
        "etc/cloudflared/config.yml": TUNNEL,
        "etc/os-release": 'ID=debian\nVERSION_ID="13"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n',
        "etc/default/ufw": "IPV6=yes\n",
        "etc/ufw/ufw.conf": "ENABLED=yes\n",
        "etc/ufw/user.rules": "### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 OpenSSH - in\n",
        "etc/ufw/user6.rules": "### tuple ### allow tcp 22 ::/0 any ::/0 OpenSSH - in\n",
        "proc/sys/net/ipv6/bindv6only": "0\n",
        "usr/sbin/ufw": "",
        "usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-257.so": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def facts(root: Path, engine: Engine | None = None, system: System | None = None) -> dict[str, Any]:
    return _discovery.Discovery(engine or Engine(), root=str(root), run=system or System()).facts()


def names(found: Any, above: str = "") -> set[str]:
    """Of what is named at all: variables and the service's state are others' words."""
    if not isinstance(found, dict) or above.endswith(("variables.", "environment.", "state.")):
        return set()
    return {above + key for key in found}.union(*(names(value, f"{above}{key}.") for key, value in found.items()))


@pytest.mark.parametrize("name", ["treated", "untreated"])
def test_a_recorded_host_has_no_fact_that_is_gone(root: Path, name: str) -> None:
    recorded = json.loads((Path(__file__).parent / "hops" / f"{name}.json").read_text())["info"]
    # Of the text that is found here, the action plugin makes these.
    of_the_control_node = {f"managed.tunnel.{key}" for key in ("rules", "error", "by_hand")}
    assert names(recorded) - names(facts(root)) - of_the_control_node == set()


@pytest.mark.parametrize(("bound", "asked"), [("", "127.0.0.1"), ("::", "::1"), ("192.0.2.7", "192.0.2.7")])
def test_traefik_is_asked_at_its_own_port(root: Path, monkeypatch: pytest.MonkeyPatch, bound: str, asked: str) -> None:
    """Field case G12: another program had port 80, and its answers were taken for Traefik's."""
    engine = Engine()
    ports = {"80/tcp": [{"HostIp": bound, "HostPort": "5080"}], "443/tcp": [{"HostIp": bound, "HostPort": "5443"}]}
    engine.named["coolify-proxy"]["NetworkSettings"]["Ports"] = ports
    called = []
    monkeypatch.setattr(_discovery._traefik, "ask", lambda *arguments: called.append(arguments) or [])
    found = facts(root, engine)["proxy"]
    assert (found["ports"], found["routers"]) == ({"http": 5080, "https": 5443}, [])
    ((address, port, places),) = called
    assert (address, port) == (asked, 5080)
    assert {"coolify:8080", "10.0.1.7:8080", "host.docker.internal:8000"} <= places["page"]
    assert {"coolify:6001", "coolify-realtime:6001", "10.0.1.7:6001"} == places["app"]
    engine.named["coolify-proxy"]["State"]["Status"] = "exited"
    assert (facts(root, engine)["proxy"]["routers"], len(called)) == (None, 1)


def test_an_untreated_host(root: Path) -> None:
    found = facts(root)
    assert found["docker"] == {"reachable": True, "version": "26.1.5", "error": None, "cgroup": "/system.slice/docker.service"}
    assert found["coolify"]["version"] == "4.3.0"
    assert found["ports"] == {"app": 6001, "terminal": 6002, "http": 8000}
    assert found["proxy"]["kind"] == "traefik"
    assert found["domain"] == {
        "host": "coolify.example.com",
        "scheme": "http",
        "source": "/data/coolify/proxy/dynamic/coolify.yaml",
    }
    assert found["os"]["pretty_name"].startswith("Debian")
    assert found["os"]["systemd"] == "257"
    assert found["ufw"]["installed"]
    assert found["ufw"]["active"]
    assert found["ufw"]["ipv6"]
    assert [(rule["family"], rule["port"]) for rule in found["ufw"]["rules"]] == [("ipv4", "22"), ("ipv6", "22")]
    assert found["nft"] == {"available": True, "version": "1.1.3", "error": None, "lacks": None}
    managed = found["managed"]
    assert not managed["nginx"]["present"]
    assert managed["nginx"]["current"] is False
    assert (managed["traefik"]["present"], managed["traefik"]["kept"], managed["traefik"]["cut"]) == (False, False, False)
    assert [Path(file["path"]).name for file in managed["traefik"]["neighbours"]] == ["coolify.yaml"]
    assert managed["firewall"]["table_loaded"] is False
    assert managed["self_heal"] == {"installed": True, "active_state": "active", "enabled": True, "state": None}
    assert managed["tunnel"]["text"] == TUNNEL


def test_a_bundled_host(root: Path) -> None:
    found = facts(root, Bundled())
    assert (found["layout"], found["coolify"]["version"]) == ("bundled", "4.7.6")
    assert found["coolify"]["pusher_scheme_obeyed"] is False
    assert (found["realtime"]["name"], found["realtime"]["found"]) == ("coolify", True)
    assert (found["realtime"]["left_over"], found["realtime"]["unused_override"]) == (None, None)
    assert found["ports"] == {"app": 7001, "terminal": 6002, "http": 8000}
    assert found["addresses"]["app"] == ["0.0.0.0"]


def test_what_the_separate_layout_left_behind(root: Path) -> None:
    engine = Bundled()
    engine.named["coolify-realtime"] = Engine().named["coolify-realtime"]
    (root / "data/coolify/source/docker-compose.custom.yml").write_text(
        "services:\n  soketi:\n    ports: !override\n      - 127.0.0.1:6001:6001\n"
    )
    found = facts(root, engine)
    assert found["realtime"]["left_over"]["state"] == "running"
    assert found["realtime"]["unused_override"].endswith("docker-compose.custom.yml")
    separate = facts(root)
    assert (separate["realtime"]["left_over"], separate["realtime"]["unused_override"]) == (None, None)


def test_a_plan_follows_from_it(root: Path) -> None:
    tailscale = {"interface": "tailscale0", "up": False}
    info = facts(root)
    info["managed"]["tunnel"]["rules"] = ["some"]
    plan = _access.plan(info, tailscale)
    assert plan["mode"] == "domain"
    assert plan["domain"]["scheme"] == "https"
    assert plan["tunnel"]["wanted"]


def test_no_secret_is_returned(root: Path) -> None:
    found = facts(root)
    assert found["env_file"]["variables"] == {"PUSHER_HOST": "203.0.113.7", "PUSHER_PORT": "6001"}
    assert found["coolify"]["environment"] == found["env_file"]["variables"]
    text = json.dumps(found)
    assert [secret for secret in SECRETS if secret in text] == []


def test_a_treated_host(root: Path) -> None:
    engine = Engine()
    engine.files[_http_conf.PATH] = _http_conf.apply(HTTP_CONF).text.encode()
    (root / "data/coolify/proxy/dynamic/coolify-websocket.yaml").write_text("http: {}\n")
    (root / "run/coolify-websocket").mkdir(parents=True)
    (root / "run/coolify-websocket/state.json").write_text('{"heals": 3}')
    for name in ("br0/bridge", "br-0123456789ab/bridge", "eth0"):
        (root / "sys/class/net" / name).mkdir(parents=True)
    (root / "etc/coolify-websocket").mkdir()
    (root / "etc/coolify-websocket/firewall.nft").write_text(
        "\tchain arriving {\n\t\ttcp dport { 6001, 6002 } jump decide\n\t}\n"
    )
    asked = {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"set": [6001, 6002]}}
    guarded = [{"match": asked}, {"jump": {"target": "decide"}}]
    table = {
        "nftables": [
            {"metainfo": {"version": "1.1.3"}},
            {"table": {"family": "inet", "name": _nft_rules.TABLE, "handle": 7}},
            {"counter": {"family": "inet", "table": _nft_rules.TABLE, "name": "refused", "packets": 12, "bytes": 720}},
            {"rule": {"family": "inet", "table": _nft_rules.TABLE, "chain": "arriving", "expr": guarded}},
        ]
    }
    system = System(table=json.dumps(table))
    managed = facts(root, engine, system)["managed"]
    assert managed["nginx"]["present"]
    assert managed["nginx"]["current"] is True
    assert managed["nginx"]["foreign"] == []
    assert managed["nginx"]["loaded"] is True
    assert len(engine.asked) == 1
    assert managed["traefik"]["content"] == "http: {}\n"
    assert managed["self_heal"]["state"] == {"heals": 3}
    assert managed["firewall"]["table_loaded"] is True
    assert managed["firewall"]["refused_packets"] == 12
    assert managed["firewall"]["rules"] == ["arriving: tcp dport { 6001, 6002 } jump decide"]
    assert (managed["firewall"]["intact"], managed["firewall"]["outside_bridges"]) == (True, ["br0"])
    # A process costs more than everything else here: on a treated host there are two.
    assert system.ran == ["systemctl", "nft", "iptables-save", "ip6tables-save"]


def test_a_host_whose_nginx_has_not_loaded_the_routes(root: Path) -> None:
    class Older(Engine):
        def exec(self, container: str, argv: list[str], errors: bool = True) -> tuple[int, bytes]:
            return 1, b""

    engine = Older()
    engine.files[_http_conf.PATH] = _http_conf.apply(HTTP_CONF).text.encode()
    nginx = facts(root, engine)["managed"]["nginx"]
    assert (nginx["current"], nginx["loaded"]) == (True, False)


@pytest.mark.parametrize(("state", "cut"), [("writing", True), ("written", False), ("", True)])
def test_what_was_kept_of_traefiks_file(root: Path, state: str, cut: bool) -> None:
    path = "/data/coolify/proxy/dynamic/coolify-websocket.yaml"
    kept = root / "var/lib/coolify-websocket/kept/traefik-data-coolify-proxy-dynamic-coolify-websocket.yaml.json"
    kept.parent.mkdir(parents=True)
    entry = {"hop": "traefik", "path": path, "state": state, "before": {"file": None}}
    kept.write_text(json.dumps(entry) if state else "{")
    traefik = facts(root)["managed"]["traefik"]
    assert (traefik["kept"], traefik["cut"]) == (True, cut)


def test_a_foreign_location_is_told(root: Path) -> None:
    engine = Engine()
    engine.files[_http_conf.PATH] = (HTTP_CONF + "location /app/ {\n    return 404;\n}\n").encode()
    managed = facts(root, engine)["managed"]
    assert [location["path"] for location in managed["nginx"]["foreign"]] == ["/app/"]
    json.dumps(managed)


def test_what_nginx_serves_without_the_block_is_told(root: Path) -> None:
    engine = Engine()
    engine.served = "yes /terminal/ws\nyes /app/-\nyes /apps/-\n"
    nginx = facts(root, engine)["managed"]["nginx"]
    assert (nginx["present"], nginx["current"]) == (False, True)


def test_a_foreign_location_in_an_included_file_is_told(root: Path) -> None:
    engine = Engine()
    engine.files[_http_conf.PATH] = (HTTP_CONF + "include /etc/nginx/server-opts.d/*.conf;\n").encode()
    engine.files["/etc/nginx/server-opts.d/mine.conf"] = b"location = /terminal/ws {\n    return 404;\n}\n"
    (foreign,) = facts(root, engine)["managed"]["nginx"]["foreign"]
    assert (foreign["path"], foreign["file"]) == ("/terminal/ws", "/etc/nginx/server-opts.d/mine.conf")


def test_routes_with_another_timeout_are_not_current(root: Path) -> None:
    engine = Engine()
    engine.files[_http_conf.PATH] = _http_conf.apply(HTTP_CONF, _routes.Settings(read_timeout=60)).text.encode()
    discovery = _discovery.Discovery(engine, root=str(root), run=System(), nginx={"read_timeout": "60"})
    assert discovery.facts()["managed"]["nginx"]["current"] is True
    assert facts(root, engine)["managed"]["nginx"]["current"] is False


@pytest.mark.parametrize(
    ("docker", "listener", "socket", "asked"),
    [
        ("active", "active", "/var/run/docker.sock", True),
        ("activating", "active", "/var/run/docker.sock", True),
        ("inactive", "active", "/var/run/docker.sock", False),
        ("failed", "active", "/run/docker.sock", False),
        # Nobody listens, or an engine of another kind: to ask starts nothing.
        ("inactive", "inactive", "/var/run/docker.sock", True),
        ("inactive", "active", "/run/user/1000/docker.sock", True),
    ],
)
def test_an_engine_that_was_stopped_is_not_started_by_the_look(
    root: Path, docker: str, listener: str, socket: str, asked: bool
) -> None:
    engine = Engine()
    engine.socket = socket
    found = facts(root, engine, System(docker=docker, listener=listener))
    assert found["docker"]["reachable"] is asked
    if not asked:
        assert found["docker"]["error"] == "docker.service is stopped; to ask it would start it"
        engine.version = engine.inspect = engine.containers = None  # type: ignore[assignment]
        assert facts(root, engine, System(docker=docker, listener=listener)) == found


def test_without_docker_the_rest_is_told(root: Path) -> None:
    found = facts(root, Absent())
    assert not found["docker"]["reachable"]
    assert "No such file" in found["docker"]["error"]
    assert not found["coolify"]["found"]
    assert found["ports"] == {"app": None, "terminal": None, "http": None}
    assert found["domain"]["host"] == "coolify.example.com"
    assert found["env_file"]["exists"]


def test_podman_is_named(root: Path) -> None:
    """Field case G17: its API tells the version of Podman, which is a smaller number than Docker's."""

    class Podman(Engine):
        def version(self) -> dict[str, Any]:
            return {"Version": "4.9.3", "ApiVersion": "1.41", "Components": [{"Name": "Podman Engine", "Version": "4.9.3"}]}

    found = facts(root, Podman())
    assert not found["docker"]["reachable"]
    with pytest.raises(_access.AccessError, match=r"is Podman\..*set coolify_access_docker_socket"):
        _access.check_host(found)


def test_an_env_file_that_compose_refuses_is_told_with_the_line(root: Path) -> None:
    """Field case V8: Coolify runs on, and fails at its next start."""
    env = root / "data/coolify/source/.env"
    before = env.read_text()
    env.write_text(before + 'X="unclosed\n')
    told = facts(root)["env_file"]["error"] or ""
    assert f"line {before.count(chr(10)) + 1}: a quote is not closed" in told


def test_an_empty_machine(tmp_path: Path) -> None:
    engine = Engine()
    engine.named.clear()

    def nothing(argv: Sequence[str]) -> tuple[int, str, str]:
        return 127, "", f"{argv[0]} is not installed"

    found = _discovery.Discovery(engine, root=str(tmp_path), run=nothing).facts()
    assert found["domain"] is None
    assert not found["env_file"]["exists"]
    assert found["nft"]["available"] is False
    assert not found["ufw"]["installed"]
    assert not found["managed"]["tunnel"]["present"]


@pytest.mark.parametrize("defaults", ["IPV6=no\n", "# IPV6=yes\n", None])
def test_ufw_guards_ipv6_only_where_it_was_told_to(root: Path, defaults: str | None) -> None:
    (root / "etc/default/ufw").unlink()
    if defaults is not None:
        (root / "etc/default/ufw").write_text(defaults)
    assert not facts(root)["ufw"]["ipv6"]


def test_ufw_guards_no_ipv6_that_the_kernel_does_not_have(root: Path) -> None:
    (root / "proc/sys/net/ipv6").rename(root / "proc/sys/net/none")
    assert not facts(root)["ufw"]["ipv6"]


def test_broken_parts_do_not_hide_the_others(root: Path) -> None:
    engine = Engine()
    engine.files[_http_conf.PATH] = b"location / { \xff\xfe"
    del engine.files[_discovery.CONSTANTS]
    (root / "etc/cloudflared/config.yml").write_text("ingress: [\n")
    (root / "data/coolify/source/.env").write_bytes(b"\x00\xff=\n'")
    (root / "data/coolify/proxy/dynamic/coolify.yaml").write_bytes(b"\xff\xfe\x00")
    (root / "run/coolify-websocket").mkdir(parents=True)
    (root / "run/coolify-websocket/state.json").write_text("{")
    (root / "etc/ufw/user.rules").write_bytes(b"### tuple ### \xff comment=zz\n")
    found = facts(root, engine, System(nft="netlink: Error: cache initialization failed: Operation not permitted"))
    assert found["coolify"]["found"]
    assert found["coolify"]["version"] is None
    assert found["managed"]["nginx"]["error"]
    assert found["managed"]["tunnel"]["text"] == "ingress: [\n"
    assert found["managed"]["self_heal"]["state"] is None
    assert found["domain"] is None
    assert (found["nft"]["available"], found["nft"]["lacks"]) == (False, "kernel")
    assert "not permitted" in found["nft"]["error"]


@pytest.mark.parametrize(
    ("refused", "installer", "error", "lacks"),
    [
        (None, "usr/bin/apt-get", "nft is not installed", None),
        (None, "usr/bin/dnf5", "nft is not installed", None),
        (None, "usr/bin/pkcon", "nft is not installed", "package"),
        ("Operation not permitted", "usr/bin/apt-get", "Operation not permitted", "kernel"),
    ],
)
def test_nft_is_installed_where_it_can_be_and_will_be_of_use(
    root: Path, monkeypatch: Any, refused: str | None, installer: str, error: str, lacks: str | None
) -> None:
    def run(argv: Sequence[str]) -> tuple[int, str, str]:
        return (127, "", "nft is not installed") if argv[0] == "nft" else System()(argv)

    monkeypatch.setattr(_discovery._kernel, "refusal", lambda: refused)
    (root / installer).parent.mkdir(exist_ok=True)
    (root / installer).touch()
    found = _discovery.Discovery(Engine(), root=str(root), run=run).facts()["nft"]
    assert found == {"available": False, "version": None, "error": error, "lacks": lacks}


def test_a_container_of_coolifys_tunnel(root: Path) -> None:
    engine = Engine()
    engine.named["coolify-cloudflared"] = inspected("coolify-cloudflared", "cloudflare/cloudflared:latest", {})
    assert facts(root, engine)["managed"]["tunnel"]["managed_by_coolify"]


def test_the_file_of_the_proxy_that_runs_decides(root: Path) -> None:
    caddy = root / "data/coolify/proxy/caddy/dynamic/coolify.caddy"
    caddy.parent.mkdir(parents=True)
    caddy.write_text("\nhttps://caddy.example.com {\n    reverse_proxy coolify:8080\n}\n")
    engine = Engine()
    assert facts(root, engine)["domain"]["host"] == "coolify.example.com"
    engine.named["coolify-proxy"]["Config"]["Image"] = "lucaslorentz/caddy-docker-proxy:2.8-alpine"
    assert facts(root, engine)["domain"]["host"] == "caddy.example.com"


def test_programs_run_in_the_c_locale_and_without_a_shell() -> None:
    status, output, _error = _discovery.run(["env"])
    assert status == 0
    assert "LC_ALL=C" in output.splitlines()
    assert _discovery.run(["no-such-program-$(id)"])[0] == 127
