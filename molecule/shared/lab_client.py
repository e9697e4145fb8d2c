"""A lab with a Coolify host, and the ways to drive it: playbooks, commands on its machines, browsers on either side."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import typing as t
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import docker
import machine

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".venv" / "bin"
SHARED = ROOT / "molecule" / "shared"
sys.path.insert(0, str(ROOT / "tests"))

import cores  # noqa: E402  (with the tests that it is for)


@dataclass
class Run:
    """One run of ansible-playbook: exit code, whole output, and per host the names of the tasks that changed."""

    code: int
    text: str
    stats: dict[str, dict[str, int]]
    changed: dict[str, list[str]]
    failed: dict[str, list[str]]


class Lab:
    """The lab of this prefix, and one Coolify host of it: the only one, where none is named."""

    def __init__(self, prefix: str, host: str = "") -> None:
        self.prefix = prefix
        self.folder = ROOT / ".lab" / prefix
        self.inventory = (self.folder.parent if prefix == "lab" else self.folder) / "inventory.yml"
        self.host = host or f"{prefix}-coolify"
        self._limit = ["-l", host] if host else []
        self.command("engine")
        self.engine = docker.from_env()

    def command(self, *words: str) -> None:
        subprocess.run([str(BIN / "python"), str(SHARED / "lab"), *words], check=True, cwd=ROOT)

    def up(self) -> None:
        self.command("up", "--prefix", self.prefix, "--system", "trixie")

    def down(self) -> None:
        self.command("down", "--prefix", self.prefix, "--keep-engine")

    @functools.lru_cache(maxsize=None)  # noqa: B019  (there is one lab)
    def variables(self) -> dict[str, t.Any]:
        """Those of the host in the inventory, as the lab wrote it when it came up."""
        listed = subprocess.run(
            [str(BIN / "ansible-inventory"), "-i", str(self.inventory), "--host", self.host],
            check=True, capture_output=True, cwd=ROOT,
        )
        return json.loads(listed.stdout)

    def play(self, playbook: str, *options: str, commands: Path = BIN, **variables: object) -> Run:
        """Runs a playbook of the checkout, by the ansible-core whose commands are in this folder."""
        environment = {
            **os.environ,
            "PATH": f"{commands}:{BIN}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": cores.collections_path(),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "ANSIBLE_NOCOLOR": "1",
        }
        extra = ["-e", json.dumps(variables)] if variables else []
        done = subprocess.run(
            [str(commands / "ansible-playbook"), "-i", str(self.inventory), *self._limit, playbook, *extra, *options],
            cwd=ROOT, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
        )
        text = done.stdout + done.stderr
        (self.folder / "last-run.log").write_text(text)
        # What an action plugin displays stands before the callback's JSON.
        start = ("\n" + done.stdout).find("\n{\n")
        result = json.JSONDecoder().raw_decode(done.stdout[start:])[0] if start >= 0 else {}
        changed: dict[str, list[str]] = {}
        failed: dict[str, list[str]] = {}
        for play in result.get("plays", []):
            for task in play["tasks"]:
                for host, outcome in task["hosts"].items():
                    if outcome.get("changed"):
                        changed.setdefault(host, []).append(task["task"]["name"])
                    if outcome.get("failed") or outcome.get("unreachable"):
                        failed.setdefault(host, []).append(str(outcome.get("msg", "")))
        return Run(done.returncode, text, result.get("stats", {}), changed, failed)

    def also_named(self, names: dict[str, dict[str, t.Any]]) -> list[str]:
        """Options of a run in which the host is in the inventory under more names too, each with variables of its own."""
        if not names:
            return []
        variables = self.variables()
        common = {key: variables[key] for key in ("ansible_host", "ansible_python_interpreter", "lab_address6")}
        hosts = {name: {**common, **more} for name, more in names.items()}
        inventory = self.folder / "also-named.json"
        inventory.write_text(json.dumps({"all": {"children": {"coolify": {"hosts": hosts}}}}))
        # It is one machine, whatever its names: not a dozen runs at the same moment.
        return ["-i", str(inventory), "--forks", "4"]

    def diagnoses(self, playbook: str, *options: str, **variables: object) -> tuple[Run, dict[str, set[tuple[str, str]]]]:
        """A run that verifies, and by host the hop and id of each row of its report that has one."""
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        run = self.play(playbook, *options, coolify_verify_report_path=str(report), **variables)
        assert report.exists(), run.text
        hosts = json.loads(report.read_text())["hosts"]
        return run, {host["host"]: {(row["hop"], row["id"]) for row in host["rows"] if row["id"]} for host in hosts}

    def module(self, name: str, **options: object) -> dict[str, t.Any]:
        """The result of one execution of a module of the collection on the host. Raises AssertionError where it fails."""
        done = subprocess.run(
            [
                str(BIN / "ansible"), "-i", str(self.inventory), self.host, "-b", "-m", f"selfhosted.coolify.{name}",
                "-a", json.dumps(options) if options else "",
            ],
            cwd=ROOT,
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
            capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return json.JSONDecoder().raw_decode(done.stdout[done.stdout.index("{") :])[0]

    def run(self, name: str, *words: str, check: bool = True) -> str:
        """The output of a command inside one of the lab's machines; its complaints, where it fails, are in the error."""
        code, output, complaints = machine.attempt(self.engine.containers.get(name), *words)
        if check and code:
            raise AssertionError(f"{name}: {' '.join(words)} → {code}\n{output}{complaints}")
        return output

    def shell(self, script: str, name: str = "", check: bool = True) -> str:
        """All that a shell script says, on the host or on another of the lab's machines."""
        code, output = machine.shell(self.engine.containers.get(name or self.host), script)
        if check and code:
            raise AssertionError(f"{name or self.host}: {script} → {code}\n{output}")
        return output

    def snapshot(self) -> dict[str, t.Any]:
        return json.loads(self.run(self.host, "python3", "-c", (SHARED / "host_snapshot.py").read_text()))

    def inside(self, machine: str, *words: str) -> subprocess.Popen[str]:
        """A process of this machine (with this checkout's tools) in the network namespace of a lab machine."""
        pid = self.engine.containers.get(machine).attrs["State"]["Pid"]
        return subprocess.Popen(
            ["nsenter", f"--net=/proc/{pid}/ns/net", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE, text=True, cwd=ROOT,
        )

    def broadcast(self, event: str) -> None:
        """Lets Coolify's backend publish an event to who listens on the page."""
        self.run(self.host, "docker", "exec", "coolify", "php", "artisan", "lab:broadcast", "lab", "greeting", event)

    def way_in(self, side: str, domain: str = "") -> tuple[str, list[str]]:
        """The machine on this side, and what its browser is told to open.

        The side is ``tailnet`` (the page's port), ``public`` (the domain, or another one, at Cloudflare's edge), ``direct``
        or ``direct-http`` (the domain at the host's own proxy), ``stranger`` (the page's port at the public address), or a
        URL, which is opened from the tailnet.
        """
        if side == "tailnet" or "://" in side:
            address = self.shell("tailscale ip -4").strip()
            if side == "tailnet":
                return f"{self.prefix}-peer", [f"http://{address}:8000/"]
            return f"{self.prefix}-peer", [side, "--resolve", f"{urlsplit(side).hostname}={address}"]
        variables = self.variables()
        machine, domain = f"{self.prefix}-outside", domain or variables["lab_domain"]
        if side == "stranger":
            return machine, ["http://{ansible_host}:8000/".format(**variables)]
        address = variables["lab_edge_address" if side == "public" else "ansible_host"]
        scheme = "http" if side == "direct-http" else "https"
        return machine, [f"{scheme}://{domain}/", "--resolve", f"{domain}={address}"]


class Browsing:
    """A browser that opens Coolify's page from a side. Several are at it together, if all are begun before one is waited for."""

    def __init__(self, lab: Lab, side: str, name: str, *options: str, domain: str = "") -> None:
        self._lab = lab
        machine, words = lab.way_in(side, domain)
        self._process = lab.inside(
            machine, str(BIN / "python"), str(SHARED / "browser_session.py"), *words,
            "--event", f"hello-{name}", "--screenshot", str(lab.folder / f"{name}.png"), *options,
        )
        self._told = ""
        self._first = f"hello-{name}"

    def greeted(self) -> None:
        """Returns once its terminal was typed into and its first event is published, or it ended."""
        self._publish(self._first)

    def settled(self) -> None:
        """Returns once it has done all that it was told to do, and stays."""
        if not self._told.startswith("{"):
            self._hear()

    def back(self, event: str) -> None:
        """Every socket of the page was lost meanwhile; it is told to show that they are back, and gets one more event."""
        assert self._process.stdin is not None
        if not self._told.startswith("{"):
            try:
                self._process.stdin.write(event + "\n")
                self._process.stdin.flush()
            except BrokenPipeError:
                raise AssertionError("the browser ended: {}{}".format(*self._process.communicate())) from None
            self._publish(event)
            self.settled()

    def ended(self) -> dict[str, t.Any]:
        """What was seen. Raises AssertionError where the browser told nothing."""
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        self._process.stdin.close()
        while self._told and not self._told.startswith("{"):
            self._hear()
        assert self._told, self._process.stderr.read()
        self._process.wait(timeout=60)
        return json.loads(self._told)

    def _hear(self) -> None:
        assert self._process.stdout is not None
        self._told = self._process.stdout.readline().strip()

    def _publish(self, event: str) -> None:
        self._hear()
        if self._told == "subscribed":
            self._lab.broadcast(event)
