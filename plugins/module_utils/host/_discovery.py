# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens what ``_state`` reads: the engine's socket, files, and four processes where nothing else tells.

Everything is looked at once and nothing is changed. What is missing or broken becomes a value, never an exception, so
that one broken part does not hide the others.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
import sys
import time
import typing as t

from ..engine import _client
from ..env import _dotenv, _pusher
from ..firewall import _host, _kernel, _nft_rules, _other_rules, _ufw_files, _ufw_rules
from ..keeper import _durable, _kept
from ..nginx import _container, _http_conf, _routes
from ..proxy import _traefik
from ..tunnel import _connectors as _tunnels
from . import _clients, _connectors, _interfaces, _state

CONTAINER = "coolify"
REALTIME = "coolify-realtime"
PROXY = "coolify-proxy"
CLOUDFLARED = "coolify-cloudflared"

CONSTANTS = "/var/www/html/config/constants.php"
BROADCASTING = "/var/www/html/config/broadcasting.php"
REVERB = "/etc/s6-overlay/s6-rc.d/reverb"
_TUNNEL_CONFIG = "/etc/cloudflared/config.yml"
STATE_FOLDER = "/var/lib/coolify-websocket"
SELF_HEAL_STATE = "/run/coolify-websocket/state.json"
SELF_HEAL_UNIT = "coolify-websocket.service"
DOCKER_UNIT = "docker.service"
SYSTEM_PYTHON = "/usr/bin/python3"

#: Of the package managers that ansible-core itself knows.
INSTALLERS = ("/usr/bin/apt-get", "/usr/bin/dnf", "/usr/bin/dnf5")

_TOOL_FOLDERS = "/usr/sbin:/usr/bin:/sbin:/bin"
_PROCESS_TIMEOUT = 10.0
#: Seconds after which Traefik has surely taken up a file.
_SETTLING = 10.0

Json = t.Dict[str, t.Any]
#: argv -> (exit status, standard output, standard error); status 127 where the program is not there.
Run = t.Callable[[t.Sequence[str]], t.Tuple[int, str, str]]


