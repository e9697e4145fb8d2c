# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as JUnit XML, as pipelines read it: a suite for each host, a case for each row."""

from __future__ import annotations

import re
import typing as t
from xml.etree import ElementTree

Json = t.Mapping[str, t.Any]
# What XML 1.0 cannot carry at all, not even escaped (its 2.2).
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: Json) -> bytes:
    """The XML, in UTF-8. A fault is a failure, what was not looked at is skipped; both with id, cause and next step."""
    root = ElementTree.Element("testsuites", name="selfhosted.coolify.verify")
    for host in report["hosts"]:
        suite = ElementTree.SubElement(root, "testsuite", name=_text(host["host"]), timestamp=report["generated"])
        for row in host["rows"]:
            _case(suite, host["host"], row)
        _count(suite, host["rows"])
    _count(root, [row for host in report["hosts"] for row in host["rows"]])
    ElementTree.indent(root, " ")
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _case(suite: ElementTree.Element, host: str, row: Json) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=_text("{}.{}".format(host, row["hop"])),
        name=_text("{} → {}".format(row["from"], row["url"] or row["hop"])),
        time=_seconds([row]),
    )
    if row["ok"] is True:
        return
    message = "{id}: {cause}".format(**row)
    if row["ok"] is None:
        ElementTree.SubElement(case, "skipped", message=_text("{} Next: {}".format(message, row["next"])))
        return
    failure = ElementTree.SubElement(case, "failure", type=_text(row["id"]), message=_text(message))
    failure.text = _text("{}\nNext: {}\nSeen: {}".format(message, row["next"], row["seen"]))


def _count(element: ElementTree.Element, rows: t.Sequence[Json]) -> None:
    element.set("tests", str(len(rows)))
    element.set("failures", str(sum(row["ok"] is False for row in rows)))
    element.set("errors", "0")
    element.set("skipped", str(sum(row["ok"] is None for row in rows)))
    element.set("time", _seconds(rows))


def _seconds(rows: t.Sequence[Json]) -> str:
    return "{:.3f}".format(sum(row["milliseconds"] or 0 for row in rows) / 1000)


def _text(value: t.Any) -> str:
    return _NOT_XML.sub("\ufffd", str(value))
