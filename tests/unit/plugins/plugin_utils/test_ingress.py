"""The tunnel's list: the edit that sends two paths elsewhere and nothing else, and the way back."""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.selfhosted.coolify.plugins.module_utils.tunnel import _ingress
from ansible_collections.selfhosted.coolify.plugins.plugin_utils import tunnel_list, yaml_text

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[3] / "fuzz")]
from ingress_corpus import FILES, TAIL  # noqa: E402
from ingress_lists import HOST, WANTED, drawn, fault, first  # noqa: E402

LIST = "ingress:\n  - hostname: " + HOST + "\n    service: {}\n{}" + TAIL
#: Read by PyYAML with no place for a line of its own at the top, or not at all.
BY_HAND = {
    "flow on one line", "flow over lines", "json", "bare app, flow", "the list beside its key", "the list by an alias",
    "an anchor at the list", "a tag at the list", "explicit key", "a tab before a comment", "mistake, path by an alias",
}  # fmt: skip


def edit(text: str) -> tunnel_list.Edit:
    return tunnel_list.edit(text, [HOST], WANTED)


def services(text: str) -> list[str]:
    return [first(yaml.safe_load(edit(text).text)["ingress"], HOST, path)["service"] for path in ("/terminal/ws", "/app/key")]


@pytest.mark.parametrize("name", FILES)
def test_corpus_is_routed_and_nothing_else_changes(name):
    assert fault(FILES[name]) is None
    assert bool(edit(FILES[name]).by_hand) == (name in BY_HAND)
    unchanged = edit(FILES[name]).text == FILES[name]
    assert unchanged == (name in BY_HAND | {"both paths served"})


def test_an_untreated_file_that_reads_like_ours_is_given_back_as_it_is():
    """Field case T1, where a list of somebody's lost a rule."""
    text = (
        "ingress: [{hostname: 'wiki.example.com', path: '^/static', service: 'http://localhost:9000'}, "
        "{hostname: 'coolify.example.com', service: 'http://localhost:8000'}, {service: 'http_status:404'}]\n"
    )
    assert _ingress.strip(text) == text
    assert edit(text).text == text
    assert f"- hostname: '{HOST}'\n  path: '^/terminal/ws$'\n  service: 'http://127.0.0.1:6002'" in edit(text).by_hand


@pytest.mark.parametrize("name", ["Coolify.Example.com", "COOLIFY.EXAMPLE.COM"])
def test_a_hostname_in_any_case(name):
    """Field case T2: ours went below the rule for everything, never reached."""
    text = LIST.format("http://192.168.1.5:8000", "").replace(HOST, name)
    assert services(text) == ["http://192.168.1.5:6002", "http://192.168.1.5:6001"]
    assert edit(text).rules[2].hostname == name


def test_the_user_s_own_rules_that_serve_both_paths_are_enough():
    """Field case T4: ours were put above, with localhost."""
    both = "".join(
        f"  - hostname: {HOST}\n    path: {path}\n    service: http://127.0.0.1:{port}\n"
        for path, port in (("/app/", 6001), ("/terminal/ws", 6002))
    )
    text = LIST.format("http://localhost:8000", "").replace("ingress:\n", "ingress:\n" + both)
    assert edit(text) == (text, edit(text).rules, [], [], "")


def test_two_rules_for_everything_of_a_name_answer_as_before():
    """Field case T10: one of them was moved."""
    everything = f"  - hostname: {HOST}\n    path: .*\n    service: http://localhost:{{}}\n"
    text = "ingress:\n" + everything.format(80) + everything.format(8000) + TAIL
    assert fault(text) is None
    assert first(yaml.safe_load(edit(text).text)["ingress"], HOST, "/")["service"] == "http://localhost:80"


