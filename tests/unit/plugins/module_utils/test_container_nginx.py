"""http.conf into a container and out again, with a real shell and a scripted nginx."""

from __future__ import annotations

import os
import re

import pytest
from nginx_container import STOCK, Container, Engine, impatient

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _client
from ansible_collections.selfhosted.coolify.plugins.module_utils.nginx import _container as container_nginx
from ansible_collections.selfhosted.coolify.plugins.module_utils.nginx import _http_conf


@pytest.fixture
def container(tmp_path, monkeypatch):
    made = Container(tmp_path / "c", _client)
    monkeypatch.setattr(container_nginx, "ROOT", str(made.folder))
    monkeypatch.setattr(container_nginx, "MAIN", str(made.folder / "nginx.conf"))
    impatient(monkeypatch, container_nginx)
    return made


@pytest.fixture
def engine(container):
    return Engine(container)


@pytest.fixture
def snapshot(engine, container):
    return container_nginx.read(engine, container.inspected, str(container.http_conf))


TREATED = _http_conf.apply(STOCK).text


def test_swap_tests_puts_loads_and_proves_in_one_exec(engine, container, snapshot):
    container.http_conf.chmod(0o640)
    snapshot = container_nginx.read(engine, container.inspected, str(container.http_conf))
    container_nginx.swap(engine, snapshot, TREATED)
    assert container.http_conf.read_text() == TREATED
    assert container.http_conf.stat().st_mode & 0o7777 == 0o640
    assert (container.root / "log").read_text() == "reload\n"
    assert len(container.execs) == 1
    assert container.leftovers == []
    after = container_nginx.read(engine, container.inspected, str(container.http_conf))
    assert container_nginx.is_loaded(engine, after) is True
    container_nginx.swap(engine, after, STOCK)
    assert container.http_conf.read_text() == STOCK


def test_a_refused_candidate_never_becomes_live(engine, container, snapshot):
    with pytest.raises(container_nginx.NginxError, match=r'not put in place: .*unknown directive "bogus"'):
        container_nginx.swap(engine, snapshot, TREATED + "bogus on;\n")
    assert container.http_conf.read_text() == STOCK
    assert container.leftovers == []
    assert not (container.root / "log").exists()


def test_a_candidate_that_fails_in_place_is_put_back(engine, container, snapshot, monkeypatch):
    # The wrapper stands in for a main configuration that lacks what is wrong with the real one.
    monkeypatch.setattr(container_nginx, "candidate_configuration", lambda *_arguments: "events {}\n")
    with pytest.raises(container_nginx.NginxError, match="the old one was put back"):
        container_nginx.swap(engine, snapshot, TREATED + "bogus on;\n")
    assert container.http_conf.read_text() == STOCK
    assert container.leftovers == []


def test_a_file_that_somebody_changes_meanwhile_is_left_to_them(engine, container, snapshot):
    container.http_conf.write_text(STOCK + "# theirs\n")
    with pytest.raises(container_nginx.Conflict):
        container_nginx.swap(engine, snapshot, TREATED)
    assert container.http_conf.read_text() == STOCK + "# theirs\n"
    assert container.leftovers == []


def test_an_nginx_that_is_starting_gets_the_file_and_is_told_apart(engine, container, snapshot):
    container.hush()
    with pytest.raises(container_nginx.NotAnswering, match="will be loaded when it starts"):
        container_nginx.swap(engine, snapshot, TREATED)
    assert container.http_conf.read_text() == TREATED
    treated = container_nginx.read(engine, container.inspected, str(container.http_conf))
    assert container_nginx.is_loaded(engine, treated) is None
    container.boot()
    assert container_nginx.is_loaded(engine, treated) is True


def test_an_nginx_that_does_not_load_it_gets_the_old_file_back(engine, container, snapshot):
    container.make_deaf()
    with pytest.raises(container_nginx.NginxError, match="did not load"):
        container_nginx.swap(engine, snapshot, TREATED)
    assert container.http_conf.read_text() == STOCK
    assert container.leftovers == []


def test_a_file_that_was_never_loaded_is_loaded(engine, container):
    container.http_conf.write_text(TREATED)
    snapshot = container_nginx.read(engine, container.inspected, str(container.http_conf))
    assert container_nginx.is_loaded(engine, snapshot) is False
    container_nginx.load(engine, snapshot)
    assert container_nginx.is_loaded(engine, snapshot) is True


def test_fault_is_nginxs_own_text(engine, container, snapshot):
    assert container_nginx.fault(engine, snapshot) is None
    container.http_conf.write_text("bogus on;\n")
    assert 'unknown directive "bogus"' in container_nginx.fault(engine, snapshot)


