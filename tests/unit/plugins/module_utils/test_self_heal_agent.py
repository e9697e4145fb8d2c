"""The agent behind coolify-websocket.service: what it does at each event, with a real shell and a scripted nginx."""

from __future__ import annotations

import errno
import importlib
import itertools
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
from nginx_container import STOCK, Container, Engine, impatient

ROOT = Path(__file__).resolve().parents[4]
AGENT = ROOT / "roles" / "coolify_self_heal" / "files" / "coolify_websocket"
SHARED = ROOT / "plugins" / "module_utils"


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """The package as the role puts it together on the host."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / "coolify_websocket").mkdir()
    for source in [*AGENT.glob("*.py"), SHARED / "engine", SHARED / "nginx"]:
        (folder / "coolify_websocket" / source.name).symlink_to(source)
    sys.path.insert(0, str(folder))
    names = ("agent", "healing", "report", "settings", "nginx._container", "nginx._routes", "engine._client", "nginx._http_conf")
    modules = {name.rpartition(".")[2]: importlib.import_module(f"coolify_websocket.{name}") for name in names}
    yield types.SimpleNamespace(**modules)
    sys.path.remove(str(folder))


@pytest.fixture
def world(package, tmp_path, monkeypatch):
    """One host: an engine with one container, an agent, and its state file."""
    container = Container(tmp_path / "c", package._client)
    monkeypatch.setattr(package._container, "ROOT", str(container.folder))
    monkeypatch.setattr(package._container, "MAIN", str(container.folder / "nginx.conf"))
    impatient(monkeypatch, package._container)
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    settings = package.settings.Settings(
        "coolify", package._routes.DEFAULT, str(tmp_path / "docker.sock"), path=str(container.http_conf)
    )
    engine = Engine(container)
    report = package.report.Report(str(tmp_path))
    agent = package.agent.Agent(engine, settings, report, 60.0)
    clock = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr(package.agent.time, "monotonic", lambda: clock.now)
    return types.SimpleNamespace(
        container=container,
        engine=engine,
        agent=agent,
        settings=settings,
        clock=clock,
        treated=package._http_conf.apply(STOCK).text,
        state=lambda: json.loads((tmp_path / "state.json").read_text()),
        report=report,
        package=package,
    )


SERIAL = itertools.count(1)


def event(world, action, name="coolify", **attributes):
    serial = next(SERIAL)
    actor = {"ID": world.container.identity, "Attributes": {"name": name, **attributes}}
    return {"Action": action, "Actor": actor, "timeNano": serial}


def started(world, seconds=0.0):
    world.clock.now += seconds
    world.agent.look_at_due()


@pytest.mark.parametrize("name", ["coolify", "0123456789ab_coolify"])
def test_a_created_container_has_its_routes_before_it_starts(world, name):
    world.container.state = "created"
    world.agent.take(event(world, "create", name))
    assert world.container.http_conf.read_text() == world.treated
    assert world.container.execs == []
    assert world.state()["last_heal"]["outcome"] == "prepared"
    world.container.state = "running"
    world.container.boot()
    world.agent.take(event(world, "start", name))
    started(world)
    assert world.state()["last_check"]["outcome"] == "current"
    assert world.state()["heals"] == 1


def test_the_next_container_of_an_image_is_given_its_file_without_being_read(world, monkeypatch):
    """From the moment that it is told to start a container, the engine lets nobody at its files before it runs."""
    world.container.unrender()
    world.container.state = "created"
    world.agent._created(world.container.identity, {"image": "coolify:1"})
    treated = world.container.template.read_text()
    world.container.template.write_text(STOCK)
    asked = []
    read_tree = world.engine.read_tree
    monkeypatch.setattr(world.engine, "read_tree", lambda *words: asked.append(words) or read_tree(*words))
    world.agent._created(world.container.identity, {"image": "coolify:1"})
    assert (asked, world.container.template.read_text()) == ([], treated)
    # Under the same name there may be another image by now.
    world.container.template.write_text(STOCK)
    world.agent._created(world.container.identity, {"image": "coolify:2"})
    assert (len(asked), world.container.template.read_text()) == (1, treated)


def test_a_running_container_tells_what_the_next_one_is_given(world, monkeypatch):
    world.container.template.write_text(STOCK)
    world.agent.look(world.container.identity, world.package.agent.Watch(0.0, 0, "started"))
    monkeypatch.setattr(world.engine, "read_tree", lambda *_words: pytest.fail("it was to be given its file unread"))
    world.container.http_conf.unlink()
    world.container.state = "created"
    world.agent.take(event(world, "create", **{"com.docker.compose.image": "sha256:1"}))
    assert "location = /terminal/ws" in world.container.template.read_text()
    assert not world.container.http_conf.exists()


def test_what_is_known_is_of_the_image_that_runs_now(world):
    """After an update the container before tells nothing of the next one."""
    world.container.template.write_text(STOCK)
    world.agent._prepared = {"sha256:0": "of the version before"}
    world.agent.look(world.container.identity, world.package.agent.Watch(0.0, 0, "started"))
    assert list(world.agent._prepared) == ["sha256:1"]


@pytest.mark.parametrize("rendered", ["", "# nothing\n"])
def test_a_file_that_was_rendered_from_nothing_is_rendered_again(world, rendered):
    """As it comes where the template is written at the very moment of the start: Coolify would answer nobody, for ever."""
    world.container.template.write_text(world.treated)
    world.container.http_conf.write_text(rendered)
    world.container.boot()
    for attempt in range(world.package.agent._LATE):
        # Every start has a moment in which the file is empty: to start the container again would cut it off.
        world.agent.look(world.container.identity, world.package.agent.Watch(0.0, attempt, "started"))
        assert world.container.http_conf.read_text() == rendered
    world.agent.look(world.container.identity, world.package.agent.Watch(0.0, world.package.agent._LATE, "started"))
    assert world.container.http_conf.read_text() == world.treated
    assert world.agent._pass(world.container.identity, "started") == world.package.healing.CURRENT


@pytest.mark.parametrize("theirs", ["include /elsewhere/*.conf;\n", "location / {\n"])
def test_a_file_that_somebody_wrote_is_never_rendered_again(world, theirs):
    world.container.template.write_text(world.treated)
    world.container.http_conf.write_text(theirs)
    world.agent._pass(world.container.identity, "started")
    assert world.container.http_conf.read_text().startswith(theirs)


def test_what_was_read_after_the_start_is_not_the_images_own(world):
    world.container.state = "exited"
    world.agent._created(world.container.identity, {"image": "coolify:1"})
    assert "location = /terminal/ws" in world.container.http_conf.read_text()
    assert world.agent._prepared == {}


@pytest.mark.parametrize("name", ["coolify-db", "my_coolify", "zz23456789ab_coolify", "coolify2", ""])
def test_other_containers_are_none_of_its_business(world, name):
    world.container.state = "created"
    world.agent.take(event(world, "create", name))
    assert world.container.http_conf.read_text() == STOCK


def test_an_event_that_comes_on_both_streams_counts_once(world):
    same = event(world, "create")
    world.container.state = "created"
    world.agent.take(same)
    world.agent.take(same)
    world.report.no_container("coolify")
    assert world.state()["events"] == 1


def test_what_slipped_through_is_put_in_and_loaded(world):
    world.agent.take(event(world, "start"))
    started(world)
    assert world.container.http_conf.read_text() == world.treated
    assert world.state()["last_heal"]["outcome"] == "mended"


def test_an_image_that_renders_its_file_gets_the_routes_into_the_template(world):
    """Fact 49, from the creation to the first answer."""
    world.container.unrender()
    world.container.state = "created"
    world.agent._pass(world.container.identity, "created")
    assert "location = /terminal/ws" in world.container.template.read_text()
    world.container.state = "running"
    assert world.agent._pass(world.container.identity, "started") == world.package.healing.STARTING
    world.container.http_conf.write_text(world.container.template.read_text())
    world.container.boot()
    assert world.agent._pass(world.container.identity, "started") == world.package.healing.CURRENT


def test_a_file_that_nginx_started_without_is_loaded(world):
    world.container.http_conf.write_text(world.treated)
    world.agent.take(event(world, "start"))
    started(world)
    assert world.state()["last_heal"]["outcome"] == "loaded"


def test_a_starting_nginx_is_asked_again_and_more_and_more_seldom(world):
    world.container.http_conf.write_text(world.treated)
    world.container.hush()
    world.agent.take(event(world, "start"))
    started(world)
    asked = len(world.container.execs)
    started(world, 0.1)
    assert len(world.container.execs) == asked
    started(world, 0.2)
    assert len(world.container.execs) > asked
    asked = len(world.container.execs)
    started(world, 0.2)
    assert len(world.container.execs) == asked
    world.container.boot()
    started(world, 10)
    assert world.state()["last_check"]["outcome"] == "current"
    asked = len(world.container.execs)
    started(world, 1000)
    assert len(world.container.execs) == asked


@pytest.mark.parametrize("away", ["engine", "server"])
def test_what_is_given_up_is_told_with_its_own_reason(world, monkeypatch, away):
    """Field case G19: it was nginx always, also where the engine or the realtime server does not answer."""
    monkeypatch.setattr(world.package.agent, "_RETRY_LIMIT", 3)
    if away == "engine":
        reason = "no Docker engine answers at /s: timed out"

        def silent(*_arguments, **_named):
            raise world.package._client.EngineUnavailable(reason)

        monkeypatch.setattr(world.package.healing, "heal", silent)
        monkeypatch.setattr(world.engine, "version", dict, raising=False)
    else:
        reason = "the server behind /app/ does not answer, so that nginx cannot be judged"
        world.container.http_conf.write_text(STOCK + "location /app { proxy_pass http://coolify-realtime:6001; limit_rate 1; }\n")
        world.container.answer("coolify-realtime:6001/app/-", 0)
        world.container.boot()
    world.agent.take(event(world, "start"))
    for _look in range(8):
        started(world, 60)
    assert world.state()["refusals"][0]["reason"] == f"{reason}; nothing more is tried before the next event"


def test_an_nginx_that_never_answers_is_given_up_until_the_next_event(world, monkeypatch):
    monkeypatch.setattr(world.package.agent, "_RETRY_LIMIT", 3)
    world.container.http_conf.write_text(world.treated)
    world.container.hush()
    world.agent.take(event(world, "start"))
    for dummy in range(6):
        started(world, 60)
    asked = len(world.container.execs)
    started(world, 600)
    assert len(world.container.execs) == asked
    assert "nginx does not answer yet; nothing more is tried" in world.state()["refusals"][0]["reason"]
    world.container.boot()
    world.agent.take(event(world, "start"))
    started(world)
    assert world.state()["refusals"] == []


def test_routes_that_nginx_fails_with_are_taken_out_again(world):
    world.container.state = "created"
    world.agent.take(event(world, "create"))
    world.container.state = "running"
    world.container.hates("^~ /app/")
    world.container.hush()
    world.agent.take(event(world, "start"))
    started(world)
    assert world.container.http_conf.read_text() == STOCK
    state = world.state()
    assert state["last_heal"]["outcome"] == "withdrawn"
    assert "I hate this" in state["refusals"][0]["reason"]
    # It comes up without them: they are tried once, by the tested way, and nginx's own word for it stays.
    world.container.boot()
    for _second in range(60):
        started(world, 1)
    assert world.container.http_conf.read_text() == STOCK
    assert [one["reason"].count("I hate this") for one in world.state()["refusals"]] == [1, 1]
    assert world.state()["heals"] == 2
    asked = len(world.container.execs)
    started(world, 60)
    assert len(world.container.execs) == asked
    # What was wrong with them has gone by the next start.
    world.container.hates("nothing of it")
    world.agent.take(event(world, "start"))
    started(world)
    assert world.container.http_conf.read_text() == world.treated


def test_an_image_that_refuses_the_routes_at_every_start_is_no_news(world, capsys):
    world.container.hates("^~ /app/")
    for dummy in range(5):
        world.agent.take(event(world, "start"))
        started(world)
        world.agent.take(event(world, "die", exitCode="0"))
    assert [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()] == ["refused"]
    assert len(world.state()["refusals"]) == 1


def test_a_file_that_somebody_broke_is_left_and_named(world):
    broken = world.treated + "bogus on;\n"
    world.container.http_conf.write_text(broken)
    world.agent.take(event(world, "start"))
    started(world)
    assert world.container.http_conf.read_text() == broken
    assert "with our routes and without them" in world.state()["refusals"][0]["reason"]


def test_an_image_with_routes_of_its_own_is_left_alone(world):
    own = STOCK + "location /app { proxy_pass http://coolify-realtime:6001; limit_rate 1; }\n"
    own += "location /apps { proxy_pass http://coolify-realtime:6001; limit_rate 1; }\n"
    own += "location /terminal/ws { proxy_pass http://coolify-realtime:6002; limit_rate 1; }\n"
    world.container.http_conf.write_text(own)
    world.container.state = "created"
    world.agent.take(event(world, "create"))
    assert world.container.http_conf.read_text() == own
    state = world.state()
    assert state["last_check"]["outcome"] == "unneeded"
    assert [(entry["path"], entry["served"]) for entry in state["foreign"]] == [
        ("/app/", None), ("/apps/", None), ("/terminal/ws", None)
    ]
    # Its nginx is up before its servers are: it is asked until they answer.
    world.container.answer("127.0.0.1:8080/app/-", 502)
    world.container.answer("coolify-realtime:6001/app/-", 0)
    world.container.boot()
    world.container.state = "running"
    world.agent.take(event(world, "start"))
    started(world)
    assert world.state()["last_check"]["outcome"] == "starting"
    answers = [f"127.0.0.1:8080{path} 101\n" for path in ("/app/-", "/apps/-", "/terminal/ws")]
    (world.container.root / "answers").write_text("".join(answers))
    started(world, 1.0)
    assert world.state()["last_check"]["outcome"] == "unneeded"
    assert {entry["served"] for entry in world.state()["foreign"]} == {True}


def test_a_container_that_keeps_ending_gets_a_start_without_the_routes(world):
    world.container.state = "created"
    world.agent.take(event(world, "create"))
    for state in ("exited", "restarting"):
        world.container.state = state
        world.agent.take(event(world, "start"))
        # Looked at when it has ended already: that the routes are in its file proves nothing.
        started(world)
        assert world.state()["last_check"]["outcome"] == "waiting"
        world.agent.take(event(world, "die", exitCode="1"))
    assert world.container.http_conf.read_text() == STOCK
    assert "ended 2 times" in world.state()["refusals"][0]["reason"]
    # As long as it does not run it stays without them, so that it cannot be the routes that end it.
    for state in ("exited", "restarting"):
        world.container.state = state
        world.agent.take(event(world, "start"))
        started(world)
        assert world.container.http_conf.read_text() == STOCK
        world.agent.take(event(world, "die", exitCode="1"))
    # Its database is up by now: the routes are back as soon as nginx has answered.
    world.container.hush()
    world.container.state = "running"
    world.agent.take(event(world, "start"))
    started(world)
    assert world.container.http_conf.read_text() == STOCK
    world.container.boot()
    started(world, 1)
    assert world.container.http_conf.read_text() == world.treated
    assert world.state()["last_heal"]["outcome"] == "mended"
    assert world.state()["refusals"] == []


def test_an_answer_that_ends_with_its_container_does_not_end_the_count_of_its_deaths(world, monkeypatch):
    def broken_off(*_arguments):
        raise world.package._client.EngineUnavailable("the answer broke off")

    monkeypatch.setattr(world.engine, "exec", broken_off)
    world.container.state = "created"
    world.agent.take(event(world, "create"))
    for dummy in range(2):
        world.container.state = "running"
        world.agent.take(event(world, "start"))
        started(world)
        world.container.state = "exited"
        world.agent.take(event(world, "die", exitCode="1"))
    assert world.container.http_conf.read_text() == STOCK
    assert "ended 2 times" in world.state()["refusals"][0]["reason"]


ENDED = {
    "killed": (137, b""),
    "not begun": (126, b"cannot exec in a stopped state: unknown\r\n"),
    "without its task": (126, b"task 5a59606e845e not found: not found\r\n"),
    "by an older engine": (128, b"OCI runtime exec failed: exec failed: container init process is not running: unknown\r\n"),
}


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("end", ENDED)
@pytest.mark.parametrize("treated", [True, False])
def test_a_container_that_ends_while_it_is_looked_at_is_told_as_that(world, monkeypatch, capsys, treated, end, known):
    """Field case E18: the service is started again in the middle of an update. What engines answer then, as it was seen."""
    if treated:
        world.container.http_conf.write_text(world.treated)
        world.container.make_deaf()
    run, turns, ended = world.engine.exec, [], []

    def ends(*words, **named):
        if turns:
            turns.pop()
            return run(*words, **named)
        ended.append(end)
        # The engine may take its time to know.
        world.container.state = "removing" if known else "running"
        return ENDED[end]

    monkeypatch.setattr(world.engine, "exec", ends)
    for last in range(6):
        world.container.state = "running"
        turns[:], ended[:] = [None] * last, []
        outcome = world.package.healing.heal(world.engine, world.settings, world.container.identity)
        assert not ended or outcome.kind == world.package.healing.STARTING, (last, outcome)
        assert ended or last > 0
        world.container.http_conf.write_text(world.treated if treated else STOCK)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("state", ["removing", "dead", None])
@pytest.mark.parametrize("way", ["heal", "withdraw"])
def test_a_container_of_which_parts_are_gone_already_is_told_as_that(world, monkeypatch, state, way):
    monkeypatch.setattr(world.engine, "read_tree", lambda *_words: {})
    seen = iter([world.container.inspected])
    world.container.state = state or "exited"
    if state is None:
        monkeypatch.setattr(world.engine, "inspect", lambda _name: next(seen, None))
    healing = world.package.healing
    more = ("it ended",) if way == "withdraw" else ()
    outcome = getattr(healing, way)(world.engine, world.settings, world.container.identity, *more)
    assert outcome.kind == healing.STARTING
    assert (state or "gone") in outcome.detail


def test_an_engine_that_is_away_is_not_taken_for_a_container_that_is(world, monkeypatch):
    def away(*_arguments):
        raise world.package._client.EngineUnavailable("no Docker engine answers")

    monkeypatch.setattr(world.engine, "exec", away)
    monkeypatch.setattr(world.engine, "version", away)
    world.agent.take(event(world, "start"))
    with pytest.raises(world.package._client.EngineUnavailable):
        started(world)


def test_routes_taken_out_are_one_line_in_the_journal(world, capsys):
    world.container.hates("^~ /app/")
    world.container.hush()
    world.container.http_conf.write_text(world.treated)
    world.agent.take(event(world, "start"))
    started(world)
    assert [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()] == ["withdrawn"]
    assert len(world.state()["refusals"]) == 1


def created_to_be_rendered(world) -> str:
    """A container that will render http.conf; the template of it, which has the routes."""
    world.container.unrender()
    world.container.state = "created"
    world.agent.take(event(world, "create"))
    return world.container.template.read_text()


@pytest.mark.parametrize("rendered", [None, "", "whole"], ids=["not rendered yet", "being rendered", "rendered"])
def test_a_container_that_is_starting_again_when_its_end_is_looked_at_keeps_them(world, rendered):
    """Between an end and its event's turn lies, on a busy host, the next start: which is the one that may go well."""
    treated = created_to_be_rendered(world)
    world.container.state = "running"
    if rendered is not None:
        world.container.http_conf.write_text(rendered and treated)
    for dummy in range(3):
        world.agent.take(event(world, "start"))
        world.agent.take(event(world, "die", exitCode="1"))
    assert world.container.template.read_text() == treated
    assert rendered != "whole" or world.container.http_conf.read_text() == treated
    assert world.state()["refusals"] == []