def test_an_instance_of_several_names_has_its_rules_in_one_block():
    text = LIST.format("http://127.0.0.1:8000", "  - hostname: panel.example.org\n    service: http://192.168.1.5:8000\n")
    edited = tunnel_list.edit(text, [HOST, "panel.example.org"], WANTED)
    assert [(rule.hostname, rule.service) for rule in edited.rules[:4]] == [
        (HOST, "http://127.0.0.1:6002"), (HOST, "http://127.0.0.1:6001"),
        ("panel.example.org", "http://192.168.1.5:6002"), ("panel.example.org", "http://192.168.1.5:6001"),
    ]  # fmt: skip
    assert edited.text.count(_ingress.BEGIN) == 1
    assert _ingress.strip(edited.text) == text
    assert tunnel_list.edit(edited.text, [HOST, "panel.example.org"], WANTED).text == edited.text
    assert {one["url"].split("/")[2] for one in tunnel_list.expected(edited.rules, [HOST, "panel.example.org"], WANTED)} == {
        HOST, "panel.example.org",
    }  # fmt: skip


def test_the_block_stands_at_the_very_top_in_the_indentation_of_the_list():
    assert edit(FILES["comments everywhere"]).text == FILES["comments everywhere"].replace(
        "# first match wins\n",
        f"""# first match wins
  {_ingress.BEGIN}
  - hostname: '{HOST}'
    path: '^/terminal/ws$'
    service: 'http://127.0.0.1:6002'
  - hostname: '{HOST}'
    path: '^/apps?/'
    service: 'http://127.0.0.1:6001'
  {_ingress.END}
""",
    )


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("http://localhost:8000", "http://127.0.0.1:"),
        ("https://127.0.0.1:443", "http://127.0.0.1:"),
        ("http://192.168.1.5:8000", "http://192.168.1.5:"),
        ("http://[fd00::5]:8000", "http://[fd00::5]:"),
        ("http://coolify:8080", "http://coolify-realtime:"),
        ("unix:/run/a.sock", "http://127.0.0.1:"),
    ],
)
def test_the_rules_lead_where_the_list_s_own_rule_leads(service, expected):
    """http://coolify:8080 is field case T5: the terminal was sent to localhost, where a container reaches nothing."""
    assert services(LIST.format(service, "")) == [expected + "6002", expected + "6001"]


def test_the_wildcard_s_host_where_the_hostname_has_no_rule():
    text = "ingress:\n  - hostname: '*.example.com'\n    service: http://10.0.0.5:80\n" + TAIL
    assert services(text) == ["http://10.0.0.5:6002", "http://10.0.0.5:6001"]


def test_an_address_that_alone_is_bound_is_kept():
    given = [{"path": "^/apps?/", "service": "http://100.64.0.1:6001"}]
    assert tunnel_list.edit(LIST.format("http://192.168.1.5:80", ""), [HOST], given).rules[0].service == "http://100.64.0.1:6001"


def test_the_check_of_the_own_rule_is_the_check_of_ours():
    """Field case T8: two paths went past the check."""
    rules = yaml.safe_load(edit(FILES["originRequest with anchors"]).text)["ingress"]
    assert rules[0]["originRequest"] == rules[1]["originRequest"] == rules[2]["originRequest"]
    assert (
        "originRequest: {access: {required: true, teamName: t, audTag: [b]}, connectTimeout: 30s, noTLSVerify: yes}"
        in edit(FILES["originRequest with anchors"]).text
    )


def test_the_guide_s_mistake_is_narrowed_in_place_and_its_pages_named():
    """The last is field case T3: another machine's rule was narrowed, and counted as serving the path."""
    text = FILES["guide's rules in the wrong place"]
    found = edit(text)
    assert [rule.path for rule, _pages in found.swallowed] == ["/app"]
    assert "/api/v1/applications" in found.swallowed[0][1]
    assert "    path: '^/apps?/' # selfhosted.coolify, before: \"/app\"\n" in found.text
    assert edit(FILES["another machine's wildcard"]).swallowed == []


@pytest.mark.parametrize(
    ("hostname", "service"),
    [("'*.example.com'", "http://localhost:6001"), ("", "http://localhost:6001"), (HOST, "http://192.168.1.50:6001")],
)
def test_a_mistake_of_another_name_or_to_another_machine_is_left_alone(hostname, service):
    """Field case T3 by its halves, each of which is enough."""
    mistake = f"  - hostname: {hostname}\n    path: /app\n    service: {service}\n"
    text = LIST.format("http://localhost:8000", "").replace("ingress:\n", "ingress:\n" + mistake)
    assert (edit(text).swallowed, mistake in edit(text).text) == ([], True)


