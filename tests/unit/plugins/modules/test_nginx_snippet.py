"""The module nginx_snippet from its options to its result, in a container with a real shell and a scripted nginx."""

from __future__ import annotations

import functools
import sys
import time
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "module_utils")]
from module_run import run  # noqa: E402
from nginx_container import STOCK, Container, Engine, impatient  # noqa: E402

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _client  # noqa: E402
from ansible_collections.selfhosted.coolify.plugins.module_utils.nginx import _container, _http_conf  # noqa: E402
from ansible_collections.selfhosted.coolify.plugins.modules import nginx_snippet  # noqa: E402

TREATED = _http_conf.apply(STOCK).text


@pytest.fixture
def container(tmp_path, monkeypatch):
    container = Container(tmp_path, _client)
    path = str(container.http_conf)
    monkeypatch.setattr(_container, "ROOT", str(container.folder))
    monkeypatch.setattr(_container, "MAIN", str(container.folder / "nginx.conf"))
    for name in ("read", "template_of"):
        monkeypatch.setattr(_container, name, functools.partial(getattr(_container, name), path=path))
    monkeypatch.setattr(nginx_snippet._client, "Engine", lambda _socket: Engine(container))
    monkeypatch.setattr(nginx_snippet, "_PAUSE", 0.01)
    monkeypatch.setattr(nginx_snippet, "_RENDERED_WITHIN", 0.1)
    impatient(monkeypatch, _container)
    return container


@pytest.fixture
def module(container, monkeypatch):
    return functools.partial(run, monkeypatch, nginx_snippet)


def test_check_mode_says_all_and_changes_nothing(container, module):
    result = module(check=True)
    assert (result["changed"], result["paths"]) == (True, ["/terminal/ws", "/app/", "/apps/"])
    assert "location" in result["diff"]["after"]
    assert container.http_conf.read_text() == STOCK
    assert container.leftovers == []
    container.http_conf.write_text(TREATED)
    assert module(check=True, state="absent")["changed"]
    assert container.http_conf.read_text() == TREATED


def test_put_in_left_alone_and_given_back(container, module):
    assert module()["reloaded"]
    assert container.http_conf.read_text() == TREATED
    assert not module()["changed"]
    assert module(state="absent")["changed"]
    assert container.http_conf.read_text() == STOCK
    assert not module(state="absent")["changed"]


def test_removal_takes_the_routes_out_of_the_template_too(container, module):
    container.http_conf.write_text(TREATED)
    container.boot()
    container.template.write_text(TREATED)
    assert module(check=True, state="absent")["changed"]
    assert container.template.read_text() == TREATED
    assert module(state="absent")["changed"]
    assert (container.http_conf.read_text(), container.template.read_text()) == (STOCK, STOCK)
    # Also where the template alone has them.
    container.template.write_text(TREATED)
    assert module(state="absent")["changed"]
    assert container.template.read_text() == STOCK
    assert module()["changed"]
    assert container.template.read_text() == STOCK


def test_a_file_that_nginx_had_not_loaded_is_loaded(container, module):
    container.http_conf.write_text(TREATED)
    result = module()
    assert (result["changed"], result["reloaded"]) == (True, True)
    assert "reload" in (container.root / "log").read_text()


def test_what_nginx_refuses_is_not_put_in_place(container, module):
    container.hates("proxy_socket_keepalive")
    result = module()
    assert "nginx refuses the new http.conf, which was not put in place: [emerg] I hate this" in result["msg"]
    assert container.http_conf.read_text() == STOCK
    assert container.leftovers == []


def test_a_file_that_is_being_rendered_is_waited_for_and_never_written_into(container, module, monkeypatch):
    container.template.write_text(STOCK)
    container.http_conf.write_text("")
    result = module()
    assert "is being rendered" in result["msg"]
    assert container.http_conf.read_text() == ""
    monkeypatch.setattr(nginx_snippet, "_RENDERED_WITHIN", 60)
    monkeypatch.setattr(time, "sleep", lambda _seconds: container.http_conf.write_text(STOCK))
    assert module()["changed"]
    assert container.http_conf.read_text() == TREATED


def test_a_location_that_takes_a_path_is_warned_of(container, module, monkeypatch):
    warned = []
    monkeypatch.setattr(nginx_snippet.AnsibleModule, "warn", lambda _module, text: warned.append(text))
    container.http_conf.write_text(STOCK + "location /app/ {\n    return 403;\n}\n")
    container.boot()
    container.answer("127.0.0.1:8080/app/-", 403, "no")
    result = module()
    assert [one["path"] for one in result["foreign"]] == ["/app/"]
    assert "takes /app/, which nginx does not answer as the realtime server does" in warned[0]


def test_a_container_that_does_not_run_gets_it_through_the_engine(container, module):
    container.state = "exited"
    assert (module()["changed"], module()["changed"]) == (True, False)
    assert container.http_conf.read_text() == TREATED
    assert container.execs == []


def test_no_container(container, module):
    container.name = "another"
    assert not module(state="absent")["changed"]
    assert "there is no such container" in module()["msg"]


@pytest.mark.parametrize(
    ("option", "value", "words"), [("resolver", "ns.example.com", "IP address"), ("read_timeout", 0, "read_timeout: 0 must be")]
)
def test_a_setting_that_would_not_work_is_refused(container, module, option, value, words):
    assert words in module(**{option: value})["msg"]
    assert container.http_conf.read_text() == STOCK


def test_settings_are_handed_over(container, module):
    module(read_timeout=77, resolver="10.0.0.2")
    text = container.http_conf.read_text()
    assert "proxy_read_timeout 77s" in text
    assert "resolver 10.0.0.2" in text