def test_routes_that_were_rendered_before_they_were_taken_out_are_told_of(world, capsys):
    """The engine keeps who writes a file waiting from the order to start until it runs: the template's block may be rendered."""
    treated = created_to_be_rendered(world)
    world.container.state = "restarting"
    for dummy in range(2):
        world.agent.take(event(world, "start"))
        world.agent.take(event(world, "die", exitCode="1"))
    assert (world.container.template.read_text(), len(world.state()["refusals"])) == (STOCK, 1)
    world.container.http_conf.write_text(treated)
    world.container.state = "running"
    world.container.boot()
    for dummy in range(2):
        world.agent.take(event(world, "start"))
        started(world)
    assert world.state()["refusals"] == []
    told = [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()]
    assert told == ["prepared", "withdrawn", "current"]


@pytest.mark.parametrize("status", ["0", "137", "143"])
def test_a_container_that_was_told_to_stop_keeps_them(world, status):
    world.container.state = "created"
    world.agent.take(event(world, "create"))
    for dummy in range(3):
        world.agent.take(event(world, "start"))
        world.agent.take(event(world, "die", exitCode=status))
    assert world.container.http_conf.read_text() == world.treated


def test_the_first_look_at_a_host_finds_what_is_there(world):
    world.agent.check_all("com.docker.compose.service=coolify", "start of the service")
    assert world.container.http_conf.read_text() == world.treated
    assert world.state()["status"].startswith("the routes were put back")
    world.engine.all.clear()
    world.agent.check_all("com.docker.compose.service=coolify", "Docker is back")
    assert world.state()["status"] == "waiting for a container coolify"


