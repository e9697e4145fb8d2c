"""The pieces of the firewall on a host: files, unit and table come and go together."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.firewall import _host, _nft_rules, _policy, _units

TAILNET = [{"source": "100.64.0.0/10", "interface": "tailscale0"}]
RULES = _nft_rules.text(_policy.policy([6001, 6002], TAILNET))
LISTING = (Path(__file__).parent / "nft" / "1.1.3.json").read_text()
NO_TABLE = (1, "", "Error: No such file or directory\nlist table inet coolify_websocket")
FILES = ("etc/coolify-websocket/firewall.nft", "systemd/system/nftables.service.d/coolify-websocket.conf")


class Host:
    """Answers as nft and systemctl would, and keeps what was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loaded = False
        self.active = False
        self.failing: dict[str, tuple[int, str, str]] = {}
        self.asked: list[str] = []

    def run(self, argv, data):
        words = " ".join(argv)
        self.asked.append(words)
        for part, answer in self.failing.items():
            if part in words:
                return answer
        wants = self.folder / "systemd/system/sysinit.target.wants"
        if argv[1:3] == ["-j", "list"]:
            return (0, LISTING, "") if self.loaded else NO_TABLE
        if words == "nft -f -":
            self.loaded = data == RULES
        elif "delete table" in words:
            self.loaded = False
        elif argv[1] == "show":
            return 0, f"ActiveState={'active' if self.active else 'inactive'}\n", ""
        elif argv[1] == "enable":
            wants.mkdir()
            (wants / _host.UNIT).symlink_to("anything")
        elif argv[1] == "disable":
            (wants / _host.UNIT).unlink()
            wants.rmdir()
        elif argv[1] in ("start", "stop"):
            self.active = argv[1] == "start"
        return 0, "", ""

    def changes(self):
        return [words for words in self.asked if " show " not in words and " list " not in words]

    def files(self):
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))


@pytest.fixture
def host(tmp_path, monkeypatch):
    units = tmp_path / "systemd/system"
    units.mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    monkeypatch.setattr(_host, "UNIT_FOLDER", str(units))
    monkeypatch.setattr(_host, "UNIT_FOLDERS", (str(units),))
    monkeypatch.setattr(_host, "UNIT_FILE", str(units / _host.UNIT))
    monkeypatch.setattr(_host, "HOOK_FILE", str(tmp_path / FILES[1]))
    monkeypatch.setattr(_host, "RULE_FILE", str(tmp_path / FILES[0]))
    return Host(tmp_path)


@pytest.fixture
def firewall(host):
    made = _host.Firewall(host.run, "nft", "systemctl")
    made._booted = True
    return made


def apply(firewall):
    state = firewall.read()
    if state.table is None:
        firewall.check(RULES)
        firewall.load(RULES)
    firewall.install(firewall.wanted(RULES), state)


def test_everything_is_in_place_after_one_run_and_untouched_by_the_next(host, firewall):
    apply(firewall)
    assert host.changes() == [
        "nft -c -f -",
        "nft -f -",
        "systemctl daemon-reload",
        f"systemctl enable {_host.UNIT}",
        f"systemctl start {_host.UNIT}",
    ]
    for path, text in firewall.wanted(RULES).items():
        assert Path(path).read_text() == text
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o644
    host.asked.clear()
    apply(firewall)
    assert host.changes() == []


def test_refused_rules_change_nothing(host, firewall):
    before = host.files()
    host.failing["-c"] = (1, "", "Error: Could not process rule: Operation not supported\nadd rule …")
    with pytest.raises(_host.FirewallError, match=r"refuses the rules.*not supported.*nf_tables"):
        apply(firewall)
    assert host.changes() == ["nft -c -f -"]
    assert host.files() == before


def test_a_kernel_that_cannot_be_asked_is_not_an_empty_one(host, firewall):
    host.failing["list"] = (1, "", "netlink: Error: cache initialization failed: Operation not permitted")
    with pytest.raises(_host.FirewallError, match=r"not permitted.*CAP_NET_ADMIN"):
        firewall.read()


@pytest.mark.parametrize("installed", [True, False])
def test_where_nothing_is_of_ours_absent_has_nothing_to_do(host, installed):
    """Field case L7: a kernel that refuses nf_tables, and a host without nft."""
    host.failing["list"] = (1, "", "netlink: Error: cache initialization failed: Operation not permitted")
    firewall = _host.Firewall(host.run, "nft" if installed else None, "systemctl")
    state = firewall.read(absent=True)
    assert (state.table, set(state.files.values())) == (None, {None})
    firewall.remove(state)
    assert host.changes() == []


def test_where_something_of_ours_is_left_a_kernel_that_cannot_be_asked_stops_absent(host, firewall):
    apply(firewall)
    host.failing["list"] = (1, "", "netlink: Error: cache initialization failed: Operation not permitted")
    with pytest.raises(_host.FirewallError, match="not permitted"):
        firewall.read(absent=True)


