"""Runs on a lab's Coolify host: cuts a module at a random moment, looks at what is left, lets it run once to its end.

    python3 on_the_host.py MODULE CUTS SEED

MODULE is pusher_env or nginx_snippet; what they import lies beside this file. A run that ends before it is cut does not
count. Prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ENV = "/data/coolify/source/.env"
HTTP_CONF = "/etc/nginx/site-opts.d/http.conf"
MANAGED = ("PUSHER_HOST=", "PUSHER_PORT=")
# Each run has an edit to make: it goes from one of these to the other.
WANTED = {
    "pusher_env": [
        {"values": {"PUSHER_HOST": "a.example.com", "PUSHER_PORT": "443"}, "recreate": False},
        {"values": {"PUSHER_HOST": "coolify-of-a-longer-name.example.com", "PUSHER_PORT": None}, "recreate": False},
    ],
    "nginx_snippet": [{"read_timeout": 3600}, {"read_timeout": 7200}],
}


class Broken(Exception):
    """What a cut left, against the promise."""


def start(module, options):
    path = os.path.join(HERE, "arguments.json")
    with open(path, "w") as target:
        json.dump({"ANSIBLE_MODULE_ARGS": options}, target)
    name = "ansible_collections.selfhosted.coolify.plugins.modules." + module
    environment = dict(os.environ, PYTHONPATH=HERE)
    return subprocess.Popen(
        [sys.executable, "-m", name, path],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )


def run(module, options):
    output, errors = start(module, options).communicate()
    try:
        result = json.loads(output)
    except ValueError:
        raise Broken("the run ended without a result: %s" % errors.decode()[-500:]) from None
    if result.get("failed"):
        raise Broken("a further run fails: %s" % result["msg"])
    return result


def others():
    """The lines of .env that are nobody's but Coolify's."""
    with open(ENV, encoding="utf-8") as source:
        return [line for line in source.read().splitlines() if not line.startswith(MANAGED)]


def in_container(*words):
    return subprocess.run(["docker", "exec", "coolify", *words], capture_output=True, check=False)


def http_conf():
    return in_container("cat", HTTP_CONF).stdout


def serves_its_page():
    try:
        with urllib.request.urlopen("http://127.0.0.1:8000/api/health", timeout=10) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def look_after_cut(module, whole):
    """What must hold at once: the page, and an http.conf that is one of these."""
    if not serves_its_page():
        raise Broken("Coolify does not serve its page")
    if module == "nginx_snippet":
        tested = in_container("nginx", "-t", "-q")
        if tested.returncode:
            raise Broken("nginx refuses what is there: %s" % tested.stderr.decode())
        if http_conf() not in whole:
            raise Broken("http.conf is neither what it was nor what a run without a cut makes of it")


def main():
    module, cuts, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    chance = random.Random(seed)
    first, second = WANTED[module]
    untouched, original = others(), http_conf()
    with open(ENV, "rb") as source:
        env_before = source.read()
    run(module, first)
    states = [http_conf()]
    began = time.monotonic()
    run(module, second)
    length = time.monotonic() - began
    states.append(http_conf())
    counts = {"cuts": 0, "over before": 0, "mended": 0}
    wanted = first
    while counts["cuts"] < cuts:
        if counts["over before"] > 2 * cuts:
            raise Broken("most runs end before they are cut: the one that was measured took %.1f s" % length)
        process = start(module, wanted)
        time.sleep(chance.uniform(0, length * 1.1))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            counts["cuts"] += 1
        else:
            counts["over before"] += 1
        process.communicate()
        look_after_cut(module, states)
        result = run(module, wanted)
        counts["mended"] += bool(result.get("recovered"))
        if others() != untouched:
            raise Broken("a line of .env that is not managed was changed")
        if run(module, wanted)["changed"]:
            raise Broken("a second run after the cut changes something")
        if module == "nginx_snippet" and http_conf() != states[wanted is second]:
            raise Broken("http.conf is not what a run without a cut makes of it")
        wanted = first if wanted is second else second
        # Whoever waits for the end takes a long silence for a lost connection.
        print("%s cut %d" % (module, counts["cuts"]), file=sys.stderr, flush=True)
    run(module, {"state": "absent"})
    left = in_container("find", "/etc/nginx", "-name", ".coolify-websocket-*").stdout.decode().split()
    with open(ENV, "rb") as source:
        if source.read() != env_before or http_conf() != original:
            raise Broken("absent does not give back the bytes from before")
    counts["temporary files left in the container"] = len(left)
    print(json.dumps(counts))


if __name__ == "__main__":
    try:
        main()
    except Broken as found:
        print("seed %s: %s" % (sys.argv[3], found))
        sys.exit(1)