def test_an_engine_error_about_one_container_is_no_end(world, monkeypatch):
    def gone(*_arguments):
        raise world.package._client.EngineError("container is not running", 409)

    monkeypatch.setattr(world.engine, "exec", gone)
    world.agent.take(event(world, "start"))
    started(world)
    assert world.state()["last_check"]["outcome"] == "starting"
    world.agent.take(event(world, "destroy"))
    asked = len(world.container.execs)
    started(world, 600)
    assert len(world.container.execs) == asked


def test_a_file_too_large_to_read_is_refused_at_once_and_named(world, monkeypatch):
    def large(*_arguments):
        raise world.package._client.TooLarge("/etc/nginx in the container c is larger than 8 MiB")

    monkeypatch.setattr(world.engine, "read_tree", large)
    world.agent.take(event(world, "start"))
    started(world)
    assert "larger than 8 MiB" in world.state()["refusals"][0]["reason"]
    assert world.agent._watched == {}


@pytest.mark.parametrize(
    "odd",
    [{}, {"Actor": None}, {"Actor": {"ID": "1"}}, {"Actor": {"ID": "1", "Attributes": []}, "Action": "start", "timeNano": 1}],
    ids=str,
)
def test_an_event_of_a_form_that_nobody_knows_is_waited_out(world, monkeypatch, odd, capsys):
    class Enough(Exception):
        pass

    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 4:
            raise Enough

    monkeypatch.setattr(world.package.agent.time, "sleep", sleep)
    monkeypatch.setattr(world.agent, "follow", lambda _cause: world.agent.take(odd))
    with pytest.raises(Enough):
        world.agent.run()
    assert pauses == sorted(pauses)
    assert pauses[-1] > pauses[0]
    assert "answers in an unknown form" in world.state()["status"]
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_fault_of_the_service_itself_is_followed_by_a_pause(package, tmp_path):
    """systemd starts it again after 100 ms, whatever ended it."""
    main = tmp_path / "__main__.py"
    main.write_text((AGENT.parent / "__main__.py").read_text().replace("PAUSE_AFTER_FAULT = 10.0", "PAUSE_AFTER_FAULT = 600"))
    (tmp_path / "coolify_websocket").symlink_to(Path(package.agent.__file__).parent)
    command = [sys.executable, "-IBS", str(tmp_path)]
    once = subprocess.run([*command, "--once"], capture_output=True, text=True, check=False, timeout=60)
    assert (once.returncode, "config.json" in once.stderr) == (1, True)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:
        assert any("config.json" in line for line in iter(service.stderr.readline, ""))
        with pytest.raises(subprocess.TimeoutExpired):
            service.wait(0.5)
        service.kill()