def test_a_stopped_unit_is_started_and_a_lost_table_loaded(host, firewall):
    apply(firewall)
    host.active, host.loaded = False, False
    host.asked.clear()
    apply(firewall)
    assert host.changes() == ["nft -c -f -", "nft -f -", f"systemctl start {_host.UNIT}"]


def test_nothing_is_left_after_remove(host, firewall):
    before = host.files()
    apply(firewall)
    firewall.remove(firewall.read())
    assert host.files() == before
    assert not host.loaded
    assert not host.active
    host.asked.clear()
    firewall.remove(firewall.read())
    assert host.changes() == []


def test_what_a_killed_run_left_goes_too(host, firewall):
    before = host.files()
    apply(firewall)
    for path in firewall.wanted(RULES):
        Path(path + ".new").write_text("half a f")
    apply(firewall)
    firewall.remove(firewall.read())
    assert host.files() == before


@pytest.mark.parametrize("path", FILES)
def test_the_files_of_others_stay(host, firewall, path):
    neighbour = host.folder / path
    neighbour = neighbour.with_name("somebody-elses")
    neighbour.parent.mkdir(parents=True)
    neighbour.write_text("theirs")
    apply(firewall)
    firewall.remove(firewall.read())
    assert neighbour.read_text() == "theirs"


def test_a_stop_of_the_unit_never_opens_the_ports(firewall):
    unit = firewall.wanted(RULES)[_host.UNIT_FILE]
    settings = [line.partition("=")[0] for line in unit.splitlines() if "=" in line and not line.startswith("#")]
    assert "ExecStop" not in settings
    assert "ExecStopPost" not in settings
    assert "Conflicts" not in settings
    assert "Before=network-pre.target" in unit.splitlines()


def test_nftables_service_flushes_at_shutdown_only_after_docker_has_stopped(firewall):
    hook = firewall.wanted(RULES)[_host.HOOK_FILE].splitlines()
    assert hook.index("[Unit]") < hook.index("Before=docker.service") < hook.index("[Service]")


def test_without_a_running_systemd_the_unit_is_enabled_for_the_next_boot(host):
    firewall = _host.Firewall(host.run, "nft", "systemctl")
    firewall._booted = False
    apply(firewall)
    assert host.changes() == ["nft -c -f -", "nft -f -", f"systemctl enable {_host.UNIT}"]


