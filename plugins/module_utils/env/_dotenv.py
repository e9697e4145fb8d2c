# SPDX-License-Identifier: GPL-3.0-or-later
"""Coolify's .env, key by key.

Three programs read that file, each by a grammar of its own: phpdotenv 5 (Laravel, in the container), Docker Compose
(``env_file`` and ``--env-file``), and the lines of Coolify's own upgrade.sh, which keeps the first of several lines with
the same text before ``=`` (fact 5). An edit is made only where all three see the same single line for the key
afterwards; every byte of what is not managed stays.

The text is UTF-8 with ``surrogateescape`` throughout, so that bytes which are no UTF-8 come out as they went in.
"""

from __future__ import annotations

import re
import typing as t
import unicodedata

from . import _pusher

#: The only keys whose values may be shown to anybody.
NON_SECRET_KEYS = frozenset({*_pusher.KEYS, "TERMINAL_PROTOCOL", "TERMINAL_HOST", "TERMINAL_PORT", "APP_NAME", "SESSION_COOKIE"})

BOM = "\ufeff"
_EOL = re.compile(r"\r\n|\n|\r")
_PHP_TRIM = " \n\r\t\0\x0b"
_C_SPACE = " \t\n\r\v\f"
_PHP_TOKEN = re.compile(r"[\r\n]+|[^\S\r\n]+|[\\'\"#$]|[^\s\\'\"#$]+", re.ASCII)
_PHP_ESCAPES = {"f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_GO_BLANK = "\t\v\f\r \u0085\u00a0"
_GO_SPACE = _GO_BLANK + "\n\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")
_REST_OF_LINE = re.compile(r"(?:[ \t]+(?:#[^'\"\r\n]*)?)?")

_BARE_RETURN = "line {line}: ends in a bare carriage return, which only Laravel takes as a line end"


class DotenvError(ValueError):
    """The file, or a wanted value, is not what all three readers agree on. The message holds no value of the file."""


class Edit(t.NamedTuple):
    """The file after an edit, and the keys whose lines are no longer what they were, in the order they were given."""

    data: bytes
    changed_keys: list[str]


class Value(t.NamedTuple):
    """A value as phpdotenv understands it: its text, and where in it a ``$`` may begin a ``${NAME}``."""

    text: str
    variables: tuple[int, ...]


class Statement(t.NamedTuple):
    """A stretch of lines that phpdotenv takes as one, line ends included.

    `name` is None for comments and blanks; `value` is None where the name stands alone.
    """

    start: int
    end: int
    line: int
    name: str | None
    value: Value | None


def values(data: bytes) -> dict[str, str]:
    """The variables that phpdotenv 5 reads from a file, with nothing in the process environment. Raises DotenvError."""
    found: dict[str, str] = {}
    for statement in statements(decode(data)):
        if statement.name is None:
            continue
        if statement.value is None:
            found.pop(statement.name, None)
        else:
            found[statement.name] = _resolve(statement.value, found)
    return {name: re.sub("[\udc80-\udcff]", "?", value) for name, value in found.items()}


def edit(data: bytes, changes: t.Mapping[str, str | None]) -> Edit:
    """`data` with one line for each key of `changes` where its first stood, or none for a key whose value is None.

    A key's only line is left alone where it says the wanted value already in a form that all readers understand alike.
    Raises DotenvError where a value or the file does not allow it.
    """
    lines = {key: render(key, value) for key, value in changes.items()}
    text = decode(data)
    before: dict[str, list[str]] = {key: [] for key in changes}
    placed: dict[str, str] = {}
    kept: list[tuple[int, str]] = []
    for statement in statements(text):
        raw = text[statement.start : statement.end]
        key = statement.name
        if key in lines:
            before[key].append(raw)
            wanted = changes[key]
            if wanted is None or key in placed:
                continue
            body, end = split_end(raw)
            raw = placed[key] = raw if _says(body, key, wanted) else str(lines[key]) + end
        elif kept and kept[-1][1].endswith("\r") and raw.startswith("\n"):
            raise DotenvError(_BARE_RETURN.format(line=kept[-1][0]))
        kept.append((statement.line, raw))
    body = "".join(raw for _line, raw in kept)
    eol = eol_of(text)
    for key, line in lines.items():
        if line is not None and key not in placed:
            body, placed[key] = _append(body, line, eol)
    prefix = BOM if text.startswith(BOM) else ""
    after = prefix + body
    _agree(after, changes)
    changed = [key for key in changes if before[key] != ([placed[key]] if key in placed else [])]
    return Edit(encode(after), changed)


def edited_keys(original: bytes, written: bytes) -> list[str]:
    """The keys whose lines differ between two files, line ends aside, sorted. Raises DotenvError."""
    old, new = _raw_lines(decode(original)), _raw_lines(decode(written))
    return sorted(key for key in {**old, **new} if old.get(key) != new.get(key))