def test_metrics_are_whole_at_every_moment(world, tmp_path, monkeypatch):
    target = (tmp_path / "coolify.prom").open("w+")
    monkeypatch.setattr(world.package.report, "_METRICS", target.fileno())
    report = world.package.report.Report(None, metrics=True)
    outcome = world.package.healing.Outcome

    def values():
        lines = (tmp_path / "coolify.prom").read_text().splitlines()
        return {name[len("coolify_websocket_"):]: int(value) for name, value in map(str.split, lines[2::3])}

    report.no_container("coolify")
    size = os.fstat(target.fileno()).st_size
    assert values() == {
        "up": 1, "docker_connected": 1, "routes_in_place": 0, "heals_total": 0, "refusals": 0, "last_check_timestamp_seconds": 0
    }
    report.passed("c" * 64, "started", outcome(world.package.healing.MENDED, "missing"), 0.1)
    found = values()
    assert found.pop("last_check_timestamp_seconds") > 1_700_000_000
    assert found == {"up": 1, "docker_connected": 1, "routes_in_place": 1, "heals_total": 1, "refusals": 0}
    report.passed("c" * 64, "started", outcome(world.package.healing.REFUSED, "no"), 0.1)
    assert (values()["routes_in_place"], values()["refusals"]) == (0, 1)
    report.stopping()
    assert (values()["up"], values()["routes_in_place"]) == (0, 0)
    assert os.fstat(target.fileno()).st_size == size
    target.close()


