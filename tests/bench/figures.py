"""A measured value beside the one that is promised."""

from __future__ import annotations

import math
import typing as t


class Figure(t.NamedTuple):
    """`limit` is the most that `value` may be, in the same `unit`."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def ok(self) -> bool:
        return self.value <= self.limit


def percentile(values: t.Sequence[float], share: float) -> float:
    """The smallest of the values that at least this share of them does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def table(figures: t.Sequence[Figure]) -> str:
    rows = [("figure", "measured", "at most", "")]
    for one in figures:
        rows.append((one.name, f"{one.value:.4g} {one.unit}", f"{one.limit:g} {one.unit}", "ok" if one.ok else "ABOVE"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
