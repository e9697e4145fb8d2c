# SPDX-License-Identifier: GPL-3.0-or-later
"""A Cloudflare Tunnel's `ingress` list as text, on the control node: PyYAML tells the rules and where they stand.

First match wins, so two rules at the very top are right whatever follows, and nothing that follows need be understood
or moved. Every edit is read again and compared with what was meant; where it is not that, nothing is edited.
"""

from __future__ import annotations

import typing as t

import yaml

from ansible_collections.selfhosted.coolify.plugins.module_utils.tunnel import _ingress
from ansible_collections.selfhosted.coolify.plugins.plugin_utils import yaml_text

#: Start and end in the text without what is ours, and what comes in their place.
Splice = t.Tuple[int, int, str]


_EXAMPLES = {"terminal": "/terminal/ws", "app": "/app/key"}


class List(t.NamedTuple):
    """The rules in order, the key `ingress` and its list (None where there is none), and the text they stand in."""

    rules: list[_ingress.Rule]
    key: yaml.Node | None
    node: yaml.SequenceNode | None
    text: str


class Edit(t.NamedTuple):
    """The text after the edit, its rules, what leads there, the mistakes that were narrowed with the pages they took.

    `by_hand` says why the text is left as it is though something is to be done, and what to enter.
    """

    text: str
    rules: list[_ingress.Rule]
    splices: list[Splice]
    swallowed: list[tuple[_ingress.Rule, list[str]]]
    by_hand: str


class UnreadError(_ingress.IngressError):
    """The text may be good YAML, of a kind that PyYAML does not read."""


class _ByHandError(Exception):
    """There is no safe edit; the message says why."""


def read(text: str) -> List:
    """The list in the text. Raises UnreadError, or IngressError with line and column where the text is broken."""
    loader = None
    try:
        loader = yaml.SafeLoader(yaml_text.readable(text))
        root = loader.get_single_node()
        if root is None:
            return List([], None, None, text)
        if not isinstance(root, yaml.MappingNode):
            raise _ingress.IngressError("the file is not a mapping with a key 'ingress'")
        loader.flatten_mapping(root)
        key, node = _pair(root, "ingress")
        if node is None or _is_null(node):
            return List([], None, None, text)
        if not isinstance(node, yaml.SequenceNode):
            raise _ingress.IngressError(f"'ingress' is not a list ({yaml_text.place(node.start_mark)})")
        rules = [_rule(loader, item) for item in node.value]
        return List(rules, key, node, text)
    except yaml.YAMLError as error:
        kind = UnreadError if yaml_text.is_reader_s_limit(error, text) else _ingress.IngressError
        raise kind(f"the file cannot be read as YAML: {yaml_text.explain(error, text)}") from error
    finally:
        if loader is not None:
            loader.dispose()


def edit(text: str, hostnames: t.Sequence[str], given: t.Sequence[t.Mapping[str, str]]) -> Edit:
    """What routes each of `given` (`path`, `service`) for each hostname. Raises IngressError for text that is broken."""
    base = _ingress.strip(text)
    try:
        found = read(base)
    except UnreadError as error:
        return Edit(text, [], [], [], _enter(f"{error}.", _lines(None, _wanted([], hostnames, given))))
    wants = _wanted(found.rules, hostnames, given)
    expected = _ingress.mended(found.rules, wants)
    taken = [index for index, rule in enumerate(expected) if rule != found.rules[index]]
    served = all(_ingress.serves(_ingress.answering(expected, want), want) for want in wants)
    if found.node is None or (served and not taken):
        return Edit(base, found.rules, [], [], "")
    try:
        splices = sorted({splice for index in taken for splice in _narrowed(found, index, expected[index].path)})
        if not served:
            splices.insert(0, _block(found, wants))
        rules = expected if served else wants + expected
        edited = _ingress.spliced(base, splices)
        if _ingress.strip(edited) != base or _reads_otherwise(edited, rules):
            raise _ByHandError("the list is written in a way that cannot be edited safely")
    except _ByHandError as reason:
        mistakes = "".join(f" Write {expected[index].path} for the path {found.rules[index].path}." for index in taken)
        return Edit(text, found.rules, [], [], _enter(f"{reason}.{mistakes}", _lines(found, wants)))
    swallowed = [(found.rules[index], _ingress.swallowed(found.rules[index], wants)) for index in taken]
    return Edit(edited, rules, splices, swallowed, "")


def _wanted(
    rules: t.Sequence[_ingress.Rule], hostnames: t.Sequence[str], given: t.Sequence[t.Mapping[str, str]]
) -> list[_ingress.Rule]:
    return [want for hostname in hostnames for want in _ingress.wanted(rules, hostname, given)]


def expected(
    rules: list[_ingress.Rule], hostnames: t.Sequence[str], given: t.Sequence[t.Mapping[str, str]]
) -> list[dict[str, str]]:
    """A URL of each of `given`'s paths with the `service` that is to answer it, for cloudflared itself to be asked."""
    asked = [hostname for hostname in hostnames if hostname.isascii() and "*" not in hostname]
    answering = [(want, _ingress.answering(rules, want)) for want in _wanted(rules, asked, given)]
    return [
        {"url": f"https://{want.hostname}{_EXAMPLES[_ingress.kind(want.path)]}", "service": rule.service}
        for want, rule in answering
        if rule is not None
    ]


