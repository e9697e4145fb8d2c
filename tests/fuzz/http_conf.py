"""Random http.conf files: does the edit mean to crossplane and to nginx itself what the collection says it means?

crossplane reads every file before and after; the real ``nginx -t`` judges a share of them. Needs Docker and the lab's
images for the latter.

    python tests/fuzz/http_conf.py --files 100000 --nginx 2000 --seed 1
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import sys
import typing as t
from pathlib import Path

import crossplane
import oracles

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import conftest  # noqa: F401 - makes the collection importable

from ansible_collections.selfhosted.coolify.plugins.module_utils.nginx import _http_conf, _routes  # isort: skip

PATHS = {"/terminal/ws": ("=", 6002), "/app/": ("^~", 6001), "/apps/": ("^~", 6001)}
MARK = "$http_x_coolify_websocket_block"
STOCK = (oracles.NGINX_FILES / "site-opts.d" / "http.conf").read_text()
COPIES = [
    "location /terminal/ws {\n    proxy_pass http://coolify-realtime:6002;\n    proxy_http_version 1.1;\n}",
    'location /app {\n    proxy_pass http://coolify-realtime:6001;\n    proxy_set_header Connection "upgrade";\n}',
    "location ^~ /app/ { proxy_pass http://coolify-realtime:6001; proxy_read_timeout 86400; }",
    "location =/terminal/ws { set $up coolify-realtime; resolver 127.0.0.11; proxy_pass http://$up:6002; }",
]
FOREIGN = [
    "location /app { return 403; }",
    "location = /terminal/ws { proxy_pass http://coolify-realtime:6002; limit_rate 1; }",
    "location ~ ^/app/ { return 404; }",
    "location ~* /terminal/ws$ { proxy_pass http://coolify-realtime:6002; gzip off; }",
    'location ^~ "/apps/" { proxy_pass http://127.0.0.1:1; }',
]
OTHER = [
    "location /api { return 204; }",
    "location /application { return 204; }",
    'location ~ "^/a{2,3}$" { return 204; }',
    "location ~ \\.js$ { expires 1d; }",
    'if ($request_method = "POST") { return 405; }',
    "gzip on;",
    "set $name '${host}x';",
    "set $bare ${host}x;",
    "set $other a\\ b;",
    "server_tokens off;",
    "error_page 404 /404.html;",
    "rewrite ^/old/(.*)$ /new/$1 permanent;",
]
WORDS = ["a", "b c", "{", "}", ";", "#", "'", "é", "\\\\", '\\"', "$host", "/app/", "location", "# BEGIN", "  ", "=", "ÿ"]
COMMENTS = ["# BEGIN selfhosted.coolify websocket", "#END", "# before: x", "# location /app { return 1; }", "#\"'{"]
DAMAGE = ["# BEGIN selfhosted.coolify websocket routes", "# END selfhosted.coolify websocket routes"]
DAMAGE += ["gzip on", "location /x {", "}", 'add_header X "', "set $y 'a'b;", "location /y ; }", "\\"]
# Of nginx's complaints those that are about the grammar, not about what a directive takes.
SYNTAX = ("unexpected", "too long parameter")


class Disagreement(Exception):
    """What the readers say differently."""


def text_of(chance: random.Random) -> tuple[str, bool]:
    """A file, and whether something was broken in it."""
    newline = chance.choice(["\n", "\n", "\n", "\r\n"])
    parts = chance.choice([[STOCK], [STOCK], [], ["listen 8080;\n", "root /var/www/html/public;\n"]])[:]
    # nginx refuses the same location and the same variable of the server twice.
    for part in chance.sample(OTHER, chance.randrange(4)) + chance.sample(FOREIGN, chance.choice([0, 0, 0, 1, 2])):
        parts.append(part + chance.choice(["\n", "\n", "", " ", "  # c\n"]))
    for part in chance.sample(COPIES, chance.choice([0, 0, 1, 2, 3])):
        parts.append(chance.choice(["", "\n", "# WebSocket\n"]) + part + chance.choice(["\n", ""]))
    for _number in range(chance.randrange(3)):
        words = "".join(chance.choice(WORDS) for _ in range(chance.randrange(4))).replace("\\'", "'")
        parts.append(chance.choice(["    ", "\t", ""]) + f'add_header X "{words}";' + chance.choice(["\n", "\n\n", ""]))
        parts.append(chance.choice(COMMENTS) + "\n")
    shuffled = parts[1:]
    chance.shuffle(shuffled)
    text = "".join(parts[:1] + shuffled)
    broken = chance.random() < 0.1
    if broken:
        position = chance.randrange(len(text) + 1)
        position = text.find("\n", position) + 1
        text = text[:position] + chance.choice(DAMAGE) + "\n" + text[position:]
    if chance.random() < 0.15:
        text = chance.choice(["", "  "]) + text.rstrip("\n")
    text = text.replace("\n", newline)
    if not broken and chance.random() < 0.3:
        with contextlib.suppress(_http_conf.HttpConfError):
            text = _http_conf.apply(text, _routes.Settings(read_timeout=chance.randrange(1, 9))).text
        text += chance.choice(["", "", chance.choice(COMMENTS), "charset utf-8;\n"]) if "charset" not in text else ""
    return text, broken


def crossplane_statements(text: str) -> list[t.Any]:
    """What crossplane's reader finds, as nested lists of words, without comments."""
    root: list[t.Any] = []
    levels, words = [root], []
    for word, _line, quoted in crossplane.lexer._balance_braces(
        crossplane.lexer._lex_file_object(io.StringIO(text, newline="")), "http.conf"
    ):
        if not quoted and word.startswith("#") and not words:
            continue
        if not quoted and word == ";":
            levels[-1].append([words, None])
            words = []
        elif not quoted and word == "{":
            levels[-1].append([words, []])
            levels.append(levels[-1][-1][1])
            words = []
        elif not quoted and word == "}":
            levels.pop()
        else:
            words.append(word)
    return root


