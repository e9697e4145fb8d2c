"""The list of a tunnel that Cloudflare keeps: the action, over real sockets, against a stand-in for the API."""

from __future__ import annotations

import copy
import json
import random
import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.selfhosted.coolify.plugins.action import cloudflare_tunnel
from ansible_collections.selfhosted.coolify.plugins.plugin_utils import cloudflare_api, tunnel_remote

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[3] / "fuzz")]
from cloudflare import ACCOUNT, NAME, TOKEN, TUNNEL, Api, config, error  # noqa: E402
from ingress_corpus import FILES  # noqa: E402
from ingress_lists import drawn, meant, misrouted  # noqa: E402

RULES = [
    {"path": "^/terminal/ws$", "service": "http://127.0.0.1:6002"},
    {"path": "^/apps?/", "service": "http://127.0.0.1:6001"},
]
TERMINAL, APP = "^/terminal/ws$(|selfhosted.coolify)", "^/apps?/(|selfhosted.coolify)"
NOTHING = {"service": "http_status:404"}


@pytest.fixture
def api():
    with Api() as found:
        yield found


def route(*names, rules=None):
    return [{"hostname": name, "rules": RULES if rules is None else rules} for name in names or (NAME,)]


def run(api, check=False, **changes):
    options = {
        "account_id": ACCOUNT,
        "tunnel_id": TUNNEL,
        "api_token": TOKEN,
        "routes": route(),
        "api_url": api.url,
        "timeout": 5,
    }
    options.update(changes)
    options = {name: value for name, value in options.items() if value is not None}
    action = cloudflare_tunnel.ActionModule.__new__(cloudflare_tunnel.ActionModule)
    action._task = SimpleNamespace(args=options, check_mode=check, async_val=0, action="cloudflare_tunnel")
    action._connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    action._supports_check_mode = action._supports_async = True
    result = action.run(task_vars={})
    assert TOKEN not in json.dumps(result)
    return result


def ours(name=NAME, **more):
    return [
        {"hostname": name, "path": TERMINAL, "service": "http://127.0.0.1:6002", **more},
        {"hostname": name, "path": APP, "service": "http://127.0.0.1:6001", **more},
    ]


def test_the_rules_come_to_the_top_and_the_rest_is_carried_over():
    before = config(originRequest={"connectTimeout": 10}, something={"new": [1]})
    with Api(before) as api:
        result = run(api)
        assert result["changed"]
        assert api.asked == ["GET", "GET", "PUT"]
        assert api.config == {**before, "ingress": ours() + before["ingress"]}
        assert [rule["path"] for rule in result["rules"]] == [TERMINAL, APP, "", ""]
        assert result["diff"]["before"] in result["diff"]["after"]
        api.asked.clear()
        assert not run(api)["changed"]
        assert api.asked == ["GET"]
        assert run(api, state="absent")["changed"]
        assert api.config == before
        assert not run(api, state="absent")["changed"]


def test_check_mode_shows_and_sends_nothing(api):
    result = run(api, check=True)
    assert result["changed"]
    assert TERMINAL in result["diff"]["after"]
    assert api.asked == ["GET"]
    assert api.config == config()


def test_ten_names_of_one_tunnel_are_one_change():
    names = [f"c{number}.example.com" for number in range(10)]
    with Api(config(*names)) as api:
        assert run(api, routes=route(*names))["changed"]
        assert api.asked == ["GET", "GET", "PUT"]
        assert len(api.config["ingress"]) == 31
        # In another order, and a part of them, as with `serial` and `--limit`: nothing is moved.
        for some in (names[::-1], names[3:5], names[:1]):
            api.asked.clear()
            assert not run(api, routes=route(*some))["changed"]
            assert api.asked == ["GET"]
        run(api, routes=route(names[4]), state="absent")
        left = {item["hostname"] for item in api.config["ingress"] if "selfhosted" in item.get("path", "")}
        assert left == set(names) - {names[4]}
        run(api, routes=None, state="absent")
        assert api.config == config(*names)


