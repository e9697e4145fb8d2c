"""The reader of nginx's grammar, against crossplane and against what nginx itself was seen to do."""

from __future__ import annotations

import tempfile

import crossplane
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.selfhosted.coolify.plugins.module_utils.nginx import _syntax as syntax


def tree(statements):
    return [(list(s.words), s.line, None if s.body is None else tree(s.body)) for s in statements]


def crossplane_tree(text):
    with tempfile.NamedTemporaryFile("w", suffix=".conf", newline="", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        payload = crossplane.parse(file.name, single=True, check_ctx=False, check_args=False, comments=False)
    if payload["errors"]:
        return None

    def walk(block):
        return [
            (
                [entry["directive"], *entry["args"]],
                entry["line"],
                walk(entry["block"]) if "block" in entry else None,
            )
            for entry in block
        ]

    return walk(payload["config"][0]["parsed"])


# Left out: what crossplane and nginx read differently, namely backslashes, "${", "}" within a word, and "if".
WORD = st.one_of(
    st.text(alphabet="abcxyz019_-./:=^~*$#|()[]+?,", min_size=1, max_size=8).filter(lambda w: w[0] not in "#()"),
    st.sampled_from(["/terminal/ws", "/app", "location", "include", "proxy_pass"]),
)
QUOTED = st.builds(
    lambda quote, inner: quote + inner + quote,
    st.just('"'),
    st.text(alphabet="ab ;{}#'\n\t\u00e9", max_size=8),
) | st.builds(lambda inner: f"'{inner}'", st.text(alphabet='ab ;{}#"\n', max_size=8))
GAP = st.sampled_from([" ", "\n", "\r\n", "\t", "  "])
COMMENT = st.builds(lambda text: f"#{text}\n", st.text(alphabet="ab;{}\"' #", max_size=8))


@st.composite
def statements(draw, depth=0):
    parts = []
    for dummy in range(draw(st.integers(0, 3))):
        parts.append(draw(GAP) + (draw(COMMENT) if draw(st.booleans()) else ""))
        words = ["d" + draw(st.text(alphabet="abc_", max_size=4))]
        words += draw(st.lists(WORD | QUOTED, max_size=3))
        parts.append("".join(word + draw(GAP) for word in words))
        if depth < 2 and draw(st.booleans()):
            parts.append("{" + draw(statements(depth=depth + 1)) + "}")
        else:
            parts.append(";")
    return "".join(parts)


@settings(max_examples=300, deadline=None)
@given(statements())
def test_reads_words_lines_and_blocks_as_crossplane_does(text):
    assert tree(syntax.parse(text).statements) == crossplane_tree(text)


@settings(max_examples=300, deadline=None)
@given(statements())
def test_offsets_cut_out_each_statement_whole(text):
    for statement in syntax.parse(text).statements:
        (alone,) = syntax.parse(text[statement.start : statement.stop]).statements
        assert alone.words == statement.words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (r'log "a \"b\" \\ \d";', ["log", r'a "b" \ \d']),
        (r"log 'it\'s';", ["log", "it's"]),
        ("set $a ${b}c{d;", None),
        ("proxy_pass http://${host}:80;", ["proxy_pass", "http://${host}:80"]),
        ("rewrite a}b c#d;", ["rewrite", "a}b", "c#d"]),
        (r"a b\;c;", ["a", r"b\;c"]),
        ('if ($a = "b") {}', ["if", "($a", "=", "b", ")"]),
        ("a 'multi\nline';", ["a", "multi\nline"]),
    ],
)
def test_peculiarities_of_nginx(text, words):
    if words is None:
        with pytest.raises(syntax.NginxSyntaxError):
            syntax.parse(text)
    else:
        (statement,) = syntax.parse(text).statements
        assert list(statement.words) == words


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a b", 1),
        ("a;\nb {\n", 2),
        ("a;\n}", 2),
        ("\n;", 2),
        ("a 'open\n;", 1),
        ('a "b"c;', 1),
        ("a {\n b\n}", 2),
        ("{ }", 1),
    ],
)
def test_errors_name_the_line(text, line):
    with pytest.raises(syntax.NginxSyntaxError, match=rf"^line {line}: ") as caught:
        syntax.parse(text)
    assert caught.value.line == line