def within(statement: t.Any) -> t.Iterator[t.Any]:
    for inner in statement[1] or []:
        yield inner
        yield from within(inner)


def is_ours(statement: t.Any) -> bool:
    return any(inner[0][0] == "if" and MARK in " ".join(inner[0]) for inner in within(statement))


def check_meaning(text: str, result: _http_conf.Result) -> None:
    """By crossplane: our locations are the named ones, and of the others only the adopted are gone."""
    before, after = crossplane_statements(text), crossplane_statements(result.text)
    ours = {tuple(statement[0][1:]): statement for statement in after if is_ours(statement)}
    wanted = {(PATHS[path][0], path) for path in result.paths}
    if set(ours) != wanted:
        raise Disagreement(f"crossplane finds {sorted(ours)} as ours, the collection says {sorted(wanted)}")
    for (_modifier, path), statement in ours.items():
        passed = [inner[0][1] for inner in within(statement) if inner[0][0] == "proxy_pass"]
        if passed != [f"http://$coolify_websocket_upstream:{PATHS[path][1]}"]:
            raise Disagreement(f"{path} is passed to {passed}")
    rest = [statement for statement in after if not is_ours(statement)]
    left = [statement for statement in before if not is_ours(statement)]
    gone = list(result.adopted)
    for statement in left[:]:
        if statement not in rest and " ".join(statement[0]) in gone:
            gone.remove(" ".join(statement[0]))
            left.remove(statement)
    # An older block may hold in its memory what is somebody else's today: then it is put back, and counts as new.
    if sorted(map(repr, left)) != sorted(map(repr, rest)) and "# before: " not in text:
        raise Disagreement(f"statements of others differ: {left} and {rest}")
    named = set(result.paths) | {location.path for location in result.foreign}
    if named != set(PATHS):
        raise Disagreement(f"only {sorted(named)} are routed or reported")


def check_bytes(text: str, result: _http_conf.Result) -> None:
    again = _http_conf.apply(result.text)
    if again.changed or again.text != result.text:
        raise Disagreement(f"a second run makes {again.text!r}")
    back = _http_conf.remove(result.text).text
    if back != _http_conf.remove(text).text:
        raise Disagreement(f"absent gives other bytes: {back!r}")
    if MARK not in text and back != text:
        raise Disagreement(f"absent gives other bytes than there were: {back!r}")


def check_nginx(nginx: oracles.Nginx, text: str, result: _http_conf.Result | None, error: str) -> str:
    """What nginx said of the file before: accepted, other fault, syntax."""
    before = nginx.complaint(text)
    syntax = any(words in before for words in SYNTAX)
    if result is None:
        if not before and "without its counterpart" not in error and "marker" not in error:
            raise Disagreement(f"nginx accepts what the collection refuses: {error}")
        return "syntax" if syntax else "other fault"
    if syntax:
        raise Disagreement(f"the collection accepts what nginx cannot read: {before}")
    after = nginx.complaint(result.text)
    if after and not before:
        raise Disagreement(f"nginx took the file, and refuses the edited one: {after}")
    return "other fault" if before else "accepted"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=100000)
    parser.add_argument("--nginx", type=int, default=2000, help="how many of them the real nginx judges")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    chance = random.Random(options.seed)
    every = max(1, options.files // options.nginx) if options.nginx else 0
    nginx = oracles.Nginx() if options.nginx else None
    counts = {"edited": 0, "refused": 0}
    judged = {"accepted": 0, "other fault": 0, "syntax": 0}
    for number in range(options.files):
        text, broken = text_of(chance)
        try:
            result, error = None, ""
            try:
                result = _http_conf.apply(text)
            except _http_conf.HttpConfError as refusal:
                error = str(refusal)
                if not broken:
                    raise Disagreement(f"a sound file is refused: {error}") from refusal
            if result is not None:
                if not broken:
                    check_meaning(text, result)
                check_bytes(text, result)
            if nginx and number % every == 0:
                judged[check_nginx(nginx, text, result, error)] += 1
        except Disagreement as found:
            print(f"seed {options.seed}, file {number}: {found}\n{text!r}")
            return 1
        counts["edited" if result else "refused"] += 1
    if nginx:
        nginx.close()
    print(
        f"{options.files} http.conf files: {counts['edited']} edited, {counts['refused']} refused; nginx -t judged "
        f"{sum(judged.values())} ({judged['accepted']} sound, {judged['syntax']} with a fault of syntax, "
        f"{judged['other fault']} with another); 0 disagreements (seed {options.seed})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
