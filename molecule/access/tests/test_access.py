"""Each way in is set up by site.yml, and used by a browser: by whom it promises to let in, and by a stranger.

The tests stand in the order of the story: every layout is treated for each way in turn, as by somebody who changes his
mind, and given back in the end.
"""

from __future__ import annotations

import os
import typing as t

import pytest
from ways import answered, let_in_only, treated

OTHER_NAME = "panel.lab.test"


class Way(t.NamedTuple):
    """What is set, who is let in (`public`: by the domain, `tailnet`), and who also knows the instance by another name."""

    access: str
    sides: tuple[str, ...]
    other_name: str = ""


WAYS = {
    "domain": Way("domain", ("public",)),
    "tailscale": Way("tailscale", ("tailnet",)),
    "dual": Way("dual", ("public", "tailnet")),
    "several-names": Way("domain", ("public",), OTHER_NAME),
}


@pytest.fixture(scope="session", autouse=True)
def other_name_at_the_tunnel(lab):
    """The tunnel publishes the other name too, as it does the first."""
    rule = f"  - hostname: {OTHER_NAME}\\n    service: http://localhost:8000"
    lab.shell(f"sed -i 's#^  - hostname: \"\\*#{rule}\\n&#' /etc/cloudflared/config.yml && systemctl restart cloudflared")


def other_names(lab, way: Way) -> dict[str, t.Any]:
    """The variables of an instance that has one more name; the lab's resolver is the inventory."""
    if not way.other_name:
        return {}
    variables = lab.variables()
    known = {**variables["coolify_verify_connect_to"], way.other_name: variables["lab_edge_address"]}
    return {"coolify_access_extra_domains": [way.other_name], "coolify_verify_connect_to": known}


# Both at once is what test_layouts.py tells of, in both layouts.
@pytest.mark.parametrize("name", [name for name in WAYS if name != "dual" or os.environ.get("LAB_EXTENT") == "all"])
def test_who_is_promised_to_come_in_does_and_nobody_else(lab, version, name):
    way = WAYS[name]
    treated(lab, coolify_access=way.access, **other_names(lab, way))
    people = [(side, "") for side in way.sides] + [("public", way.other_name)] * bool(way.other_name)
    let_in_only(lab, f"{name}-{version}", *people)
    tailnet = answered(lab, f"{lab.prefix}-peer", lab.shell("tailscale ip -4").strip())
    assert list(tailnet.values()) == [True] * 2, tailnet
