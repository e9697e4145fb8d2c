"""Random ingress lists in random spellings: are both paths routed, and is every other answer as before?

Each is edited as a file, and as the list that Cloudflare keeps. PyYAML says what the file means, and a matcher of a few lines,
apart from the collection's, says who answers.

    python tests/fuzz/ingress_lists.py --lists 20000 --seed 1
"""

from __future__ import annotations

import argparse
import copy
import random
import re
import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import conftest  # noqa: F401 - makes the collection importable

from ansible_collections.selfhosted.coolify.plugins.module_utils.tunnel import _ingress  # isort: skip
from ansible_collections.selfhosted.coolify.plugins.plugin_utils import tunnel_list, tunnel_remote  # isort: skip

HOST = "coolify.example.com"
WANTED = [
    {"path": "^/terminal/ws$", "service": "http://127.0.0.1:6002"},
    {"path": "^/apps?/", "service": "http://127.0.0.1:6001"},
]
PORTS = {"/terminal/ws": 6002, "/app/0123": 6001}
OURS = [*PORTS, "/apps/c/events"]
MISTAKES = ["/app", "/app", "/app*", "/app/*", "/app.*", "/terminal", "/terminal/*"]
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
MARK = re.compile(r"\(\|selfhosted\.coolify(:\S+)?\)$")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def named(rule, host):
    name = (rule.get("hostname") or "").lower()
    return not name or name == host or (name[0] == "*" and host.endswith(name[1:]))


def first(rules, host, path):
    """The reference."""
    return next(rule for rule in rules if named(rule, host) and re.search(rule.get("path") or "", path))


def meant(text):
    return yaml.load(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), Loader=LOADER)["ingress"]


def narrowed(rule, own):
    """The rule as it must come out: anchored, where it is a mistake on the host that has the rest of the hostname."""
    here = r"localhost|127.0.0.1|coolify-realtime" if "//coolify" in own["service"] else r"localhost|127.0.0.1"
    mistake = (rule.get("hostname") or "").lower() == HOST and rule.get("path") in MISTAKES
    if mistake and re.fullmatch(f"http://({here}):600[12]", rule["service"]):
        return {**rule, "path": "^/terminal/ws$" if "terminal" in rule["path"] else "^/apps?/"}
    return rule


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
        origin = rule[3] if len(rule) > 3 else ""
        chance.shuffle(fields)
        if flow or chance.random() < 0.1:
            body = "{" + ", ".join(f"{key}: '{value}'" for key, value in fields) + (", " + origin if origin else "") + "}"
            chunks.append(body)
            lines.append(f"{indent}-{gap}{body}")
            continue
        if chance.random() < 0.3:
            lines.append(f"{indent}# {chance.randrange(99)}")
        for number, (key, value) in enumerate(fields):
            start = f"{indent}-{gap}" if number == 0 else indent + " " + " " * len(gap)
            lines.append(f"{start}{key}: {spelled(chance, value)}{chance.choice(['', '', '  # c'])}")
        if origin:
            lines.append(indent + " " + " " * len(gap) + origin)
        if chance.random() < 0.2:
            lines.append("")
    if flow:
        lines = ["ingress: [" + ", ".join(chunks) + "]"]
    if chance.random() < 0.5:
        lines += ["# end", "metrics: localhost:1"]
    return newline.join(lines) + chance.choice([newline, ""])


def fault(text):
    """What is wrong with the edit of `text`; None if nothing is."""
    edit = tunnel_list.edit(text, [HOST], WANTED)
    if _ingress.strip(text) != text:
        return "a text without anything of ours is changed by the way back"
    if edit.by_hand:
        return None if edit.text == text else "edited although it is to be done by hand"
    before, after = meant(text), meant(edit.text)
    if [tuple(rule.get(key) or "" for key in ("hostname", "path", "service")) for rule in after] != [*map(tuple, edit.rules)]:
        return "the edited file means something else"
    if tunnel_list.edit(edit.text, [HOST], WANTED).text != edit.text:
        return "a second run changes it"
    if _ingress.strip(edit.text) != text:
        return "the way back gives other bytes"
    return misrouted(before, after, [tuple(rule) for rule, _pages in edit.swallowed])


