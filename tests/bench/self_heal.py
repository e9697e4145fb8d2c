"""The agent's figures: moments without routes, sockets lost, memory and processor time."""

from __future__ import annotations

import time
import typing as t

from coolify_host import HTTP_CONF, PORT, SCRIPT, UNIT, CoolifyHost
from coolify_sockets import Held, Watch, gap
from figures import Figure, percentile

# What the engine says on a busy build host, by its own API: containers created, renamed and removed, images tagged.
_STORM = """
import http.client, json, socket, sys, time
until, pause = time.monotonic() + float(sys.argv[1]), 1 / float(sys.argv[2])
class Engine(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/var/run/docker.sock")
engine = Engine("docker")
def ask(method, target, body=None):
    engine.request(method, target, json.dumps(body or {}), {"Content-Type": "application/json"})
    answer = engine.getresponse()
    text = answer.read()
    if answer.status >= 400:
        sys.exit(text.decode())
    return text
made = json.loads(ask("POST", "/containers/create?name=storm-a", {"Image": "redis:7-alpine"}))["Id"]
begun, events, name = time.monotonic(), 1, "a"
while time.monotonic() < until:
    name = "b" if name == "a" else "a"
    ask("POST", "/containers/%s/rename?name=storm-%s" % (made, name))
    ask("POST", "/images/redis:7-alpine/tag?repo=storm&tag=" + name)
    events += 2
    time.sleep(max(0.0, begun + events * pause - time.monotonic()))
ask("DELETE", "/containers/" + made)
for name in "ab":
    ask("DELETE", "/images/storm:" + name)
print(events)
"""

# Containers of the agent's own concern, by the temporary names that compose gives them (fact 34).
_OWN_EVENTS = """
set -e
for number in $(seq 1 {count}); do
    name=$(printf '%012x' "$number")_coolify
    docker create --name "$name" --label com.docker.compose.service=coolify docker.io/coollabsio/coolify:{version}
    docker rm "$name"
done
"""


class Bench:
    """A treated host, the run of ``site.yml`` over it, and whether a few repetitions are enough."""

    def __init__(self, host: CoolifyHost, version: str, site: t.Callable[[], object], quick: bool) -> None:
        self.host = host
        self.version = version
        self.site = site
        self.quick = quick

    def times(self, count: int) -> int:
        return max(2, count // 10) if self.quick else count

    def recreate(self, before_creation: t.Callable[[], None] = lambda: None) -> tuple[int, float]:
        """Answers without routes after a re-creation, and the seconds until both routes were served for good."""
        host = self.host
        with Watch(host.address, PORT) as watch:
            host.remove_coolify()
            before_creation()
            since = time.monotonic()
            host.create_coolify(self.version)
            host.wait("Coolify answers", lambda: len(watch.answers(since)) > 40)
            # Long enough to see what comes of an agent that has to start first.
            host.wait("both routes are served", lambda: _served_lately(watch), 30)
        answers = watch.answers(since)
        return len(watch.without_routes(since)), gap(answers)

    def processor_seconds(self) -> float:
        """What the agent's process has used so far, from the scheduler's own count in nanoseconds."""
        return int(self.host.shell(f"cat /proc/{self.host.agent_pid()}/schedstat").split()[0]) / 1e9


def _served_lately(watch: Watch) -> bool:
    lately = time.monotonic() - 0.5
    return {one.route for one in watch.answers(lately)} == {"terminal", "app"} and not watch.without_routes(lately)


def recreations(bench: Bench) -> list[Figure]:
    seen = [bench.recreate() for _number in range(bench.times(30))]
    count = len(seen)
    return [
        Figure(f"of {count} re-creations, with answers without routes", sum(bad > 0 for bad, _gap in seen), count // 10, ""),
        Figure("first answer to both routes, p95", percentile([one for _bad, one in seen], 0.95), 0.3, "s"),
    ]


def killed(bench: Bench) -> list[Figure]:
    def kill() -> None:
        bench.host.shell(f"systemctl kill -s KILL {UNIT}")
        time.sleep(0.1)

    seen = []
    for _number in range(bench.times(15)):
        seen.append(bench.recreate(kill)[1])
        bench.host.wait("the agent is back", lambda: bench.host.attempt(f"systemctl is-active {UNIT}")[0] == 0, 40)
    return [Figure(f"the same, agent killed 100 ms before, {len(seen)} times, p95", percentile(seen, 0.95), 2.0, "s")]


def sockets(bench: Bench) -> list[Figure]:
    host = bench.host
    each = bench.times(100)
    key = host.shell("docker exec coolify printenv PUSHER_APP_KEY").strip()
    held = Held(host.address, PORT, key, terminals=each, apps=each)
    try:
        host.shell(f"systemctl restart {UNIT}")
        bench.site()
        for _number in range(bench.times(20)):
            # Not from the template: it may have been given the routes before the start.
            host.shell(f"docker exec coolify sed -i '/^# BEGIN selfhosted/,/^# END selfhosted/d' {HTTP_CONF}")
            host.shell(SCRIPT)
        host.shell("docker run --rm --name unrelated --entrypoint true redis:7-alpine")
        host.shell("docker run -d --name unrelated --network coolify --entrypoint sleep redis:7-alpine 60")
        host.shell("docker rm -f unrelated")
        time.sleep(1)
        lost = held.lost
    finally:
        held.close()
    return [Figure(f"of {2 * each} sockets, lost", lost, 0, "")]


def memory(bench: Bench) -> list[Figure]:
    host = bench.host
    before = host.state()["events"]
    count = bench.times(500)
    host.shell(_OWN_EVENTS.format(count=count, version=bench.version))
    host.wait("the agent has seen them", lambda: host.state()["events"] - before >= count, 120)
    used = int(host.shell(f"systemctl show -p MemoryCurrent --value {UNIT}"))
    return [Figure(f"memory of the unit after {2 * count} events", used / 2**20, 20.0, "MiB")]


def idle(bench: Bench) -> list[Figure]:
    seconds = 10 if bench.quick else 60
    before = bench.processor_seconds()
    time.sleep(seconds)
    used = bench.processor_seconds() - before
    return [Figure(f"processor, idle for {seconds} s", 100 * used / seconds, 0.05, "%")]


def storm(bench: Bench) -> list[Figure]:
    seconds = 6 if bench.quick else 60
    before = bench.processor_seconds()
    began = time.monotonic()
    events = int(bench.host.python(_STORM, seconds, 5000 / 60))
    took = time.monotonic() - began
    used = bench.processor_seconds() - before
    a_minute = 60 * events / took
    return [
        Figure(f"processor, {a_minute:.0f} unrelated events a minute", 100 * used / took * max(1.0, 5000 / a_minute), 2.0, "%")
    ]


MEASUREMENTS: dict[str, t.Callable[[Bench], list[Figure]]] = {
    "recreations": recreations,
    "killed": killed,
    "sockets": sockets,
    "memory": memory,
    "idle": idle,
    "storm": storm,
}
