# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of one or many hosts as lines for a terminal: a table, then one line for each broken hop."""

from __future__ import annotations

import typing as t

Row = t.Mapping[str, t.Any]


class Line(t.NamedTuple):
    """One line; ``ok`` is None where it is neither good nor bad."""

    text: str
    ok: bool | None


_COLUMNS = ("hop", "from", "url", "seen", "milliseconds", "ok")


def lines(rows: t.Sequence[Row]) -> list[Line]:
    """The table and what is to be done; with a column for the host where there are several."""
    columns = _COLUMNS if len({row["host"] for row in rows}) < 2 else ("host", *_COLUMNS)
    cells = [["ms" if key == "milliseconds" else key for key in columns]]
    cells += [[_cell(key, row[key]) for key in columns] for row in rows]
    widths = [max(len(line[number]) for line in cells) for number in range(len(columns))]
    right = [key == "milliseconds" for key in columns]
    shown = [
        "  ".join(cell.rjust(width) if flush else cell.ljust(width) for cell, width, flush in zip(line, widths, right)).rstrip()
        for line in cells
    ]
    table = [Line(shown[0], None), Line("  ".join("-" * width for width in widths), None)]
    table += [Line(text, row["ok"]) for text, row in zip(shown[1:], rows)]
    return table + _faults(rows)


def _cell(key: str, value: t.Any) -> str:
    if key == "ok":
        return {True: "yes", False: "NO", None: "?"}[value]
    if key == "milliseconds":
        return "" if value is None else f"{value:.0f}" if value >= 10 else f"{value:.1f}"
    return "".join(character if character.isprintable() else "?" for character in str(value))


def _faults(rows: t.Sequence[Row]) -> list[Line]:
    several = len({row["host"] for row in rows}) > 1
    found: dict[tuple[t.Any, ...], Row] = {}
    for row in rows:
        if not row["ok"]:
            found.setdefault((row["host"], row["hop"], row["id"]), row)
    lines: dict[t.Any, list[Line]] = {False: [], None: []}
    for row in found.values():
        where = "{host} {hop}".format(**row) if several else row["hop"]
        text = _cell("", "{}  {}: {} Next: {}".format(row["id"], where, row["cause"], row["next"]))
        lines[row["ok"]].append(Line(text, row["ok"]))
    head = [Line("", None)]
    if not lines[False]:
        looked = " that was looked at" if lines[None] else ""
        head.append(Line(f"Every hop{looked} is as it should be.", None if lines[None] else True))
    if lines[None]:
        lines[None].insert(0, Line("Not looked at:", None))
    return head + lines[False] + lines[None]