def run(argv: t.Sequence[str]) -> tuple[int, str, str]:
    """Run a program of the system by its name, in the C locale, without a shell."""
    program = shutil.which(argv[0], path=_TOOL_FOLDERS)
    if program is None:
        return 127, "", f"{argv[0]} is not installed"
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            [program, *argv[1:]],
            capture_output=True,
            check=False,
            env={"PATH": _TOOL_FOLDERS, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            timeout=_PROCESS_TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 126, "", str(error)
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


class Discovery:
    """One look at one host.

    ``root`` is the folder that holds the host's file system; it is another one than ``/`` only in tests. ``tunnel_config``
    is the file with the tunnel's list, where it is not to be found out.
    """

    def __init__(
        self,
        engine: _client.Engine,
        data_path: str = "/data/coolify",
        tunnel_config: str | None = None,
        root: str = "/",
        run: Run = run,
        nginx: t.Mapping[str, t.Any] | None = None,
        route: _clients.Route = _clients.route,
    ) -> None:
        self._engine = engine
        self._data_path = data_path.rstrip("/")
        self._tunnel_config = tunnel_config
        self._root = root
        self._run = run
        self._nginx_settings = nginx or {}
        self._route = route

    def facts(self) -> Json:
        """Return everything that the module ``coolify_info`` documents."""
        finder = _connectors.Finder(self._engine, self._root, self._text)
        units = self._units(finder.units)
        if _state.is_kept_stopped(units, self._engine.socket):
            # Nothing of what follows is to start it.
            self._engine = _client.Engine(os.devnull)
            finder = _connectors.Finder(self._engine, self._root, self._text)
        docker, containers = self._containers(units)
        coolify, beside = containers.get(CONTAINER), containers.get(REALTIME)
        layout = None
        if coolify is not None:
            layout = _state.layout(coolify, lambda: self._asked(self._engine.has_path, coolify["Id"], REVERB))
        server = coolify if layout == _pusher.BUNDLED else beside
        proxy = self._proxy(containers, coolify)
        domain = self._domain(proxy["kind"])
        nft, table = self._nft()
        publishers = {
            "app": (server or {}, _pusher.APP_PORT),
            "terminal": (server or {}, _pusher.TERMINAL_PORT),
            "http": (coolify or {}, 8080),
        }
        published = {name: _state.published_ports(*one) for name, one in publishers.items()}
        guarded = {*published["app"], *published["terminal"]}
        servers = {str(one["Id"]): one for one in (server, coolify) if one is not None}.values()
        ufw = self._ufw()
        return {
            "docker": docker,
            "layout": layout,
            "coolify": self._coolify(coolify, layout),
            "env_file": self._env_file(),
            "realtime": {"found": server is not None, **_state.container_state(server or {}), **self._left_over(layout, beside)},
            "ports": {name: next(iter(found), None) for name, found in published.items()},
            "published": published,
            "addresses": {name: _state.published_addresses(*one) for name, one in publishers.items()},
            "clients": _clients.clients(self._root, servers, (_pusher.APP_PORT, _pusher.TERMINAL_PORT), guarded, self._route),
            "global_addresses": _interfaces.own_addresses(self._root),
            "proxy": proxy,
            "domain": domain,
            "os": self._os(),
            "ufw": ufw,
            "nft": nft,
            "managed": {
                "nginx": self._nginx(coolify),
                "self_heal": self._self_heal(units),
                "traefik": self._traefik(),
                "firewall": {**self._firewall(table, units), "other_rules": self._other_rules(published, ufw)},
                "tunnel": self._tunnel(CLOUDFLARED in containers, finder.connectors(units), (domain or {}).get("host")),
            },
        }

    # -- files ---------------------------------------------------------------------------------------------------------

    def _path(self, path: str) -> str:
        return os.path.join(self._root, path.lstrip("/"))

    def _bytes(self, path: str) -> bytes | None:
        try:
            return _durable.read_through(self._path(path))
        except OSError:
            return None

    def _text(self, path: str) -> str | None:
        data = self._bytes(path)
        return None if data is None else data.decode("utf-8", "replace")

    # -- Docker and Coolify --------------------------------------------------------------------------------------------

    def _containers(self, units: t.Mapping[str, Json]) -> tuple[Json, dict[str, t.Mapping[str, t.Any]]]:
        service = units.get(DOCKER_UNIT) or {}
        docker: Json = {"reachable": False, "version": None, "error": None, "cgroup": service.get("cgroup")}
        if self._engine.socket == os.devnull:
            return {**docker, "error": f"{DOCKER_UNIT} is stopped; to ask it would start it"}, {}
        try:
            version = self._engine.version()
            named = {name: self._engine.inspect(name) for name in (CONTAINER, REALTIME, PROXY, CLOUDFLARED)}
        except _client.EngineError as error:
            return {**docker, "error": str(error)}, {}
        if any("Podman" in str(part.get("Name")) for part in version.get("Components") or []):
            return {**docker, "error": "what answers at its socket is Podman"}, {}
        docker.update(reachable=True, version=version.get("Version"))
        return docker, {name: inspected for name, inspected in named.items() if inspected is not None}

    def _asked(self, question: t.Callable[..., t.Any], *arguments: t.Any) -> t.Any:
        """The engine's answer; None where it has none."""
        try:
            return question(*arguments)
        except _client.EngineError:
            return None

    def _left_over(self, layout: str | None, beside: t.Mapping[str, t.Any] | None) -> Json:
        """What the separate layout has left on a host of the bundled one (facts 51, 53)."""
        bundled = layout == _pusher.BUNDLED
        override = self._data_path + "/source/docker-compose.custom.yml"
        unused = bundled and _state.binds_old_service(self._text(override) or "")
        return {
            "left_over": _state.container_state(beside) if bundled and beside is not None else None,
            "unused_override": override if unused else None,
        }

    def _coolify(self, inspected: t.Mapping[str, t.Any] | None, layout: str | None) -> Json:
        if inspected is None:
            nothing: Json = dict.fromkeys(("env_file", "version", "pusher_scheme_obeyed", "container"))
            others = _state.others(self._asked(self._engine.containers) or [])
            return {"found": False, "others": others, "environment": {}, **nothing}
        environment = _client.environment(dict(inspected))
        files = [self._asked(self._engine.read_file, inspected["Id"], path) for path in (CONSTANTS, BROADCASTING)]
        constants, broadcasting = (file.data.decode("utf-8", "replace") if file else "" for file in files)
        version = _state.coolify_version(constants, {})
        if version is None:
            image = self._asked(self._engine.image, str(inspected.get("Image"))) or {}
            version = _state.coolify_version("", _client.environment(image))
        return {
            "found": True,
            "others": [],
            "env_file": _state.mounted_env_file(inspected),
            "version": version,
            "pusher_scheme_obeyed": _state.scheme_obeyed(broadcasting, layout),
            "container": _state.container_state(inspected),
            "environment": _without_secrets(environment),
        }

    def _env_file(self) -> Json:
        path = self._data_path + "/source/.env"
        data = self._bytes(path)
        values: t.Mapping[str, str] = {}
        error = None
        if data is not None:
            try:
                values = _dotenv.values(data)
                # Laravel's reader is not the only one of the file: what Docker Compose refuses ends the next start.
                _dotenv.edit(data, {})
            except ValueError as problem:
                error = str(problem)
        return {"path": path, "exists": data is not None, "variables": _without_secrets(values), "error": error}

    def _proxy(self, containers: t.Mapping[str, t.Mapping[str, t.Any]], coolify: t.Mapping[str, t.Any] | None) -> Json:
        """The proxy, its own ports, and Traefik's routers by its API (None where nobody says)."""
        inspected = containers.get(PROXY) or {}
        proxy: Json = _state.proxy(containers.get(PROXY))
        entries = {name: _state.published_ports(inspected, port) for name, port in (("http", 80), ("https", 443))}
        proxy.update(ports={name: next(iter(found), None) for name, found in entries.items()}, routers=None)
        if proxy["kind"] == "traefik" and proxy["state"] == "running" and proxy["ports"]["http"]:
            address = _state.published_addresses(inspected, 80)[0]
            hosts = {
                CONTAINER: [CONTAINER, *_state.own_addresses(coolify or {})],
                REALTIME: [CONTAINER, REALTIME, *_state.own_addresses(containers.get(REALTIME) or coolify or {})],
            }
            places = {
                "page": {
                    *(f"host.docker.internal:{port}" for port in _state.published_ports(coolify or {}, 8080)),
                    *(f"{one}:8080" for one in hosts[CONTAINER]),
                },
                "app": {f"{one}:{_pusher.APP_PORT}" for one in hosts[REALTIME]},
                "terminal": {f"{one}:{_pusher.TERMINAL_PORT}" for one in hosts[REALTIME]},
            }
            address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
            proxy["routers"] = _traefik.ask(address, proxy["ports"]["http"], places)
        return proxy

    def _domain(self, kind: str) -> dict[str, str] | None:
        traefik = self._data_path + "/proxy/dynamic/coolify.yaml"
        caddy = self._data_path + "/proxy/caddy/dynamic/coolify.caddy"
        readers = [(traefik, _state.domain_of_traefik), (caddy, _state.domain_of_caddy)]
        # Of two files, one is left over from the proxy that was used before.
        for path, reader in reversed(readers) if kind == "caddy" else readers:
            text = self._text(path)
            found = reader(text, path) if text is not None else None
            if found is not None:
                return found
        return None

    # -- the system ----------------------------------------------------------------------------------------------------

    def _os(self) -> Json:
        names = [
            os.path.basename(path)
            for folder in ("/usr/lib/systemd", "/lib/systemd", "/usr/lib/*/systemd")
            for path in sorted(glob.glob(self._path(folder) + "/libsystemd-shared-*"))
        ]
        name = _state.system_name(self._text("/etc/os-release") or "")
        python = os.path.realpath(self._path(SYSTEM_PYTHON)) if os.path.exists(self._path(SYSTEM_PYTHON)) else ""
        return {
            "pretty_name": name,
            "systemd": _state.systemd_version(names),
            "units": self._units_trouble(),
            "pythons": {
                SYSTEM_PYTHON: _state.python_version(python),
                sys.executable: ".".join(map(str, sys.version_info[:2])),
            },
        }

    def _units_trouble(self) -> str | None:
        """Why no unit can be put in and started here; None where one can."""
        if not os.path.isdir(self._path("/run/systemd/system")):
            return "systemd does not run here"
        writable = os.access(self._path(_host.UNIT_FOLDER), os.W_OK)
        return None if writable else f"{_host.UNIT_FOLDER} cannot be written"

    def _ufw(self) -> Json:
        conf = self._text("/etc/ufw/ufw.conf")
        return {
            "installed": os.path.exists(self._path("/usr/sbin/ufw")),
            "active": _ufw_rules.active(conf or ""),
            "ipv6": _ufw_files.guards_ipv6(self._root),
            "rules": [
                *_ufw_rules.parse(self._text("/etc/ufw/user.rules") or "", "ipv4"),
                *_ufw_rules.parse(self._text("/etc/ufw/user6.rules") or "", "ipv6"),
            ],
        }

    def _units(self, others: t.Sequence[str]) -> dict[str, dict[str, t.Any]]:
        _status, output, _error = self._run(
            ["systemctl", "show", "--property=Id,LoadState,ActiveState,UnitFileState,ControlGroup", SELF_HEAL_UNIT, _host.UNIT,
             DOCKER_UNIT, _state.DOCKER_SOCKET_UNIT, *others]
        )
        return _state.systemd_units(output)

    def _nft(self) -> tuple[Json, Json | None]:
        """Return what nft can do here, and our table as it runs now.

        The one call that asks for the table tells both where it is loaded, which is the case on every treated host.
        """
        status, output, error = self._run(["nft", "-j", "list", "table", _nft_rules.FAMILY, _nft_rules.TABLE])
        nft: Json = {"available": status == 0, "version": _state.nft_version(output), "error": None, "lacks": None}
        if status == 0:
            return nft, _nft_rules.parse(output)
        if status == 127:
            refused = _kernel.refusal()
            lacks = "kernel" if refused else None if any(os.path.exists(self._path(path)) for path in INSTALLERS) else "package"
            return {**nft, "error": refused or error, "lacks": lacks}, None
        _status, version, _error = self._run(["nft", "--version"])
        nft["version"] = _state.nft_version(version)
        if "No such file or directory" in error:
            return {**nft, "available": True}, None
        return {**nft, "error": error.strip() or f"nft exited with {status}", "lacks": "kernel"}, None

    # -- what this collection manages ----------------------------------------------------------------------------------

    def _nginx(self, coolify: t.Mapping[str, t.Any] | None) -> Json:
        facts: Json = {"present": False, "current": None, "loaded": None, "foreign": [], "error": None, "mounted": False}
        if coolify is None:
            return facts
        try:
            snapshot = _container.read(self._engine, dict(coolify))
            wanted = _container.wanted(self._engine, snapshot, _routes.settings(self._nginx_settings))
            present = _http_conf.is_treated(snapshot.text)
        except (_container.NginxError, _client.EngineError, _routes.HttpConfError) as problem:
            facts.update(error=str(problem), mounted=isinstance(problem, _container.Mounted))
            return facts
        loaded = not snapshot.running or self._asked(_container.is_loaded, self._engine, snapshot)
        facts.update(present=present, current=not wanted.changed, loaded=loaded)
        facts["foreign"] = [location._asdict() for location in wanted.foreign]
        return facts

    def _self_heal(self, units: t.Mapping[str, t.Mapping[str, t.Any]]) -> Json:
        unit = units.get(SELF_HEAL_UNIT) or {}
        try:
            state = json.loads(self._text(SELF_HEAL_STATE) or "null")
        except ValueError:
            state = None
        return {
            "installed": bool(unit.get("installed")),
            "active_state": unit.get("active_state"),
            "enabled": unit.get("enabled"),
            "state": state,
        }

    def _traefik(self) -> Json:
        path = self._data_path + "/proxy/dynamic/coolify-websocket.yaml"
        try:
            content = _kept.text(self._path(path))
        except OSError:
            content = None
        entry = _kept.Entry(self._path(STATE_FOLDER), "traefik", path)
        try:
            kept, cut = entry.load() is not None, entry.cut()
        except (OSError, _kept.KeptError):
            kept = cut = True
        facts = {"path": path, "present": content is not None, "content": content, "kept": kept, "cut": cut}
        facts["settling"] = content is not None and time.time() - os.stat(self._path(path)).st_mtime < _SETTLING
        # Read on the control node, which alone has a YAML library, and not passed on.
        return {**facts, "neighbours": _traefik.neighbours(self._path(path))}

    def _firewall(self, table: Json | None, units: t.Mapping[str, t.Mapping[str, t.Any]]) -> Json:
        unit = units.get(_host.UNIT) or {}
        kept = self._text(_host.RULE_FILE)
        return {
            "file_present": kept is not None,
            "table_loaded": table is not None,
            **(table or {"rules": [], "refused_packets": None, "refused": []}),
            "intact": None if table is None else table["rules"] == _nft_rules.loads(kept or ""),
            "outside_bridges": _host.outside_now(self._asked(self._engine.networks), self._root),
            "unit": unit.get("active_state"),
        }

    def _other_rules(self, published: t.Mapping[str, list[int]], ufw: Json) -> list[Json]:
        saved = {family: self._run([f"{tool}-save"])[1] for family, tool in (("ipv4", "iptables"), ("ipv6", "ip6tables"))}
        after = {path: self._text(path) or "" for path in ("/etc/ufw/after.rules", "/etc/ufw/after6.rules")}
        return _other_rules.other_rules([*published["app"], *published["terminal"]], ufw, saved, after)

    def _tunnel(self, managed_by_coolify: bool, connectors: list[_tunnels.Connector], host: str | None) -> Json:
        count = _tunnels.counting(connectors, lambda path: _tunnels.names(self._text(path) or "", host or ""))
        path = self._tunnel_config or next((one.path for one in count if one.path), None)
        remote = self._tunnel_config is None and any(one.remote for one in count)
        inside = path is None and not remote and bool(count)
        if path is None:
            found = (one for one in _tunnels.candidates("", "/root", "") if os.path.isfile(self._path(one)))
            path = next(found, _TUNNEL_CONFIG)
        text = None if inside else self._text(path)
        return {
            "path": path,
            "present": text is not None,
            "managed_by_coolify": managed_by_coolify,
            "remote": remote,
            "connectors": [
                {**one._asdict(), "counts": one in count if self._tunnel_config is None else one.path == path}
                for one in connectors
            ],
            # Read on the control node, which alone has a YAML library, and not passed on.
            "text": None if remote else text,
        }


def _without_secrets(values: t.Mapping[str, str]) -> dict[str, str]:
    return {key: values[key] for key in sorted(values) if key in _dotenv.NON_SECRET_KEYS}
