"""The tunnel's list: who answers a URL, and the edit that sends two paths elsewhere and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ansible_collections.selfhosted.coolify.plugins.module_utils.keeper import _undo
from ansible_collections.selfhosted.coolify.plugins.module_utils.tunnel import _ingress

sys.path.insert(0, str(Path(__file__).parent))
from ingress_corpus import FILES, TAIL

FIXTURES = Path(__file__).parent / "fixtures" / "ingress"
HOST = "coolify.example.com"
WANTED = [
    {"path": "^/terminal/ws$", "service": "http://localhost:6002"},
    {"path": "^/apps?/", "service": "http://localhost:6001"},
]
OURS = ["/terminal/ws", "/app/key", "/apps/coolify/events"]
OTHERS = [
    "/",
    "/api/v1/applications",
    "/project/u/environment/u/application/u",
    "/terminal",
    "/application",
    "/login",
    "/terminal/wsx",
]
IN_ONE_LINE = ("flow on one line", "flow over lines", "json", "bare app, flow")
HOSTS = [HOST, "a.example.com", "example.com", "coolify.example.org"]


def table(name):
    return [line for line in (FIXTURES / name).read_text().splitlines() if line and not line.startswith("#")]


def listed(rules):
    """A file with these rules, written by PyYAML."""
    return yaml.safe_dump(
        {"tunnel": "abc", "ingress": [{key: value for key, value in rule._asdict().items() if value} for rule in rules]}
    )


def by_pyyaml(text):
    found = yaml.safe_load(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))["ingress"]
    return [_ingress.Rule(*(str(rule.get(key) or "") for key in _ingress.Rule._fields)) for rule in found]


def answers(rules, urls):
    return [_ingress.first_match(rules, url) for url in urls]


@pytest.mark.parametrize(("line", "expected"), list(zip(table("lists.txt"), table("answers.txt"))))
def test_first_match_agrees_with_go(line, expected):
    rules = [_ingress.Rule(*field.split("|", 1), f"http://localhost:{n}") for n, field in enumerate(line.split())]
    rules.append(_ingress.Rule("", "", "http_status:404"))
    assert [rules.index(rule) for rule in answers(rules, table("urls.txt"))] == [int(n) for n in expected.split()]


@pytest.mark.parametrize("name", FILES)
def test_corpus_is_read_as_pyyaml_reads_it(name):
    assert _ingress.parse(FILES[name]) == by_pyyaml(FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_corpus_is_routed_and_nothing_else_changes(name):
    text = FILES[name]
    result = _ingress.apply(text, HOST, WANTED)
    assert result.rules == _ingress.parse(result.text) == by_pyyaml(result.text)
    for path, port in zip(OURS, (6002, 6001, 6001)):
        assert urlsplit(_ingress.first_match(result.rules, f"https://{HOST}{path}").service).port == port
    faulty = [swallowed.rule for swallowed in result.swallowed]
    before = [rule for rule in _ingress.parse(text) if rule not in faulty]
    for host in HOSTS:
        for path in OTHERS:
            url = f"https://{host}{path}"
            assert _ingress.first_match(result.rules, url) == _ingress.first_match(before, url), url
    for line in text.splitlines():
        if "path:" not in line and name not in IN_ONE_LINE:
            assert line in result.text.splitlines()


@pytest.mark.parametrize("name", FILES)
def test_corpus_second_run_changes_nothing(name):
    text = _ingress.apply(FILES[name], HOST, WANTED).text
    assert not _ingress.apply(text, HOST, WANTED).changed
    assert _ingress.apply(text, HOST, WANTED).text == text


@pytest.mark.parametrize("name", FILES)
def test_corpus_round_trip_gives_back_the_bytes(name):
    result = _ingress.apply(FILES[name], HOST, WANTED)
    assert _undo.original(_undo.Memory(FILES[name], result.text), result.text) == FILES[name]


def test_round_trip_needs_no_memory_where_nothing_moved():
    names = [name for name in FILES if "guide" not in name and "bare" not in name]
    for name in names:
        assert _ingress.remove(_ingress.apply(FILES[name], HOST, WANTED).text).text == FILES[name], name


def test_line_breaks_are_those_of_the_file():
    text = _ingress.apply(FILES["crlf"], HOST, WANTED).text
    assert text.count("\r\n") == text.count("\n") == FILES["crlf"].count("\n") + 8


def test_rules_that_serve_already_are_left():
    text = FILES["right already, by other addresses"]
    assert _ingress.apply(text, HOST, WANTED) == (text, False, _ingress.parse(text), [])


def test_bare_app_is_narrowed_and_its_pages_named():
    text = FILES["guide's rules in the wrong place"]
    result = _ingress.apply(text, HOST, WANTED)
    assert [entry.rule.path for entry in result.swallowed] == ["/app"]
    assert "/api/v1/applications" in result.swallowed[0].pages
    assert len(result.rules) == len(_ingress.parse(text)), "the rules that were there have moved, none was added"
    assert "    path: '^/terminal/ws$'   # unanchored\n" in result.text
    assert result.text.index("# terminal") < result.text.index("# pusher") < result.text.index('"*.example.com"')


def test_changed_port_replaces_the_rule_of_before():
    first = _ingress.apply(FILES["typical"], HOST, WANTED).text
    moved = [WANTED[0], {"path": "^/apps?/", "service": "http://localhost:16001"}]
    second = _ingress.apply(first, HOST, moved)
    assert "6001'" in second.text
    assert second.text == _ingress.apply(FILES["typical"], HOST, moved).text


def test_another_service_with_the_same_path_keeps_what_is_not_ours():
    text = f"ingress:\n  - hostname: {HOST}\n    path: /app\n    service: http://localhost:9000\n" + TAIL
    result = _ingress.apply(text, HOST, WANTED)
    assert result.swallowed == []
    assert _ingress.first_match(result.rules, f"https://{HOST}/applications").service == "http://localhost:9000"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tunnel: abc\n", "no rules under 'ingress'"),
        ("ingress:\n", "no rules under 'ingress'"),
        ("ingress: []\n", "no rules under 'ingress'"),
        (f"ingress:\n  - hostname: {HOST}\n    service: http://localhost:8000\n", "as its last line: - service: http_status:404"),
        ("ingress:\n  - service: http://x:1\n  - service: http_status:404\n", "ingress rule 1 has neither"),
        ("ingress:\n  - hostname: *.b\n    service: http://x:1\n", "must be quoted .line 2, column 15"),
        ("ingress:\n\t- service: http://x:1\n", "tab"),
        ("ingress: text\n", "not a list"),
        ("- a\n", "not a mapping"),
        ("ingress:\n  - text\n", "rule 1 is not a mapping"),
        ("ingress:\n  - hostname: a\n", "rule 1 has no service"),
        ("ingress:\n  - path: [a]\n    service: b\n", "rule 1: write path as plain"),
        ("ingress:\n  - path: |\n      a\n    service: b\n", "rule 1: write path as plain"),
        (f"ingress:\n  - hostname: {HOST}\n    path: (?!x)\n    service: http://x:1\n" + TAIL, "the group"),
        (
            f"x: &x {{hostname: {HOST}, path: /app, service: 'http://localhost:6001'}}\ningress:\n  - *x\n" + TAIL,
            "change it by hand",
        ),
        (
            (f"ingress:\n  - hostname: &n {HOST}\n    service: http://localhost:8000\n"
             "  - hostname: *n\n    path: ^/apps?/\n    service: http://localhost:6001\n  - service: http_status:404\n"),
            "by hand, in this order",
        ),
    ],
)
def test_what_cannot_be_edited_is_refused_with_the_remedy(text, message):
    with pytest.raises(_ingress.IngressError, match=message):
        _ingress.apply(text, HOST, WANTED)


def test_a_wanted_path_that_is_none_of_coolify_s_is_refused():
    with pytest.raises(_ingress.IngressError, match=r"rules: .*\^/terminal/ws\$"):
        _ingress.apply(FILES["typical"], HOST, [{"path": "^/nothing", "service": "http://localhost:1"}])


RULES = st.builds(
    _ingress.Rule,
    st.sampled_from([*HOSTS, "*.example.com", ""]),
    st.sampled_from(
        [
            "",
            "",
            "/app",
            "^/app/",
            "^/apps?/",
            "/terminal/ws",
            "^/terminal/ws$",
            "^/terminal",
            "^/api",
            "ws$",
            ".*",
            "^/(a|apps)/",
        ]
    ),
    st.sampled_from([f"http://localhost:{port}" for port in (8000, 80, 6001, 6002)] + ["http://coolify-realtime:6001"]),
).filter(lambda rule: rule.hostname or rule.path)


@settings(max_examples=250, deadline=None)
@given(st.lists(RULES, max_size=6))
def test_any_list_ends_with_both_paths_routed_and_every_other_answer_as_before(rules):
    text = listed([*rules, _ingress.Rule("", "", "http_status:404")])
    result = _ingress.apply(text, HOST, WANTED)
    assert by_pyyaml(result.text) == result.rules
    assert not _ingress.apply(result.text, HOST, WANTED).changed
    for path, port in zip(OURS, (6002, 6001, 6001)):
        assert urlsplit(_ingress.first_match(result.rules, f"https://{HOST}{path}").service).port == port
    before = _ingress.parse(text)
    # A rule that was mended gives up what it took wrongly; what other rules answer stays theirs.
    touched = {rule for rule in before if rule not in result.rules}
    for host in HOSTS:
        for path in OTHERS if host == HOST else OTHERS + OURS:
            was = _ingress.first_match(before, f"https://{host}{path}")
            if was not in touched:
                assert _ingress.first_match(result.rules, f"https://{host}{path}") == was
    assert _undo.original(_undo.Memory(text, result.text), result.text) == text


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.integers(0, 30), st.sampled_from(["# mine\n", ""]))
def test_a_change_made_meanwhile_survives_the_way_back(name, line, inserted):
    original = FILES[name]
    written = _ingress.apply(original, HOST, WANTED).text
    lines = written.split("\n")
    assume(line < len(lines))
    current = "\n".join([*lines[:line], *inserted.splitlines(), *lines[line:]])
    restored = _undo.original(_undo.Memory(original, written), current)
    if restored is not None:
        assert restored.replace("# mine\n", "", 1) == original
