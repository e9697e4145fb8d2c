"""The report's document, page and JUnit XML, from reports as runs make them (report_samples)."""

from __future__ import annotations

import json
import os
import re
import typing as t
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import jsonschema
import pytest
import report_samples as samples
from ansible.errors import AnsibleActionFail

from ansible_collections.selfhosted.coolify.plugins.action import hop_report
from ansible_collections.selfhosted.coolify.plugins.plugin_utils.report import diagram, document, junit, page

SCHEMA = json.loads((Path(__file__).resolve().parents[4] / "docs" / "report.schema.json").read_text())
SAMPLES = pytest.mark.parametrize("name", sorted(samples.SAMPLES))


class Page(HTMLParser):
    """The tags, and the text that a reader sees, without the style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self._style = "", False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._style = False

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.text += f" {data.strip()}" if data.strip() else ""


def rows(report: t.Any) -> list[t.Any]:
    return [row for host in report["hosts"] for row in host["rows"]]


# -- document ------------------------------------------------------------------------------------------------------------------


@SAMPLES
def test_the_document_is_as_the_schema_says(name: str) -> None:
    jsonschema.validate(samples.SAMPLES[name](), SCHEMA)


@pytest.mark.parametrize(
    "change",
    [{"ok": "no"}, {"ok": False, "id": None}, {"ok": None, "next": None}, {"ok": True, "id": "CWT-101"}, {"hop": ""}],
)
def test_the_schema_refuses_a_row_that_says_half(change: t.Any) -> None:
    report = samples.green()
    report["hosts"][0]["rows"][0].update(change)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(report, SCHEMA)


def test_the_samples_are_what_they_are_called() -> None:
    assert samples.green()["ok"]
    assert len(samples.three_faults()["hosts"][0]["broken"]) == 3
    assert len(samples.fleet()["hosts"]) == 20
    assert {row["ok"] for row in rows(samples.not_all_looked_at())} == {True, None}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("[]", "no report"),
        ('{"hosts": []}', "without a version"),
        ('{"schema": 2, "hosts": []}', "reads 1"),
        ('{"schema": 1, "hosts": [{"host": "a"}], "generated": ""}', "cut short"),
        ('{"schema": 1, "hosts": null, "generated": ""}', "cut short"),
        ('{"schema": 1, "hosts": []}', "cut short"),
        ('{"schema": 1, "hosts": [], "generated": 5}', "cut short"),
        ("[" * 200_000, "no JSON"),
    ],
)
def test_what_is_no_report_is_refused_with_the_remedy(text: str, said: str) -> None:
    with pytest.raises(document.ReportError, match=f"{said}.*coolify_verify_report_path"):
        document.parsed(text)


@pytest.mark.parametrize("change", [{"ok": "no"}, {"seen": None}, {"url": 5}, {"ok": False, "id": None}])
def test_a_report_whose_rows_say_half_is_refused_with_the_remedy(change: t.Any) -> None:
    report = samples.green()
    report["hosts"][0]["rows"][0].update(change)
    with pytest.raises(document.ReportError, match=r"cut short.*coolify_verify_report_path"):
        document.parsed(json.dumps(report))


def test_a_report_survives_its_file() -> None:
    report = samples.fleet()
    assert document.parsed(json.dumps(report)) == report


def one(ok: bool | None, *ids: str) -> t.Any:
    """A report of one row, or of one for each id."""
    row = {"host": "a", "hop": "nginx", "from": "host", "url": "u", "seen": "x", "milliseconds": None, "cause": "c", "next": "n"}
    found = [dict(row, ok=ok, id=identifier) for identifier in ids or [None]]
    return document.document([{"host": "a", "ok": ok is not False, "broken": [], "rows": found}], 0)


NONE = document.document([{"host": "a", "ok": True, "broken": [], "rows": []}], 0)
GOOD, BAD, OTHER, UNKNOWN = one(True), one(False, "CWT-201"), one(False, "CWT-202"), one(None, "CWT-104")


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        (GOOD, GOOD, []),
        (BAD, BAD, []),
        (UNKNOWN, UNKNOWN, []),
        (GOOD, BAD, ["broken"]),
        (UNKNOWN, BAD, ["broken"]),
        (NONE, BAD, ["broken"]),
        (BAD, OTHER, ["other"]),
        (BAD, one(False, "CWT-201", "CWT-202"), ["other"]),
        (BAD, GOOD, ["mended"]),
        (UNKNOWN, GOOD, ["looked"]),
        (GOOD, UNKNOWN, ["unlooked"]),
        (BAD, UNKNOWN, ["unlooked"]),
        (NONE, GOOD, ["new"]),
        (NONE, UNKNOWN, ["new"]),
        (GOOD, NONE, ["gone"]),
        (BAD, NONE, ["gone"]),
        (BAD, document.document([], 0), []),
    ],
)
def test_what_changed(before: t.Any, after: t.Any, kinds: list[str]) -> None:
    assert [change["kind"] for change in document.changes(before, after)] == kinds


# -- page ----------------------------------------------------------------------------------------------------------------------


@SAMPLES
@pytest.mark.parametrize("mask", [False, True])
def test_the_page_says_all_and_fetches_nothing(name: str, mask: bool) -> None:
    report = samples.SAMPLES[name]()
    html = page.page(report, samples.green(), mask)
    shown = Page(html)
    assert not {tag for tag, _attributes in shown.tags} & {"script", "link", "img", "iframe", "object", "form", "base"}
    leads = [value for _tag, found in shown.tags for key, value in found.items() if value and key in ("href", "src")]
    assert all(value.startswith("#") for value in leads)
    assert not re.search(r"url\((?!#)|@import", html)
    for row in rows(report):
        if row["ok"] is not True:
            assert row["id"] in shown.text
            assert row["next"].replace("`", "")[:30] in shown.text.replace(" , ", ", ").replace("  ", " ")
    identifiers = [found["id"] for _tag, found in shown.tags if "id" in found]
    assert len(identifiers) == len(set(identifiers))


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("green", "Every hop is as it should be."),
        ("three", "3 faults."),
        ("open", "What was looked at is as it should be. 1 thing was not looked at."),
        ("fleet", "12 faults on 4 of 20 hosts. 1 thing was not looked at."),
    ],
)
def test_the_verdict(name: str, verdict: str) -> None:
    shown = Page(page.page(samples.SAMPLES[name]()))
    assert shown.text.startswith(f" Coolify's WebSockets: {verdict}")
    assert ("Every hop is as it should be." in shown.text) == (name in ("green", "fleet"))


def test_a_fleet_is_listed_worst_first_and_numbered_as_it_stands() -> None:
    listed = re.findall(r'<th scope="row"><a href="#(host-\d+)">(.*?)</a>', page.page(samples.fleet(), mask=True))
    assert [anchor for anchor, _name in listed][:7] == [f"host-{number}" for number in (1, 2, 5, 6, 3, 4, 7)]
    assert [name for _anchor, name in listed][:7] == [
        "host-1", "host-2", "host-3", "192.0.2.1", "domain-1.example", "2001:db8::1", "host-4",
    ]


def luminance(colour: str) -> float:
    """Of a colour as #rrggbb or #rgb, by WCAG 2.2."""
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_text_stands_out_from_its_ground_in_every_scheme() -> None:
    """The drawing's too, which axe does not judge."""
    blocks = re.findall(r":root \{(.*?)\}", page.page(samples.green()), re.S)
    schemes = [dict(re.findall(r"--([a-z-]+): (#\w+)", block)) for block in blocks]
    assert len(schemes) == 3
    pairs = [(one, ground) for one in ("text", "soft", "link") for ground in ("page", "card")] + [("text", "code")]
    for one in ("good", "bad", "unknown", "off"):
        pairs += [(one, f"{one}-back"), (one, "card"), ("text", f"{one}-back")]
    for scheme in schemes:
        for one, ground in pairs:
            dark, light = sorted((luminance(scheme[one]), luminance(scheme[ground])))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (one, ground)


