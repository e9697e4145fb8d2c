"""What is wrong with a text, in words with a place, whatever characters are in it."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.tunnel import _ingress
from ansible_collections.selfhosted.coolify.plugins.plugin_utils import tunnel_list, yaml_text

# PyYAML ends a line at each of them.
ENDS = ["\n", "\r\n", "\r", "\x85", "\u2028", "\u2029"]


@pytest.mark.parametrize("end", ENDS, ids=ascii)
@pytest.mark.parametrize("fault", ["[a", "a: b: c", "a:\tb\n\t- c", "{{", "- a\n b", "'"])
def test_any_end_of_line_before_a_fault(end, fault):
    text = f"a: 1{end}b: 2{end}{fault}"
    yaml_text.problem(text)
    with contextlib.suppress(_ingress.IngressError):
        tunnel_list.read(text)


@pytest.mark.parametrize("character", ["\0", "\x07", "\ufffe"], ids=ascii)
def test_a_character_that_yaml_does_not_allow_is_named_with_its_line(character):
    text = f"tunnel: 1\ningress:\n- service: a{character}b\n"
    told = f"the character U+{ord(character):04X} is not allowed (line 3)"
    assert yaml_text.problem(text) == told
    with pytest.raises(_ingress.IngressError) as refusal:
        tunnel_list.read(text)
    assert told in str(refusal.value)
