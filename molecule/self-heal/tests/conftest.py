"""The hosts of the scenario, each as it was treated: a disturbance that a test left behind is undone before the next."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / ".collections"), str(ROOT / "molecule" / "shared")]

from coolify_host import PORT, CoolifyHost  # noqa: E402
from coolify_sockets import both_served  # noqa: E402

HOSTS = os.environ["LAB_HOSTS"].split()


@pytest.fixture(scope="session", params=HOSTS)
def coolify(request):
    return CoolifyHost(request.param)


@pytest.fixture(autouse=True)
def treated(coolify):
    """Coolify 4.3.24 with all its containers, the agent's state without refusals, both routes served."""
    yield
    if coolify.attempt("docker inspect -f '{{.Config.Image}}' coolify")[1].strip() != "docker.io/coollabsio/coolify:4.3.24":
        coolify.attempt("docker rm -f coolify")
        coolify.create_coolify("4.3.24")
    coolify.wait("both routes are served again", lambda: both_served(coolify.address, PORT), 90)
