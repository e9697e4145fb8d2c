"""The document for Traefik, and what is said of a file that it cannot read."""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.proxy import _traefik


def test_one_router_for_each_path_and_entry_point():
    http = _traefik.document(["coolify.example.com"], ["http", "https"])["http"]
    rules = {
        "terminal": "Host(`coolify.example.com`) && Path(`/terminal/ws`)",
        "app": "Host(`coolify.example.com`) && (PathPrefix(`/app/`) || PathPrefix(`/apps/`))",
    }
    assert {name: (router["rule"], router["entryPoints"], router.get("tls")) for name, router in http["routers"].items()} == {
        f"selfhosted-coolify-{name}-{entrypoint}": (rule, [entrypoint], tls)
        for name, rule in rules.items()
        for entrypoint, tls in (("http", None), ("https", {"certResolver": "letsencrypt"}))
    }
    assert {router["service"] for router in http["routers"].values()} == set(http["services"])
    assert [service["loadBalancer"]["servers"][0]["url"] for service in http["services"].values()] == [
        "http://coolify-realtime:6002",
        "http://coolify-realtime:6001",
    ]


def test_our_routers_win_over_any_rule_for_the_whole_host():
    longest = max(len(f"Host(`{'a' * 253}`) && PathPrefix(`/`)"), 1000)
    assert all(router["priority"] > longest for router in _traefik.document(["a.b"], ["https"])["http"]["routers"].values())


@pytest.mark.parametrize(
    "host",
    ["", "a`) || Host(`b", "a b", "a/b", "a:1", "https://a", "*.a", "a..b", "-a", "a-", "a\n", "a" * 64, "a." * 130 + "b", "{a}"],
)
def test_no_host_carries_rule_syntax(host):
    with pytest.raises(ValueError, match="coolify_domain"):
        _traefik.document([host], ["https"])


@pytest.mark.parametrize("entrypoints", [[], ["websecure"], ["https", "x"]])
def test_only_coolify_s_entry_points(entrypoints):
    with pytest.raises(ValueError, match="coolify_traefik_entrypoints"):
        _traefik.document(["a.b"], entrypoints)


def test_each_neighbour_that_traefik_reads_is_read_or_said_why_not(tmp_path):
    """As Traefik's file provider goes through a folder, pkg/provider/file/file.go at v3.1: a link to nothing stops it."""
    (tmp_path / "ours.yaml").write_text("ours: 1")
    (tmp_path / "theirs.yml").write_text("theirs: 1")
    (tmp_path / "notes.txt").write_text("[")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "lost.yaml").symlink_to(tmp_path / "nowhere")
    assert _traefik.neighbours(str(tmp_path / "ours.yaml")) == [
        {"path": str(tmp_path / "lost.yaml"), "error": "No such file or directory"},
        {"path": str(tmp_path / "theirs.yml"), "text": "theirs: 1"},
    ]
    assert _traefik.neighbours(str(tmp_path / "none" / "ours.yaml")) == []