def test_one_run_at_a_time(host, monkeypatch):
    monkeypatch.setattr(_host, "LOCK_SECONDS", 0.0)
    other = os.open(_host.UNIT_FOLDER, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(_host.FirewallError, match="another run"), _host.locked():
        pass
    with _host.locked(wanted=False):
        pass
    os.close(other)
    with _host.locked():
        pass


def test_default_routes_of_both_families():
    ipv4 = (
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "vmbr0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
        # The lower half of everything, as VPNs route it, is no default route.
        "tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0\n"
    )
    zero = "0" * 32
    ipv6 = (
        f"{zero} 00 {zero} 00 fe80000000000000000000000000000a 00000400 00000001 00000000 00000003     eth1\n"
        f"fe80{'0' * 28} 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001     eth0\n"
        f"{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n"
    )
    assert _host.default_route_interfaces(ipv4, ipv6) == ["eth1", "vmbr0"]
    assert _host.default_route_interfaces(ipv4, "") == ["vmbr0"]
    assert _host.default_route_interfaces("", "") == []


DOCKERS = [
    {"Name": "bridge", "Id": "4b1f" * 16, "Options": {"com.docker.network.bridge.name": "docker0"}},
    {"Name": "coolify", "Id": "0123456789abcdef" * 4, "Options": {}},
    {"Name": "own", "Id": "99" * 32, "Options": {"com.docker.network.bridge.name": "later0"}},
    {"Name": "shared", "Id": "77" * 32, "Options": {"com.docker.network.bridge.name": "vmbr0"}},
    {"Name": "old", "Id": "55" * 32, "Options": None},
]
BRIDGES = ["br-0123456789ab", "br-555555555555", "br-lan", "docker0", "later0", "vmbr0"]


def test_a_bridge_of_none_of_dockers_networks_is_outside():
    """F2: a second LAN on a bridge without the default route."""
    assert _host.outside_bridges(BRIDGES, ["vmbr0"], DOCKERS) == ["br-lan", "vmbr0"]


def test_without_an_engine_to_ask_the_names_decide():
    assert _host.outside_bridges(BRIDGES, ["eth0"], None) == ["br-lan", "later0", "vmbr0"]


# As Debian bookworm has it, shortened.
NFTABLES_SERVICE = """\
[Service]
Type=oneshot
ExecStart=/usr/sbin/nft -f /etc/nftables.conf
ExecReload=/usr/sbin/nft -f /etc/nftables.conf
ExecStop=/usr/sbin/nft flush ruleset
"""
CONF = "/etc/nftables.conf"
BOTH = f"/bin/sh -c '[ -r {CONF} ] && cat {CONF} {{}} | /usr/sbin/nft -I /etc -f - || exec /usr/sbin/nft -f {CONF}'"


@pytest.fixture
def vendor(tmp_path, monkeypatch):
    folder = tmp_path / "vendor"
    folder.mkdir()
    monkeypatch.setattr(_host, "UNIT_FOLDERS", (_host.UNIT_FOLDER, str(folder)))
    return folder


def commands(firewall):
    hook = firewall.wanted(RULES)[_host.HOOK_FILE]
    return [line for line in hook.splitlines() if line.startswith(("ExecStart=", "ExecReload=", "ExecStop="))]


def test_nftables_service_flushes_and_loads_our_table_in_one_transaction(firewall, vendor):
    (vendor / "nftables.service").write_text(NFTABLES_SERVICE)
    both = BOTH.format(_host.RULE_FILE)
    stop = f"/bin/sh -c '(echo flush ruleset; cat {_host.RULE_FILE}) | /usr/sbin/nft -f - || exec /usr/sbin/nft flush ruleset'"
    assert commands(firewall) == [
        "ExecStart=", f"ExecStart={both}",
        "ExecReload=", f"ExecReload={both}",
        "ExecStop=", f"ExecStop={stop}",
        f"ExecReload=-nft -f {_host.RULE_FILE}",
    ]  # fmt: skip


def test_a_command_of_another_shape_is_left_to_the_unit(firewall, vendor):
    (vendor / "nftables.service").write_text(NFTABLES_SERVICE.replace("/nft -f /etc/nftables.conf", "/nft --optimize -f /x"))
    assert [line for line in commands(firewall) if not line.startswith("ExecStop=")] == [f"ExecReload=-nft -f {_host.RULE_FILE}"]


def test_a_unit_that_somebody_else_changes_too_is_left_as_they_have_it(firewall, vendor):
    (vendor / "nftables.service").write_text(NFTABLES_SERVICE)
    theirs = Path(_host.UNIT_FOLDER) / "nftables.service.d" / "override.conf"
    theirs.parent.mkdir()
    theirs.write_text("[Service]\nExecStart=\nExecStart=/usr/sbin/nft -f /etc/mine.nft\n")
    assert commands(firewall) == [f"ExecReload=-nft -f {_host.RULE_FILE}"]


@pytest.mark.parametrize(
    ("theirs", "ours", "loaded"),
    [
        ("theirs\n", "ours\n", "theirs\nours\n"),
        ("theirs", "# ours\n", "theirs# ours\n"),
        ("theirs\n", "broken\n", "theirs\n"),
        ("theirs\n", None, "theirs\n"),
        ("broken\n", "ours\n", None),
        (None, "ours\n", None),
    ],
)
def test_what_nftables_service_loads(tmp_path, theirs, ours, loaded):
    nft, conf, rules, result = (tmp_path / name for name in ("nft", "conf", "rules", "result"))
    nft.write_text(
        f"#!{sys.executable}\nimport sys\ntext = open(0 if sys.argv[-1] == '-' else sys.argv[-1]).read()\n"
        f"sys.exit('broken' in text or not open({str(result)!r}, 'w').write(text))\n"
    )
    nft.chmod(0o755)
    for path, text in ((conf, theirs), (rules, ours)):
        if text is not None:
            path.write_text(text)
    hook = _units.hook("load", str(rules), f"[Service]\nExecStart={nft} -f {conf}\n")
    command = next(line for line in hook.splitlines() if line.startswith("ExecStart=/bin/sh"))
    done = subprocess.run(shlex.split(command.partition("=")[2]), check=False, stderr=subprocess.DEVNULL)
    assert (result.read_text() if result.exists() else None) == loaded
    assert (done.returncode == 0) == (loaded is not None)


@pytest.mark.skipif(not shutil.which("nft") or os.geteuid() != 0, reason="needs nft and root")
def test_a_rule_file_outside_etc_keeps_its_includes(tmp_path):
    conf, rules = tmp_path / "rules.nft", tmp_path / "ours.nft"
    conf.write_text('include "part.nft"\n')
    (tmp_path / "part.nft").write_text("table inet theirs {\n}\n")
    rules.write_text(RULES)
    nft = shutil.which("nft")
    hook = _units.hook("load", str(rules), f"[Service]\nExecStart={nft} -f {conf}\n")
    command = next(line for line in hook.splitlines() if line.startswith("ExecStart=/bin/sh")).partition("=")[2]
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", f"cd / && {command} && {nft} list tables"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split("\n")[:2] == ["table inet theirs", "table inet coolify_websocket"]
