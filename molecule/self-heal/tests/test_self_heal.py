"""Disturbances of a treated host, and what its users meet meanwhile."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time

import pytest
from conftest import ROOT
from coolify_host import HTTP_CONF, PORT, SCRIPT, UNIT
from coolify_sockets import Watch, ask, both_served, gap
from prometheus_client.parser import text_string_to_metric_families

# Ends the agent's connections to the engine from outside, by copies of its own descriptors: pidfd_getfd(2).
_CUT_CONNECTIONS = """
import ctypes, os, socket, sys
pid = int(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
process = libc.syscall(434, pid, 0)
cut = 0
for number in range(64):
    copy = libc.syscall(438, process, number, 0)
    if copy >= 0 and os.readlink("/proc/self/fd/%d" % copy).startswith("socket:"):
        connection = socket.socket(fileno=copy)
        if connection.type == socket.SOCK_STREAM and b"docker" in os.fsencode(connection.getpeername()):
            connection.shutdown(socket.SHUT_RDWR)
            cut += 1
print(cut)
"""
# systemd starts a service of Docker's three times a minute, and no more often, unless it is told to count anew.
# The longest time (s) without an answer that a re-creation may cost. systemd starts an agent that was killed after one second;
# the rest is for a slow machine. Where nothing mends the routes it never ends.
GAP = 5.0
RESTART_DOCKER = "systemctl reset-failed docker; systemctl restart docker"


def served(coolify):
    return both_served(coolify.address, PORT)


def watch_until_served(coolify):
    """Until both routes are there, and a second more: a watch ends with what stays."""
    coolify.wait("both routes are served", lambda: served(coolify), 30)
    time.sleep(1)


def test_an_upgrade_and_the_way_back_leave_no_moment_without_routes(coolify):
    for version in (coolify.other_version, coolify.version):
        heals = coolify.state()["heals"]
        since = coolify.clock()
        with Watch(coolify.address, PORT) as watch:
            coolify.upgrade(version)
            watch_until_served(coolify)
        assert watch.without_routes() == []
        assert coolify.inspect()["Config"]["Image"].endswith(f":{version}")
        state = coolify.state()
        assert (state["heals"], state["last_heal"]["outcome"]) == (heals + 1, "prepared")
        assert [entry["COOLIFY_WEBSOCKET_OUTCOME"] for entry in coolify.journal(since)] == ["prepared"]


@pytest.mark.parametrize("way", ["stop, rm, up", "up --force-recreate"])
def test_coolify_alone_created_anew(coolify, way):
    created = 0.0
    with Watch(coolify.address, PORT) as watch:
        if way == "stop, rm, up":
            coolify.remove_coolify()
            created = time.monotonic()
            coolify.create_coolify(coolify.version)
        else:
            coolify.create_coolify(coolify.version, "--force-recreate")
        watch_until_served(coolify)
    # How often it is nothing at all is what `make bench` counts.
    assert gap(watch.answers(created)) <= GAP
    assert served(coolify)


@pytest.mark.separate
def test_a_realtime_container_with_a_new_address_needs_no_reload(coolify):
    workers = coolify.worker_pids()
    address = "docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'"
    before = coolify.shell(f"{address} coolify-realtime").strip()
    # Somebody else gets the address that becomes free; the engine gives out the lowest first.
    squatters = "lab-squatter-1 lab-squatter-2 lab-squatter-3 lab-squatter-4"
    try:
        coolify.shell(
            f"docker rm -f coolify-realtime; for name in {squatters}; do"
            " docker run -d --name $name --network coolify --entrypoint sleep redis:7-alpine 600 || exit;"
            f' [ "$({address} $name)" != {before} ] || exit 0; done; exit 1'
        )
        coolify.shell(f"LATEST_IMAGE={coolify.version} {coolify.compose()} up -d --no-deps --pull never soketi")
        assert coolify.shell(f"{address} coolify-realtime").strip() != before
        coolify.wait("both routes are served", lambda: served(coolify), 30)
        assert coolify.worker_pids() == workers
    finally:
        coolify.attempt(f"docker rm -f {squatters}")


def test_docker_restarted_under_the_agent(coolify):
    agent = coolify.agent_pid()
    coolify.shell(RESTART_DOCKER)
    coolify.wait("both routes are served", lambda: served(coolify), 60)
    coolify.wait("the agent is connected", lambda: coolify.state()["connected"])
    assert coolify.agent_pid() == agent


def test_docker_away_is_waited_for(coolify):
    coolify.shell("systemctl stop docker.socket docker.service")
    coolify.wait("the agent says so", lambda: not coolify.state()["connected"], 20)
    coolify.shell(f"systemctl restart {UNIT}")
    assert "waiting for Docker" in coolify.shell(f"systemctl status {UNIT}")
    coolify.shell("systemctl reset-failed docker.service docker.socket; systemctl start docker.socket docker.service")
    coolify.wait("the agent is connected", lambda: coolify.state()["connected"], 20)
    coolify.wait("both routes are served", lambda: served(coolify), 60)


def test_an_engine_that_was_stopped_stays_stopped(coolify):
    """While docker.socket is up, whoever connects starts it again: a copy of its files would be none of a stopped engine."""
    agent = coolify.agent_pid()
    coolify.shell("systemctl stop docker.service && systemctl is-active docker.socket")
    coolify.wait("the agent says so", lambda: not coolify.state()["connected"], 20)
    for command in ("sleep 12", f"systemctl restart {UNIT}", "! /data/coolify/nginx-config/apply-websocket.sh", "sleep 5"):
        coolify.shell(command)
        assert coolify.attempt("systemctl is-active docker.service")[1].strip() == "inactive", command
    assert "it is stopped" in coolify.state()["status"]
    coolify.shell("systemctl start docker.service")
    coolify.wait("the agent is connected", lambda: coolify.state()["connected"], 20)
    coolify.wait("both routes are served", lambda: served(coolify), 60)
    assert coolify.agent_pid() != agent


def test_docker_stands_still_for_half_a_minute(coolify):
    agent = coolify.agent_pid()
    coolify.remove_coolify()
    with Watch(coolify.address, PORT) as watch:
        # The agent is asking about the new container when the engine stops answering.
        coolify.create_coolify(coolify.version)
        coolify.shell("kill -STOP $(systemctl show -p MainPID --value docker)")
        time.sleep(33)
        coolify.shell("kill -CONT $(systemctl show -p MainPID --value docker)")
        coolify.wait("the agent is connected", lambda: coolify.state()["connected"], 20)
        watch_until_served(coolify)
    assert gap(watch.answers()) <= 45.0
    assert coolify.agent_pid() == agent


def test_dockers_socket_is_another_one(coolify):
    agent = coolify.agent_pid()
    coolify.shell("systemctl stop docker.service docker.socket && rm -f /run/docker.sock")
    coolify.shell("systemctl reset-failed docker.service docker.socket; systemctl start docker.socket docker")
    coolify.wait("the agent is connected", lambda: coolify.state()["connected"], 20)
    coolify.wait("both routes are served", lambda: served(coolify), 60)
    coolify.remove_coolify()
    coolify.create_coolify(coolify.version)
    coolify.wait("both routes are served", lambda: served(coolify), 30)
    assert coolify.agent_pid() == agent


def upping(coolify, *options):
    """A command that creates Coolify's container by processes that can be killed together."""
    return f"env LATEST_IMAGE={coolify.version} {coolify.compose()} up -d --no-deps --pull never {' '.join(options)} coolify"


def test_docker_restarted_while_coolify_is_created(coolify):
    agent = coolify.agent_pid()
    for moment in (0.0, 0.1, 0.3):
        coolify.remove_coolify()
        # The client ends first, as somebody's terminal would: else it would come again to the next engine by itself.
        coolify.shell(
            f"setsid {upping(coolify)} >/dev/null 2>&1 & client=$!; until docker inspect coolify >/dev/null 2>&1; do :; done;"
            f" sleep {moment}; kill -KILL -- -$client; {RESTART_DOCKER}"
        )
        create_whatever_docker_kept(coolify)
        coolify.wait("both routes are served", lambda: served(coolify), 60)
    assert coolify.agent_pid() == agent


def create_whatever_docker_kept(coolify):
    """As whoever meets it: an engine that was stopped at a start may hold the ports, or the name, until its next restart."""
    try:
        coolify.create_coolify(coolify.version)
    except AssertionError as failed:
        if not re.search(r"port is already allocated|container name \S+ is already in use", str(failed)):
            raise
        coolify.shell(RESTART_DOCKER)
        coolify.create_coolify(coolify.version)


def test_a_creation_anew_that_is_cut(coolify):
    codes = []
    for moment in (0.2, 0.6, 1.2):
        # By compose's own process: it leaves behind what it had come to, under whatever names.
        codes.append(coolify.attempt(f"timeout -s KILL {moment} {upping(coolify, '--force-recreate')}")[0])
        # Again and again, as a person does: what the engine is still stopping counts as running for compose.
        coolify.wait("both routes are served", lambda: served(coolify) or coolify.create_coolify(coolify.version), 60)
        # What runs now may bear the name for a moment that compose gave it, and compose alone never gives it the right one.
        coolify.shell("docker rm -f $(docker ps -aq --filter label=com.docker.compose.service=coolify)")
        coolify.create_coolify(coolify.version)
        coolify.wait("both routes are served by a new one", lambda: served(coolify), 60)
    assert set(codes) <= {0, 137}
    assert 137 in codes


def healed(coolify, container: str) -> str:
    """How the last pass that changed something ended for this container; empty where it was for another one."""
    last = coolify.state()["last_heal"]
    return last["outcome"] if last["container"] in container else ""


def test_two_containers_of_the_name_for_a_moment(coolify):
    old = f"{coolify.inspect()['Id'][:12]}_coolify"
    image = coolify.inspect()["Config"]["Image"]
    coolify.shell(f"docker rename coolify {old}")
    try:
        # The one that runs has the name that compose gives it meanwhile; the next one is there beside it.
        coolify.shell(f"docker create --name coolify --label com.docker.compose.service=coolify {image}")
        new = coolify.inspect()["Id"]
        coolify.wait("the new one has the routes", lambda: healed(coolify, new) == "prepared", 10)
        coolify.shell(f"docker exec {old} nginx -s reload")
        assert served(coolify)
    finally:
        coolify.shell(f"docker rm -f coolify; docker rename {old} coolify")
    coolify.shell(f"systemctl restart {UNIT}")
    assert coolify.state()["last_check"]["container"] in coolify.inspect()["Id"]
    assert coolify.state()["refusals"] == []


def test_a_file_too_large_to_be_one(coolify):
    agent = coolify.agent_pid()
    large = f"cp {HTTP_CONF} /tmp/sound && head -c 100M /dev/zero | tr '\\0' '#' > {HTTP_CONF}"
    coolify.shell(f"docker exec coolify sh -c {shlex.quote(large)}")
    try:
        coolify.shell("docker pause coolify && docker unpause coolify")
        coolify.wait("the agent says so", lambda: coolify.state()["refusals"], 30)
        assert "larger than 8 MiB" in coolify.state()["refusals"][-1]["reason"]
        code, words = coolify.attempt(SCRIPT)
        assert (code, "larger than 8 MiB" in words) == (1, True)
        peak = int(coolify.shell(f"awk '/VmHWM/ {{print $2}}' /proc/{agent}/status"))
        assert peak < 48 * 1024
        assert coolify.agent_pid() == agent
    finally:
        coolify.shell(f"docker exec coolify sh -c 'cat /tmp/sound > {HTTP_CONF}'")
    assert "current" in coolify.shell(SCRIPT)


def test_a_boot_with_the_containers_in_this_order(coolify, order):
    names = " ".join(order)
    coolify.shell(f"docker update --restart=no {names}")
    try:
        coolify.reboot()
        for name in order:
            # Long enough for nginx to come up, or to fail, before the next one is there.
            coolify.shell(f"docker start {name} && sleep 1")
            if name == "coolify":
                coolify.wait("the page is served", lambda: ask(coolify.address, PORT, "page") == 200, 30)
                with Watch(coolify.address, PORT, ["page"]) as page:
                    time.sleep(2)
                assert {one.status for one in page.seen} == {200}
        coolify.wait("both routes are served", lambda: served(coolify), 30)
        assert coolify.inspect()["RestartCount"] == 0
    finally:
        coolify.shell(f"docker update --restart=always {names} && docker start {names}")


def test_the_agent_killed_while_coolify_is_created(coolify):
    coolify.remove_coolify()
    coolify.shell(f"systemctl kill -s KILL {UNIT}")
    created = time.monotonic()
    with Watch(coolify.address, PORT) as watch:
        coolify.create_coolify(coolify.version)
        watch_until_served(coolify)
    assert gap(watch.answers(created)) <= GAP
    coolify.wait("the agent is back", lambda: coolify.attempt(f"systemctl is-active {UNIT}")[0] == 0, 10)


def test_the_agents_connection_cut(coolify):
    agent = coolify.agent_pid()
    assert int(coolify.python(_CUT_CONNECTIONS, agent)) > 0
    coolify.wait("it is connected again", lambda: coolify.state()["connected"])
    coolify.wait("it has looked at all again", lambda: coolify.state()["last_check"]["cause"] == "Docker is back")
    assert coolify.agent_pid() == agent
    coolify.remove_coolify()
    coolify.create_coolify(coolify.version)
    coolify.wait("both routes are served", lambda: served(coolify), 30)
    # It tells only when it has seen the reload through, a moment after the first answer.
    coolify.wait("the agent did it", lambda: coolify.state()["last_heal"]["cause"] in ("created", "started"), 10)


def test_a_file_broken_by_a_foreign_hand(coolify):
    coolify.shell(f"docker exec coolify sh -c 'cp {HTTP_CONF} /tmp/sound && echo \"gzip maybe;\" >> {HTTP_CONF}'")
    broken = coolify.http_conf()
    code, words = coolify.attempt(SCRIPT)
    assert code == 1
    assert "gzip" in words
    assert coolify.http_conf() == broken
    assert served(coolify)
    coolify.shell(f"systemctl restart {UNIT}")
    coolify.wait("the agent says so", lambda: coolify.state()["refusals"])
    assert "gzip" in coolify.state()["refusals"][-1]["reason"]
    assert served(coolify)
    coolify.shell(f"docker exec coolify sh -c 'cat /tmp/sound > {HTTP_CONF}'")
    assert "current" in coolify.shell(SCRIPT)
    coolify.shell(f"systemctl restart {UNIT}")
    coolify.wait("the refusal is history", lambda: coolify.state()["refusals"] == [])


OWN_APP = """
location /app {
    resolver 127.0.0.11;
    set $realtime coolify-realtime;
    proxy_pass http://$realtime:6001;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
    add_header X-Served-By coolify always;
}
"""


def into_http_conf(text):
    # Where the file comes with the image and where it is rendered at the first start.
    return (
        f"printf '%s\\n' {shlex.quote(text)} >> {HTTP_CONF}.template &&"
        f" {{ [ ! -e {HTTP_CONF} ] || cp {HTTP_CONF}.template {HTTP_CONF}; }}"
    )


def test_an_image_with_a_route_of_its_own(coolify):
    derived = coolify.derive(coolify.version, "own-app", into_http_conf(OWN_APP))
    with Watch(coolify.address, PORT) as watch:
        coolify.remove_coolify()
        created = time.monotonic()
        coolify.create_coolify(derived)
        watch_until_served(coolify)
    assert gap(watch.answers(created)) <= GAP
    # While the realtime server starts it cannot be asked; the agent asks again, ever more seldom.
    coolify.wait(
        "the agent has asked nginx about it",
        lambda: {(one["path"], one["served"]) for one in coolify.state()["foreign"]} == {("/app/", True)},
        60,
    )
    assert "location ^~ /app/ {" not in coolify.http_conf()
    assert coolify.attempt(f"{SCRIPT} --check")[0] == 0


def test_an_image_in_which_the_block_fails_the_test(coolify):
    # Outside of /etc/nginx, where nobody would look for it.
    hidden = "mkdir -p /opt/routes && echo 'location = /terminal/ws { return 418; }' > /opt/routes/terminal.conf && "
    derived = coolify.derive(coolify.version, "hidden", hidden + into_http_conf("include /opt/routes/*.conf;"))
    since = coolify.clock()
    coolify.remove_coolify()
    coolify.create_coolify(derived)
    coolify.wait("the page is served", lambda: ask(coolify.address, PORT, "page") == 200, 30)
    coolify.wait("the agent has given up", lambda: coolify.state()["refusals"], 30)
    assert "selfhosted.coolify" not in coolify.http_conf()
    outcomes = [entry["COOLIFY_WEBSOCKET_OUTCOME"] for entry in coolify.journal(since)]
    # The others where the container was running before the agent had its file, or had rendered it before it was given one.
    assert outcomes in (["prepared", "withdrawn"], ["refused"], ["prepared", "refused"])
    assert "duplicate location" in coolify.state()["refusals"][0]["reason"]
    coolify.shell("docker restart coolify")
    coolify.wait("the page is served after a restart", lambda: ask(coolify.address, PORT, "page") == 200, 30)
    report = verified(coolify)
    assert any(row["hop"] == "self-heal" and not row["ok"] and row["id"] for row in report), report


def verified(coolify):
    """The rows of verify.yml for one host."""
    path = ROOT / ".lab" / f"{coolify.name}-rows.json"
    subprocess.run(
        [
            sys.executable, "-m", "ansible", "playbook", "-i", os.environ["LAB_INVENTORY"], "playbooks/verify.yml",
            "--limit", coolify.name,
            "-e", json.dumps({"coolify_verify_report_path": str(path)}),
        ],
        cwd=ROOT, capture_output=True, check=False, stdin=subprocess.DEVNULL,
    )
    return [row for host in json.loads(path.read_text())["hosts"] for row in host["rows"]]


def test_a_container_that_ends_again_and_again(coolify):
    derived = coolify.derive(coolify.version, "crash", "true", entrypoint="false")
    before = coolify.state()
    coolify.remove_coolify()
    coolify.create_coolify(derived)
    coolify.wait("it was started often", lambda: coolify.inspect()["RestartCount"] >= 5, 60)
    coolify.wait("the agent has given up", lambda: coolify.state()["refusals"], 30)
    assert coolify.state()["heals"] - before["heals"] <= 2


# Ends with 1 at its first three starts, as one does whose database is not up yet.
_LATE_DATABASE = """#!/bin/sh
starts=$(($(cat /tmp/starts 2>/dev/null || echo 0) + 1))
echo $starts > /tmp/starts
[ $starts -gt 3 ] || exit 1
exec /usr/local/bin/start-coolify
"""


def test_a_container_that_ends_until_its_database_is_up(coolify):
    script = f"printf %s {shlex.quote(_LATE_DATABASE)} > /usr/local/bin/late && chmod 755 /usr/local/bin/late"
    derived = coolify.derive(coolify.version, "late", script, entrypoint="/usr/local/bin/late")
    since = coolify.clock()
    coolify.remove_coolify()
    coolify.create_coolify(derived)
    coolify.wait("the page is served", lambda: ask(coolify.address, PORT, "page") == 200, 60)
    assert coolify.inspect()["RestartCount"] == 3
    coolify.wait("both routes are served", lambda: served(coolify), 10)
    coolify.wait("nginx was seen with the routes", lambda: coolify.state()["last_check"]["outcome"] == "current", 30)
    assert coolify.state()["refusals"] == []
    outcomes = [entry["COOLIFY_WEBSOCKET_OUTCOME"] for entry in coolify.journal(since)]
    assert outcomes in (
        ["prepared", "withdrawn", "mended"],
        # The engine had begun its first start before the agent had its file: nothing of ours to take out,
        ["refused", "mended"],
        # or nothing looked at, where each end came to its turn while it was starting again.
        ["mended"],
        # The last start was under way, with the routes, when the agent came to the end before it,
        ["prepared"],
        # or it was ordered while they were being taken out: what it rendered has them.
        ["prepared", "withdrawn", "current"],
    )


def test_killed_however_often_it_is_back_at_once(coolify):
    for _number in range(15):
        agent = coolify.agent_pid()
        coolify.shell(f"systemctl kill -s KILL {UNIT}")
        killed = time.monotonic()
        coolify.wait("it is back", lambda before=agent: coolify.agent_pid() not in (0, before), 10)
        assert time.monotonic() - killed < 2.0
    coolify.wait("it has looked at all", lambda: coolify.state()["last_check"]["cause"] == "start of the service", 20)


def metrics(coolify):
    # As node_exporter reads it, which is not root.
    text = coolify.shell("setpriv --reuid nobody --clear-groups cat /var/lib/prometheus/node-exporter/coolify_websocket.prom")
    families = list(text_string_to_metric_families(text))
    assert all(family.documentation and family.type in ("gauge", "counter") for family in families)
    return {sample.name[len("coolify_websocket_"):]: sample.value for family in families for sample in family.samples}


def test_metrics_tell_what_the_state_tells(coolify):
    take_routes_out(coolify)
    heals = metrics(coolify)["heals_total"]
    coolify.shell(f"systemctl restart {UNIT}")
    found = metrics(coolify)
    assert found.pop("last_check_timestamp_seconds") == coolify.state()["last_check"]["seconds"]
    assert found == {"up": 1, "docker_connected": 1, "routes_in_place": 1, "heals_total": heals + 1, "refusals": 0}
    coolify.shell(f"systemctl stop {UNIT}")
    assert metrics(coolify)["up"] == 0
    coolify.shell(f"systemctl start {UNIT}")
    assert metrics(coolify)["up"] == 1


def test_a_clean_stop_within_two_seconds(coolify):
    began = time.monotonic()
    coolify.shell(f"systemctl stop {UNIT}")
    assert time.monotonic() - began < 2.0
    assert coolify.shell(f"systemctl show -p Result --value {UNIT}").strip() == "success"
    coolify.shell(f"systemctl start {UNIT}")


def take_routes_out(coolify):
    block = "/^# BEGIN selfhosted.coolify/,/^# END selfhosted.coolify/d"
    # A while after it has mended something the agent looks once more, and would see this as well.
    coolify.wait("the agent is done", lambda: coolify.state()["last_check"]["outcome"] == "current")
    stock = f'sed "{block}" {HTTP_CONF} > /tmp/stock && cat /tmp/stock > {HTTP_CONF} && nginx -s reload'
    coolify.shell(f"docker exec coolify sh -c {shlex.quote(stock)}")
    coolify.wait("the routes are gone", lambda: not served(coolify))


def test_a_restart_puts_missing_routes_back(coolify):
    take_routes_out(coolify)
    assert coolify.attempt(f"{SCRIPT} --check")[0] == 1
    assert not served(coolify)
    coolify.shell(f"systemctl restart {UNIT}")
    assert served(coolify)


def test_the_script_puts_missing_routes_back(coolify):
    take_routes_out(coolify)
    assert "mended" in coolify.shell(SCRIPT)
    assert served(coolify)


def test_the_unit_is_shut_in(coolify):
    newest = int(coolify.shell("systemctl --version").split()[1]) >= 257
    words = coolify.shell(f"systemd-analyze security --no-pager {UNIT} | tail -1").split()
    assert float(words[words.index(f"{UNIT}.service:") + 1]) <= (1.0 if newest else 1.5)
    status = dict(
        line.split(":\t", 1) for line in coolify.shell(f"cat /proc/{coolify.agent_pid()}/status").splitlines() if ":\t" in line
    )
    assert {int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}


def test_systemd_has_nothing_to_say_against_the_unit(coolify):
    said = coolify.shell(f"systemd-analyze verify {UNIT}.service 2>&1")
    assert UNIT not in said
    assert "ordering cycle" not in coolify.shell("journalctl -b --no-pager | grep -i 'ordering cycle' || true")