def test_two_mistakes_on_one_line_could_not_be_given_back():
    rules = [
        f"{{hostname: {HOST}, path: {path}, service: 'http://localhost:{port}'}}"
        for path, port in (("/terminal", 6002), ("/app", 6001))
    ]
    text = "ingress: [" + ", ".join([*rules, "{service: 'http_status:404'}"]) + "]\n"
    assert edit(text).text == text
    assert "Write ^/apps?/ for the path /app." in edit(text).by_hand


def test_line_breaks_are_those_of_the_file():
    text = edit(FILES["crlf"]).text
    assert text.count("\r\n") == text.count("\n") == FILES["crlf"].count("\n") + 8


def test_a_wildcard_s_rule_is_not_the_hostname_s():
    text = LIST.format("http://localhost:8000", "").replace(
        "ingress:\n",
        "ingress:\n  - hostname: '*.example.com'\n    path: ^/app/\n    service: http://localhost:6001\n"
        f"  - hostname: {HOST}\n    path: /terminal/ws\n    service: http://localhost:6002\n",
    )
    assert _ingress.BEGIN in edit(text).text


@pytest.mark.parametrize("host", ["192.168.1.50", "[fd00::50]", "elsewhere"])
def test_another_machine_s_ports_do_not_serve_the_paths(host):
    """Field case T3 by the list's own anchored rules: the page is on this machine, and so are its servers."""
    away = "".join(
        f"  - hostname: {HOST}\n    path: {path}\n    service: http://{host}:{port}\n"
        for path, port in (("^/app/", 6001), ("^/terminal/ws$", 6002))
    )
    text = LIST.format("http://localhost:8000", "").replace("ingress:\n", "ingress:\n" + away)
    assert services(text) == ["http://127.0.0.1:6002", "http://127.0.0.1:6001"]
    assert away in edit(text).text


def test_narrowing_alone_is_enough_where_the_rules_stand_right():
    text = LIST.format("http://localhost:8000", "")
    both = "".join(
        f"  - hostname: {HOST}\n    path: {path}\n    service: http://localhost:{port}\n"
        for path, port in (("/app", 6001), ("/terminal", 6002))
    )
    text = text.replace("ingress:\n", "ingress:\n" + both)
    assert _ingress.BEGIN not in edit(text).text
    assert len(edit(text).swallowed) == 2
    assert fault(text) is None


def test_a_changed_port_replaces_what_was_before():
    moved = [WANTED[0], {"path": "^/apps?/", "service": "http://127.0.0.1:16001"}]
    again = tunnel_list.edit(edit(FILES["typical"]).text, [HOST], moved)
    assert again.text == tunnel_list.edit(FILES["typical"], [HOST], moved).text
    assert ":16001'" in again.text


def test_what_somebody_changed_since_is_kept():
    text = edit(FILES["guide's rules in the wrong place"]).text
    changed = text.replace("# pusher\n", "# pusher, mine\n").replace("http://localhost:80\n", "http://localhost:81\n")
    expected = FILES["guide's rules in the wrong place"].replace("# pusher\n", "# pusher, mine\n")
    assert _ingress.strip(changed) == expected.replace("http://localhost:80\n", "http://localhost:81\n")


def test_half_a_block_is_refused():
    text = edit(FILES["typical"]).text.replace("  " + _ingress.END + "\n", "")
    for attempt in (edit, _ingress.strip):
        with pytest.raises(_ingress.IngressError, match="delete the rules between"):
            attempt(text)


