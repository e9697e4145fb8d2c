"""Random hosts and random choices: is what the plan wants what the host can have, and is nobody shut out or let in by surprise?

    python tests/fuzz/plans.py --hosts 100000 --seed 1

What a host can have is decided here from the facts alone, apart from the plan's own code.
"""

from __future__ import annotations

import argparse
import ipaddress
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import conftest  # noqa: F401 - makes the collection importable

from ansible_collections.selfhosted.coolify.plugins.module_utils.firewall import _policy  # isort: skip
from ansible_collections.selfhosted.coolify.plugins.module_utils.plan import _access, _domain  # isort: skip

DOMAIN = "coolify.example.com"
HOPS = ("pusher", "nginx", "self_heal", "traefik", "firewall", "tunnel")
PRIVATE = [ipaddress.ip_network(text) for text in ("10.0.0.0/8", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")]


def some(rng, *values):
    return rng.choice(values)


def address(rng):
    return some(rng, "192.168.1.103", "10.0.0.7", "203.0.113.9", "2001:db8::7", "fd00::7", "100.64.0.9", "100.101.102.103")


def client(rng):
    interface = some(rng, "eth0", "eth0", "tailscale0", "wg0", "br-0123456789ab", "vmbr0", None)
    return {"address": address(rng), "interface": interface, "bridge": str(interface).startswith(("br-", "vmbr"))}


def router(rng):
    """A router as Traefik's API shows it, of the instance or of a neighbour."""
    host = some(rng, DOMAIN, DOMAIN, "other.example.org")
    more = ("", "", "PathPrefix(`/`)", "ClientIP(`10.0.0.0/8`)", "Header(…)", "PathPrefix(`/app`)")
    rule = " && ".join(filter(None, [f"Host(`{host}`)", some(rng, *more)]))
    return {
        "name": f"r{rng.randrange(10**6)}@file", "rule": rule, "priority": len(rule) + some(rng, 0, 0, 1000), "enabled": True,
        "entry_points": [some(rng, "http", "https")], "middlewares": some(rng, [], ["login@file"], ["login@file", "ip@docker"]),
        "tls": some(rng, None, "", "mutual@file"), "leads": some(rng, "page", "page", "page", ""),
    }  # fmt: skip


def random_host(rng):
    """What coolify_info and tailscale_info return, of a host that may be anything."""
    ports = {name: some(rng, port, port, port, 7001, None) for name, port in (("app", 6001), ("terminal", 6002), ("http", 8000))}
    own = some(rng, None, {"host": DOMAIN, "scheme": some(rng, "https", "http"), "source": "coolify.yaml"})
    info = {
        "docker": {"reachable": rng.random() < 0.97, "version": some(rng, "26.1.5", "20.10.5", "19.3", "edge"), "error": "none"},
        "layout": some(rng, "bundled", "separate"),
        "coolify": {
            "found": rng.random() < 0.97,
            "others": some(rng, [], ["mine"]),
            "version": some(rng, "4.7.6", "4.7.6", "4.0.0-beta.420", None),
        },
        "env_file": {"path": "/data/coolify/source/.env", "exists": rng.random() < 0.97, "variables": {}},
        "realtime": {"found": rng.random() < 0.9},
        "ports": ports,
        "published": {name: [port] if port else [] for name, port in ports.items()},
        "addresses": {name: [some(rng, "0.0.0.0", "127.0.0.1", "100.64.0.1")] if port else [] for name, port in ports.items()},
        "clients": [client(rng) for _ in range(some(rng, 0, 0, 1, 3))],
        "proxy": {
            "kind": some(rng, "traefik", "traefik", "caddy", "none"),
            "version": some(rng, "3.6.15", "3.6.15", "3.0.4", None),
            "routers": some(rng, None, *([router(rng) for _ in range(some(rng, 1, 2, 3))] for _ in range(3))),
        },
        "domain": own,
        "os": {
            "units": some(rng, None, None, None, "systemd does not run here"),
            "pythons": {
                "/usr/bin/python3": some(rng, "3.11", "3.8", "3.6", None),
                some(rng, "/usr/bin/python3.9", "/root/x/python3", "/home/u/python3"): "3.12",
            },
        },
        "nft": {"available": rng.random() < 0.9, "error": None, "lacks": None},
        "managed": {
            "nginx": some(rng, {}, {"mounted": True, "error": "mounted from /srv"}),
            "firewall": {"outside_bridges": some(rng, [], ["vmbr0"]), "trusted": []},
            "tunnel": {
                "path": "/etc/cloudflared/config.yml", "present": rng.random() < 0.5, "managed_by_coolify": rng.random() < 0.1,
                "remote": rng.random() < 0.2, "connectors": [], "rules": some(rng, [], ["some"]),
            },
        },
    }  # fmt: skip
    up = rng.random() < 0.6
    tailscale = {
        "interface": "tailscale0", "installed": up or rng.random() < 0.2, "present": up, "up": up,
        "ipv4": "100.64.0.1" if up else None, "ipv6": "fd7a:115c:a1e0::1" if up else None,
        "backend_state": "Running" if up else None,
    }  # fmt: skip
    return info, tailscale


def random_choices(rng):
    return {
        "access": some(rng, *_access.MODES),
        "domain": some(rng, "", "", DOMAIN, "other.example.org"),
        "trusted": some(rng, [], [], ["192.168.1.0/24"], [{"interface": "wg0"}], [{"source": "10.0.0.7", "interface": "eth1"}]),
        "outside_interfaces": some(rng, [], [], ["br-0123456789ab"]),
        "cut_off": rng.random() < 0.2,
        "python": some(rng, "", "", "/opt/python3"),
        "state": some(rng, "present", "present", "present", "absent"),
        "states": {hop: some(rng, "present", "absent") for hop in HOPS if rng.random() < 0.3},
    }


def is_let_in(one, trusted, outside):
    """Whether the guide's firewall lets this client in, from the options alone."""
    if one["bridge"] and one["interface"] not in outside:
        return True
    for entry in trusted:
        network, interface = entry["source"], entry["interface"]
        if interface not in (None, one["interface"]):
            continue
        if network is None or ipaddress.ip_address(one["address"]) in ipaddress.ip_network(network):
            return True
    return False


def less_guarded(written, routers):
    """The routers written that let in by the host's name whom no router of that name at the entry point lets in."""
    found = []
    for name, one in written.items():
        host = one["rule"].split("`")[1]
        pages = [
            page
            for page in routers
            if f"Host(`{host}`)" in page["rule"]
            and set(one["entryPoints"]) <= set(page["entry_points"])
            and "/app" not in page["rule"]
        ]
        if "certResolver" in str(one):
            found.append(f"{name} asks for a certificate")
        # The page is answered by the router of the highest priority.
        top = max(pages, key=lambda page: page["priority"], default=None)
        if top is None:
            found.append(f"{name} opens a name that has no page")
        elif not set(top["middlewares"]) <= set(one.get("middlewares", [])):
            found.append(f"{name} passes by {top['middlewares']}")
        elif "ClientIP" in top["rule"] and "ClientIP" not in one["rule"]:
            found.append(f"{name} passes by the addresses of {top['rule']}")
        elif top["tls"] == "mutual@file" and one.get("tls") != {"options": "mutual@file"}:
            found.append(f"{name} passes by the client's certificate")
    return found


def wrong(plan, info, choices):
    """What is wrong with a plan, in words."""
    found = []
    made = {hop for hop in HOPS if plan[hop]["wanted"] and not plan[hop]["refusal"]}
    for hop in HOPS:
        if plan[hop]["refusal"] and not plan[hop]["wanted"]:
            found.append(f"{hop} is refused, and not wanted")
        if plan[hop]["refusal"] and plan[hop]["refusal"]["why"] not in plan["refusals"]:
            found.append(f"{hop}'s refusal is not among those that stop the run")
        if not plan[hop]["wanted"] and not plan[hop]["why"]:
            found.append(f"{hop} is not wanted, and nobody says why")
    if choices["state"] == "absent" and (made or plan["refusals"]) and not choices["states"]:
        found.append("something is wanted or refused where all is to be taken back")
    if info["os"]["units"] and made & {"self_heal", "firewall"}:
        found.append("a unit is wanted where none can be installed")
    if "self_heal" in made:
        python = plan["self_heal"]["python"]
        version = info["os"]["pythons"].get(python)
        if python != choices["python"] and (python.startswith(("/root", "/home")) or version == "3.6"):
            found.append(f"the service is to run with {python}")
    if info["managed"]["nginx"].get("mounted") and "nginx" in made:
        found.append("http.conf is wanted where it is mounted")
    if "firewall" in made:
        options = {key: plan["firewall"][key] for key in ("ports", "trusted", "outside_interfaces", "container_ports")}
        _policy.policy(**options)
        for one in info["clients"]:
            private = any(ipaddress.ip_address(one["address"]) in network for network in PRIVATE)
            if is_let_in(one, options["trusted"], options["outside_interfaces"]):
                continue
            if private and not choices["cut_off"]:
                found.append(f"{one['address']} is cut off")
            if not private and not any(one["address"] in note for note in plan["notes"]):
                found.append(f"{one['address']} is cut off unnamed")
    if "traefik" in made and (info["proxy"]["kind"] != "traefik" or info["proxy"]["version"] == "3.0.4"):
        found.append("routes are wanted in a proxy that does not take them")
    if "traefik" in made:
        found += less_guarded(plan["traefik"]["document"]["http"]["routers"], info["proxy"]["routers"])
    return found


def check(seed, number):
    """How many plans there were of `number` hosts. Raises AssertionError with the seed of a wrong one."""
    plans = 0
    for index in range(number):
        rng = random.Random(f"{seed}-{index}")
        info, tailscale = random_host(rng)
        choices = random_choices(rng)
        try:
            plan = _access.plan(info, tailscale, **choices)
        except _domain.AccessError as error:
            refused = str(error)
        else:
            plans += 1
            refused = ""
        # What is to be taken back is never refused.
        found = ["absent is refused"] if refused and choices["state"] == "absent" else []
        found += [] if refused else wrong(plan, info, choices)
        assert found == [], f"host {seed}-{index}: {refused} {info} {choices}"
    return plans


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    arguments = parser.parse_args()
    print(f"plans: {arguments.hosts} hosts, --seed {arguments.seed}", flush=True)
    print(f"plans: {check(arguments.seed, arguments.hosts)} plans, none wrong")
    return 0


if __name__ == "__main__":
    sys.exit(main())
