# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to this collection: no promise is made to anybody else.

A reader of YAML that keeps, for every node, where in the text it stands.

A managed host has no PyYAML to rely on, and a library that dumps what it loaded loses comments and quoting anyway.
An edit that leaves every other byte alone needs offsets, so this reads the part of YAML 1.1/1.2 that configuration
files use, and refuses, with line and column, what it does not know: tags, complex keys, directives, several documents.
Scalars stay text; nothing is guessed to be a number or a date.
"""

from __future__ import annotations

import re
import typing as t

_BREAK = re.compile(r"\r?\n")
_ANCHOR_NAME = re.compile(r"[0-9A-Za-z_-]+")
_BLOCK_SCALAR = re.compile(r"[|>]([1-9]?[+-]?|[+-][1-9])(?:[ \t]+#[^\r\n]*|[ \t]*)(?=\r?\n|\Z)")
# Readers disagree on which of these break a line, so a file that holds one is not edited by guesswork.
_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029]|\r(?!\n)")
_ESCAPES = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b",
    " ": " ", '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip
_HEX_ESCAPES = {"x": 2, "u": 4, "U": 8}
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_NULLS = frozenset(["", "~", "null", "Null", "NULL"])


class YamlError(ValueError):
    """The text is not YAML. The message ends in line and column."""


class UnsupportedYamlError(YamlError):
    """The text may be YAML, but uses a part of it that is not read here."""


class Node:
    """What stands between the offsets `start` and `end` of the text."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.end = start


class Scalar(Node):
    """`text` is None for a block scalar (`|`, `>`), whose content is passed over."""

    def __init__(self, start: int, text: str | None, plain: bool) -> None:
        super().__init__(start)
        self.text = text
        self.plain = plain

    @property
    def is_null(self) -> bool:
        """Whether a YAML reader takes this for null."""
        return self.plain and self.text in _NULLS


class Sequence(Node):
    """`items`, and for block style the offset of each item's dash in `dashes`."""

    def __init__(self, start: int, flow: bool) -> None:
        super().__init__(start)
        self.flow = flow
        self.items: list[Node] = []
        self.dashes: list[int] = []


class Mapping(Node):
    """`pairs` in the order of the text, merge keys (`<<`) among them."""

    def __init__(self, start: int, flow: bool) -> None:
        super().__init__(start)
        self.flow = flow
        self.pairs: list[tuple[Scalar, Node]] = []

    def get(self, key: str) -> Node | None:
        """The value of `key`, its own before one that comes by a merge key; None where there is neither."""
        for name, value in self.pairs:
            if name.text == key:
                return value
        for name, value in self.pairs:
            if name.text == "<<" and name.plain:
                for source in _merge_sources(value):
                    inherited = source.get(key)
                    if inherited is not None:
                        return inherited
        return None


class Alias(Node):
    """A use (`*name`) of a node that an anchor named."""

    def __init__(self, start: int, target: Node) -> None:
        super().__init__(start)
        self.target = target


_AnyNode = t.TypeVar("_AnyNode", bound=Node)


def resolve(node: Node | None) -> Node | None:
    """The node itself, or what it is an alias of."""
    while isinstance(node, Alias):
        node = node.target
    return node


def _merge_sources(value: Node) -> list[Mapping]:
    node = resolve(value)
    candidates = node.items if isinstance(node, Sequence) else [node]
    return [found for found in map(resolve, candidates) if isinstance(found, Mapping)]


def read(text: str) -> Node:
    """The root node of a text with one YAML document.

    An empty text is a null scalar. Raises YamlError.
    """
    return _Reader(text).document()