def test_host_and_origin_request_are_those_of_the_names_own_rule():
    access = {"access": {"required": True, "teamName": "team", "audTag": ["tag"]}}
    for service, terminal in (
        ("http://coolify:8080", "http://coolify-realtime:6002"),
        ("http://10.0.0.5:8000", "http://10.0.0.5:6002"),
    ):
        found = config()
        found["ingress"] = [{"hostname": NAME.upper(), "service": service, "originRequest": access}, NOTHING]
        with Api(found) as api:
            run(api)
            assert api.config["ingress"][0] == {"hostname": NAME, "path": TERMINAL, "service": terminal, "originRequest": access}
            assert not run(api)["changed"]


BY_HAND = [{"hostname": NAME, **rule} for rule in RULES]


def test_rules_entered_by_hand_are_enough_and_are_never_taken_back():
    found = {**config(), "ingress": BY_HAND + config()["ingress"]}
    with Api(found) as api:
        assert not run(api)["changed"]
        assert not run(api, state="absent")["changed"]
        assert not run(api, routes=None, state="absent")["changed"]
        assert set(api.asked) == {"GET"}


@pytest.mark.parametrize("path", ["/app", "/app*", "/app/*", "/app.*"])
def test_a_path_that_takes_pages_along_is_narrowed_in_place_and_given_back(path):
    found = config()
    found["ingress"].insert(0, {"hostname": NAME, "path": path, "service": "http://localhost:6001", "id": "3"})
    with Api(found) as api:
        result = run(api)
        assert result["swallowed"][0]["rule"]["path"] == path
        assert result["swallowed"][0]["pages"]
        narrowed = f"^/apps?/(|selfhosted.coolify:{path})"
        assert {"hostname": NAME, "path": narrowed, "service": "http://localhost:6001", "id": "3"} in api.config["ingress"]
        again = run(api)
        assert not again["changed"]
        assert again["swallowed"] == []
        run(api, state="absent")
        assert api.config == found


URLS = ["/terminal/ws", "/terminal", "/terminal/wsx", "/app/key", "/apps/1/events", "/apps", "/x/app/", "/application/1"]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("mark", ["(|selfhosted.coolify)", "(|selfhosted.coolify:/app.*)", "(|selfhosted.coolify:/terminal/*)"])
def test_the_mark_changes_no_answer(mark, url):
    for rule in RULES:
        assert bool(re.search(rule["path"] + mark, url)) == bool(re.search(rule["path"], url))


def listed(text):
    """A list of the corpus as the API would give it."""
    return json.loads(json.dumps(meant(text)))


@pytest.mark.parametrize("text", [*FILES.values(), *(drawn(random.Random(seed), seed) for seed in range(300))])
def test_any_list_answers_for_the_two_paths_and_otherwise_as_before(text):
    before = listed(text)
    found = tunnel_remote.edit(before, [(NAME, RULES)])
    if found.unpublished:
        assert found.items == before
        return
    plain = [{**item, **({"path": tunnel_remote.rule(item).path} if item.get("path") else {})} for item in found.items]
    assert misrouted(before, plain, [tuple(rule) for rule, _pages in found.swallowed]) is None
    assert tunnel_remote.edit(found.items, [(NAME, RULES)]) == (found.items, [], [])
    assert tunnel_remote.without(found.items, [NAME]) == before
    assert tunnel_remote.without(found.items, ["other.org"]) == found.items
    assert tunnel_remote.without(before) == before


def test_what_stands_above_ours_later_is_overtaken(api):
    run(api)
    api.change([{"hostname": "*.example.com", "path": "/", "service": "http://localhost:9000"}, *api.config["ingress"]])
    assert run(api)["changed"]
    assert api.config["ingress"][:2] == ours()
    assert len(api.config["ingress"]) == 5


def test_another_port_on_the_host_is_followed_and_an_empty_origin_request_is_none(api):
    run(api)
    api.change([{**item, "originRequest": {}} for item in api.config["ingress"]])
    assert not run(api)["changed"]
    moved = [{**rule, "service": rule["service"].replace(":60", ":160")} for rule in RULES]
    assert run(api, routes=route(rules=moved))["changed"]
    assert [item["service"] for item in api.config["ingress"]][:2] == ["http://127.0.0.1:16002", "http://127.0.0.1:16001"]
    assert len(api.config["ingress"]) == 4


