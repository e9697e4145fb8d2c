# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a run as one document, as docs/report.schema.json has it, and what changed between two of them."""

from __future__ import annotations

import json
import time
import typing as t

#: The version of docs/report.schema.json. It rises where a reader of the one before would misread the new one.
SCHEMA = 1

REMEDY = "Name a file that an earlier run wrote as coolify_verify_report_path."

Json = t.Mapping[str, t.Any]
#: What makes a row the same one in two reports.
Key = t.Tuple[str, str, str, str]


class ReportError(Exception):
    """A text is no report; says why, and the remedy."""


def document(hosts: t.Sequence[Json], seconds: float | None = None) -> dict[str, t.Any]:
    """The report of these hosts (`module_utils/verify/_hops`), made at this time since the epoch, or now."""
    return {
        "schema": SCHEMA,
        "generated": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)),
        "ok": all(host["ok"] for host in hosts),
        "hosts": list(hosts),
    }


def parsed(text: str) -> dict[str, t.Any]:
    """A report that an earlier run wrote. Raises ReportError."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ReportError(f"It is no JSON. {REMEDY}") from None
    if not isinstance(found, dict) or "schema" not in found:
        raise ReportError(f"It is no report of this collection, or one without a version. {REMEDY}")
    if found["schema"] != SCHEMA:
        raise ReportError(f"Its schema is {found['schema']!r}, and this release reads {SCHEMA}. {REMEDY}")
    try:
        texts = [found["generated"]]
        for rows in _by_key(found).values():
            _worst(rows)
            texts += [row[key] for row in rows for key in ("host", "hop", "from", "url", "seen")]
            texts += [row[key] for row in rows for key in ("id", "cause", "next") if row["ok"] is not True]
        whole = all(isinstance(text, str) for text in texts)
    except (KeyError, TypeError, AttributeError, ValueError):
        whole = False
    if not whole:
        raise ReportError(f"It is cut short, or was changed by hand. {REMEDY}")
    return found


def changes(before: Json, after: Json) -> list[dict[str, t.Any]]:
    """What is otherwise than before, worst first: rows with ``kind``, and ``before`` and ``after`` (a row, or None).

    ``kind`` is ``broken`` (a fault that was not there), ``other`` (broken before and now, by other faults), ``unlooked``
    (looked at before, and no longer), ``mended``, ``looked`` (looked at now, and as it should be), ``new`` or ``gone``. Only
    hosts of the later report are compared: a run over some of the hosts says nothing about the others.
    """
    old, new = _by_key(before), _by_key(after)
    hosts = {host["host"] for host in after["hosts"]}
    found = []
    for key in [*new, *(key for key in old if key not in new and key[0] in hosts)]:
        kind = _kind(old.get(key), new.get(key))
        if kind:
            row = dict(zip(("host", "hop", "from", "url"), key))
            found.append(
                {**row, "kind": kind, "before": _worst(old.get(key)), "after": _worst(new.get(key)), "faults": _ids(new.get(key))}
            )
    return sorted(found, key=lambda change: KINDS.index(change["kind"]))


KINDS = ("broken", "other", "unlooked", "mended", "looked", "new", "gone")


def _by_key(report: Json) -> dict[Key, list[Json]]:
    found: dict[Key, list[Json]] = {}
    for host in report["hosts"]:
        for row in host["rows"]:
            found.setdefault((row["host"], row["hop"], row["from"], row["url"]), []).append(row)
    return found


def _kind(old: list[Json] | None, new: list[Json] | None) -> str:
    before, after = _worst(old), _worst(new)
    if after is None:
        return "gone"
    if after["ok"] is False:
        if before is None or before["ok"] is not False:
            return "broken"
        return "" if _ids(old) == _ids(new) else "other"
    if before is None:
        return "new"
    if before["ok"] is after["ok"]:
        return ""
    if after["ok"] is None:
        return "unlooked"
    return "looked" if before["ok"] is None else "mended"


def _worst(rows: list[Json] | None) -> Json | None:
    """A fault counts before what was not looked at, and that before what is fine."""
    return min(rows, key=lambda row: (False, None, True).index(row["ok"])) if rows else None


def _ids(rows: list[Json] | None) -> list[str]:
    return sorted({row["id"] for row in rows or [] if row["ok"] is False})
