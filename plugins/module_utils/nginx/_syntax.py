# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammar of nginx's configuration files: words, quotes, escapes, comments, blocks, and where each of them stands.

It follows nginx's own reader (``ngx_conf_read_token``), also where that is peculiar: a quote opens only at the start of
a word, ``#`` begins a comment only there, and ``${`` does not open a block.
"""

from __future__ import annotations

import typing as t


class NginxSyntaxError(ValueError):
    """The text is no nginx configuration. `line` counts from 1."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line


class Comment(t.NamedTuple):
    """A comment, from its ``#`` to before the end of the line."""

    text: str
    start: int
    stop: int


class Statement(t.NamedTuple):
    """A directive with its words as nginx reads them, quotes and escapes resolved.

    `start` and `stop` are offsets into the text, from the first word to after the ``;`` or ``}``; `line` counts from 1;
    `body` holds the statements of its block, None if it has no block.
    """

    words: tuple[str, ...]
    start: int
    stop: int
    line: int
    body: tuple[Statement, ...] | None

    @property
    def name(self) -> str:
        return self.words[0]

    def walk(self) -> t.Iterator[Statement]:
        """The statement and all within it."""
        yield self
        for inner in self.body or ():
            yield from inner.walk()


class File(t.NamedTuple):
    """What a configuration file holds at its outermost level."""

    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...]


class _Token(t.NamedTuple):
    kind: str  # "word", ";", "{" or "}"
    text: str
    start: int
    stop: int
    line: int


_SPACE = " \t\r\n"
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n", '"': '"', "'": "'", "\\": "\\"}


def parse(text: str) -> File:
    """Reads a whole file. Raises NginxSyntaxError where nginx would."""
    comments: list[Comment] = []
    outermost: list[Statement] = []
    levels = [outermost]
    opened: list[list[_Token]] = []
    words: list[_Token] = []
    for token in _tokens(text, comments):
        if token.kind == "word":
            words.append(token)
        elif token.kind == "}":
            if words:
                raise NginxSyntaxError("a directive ends without ';'", words[0].line)
            if not opened:
                raise NginxSyntaxError("a closing brace without its opening one", token.line)
            body = tuple(levels.pop())
            levels[-1].append(_statement(opened.pop(), token, body))
        elif not words:
            raise NginxSyntaxError(f"unexpected '{token.kind}'", token.line)
        elif token.kind == ";":
            levels[-1].append(_statement(words, token, None))
            words = []
        else:
            opened.append(words)
            levels.append([])
            words = []
    if words:
        raise NginxSyntaxError("the last directive ends without ';'", words[0].line)
    if opened:
        raise NginxSyntaxError("an opening brace without its closing one", opened[-1][0].line)
    return File(tuple(outermost), tuple(comments))


def _statement(words: list[_Token], end: _Token, body: tuple[Statement, ...] | None) -> Statement:
    return Statement(tuple(word.text for word in words), words[0].start, end.stop, words[0].line, body)


def _tokens(text: str, comments: list[Comment]) -> t.Iterator[_Token]:
    position, line, length = 0, 1, len(text)
    while position < length:
        char = text[position]
        if char in _SPACE:
            line += char == "\n"
            position += 1
        elif char == "#":
            stop = text.find("\n", position)
            stop = length if stop < 0 else stop
            comments.append(Comment(text[position:stop], position, stop))
            position = stop
        elif char in ";{}":
            yield _Token(char, char, position, position + 1, line)
            position += 1
        else:
            stop = _quoted_end(text, position, line) if char in "\"'" else _bare_end(text, position)
            word = text[position + 1 : stop - 1] if char in "\"'" else text[position:stop]
            yield _Token("word", _unescaped(word), position, stop, line)
            line += text.count("\n", position, stop)
            position = stop
            if char in "\"'" and position < length:
                if text[position] == ")":
                    # nginx lets ')' follow a quote, for `if ($a = "b")`, and reads it as a word of its own.
                    continue
                if text[position] not in _SPACE + ";{":
                    raise NginxSyntaxError(f"unexpected '{text[position]}' after a quote", line)


def _bare_end(text: str, start: int) -> int:
    position, variable = start, False
    while position < len(text):
        char = text[position]
        if char == "{" and variable:
            position += 1
            continue
        if char in _SPACE or char in ";{":
            return position
        position += 2 if char == "\\" else 1
        variable = char == "$"
    return len(text)


def _quoted_end(text: str, start: int, line: int) -> int:
    position = start + 1
    while position < len(text):
        if text[position] == "\\":
            position += 1
        elif text[position] == text[start]:
            return position + 1
        position += 1
    raise NginxSyntaxError(f"{text[start]} is never closed", line)


def _unescaped(word: str) -> str:
    if "\\" not in word:
        return word
    result, position = [], 0
    while position < len(word):
        pair = word[position : position + 2]
        if pair[0] == "\\" and pair[1:] in _ESCAPES:
            result.append(_ESCAPES[pair[1:]])
            position += 2
        else:
            result.append(pair[0])
            position += 1
    return "".join(result)