def test_a_name_that_the_tunnel_does_not_publish_is_said_and_the_others_are_routed(api):
    result = run(api, routes=route("other.example.org", NAME))
    assert result["unpublished"] == ["other.example.org"]
    assert api.config["ingress"][:2] == ours()
    assert len(api.config["ingress"]) == 4


@pytest.mark.parametrize("found", [{}, {"ingress": None}, {"ingress": []}])
def test_a_tunnel_without_a_list_gets_none(found):
    with Api(found) as api:
        api.config = api.config or None
        assert run(api)["unpublished"] == [NAME]
        assert not run(api, state="absent")["changed"]
        assert api.asked == ["GET", "GET"]


def test_a_change_by_somebody_else_in_between_is_not_overwritten(api):
    theirs = [{"hostname": "new.example.com", "service": "http://localhost:1"}, NOTHING]
    reads = []

    def somebody():
        reads.append(1)
        if len(reads) == 2:
            api.change(theirs)

    api.before_read = somebody
    result = run(api)
    assert result["failed"]
    assert "run again" in result["msg"]
    assert api.config["ingress"] == theirs
    assert api.asked == ["GET", "GET"]


def test_a_change_there_and_back_again_is_noticed_by_the_version(api):
    reads = []

    def somebody():
        reads.append(1)
        api.version += 1

    api.before_read = somebody
    assert "run again" in run(api)["msg"]
    assert "PUT" not in api.asked


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 401, "body": error(1000, "Invalid API Token")}, ["does not know the api_token", "[1000]"]),
        ({"status": 403, "body": error(10000, "Authentication error")}, ["Account > Cloudflare Tunnel > Edit", ACCOUNT]),
        ({"status": 404, "body": error(1003, "Not found")}, ["check tunnel_id and account_id"]),
        ({"status": 400, "body": error(1056, "Bad Configuration")}, ["Bad Configuration [1056]", "nothing was changed"]),
        ({"status": 429, "headers": {"Retry-After": "300"}}, ["run again in 300 seconds"]),
        ({"status": 302, "headers": {"Location": "http://127.0.0.1:9/"}}, ["the token is not taken"]),
        ({"status": 200, "body": b"<html>Sign in</html>"}, ["text/html", "sign-in page"]),
        ({"status": 200, "body": error(7003, f"no route {TOKEN}")}, ["no route (the token) [7003]"]),
        ({"status": 200, "body": {"success": True, "errors": [], "result": {"config": []}}}, ["has not the form"]),
        ({"status": 200, "body": {"success": True, "result": {"config": {"ingress": [1]}}}}, ["not in the form"]),
        ({"status": 200, "body": ["success"]}, ["not Cloudflare's JSON"]),
        ({"status": 403, "body": b"<html>blocked</html>"}, ["Account > Cloudflare Tunnel > Edit"]),
    ],
)
def test_what_no_second_try_mends_is_said_at_once_with_the_remedy(api, fault, words):
    api.faults = [fault]
    result = run(api)
    assert result["failed"]
    assert not result["changed"]
    assert [word for word in words if word not in result["msg"]] == []
    assert api.asked == ["GET"]
    assert api.config == config()


@pytest.fixture
def slept(monkeypatch):
    found = []
    monkeypatch.setattr(time, "sleep", found.append)
    monkeypatch.setattr(cloudflare_api.time, "sleep", found.append)
    return found


PASSING = [{"status": 503, "body": error(1001, "down")}, {"status": 429, "headers": {"Retry-After": "2"}}, {"cut": True}]


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_asked_again(api, fault, slept):
    api.faults = [fault, fault]
    assert run(api, check=True)["changed"]
    assert api.asked == ["GET"] * 3
    api.faults, api.asked = [fault] * 3, []
    assert "run again" in run(api)["msg"]
    assert api.asked == ["GET"] * 3