def test_no_host_is_not_green() -> None:
    assert "No host was looked at." in page.page(document.document([], 0))


def test_nothing_that_others_sent_becomes_a_tag() -> None:
    evil = "<script>alert(1)</script>`<b>`\"'><img src=x>"
    report = samples.three_faults()
    for host in report["hosts"]:
        host["host"] = host["plan"]["why"] = evil
        host["plan"]["notes"] = [evil]
        for row in host["rows"]:
            row.update(host=evil, url=evil, seen=evil, cause=evil, **{"from": evil})
    for mask in (False, True):
        tags = {tag for tag, _attributes in Page(page.page(report, samples.green(), mask)).tags}
        assert not tags & {"script", "img", "b"}


def states(report: t.Any) -> dict[str, str]:
    return {box.title: box.state for box in diagram.diagram(report["hosts"][0]).boxes if box.text}


def test_every_box_has_the_worst_state_of_its_rows() -> None:
    assert set(states(samples.green()).values()) == {"good"}
    found = states(samples.three_faults())
    assert {title for title, state in found.items() if state == "bad"} == {
        "Cloudflare Tunnel", "Firewall", "Realtime, 6001", "Terminal, 6002",
    }
    assert states(samples.not_all_looked_at())["Domain"] == "unknown"


def test_one_of_the_two_servers_is_red_alone() -> None:
    report = document.document([samples.host(symptoms={("realtime", "/terminal/ws"): "CWT-902"})], 0)
    found = states(report)
    assert (found["Realtime, 6001"], found["Terminal, 6002"]) == ("good", "bad")


