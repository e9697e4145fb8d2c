# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as one HTML page, which needs no network and no script."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from . import diagram, document
from .mask import Mask

Json = t.Mapping[str, t.Any]

_TEMPLATE = Path(__file__).with_name("page.html.j2")
_STATES = {True: "good", False: "bad", None: "unknown"}
_KINDS = {
    "broken": ("bad", "Newly broken"),
    "other": ("bad", "Broken in another way"),
    "unlooked": ("unknown", "No longer looked at"),
    "mended": ("good", "Mended"),
    "looked": ("good", "Looked at now"),
    "new": ("off", "New"),
    "gone": ("off", "Gone"),
}


def page(report: Json, before: Json | None = None, mask: bool = False, known: t.Any = None) -> str:
    """The HTML of a report (`document.document`); with `before`, an earlier one, also what changed since.

    With `mask`, addresses and names have masks in their places, the names of hosts in `known` too.
    """
    changes = document.changes(before, report) if before else []
    if mask:
        masks = Mask()
        for value in (report, changes, known):
            masks.learn(value)
        # First, so that they are numbered as they stand.
        for host in report["hosts"]:
            masks.masked(host["host"], "host")
        report, changes = masks.masked(report), masks.masked(changes)
    hosts = [_host(host, number) for number, host in enumerate(report["hosts"], 1)]
    words, state = _verdict(hosts)
    return _template().render(
        when=_when(report["generated"]),
        state=state,
        verdict=words,
        hosts=hosts,
        overview=sorted(hosts, key=lambda host: ("bad", "unknown", "good").index(host["state"])),
        changes=[(*_KINDS[kind], found) for kind in document.KINDS if (found := [one for one in changes if one["kind"] == kind])],
        since=_when(before["generated"]) if before else "",
        masked=mask,
    )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters.update(code=_code, outcome=_outcome)
    environment.globals.update(states=_STATES)
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))


def _host(host: Json, number: int) -> dict[str, t.Any]:
    rows = host["rows"]
    faults, unlooked = _grouped(rows, False), _grouped(rows, None)
    found = {
        "anchor": f"host-{number}",
        "name": host["host"],
        "rows": rows,
        "faults": faults,
        "unlooked": unlooked,
        "broken": ["{hop} ({id})".format(**fault) for fault in faults],
        "plan": host.get("plan"),
        "versions": {key: value for key, value in (host.get("versions") or {}).items() if value},
        "diagram": diagram.diagram(host),
    }
    words, state = _verdict([found])
    return {**found, "verdict": words, "state": state}


def _grouped(rows: t.Sequence[Json], ok: bool | None) -> list[dict[str, t.Any]]:
    """The rows of one verdict, those of the same hop and id together, with every cause and place once."""
    found: dict[tuple[str, str], dict[str, t.Any]] = {}
    for row in rows:
        if row["ok"] is ok:
            start = {"id": row["id"], "hop": row["hop"], "next": row["next"], "causes": [], "places": []}
            group = found.setdefault((row["hop"], row["id"]), start)
            if row["cause"] not in group["causes"]:
                group["causes"].append(row["cause"])
            group["places"].append(row)
    return list(found.values())


def _verdict(hosts: t.Sequence[Json]) -> tuple[str, str]:
    faults = sum(len(host["broken"]) for host in hosts)
    bad = sum(bool(host["broken"]) for host in hosts)
    unlooked = sum(len(host["unlooked"]) for host in hosts)
    rest = f"{_number(unlooked, 'thing')} {'was' if unlooked == 1 else 'were'} not looked at." if unlooked else ""
    if faults:
        where = f" on {bad} of {len(hosts)} hosts" if len(hosts) > 1 else ""
        return f"{_number(faults, 'fault')}{where}. {rest}".strip(), "bad"
    if unlooked:
        return f"What was looked at is as it should be. {rest}", "unknown"
    if not hosts:
        return "No host was looked at.", "unknown"
    return "Every hop is as it should be.", "good"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _when(generated: str) -> str:
    return re.sub(r"T(\d\d:\d\d):\d\dZ$", r" \1 UTC", generated)


def _code(text: str) -> Markup:
    """What stands between backticks as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _outcome(row: Json | None) -> str:
    if row is None:
        return "not there"
    if row["ok"] is True:
        return str(row["seen"])
    return "{} ({})".format("not looked at" if row["ok"] is None else row["seen"], row["id"])