def test_counts_go_on_over_a_restart_of_the_service(world, tmp_path):
    world.agent.take(event(world, "start"))
    started(world)
    again = world.package.report.Report(str(tmp_path))
    again.no_container("coolify")
    assert world.state()["heals"] == 1
    assert world.state()["last_heal"]["outcome"] == "mended"


def test_the_script_says_what_it_would_do_and_does_it(world, monkeypatch, capsys):
    monkeypatch.setattr(world.package.agent._client, "Engine", lambda *_arguments: world.engine)
    assert world.package.agent.once(world.settings, check=True) == 1
    assert capsys.readouterr().out.startswith("would be mended: ")
    assert world.container.http_conf.read_text() == STOCK
    assert world.package.agent.once(world.settings, check=False) == 0
    assert world.container.http_conf.read_text() == world.treated
    assert world.package.agent.once(world.settings, check=True) == 0
    assert "current: nginx answers" in capsys.readouterr().out


def test_the_script_says_that_docker_is_away(world, capsys):
    assert world.package.agent.once(world.settings, check=False) == 1
    assert "no Docker engine answers" in capsys.readouterr().out


def test_settings_take_a_number_that_a_template_made_text(package, tmp_path):
    """Field case M1: templates of ansible-core before 2.19 give text."""
    values = {"container": "coolify", "docker_socket": "/y"}
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**values, "nginx": {"read_timeout": "86400"}}))
    assert package.settings.load(str(file)).nginx.read_timeout == 86400