def render(key: str, value: str | None) -> str | None:
    """The line, without its end, that all three readers take as `key` with `value`; None for no value.

    Raises DotenvError where there is no such line.
    """
    if not re.match(r"[A-Za-z_][A-Za-z0-9_]*\Z", key):
        raise DotenvError(f"values: {key!r} is no name of a variable; use letters, digits and _ only")
    if value is None:
        return None
    if not value.isprintable():
        # upgrade.sh works line by line, and the other two treat control characters differently.
        raise DotenvError(f"values: the value of {key} holds a control character or a line break; leave it out")
    return _forms(key, value)[0]


def _forms(key: str, value: str) -> list[str]:
    """The lines, the plainest first, that every reader takes alike."""
    escaped = re.sub(r'[\\"$]', r"\\\g<0>", value)
    forms = [f"{key}={value}"] if _PLAIN.fullmatch(value) else []
    return [*forms, *([] if re.search(r"['\"\\]", value) else [f"{key}='{value}'"]), f'{key}="{escaped}"']


def statements(text: str) -> t.Iterator[Statement]:
    """The file as phpdotenv divides it, without a byte order mark; together they are the whole text. Raises DotenvError."""
    buffer: list[str] = []
    start = number = 0
    for number, (line, line_start, line_end) in enumerate(_lines(text, len(BOM) * text.startswith(BOM)), 1):
        begins = not buffer and '="' in line and not _closes(line, True)
        if not buffer:
            start, first = line_start, number
        if buffer or begins:
            buffer.append(line)
            if not _closes(line, begins):
                continue
            line = "\n".join(buffer)
            buffer = []
        name, value = _entry(line, first)
        yield Statement(start, line_end, first, name, value)
    if buffer:
        # What is never closed is dropped by phpdotenv without a word.
        yield Statement(start, len(text), first, None, None)


def _lines(text: str, position: int) -> t.Iterator[tuple[str, int, int]]:
    for end in _EOL.finditer(text, position):
        yield text[position : end.start()], position, end.end()
        position = end.end()
    if position < len(text):
        yield text[position:], position, len(text)


def _closes(line: str, begins: bool) -> bool:
    """Whether phpdotenv takes `line` as the last of a value in double quotes; `begins`: as its first, too."""
    if line == '"':
        return True
    return len(re.findall(r'(?=[^\\]")', line.replace("\\\\", ""))) > int(begins)


def _entry(entry: str, line: int) -> tuple[str | None, Value | None]:
    trimmed = entry.strip(_PHP_TRIM)
    if not trimmed or trimmed.startswith("#"):
        return None, None
    name, equals, value = entry.partition("=")
    name = name.strip(_PHP_TRIM) if equals else entry
    if not name:
        raise DotenvError(f"line {line}: a value without a name")
    if len(name) > 8 and name.startswith("export") and name[6] in _C_SPACE:
        name = name[6:].lstrip(_PHP_TRIM)
    if len(name) >= 3 and name[0] == name[-1] and name[0] in "'\"":
        name = name[1:-1]
    if not name or not all(char in "_." or _category(char) in ("Ll", "Lu", "M", "N") for char in name):
        raise DotenvError(f"line {line}: this is neither a variable nor a comment")
    return name, _value(value.strip(_PHP_TRIM), line) if equals else None


def _category(char: str) -> str:
    category = unicodedata.category(char)
    return category if category[0] == "L" else category[0]


def _value(source: str, line: int) -> Value:
    text, variables, state = "", [], "initial"
    for part in _PHP_TOKEN.findall(source):
        if state == "comment":
            break
        if state == "escape":
            if part not in ('"', "\\", "$") and part[0] not in _PHP_ESCAPES:
                raise DotenvError(f"line {line}: a backslash before a character that cannot be escaped")
            text += part if part in ('"', "\\", "$") else _PHP_ESCAPES[part[0]] + part[1:]
            state = '"'
        elif state == "'":
            if part == "'":
                state = "after"
            else:
                text += part
        elif state == '"':
            if part == '"':
                state = "after"
            elif part == "\\":
                state = "escape"
            else:
                variables += [len(text)] * (part == "$")
                text += part
        elif state == "initial" and part in ("'", '"'):
            state = part
        elif part == "#":
            state = "comment"
        elif not part.strip(_C_SPACE) and state != "initial":
            state = "after"
        elif state == "after":
            raise DotenvError(f"line {line}: a value with a blank in it needs quotes")
        else:
            variables += [len(text)] * (part == "$")
            text += part
            state = "unquoted"
    if state in ("'", '"', "escape"):
        raise DotenvError(f"line {line}: a quote is not closed")
    return Value(text, tuple(variables))


def _resolve(value: Value, known: t.Mapping[str, str]) -> str:
    text = value.text
    for position in reversed(value.variables):
        match = re.compile(r"\$\{([a-zA-Z0-9_.]+)\}").match(text, position)
        if match and match.group(1) in known:
            text = text[:position] + known[match.group(1)] + text[match.end() :]
    return text