def test_nginxs_words_are_told_without_time_and_process(engine, container, snapshot, monkeypatch):
    output = (
        b'2026/11/23 23:07:10 [emerg] 18#18: duplicate location "/app/" in /etc/nginx/site-opts.d/http.conf:39\n'
        b"nginx: configuration file /etc/nginx/.coolify-websocket-dbf91efc.conf test failed\n"
    )
    monkeypatch.setattr(engine, "exec", lambda *_arguments: (1, output))
    said = '[emerg] duplicate location "/app/" in /etc/nginx/site-opts.d/http.conf:39'
    assert container_nginx.fault(engine, snapshot) == said


def test_the_candidate_is_surrounded_by_the_real_configuration():
    texts = {
        "/etc/nginx/nginx.conf": "http {\n  map $a $b { default 1; }\n  include conf.d/*.conf;\n}\n",
        "/etc/nginx/conf.d/a.conf": "log_format x y;\n",
        "/etc/nginx/conf.d/b.conf": "server { include /etc/nginx/site-opts.d/http.conf; }\n",
        "/etc/nginx/site-opts.d/http.conf": STOCK,
    }
    made = container_nginx.candidate_configuration(texts, _http_conf.PATH, "/etc/nginx/site-opts.d/.x.new")
    assert made == (
        'http {\n  map $a $b { default 1; }\n  \ninclude "/etc/nginx/conf.d/a.conf";\n'
        "server { \ninclude /etc/nginx/site-opts.d/.x.new;\n }\n\n}\n"
    )


def test_an_http_conf_that_nothing_includes_is_refused():
    with pytest.raises(container_nginx.NginxError, match="is not included"):
        container_nginx.candidate_configuration({"/etc/nginx/nginx.conf": "events {}\n"}, _http_conf.PATH, "/x")


def test_a_container_without_the_file_is_refused(engine, container):
    with pytest.raises(container_nginx.NginxError, match="no regular file"):
        container_nginx.read(engine, container.inspected, str(container.folder / "none.conf"))


def test_a_file_in_a_mounted_folder_is_written_as_any_other(engine, container):
    mounted = {**container.inspected, "Mounts": [{"Destination": str(container.http_conf.parent), "Source": "/srv/nginx"}]}
    assert container_nginx.read(engine, mounted, str(container.http_conf)).mounted == ""


def test_a_mounted_file_is_written_by_its_owner_alone(engine, container, monkeypatch):
    """What it lacks is printed, ready to be entered."""
    mounted = {**container.inspected, "Mounts": [{"Destination": str(container.http_conf), "Source": "/srv/nginx"}]}
    snapshot = container_nginx.read(engine, mounted, str(container.http_conf))
    monkeypatch.setattr(container_nginx, "served", lambda *_: {"/terminal/ws": True, "/app/": False})
    with pytest.raises(container_nginx.Mounted, match=r"from /srv/nginx") as refusal:
        container_nginx.wanted(engine, snapshot)
    said = str(refusal.value)
    assert re.findall(r"\^~ (\S+) {", said) == ["/app/", "/apps/"]
    assert "/terminal/ws" not in said
    for write in (container_nginx.put, container_nginx.swap):
        with pytest.raises(container_nginx.Mounted, match="nothing was written"):
            write(engine, snapshot, TREATED)
    assert container.http_conf.read_text() == STOCK


def test_a_mounted_file_that_serves_is_accepted(engine, container, monkeypatch):
    mounted = {**container.inspected, "Mounts": [{"Destination": str(container.http_conf), "Source": "/srv/nginx"}]}
    snapshot = container_nginx.read(engine, mounted, str(container.http_conf))
    monkeypatch.setattr(container_nginx, "served", lambda *_: dict.fromkeys(("/terminal/ws", "/app/", "/apps/"), True))
    assert container_nginx.wanted(engine, snapshot).changed is False
    # Of a path whose server answers nobody now, the text tells.
    monkeypatch.setattr(container_nginx, "served", lambda *_: {"/terminal/ws": True})
    with pytest.raises(container_nginx.Mounted):
        container_nginx.wanted(engine, snapshot)
    container.http_conf.write_text(TREATED)
    assert not container_nginx.wanted(engine, container_nginx.read(engine, mounted, str(container.http_conf))).changed


@pytest.mark.parametrize(
    ("state", "running"), [("running", True), ("created", False), ("exited", False), ("restarting", False)]
)
def test_only_a_container_that_runs_is_spoken_to(engine, container, state, running):
    container.state = state
    assert container_nginx.read(engine, container.inspected, str(container.http_conf)).running is running


def test_a_container_without_http_conf_gets_the_routes_into_its_template(engine, container):
    """Fact 49: an http.conf of ours would keep the real one from being rendered."""
    container.unrender()
    container.state = "created"
    snapshot = container_nginx.read(engine, container.inspected, str(container.http_conf))
    assert snapshot.path == str(container.template)
    container_nginx.put(engine, snapshot, _http_conf.apply(snapshot.text).text)
    assert not container.http_conf.exists()
    assert container.template.read_text() == TREATED