def test_what_was_mended_is_looked_at_once_more(world):
    """The server behind a location of somebody else's may start after nginx, and after the routes were put in beside it."""
    world.container.http_conf.write_text(STOCK + "location /app { proxy_pass http://coolify-realtime:6001; limit_rate 1; }\n")
    world.container.answer("coolify-realtime:6001/app/-", 0)
    world.container.boot()
    world.agent.take(event(world, "start"))
    started(world)
    assert world.state()["last_check"]["outcome"] == "mended"
    assert [entry["served"] for entry in world.state()["foreign"]] == [None]
    (world.container.root / "answers").write_text("127.0.0.1:8080/app/- 101\n")
    started(world, 1.0)
    assert [entry["served"] for entry in world.state()["foreign"]] == [True]
    assert world.agent._watched == {}


@pytest.mark.parametrize(("check", "passes", "kind"), [(False, 3, "mended"), (True, 1, "starting")])
def test_a_pass_that_meets_another_one_is_made_again(world, monkeypatch, capsys, check, passes, kind):
    healing = world.package.healing
    busy = healing.Outcome(healing.STARTING, "http.conf was changed by somebody else at the same time")
    outcomes = iter([busy, busy, healing.Outcome(healing.MENDED)])
    made = []
    monkeypatch.setattr(healing, "heal", lambda *_words: made.append(1) or next(outcomes))
    monkeypatch.setattr(world.package.agent.time, "sleep", lambda _seconds: None)
    assert world.package.agent.once(world.settings, check=check) == (1 if check else 0)
    assert len(made) == passes
    assert kind in capsys.readouterr().out