def test_a_host_that_was_not_looked_at_has_no_green_box() -> None:
    report = document.document([samples.fleet()["hosts"][4]], 0)
    assert report["hosts"][0]["broken"] == ["host (CWT-101)"]
    assert set(states(report).values()) == {"bad", "unknown"}


def test_a_hop_that_is_left_out_or_not_on_the_way_is_grey() -> None:
    report = samples.green()
    host = report["hosts"][0]
    host["rows"] = [row for row in host["rows"] if row["hop"] not in ("tunnel", "nginx")]
    host["rows"].append(dict(host["rows"][0], hop="nginx", seen="not wanted"))
    found = {box.title: box.text for box in diagram.diagram(host).boxes if box.state == "off"}
    assert found == {"Cloudflare Tunnel": "not on the way", "nginx in the container coolify": "left out"}


def test_a_hop_that_the_drawing_does_not_know_is_drawn() -> None:
    report = samples.green()
    report["hosts"][0]["rows"].append(dict(one(False, "CWT-201")["hosts"][0]["rows"][0], hop="moon"))
    assert states(report)["moon"] == "bad"


# -- JUnit ---------------------------------------------------------------------------------------------------------------------


@SAMPLES
def test_junit_has_a_case_for_each_row(name: str) -> None:
    report = samples.SAMPLES[name]()
    root = ElementTree.fromstring(junit.junit(report))
    assert [suite.get("name") for suite in root] == [host["host"] for host in report["hosts"]]
    cases = list(root.iter("testcase"))
    assert len(cases) == len(rows(report)) == int(root.get("tests", ""))
    for case, row in zip(cases, rows(report)):
        assert case.get("classname") == "{host}.{hop}".format(**row)
        assert case.get("name") == "{} → {}".format(row["from"], row["url"] or row["hop"])
        assert [child.tag for child in case] == {True: [], False: ["failure"], None: ["skipped"]}[row["ok"]]
        for child in case:
            said = f"{child.get('message')} {child.text}"
            assert all(row[key] in said for key in ("id", "cause", "next"))
    assert int(root.get("failures", "")) == sum(row["ok"] is False for row in rows(report))
    assert int(root.get("skipped", "")) == sum(row["ok"] is None for row in rows(report))


def test_junit_carries_what_xml_cannot() -> None:
    report = one(False, "CWT-201")
    report["hosts"][0]["rows"][0].update(seen="\x1b[2J\x00<&]]>\ud800", url="\x07")
    failure = ElementTree.fromstring(junit.junit(report)).find(".//failure")
    assert failure is not None
    assert "<&]]>" in str(failure.text)


# -- the action ----------------------------------------------------------------------------------------------------------------


def run(monkeypatch: pytest.MonkeyPatch, report: t.Any, hostvars: t.Any = None, **options: t.Any) -> t.Any:
    monkeypatch.setattr(hop_report.ActionBase, "run", lambda *_arguments: {})
    action = hop_report.ActionModule.__new__(hop_report.ActionModule)
    hosts = [host["host"] for host in report["hosts"]]
    defaults = {"path": None, "html_path": None, "junit_path": None, "compare_path": None, "mask": False}
    arguments = {**defaults, "hosts": hosts, "results": report["hosts"], **options}
    monkeypatch.setattr(action, "validate_argument_spec", lambda _spec: (None, arguments), raising=False)
    action._task = SimpleNamespace(args=options)
    return action.run(None, {"hostvars": hostvars or {}})


def test_no_secret_is_in_any_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planted = "s3cret-planted"

    def plant(info: t.Any, plan: t.Any) -> None:
        samples.sick(info, plan)
        for values in (info["env_file"]["variables"], info["coolify"]["environment"]):
            values.update(dict.fromkeys(("APP_KEY", "PUSHER_APP_SECRET", "PUSHER_APP_KEY", "DB_PASSWORD"), planted))
        plan["token"] = info["token"] = planted
        info["managed"]["traefik"]["content"] += f"# {planted}"
        plan["pusher"]["secret"] = info["managed"]["tunnel"]["token"] = planted

    names = {option: str(tmp_path / option) for option in ("path", "html_path", "junit_path")}
    run(monkeypatch, document.document([samples.host(change=plant)], 0), **names)
    for name in names.values():
        assert planted not in Path(name).read_text()
        assert "CWT-115" in Path(name).read_text()
    assert planted not in capsys.readouterr().out