def test_a_container_that_is_about_to_render_is_asked_again(engine, container):
    container.unrender()
    with pytest.raises(container_nginx.NotRendered, match=r"has not rendered .*http\.conf"):
        container_nginx.read(engine, container.inspected, str(container.http_conf))


def test_a_container_that_was_started_while_it_was_read_is_one_that_runs(engine, container):
    """The engine lets nobody at the files from the order to start until the container runs, and renders."""
    container.unrender()
    container.state = "created"
    before = container.inspected
    container.state = "running"
    container.http_conf.touch()
    with pytest.raises(container_nginx.Empty, match="is empty: it is being rendered"):
        container_nginx.read(engine, before, str(container.http_conf))
    container.http_conf.write_text(STOCK)
    assert container_nginx.read(engine, before, str(container.http_conf)).running


def test_the_template_beside_a_rendered_file_can_be_given_back(engine, container):
    assert container_nginx.template_of(engine, container.inspected, str(container.http_conf)) is None
    container.template.write_text(TREATED)
    snapshot = container_nginx.template_of(engine, container.inspected, str(container.http_conf))
    container_nginx.put(engine, snapshot, _http_conf.remove(snapshot.text).text)
    assert container.template.read_text() == STOCK
    assert container.http_conf.read_text() == STOCK


def test_nginx_is_asked_what_it_serves_and_compared_with_the_server_itself(engine, container, snapshot):
    """Field case E4: how a location reaches the server is nginx's affair."""
    container.answer("127.0.0.1:8080/terminal/ws", 401, "no session")
    container.answer("coolify-realtime:6002/terminal/ws", 401, "no session")
    container.answer("127.0.0.1:8080/app/-", 101)
    container.answer("coolify-realtime:6001/app/-", 101)
    container.answer("127.0.0.1:8080/apps/-", 404, "Coolify's page")
    container.answer("coolify-realtime:6001/apps/-", 404, "Not found")
    wanted = container_nginx.wanted(engine, snapshot)
    assert (wanted.served, wanted.paths) == (["/terminal/ws", "/app/"], ["/apps/"])


def test_a_server_that_is_away_tells_nothing(engine, container, snapshot):
    container.http_conf.write_text(STOCK + "location /app/ { return 502; }\n")
    container.answer("127.0.0.1:8080/app/-", 502)
    container.answer("coolify-realtime:6001/app/-", 0)
    snapshot = container_nginx.read(engine, container.inspected, str(container.http_conf))
    (foreign,) = container_nginx.wanted(engine, snapshot).foreign
    assert foreign.served is None


def test_what_the_block_routes_is_not_asked_about(engine, container, snapshot):
    container.http_conf.write_text(TREATED)
    snapshot = container_nginx.read(engine, container.inspected, str(container.http_conf))
    assert not container_nginx.wanted(engine, snapshot).changed
    assert container.execs == []


def test_a_silent_nginx_and_a_stopped_container_are_not_asked(engine, container, snapshot):
    container.hush()
    assert container_nginx.served(engine, snapshot, _http_conf.ROUTES) == {}
    container.state = "exited"
    stopped = container_nginx.read(engine, container.inspected, str(container.http_conf))
    container.execs.clear()
    assert container_nginx.wanted(engine, stopped).paths == ["/terminal/ws", "/app/", "/apps/"]
    assert container.execs == []


def test_a_curl_that_cannot_run_tells_nothing(engine, container, snapshot):
    container.break_curl()
    assert container_nginx.served(engine, snapshot, _http_conf.ROUTES) == {}
    assert container_nginx.wanted(engine, snapshot).paths == ["/terminal/ws", "/app/", "/apps/"]
    container.http_conf.write_text(TREATED)
    treated = container_nginx.read(engine, container.inspected, str(container.http_conf))
    assert container_nginx.is_loaded(engine, treated) is None
    assert not container_nginx.answers(engine, treated)


def test_what_was_put_beside_goes_where_no_command_can_be_started(engine, container, snapshot):
    container.refuses = [True, False]
    with pytest.raises(_client.EngineError, match="cannot start it"):
        container_nginx.swap(engine, snapshot, TREATED)
    assert container.leftovers == []
    assert container.http_conf.read_text() == STOCK


def test_what_an_earlier_run_left_goes_with_the_next_and_what_is_new_stays(engine, container, snapshot):
    old = container.http_conf.with_name(".coolify-websocket-0123.new")
    new = container.folder / ".coolify-websocket-4567.conf"
    for path in (old, new):
        path.write_text("x")
    os.utime(old, (1, 1))
    container_nginx.swap(engine, snapshot, TREATED)
    assert container.leftovers == [new.name]