def test_cloudflare_is_waited_for_a_minute_in_all(api, slept):
    api.faults = [{"status": 429, "headers": {"Retry-After": "40"}}] * 2
    assert "run again in 40 seconds" in run(api)["msg"]
    assert slept.count(40) == 1
    api.faults = [{"status": 429, "headers": {"Retry-After": "Fri, 31 Dec 2026 23:59:59 GMT"}}]
    assert run(api)["changed"]
    assert 5 in slept


def test_a_server_that_does_not_answer_in_time(api):
    api.faults = [{"pause": 3}] * 3
    started = time.monotonic()
    result = run(api, timeout=1)
    assert "did not answer within 1 seconds; raise timeout" in result["msg"]
    assert time.monotonic() - started < 7


@pytest.mark.parametrize("fault", PASSING)
def test_a_change_that_arrived_without_an_answer_is_not_made_twice(api, fault, slept):
    api.faults = [{}, {}, {**fault, "late": True}]
    assert run(api)["changed"]
    assert api.asked == ["GET", "GET", "PUT", "GET"]
    assert api.version == 8
    assert not run(api)["changed"]


def test_a_server_that_sends_a_little_now_and_then(api):
    api.faults = [{"drops": 20}] * 3
    started = time.monotonic()
    assert "did not answer within 1 seconds; raise timeout" in run(api, timeout=1)["msg"]
    assert time.monotonic() - started < 7


def test_the_whole_has_a_limit(api, monkeypatch):
    monkeypatch.setattr(cloudflare_api, "PATIENCE", -2)
    api.faults = [{"pause": 1.5}] * 9
    started = time.monotonic()
    assert "too slowly for too long" in run(api, timeout=1)["msg"]
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("fault", PASSING)
def test_the_last_try_may_have_arrived_too(api, fault, slept):
    """Each answer comes after the change was made; the first two times it was not made at all."""
    api.normalise = lambda rule: rule.setdefault("originRequest", {})
    api.faults = [{}, {}, fault, {}, fault, {}, {**fault, "late": True}]
    assert run(api)["changed"]
    assert api.version == 8
    api.faults = [{}, {}, fault, {}, fault, {}, fault]
    assert "failed" in run(api, state="absent")
    assert api.version == 8


@pytest.mark.parametrize("fault", PASSING)
def test_a_change_that_did_not_arrive_is_made_again(api, fault, slept):
    api.faults = [{}, {}, fault]
    assert run(api)["changed"]
    assert api.asked == ["GET", "GET", "PUT", "GET", "PUT"]
    assert api.config["ingress"][:2] == ours()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"account_id": TUNNEL}, "account_id is not 32 hexadecimal digits"),
        ({"tunnel_id": "my tunnel/../x"}, "tunnel_id is not a UUID"),
        ({"api_token": f"{TOKEN}\n"}, "api_token is not one word"),
        ({"api_token": "snow\u2603man"}, "api_token is not one word"),
        ({"api_url": "http://api.example.com"}, "not sent in clear"),
        ({"timeout": 0}, "timeout is not"),
        ({"routes": route(rules=[])}, "there are no rules for"),
        ({"routes": [*route(), *route(NAME.upper(), rules=RULES[:1])]}, "two hosts want other rules"),
        ({"routes": route(rules=[{"path": "/", "service": "http://127.0.0.1:6001"}])}, "takes none of Coolify's"),
        ({"api_url": "https://127.0.0.1:1"}, "cannot be reached"),
    ],
)
def test_bad_options_are_named(api, slept, changes, words):
    result = run(api, **changes)
    assert result["failed"]
    assert words in result["msg"]
    assert "PUT" not in api.asked


def test_a_list_that_is_a_file_on_the_host_is_left_to_the_other_module():
    with Api(source="local") as api:
        assert "tunnel_ingress" in run(api)["msg"]
        assert api.asked == ["GET"]


def test_the_list_given_is_left_as_it_was(api):
    items = config()["ingress"]
    before = copy.deepcopy(items)
    tunnel_remote.edit(items, [(NAME, RULES)])
    assert items == before
