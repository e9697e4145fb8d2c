"""The hosts of the scenario, each as it was treated: a disturbance that a test left behind is undone before the next."""

from __future__ import annotations

import os
import sys
from itertools import permutations
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / ".collections"), str(ROOT / "molecule" / "shared")]

from coolify_host import PORT, CoolifyHost  # noqa: E402
from coolify_sockets import both_served  # noqa: E402

# Name of each host -> the version of Coolify that it has.
HOSTS = dict(zip(os.environ["LAB_HOSTS"].split(), os.environ["LAB_VERSIONS"].split()))
# What an upgrade takes a host to, and back from.
OTHER_VERSION = {"4.3.24": "4.3.23", "4.4.6": "4.7.6", "4.7.6": "4.4.6"}
SEPARATE = [name for name, version in HOSTS.items() if version.startswith("4.3.")]


class TreatedHost(CoolifyHost):
    def __init__(self, name):
        super().__init__(name)
        self.version = HOSTS[name]
        self.other_version = OTHER_VERSION[self.version]


@pytest.fixture(scope="session")
def coolify(request):
    return TreatedHost(request.param)


def orders(name):
    """The orders in which the containers of a host may start. Each costs a boot."""
    if name not in SEPARATE:
        return list(permutations(["coolify", "coolify-proxy"]))
    every = list(permutations(["coolify", "coolify-proxy", "coolify-realtime"]))
    # On one system alone, those in which the realtime container is the last or the first.
    return every if len(HOSTS) > 1 else [every[0], every[-1]]


def pytest_configure(config):
    config.addinivalue_line("markers", "separate: of the layout with a realtime container of its own")


def pytest_generate_tests(metafunc):
    if "order" in metafunc.fixturenames:
        pairs = [(name, order) for name in HOSTS for order in orders(name)]
        names = [f"{name}: {' '.join(order)}" for name, order in pairs]
        metafunc.parametrize(("coolify", "order"), pairs, indirect=["coolify"], ids=names, scope="session")
    else:
        metafunc.parametrize("coolify", HOSTS, indirect=True, scope="session")


def pytest_collection_modifyitems(config, items):
    foreign = [
        item for item in items if item.get_closest_marker("separate") and item.callspec.params["coolify"] not in SEPARATE
    ]
    config.hook.pytest_deselected(items=foreign)
    items[:] = [item for item in items if item not in foreign]


@pytest.fixture(autouse=True)
def treated(coolify):
    """Coolify as it came, with all its containers, the agent's state without refusals, both routes served."""
    yield
    image = coolify.attempt("docker inspect -f '{{.Config.Image}}' coolify")[1].strip()
    if image != f"docker.io/coollabsio/coolify:{coolify.version}":
        coolify.attempt("docker rm -f coolify")
        coolify.create_coolify(coolify.version)
    coolify.wait("both routes are served again", lambda: both_served(coolify.address, PORT), 90)