def test_a_full_disk_is_said_once_and_is_no_end(package, tmp_path, monkeypatch, capsys):
    report = package.report.Report(str(tmp_path))
    outcome = package.healing.Outcome(package.healing.CURRENT, "nginx answers")
    monkeypatch.setattr(os, "replace", full_disk)
    for _pass in range(3):
        report.passed("c" * 64, "started", outcome, 0.1)
    assert capsys.readouterr().err.count("the state cannot be written: No space left on device") == 1
    monkeypatch.undo()
    report.passed("c" * 64, "started", outcome, 0.1)
    assert json.loads((tmp_path / "state.json").read_text())["last_check"]["outcome"] == "current"


def test_a_full_disk_for_the_metrics_is_no_end_either(package, tmp_path, monkeypatch, capsys):
    report = package.report.Report(str(tmp_path), metrics=True)
    monkeypatch.setattr(os, "pwrite", full_disk)
    report.passed("c" * 64, "started", package.healing.Outcome(package.healing.CURRENT, "nginx answers"), 0.1)
    report.stopping()
    assert capsys.readouterr().err.count("the metrics cannot be written: No space left on device") >= 1
    assert json.loads((tmp_path / "state.json").read_text())["last_check"]["outcome"] == "current"


def full_disk(*_arguments, **_options):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("there", "group", "stopped"),
    [
        (["a/system.slice/docker.service"], "/system.slice/docker.service", False),
        (["a/system.slice"], "/system.slice/docker.service", True),
        (["b/system.slice"], "/system.slice/docker.service", True),
        (["a/system.slice", "b/system.slice/docker.service"], "/system.slice/docker.service", False),
        # Control groups are somewhere else, or the engine is no unit: it cannot be told.
        ([], "/system.slice/docker.service", False),
        (["a/system.slice"], "", False),
    ],
)
def test_an_engine_whose_unit_is_stopped_is_not_connected_to(world, tmp_path, monkeypatch, there, group, stopped):
    for name in there:
        (tmp_path / "cgroups" / name).mkdir(parents=True)
    agent = world.package.agent
    monkeypatch.setattr(agent, "_CGROUPS", tuple(str(tmp_path / "cgroups" / name) for name in "ab"))
    settings = world.settings._replace(docker_cgroup=group)
    assert agent.is_stopped(settings) is stopped
    asked = []

    class Enough(BaseException):
        pass

    def enough(_seconds):
        raise Enough

    def follow(_agent, cause):
        asked.append(cause)
        raise Enough

    monkeypatch.setattr(agent.time, "sleep", enough)
    monkeypatch.setattr(agent.Agent, "follow", follow)
    with pytest.raises(Enough):
        agent.Agent(world.engine, settings, world.report, 60.0).run()
    assert bool(asked) is not stopped
    if stopped:
        assert world.state()["status"] == "waiting for Docker: it is stopped"


