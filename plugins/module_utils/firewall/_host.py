# SPDX-License-Identifier: GPL-3.0-or-later
"""The firewall table's four pieces on a host: running table, rule file, unit, and the hook into nftables.service."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from typing import Any, Callable, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from ..keeper import _durable, _kept, _trouble
from . import _nft_rules, _units

RULE_FILE = "/etc/coolify-websocket/firewall.nft"
UNIT = "coolify-websocket-firewall.service"
UNIT_FOLDER = "/etc/systemd/system"
UNIT_FILE = f"{UNIT_FOLDER}/{UNIT}"
HOOK_FILE = f"{UNIT_FOLDER}/nftables.service.d/coolify-websocket.conf"
#: By precedence, as systemd has them.
UNIT_FOLDERS = (UNIT_FOLDER, "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
LOCK_SECONDS = 60.0

#: argv and text for standard input → exit code, standard output, standard error
Run = Callable[[List[str], Optional[str]], Tuple[int, str, str]]


class FirewallError(Exception):
    """A step that failed; the message says which, what that leaves open, and what to do."""


class State(NamedTuple):
    """What is on the host; also what should be."""

    table: dict[str, Any] | None
    files: dict[str, str | None]
    enabled: bool
    active: bool | None


class Firewall:
    """Reads and writes the pieces.

    `run` starts a process; `nft` and `systemctl` are the paths of the two commands, None for one that is not installed.
    """

    def __init__(self, run: Run, nft: str | None, systemctl: str | None) -> None:
        self._run = run
        self._nft = nft
        self._systemctl = systemctl
        # systemctl is also there in containers and chroots that no systemd runs.
        self._booted = systemctl is not None and os.path.isdir("/run/systemd/system")

    @property
    def installed(self) -> bool:
        """Whether there is an nft to ask."""
        return self._nft is not None

    def read(self, absent: bool = False) -> State:
        """What is there now. Raises FirewallError where nft cannot read the kernel's tables.

        `absent`: not where no file of ours is there either, for then nobody ever loaded a table.
        """
        files = {path: _kept.text(path) for path in (RULE_FILE, UNIT_FILE, HOOK_FILE)}
        unit = self._unit()
        try:
            table = self._table()
        except FirewallError:
            if not absent or unit[0] or any(text is not None for text in files.values()):
                raise
            table = None
        return State(table, files, *unit)

    def wanted(self, rules: str) -> dict[str, str | None]:
        """The three files, by path, for the given rule text."""
        load = f"{self._nft or '/usr/sbin/nft'} -f {RULE_FILE}"
        return {
            RULE_FILE: rules,
            UNIT_FILE: _units.UNIT.format(load=load),
            HOOK_FILE: _units.hook(load, RULE_FILE, _nftables_service()),
        }

    def check(self, rules: str) -> None:
        """Let nft and the kernel judge the rules without loading them. Raises FirewallError where they refuse."""
        self._nft_file(["-c"], rules, "refuses the rules")

    def load(self, rules: str) -> None:
        """Replace the running table, in one transaction."""
        self._nft_file([], rules, "cannot load the rules")

    def install(self, files: dict[str, str | None], state: State) -> None:
        """Bring files and unit into the wanted state; the table is loaded already."""
        units_differ = any(state.files[path] != files[path] for path in (UNIT_FILE, HOOK_FILE))
        try:
            for path, text in files.items():
                if text is not None and state.files[path] != text:
                    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
                    _durable.write(path, text.encode("utf-8"), 0o644)
        except OSError as error:
            raise FirewallError(
                f"{_trouble.message(error)}. The running table guards the ports, but the next boot would not load it"
            ) from error
        if units_differ:
            self._reload_systemd()
        if not state.enabled:
            self._systemd("enable", UNIT)
        if state.active is False:
            self._systemd("start", UNIT)

    def remove(self, state: State) -> None:
        """Take all pieces away; folders go with their last file."""
        for path in state.files:
            _durable.refuse_link(path)
        if state.enabled:
            self._systemd("disable", UNIT)
        if state.active:
            self._systemd("stop", UNIT)
        for path in (UNIT_FILE, HOOK_FILE, RULE_FILE):
            _durable.remove(path)
        for path in (HOOK_FILE, RULE_FILE):
            # Not empty: somebody else keeps something there.
            with contextlib.suppress(OSError):
                os.rmdir(os.path.dirname(path))
        if state.files[UNIT_FILE] is not None or state.files[HOOK_FILE] is not None:
            self._reload_systemd()
            if self._booted and state.active is False:
                # A unit that had failed is remembered after its file is gone; one that had not is unknown: no error.
                self._run([str(self._systemctl), "reset-failed", UNIT], None)
        if state.table is not None:
            self._checked([str(self._nft), "delete", "table", _nft_rules.FAMILY, _nft_rules.TABLE], None, "cannot delete")

    def _table(self) -> dict[str, object] | None:
        if self._nft is None:
            return None
        argv = [self._nft, "-j", "list", "table", _nft_rules.FAMILY, _nft_rules.TABLE]
        code, out, err = self._run(argv, None)
        if code == 0:
            return _nft_rules.parse(out)
        if "No such file or directory" in err:
            return None
        raise FirewallError(f"nft cannot read the kernel's tables: {_last_words(out, err)}. {_REMEDY}")

    def _unit(self) -> tuple[bool, bool | None]:
        enabled = os.path.islink(f"{UNIT_FOLDER}/sysinit.target.wants/{UNIT}")
        if not self._booted:
            return enabled, None
        _code, out, _err = self._run([str(self._systemctl), "show", "--property=ActiveState", UNIT], None)
        return enabled, out.strip() == "ActiveState=active"

    def _nft_file(self, options: list[str], rules: str, failure: str) -> None:
        self._checked([str(self._nft), *options, "-f", "-"], rules, failure)

    def _checked(self, argv: list[str], data: str | None, failure: str) -> None:
        code, out, err = self._run(argv, data)
        if code != 0:
            raise FirewallError(f"nft {failure}: {_last_words(out, err)}. {_REMEDY}")

    def _reload_systemd(self) -> None:
        if self._booted:
            self._systemd("daemon-reload")

    def _systemd(self, *words: str) -> None:
        if self._systemctl is None:
            raise FirewallError("systemctl was not found: the table cannot be loaded at boot. Coolify's hosts run systemd.")
        code, out, err = self._run([self._systemctl, *words], None)
        if code != 0:
            raise FirewallError(
                f"systemctl {' '.join(words)} failed: {_trouble.advised(_last_words(out, err))}. "
                f"The running table is not affected; see: journalctl -u {UNIT}"
            )


@contextlib.contextmanager
def locked(wanted: bool = True) -> Iterator[None]:
    """One run at a time, without a lock file that would stay behind: the lock is on systemd's own folder.

    Not `wanted` by a run that only looks. Raises FirewallError where another one held it for longer than a minute.
    """
    if not wanted:
        yield
        return
    folder = os.open(UNIT_FOLDER, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise FirewallError(
                        f"another run has been at the firewall for {LOCK_SECONDS:.0f} s; wait for it and run again"
                    ) from None
                time.sleep(0.1)
        yield
    finally:
        os.close(folder)


def default_route_interfaces(ipv4_routes: str, ipv6_routes: str) -> list[str]:
    """The interfaces that carry a default route of the main table.

    From the texts of ``/proc/net/route`` and ``/proc/net/ipv6_route``, which is empty where IPv6 is off.
    """
    names = set()
    for fields in map(str.split, ipv4_routes.splitlines()[1:]):
        if len(fields) >= 8 and fields[1] == "00000000" and fields[7] == "00000000":
            names.add(fields[0])
    for fields in map(str.split, ipv6_routes.splitlines()):
        # The kernel lists its own "unreachable" default on lo where no real one exists.
        if len(fields) == 10 and fields[0] == "0" * 32 and fields[1] == "00" and fields[9] != "lo":
            names.add(fields[9])
    return sorted(names)


def outside_now(networks: Iterable[Mapping[str, Any]] | None, root: str = "/") -> list[str]:
    """The `outside_bridges` of the host whose file system is below `root`, as it is now."""

    def text(path: str) -> str:
        try:
            with open(os.path.join(root, path), encoding="ascii", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    folder = os.path.join(root, "sys/class/net")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    bridges = [name for name in names if os.path.isdir(f"{folder}/{name}/bridge")]
    routes = default_route_interfaces(text("proc/net/route"), text("proc/net/ipv6_route"))
    return outside_bridges(bridges, routes, networks)


def outside_bridges(
    present: Iterable[str], default_route: Iterable[str], networks: Iterable[Mapping[str, Any]] | None
) -> list[str]:
    """Which of the bridges `present` are none of Docker's: those of no network of the engine's, and any with a default route.

    `networks` is the engine's list; None where it does not answer, and the names it gives bridges decide.
    """
    if networks is None:
        dockers = {name for name in present if re.fullmatch(r"docker0|docker_gwbridge|br-[0-9a-f]{12}", name)}
    else:
        dockers = {
            str((network.get("Options") or {}).get("com.docker.network.bridge.name") or f"br-{network['Id'][:12]}")
            for network in networks
        }
    return sorted(set(present) - dockers.difference(default_route))


def _nftables_service() -> str | None:
    """The unit's text; None where there is none, or a drop-in of somebody else's may change what it says."""
    ours = os.path.basename(HOOK_FILE)
    for folder in UNIT_FOLDERS:
        with contextlib.suppress(OSError):
            if {name for name in os.listdir(f"{folder}/nftables.service.d") if name.endswith(".conf")} - {ours}:
                return None
    for folder in UNIT_FOLDERS:
        # Of the system: a link there, as of a unit that is masked, is followed.
        with contextlib.suppress(OSError):
            text = _durable.read_through(f"{folder}/nftables.service").decode("utf-8", "surrogateescape")
            if text:
                return text
    return None


def _last_words(out: str, err: str) -> str:
    return " / ".join((err.strip() or out.strip() or "no message").splitlines()[:3])


_REMEDY = (
    "The host needs a kernel with nf_tables (modules nf_tables, nft_fib_inet, nft_ct) and the right to use it; "
    "in a container, CAP_NET_ADMIN"
)
