"""The table under another firewall than UFW, and under an engine with either of its back ends.

    LAB_PREFIX=engines python molecule/firewall/engines.py [--only firewalld|dual_stack|engine]

The lab must be up, with one host that is thrown away afterwards. Each variant is looked at without the table, with it, and
after everything that loads the rules of others anew, with a probe from outside. Exit status 1 where a cell is not as the
design says.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import cells
import moments
import yaml
from places import INVENTORY, ROOT, Off

sys.path.insert(0, str(ROOT / "molecule" / "shared" / "lab"))

import golang
import paths

PROGRAMS = "/opt/engine"
#: The runtime of trixie knows no time namespaces, which this engine gives its containers; one built without libseccomp does,
#: and has no seccomp.
PACKAGES = {
    f"{PROGRAMS}/dockerd": "github.com/moby/moby/v2/cmd/dockerd",
    f"{PROGRAMS}/docker-proxy": "github.com/moby/moby/v2/cmd/docker-proxy",
    "/usr/sbin/runc": "github.com/opencontainers/runc",
}
VERSION = "github.com/moby/moby/v2/dockerversion.Version=29.0.0-beta.24"
NFTABLES = {"firewall-backend": "nftables"}
DUAL_STACK = "fd00:66::/64"
UNIT_FOLDER = "/etc/systemd/system/docker.service.d"
UNIT = f"""\
[Service]
Environment=PATH={PROGRAMS}:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart=
ExecStart={PROGRAMS}/dockerd -H fd:// --containerd=/run/containerd/containerd.sock --seccomp-profile=unconfined
"""
RESTART = "systemctl restart docker"


class Engines(moments.Moments):
    """One host, from variant to variant."""

    #: Whether something answers in IPv6 in the realtime server's container.
    answers = False

    def begin(self) -> None:
        self.record.unlink(missing_ok=True)
        self.prepare()
        self.settle()
        self.playbook("molecule/firewall/converge.yml")
        self.later_network()

    def playbook(self, path: str) -> int:
        """Run a playbook; what it changed on the host."""
        process, log = self.ansible("ansible-playbook", path, ANSIBLE_NOCOLOR="1", ANSIBLE_STDOUT_CALLBACK="default")
        if process.wait():
            raise Off(f"{path} failed:\n{log.read_text()[-3000:]}")
        recap = next(line for line in log.read_text().splitlines() if line.startswith(self.name) and "changed=" in line)
        return int(recap.partition("changed=")[2].split()[0])

    def variant(self, name: str, *commands: str) -> None:
        """Without the table, with it, and after each of these commands."""
        self.role("absent")
        self.measure(f"{name}: removed")
        self.role()
        self.measure(f"{name}: applied")
        with self.probing(f"{name}: {', '.join(commands)}"):
            for command in commands:
                self.after(f"{name}: {command}", command)

    # -- firewalld --------------------------------------------------------------------------------------------------

    def firewalld(self) -> None:
        install = "apt-get -qq update && apt-get -qqy install --no-install-recommends firewalld"
        with self.probing("UFW disabled, firewalld installed and started"):
            self.shell(f"ufw disable && DEBIAN_FRONTEND=noninteractive {install}")
            self.after("firewalld: started", f"systemctl enable --now firewalld && {RESTART}")
        version = self.shell("firewall-cmd --version").strip()
        self.note(f"firewalld {version}: {self.shell('firewall-cmd --state').strip()}")
        reloads = ("firewall-cmd --reload", "firewall-cmd --complete-reload", "systemctl restart firewalld")
        self.variant("firewalld", *reloads, RESTART)
        self.shell("systemctl disable --now firewalld && ufw --force enable")
        self.after("firewalld: gone, UFW enabled", RESTART)

    # -- the engine -------------------------------------------------------------------------------------------------

    def engine(self) -> None:
        self.shell(f"mkdir -p {PROGRAMS} {UNIT_FOLDER}")
        for program, package in PACKAGES.items():
            c = program.endswith("runc")
            binary = golang.program(Path(program).name, paths.IMAGES / "engine", package, variables=f"-X {VERSION}", cgo=c)
            self.shell(f"rm -f {program}")
            subprocess.run(["docker", "cp", str(binary), f"{self.name}:{program}"], check=True)
        self.shell(f"chmod 755 {' '.join(PACKAGES)}; cat > {UNIT_FOLDER}/engine.conf <<'EOF'\n{UNIT}EOF\nsystemctl daemon-reload")
        with self.probing("another engine takes over"):
            self.after("29: started", RESTART)
        self.note("engine and API: " + self.shell("docker version -f '{{.Server.Version}} {{.Server.APIVersion}}'").strip())
        self.variant("29, iptables", "ufw reload", RESTART)
        self.site("29, iptables")
        # By itself UFW drops what is forwarded, and no rule of this back end's takes a packet past it.
        self.shell("sed -i 's/^DEFAULT_FORWARD_POLICY=.*/DEFAULT_FORWARD_POLICY=\"ACCEPT\"/' /etc/default/ufw && ufw reload")
        with self.told(**NFTABLES):
            with self.probing("from one back end to the other"):
                self.after("29, nftables: started", RESTART)
            # The second flushes the whole rule set, Docker's and UFW's with it.
            self.variant("29, nftables", "ufw reload", "systemctl restart nftables", RESTART, "ufw reload")
            self.site("29, nftables")
        with self.told(**NFTABLES, **{"userland-proxy": False}):
            self.after("29, nftables, no userland-proxy: started", RESTART)
            self.variant("29, nftables, no userland-proxy", RESTART)
        with self.told(**NFTABLES, ip6tables=False):
            self.after("29, nftables, no ip6tables: started", RESTART)
            self.variant("29, nftables, no ip6tables", RESTART)

    def dual_stack(self) -> None:
        """Coolify's network with IPv6, as an engine from 27 on has it, and all containers anew; this engine's ip6tables on."""
        subnet = next(config["Subnet"] for config in self.network()["IPAM"]["Config"] if ":" not in config["Subnet"])
        members = " ".join(member["Name"] for member in self.network()["Containers"].values())
        version = self.run("docker", "inspect", "-f", "{{.Config.Image}}", "coolify").strip().rpartition(":")[2]
        self.shell(
            f"docker rm -f {members} && docker network rm coolify && "
            f"docker network create --attachable --subnet {subnet} --ipv6 --subnet {DUAL_STACK} coolify && "
            f"/data/coolify/source/upgrade.sh {version} && cd /data/coolify/proxy && docker compose up -d --wait"
        )
        self.prepare()
        self.answers = True
        with self.told(experimental=True, ip6tables=True):
            self.shell(RESTART)
            self.settle()
            self.playbook("molecule/firewall/converge.yml")
            self.variant("dual stack, ip6tables", "ufw reload", RESTART)

    def answer_in_ipv6(self) -> None:
        """What listens at the guarded ports listens in IPv4 alone: something that answers in IPv6, in the same container."""
        pid = self.run("docker", "inspect", "-f", "{{.State.Pid}}", self.realtime).strip()
        words = ["docker", "exec", "-d", self.name, "nsenter", "-n", "-t", pid, "python3", "-c", _ANSWERS]
        subprocess.run([*words, *map(str, cells.GUARDED)], check=True)

    def settle(self) -> None:
        super().settle()
        if self.answers:
            self.answer_in_ipv6()

    def site(self, name: str) -> None:
        """The whole collection with this engine: done, a second run that changes nothing, verified."""
        # Coolify's backend publishes to the realtime server by its name, and would meet what answers in IPv6 in its place.
        self.shell("pkill -f '[I]PV6_V6ONLY'; true")
        self.playbook("playbooks/site.yml")
        again = self.playbook("playbooks/site.yml")
        self.playbook("playbooks/verify.yml")
        self.trusted = False
        self.note(f"{name}: site.yml, again with changed={again}, verify.yml", good=not again)
        if self.answers:
            self.answer_in_ipv6()


_ANSWERS = """
import socket, sys, threading
def serve(port):
    listening = socket.socket(socket.AF_INET6)
    listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("::", port))
    listening.listen(64)
    while True:
        with listening.accept()[0] as asked:
            asked.recv(64)
            asked.sendall(b"HTTP/1.0 200 OK")
for port in map(int, sys.argv[1:]):
    threading.Thread(target=serve, args=(port,)).start()
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("firewalld", "dual_stack", "engine"), help="this variant alone")
    options = parser.parse_args()
    inventory = yaml.safe_load(INVENTORY.read_text())
    (name,) = inventory["all"]["children"]["coolify"]["hosts"]
    host = Engines(name, inventory)
    host.begin()
    for variant in [options.only] if options.only else ["firewalld", "dual_stack", "engine"]:
        getattr(host, variant)()
    return 0 if moments.shown(host) else 1


if __name__ == "__main__":
    sys.exit(main())
