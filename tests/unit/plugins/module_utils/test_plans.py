"""A part of `make fuzz` of the plan, and that its checker sees what is wrong."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "fuzz"))

import plans

from ansible_collections.selfhosted.coolify.plugins.module_utils.firewall import _policy
from ansible_collections.selfhosted.coolify.plugins.module_utils.plan import _access
from ansible_collections.selfhosted.coolify.plugins.module_utils.proxy import _traefik


def test_no_random_host_gets_a_plan_that_it_cannot_have() -> None:
    assert plans.check(random.randrange(2**32), 3000) > 1000


@pytest.mark.parametrize(
    ("place", "name", "always"),
    [
        (_policy, "lets_in", lambda *_: True),
        (_policy, "is_private", lambda _address: False),
        (_access, "_CLOSED_FOLDERS", ()),
        (_access, "MINIMUM_PYTHON", "3.5"),
        (_access, "MINIMUM_TRAEFIK", "3.0"),
        (_traefik, "_leaves_alone", lambda *_: True),
    ],
)
def test_a_wrong_plan_is_seen(monkeypatch: pytest.MonkeyPatch, place: object, name: str, always: object) -> None:
    monkeypatch.setattr(place, name, always)
    with pytest.raises(AssertionError):
        plans.check(1, 3000)
