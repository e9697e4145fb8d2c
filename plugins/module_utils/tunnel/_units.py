# SPDX-License-Identifier: GPL-3.0-or-later
"""What a systemd service starts, read from the text of its unit file and its drop-ins (systemd.service(5), systemd.exec(5))."""

from __future__ import annotations

import re
import typing as t

_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')+""", re.S)
_PIECE = re.compile(r"""\\(?P<escaped>.)|"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'""", re.S)
_ESCAPES = {"n": "\n", "t": "\t", "s": " "}
_VARIABLE = re.compile(r"\$\$|\$\{(?P<braced>\w+)\}")
_SPECIFIER = re.compile(r"%(.)")
_CONTINUED = re.compile(r"\\\n(?:[ \t]*[#;].*\n)*")


class Service(t.NamedTuple):
    """Of the section [Service]: the commands of ExecStart, Environment, EnvironmentFile, User and WorkingDirectory."""

    commands: list[list[str]]
    environment: dict[str, str]
    files: list[str]
    user: str
    folder: str


def service(name: str, text: str) -> Service:
    """Read the unit `name`; `text` is its file and, after it, its drop-ins in systemd's order.

    Variables stay in the commands, since some may come from `files`; see expanded().
    """
    settings: dict[str, list[str]] = {}
    section = ""
    for line in _CONTINUED.sub(" ", text).splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line
        key, equals, value = (part.strip() for part in line.partition("="))
        if section == "[Service]" and equals and not line.startswith(("#", ";")):
            # An empty value takes back what stood before it.
            settings[key] = [*settings.get(key, []), _specified(name, value)] if value else []
    commands = [command for value in settings.get("ExecStart", []) for command in _commands(value)]
    pairs = [word.partition("=") for value in settings.get("Environment", []) for word in words(value)]
    files = [value.lstrip("-") for value in settings.get("EnvironmentFile", [])]
    user, folder = (settings.get(key, [""])[-1:] or [""] for key in ("User", "WorkingDirectory"))
    return Service(commands, {key: value for key, _equals, value in pairs}, files, user[0], folder[0].lstrip("-"))


def words(text: str) -> list[str]:
    """The words of a setting, without their quotes; what is broken inside quotes is passed over."""
    return [_PIECE.sub(_unquoted, word) for word in _WORD.findall(text)]


def environment_file(text: str) -> dict[str, str]:
    """The variables of an EnvironmentFile."""
    lines = [line.strip() for line in text.replace("\\\n", "").splitlines()]
    pairs = [line.partition("=") for line in lines if line and line[0] not in "#;"]
    return {key.strip(): "".join(words(value)) if value[:1] in "\"'" else value.strip() for key, _equals, value in pairs}


def expanded(command: t.Sequence[str], environment: t.Mapping[str, str]) -> list[str]:
    """The command with the variables' values: a word that is one variable becomes as many words as its value has."""
    result: list[str] = []
    for word in command:
        alone = re.fullmatch(r"\$(\w+)", word)
        if alone:
            result += environment.get(alone[1], "").split()
        else:
            result.append(_VARIABLE.sub(lambda found: environment.get(found["braced"], "") if found["braced"] else "$", word))
    return result


def _commands(value: str) -> t.Iterator[list[str]]:
    found: list[str] = []
    for word in [*words(value), ";"]:
        if word != ";":
            found.append(word)
        elif found:
            yield [found[0].lstrip("@-:+!|"), *found[1:]]
            found = []


def _unquoted(found: re.Match[str]) -> str:
    if found["escaped"]:
        return _ESCAPES.get(found["escaped"], found["escaped"])
    inside = found["double"] if found["double"] is not None else found["single"]
    return re.sub(r"\\(.)", lambda one: _ESCAPES.get(one[1], one[1]), inside, flags=re.S)


def _specified(name: str, value: str) -> str:
    stem = name.rpartition(".")[0]
    prefix, _at, instance = stem.partition("@")
    plain = re.sub(r"\\x([0-9a-f]{2})", lambda one: chr(int(one[1], 16)), instance.replace("-", "/"))
    values = {"i": instance, "I": plain, "n": name, "N": stem, "p": prefix, "h": "/root", "E": "/etc", "%": "%"}
    return _SPECIFIER.sub(lambda one: values.get(one[1], one[0]), value)
