"""The picture of the rooms in CONTRIBUTING.md is the contract that import-linter checks, and what the plugins keep to."""

from __future__ import annotations

import ast
import re
import sys
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
OURS = "ansible_collections.selfhosted.coolify.plugins."
AROUND = {
    folder: [word.strip("` ") for word in allowed.split(",")]
    for folder, allowed in re.findall(r"^\| `(\w+)` \| .* \| (.+) \|$", CONTRIBUTING, re.MULTILINE)
}


def layers(text: str) -> list[set[str]]:
    (listed,) = re.findall(r"^layers = \[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    return [set(line.split(" | ")) for line in re.findall(r'"(.+)"', listed)]


def test_the_numbers_are_the_contracts_layers() -> None:
    drawn: dict[str, set[str]] = {}
    for number, room in re.findall(r"^\| (\d) \| `(\w+)` \|", CONTRIBUTING, re.MULTILINE):
        drawn.setdefault(number, set()).add(room)
    assert [drawn[number] for number in sorted(drawn, reverse=True)] == layers((ROOT / "pyproject.toml").read_text())


def imported(tree: ast.AST) -> t.Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def may(name: str, allowed: t.Sequence[str]) -> bool:
    if name.startswith(OURS):
        folder = name[len(OURS) :].partition(".")[0]
        return ("rooms" if folder == "module_utils" else folder) in allowed
    return name.partition(".")[0] in sys.stdlib_module_names or any(f"{name}.".startswith(f"{one}.") for one in allowed)


@pytest.mark.parametrize("folder", ["modules", "action", "filter", "plugin_utils"])
def test_what_is_around_the_rooms_imports_what_it_may(folder: str) -> None:
    found = {name for path in (ROOT / "plugins" / folder).glob("*.py") for name in imported(ast.parse(path.read_text()))}
    assert found
    assert [name for name in sorted(found) if not may(name, [*AROUND[folder], folder])] == []
