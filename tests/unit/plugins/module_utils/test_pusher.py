from __future__ import annotations

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.env import _pusher

DOMAIN = "coolify.example.com"
OLD_REMEDY = {"PUSHER_BACKEND_HOST": DOMAIN, "PUSHER_BACKEND_PORT": "443", "PUSHER_SCHEME": "https"}


@pytest.mark.parametrize("obeyed", [True, False])
@pytest.mark.parametrize("layout", ["separate", "bundled", None])
def test_what_an_earlier_run_wrote_is_taken_out(layout: str | None, obeyed: bool) -> None:
    """Fact 42: a pair that is right in no layout after the next update."""
    found = _pusher.wanted(DOMAIN, "443", layout, OLD_REMEDY, obeyed)
    assert (found["PUSHER_BACKEND_HOST"], found["PUSHER_BACKEND_PORT"]) == (None, None)
    assert (found["PUSHER_HOST"], found["PUSHER_PORT"]) == (DOMAIN, "443")


@pytest.mark.parametrize("layout", ["separate", "bundled"])
def test_nothing_is_written_for_the_backend(layout: str) -> None:
    found = _pusher.wanted("", "", layout, {}, layout == "separate")
    assert (found["PUSHER_BACKEND_HOST"], found["PUSHER_BACKEND_PORT"], found["PUSHER_SCHEME"]) == (None, None, "http")


@pytest.mark.parametrize(
    ("layout", "host", "kept"),
    [
        ("separate", "coolify-realtime", True),
        ("separate", "127.0.0.1", False),
        ("separate", DOMAIN, False),
        ("bundled", "coolify-realtime", True),
        ("bundled", "127.0.0.1", True),
        ("bundled", "", True),
        ("bundled", "soketi", False),
        ("bundled", DOMAIN, False),
    ],
)
def test_a_host_of_the_users_own_stays_where_it_works(layout: str, host: str, kept: bool) -> None:
    found = _pusher.wanted("", "", layout, {"PUSHER_BACKEND_HOST": host}, False)
    assert found["PUSHER_BACKEND_HOST"] == (host if kept else None)


@pytest.mark.parametrize(("port", "kept"), [("6001", True), ("", True), ("443", False), ("7001", False)])
@pytest.mark.parametrize("layout", ["separate", "bundled"])
def test_a_port_of_the_users_own_stays_where_it_works(layout: str, port: str, kept: bool) -> None:
    found = _pusher.wanted("", "", layout, {"PUSHER_BACKEND_PORT": port}, False)
    assert found["PUSHER_BACKEND_PORT"] == (port if kept else None)


@pytest.mark.parametrize(("obeyed", "scheme"), [(True, "http"), (False, "https")])
def test_the_guides_scheme_stays_only_where_nobody_obeys_it(obeyed: bool, scheme: str) -> None:
    assert _pusher.wanted(DOMAIN, "443", "bundled", {"PUSHER_SCHEME": "https"}, obeyed)["PUSHER_SCHEME"] == scheme


@pytest.mark.parametrize(
    ("expected", "actual", "keys"),
    [
        ({"PUSHER_HOST": "a"}, {"PUSHER_HOST": "b"}, ["PUSHER_HOST"]),
        ({"PUSHER_HOST": "a"}, {}, ["PUSHER_HOST"]),
        ({"PUSHER_HOST": ""}, {}, ["PUSHER_HOST"]),
        ({"PUSHER_BACKEND_HOST": None}, {"PUSHER_BACKEND_HOST": "x"}, ["PUSHER_BACKEND_HOST"]),
        ({"PUSHER_BACKEND_PORT": None}, {"PUSHER_BACKEND_PORT": "6001"}, []),
        ({"PUSHER_BACKEND_PORT": "6001"}, {}, []),
        ({"PUSHER_BACKEND_PORT": None}, {"PUSHER_BACKEND_PORT": "7001"}, ["PUSHER_BACKEND_PORT"]),
        ({"PUSHER_PORT": "6001"}, {}, ["PUSHER_PORT"]),
    ],
)
def test_differing(expected: dict[str, str | None], actual: dict[str, str], keys: list[str]) -> None:
    assert _pusher.differing(expected, actual) == keys
