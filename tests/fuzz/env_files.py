"""Random .env files and random edits: do phpdotenv, Docker Compose and upgrade.sh's lines read what was meant?

phpdotenv reads every file before and after; Docker Compose a share of them after. Needs Docker and the lab's images.

    python tests/fuzz/env_files.py --files 100000 --seed 1
"""

from __future__ import annotations

import argparse
import random
import sys
import typing as t
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import conftest  # noqa: F401 - makes the collection importable
import oracles

from ansible_collections.selfhosted.coolify.plugins.module_utils.env import _dotenv, _outline  # isort: skip

KEYS = ["PUSHER_HOST", "PUSHER_PORT", "PUSHER_SCHEME", "A", "APP_KEY", "B_2"]
MANAGED = KEYS[:3]
FRAGMENTS = ["a", "b1", " ", "#", " #", '"', "'", "\\", "\\n", '\\"', "\\\\", "$", "${A}", "$A", "$$", "=", '="', "\n"]
FRAGMENTS += ["\r\n", "\r", "\t", "export ", "é", "\u00a0", "(", ")", "{", "}", ":", ".", "base64:x=", "\0", "\v", "?"]
FRAGMENTS += ["\ufeff"]
PLAIN = ["x", "1.2.3.4", "", "https", "443", "a#b", "a #b"]
WANTED = ["", "443", "coolify.example.com", "https", "a b", "it's", "$x", "${A}", 'a"b', "a\\", '\\"', '="', "#", "a #b"]
WANTED += [" x ", "é", "100.64.0.1", "[::1]", '"', "'", "$$", "\\n", "a'\"$\\`b", "true", "a='b=\"c"]
WANTED += ["it's ${A}", "it's $A", "\\${A}"]
BATCH = 500
COMPOSE_SHARE = 10
COMPOSE_BATCH = 1000


class Case(t.NamedTuple):
    number: int
    before: bytes
    changes: dict[str, str | None]


class Disagreement(Exception):
    """What two readers say differently, and of which input."""

    def __init__(self, case: Case, reason: str) -> None:
        super().__init__(f"file {case.number}: {reason}\nbefore:  {case.before!r}\nchanges: {case.changes!r}")


def line(chance: random.Random) -> str:
    kind, key = chance.random(), chance.choice(KEYS)
    value = "".join(chance.choice(FRAGMENTS) for _ in range(chance.randint(0, 6)))
    if kind < 0.45:
        return f"{key}={chance.choice(PLAIN)}"
    forms = [f"{key}={value}", f'{key}="{value}"', f"{key}='{value}'", f"export {key}={value}", f"#{value}", ""]
    forms += [f"{key} = {value}", value]
    return chance.choices(forms, [15, 10, 8, 5, 5, 5, 3, 4])[0]


def file(chance: random.Random) -> bytes:
    newline = chance.choice(["\n", "\n", "\n", "\r\n", "\r"])
    text = newline.join(line(chance) for _ in range(chance.randint(0, 6))) + chance.choice(["", newline])
    data = (("\ufeff" if chance.random() < 0.03 else "") + text).encode()
    return data.replace(b"a", b"\xff", 1) if chance.random() < 0.05 else data


def edits(chance: random.Random) -> dict[str, str | None]:
    keys = chance.sample(MANAGED, chance.randint(1, 3))
    return {key: chance.choice(WANTED) if chance.random() < 0.8 else None for key in keys}


def upgraded(data: bytes) -> bytes:
    """Coolify's upgrade.sh in short: of several lines with the same text before ``=`` the first."""
    lines = data[3 * data.startswith(b"\xef\xbb\xbf") :].split(b"\n")
    kept: dict[bytes, bytes] = {}
    for one in lines[:-1] if lines[-1] == b"" else lines:
        kept.setdefault(one.partition(b"=")[0], one)
    return b"".join(one + b"\n" for one in kept.values())


def read(data: bytes) -> dict[str, str] | None:
    try:
        return _dotenv.values(data)
    except _dotenv.DotenvError:
        return None