def uneditable(found: List) -> str:
    """Why no rule can be put into this list; empty where one can."""
    try:
        _top(found)
    except _ByHandError as reason:
        return str(reason)
    return ""


def _pair(mapping: yaml.MappingNode, name: str) -> tuple[yaml.Node | None, yaml.Node | None]:
    return next((pair for pair in reversed(mapping.value) if pair[0].value == name), (None, None))


def _is_null(node: yaml.Node) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _rule(loader: yaml.SafeLoader, item: yaml.Node) -> _ingress.Rule:
    where = yaml_text.place(item.start_mark)
    if not isinstance(item, yaml.MappingNode):
        raise _ingress.IngressError(f"an ingress rule is not a mapping ({where})")
    loader.flatten_mapping(item)
    fields = []
    for key in _ingress.Rule._fields:
        _key, node = _pair(item, key)
        if node is not None and not isinstance(node, yaml.ScalarNode):
            raise _ingress.IngressError(f"an ingress rule's {key} is not text ({where})")
        fields.append("" if node is None or _is_null(node) else str(node.value))
    return _ingress.Rule(*fields)


def _top(found: List) -> tuple[int, int]:
    """Where the list's first line is, and the column of its dashes. Raises _ByHandError."""
    node, key, text = found.node, found.key, found.text
    if node is None or key is None or node.flow_style or not node.value:
        raise _ByHandError("the list is written in one piece, with brackets")
    if found.rules[-1].hostname not in ("", "*") or found.rules[-1].path:
        raise _ByHandError("the last rule of the list does not take everything, and cloudflared refuses such a list")
    start, place = node.start_mark.index, text.find("\n", key.end_mark.index) + 1
    if not 0 < place <= start or text[start] != "-" or text[text.rfind("\n", 0, start) + 1 : start].strip(" "):
        raise _ByHandError("the list does not begin on a line of its own below the key 'ingress'")
    return place, node.start_mark.column


def _block(found: List, wants: t.Sequence[_ingress.Rule]) -> Splice:
    place, column = _top(found)
    newline = "\r\n" if "\r\n" in found.text else "\n"
    lines = [_ingress.BEGIN, *_lines(found, wants), _ingress.END]
    return place, place, "".join(" " * column + line + newline for line in lines)


def _lines(found: List | None, wants: t.Sequence[_ingress.Rule]) -> list[str]:
    lines = []
    for want in wants:
        index = _ingress.own(found.rules, want.hostname) if found else None
        origin = "" if found is None or found.node is None or index is None else _origin_request(found.node.value[index])
        fields = [f"{key}: {_quoted(value)}" for key, value in want._asdict().items()]
        lines += ["- " + fields[0], *("  " + field for field in [*fields[1:], origin] if field)]
    return lines


def _enter(reason: str, lines: list[str]) -> str:
    return "\n".join([f"The tunnel's list is left as it is: {reason} Enter at its top:", *lines])


def _origin_request(item: yaml.MappingNode) -> str:
    """The rule's `originRequest`, which no rule inherits from another one (fact 57), on one line."""
    _key, value = _pair(item, "originRequest")
    if value is None or _is_null(value):
        return ""
    written = yaml.serialize(_in_flow(value), Dumper=yaml.SafeDumper, width=10**9, allow_unicode=True)
    return f"originRequest: {written.rstrip()}"


def _in_flow(node: yaml.Node) -> yaml.Node:
    """A copy that is written in one piece, and says itself what an alias said of another place."""
    if isinstance(node, yaml.MappingNode):
        pairs = [(_in_flow(key), _in_flow(value)) for key, value in node.value]
        return yaml.MappingNode(node.tag, pairs, flow_style=True)
    if isinstance(node, yaml.SequenceNode):
        return yaml.SequenceNode(node.tag, [_in_flow(value) for value in node.value], flow_style=True)
    return yaml.ScalarNode(node.tag, node.value, style=t.cast(yaml.ScalarNode, node).style)


def _narrowed(found: List, index: int, anchored: str) -> list[Splice]:
    """In the place of the path, and at the end of its line what stood there, which is what strip() gives back."""
    item, path, text = t.cast(yaml.SequenceNode, found.node).value[index], found.rules[index].path, found.text
    value = t.cast(yaml.Node, _pair(item, "path")[1])
    start, end = value.start_mark.index, value.end_mark.index
    written = text[start:end]
    inside = item.start_mark.index <= start < end <= item.end_mark.index
    if not inside or written not in (path, f"'{path}'", f'"{path}"'):
        raise _ByHandError(f"the path {path} of a rule comes from another place of the file")
    line_end = end + len(text[end:].split("\n", 1)[0].rstrip("\r"))
    return [(start, end, _quoted(anchored)), (line_end, line_end, _ingress.NARROWED + written)]


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _reads_otherwise(text: str, expected: t.Sequence[_ingress.Rule]) -> bool:
    try:
        return read(text).rules != list(expected)
    except _ingress.IngressError:
        return True
