# SPDX-License-Identifier: GPL-3.0-or-later
"""What PyYAML says against the text of a host's file, without the text itself, which may hold secrets."""

from __future__ import annotations

import re
import typing as t

import yaml


def readable(text: str) -> str:
    """The text with bytes that are no UTF-8 (surrogates) replaced, at the same places."""
    return re.sub("[\udc80-\udcff]", "\ufffd", text)


def place(mark: yaml.Mark) -> str:
    """Line and column, counted from 1."""
    return f"line {mark.line + 1}, column {mark.column + 1}"


def explain(error: yaml.YAMLError, text: str) -> str:
    """The problem with its place in the text."""
    if isinstance(error, yaml.reader.ReaderError):
        return f"the character U+{error.character:04X} is not allowed (line {text.count(chr(10), 0, error.position) + 1})"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem} ({place(error.problem_mark)})"
    return str(getattr(error, "reason", error)).partition("\n")[0]


def is_reader_s_limit(error: yaml.YAMLError, text: str) -> bool:
    """Whether this is PyYAML's own limit (a tab between tokens, several documents), not the fault of the text."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return False
    # Also at what PyYAML alone, of all who read these files, takes for the end of a line.
    before = re.split("\r\n|[\r\n\x85\u2028\u2029]", text)[error.problem_mark.line][: error.problem_mark.column]
    return ("'\\t'" in str(error.problem) and bool(before.strip())) or "single document" in str(error.context)


def problem(text: str) -> str | None:
    """Why a text cannot be read as YAML, with line and column; None if it can, or is a template of Go's (`{{`)."""
    if "{{" in text:
        return None
    try:
        for _document in yaml.compose_all(readable(text), Loader=yaml.SafeLoader):
            pass
    except yaml.YAMLError as error:
        return None if is_reader_s_limit(error, text) else explain(error, text)
    return None


def broken(files: t.Iterable[t.Mapping[str, str]]) -> list[dict[str, str]]:
    """`path` and `error` of those files (`path`, and `text` or why there is none: `error`) that cannot be read as YAML."""
    judged = [(file["path"], file.get("error") or problem(file["text"])) for file in files]
    return [{"path": path, "error": error} for path, error in judged if error]
