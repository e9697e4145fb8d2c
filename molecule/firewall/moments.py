"""Drives the firewall scenario: brings the hosts from moment to moment and measures every cell at each.

    moments.py untreated | treated | removed

What was seen is kept beside the inventory in cells-<host>.json; `removed` prints the table and fails for any cell,
probe or socket that is not as the design says.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import cells
import ufw_docker
import yaml
from places import INVENTORY, LATER, PREFIX, ROOT, Host, Off

KILLS = 4
COMMENT = "Coolify WebSocket (selfhosted.coolify)"
UFW_RULES = ("/etc/ufw/after.rules", "/etc/ufw/after6.rules")
LOADED = "nft list table inet coolify_websocket"


class Moments(Host):
    """The host's way from untreated to removed."""

    def untreated(self) -> None:
        self.record.unlink(missing_ok=True)
        self.prepare()
        self.settle()
        self.measure("untreated")

    def treated(self) -> None:
        self.later_network()
        self.measure("applied")
        with self.holding("change, ufw reload, remove, apply"):
            with self.probing("change of the trusted list, ufw reload"):
                self.role()
                self.shell("ufw reload")
            self.role("absent")
            self.by_hand()
            self.role()
        self.rules_of_ufw()
        self.measure("user added, ufw reload")
        self.published_elsewhere()
        with self.probing("two runs at once, each with another list; runs cut by SIGKILL; the run after"):
            for process in [self.module([self.user[4]]), self.module([self.user[6]])]:
                process.wait()
            both = self.shell(LOADED)
            one_of_them = (self.user[4] in both) != (self.user[6] in both)
            same = self.shell("nft -c -f /etc/coolify-websocket/firewall.nft && cat /etc/coolify-websocket/firewall.nft")
            self.note("two runs at once: table and file are those of one of them",
                      good=one_of_them and (self.user[4] in same) == (self.user[4] in both))
            stages = self.killed()
            self.role()
        self.check_state(f"{len(stages)} runs cut by SIGKILL ({', '.join(stages)}) and one more", cut=len(stages) == KILLS)
        with self.probing("ufw disable and enable, restarts of Docker, tailscaled and nftables.service, which flushes"):
            self.after("ufw disable", "ufw disable")
            self.after("docker restart", "ufw --force enable && systemctl restart docker")
            self.after("tailscaled restart", "systemctl restart tailscaled")
            self.after("nftables restart", "systemctl restart nftables")
            self.shell("for n in 1 2 3; do systemctl reload nftables; systemctl restart nftables; sleep 1; done")
            self.without_chains()
        self.other_docker()
        # With nftables.service active, which then flushes once more at shutdown.
        with self.probing("reboot"):
            subprocess.run(
                [sys.executable, str(ROOT / "molecule/shared/lab"), "restart", "--prefix", PREFIX, self.name],
                check=True, cwd=ROOT, stdout=subprocess.DEVNULL,
            )
            self.settle()
        self.measure("reboot")
        with self.probing("ufw-docker's block comes and goes"):
            self.ufw_docker()
        with self.probing("ufw reset, UFW enabled by the role, sshd on port 2222"):
            self.after("ufw reset", "ufw --force reset")
            self.ssh_elsewhere()
        self.measure("ufw by the role")

    def other_docker(self) -> None:
        """Docker told to do without its proxy, then the other thing about IPv6; the reboot has it as before."""
        with self.probing("Docker without userland-proxy, then with ip6tables the other way"):
            with self.told(**{"userland-proxy": False}):
                self.after("no userland-proxy", "systemctl restart docker")
            # Engines before 27 have ip6tables off, and among what is experimental.
            rewrites = int(self.run("docker", "version", "-f", "{{.Server.Version}}").partition(".")[0]) >= 27
            with self.told(experimental=True, ip6tables=not rewrites):
                self.after("ip6tables the other way", "systemctl restart docker")
                self.published_in_ipv6()

    def published_in_ipv6(self) -> None:
        """A container that has IPv6 itself, so that ip6tables rewrites to it: its port with and without our guard."""
        rewritten, seen = f"--dport {LATER} -j DNAT" in self.shell("ip6tables-save -t nat"), []
        target = {"key": "later", "source": self.stranger[6], "host": self.address[6], "port": LATER}
        for process in (lambda: self.module([], {"ports": [*cells.GUARDED, LATER]}).wait(), self.role):
            process()
            seen.append(self.asked(["docker", "exec", self.outside], [target])["later"])
        self.note(f"port {LATER} of a container with IPv6, {'' if rewritten else 'not '}rewritten by ip6tables, with and "
                  f"without our guard: {seen}", good=seen == [False, rewritten])

    def published_elsewhere(self) -> None:
        """F1: a container's own port, asked for at its own address, where Docker publishes it at another."""
        foreign, seen = cells.key(("routed", cells.FOREIGN, 4)), []
        ports = [*cells.GUARDED, cells.FOREIGN]
        for behind in ([], [*cells.GUARDED, 6379]):
            self.module([], {"ports": ports, "container_ports": behind}).wait()
            with self.addresses():
                seen.append(self.attempt("routed", self.places()["routed"])[foreign])
        self.role()
        untreated = self.kept()["moments"]["untreated"]["seen"][foreign]
        self.note(f"port 6379 published at {cells.FOREIGN}, asked for by a neighbour, untreated, without and with "
                  f"container_ports: {[untreated, *seen]}", good=seen == [untreated, False])

    def by_hand(self) -> None:
        """Rules in UFW by the user, and those for single ports that the collection wrote once."""
        tailnet = f"allow from 100.64.0.0/10 to any port %s proto tcp comment '{COMMENT}'"
        theirs = [f"allow from {self.user[4]} to any port 6001 proto tcp comment mine", "deny from 192.0.2.8 to any port 6002"]
        self.shell(" && ".join(f"ufw {rule}" for rule in theirs))
        self.added = self.shell("ufw show added")
        self.shell(" && ".join(f"ufw {tailnet % port}" for port in cells.GUARDED))

    def rules_of_ufw(self) -> None:
        """What UFW has beside the rules by hand: one for each network, as far as another does not serve."""
        ours = [line for line in self.shell("ufw show added").splitlines() if COMMENT in line]
        both = {"fd7a:115c:a1e0::/48": "6001,6002", self.user[6]: "6001,6002"}
        wanted = [
            f"ufw allow from {source} to any port {port} proto tcp comment '{COMMENT}'"
            for source, ports in {"100.64.0.0/10": "6001 6002", self.user[4]: "6002", **both}.items() for port in ports.split()
        ]
        self.note(f"UFW's rules beside those by hand: {len(ours)}", good=sorted(ours) == sorted(wanted))

    def without_chains(self) -> None:
        """Where UFW takes no rule while its chains are flushed, the role says so, and how they come back."""
        try:
            self.play(coolify_firewall_trusted=[*self.user.values(), "192.0.2.7"])
            told = 'UFW took it, and nobody has to run "ufw reload"'
        except Off as failed:
            told = str(failed)
        self.shell("ufw reload")
        self.note("UFW without its chains: the role names the remedy", good='run "ufw reload"' in told.replace("\\", ""))
        self.role()

    def after(self, moment: str, command: str) -> None:
        self.shell(command)
        self.settle()
        self.measure(moment)

    def check_state(self, what: str, cut: bool) -> None:
        """Notes whether the designed state is there: table, unit, and no half-written file."""
        listed = self.shell(LOADED, check=False)
        unit = "coolify-websocket-firewall"
        enabled = self.shell(f"systemctl is-enabled {unit}; systemctl is-active {unit}", check=False)
        files = self.shell("ls /etc/coolify-websocket /etc/systemd/system/nftables.service.d", check=False)
        good = cut and "6001, 6002" in listed and enabled.split() == ["enabled", "active"] and ".new" not in files
        self.note(f"{what}: ends in the designed state", good=good)

    def killed(self) -> list[str]:
        """Runs that change the list, with parts of the old state gone, cut at a moment of chance; says where each was.

        A run that had ended before it could be cut is no such run, and is not counted.
        """
        chance = random.Random(6)
        stages: list[str] = []
        for number in range(5 * KILLS):
            if len(stages) == KILLS:
                break
            if number % 2:
                self.shell(f"rm -rf {' '.join(_UNITS)} && systemctl daemon-reload")
            hunter = subprocess.Popen(
                ["docker", "exec", self.name, "python3", "-c", _HUNTER, str(chance.uniform(0.0, 0.4))],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
            )
            # Not piped into Python, so that the process bears the module's name.
            self.module([self.user[4]] if number % 4 < 2 else [], ANSIBLE_PIPELINING="0").wait()
            stage = hunter.communicate(timeout=60)[0].strip()
            stages += [stage] if stage else []
        return stages

    def ufw_docker(self) -> None:
        before = {path: self.run("cat", path) for path in UFW_RULES}
        self.shell(ufw_docker.install())
        self.shell("ufw reload")
        installed = {path: self.run("cat", path) for path in UFW_RULES}
        self.measure("ufw-docker", ufw_docker.judge)
        self.role("absent")
        self.note("UFW after a removal: the user's own rules", good=self.added == self.shell("ufw show added"))
        self.role()
        self.measure("applied after ufw-docker", ufw_docker.judge)
        same = installed == {path: self.run("cat", path) for path in UFW_RULES}
        self.note("ufw-docker's block: each byte as before after remove and apply", good=same)
        self.shell(ufw_docker.remove())
        self.shell("iptables -F DOCKER-USER; iptables -A DOCKER-USER -j RETURN; ufw reload")
        same = before == {path: self.run("cat", path) for path in UFW_RULES}
        self.note("after.rules and after6.rules: as before the block came", good=same)
        self.measure("ufw-docker removed")

    def ssh_elsewhere(self) -> None:
        """UFW enabled by the role over a connection to a port that no rule of UFW names yet."""
        self.shell("printf 'Port 2222\\n' > /etc/ssh/sshd_config.d/moment.conf && systemctl restart ssh")
        address = self.address[4]
        moved = {"ansible_port": 2222, "ansible_ssh_extra_args": f"-o HostKeyAlias={address}"}
        try:
            self.refused_by_ufw(**moved)
            self.role(coolify_firewall_ufw_enable=True, **moved)
            status = self.shell("ufw status")
            # A connection of its own, made after UFW was enabled.
            options = ("-e", json.dumps({**moved, "ansible_ssh_common_args": self.ssh()}))
            lost = self.ansible("ansible", "coolify", "-m", "ansible.builtin.ping", *options)[0].wait()
        finally:
            self.shell("rm /etc/ssh/sshd_config.d/moment.conf && ufw allow OpenSSH && systemctl restart ssh")
        good = not lost and "Status: active" in status and "2222/tcp" in status
        self.note("UFW enabled by the role with sshd on port 2222: a new connection comes in", good=good)

    def refused_by_ufw(self, **moved: object) -> None:
        """H1: a UFW that refuses SSH is not enabled, and the role names the rules."""
        refusals = ("deny from any to any port 2000:3000 proto tcp", "reject from ::/0 to any")
        self.shell(" && ".join(f"ufw {refusal}" for refusal in refusals))
        added = self.shell("ufw show added")
        try:
            self.role(coolify_firewall_ufw_enable=True, **moved)
            told = "UFW was enabled, and nobody is told"
        except Off as failed:
            told = " ".join(str(failed).split())
        same = self.shell("ufw show added") == added and "Status: inactive" in self.shell("ufw status")
        self.shell(" && ".join(f"ufw delete {refusal}" for refusal in refusals))
        self.note("UFW that refuses SSH: not enabled, and the role names the rules",
                  good=same and all(refusal in told for refusal in refusals))

    def ssh(self) -> str:
        common = yaml.safe_load(INVENTORY.read_text())["all"]["vars"]["ansible_ssh_common_args"]
        return f"{common} -o ControlMaster=no -o ControlPath=none"

    def removed(self) -> None:
        self.role("absent")
        self.shell("ufw status | grep -q inactive && ufw --force enable; true")
        self.shell("docker exec coolify true")
        self.measure("removed")
        leftovers = self.shell(
            f"{LOADED} 2>/dev/null; ls -d /etc/coolify-websocket {' '.join(_UNITS)} 2>/dev/null; ufw status | grep -E '600[12]'",
            check=False,
        )
        self.note(f"removed: no trace in table, unit, file or UFW {leftovers}".strip(), good=not leftovers.strip())


