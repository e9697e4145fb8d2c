# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds cloudflared's connectors on a host: units by their files, containers by the engine's list, processes by /proc.

No process is run; whether a unit runs is told by what ``systemctl show`` said of all units at once.
"""

from __future__ import annotations

import glob
import os
import re
import typing as t

from ..engine import _client
from ..keeper import _durable
from ..tunnel import _connectors, _units

#: In systemd's order: a file in an earlier folder hides one of the same name in a later one.
UNIT_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
_RUNNING = ("active", "activating", "reloading")

Json = t.Mapping[str, t.Any]
#: The text of a file of the host; None where there is none that can be read.
Text = t.Callable[[str], t.Optional[str]]


class Process(t.NamedTuple):
    """A process of cloudflared: its id, arguments, unit (by its control group), and the container it is in."""

    pid: str
    argv: list[str]
    unit: str
    container: str


class Finder:
    """One look at the connectors of one host, whose file system is below `root`."""

    def __init__(self, engine: _client.Engine, root: str, text: Text) -> None:
        self._engine = engine
        self._root = root
        self._text = text
        self._processes = self._read_processes()
        self._services = self._read_services()

    @property
    def units(self) -> list[str]:
        """The names of the units that run cloudflared, to be asked for together with others."""
        return sorted(self._services)

    def connectors(self, units: t.Mapping[str, Json]) -> list[_connectors.Connector]:
        """All of them; `units` is what systemd says of its units, by name."""
        found = [self._unit(name, units.get(name) or {}) for name in self.units]
        containers = self._containers()
        found += [self._container(one) for one in containers]
        explained = {str(one.get("Id")) for one in containers}
        found += [
            self._process(one) for one in self._processes if one.unit not in self._services and one.container not in explained
        ]
        return [one for one in found if one is not None]

    # -- units ---------------------------------------------------------------------------------------------------------

    def _read_services(self) -> dict[str, _units.Service]:
        paths: dict[str, str] = {}
        for folder in UNIT_FOLDERS:
            for path in sorted(glob.glob(self._path(folder) + "/*.service")):
                paths.setdefault(os.path.basename(path), path)
        services = {}
        for name, path in paths.items():
            if self._is_alias(path):
                continue
            for one in self._instances(name):
                text = self._with_drop_ins(one, name, path)
                if "cloudflared" not in one + text:
                    continue
                service = _units.service(one, text)
                if self._command(one, service) is not None:
                    services[one] = service
        return services

    def _is_alias(self, path: str) -> bool:
        """Whether this is another name of a unit, or masks one."""
        if not os.path.islink(path):
            return False
        target = os.readlink(path)
        return target == os.devnull or os.path.basename(target) != os.path.basename(path)

    def _instances(self, name: str) -> list[str]:
        """The unit itself, or of a template those that are enabled or run."""
        if not name.endswith("@.service"):
            return [name]
        pattern = glob.escape(name[: -len(".service")]) + "?*.service"
        wanted = [path for folder in UNIT_FOLDERS[:2] for path in glob.glob(self._path(folder) + "/*.*/" + pattern)]
        running = [one.unit for one in self._processes if one.unit.startswith(name[: -len(".service")])]
        return sorted({os.path.basename(path) for path in wanted}.union(running))

    def _with_drop_ins(self, name: str, file: str, path: str) -> str:
        texts: dict[str, str] = {}
        for folder in UNIT_FOLDERS:
            for owner in (name, file):
                for drop_in in glob.glob(glob.escape(f"{self._path(folder)}/{owner}.d") + "/*.conf"):
                    texts.setdefault(os.path.basename(drop_in), _read(drop_in))
        return "\n".join([_read(path), *(texts[key] for key in sorted(texts))])

    def _command(self, name: str, service: _units.Service) -> _connectors.Command | None:
        environment = dict(service.environment)
        for pattern in service.files:
            for path in sorted(glob.glob(self._path(pattern))):
                environment.update(_units.environment_file(_read(path)))
        named = name.partition("@")[0].partition(".")[0] == "cloudflared"
        commands = [_units.expanded(one, environment) for one in service.commands]
        found = [_connectors.command(one, environment, named) for one in commands]
        return next((one for one in found if one is not None), None)

    def _unit(self, name: str, state: Json) -> _connectors.Connector | None:
        service = self._services[name]
        command = self._command(name, service)
        if command is None:
            return None
        running = state.get("active_state") in _RUNNING or any(one.unit == name for one in self._processes)
        home = self._home(service.user)
        folder = home if service.folder == "~" else service.folder
        return self._described("unit", name, running, command, _connectors.candidates(command.config, home, folder))

    def _home(self, user: str) -> str:
        """The home of a user, by name or number; root's where nothing tells another one."""
        for line in (self._text("/etc/passwd") or "").splitlines():
            fields = line.split(":")
            if len(fields) > 5 and user and user in (fields[0], fields[2]):
                return fields[5]
        return "/root"

    # -- containers ----------------------------------------------------------------------------------------------------

    def _containers(self) -> list[dict[str, t.Any]]:
        """The inspections of those that run cloudflared: by their image, or since a process of it is in there."""
        seen = {one.container for one in self._processes}
        found = []
        try:
            for listed in self._engine.containers():
                image = str(listed.get("Image") or "")
                # Of an image whose tag has moved on, the list tells the digest alone.
                if _connectors.is_image(image) or listed.get("Id") in seen or not image or image.startswith("sha256:"):
                    inspected = self._engine.inspect(str(listed.get("Id"))) or {}
                    image = str((inspected.get("Config") or {}).get("Image") or "")
                    if _connectors.is_image(image) or inspected.get("Id") in seen:
                        found.append(inspected)
        except _client.EngineError:
            pass
        return found

    def _container(self, inspected: dict[str, t.Any]) -> _connectors.Connector | None:
        config, environment = inspected.get("Config") or {}, _client.environment(inspected)
        argv = [str(inspected.get("Path") or ""), *(inspected.get("Args") or [])]
        command = _connectors.command(argv, environment)
        if command is None:
            return None
        mounts = inspected.get("Mounts") or []
        user = str(config.get("User") or "root").partition(":")[0]
        home = environment.get("HOME") or ("/root" if user in ("0", "root") else "/home/nonroot")
        paths: list[str | None] = []
        for path in _connectors.candidates(command.config, home, str(config.get("WorkingDir") or "")):
            host = _connectors.on_host(path, mounts)
            if host is None and self._has(str(inspected.get("Id")), path):
                # The container's own file: its list cannot be reached from the host.
                break
            paths.append(host)
        if command.token_file:
            command = command._replace(token_file=_connectors.on_host(command.token_file, mounts) or "?")
        running = bool((inspected.get("State") or {}).get("Running"))
        name = str(inspected.get("Name") or "").lstrip("/")
        return self._described("container", name, running, command, [path for path in paths if path])

    def _has(self, container: str, path: str) -> bool:
        try:
            return self._engine.has_path(container, path)
        except _client.EngineError:
            return False

    # -- processes -----------------------------------------------------------------------------------------------------

    def _read_processes(self) -> list[Process]:
        found = []
        for folder in glob.glob(self._path("/proc/[0-9]*")):
            argv = _read(folder + "/cmdline").split("\0")
            if os.path.basename(argv[0]) == "cloudflared" and _connectors.command(argv[:-1], {}) is not None:
                groups = _read(folder + "/cgroup").splitlines()
                unit = next((line for line in groups if line.endswith(".service") and "/user.slice/" not in line), "")
                container = next(iter(_CONTAINER_ID.findall("".join(groups))), "")
                found.append(Process(os.path.basename(folder), argv[:-1], unit.rpartition("/")[2], container))
        return sorted(found)

    def _process(self, process: Process) -> _connectors.Connector | None:
        folder = self._path("/proc/" + process.pid)
        pairs = [entry.partition("=") for entry in _read(folder + "/environ").split("\0")]
        environment = {key: value for key, _equals, value in pairs}
        command = _connectors.command(process.argv, environment)
        if command is None:
            return None
        # In a container of an engine that is not asked, the paths are not the host's.
        paths = []
        if not process.container:
            home = environment.get("HOME") or "/root"
            paths = _connectors.candidates(command.config, home, _linked(folder + "/cwd"))
        return self._described("process", process.pid, True, command, paths)

    # -- what is common to them ----------------------------------------------------------------------------------------

    def _described(
        self, kind: str, name: str, running: bool, command: _connectors.Command, paths: t.Sequence[str]
    ) -> _connectors.Connector:
        path = next((one for one in paths if os.path.isfile(self._path(one))), None)
        token = command.token or (self._text(command.token_file) if command.token_file else "") or ""
        if not command.remote and path:
            token = _connectors.token_in(self._text(path) or "")
        account, tunnel = _connectors.ids(token)
        return _connectors.Connector(kind, name, running, command.remote or bool(token), path, account, tunnel)

    def _path(self, path: str) -> str:
        return os.path.join(self._root, path.lstrip("/"))


def _read(path: str) -> str:
    try:
        return _durable.read_through(path).decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _linked(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return "/"
