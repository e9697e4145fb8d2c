"""Random ingress lists in random spellings: are both paths routed, and is every other answer as before?

PyYAML says what the file means, and a matcher of a few lines, apart from the collection's, says who answers.

    python tests/fuzz/ingress_lists.py --lists 20000 --seed 1
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import conftest  # noqa: F401 - makes the collection importable

from ansible_collections.selfhosted.coolify.plugins.module_utils.keeper import _undo  # isort: skip
from ansible_collections.selfhosted.coolify.plugins.module_utils.tunnel import _ingress  # isort: skip

HOST = "coolify.example.com"
WANTED = [
    {"path": "^/terminal/ws$", "service": "http://localhost:6002"},
    {"path": "^/apps?/", "service": "http://localhost:6001"},
]
PORTS = {"/terminal/ws": 6002, "/app/0123": 6001, "/apps/c/events": 6001}
PAGES = ["/", "/api/v1/applications", "/project/u/environment/u/application/u", "/terminal", "/applications", "/x.js"]
HOSTS = [HOST, "a.example.com", "example.com", "other.org"]
HOSTNAMES = [HOST, HOST, "a.example.com", "*.example.com", "*.com", "other.org", ""]
PATHS = [
    "",
    "",
    "/app",
    "/app/",
    "^/apps?/",
    "^/app/",
    "/terminal/ws",
    "^/terminal/ws$",
    "^/terminal",
    "^/api",
    "ws$",
    "[.]js$",
    ".*",
]
SERVICES = ["http://localhost:8000", "http://localhost:80", "http://localhost:6001", "http://127.0.0.1:6002", "unix:/run/a.sock"]
SERVICES += ["http://coolify-realtime:6001", "http://coolify-realtime:6002", "http_status:404"]
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def first(rules, host, path):
    """The reference."""
    for rule in rules:
        name = rule[0]
        named = not name or name == host or (name[0] == "*" and host.endswith(name[1:]))
        if named and re.search(rule[1], path):
            return rule
    raise AssertionError("no catch-all")


def meant(text):
    listed = yaml.load(text, Loader=LOADER)["ingress"]
    return [tuple(rule.get(key, "") for key in ("hostname", "path", "service")) for rule in listed]


def spelled(chance, value):
    forms = ["'" + value + "'", '"' + value + '"']
    if not value.startswith(("*", "[", ".", "^")) or value.startswith("^"):
        forms.append(value)
    return chance.choice(forms)


def written(chance, rules):
    newline, indent, gap = chance.choice(["\n", "\n", "\r\n"]), " " * chance.randrange(5), " " * chance.randrange(1, 4)
    flow = chance.random() < 0.2
    lines = ["tunnel: abc", chance.choice(["ingress:", "ingress:   # list"])]
    chunks = []
    for rule in rules:
        fields = [(key, value) for key, value in zip(("hostname", "path", "service"), rule) if value]
        chance.shuffle(fields)
        if flow or chance.random() < 0.1:
            body = "{" + ", ".join(f"{key}: '{value}'" for key, value in fields) + "}"
            chunks.append(body)
            lines.append(f"{indent}-{gap}{body}")
            continue
        if chance.random() < 0.3:
            lines.append(f"{indent}# {chance.randrange(99)}")
        for number, (key, value) in enumerate(fields):
            start = f"{indent}-{gap}" if number == 0 else indent + " " + " " * len(gap)
            lines.append(f"{start}{key}: {spelled(chance, value)}{chance.choice(['', '', '  # c'])}")
        if chance.random() < 0.2:
            lines.append("")
    if flow:
        lines = ["ingress: [" + ", ".join(chunks) + "]"]
    if chance.random() < 0.5:
        lines += ["# end", "metrics: localhost:1"]
    return newline.join(lines) + chance.choice([newline, ""])


def fault(text):
    """What is wrong with the edit of `text`; None if nothing is."""
    before = meant(text)
    result = _ingress.apply(text, HOST, WANTED)
    after = meant(result.text)
    if after != [tuple(rule) for rule in result.rules]:
        return "the edited file means something else"
    if _ingress.apply(result.text, HOST, WANTED).changed:
        return "a second run changes it"
    for path, port in PORTS.items():
        if not first(after, HOST, path)[2].endswith(f":{port}"):
            return f"{path} is answered by {first(after, HOST, path)}"
    for host in HOSTS:
        for path in PAGES + ([] if host == HOST else list(PORTS)):
            was = first(before, host, path)
            if was in after and first(after, host, path) != was:
                return f"{host}{path} was answered by {was}, now by {first(after, host, path)}"
    if _undo.original(_undo.Memory(text, result.text), result.text) != text:
        return "the way back gives other bytes"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lists", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    chance = random.Random(options.seed)
    changed = 0
    for number in range(options.lists):
        rules = [(chance.choice(HOSTNAMES), chance.choice(PATHS), chance.choice(SERVICES)) for _ in range(chance.randrange(8))]
        rules = [rule for rule in rules if rule[0] or rule[1]]
        text = written(chance, [*rules, ("", "", "http_status:404")])
        try:
            found = fault(text)
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
        if found:
            print(f"seed {options.seed}, list {number}: {found}\n{text}")
            return 1
        changed += _ingress.apply(text, HOST, WANTED).changed
    print(f"{options.lists} lists, {changed} changed, 0 disagreements (seed {options.seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