def check_edit(case: Case, after: bytes, php: dict[str, str] | None) -> None:
    if php is None:
        raise Disagreement(case, f"phpdotenv refuses the edited file {after!r}")
    for key, value in case.changes.items():
        if php.get(key) != value:
            raise Disagreement(case, f"phpdotenv reads {key} as {php.get(key)!r} from {after!r}")
    again = _dotenv.edit(after, case.changes)
    if again.data != after or again.changed_keys:
        raise Disagreement(case, f"a second run makes {again.data!r} of {after!r}")
    # A bare carriage return ends a line for phpdotenv alone; such files keep to the rules that it has.
    if b"\r" not in case.before:
        lines = upgraded(after).split(b"\n")
        for key, value in case.changes.items():
            found = sum(one.partition(b"=")[0] == key.encode() for one in lines)
            if found != (value is not None):
                raise Disagreement(case, f"after an upgrade there are {found} lines of {key} in {lines!r}")
        # In double quotes a value may go on in the next line, whose end this split does not know.
        if b'"' not in case.before and unmanaged(case.before, case) != unmanaged(after, case):
            raise Disagreement(case, f"lines that are not managed differ in {after!r}")
    back = _outline.put_back(after, _outline.outline(case.before, case.changes))
    if back != case.before:
        raise Disagreement(case, f"the way back gives {back!r}")


def unmanaged(data: bytes, case: Case) -> list[bytes]:
    lines = data[3 * data.startswith(b"\xef\xbb\xbf") :].split(b"\n")
    return [one for one in lines if one and not names_managed(one, case)]


def names_managed(raw: bytes, case: Case) -> bool:
    return any(key.encode() in raw.partition(b"=")[0] for key in case.changes)


def check_compose(edited: list[tuple[Case, bytes]]) -> int:
    """How many files Compose read; of others than the managed keys it may take ``$`` and errors its own way."""
    plain = [(case, after) for case, after in edited if b"\0" not in after and not foreign_dollar(case, after)]
    for (case, after), found in zip(plain, oracles.compose([after for _case, after in plain])):
        for key, value in case.changes.items():
            if found.get(key) != value:
                raise Disagreement(case, f"Docker Compose reads {key} as {found.get(key)!r} from {after!r}")
    return len(plain)


def foreign_dollar(case: Case, after: bytes) -> bool:
    rest = b"\n".join(one for one in after.split(b"\n") if not names_managed(one, case))
    return b"$" in rest or b"\v" in rest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    chance = random.Random(options.seed)
    php = oracles.PhpDotenv()
    counts = {"read": 0, "refused by both": 0, "edited": 0, "edits refused": 0, "read by Compose": 0}
    for_compose: list[tuple[Case, bytes]] = []
    try:
        for start in range(0, options.files, BATCH):
            numbers = range(start, min(start + BATCH, options.files))
            cases = [Case(number, file(chance), edits(chance)) for number in numbers]
            for case, theirs in zip(cases, php.values([case.before for case in cases])):
                ours = read(case.before)
                if ours != theirs:
                    raise Disagreement(case, f"phpdotenv reads {theirs!r}, the collection {ours!r}")
                counts["read" if ours is not None else "refused by both"] += 1
            edited = []
            for case in cases:
                try:
                    edited.append((case, _dotenv.edit(case.before, case.changes).data))
                except _dotenv.DotenvError:
                    counts["edits refused"] += 1
            for (case, after), theirs in zip(edited, php.values([after for _case, after in edited])):
                check_edit(case, after, theirs)
            counts["edited"] += len(edited)
            for_compose += edited[::COMPOSE_SHARE]
            # It takes a second to start, whatever the number of files.
            if len(for_compose) >= COMPOSE_BATCH or numbers.stop == options.files:
                counts["read by Compose"] += check_compose(for_compose)
                for_compose = []
    except Disagreement as found:
        print(f"seed {options.seed}, {found}")
        return 1
    finally:
        php.close()
    told = ", ".join(f"{count} {what}" for what, count in counts.items())
    print(f"{options.files} .env files: {told}; 0 disagreements (seed {options.seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
