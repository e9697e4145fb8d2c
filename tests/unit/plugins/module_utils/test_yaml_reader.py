"""The reader against PyYAML, which the managed host lacks and the control side has."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ansible_collections.selfhosted.coolify.plugins.module_utils.yaml import _reader as reader

# Put together at random these give mostly broken YAML, and every kind of almost right YAML.
TOKENS = [
    "- ", "a: ", "b: ", "c:", "b", "x y", "\n", "\n  ", "\n    ", "  ", " ", "'", '"', "'q'", '"r"', "[", "]", "{", "}",
    ", ", ",", "#", " # c", ":", "\n- ", "\n  - ", "\na: ", "\nb: ", "\n  a: ", "\n\n", "\r\n", "<<: ", "''", "~", "d: e",
    "\n# c\n", "&x y", "*x", " |", "---", "!t",
]  # fmt: skip
WORDS = st.text("ab*#:-/'\"[]{},&!|>%@` ", min_size=0, max_size=8)
TREES = st.recursive(WORDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=8)


def plain(node):
    node = reader.resolve(node)
    if isinstance(node, reader.Sequence):
        return [plain(item) for item in node.items]
    if isinstance(node, reader.Mapping):
        return {key.text: plain(value) for key, value in node.pairs}
    return node.text


def oracle(text):
    found = yaml.load(text, Loader=yaml.BaseLoader)
    return "" if found is None else found


def same(ours, theirs):
    if isinstance(ours, list):
        return isinstance(theirs, list) and len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, dict):
        return isinstance(theirs, dict) and ours.keys() == theirs.keys() and all(same(ours[k], theirs[k]) for k in ours)
    return ours is None or ours == theirs


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=10).map("".join))
def test_what_it_reads_is_what_pyyaml_reads(text):
    try:
        ours = plain(reader.read(text))
    except reader.YamlError:
        return
    # PyYAML alone keeps the old rule that an anchor's name is used once in a document.
    assume(text.count("&x") < 2)
    assert same(ours, oracle(text))


@settings(max_examples=300, deadline=None)
@given(TREES, st.sampled_from([None, True, False]), st.sampled_from(["\n", "\r\n"]))
def test_it_reads_whatever_pyyaml_writes(tree, flow, newline):
    text = yaml.safe_dump(tree, default_flow_style=flow, sort_keys=False, width=1000).replace("\n", newline)
    try:
        ours = plain(reader.read(text))
    except reader.UnsupportedYamlError:
        # An empty or very long key is written with a question mark.
        assert "?" in text
        return
    assert ours == oracle(text)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a: 'b\nc: d\n", 1, 4),
        ("a: |\n  b\n c\n", 3, 2),
        ("- |\n    \n  b\n", 3, 3),
        ("a: b\n c: d: e\n", 2, 3),
        ("a:\n\t- b\n", 2, 2),
        ("a: [b, 'c'\nd: e\n", 2, 1),
        ("hostname: *.example.com\n", 1, 11),
        ("a: 1\nb: 2\na: 3\n", 3, 1),
        ("a:\n  - b\n c: d\n", 3, 2),
        ('a: "\\q"\n', 1, 5),
    ],
)
def test_what_is_broken_is_named_by_line_and_column(text, line, column):
    with pytest.raises(reader.YamlError, match=rf"\(line {line}, column {column}\)") as caught:
        reader.read(text)
    assert not isinstance(caught.value, reader.UnsupportedYamlError)


@pytest.mark.parametrize(
    "text", ["a: !x b\n", "? a\n: b\n", "--- a\n", "a: b\n---\nc: d\n", "%YAML 1.2\n---\na: b\n", "a: b\rc: d\n", "a: \x85b\n"]
)
def test_what_it_does_not_read_is_not_called_broken(text):
    with pytest.raises(reader.UnsupportedYamlError):
        reader.read(text)


def test_offsets_delimit_the_text_of_a_node():
    text = "# c\nlist: # d\n  - {a: 'b''c'}   # e\n  -  x y \n"
    value = reader.read(text).get("list")
    assert [text[item.start : item.end] for item in value.items] == ["{a: 'b''c'}", "x y"]
    assert [text[dash] for dash in value.dashes] == ["-", "-"]


def test_merge_keys_give_way_to_own_keys():
    node = reader.resolve(reader.read("x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz:\n  <<: [*x, *y]\n  a: 5\n").get("z"))
    assert [reader.resolve(node.get(key)).text for key in "abc"] == ["5", "2", "4"]
