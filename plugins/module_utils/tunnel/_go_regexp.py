# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to this collection: no promise is made to anybody else.

Go's regular expressions (https://pkg.go.dev/regexp/syntax), as far as Python's can say the same.

cloudflared and Traefik match paths with Go's package. Where the two languages read a pattern alike it passes as it is,
where Go means something that Python spells differently it is translated, and the rest is refused.
"""

from __future__ import annotations

import functools
import re

_TOKEN = re.compile(
    r"(?P<literal>\\Q(?:.*?)(?:\\E|\Z))"
    r"|(?P<escape>\\(?:x\{[0-9A-Fa-f]+\}|.))"
    r"|(?P<charset>\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\])"
    r"|(?P<group>\(\?(?:P?<\w+>|[a-zA-Z-]*[:)]|.?))"
    r"|(?P<quantifier>[*+?]|\{\d+(?:,\d*)?\})"
    r"|(?P<other>.)",
    re.DOTALL,
)
_POSIX = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "digit": "0-9", "lower": "a-z", "upper": "A-Z", "xdigit": "0-9A-Fa-f",
    "word": r"\w", "space": r"\t\n\v\f\r ", "blank": r"\t ",
}  # fmt: skip
_ESCAPES_IN_BOTH = frozenset("AbBdDsSwWafnrtv")


class GoRegexpError(ValueError):
    """The pattern is no regular expression of Go's, or one that Python cannot express."""


@functools.lru_cache(maxsize=256)
def compile_go(pattern: str) -> re.Pattern[str]:
    """Compiles a pattern of Go's regexp package. Raises GoRegexpError."""
    parts: list[str] = []
    quantified = False
    for token in _TOKEN.finditer(pattern):
        kind, text = token.lastgroup or "", token.group()
        if kind == "quantifier":
            # x*+ and x** are errors in Go; x*? is lazy in both.
            if quantified and text != "?":
                raise GoRegexpError(f"a repetition of a repetition: {text!r}")
            quantified = not (quantified and text == "?")
        else:
            quantified = False
        parts.append(_translate(kind, text, bool(parts)))
    try:
        return re.compile("".join(parts), re.ASCII)
    except (re.error, OverflowError) as error:
        raise GoRegexpError(f"not a valid regular expression: {error}") from error


def _translate(kind: str, text: str, inside: bool) -> str:
    if kind == "literal":
        return re.escape(text[2:-2] if text.endswith(r"\E") else text[2:])
    if kind == "escape":
        return _escape(text)
    if kind == "charset":
        return _charset(text)
    if kind == "group":
        return _group(text, inside)
    # Python's $ also matches before a last line break, which Go's does not.
    return {"$": r"\Z", "{": r"\{"}.get(text, text)


def _escape(text: str) -> str:
    code = text[1:]
    if code == "z":
        return r"\Z"
    if code.startswith("x{"):
        return re.escape(chr(int(code[2:-1], 16)))
    if code == "x" or code in _ESCAPES_IN_BOTH or not code.isalnum():
        return text
    raise GoRegexpError(f"the escape {text!r} is not known here")


def _charset(text: str) -> str:
    def posix(found: re.Match[str]) -> str:
        if found.group(1) not in _POSIX:
            raise GoRegexpError(f"the character class {found.group()!r} is not known here")
        return _POSIX[found.group(1)]

    inner = re.sub(r"\[:(\^?\w+):\]", posix, text[1:-1])
    for escape in re.findall(r"\\(?:x\{[0-9A-Fa-f]+\}|.)", inner, re.DOTALL):
        _escape(escape)
    # Python warns of set operations to come for these; Go takes them as they stand.
    return "[" + re.sub(r"(?<!\\)\[|&&|\|\||~~", lambda found: re.escape(found.group()), inner) + "]"


def _group(text: str, inside: bool) -> str:
    if text.startswith("(?<") and text.endswith(">"):
        return "(?P<" + text[3:]
    if text.startswith("(?P<") or text == "(?:":
        return text
    if re.match(r"\(\?[is]+(:|\)\Z)", text) and (text.endswith(":") or not inside):
        return text
    raise GoRegexpError(f"the group {text!r} is not known here")
