# SPDX-License-Identifier: GPL-3.0-or-later
"""The `ingress` list of a tunnel that is kept by Cloudflare, as its API gives it: what must change in it.

The API keeps no comments, so what is ours carries its mark in the path: an alternative to nothing, which for Go's regular
expressions changes no answer. Whoever enters the same rules by hand writes them without it, and keeps them.
"""

from __future__ import annotations

import json
import re
import typing as t

import yaml

from ansible_collections.selfhosted.coolify.plugins.module_utils.tunnel import _ingress

#: One rule as the API gives it; what is not understood is carried along.
Item = t.Dict[str, t.Any]

_MARKED = re.compile(r"({})\(\|selfhosted\.coolify(?::(\S+))?\)".format("|".join(map(re.escape, _ingress.ANCHORED.values()))))


class Edit(t.NamedTuple):
    """The list after the edit, the mistakes that it narrows with the pages they took, the names that it does not publish."""

    items: list[Item]
    swallowed: list[tuple[_ingress.Rule, list[str]]]
    unpublished: list[str]


def rule(item: t.Any) -> _ingress.Rule:
    """The rule without our mark. Raises IngressError for what the API does not document."""
    if not isinstance(item, dict) or not all(isinstance(item.get(key) or "", str) for key in _ingress.Rule._fields):
        raise _ingress.IngressError("a rule of the list is not in the form that Cloudflare documents; see the dashboard")
    hostname, path, service = (str(item.get(key) or "") for key in _ingress.Rule._fields)
    marked = _MARKED.fullmatch(path)
    return _ingress.Rule(hostname, marked[1] if marked else path, service)


def edit(items: t.Sequence[Item], routes: t.Sequence[tuple[str, t.Sequence[t.Mapping[str, str]]]]) -> Edit:
    """What routes, for each hostname of `routes`, each of its rules (`path`, `service`). Raises IngressError."""
    found, unpublished = list(items), []
    swallowed: list[tuple[_ingress.Rule, list[str]]] = []
    for hostname, given in routes:
        edited, taken, published = _routed(found, hostname, given)
        if published:
            found, swallowed = edited, swallowed + taken
        else:
            unpublished.append(hostname)
    return Edit(found, swallowed, unpublished)


def without(items: t.Sequence[Item], hostnames: t.Sequence[str] | None = None) -> list[Item]:
    """The list without what is ours: of these hostnames, or of all."""
    kept = []
    for item in items:
        before = _before(item, hostnames)
        if before is None:
            kept.append(item)
        elif before:
            kept.append({**item, "path": before})
    return kept


def shown(items: t.Sequence[Item]) -> str:
    """The list as text, for a diff."""
    # By JSON: PyYAML does not know Ansible's kinds of text, and gives what stands twice an anchor.
    return str(yaml.safe_dump(json.loads(json.dumps([*items])), sort_keys=False, allow_unicode=True))


def _before(item: Item, hostnames: t.Sequence[str] | None) -> str | None:
    """The path that ours stands for, empty where there was no such rule; None for what is not ours."""
    found, marked = rule(item), _MARKED.fullmatch(str(item.get("path") or ""))
    if not marked or (hostnames is not None and not any(_ingress.is_of(found, hostname) for hostname in hostnames)):
        return None
    return marked[2] or ""


def _routed(
    items: list[Item], hostname: str, given: t.Sequence[t.Mapping[str, str]]
) -> tuple[list[Item], list[tuple[_ingress.Rule, list[str]]], bool]:
    """The list with the routes of one hostname, what was narrowed now, and whether the list publishes the hostname."""
    base = without(items, [hostname])
    rules = [rule(item) for item in base]
    wants = _ingress.wanted(rules, hostname, given)
    expected = _ingress.mended(rules, wants)
    narrowed = [
        item if old == new else {**item, "path": _mark(new.path, old.path)} for item, old, new in zip(base, rules, expected)
    ]
    taken = [
        (old, _ingress.swallowed(old, wants)) for item, old, new in zip(base, rules, expected) if old != new and item in items
    ]
    if _served(narrowed, wants):
        return narrowed, taken, True
    index = _ingress.own(rules, hostname)
    if index is None or rules[index].service.startswith("http_status:"):
        return items, [], False
    origin = base[index].get("originRequest")
    block = [{**want._asdict(), "path": _mark(want.path), **({"originRequest": origin} if origin else {})} for want in wants]
    rest = iter(narrowed)
    in_place = [item if _before(item, [hostname]) == "" else next(rest) for item in items]
    ours = [item for item in items if _before(item, [hostname]) == ""]
    if [_read(item) for item in ours] == [_read(item) for item in block] and _served(in_place, wants):
        # Another host's rules may stand above, and whoever runs last is not to move them.
        return in_place, taken, True
    return block + narrowed, taken, True


def _served(items: t.Sequence[Item], wants: t.Sequence[_ingress.Rule]) -> bool:
    rules = [rule(item) for item in items]
    return all(_ingress.serves(_ingress.answering(rules, want), want) for want in wants)


def _read(item: Item) -> tuple[_ingress.Rule, t.Any]:
    """What a rule says, however the API wrote down that it has no `originRequest`."""
    return rule(item), item.get("originRequest") or {}


def _mark(path: str, before: str = "") -> str:
    # In one spelling: it is known again by it.
    anchored = _ingress.ANCHORED[_ingress.kind(path)]
    return f"{anchored}(|selfhosted.coolify{':' if before else ''}{before})"