def test_the_page_compares_with_an_earlier_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first, second, html = (str(tmp_path / name) for name in ("a/first.json", "second.json", "hops.html"))
    run(monkeypatch, samples.green(), path=first, html_path=html)
    assert "What changed" not in Path(html).read_text()
    broken = document.document([samples.host(symptoms=samples.THREE)], 0)
    run(monkeypatch, broken, path=second, compare_path=first, html_path=html)
    assert "Newly broken" in Path(html).read_text()
    assert document.parsed(Path(second).read_text())["ok"] is False
    run(monkeypatch, broken, compare_path=second, html_path=html)
    assert "Nothing: every row says" in Path(html).read_text()
    with pytest.raises(AnsibleActionFail, match=r"coolify_verify_compare_path: .*Copy it"):
        run(monkeypatch, samples.green(), compare_path=second, path=str(tmp_path / "a" / ".." / "second.json"))
    assert document.parsed(Path(second).read_text())["ok"] is True


def test_what_cannot_be_read_or_written_costs_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").mkdir()
    options = {"compare_path": "missing.json", "path": "taken", "html_path": "hops.html", "junit_path": "hops.xml"}
    with pytest.raises(AnsibleActionFail) as failure:
        run(monkeypatch, samples.green(), **{option: str(tmp_path / name) for option, name in options.items()})
    assert re.search("coolify_verify_compare_path: .*an earlier run wrote", str(failure.value))
    assert "coolify_verify_report_path: " in str(failure.value)
    assert "coolify_verify_html_path" not in str(failure.value)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["hops.html", "hops.xml", "taken"]
    assert "Every hop is as it should be." in capsys.readouterr().out


def test_a_link_stays_and_what_it_leads_to_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    link = tmp_path / "latest.json"
    link.symlink_to("of-today.json")
    for _run in range(2):
        run(monkeypatch, samples.green(), path=str(link))
        assert link.is_symlink()
        assert document.parsed((tmp_path / "of-today.json").read_text())["ok"]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("place", ["/dev/stdout", "/dev/fd/1", "/dev/null", "/proc/self/fd/1", "pipe", "folder", "link"])
def test_what_is_no_file_is_refused_and_left_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    before = sorted(tmp_path.iterdir())
    # Where it were replaced, all that comes after would lose its output.
    monkeypatch.setattr(os, "replace", lambda *_paths: pytest.fail("it was replaced"))
    with pytest.raises(AnsibleActionFail, match=r"coolify_verify_junit_path: .* is not a regular file. Name a file"):
        run(monkeypatch, samples.green(), junit_path=str(tmp_path / place))
    with pytest.raises(AnsibleActionFail, match=r"coolify_verify_compare_path: .*Name a file that an earlier run wrote"):
        run(monkeypatch, samples.green(), compare_path=str(tmp_path / place))
    assert sorted(tmp_path.iterdir()) == before


def test_no_name_that_the_run_knows_is_on_a_masked_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Field case G20: names of one label stand out by nothing that is around them."""
    report = one(False, "CWT-303")
    report["hosts"][0]["rows"][0]["cause"] = "It differs. (TERMINAL_HOST is newbox, PUSHER_HOST is acmebox, should be planbox)"
    report["hosts"][0]["rows"][0]["seen"] = "peerbox said: jumpbox is away, tunnelbox is not, and nothing is empty"
    info = {"env_file": {"variables": {"PUSHER_HOST": "acmebox", "TERMINAL_HOST": "", "PUSHER_PORT": "443"}}}
    info["managed"] = {"tunnel": {"rules": [{"hostname": "tunnelbox", "path": "", "service": "http://localhost:80"}]}}
    plan = {"pusher": {"environment": {"PUSHER_HOST": "planbox", "PUSHER_SCHEME": None}}}
    hostvars = {
        "a": {"coolify_access_info": info, "coolify_access_plan": plan, "ansible_user": "said"},
        "peerbox": {"ansible_host": "jumpbox"},
    }
    html = tmp_path / "hops.html"
    run(monkeypatch, report, hostvars, html_path=str(html), mask=True)
    assert not re.search(r"\w+box", html.read_text())
    assert re.search(r"host-\d said: host-\d is away, host-\d is not, and nothing is empty", html.read_text())
    # A page of two earlier files, whose names no inventory has any more.
    assert not re.search("newbox|acmebox", page.page(report, mask=True))
    run(monkeypatch, report, hostvars, html_path=str(html))
    assert "acmebox" in html.read_text()
