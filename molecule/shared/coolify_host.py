"""A Coolify host of a running lab, as whoever stands at its console drives it: containers, units, reboots."""

from __future__ import annotations

import json
import shlex
import time
import typing as t

import docker
import machine

SCRIPT = "/data/coolify/nginx-config/apply-websocket.sh"
HTTP_CONF = "/etc/nginx/site-opts.d/http.conf"
UNIT = "coolify-websocket"
PORT = 8000
_REPOSITORY = "docker.io/coollabsio/coolify"


class CoolifyHost:
    """The lab machine of this name. Every command raises AssertionError with its output where it fails."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._machine = docker.from_env().containers.get(name)

    @property
    def address(self) -> str:
        """Its public IPv4 address."""
        self._machine.reload()
        networks = self._machine.attrs["NetworkSettings"]["Networks"]
        return next(network["IPAddress"] for network in networks.values())

    def attempt(self, script: str) -> tuple[int, str]:
        """Exit code and output of a shell script on the host."""
        return machine.shell(self._machine, script)

    def shell(self, script: str) -> str:
        code, output = self.attempt(script)
        if code:
            raise AssertionError(f"{self.name}: {script} → {code}\n{output}")
        return output

    def told(self, script: str) -> t.Any:
        """The JSON that a script prints."""
        return json.loads(self.shell(script))

    def python(self, source: str, *arguments: object) -> str:
        """A Python program, run by the host's own Python."""
        return self.shell(shlex.join(["python3", "-c", source, *map(str, arguments)]))

    def wait(self, what: str, condition: t.Callable[[], object], seconds: float = 60.0) -> None:
        """Until the condition holds. Raises AssertionError with `what` when it did not in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name}: not within {seconds:.0f} s: {what}")
            time.sleep(0.1)

    # The agent.

    def state(self) -> dict[str, t.Any]:
        """The agent's state file."""
        return dict(self.told("cat /run/coolify-websocket/state.json"))

    def agent_pid(self) -> int:
        return int(self.shell(f"systemctl show -p MainPID --value {UNIT}"))

    def journal(self, since: str) -> list[dict[str, str]]:
        """The agent's structured entries since a time that `clock` gave."""
        output = self.shell(f"journalctl -o json -t {UNIT} --since {shlex.quote(since)}")
        entries = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        return [entry for entry in entries if "COOLIFY_WEBSOCKET_OUTCOME" in entry]

    def clock(self) -> str:
        """The host's time, as journalctl takes it."""
        return self.shell("date '+%F %T.%6N'").strip()

    # The containers.

    def inspect(self, container: str = "coolify") -> dict[str, t.Any]:
        return dict(self.told(f"docker inspect {container}")[0])

    def http_conf(self) -> str:
        return self.shell(f"docker exec coolify cat {HTTP_CONF}")

    def remove_coolify(self) -> None:
        self.shell("docker stop coolify && docker rm coolify")

    def create_coolify(self, version: str, *options: str) -> None:
        """Creates and starts `coolify` alone, from the image of this version, with more options of `compose up`."""
        self.shell(f"LATEST_IMAGE={version} {self.compose()} up -d --no-deps --pull never {' '.join(options)} coolify")

    def compose(self) -> str:
        """`docker compose` with the files that the installation consists of."""
        folder = "/data/coolify/source"
        return (
            f"docker compose --env-file {folder}/.env"
            f" $(for part in . .prod. .custom.; do file={folder}/docker-compose$part'yml';"
            f' [ -f "$file" ] && echo "-f $file"; done)'
        )

    def upgrade(self, version: str) -> None:
        """As Coolify's own upgrade.sh does it: four containers removed and created again."""
        self.shell(f"/data/coolify/source/upgrade.sh {version}")

    def derive(self, base: str, kind: str, script: str, entrypoint: str = "/usr/local/bin/start-coolify") -> str:
        """Makes an image of Coolify from that of a version, whose files a shell script has changed; returns its tag."""
        version = f"{base}-{kind}"
        changes = f"""--change 'USER www-data' --change 'ENTRYPOINT ["{entrypoint}"]' --change 'CMD []'"""
        self.shell(
            "docker rm -f lab-derived >/dev/null 2>&1; "
            f"docker run --name lab-derived --user root --entrypoint sh {_REPOSITORY}:{base} -c {shlex.quote(script)} && "
            f"docker commit {changes} lab-derived {_REPOSITORY}:{version} && docker rm lab-derived"
        )
        return version

    def worker_pids(self) -> set[str]:
        """nginx's workers in `coolify`, by their ids on the host: others after each reload."""
        return set(self.shell("docker top coolify -o pid,args | awk '/nginx: worker/ {print $1}'").split())

    # The machine.

    def reboot(self) -> None:
        """Returns when the system is up again and its engine answers."""
        booted = self.shell("stat -c %Z /proc/1")
        self.attempt("systemctl reboot")
        self.wait("the host has rebooted", lambda: self._booted_after(booted), 120)
        self.wait("Docker answers", lambda: self.attempt("docker version >/dev/null 2>&1")[0] == 0, 120)

    def _booted_after(self, booted: str) -> bool:
        _code, output = self.attempt("stat -c %Z /proc/1 && systemctl is-system-running")
        lines = output.split()
        return len(lines) == 2 and lines[0] != booted.strip() and lines[1] in ("running", "degraded")