def _raw_lines(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for statement in statements(text):
        if statement.name is not None:
            found.setdefault(statement.name, []).append(split_end(text[statement.start : statement.end])[0])
    return found


def split_end(raw: str) -> tuple[str, str]:
    body = raw[:-1] if raw.endswith(("\n", "\r")) else raw
    body = body[:-1] if raw.endswith("\r\n") else body
    return body, raw[len(body) :]


def eol_of(*texts: str) -> str:
    """The line end to write: the last of the first text that has one, since a value may have others in it."""
    found = next(filter(None, map(_EOL.findall, texts)), ["\n"])
    return str(found[-1])


def _says(body: str, key: str, value: str) -> bool:
    """Whether a line has `value` in one of the forms that every reader takes alike, maybe with a comment behind it."""
    return any(body.startswith(form) and _REST_OF_LINE.fullmatch(body, len(form)) for form in _forms(key, value))


def _append(body: str, line: str, eol: str) -> tuple[str, str]:
    """A file whose last line has no end is left without one."""
    if body and not body.endswith(("\n", "\r")):
        return body + eol + line, line
    return body + line + eol, line + eol


def check(data: bytes, keys: t.Iterable[str]) -> None:
    """Refuses a file in which the readers find these keys at different places. Raises DotenvError."""
    _places(decode(data), keys)


def _agree(text: str, changes: t.Mapping[str, str | None]) -> None:
    for key, everywhere in _places(text, changes).items():
        if len(everywhere) != (changes[key] is not None):
            raise DotenvError(f"{key} would not be read after it is written; close every quote in the file")
        for start, line in everywhere:
            if "\r" in text[start:].partition("\n")[0].rstrip("\r"):
                raise DotenvError(_BARE_RETURN.format(line=line))


def _places(text: str, keys: t.Iterable[str]) -> dict[str, set[tuple[int, int]]]:
    """Where all readers find each key: offset and number of the line. Raises DotenvError where they do not agree."""
    readers: dict[str, list[tuple[str, int, int]]] = {
        "Laravel": [(s.name, s.start, s.line) for s in statements(text) if s.name is not None],
        "Docker Compose": list(_compose_keys(text)),
        "Coolify's upgrade.sh": list(_line_keys(text)),
    }
    agreed = {}
    for key in keys:
        places = {reader: [place[1:] for place in found if place[0] == key] for reader, found in readers.items()}
        everywhere = set(places["Laravel"]).intersection(*places.values())
        odd = [(place[1], reader) for reader, found in places.items() for place in found if place not in everywhere]
        if odd:
            line, reader = min(odd)
            raise DotenvError(
                f"line {line}: {reader} finds {key} where not every reader of the file does; give each variable one "
                "line of its own, and close every quote"
            )
        agreed[key] = everywhere
    return agreed


def _line_keys(text: str) -> t.Iterator[tuple[str, int, int]]:
    position = len(BOM) * text.startswith(BOM)
    for number, line in enumerate(text[position:].split("\n"), 1):
        yield line.partition("=")[0], position, number
        position += len(line) + 1


def _compose_keys(text: str) -> t.Iterator[tuple[str, int, int]]:
    """The keys that compose-go's dotenv reader finds, each with the offset and the number of its line."""
    position = len(BOM) * text.startswith(BOM)
    line, counted = 1, 0
    while True:
        while position < len(text) and text[position] in _GO_SPACE:
            position += 1
        if position == len(text):
            return
        line, counted = line + text.count("\n", counted, position), position
        if text[position] == "#":
            position = _line_end(text, position)
            continue
        start = position
        export = re.compile(r"export[\t\n\f\r ]+").match(text, position)
        if export:
            position = _skip_blanks(text, position + len("export"))
        end = position
        while end < len(text) and text[end] not in "=:\n":
            if text[end] not in _GO_BLANK + "_.-[]" and unicodedata.category(text[end])[0] not in "LN":
                raise DotenvError(f"line {line}: Docker Compose cannot read this line")
            end += 1
        key = text[position:end].rstrip(_GO_SPACE)
        if " " in key:
            raise DotenvError(f"line {line}: Docker Compose cannot read a name with a blank in it")
        yield key, start, line
        if end == len(text):
            return
        separator, position = text[end], _skip_blanks(text, end + 1)
        if separator == "\n":
            continue
        if text[position : position + 1] in ("'", '"'):
            position = _closing_quote(text, position, line) + 1
        else:
            position = _line_end(text, position)


def _skip_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in _GO_BLANK:
        position += 1
    return position


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _closing_quote(text: str, opening: int, line: int) -> int:
    position = opening + 1
    while position < len(text):
        if text[position] == "\\":
            position += 2
        elif text[position] == text[opening]:
            return position
        else:
            position += 1
    raise DotenvError(f"line {line}: a quote is not closed")


def decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