_UNITS = (
    "/etc/systemd/system/coolify-websocket-firewall.service",
    "/etc/systemd/system/nftables.service.d",
    "/etc/systemd/system/sysinit.target.wants/coolify-websocket-firewall.service",
)

_HUNTER = """
import os, signal, sys, time
deadline = time.monotonic() + 20
while time.monotonic() < deadline:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = open(f"/proc/{pid}/cmdline").read().split(chr(0))
        except OSError:
            continue
        if "python" in words[0] and any("AnsiballZ_published_port_firewall" in word for word in words[1:2]):
            time.sleep(float(sys.argv[1]))
            here = "with unit" if os.path.exists("/etc/systemd/system/coolify-websocket-firewall.service") else "without unit"
            try:
                os.kill(int(pid), signal.SIGKILL)
                print(here)
            except ProcessLookupError:
                pass
            sys.exit()
    time.sleep(0.005)
"""


def shown(host: Moments) -> bool:
    """Print a host's table; say whether all of it is as the design says."""
    kept = host.kept()
    print(f"== {host.name}")
    print("\n".join(cells.table(kept["moments"])))
    print("\n".join(f"  ok: {note}" for note in kept["notes"]))
    wrong = [f"{moment}: {cell} should be {'in' if wanted else 'closed'}"
             for moment, entry in kept["moments"].items() for cell, wanted in entry["wrong"].items()]
    print("\n".join(f"  OFF: {text}" for text in [*kept["off"], *wrong]) or "  every cell and probe is as the design says")
    measured = sum(len(entry["seen"]) for entry in kept["moments"].values())
    print(f"  {measured} cells, {len(wrong)} wrong; {len(kept['notes'])} notes good, {len(kept['off'])} not")
    return not wrong and not kept["off"]


def removed_and_shown(hosts: list[Moments]) -> bool:
    """Print every host's table; say whether all of it is as the design says, and the hole was there before."""
    good = True
    for host in hosts:
        right = shown(host)
        sources = ("outside", "second lan", "routed")
        hole = all(host.kept()["moments"]["untreated"]["seen"][cells.key((source, 6001, 4))] for source in sources)
        print(f"  the hole of the untreated host: {f'6001 answers {sources}' if hole else 'NOT SEEN'}")
        good = good and hole and right
    return good


def main() -> int:
    inventory = yaml.safe_load(INVENTORY.read_text())
    hosts = [Moments(name, inventory) for name in inventory["all"]["children"]["coolify"]["hosts"]]
    moment = sys.argv[1]
    with ThreadPoolExecutor(len(hosts)) as pool:
        for _done in pool.map(lambda host: getattr(host, moment)(), hosts):
            pass
    if moment == "removed":
        return 0 if removed_and_shown(hosts) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