@pytest.mark.parametrize("text", ["tunnel: abc\nurl: http://localhost:8000\n", "tunnel: abc\n", "ingress:\n", "", "# c\n"])
def test_without_a_list_there_is_nothing_to_do(text):
    """The first is field case T6: what it was told to add would have taken the site down."""
    assert edit(text) == (text, [], [], [], "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ingress: []\n", "in one piece"),
        (f"ingress:\n  - hostname: {HOST}\n    service: http://localhost:8000\n", "does not take everything"),
        ("x: &x\n  - service: http://localhost:1\ningress: *x\n", "line of its own"),
        ("ingress: !!seq\n  - service: http://localhost:1\n", "line of its own"),
        (
            f"x: &x /app\n{LIST}".format(
                "http://localhost:8000", f"  - hostname: {HOST}\n    path: *x\n    service: ws://localhost:6001\n"
            ),
            "comes from another place",
        ),
        ("ingress:\n  - service: http://localhost:1\t# c\n", "cannot be read as YAML"),
        ("ingress:\n  - service: http://localhost:1\n---\nb: 1\n", "another document"),
    ],
)
def test_a_list_without_a_place_for_a_block_is_left_and_the_rules_are_said(text, reason):
    found = edit(text)
    assert found.text == text
    assert re.search(reason, found.by_hand), found.by_hand
    assert "service: 'http://127.0.0.1:6002'" in found.by_hand


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("token: secret\ningress:\n  - hostname: *.b\n    service: http://x:1\n", r"YAML: .*\(line 3, column 1\d\)$"),
        ("ingress: [\n", r"YAML: .*\(line 2, column 1\)$"),
        ("ingress:\n\t- service: http://a:1\n", r"\(line 2, column 1\)$"),
        ("ingress: text\n", r"not a list \(line 1, column 10\)"),
        ("- a\n", "not a mapping"),
        ("ingress:\n  - text\n", r"not a mapping \(line 2, column 5\)"),
        ("ingress:\n  - path: [a]\n    service: b\n", r"path is not text \(line 2, column 5\)"),
    ],
)
def test_a_broken_file_is_named_with_the_place_and_not_quoted(text, message):
    with pytest.raises(_ingress.IngressError, match=message) as raised:
        edit(text)
    assert "secret" not in str(raised.value)


def test_a_wanted_path_that_is_none_of_coolify_s_is_refused():
    with pytest.raises(_ingress.IngressError, match=r"rules: .*\^/terminal/ws\$"):
        tunnel_list.edit(FILES["typical"], [HOST], [{"path": "^/nothing", "service": "http://localhost:1"}])


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 2**32))
def test_any_list_ends_with_both_paths_routed_and_every_other_answer_as_before(seed):
    assert fault(drawn(random.Random(seed), seed)) is None


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("http:\n  routers: {}\n", None),
        ("", None),
        ("{{ range .x }}\n", None),
        ("a: !x b\n", None),
        ("a: b\t# c\n", None),
        ("http:\n  routers: [\n", "(line 3, column 1)"),
        ("http:\n  a: 'b\n", "(line 3, column 1)"),
        ("a: *b\n", "undefined alias"),
    ],
)
def test_a_broken_file_of_traefik_s_is_named_and_a_strange_one_is_not(text, error):
    found = yaml_text.problem(text)
    assert found is None if error is None else error in str(found)


@pytest.mark.parametrize(
    "secret",
    [
        "token: sesame\n", '"token": sesame\n', "credentials-contents: eyJzZXNhbWU=sesame\n", "token: >\n  sesame\n  sesame\n",
        "tunnel: a\n# the token is sesame\n", "warp-routing: {private: sesame}\n", "ingress-token: |\n  sesame\n",
        "originRequest:\n  caPool: /sesame\n",
    ],
)  # fmt: skip
def test_a_diff_shows_rules_and_no_secret(secret):
    rules = (
        "ingress:\n- hostname: c.example.com # sesame\n  service: http://user:sesame@localhost:8000\n"
        "  originRequest:\n    access: {required: true, audTag: [sesame]}\n- service: http_status:404\n"
    )
    for text in (secret + rules, rules + secret):
        shown = _ingress.shown(text)
        assert "sesame" not in shown
        assert "- hostname: c.example.com\n  service: http://(hidden)@localhost:8000\n" in shown
        assert "- service: http_status:404\n" in shown


def test_a_diff_shows_what_is_ours():
    text = f"ingress:\n- hostname: {HOST}\n  service: http://localhost:8000\n- service: http_status:404\n"
    after = tunnel_list.edit(text, [HOST], WANTED).text
    new = set(_ingress.shown(after).splitlines()) - set(_ingress.shown(text).splitlines())
    assert {line.strip() for line in new} >= {_ingress.BEGIN, _ingress.END}
    assert any("/terminal/ws" in line for line in new)
