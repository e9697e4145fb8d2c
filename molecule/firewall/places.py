"""A Coolify host of the lab as the firewall scenario sees it: driven, and looked at from every place around it."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cells

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PREFIX = os.environ.get("LAB_PREFIX") or "molecule"
FOLDER = ROOT / ".lab" / PREFIX
INVENTORY = ROOT / ".lab" / "inventory.yml" if PREFIX == "lab" else FOLDER / "inventory.yml"
BIN = Path(sys.executable).parent
#: Behind a bridge of the host's without the default route: this host's end and the machine there.
LAN = {4: ("192.168.77.1/24", "192.168.77.2/24"), 6: ("fd00:88::1/64", "fd00:88::2/64")}
SPOOFED = {4: "100.64.200.200", 6: "fd7a:115c:a1e0::bad"}
SOCKETS_PER_PORT = 50
_STRANGER = threading.Lock()
DAEMON = "/etc/docker/daemon.json"
#: Where the later network's container is published; nobody guards it by itself.
LATER = 7001


class Off(AssertionError):
    """Something is not as the design says."""


class Host:
    """One Coolify host of the lab, and the places around it to look from."""

    def __init__(self, name: str, inventory: dict[str, t.Any]) -> None:
        groups = inventory["all"]["children"]
        here = groups["coolify"]["hosts"][name]
        (self.outside, beyond), = groups["outside"]["hosts"].items()
        (self.peer, _variables), = groups["tailnet"]["hosts"].items()
        self.name = name
        self.domain = here["lab_domain"]
        # In the bundled layout `coolify` is its own realtime server.
        self.realtime = "coolify-realtime" if here["lab_coolify"].startswith("4.3.") else "coolify"
        self.edge = groups["coolify"]["vars"]["lab_edge_address"]
        self.address = {4: here["ansible_host"], 6: here["lab_address6"]}
        self.stranger = {4: beyond["ansible_host"], 6: beyond["lab_address6"]}
        # Neighbours of the stranger's addresses, which nobody else of the lab has.
        self.user = {family: str(ipaddress.ip_address(address) + 90) for family, address in self.stranger.items()}
        self.record = FOLDER / f"cells-{name}.json"
        self.trusted = False
        self.probes: list[dict[str, t.Any]] = []

    # -- the host ---------------------------------------------------------------------------------------------------

    def run(self, *words: str, machine: str | None = None, check: bool = True) -> str:
        done = subprocess.run(
            ["docker", "exec", machine or self.name, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False,
        )
        if check and done.returncode:
            raise Off(f"{machine or self.name}: {' '.join(words)} → {done.returncode}\n{done.stdout}")
        return done.stdout

    def shell(self, script: str, machine: str | None = None, check: bool = True) -> str:
        return self.run("sh", "-c", script, machine=machine, check=check)

    def ansible(self, *words: str, **environment: str) -> tuple[subprocess.Popen[str], Path]:
        """Start one of Ansible's commands against this host; its output goes to a log beside the inventory."""
        log = FOLDER / f"firewall-{self.name}-{time.time():.3f}.log"
        with log.open("w") as out:
            process = subprocess.Popen(
                [str(BIN / words[0]), "-i", str(INVENTORY), "--limit", self.name, *words[1:]],
                cwd=ROOT, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                text=True,
            )
        return process, log

    def play(self, *options: str, **variables: object) -> None:
        process, log = self.ansible("ansible-playbook", *options, "-e", json.dumps(variables), str(HERE / "firewall.yml"))
        if process.wait():
            raise Off(f"the role failed with {variables}:\n{log.read_text()[-3000:]}")

    def role(self, state: str = "present", **variables: object) -> None:
        self.trusted = state == "present"
        self.play(coolify_state=state, coolify_firewall_trusted=list(self.user.values()) if self.trusted else [], **variables)

    def module(self, sources: t.Iterable[str], also: dict[str, t.Any] | None = None, **environment: str) -> subprocess.Popen[str]:
        """Start the module alone, with the tailnet and these sources trusted, and with other options too."""
        tailnet = [{"source": source, "interface": "tailscale0"} for source in ("100.64.0.0/10", "fd7a:115c:a1e0::/48")]
        options = {"ports": cells.GUARDED, "trusted": tailnet + [{"source": source} for source in sources], **(also or {})}
        words = ("coolify", "-m", "selfhosted.coolify.published_port_firewall", "-a", json.dumps(options))
        return self.ansible("ansible", *words, **environment)[0]

    def settle(self) -> None:
        """Wait until Coolify and its neighbours answer again, and the tailnet is there."""
        self.second_lan()
        deadline = time.monotonic() + 90
        ports = " ".join(map(str, cells.PORTS))
        script = (
            f"for p in {ports}; do printf 'GET /ready HTTP/1.0\\r\\n\\r\\n' | timeout 2 bash -c "
            "\"exec 3<>/dev/tcp/127.0.0.1/$p; cat >&3; head -c1 <&3 | grep -q .\" || exit 1; done; "
            "ip -6 addr show dev tailscale0 | grep -q fd7a && tailscale status --peers=false >/dev/null"
        )
        while subprocess.run(["docker", "exec", self.name, "sh", "-c", script], capture_output=True, check=False).returncode:
            if time.monotonic() > deadline:
                raise Off(f"{self.name} does not answer on its own ports 90 s after a restart")
            time.sleep(0.5)
        tailnet = self.tailnet()
        while subprocess.run(
            # Through WireGuard, as data goes: after a restart of tailscaled the peer's old session may answer nothing yet.
            ["docker", "exec", self.peer, "tailscale", "ping", "--tsmp", "--c=1", "--timeout=2s", tailnet[4]],
            capture_output=True, check=False,
        ).returncode:
            if time.monotonic() > deadline:
                raise Off(f"{self.peer} does not reach {tailnet[4]}")

    def tailnet(self) -> dict[int, str]:
        four, six = self.run("tailscale", "ip").split()
        return {4: four, 6: six}

    def prepare(self) -> None:
        """A port that is none of ours, on Coolify's own network, so that it differs from 6001 in its number alone."""
        self.shell(
            "docker inspect foreign >/dev/null 2>&1 || docker run -d --name foreign --restart unless-stopped "
            f"--network coolify -p {cells.FOREIGN}:6379 redis:7-alpine redis-server --protected-mode no"
        )

    def second_lan(self) -> None:
        """A second LAN on a bridge; a reboot takes it along."""
        words = [f"ip -{family} addr add {here} dev lan0{' nodad' * (family == 6)}" for family, (here, _there) in LAN.items()]
        for family, (here, there) in LAN.items():
            words.append(f"ip -n lan -{family} addr add {there} dev port1{' nodad' * (family == 6)}")
            words.append(f"ip -n lan -{family} route add default via {here.partition('/')[0]}")
        made = "ip link add lan0 type bridge && ip link set lan0 up && ip link add port0 type veth peer name port1 netns lan"
        joined = "ip link set port0 master lan0 up && ip -n lan link set port1 up"
        self.shell(f"ip netns list | grep -q lan || {{ ip netns add lan && {made} && {joined} && {' && '.join(words)}; }}")

    def network(self) -> dict[str, t.Any]:
        return json.loads(self.run("docker", "network", "inspect", "coolify"))[0]

    @contextlib.contextmanager
    def told(self, **options: object) -> t.Iterator[None]:
        """Docker's settings with these among them, then each byte as before; whoever calls restarts Docker."""
        before = self.shell(f"mkdir -p /etc/docker; cat {DAEMON} 2>/dev/null", check=False)
        self.shell(f"[ ! -e {DAEMON} ] || cp -a {DAEMON} {DAEMON}.before")
        self.shell(f"cat > {DAEMON} <<'EOF'\n{json.dumps({**json.loads(before or '{}'), **options})}\nEOF")
        try:
            yield
        finally:
            self.shell(f"if [ -e {DAEMON}.before ]; then mv {DAEMON}.before {DAEMON}; else rm {DAEMON}; fi")

    def later_network(self) -> None:
        """A network with a bridge name of its own, made while the table is loaded."""
        self.shell(
            "docker inspect later >/dev/null 2>&1 && exit; "
            "docker network create --ipv6 --subnet fd00:77::/64 --opt com.docker.network.bridge.name=later0 later && "
            f"docker run -d --name later --restart unless-stopped --network later -p {LATER}:6379 redis:7-alpine "
            "redis-server --protected-mode no"
        )

    # -- looking ----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def addresses(self) -> t.Iterator[None]:
        """As `_addresses`; one host at a time, since their containers' networks are the same to the one stranger."""
        with _STRANGER, self._addresses():
            yield

    @contextlib.contextmanager
    def _addresses(self) -> t.Iterator[None]:
        """The stranger takes more addresses; the host answers to the false one, as a router on the way would carry it."""
        with_all = " && ".join(
            f"ip -{family} addr replace {address}/{'32' if family == 4 else '128 nodad'} dev eth0"
            for family, address in [*SPOOFED.items(), *self.user.items()]
        )
        self.shell(with_all, machine=self.outside)
        for config in self.network()["IPAM"]["Config"]:
            family = 6 if ":" in config["Subnet"] else 4
            way = ["route", "replace", config["Subnet"], "via", self.address[family]]
            self.run("ip", f"-{family}", *way, machine=self.outside)
        # Only for as long as it is looked: a way back of this kind is nothing that the host has. Tailscale's own table
        # of routes would be asked first, and would swallow the answers that the attempt has to see.
        routes = [
            f"ip -{family} {words} {address} {rest}"
            for family, address in SPOOFED.items()
            for words, rest in (
                ("route {verb}", f"via {self.stranger[family]} dev eth0"),
                ("rule {verb} pref 100 to", "lookup main"),
            )
        ]
        self.shell(" && ".join(route.format(verb="add") for route in routes))
        try:
            yield
        finally:
            self.shell("; ".join(route.format(verb="del") for route in routes), check=False)

    def places(self) -> dict[str, tuple[list[str], dict[int, str | None], dict[int, str]]]:
        """For each source: command that goes there, address to come from, address to go to."""
        none: dict[int, str | None] = {4: None, 6: None}
        enter = ["docker", "exec", self.name, "nsenter", "-n", "-t"]
        own = self.run("docker", "inspect", "-f", "{{.State.Pid}}", "coolify").strip()
        found = {
            "outside": (["docker", "exec", self.outside], {**self.stranger}, self.address),
            "spoofed": (["docker", "exec", self.outside], {**SPOOFED}, self.address),
            "user": (["docker", "exec", self.outside], {**self.user}, self.address),
            "second lan": (["docker", "exec", self.name, "ip", "netns", "exec", "lan"], none, self.address),
            "routed": (["docker", "exec", self.outside], {**self.stranger}, {}),
            "tailnet": (["docker", "exec", self.peer], none, self.tailnet()),
            "host": (["docker", "exec", self.name], none, self.address),
            "container": ([*enter, own], none, {}),
            "by host address": ([*enter, own], none, self.address),
            "tunnel": (["docker", "exec", self.outside], none, {4: self.edge}),
        }
        later = self.run("docker", "inspect", "-f", "{{.State.Pid}}", "later", check=False).strip()
        if later.isdigit() and later != "0":
            found["later network"] = ([*enter, later], none, self.address)
        return found

    def attempt(self, source: str, place: tuple[list[str], dict[int, str | None], dict[int, str]]) -> dict[str, bool]:
        into, come_from, go_to = place
        targets = []
        for cell in cells.cells():
            _source, port, family = cell
            if cell[0] != source:
                continue
            target: dict[str, t.Any] = {"key": cells.key(cell), "source": come_from[family], "port": port}
            if source == "tunnel":
                paths = {6001: "/app/probe?protocol=7", 6002: "/terminal/ws", cells.HTTP: "/"}
                target.update(host=go_to[4], port=443, name=self.domain, path=paths[port])
            elif source in ("container", "routed"):
                others = {cells.HTTP: ("coolify", 8080), cells.FOREIGN: ("foreign", 6379)}
                name, inner = others.get(port, (self.realtime, port))
                field = "IPAddress" if family == 4 else "GlobalIPv6Address"
                address = self.run("docker", "inspect", "-f", f"{{{{.NetworkSettings.Networks.coolify.{field}}}}}", name).strip()
                if not address:
                    continue
                target.update(host=address, port=inner)
            else:
                target["host"] = go_to[family]
            targets.append(target)
        return self.asked(into, targets)

    def asked(self, into: list[str], targets: list[dict[str, t.Any]]) -> dict[str, bool]:
        """Which of the targets answer, asked from where this command goes."""
        done = subprocess.run(
            [*into, "python3", "-c", (HERE / "attempt.py").read_text(), json.dumps(targets)],
            capture_output=True, text=True, check=False,
        )
        if done.returncode:
            raise Off(f"{self.name}: no attempt by {' '.join(into)}: {done.stderr}")
        return json.loads(done.stdout)

    def facts(self) -> dict[str, t.Any]:
        found: dict[str, t.Any] = {"user_trusted": self.trusted}
        found["firewalld"] = self.shell("systemctl is-active firewalld", check=False).strip() == "active"
        status = self.shell("ufw status")
        active = "Status: active" in status
        # Without its proxy dockerd itself holds the port, and answers nobody.
        listening = self.shell(f"ss -Hltnp 'sport = :{cells.HTTP}' | grep docker-proxy", check=False)
        for family, tool, nft, anywhere in ((4, "iptables-save", "ip", r"0\.0\.0\.0"), (6, "ip6tables-save", "ip6", r"\[::\]")):
            saved = self.shell(tool)
            tables = self.shell(f"nft list table {nft} docker-bridges 2>/dev/null", check=False)
            by_nft = re.search(rf"\btcp dport {cells.HTTP} .*\bdnat to", tables)
            found[f"dnat{family}"] = f"--dport {cells.HTTP} -j DNAT" in saved or bool(by_nft)
            found[f"published{family}"] = found[f"dnat{family}"] or bool(re.search(rf"({anywhere}|\*):{cells.HTTP}\b", listening))
            # The jumps stay when UFW is disabled; a flushed rule set has lost them although UFW is enabled.
            found[f"ufw{family}"] = active and "-A INPUT -j ufw" in saved
            found[f"tailscale{family}"] = "-A INPUT -j ts-input" in saved
        marks = (("user", self.user[4]), ("spoofed", "100.64.0.0/10"), ("tailnet", "fd7a:115c:a1e0::/48"))
        found["allowed"] = [name for name, mark in marks if mark in status]
        return found

    def measure(self, moment: str, judge: t.Callable[..., dict[str, bool]] = cells.judge) -> None:
        places = self.places()
        seen = {cells.key(cell): False for cell in cells.cells()}
        with self.addresses(), ThreadPoolExecutor(len(places)) as pool:
            for results in pool.map(lambda item: self.attempt(*item), places.items()):
                seen.update(results)
        facts = self.facts()
        print(f"{time.strftime('%H:%M:%S')} {self.name}: {moment}", flush=True)
        self.keep(moment, {"seen": seen, "facts": facts, "wrong": judge(moment, facts, seen)})

    def kept(self) -> dict[str, t.Any]:
        return json.loads(self.record.read_text()) if self.record.exists() else {"moments": {}, "notes": [], "off": []}

    def keep(self, moment: str, entry: dict[str, t.Any]) -> None:
        kept = self.kept()
        kept["moments"][moment] = entry
        self.record.write_text(json.dumps(kept, indent=1))

    def note(self, text: str, good: bool = True) -> None:
        kept = self.kept()
        kept["notes" if good else "off"].append(text)
        self.record.write_text(json.dumps(kept, indent=1))

    @contextlib.contextmanager
    def probing(self, what: str) -> t.Iterator[None]:
        """Knock from outside, every 20 ms, at both guarded ports in both families; none may ever get in."""
        # By its own address, not by one of those it takes to look from.
        targets = [f"{self.address[f]},{port},{self.stranger[f]}" for f in (4, 6) for port in cells.GUARDED]
        process = self.inside(self.outside, "watch.py", *targets)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            result = json.loads(process.communicate(timeout=30)[0])
        moments = [moment for moment, _host, _port in result["open"]]
        first = f" within {(moments[-1] - moments[0]) * 1000:.0f} ms, first {result['open'][0]}" if moments else ""
        text = f"{what}: {result['attempts']} attempts, {len(result['open'])} got in"
        text += f", longest pause {result['longest_gap_ms']} ms{first}"
        self.note(text, good=not moments)

    @contextlib.contextmanager
    def holding(self, what: str) -> t.Iterator[None]:
        """Hold sockets from the tailnet to both ports; none may be cut."""
        app_key = self.shell("sed -n 's/^PUSHER_APP_KEY=//p' /data/coolify/source/.env").strip()
        address = self.tailnet()[4]
        targets = [f"{address},6001,/app/{app_key}?protocol=7", f"{address},6002"]
        process = self.inside(self.peer, "hold.py", str(SOCKETS_PER_PORT), *targets)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            result = json.loads(process.communicate(timeout=30)[0])
        text = f"{what}: {result['opened']} sockets from the tailnet, {result['alive']} alive after {result['rounds']} rounds"
        self.note(text, good=result["alive"] == result["opened"] == SOCKETS_PER_PORT * len(cells.GUARDED))

    def inside(self, machine: str, program: str, *words: str) -> subprocess.Popen[str]:
        """A program of this folder in the network name space of a machine; returns when it has begun."""
        pid = subprocess.run(
            ["docker", "inspect", "-f", "{{.State.Pid}}", machine], capture_output=True, text=True, check=True
        ).stdout.strip()
        process = subprocess.Popen(
            ["nsenter", "-n", "-t", pid, sys.executable, str(HERE / program), *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        if not first:
            raise Off(f"{program} did not begin in {machine}")
        return process