def fault_of_remote(before):
    """The same of the list as the API gives it, where our mark stands in the path."""
    items = copy.deepcopy(before)
    edit = tunnel_remote.edit(items, [(HOST, WANTED)])
    if items != before or tunnel_remote.without(before) != before:
        return "a list without anything of ours is changed by the way back"
    if edit.unpublished:
        return None if edit.items == before else "edited although the tunnel does not publish the hostname"
    if tunnel_remote.edit(edit.items, [(HOST, WANTED)]).items != edit.items:
        return "a second run changes it"
    if tunnel_remote.without(edit.items) != before:
        return "the way back gives another list"
    return misrouted(before, edit.items, [tuple(rule) for rule, _pages in edit.swallowed])


def unmarked(rule):
    return {**rule, "path": MARK.sub("", rule["path"])} if MARK.search(rule.get("path") or "") else rule


def misrouted(before, after, swallowed):
    owns = [rule for rule in before if named(rule, HOST) and not rule.get("path")]
    own = next((rule for rule in owns if (rule.get("hostname") or "").lower() == HOST), owns[0])
    realtime = "coolify-realtime" if "//coolify" in own["service"] else "127.0.0.1"
    for path, port in PORTS.items():
        service = first(after, HOST, path)["service"].replace("localhost", "127.0.0.1")
        if service != f"http://{realtime}:{port}":
            return f"{path} is answered by {service}"
    for rule in after[: len(after) - len(before)]:
        if rule.get("originRequest") != own.get("originRequest"):
            return f"{rule} has not the originRequest of {own}"
    mended = [narrowed(rule, own) for rule in before]
    mistakes = [rule for rule, now in zip(before, mended) if rule != now]
    if swallowed != [tuple(rule[key] for key in ("hostname", "path", "service")) for rule in mistakes]:
        return f"narrowed are {swallowed}, mistakes are {mistakes}"
    for host in HOSTS:
        for path in PAGES + ([] if host == HOST else OURS):
            was, now = first(mended, host, path), unmarked(first(after, host, path))
            if was != now:
                return f"{host}{path} was answered by {was}, now by {now}"
    return None


def varied(chance, rules):
    """The lists as an earlier version drew them from its seeds, with what it did not draw."""
    found = []
    for hostname, path, service in rules:
        hostname = hostname.title() if chance.random() < 0.1 else hostname
        path = chance.choice(MISTAKES) if path == "/app" else path
        service = "http://coolify:8080" if service.endswith(":8000") and chance.random() < 0.1 else service
        origin = "originRequest: {access: {required: true, audTag: [a, 'b']}, noTLSVerify: yes}"
        found.append((hostname, path, service, origin if chance.random() < 0.2 else ""))
    if chance.random() < 0.2:
        right = [(HOST, "/app/", "http://127.0.0.1:6001"), (HOST, "/terminal/ws", "http://localhost:6002")]
        place = chance.randrange(2)
        found[place:place] = chance.sample(right, 2)
    return found


def drawn(chance, seed):
    rules = [(chance.choice(HOSTNAMES), chance.choice(PATHS), chance.choice(SERVICES)) for _ in range(chance.randrange(8))]
    rules = varied(random.Random(seed), [rule for rule in rules if rule[0] or rule[1]])
    return written(chance, [*rules, ("", "", "http_status:404")])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lists", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    chance = random.Random(options.seed)
    changed = by_hand = narrow = 0
    for number in range(options.lists):
        text = drawn(chance, options.seed + number)
        try:
            found = fault(text) or fault_of_remote(meant(text))
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
        if found:
            print(f"seed {options.seed}, list {number}: {found}\n{text}")
            return 1
        edit = tunnel_list.edit(text, [HOST], WANTED)
        changed += edit.text != text
        by_hand += bool(edit.by_hand)
        narrow += bool(edit.swallowed)
    print(f"{options.lists} lists, {changed} changed ({narrow} narrowed), {by_hand} by hand")
    print(f"0 disagreements (seed {options.seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