@pytest.mark.parametrize(
    ("later", "seconds"),
    [
        # The engine has gone, or another one has come; or it lives on, and only let us go.
        ({"0.6": ""}, 0.6),
        ({"0.4": "", "0.8": "77\n"}, 0.4),
        ({"0.6": "77\n"}, 0.6),
        ({}, 10.0),
    ],
)
def test_an_engine_that_let_us_go_is_given_time_to_end(world, tmp_path, monkeypatch, later, seconds):
    """Seen on a slow machine: a connection made while docker.service was being stopped started it again."""
    group = tmp_path / "cgroups" / "system.slice" / "docker.service"
    group.mkdir(parents=True)
    (group / "cgroup.procs").write_text("41\n42\n")
    agent = world.package.agent
    monkeypatch.setattr(agent, "_CGROUPS", (str(tmp_path / "cgroups"),))

    def sleep(pause):
        world.clock.now += pause
        for at, listed in later.items():
            if world.clock.now >= float(at) - 1e-6:
                (group / "cgroup.procs").write_text(listed)

    monkeypatch.setattr(agent.time, "sleep", sleep)
    settings = world.settings._replace(docker_cgroup="/system.slice/docker.service")
    one = agent.Agent(world.engine, settings, world.report, 30.0)
    tries = []

    class Enough(BaseException):
        pass

    def follow(_cause):
        tries.append(world.clock.now)
        if len(tries) > 1:
            raise Enough
        one._followed = agent.processes(settings)
        world.report._state["connected"] = True
        raise world.package._client.EngineUnavailable("the stream ended")

    monkeypatch.setattr(one, "follow", follow)
    with pytest.raises(Enough):
        one.run()
    assert tries[0] == 0.0
    assert tries[1] == pytest.approx(seconds, abs=0.45)