class _Reader:
    """Recursive descent; `at` is the offset of the next character that was not read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.anchors: dict[str, Node] = {}

    # Where we are

    def refuse(self, what: str, at: int | None = None) -> YamlError:
        offset = self.at if at is None else at
        line = self.text.count("\n", 0, offset) + 1
        return YamlError(f"{what} (line {line}, column {self.column(offset) + 1})")

    def unsupported(self, what: str, at: int | None = None) -> YamlError:
        return UnsupportedYamlError(*self.refuse(what, at).args)

    def column(self, offset: int) -> int:
        return offset - (self.text.rfind("\n", 0, offset) + 1)

    def peek(self, ahead: int = 0) -> str:
        return self.text[self.at + ahead : self.at + ahead + 1]

    def at_break(self, ahead: int = 0) -> bool:
        return self.peek(ahead) in ("", "\n") or (self.peek(ahead) == "\r" and self.peek(ahead + 1) == "\n")

    def blank(self, ahead: int) -> bool:
        return self.peek(ahead) in (" ", "\t") or self.at_break(ahead)

    def spaces(self) -> None:
        while self.peek() in (" ", "\t") and self.peek():
            self.at += 1

    def comment(self) -> None:
        if self.peek() == "#" and (self.at == 0 or self.text[self.at - 1] in " \t\n\ufeff"):
            while not self.at_break():
                self.at += 1

    def line_is_done(self) -> bool:
        """Reads blanks and a comment; True if the line ends there."""
        self.spaces()
        self.comment()
        return self.at_break()

    def next_content(self) -> bool:
        """Goes to the next character that is neither blank nor comment; False at the end of the document."""
        while self.line_is_done():
            found = _BREAK.match(self.text, self.at)
            if not found:
                return False
            self.at = found.end()
        line_start = self.text.rfind("\n", 0, self.at) + 1
        if not self.text[line_start : self.at].strip() and "\t" in self.text[line_start : self.at]:
            raise self.refuse("a tab stands where YAML wants spaces for indentation")
        return not self.at_marker()

    def at_marker(self) -> bool:
        return self.column(self.at) == 0 and self.text[self.at : self.at + 3] in ("---", "...") and self.blank(3)

    # Documents and block style

    def document(self) -> Node:
        unsafe = _UNSAFE.search(self.text)
        if unsafe:
            raise self.unsupported("a control character or an unusual line break", unsafe.start())
        if self.peek() == "\ufeff":
            self.at = 1
        if not self.next_content() and self.peek() == "-":
            self.at += 3
            if not self.line_is_done():
                raise self.unsupported("content on the line of '---' is not read here; put it on a line of its own")
        if self.peek() == "%":
            raise self.unsupported("directives (%) are not read here")
        root: Node = Scalar(self.at, "", True)
        if self.next_content():
            root = self.block_node(-1)
        if self.next_content():
            raise self.refuse("this does not belong to the lines before it; check the indentation")
        if self.peek() == ".":
            self.at += 3
            if self.line_is_done():
                self.next_content()
        if self.at < len(self.text):
            raise self.unsupported("only a file with one document is read here")
        return root

    def block_node(self, parent: int) -> Node:
        """The node that begins here; `parent` is the column of the collection that holds it."""
        start, anchor = self.at, None
        if self.peek() == "&" and not self.key_length():
            anchor = self.anchor_name()
            if self.line_is_done() and (not self.next_content() or self.column(self.at) <= parent):
                return self.named(anchor, Scalar(start, "", True))
        if self.peek() == "-" and self.blank(1):
            if anchor and self.line_of(start) == self.line_of(self.at):
                raise self.refuse("a list cannot begin on the line of its anchor")
            return self.named(anchor, self.block_sequence())
        if self.peek() == "?" and self.blank(1):
            raise self.unsupported("complex keys (?) are not read here")
        if self.key_length():
            return self.named(anchor, self.block_mapping())
        return self.named(anchor, self.block_scalar_or_flow(parent))

    def line_of(self, offset: int) -> int:
        return self.text.count("\n", 0, offset)

    def block_scalar_or_flow(self, parent: int) -> Node:
        char = self.peek()
        if char == "*":
            node: Node = self.alias()
        elif char in ("[", "{"):
            node = self.flow_node()
        elif char in ("'", '"'):
            node = self.quoted()
        elif char in ("|", ">"):
            return self.block_scalar(parent)
        else:
            return self.plain(parent)
        if not self.line_is_done():
            # Some readers take a # here for a comment.
            raise (self.unsupported if self.peek() == "#" else self.refuse)("unexpected text after a value")
        return node

    def key_length(self) -> int:
        """Length of the key that begins here, up to its colon; 0 if this is no key."""
        saved_at, saved_anchors = self.at, dict(self.anchors)
        try:
            if self.peek() == "&":
                self.anchor_name()
            if self.peek() in ("'", '"'):
                self.quoted()
            elif self.peek() in tuple("[]{},#*!|>%@`") or not self.peek():
                return 0
            else:
                while not self.at_break() and not (self.peek() == ":" and self.blank(1)):
                    if self.peek() == "#" and self.text[self.at - 1] in " \t":
                        return 0
                    self.at += 1
            if "\n" in self.text[saved_at : self.at]:
                return 0
            length = self.at - saved_at
            self.spaces()
            return length if self.peek() == ":" and self.blank(1) else 0
        finally:
            self.at, self.anchors = saved_at, saved_anchors

    def block_mapping(self) -> Mapping:
        node = Mapping(self.at, False)
        column = self.column(self.at)
        while True:
            node.pairs.append((self.block_key(node), self.mapping_value(column)))
            node.end = node.pairs[-1][1].end
            if not self.next_content() or self.column(self.at) < column:
                return node
            if self.peek() == "?" and self.blank(1):
                raise self.unsupported("complex keys (?) are not read here")
            if self.column(self.at) > column or not self.key_length():
                if self.column(self.at) == column and self.peek() == "-" and self.blank(1):
                    return node
                if self.peek() in ("|", ">", "!"):
                    raise self.unsupported(f"{self.peek()} at this place is not read here")
                raise self.refuse("this fits neither the mapping before it nor its values; check the indentation")

    def block_key(self, mapping: Mapping) -> Scalar:
        end = self.at + self.key_length()
        start, anchor = self.at, None
        if self.peek() == "&":
            anchor = self.anchor_name()
        if self.peek() in ("'", '"'):
            key = self.quoted()
        else:
            key = Scalar(self.at, self.text[self.at : end].rstrip(" \t"), True)
            self.forbid_indicator()
        key.end = end
        self.add_key(mapping, key, start)
        self.named(anchor, key)
        self.at = end
        self.spaces()
        self.at += 1
        return key

    def add_key(self, mapping: Mapping, key: Scalar, at: int) -> None:
        if any(key.text == other.text for other, _value in mapping.pairs):
            raise self.refuse(f"the key {key.text!r} is given twice", at)

    def mapping_value(self, column: int) -> Node:
        """The value after a colon of a block mapping whose keys stand in `column`."""
        after_colon, anchor = self.at, None
        self.spaces()
        if self.peek() == "&":
            anchor = self.anchor_name()
        if not self.line_is_done():
            if (self.peek() == "-" and self.blank(1)) or self.key_length():
                raise self.refuse("a list or mapping cannot begin on the line of its key; quote it if it is text")
            return self.named(anchor, self.block_scalar_or_flow(column))
        if self.next_content():
            here = self.column(self.at)
            is_list = self.peek() == "-" and self.blank(1)
            if here > column or (here == column and is_list):
                if is_list:
                    return self.named(anchor, self.block_sequence())
                return self.named(anchor, self.block_node(column))
        return self.named(anchor, Scalar(after_colon, "", True))

    def block_sequence(self) -> Sequence:
        node = Sequence(self.at, False)
        column = self.column(self.at)
        while True:
            node.dashes.append(self.at)
            after_dash = self.at + 1
            self.at = after_dash
            if not self.line_is_done() or (self.next_content() and self.column(self.at) > column):
                if "\t" in self.text[after_dash : self.at].rpartition("\n")[2]:
                    raise self.refuse("a tab stands where YAML wants spaces for indentation")
                item = self.block_node(column)
            else:
                item = Scalar(after_dash, "", True)
            node.items.append(item)
            node.end = max(item.end, after_dash)
            if not self.next_content() or self.column(self.at) < column:
                return node
            if self.column(self.at) > column:
                raise self.refuse("this fits no item of the list; check the indentation")
            if not (self.peek() == "-" and self.blank(1)):
                return node

    # Anchors

    def anchor_name(self) -> str:
        self.at += 1
        name = _ANCHOR_NAME.match(self.text, self.at)
        if not name:
            raise self.refuse("an anchor without a name", self.at - 1)
        self.at = name.end()
        if not self.blank(0):
            raise self.refuse("unexpected text after an anchor")
        self.spaces()
        return name.group()

    def alias(self) -> Alias:
        start = self.at
        name = _ANCHOR_NAME.match(self.text, start + 1)
        if not name:
            raise self.refuse("a value that begins with * must be quoted", start)
        if name.group() not in self.anchors:
            raise self.refuse(f"the alias *{name.group()} has no anchor before it", start)
        self.at = name.end()
        if not self.blank(0) and self.peek() not in ",]}":
            raise self.refuse("a value that begins with * must be quoted", start)
        node = Alias(start, self.anchors[name.group()])
        node.end = self.at
        return node

    def named(self, anchor: str | None, node: _AnyNode) -> _AnyNode:
        if anchor is not None:
            if isinstance(node, Alias):
                raise self.refuse("an alias cannot have an anchor of its own", node.start)
            self.anchors[anchor] = node
        return node

    # Scalars

    def forbid_indicator(self) -> None:
        char = self.peek()
        if char == "!":
            raise self.unsupported("tags (!) are not read here")
        if char == "#" or (char in ("?", ":") and self.blank(1)):
            raise self.unsupported(f"{char} at this place is not read here")
        if char in tuple(",[]{}&*|>'\"%@`") or (char == "-" and self.blank(1)):
            raise self.refuse(f"a value that begins with {char} must be quoted")

    def plain(self, parent: int) -> Scalar:
        """A plain scalar of block style, which may go on over lines that are indented deeper than `parent`."""
        self.forbid_indicator()
        node = Scalar(self.at, "", True)
        lines = []
        while True:
            begin = self.at
            while not self.at_break():
                if self.peek() == ":" and self.blank(1):
                    raise self.refuse("': ' stands inside a value; quote the value")
                if self.peek() == "#" and self.text[self.at - 1] in " \t":
                    break
                self.at += 1
            lines.append(self.text[begin : self.at].rstrip(" \t"))
            node.end = begin + len(lines[-1])
            if not self.at_break():
                break
            line_end, breaks = self.at, 0
            while self.at_break() and self.peek():
                self.at += 2 if self.peek() == "\r" else 1
                breaks += 1
                self.spaces()
            goes_on = self.peek() and self.peek() != "#" and self.column(self.at) > parent and not self.at_marker()
            if not goes_on:
                self.at = line_end
                break
            indentation = self.text[self.at - self.column(self.at) : self.at]
            if "\t" in indentation:
                raise self.refuse("a tab stands where YAML wants spaces for indentation")
            lines.append("\n" * (breaks - 1) if breaks > 1 else " ")
        node.text = "".join(lines)
        return node

    def block_scalar(self, parent: int) -> Scalar:
        if parent < 0:
            raise self.unsupported("a file that is one block scalar is not read here")
        header = _BLOCK_SCALAR.match(self.text, self.at)
        if not header:
            raise self.refuse("the header of a block scalar (| or >) is not valid")
        node = Scalar(self.at, None, False)
        self.at = node.end = header.end()
        digit = header.group(1).strip("+-")
        # Without a digit in the header, the first line with content says how far the others are indented; blank lines
        # before it must not be longer than that.
        indentation = parent + int(digit) if digit else 0
        known = bool(digit)
        while True:
            line = re.compile(r"\r?\n([ ]*)([^\r\n]*)").match(self.text, self.at)
            if not line:
                return node
            indented, content = len(line.group(1)), line.group(2).strip()
            if not known:
                indentation = max(indentation, indented)
            if content and indented <= parent:
                return node
            if content and indented < indentation:
                if content.startswith("#") and known:
                    return node
                raise self.refuse("this line is indented less than the block scalar (| or >) it stands in", line.start(2))
            known = known or bool(content)
            self.at = line.end()
            if content:
                node.end = self.at

    def quoted(self) -> Scalar:
        quote = self.peek()
        node = Scalar(self.at, "", False)
        parts: list[str] = []
        self.at += 1
        while True:
            char = self.peek()
            if not char:
                raise self.refuse("the quote that opens here is not closed", node.start)
            if char == quote:
                if quote == "'" and self.peek(1) == "'":
                    parts.append("'")
                    self.at += 2
                    continue
                break
            if self.at_break():
                self.fold(parts)
            elif char == "\\" and quote == '"':
                self.escape(parts)
            else:
                parts.append(char)
                self.at += 1
        self.at += 1
        node.text = "".join(parts)
        node.end = self.at
        return node

    def fold(self, parts: list[str]) -> None:
        """A line break inside quotes: a blank, or one break less than there are when lines are empty."""
        while parts and parts[-1] in (" ", "\t"):
            parts.pop()
        breaks = 0
        while self.at_break() and self.peek():
            self.at += 2 if self.peek() == "\r" else 1
            breaks += 1
            self.spaces()
        if self.column(self.at) == 0 and self.at_marker():
            raise self.refuse("a document marker stands inside quotes")
        parts.append("\n" * (breaks - 1) or " ")

    def escape(self, parts: list[str]) -> None:
        self.at += 1
        char = self.peek()
        if self.at_break():
            kept = len(parts)
            self.fold(parts)
            # An escaped break joins the lines; what stood before it, blanks too, stays (fold dropped them).
            folded = parts.pop()
            if len(parts) != kept:
                raise self.unsupported("blanks before an escaped line break are not read here")
            parts.append("" if folded == " " else folded)
            return
        self.at += 1
        if char in _ESCAPES:
            parts.append(_ESCAPES[char])
            return
        digits = self.text[self.at : self.at + _HEX_ESCAPES.get(char, 0)]
        complete = char in _HEX_ESCAPES and len(digits) == _HEX_ESCAPES[char] and set(digits) <= _HEX_DIGITS
        if not complete or int(digits, 16) > 0x10FFFF:
            raise self.refuse("an unknown escape in double quotes", self.at - 2)
        parts.append(chr(int(digits, 16)))
        self.at += len(digits)

    # Flow style

    def flow_space(self) -> None:
        if not self.next_content():
            raise self.refuse("a [ or { is not closed")

    def flow_node(self) -> Node:
        anchor = None
        if self.peek() == "&":
            anchor = self.anchor_name()
            self.flow_space()
        char = self.peek()
        if char == "[":
            node: Node = self.flow_sequence()
        elif char == "{":
            node = self.flow_mapping()
        elif char == "*":
            node = self.alias()
        elif char in ("'", '"'):
            node = self.quoted()
        else:
            node = self.flow_plain()
        return self.named(anchor, node)

    def flow_plain(self) -> Scalar:
        if self.peek() and self.peek() in ",]}:":
            return Scalar(self.at, "", True)
        self.forbid_indicator()
        node = Scalar(self.at, "", True)
        while not self.at_break() and self.peek() not in ",[]{}":
            if self.peek() == ":" and (self.blank(1) or self.peek(1) in ",[]{}"):
                break
            if self.peek() == "#" and self.text[self.at - 1] in " \t":
                break
            self.at += 1
        node.text = self.text[node.start : self.at].rstrip(" \t")
        node.end = node.start + len(node.text)
        self.flow_space()
        if self.peek() not in ",]}:":
            raise self.unsupported("a plain value over several lines is not read here; quote it")
        return node

    def flow_sequence(self) -> Sequence:
        node = Sequence(self.at, True)
        self.at += 1
        self.flow_space()
        while self.peek() != "]":
            if self.peek() == ",":
                raise self.refuse("a value is missing before this comma")
            node.items.append(self.flow_node())
            self.flow_space()
            if self.peek() == ":":
                raise self.unsupported("a pair in [ ] without { } is not read here")
            self.flow_comma("]")
        self.at += 1
        node.end = self.at
        return node

    def flow_mapping(self) -> Mapping:
        node = Mapping(self.at, True)
        self.at += 1
        self.flow_space()
        while self.peek() != "}":
            start = self.at
            if self.peek() in (",", ":") and (self.peek() == "," or self.blank(1)):
                raise self.refuse("a key is missing here")
            key = self.flow_node()
            if not isinstance(key, Scalar):
                raise self.unsupported("a key must be text", start)
            self.add_key(node, key, start)
            self.flow_space()
            value: Node = Scalar(self.at, "", True)
            if self.peek() == ":":
                self.at += 1
                self.flow_space()
                value = self.flow_node()
                self.flow_space()
            node.pairs.append((key, value))
            self.flow_comma("}")
        self.at += 1
        node.end = self.at
        return node

    def flow_comma(self, closing: str) -> None:
        if self.peek() == ",":
            self.at += 1
            self.flow_space()
        elif self.peek() != closing:
            raise self.refuse(f"a comma or {closing} is missing here")
