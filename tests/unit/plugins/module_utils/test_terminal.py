"""A terminal by a browser's cookies, against servers that speak from a script on real sockets."""

from __future__ import annotations

import json
import threading
import typing as t

import pytest
from hostile_servers import DENIED, PROMPT, SESSIONS, Serve, terminal
from test_handshake import server, target

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _client
from ansible_collections.selfhosted.coolify.plugins.module_utils.verify import _diagnosis, _terminal

COOKIES = "XSRF-TOKEN=S3CRET-token; coolify_session=S3CRET-session"
KEYS = ("ssh_key@one", "ssh_key@two")


class Engine:
    """Lists names in the folder of Coolify's keys, or is away."""

    def __init__(self, names: t.Sequence[str] = KEYS, code: int = 0) -> None:
        self._names, self._code = names, code

    def exec(self, container: str, argv: t.Sequence[str], errors: bool = True) -> tuple[int, bytes]:
        assert (container, list(argv)) == ("coolify", ["ls", "-t", _terminal.KEYS])
        return self._code, "\n".join(self._names).encode()


class Away(Engine):
    def exec(self, container: str, argv: t.Sequence[str], errors: bool = True) -> tuple[int, bytes]:
        raise _client.EngineUnavailable("no engine")


def look(serve: Serve, engine: Engine | None = None, cookies: str = COOKIES, deadline: float = 20.0) -> dict[str, t.Any]:
    with server(serve) as port:
        wanted = target(port, "terminal", name="terminal", url=f"http://127.0.0.1:{port}/terminal/ws")
        (result,) = _terminal.prove(engine or Engine(), "coolify", cookies, [wanted], deadline)  # type: ignore[arg-type]
    assert "S3CRET" not in json.dumps(result)
    return result


def verdict(result: dict[str, t.Any]) -> tuple[bool | None, str | None]:
    return result["ok"], (result["diagnosis"] or {}).get("id")


def test_a_prompt_that_answers() -> None:
    asked: list[t.Any] = []
    echo = "unset HISTFILE; echo selfhosted-$((40+2))\r\n"
    turns = (["pty-ready", PROMPT], [echo, "selfhosted-", "42\r\n" + PROMPT], [])
    result = look(terminal(*turns, asked=asked))
    assert (result["ok"], result["seen"], result["kind"]) == (True, "a prompt", "terminal")
    assert f"Cookie: {COOKIES}\r\n".encode() in asked[0]
    (command,) = asked[1]["command"]
    assert f"-i {_terminal.KEYS}/ssh_key@one " in command
    assert asked[2]["message"].startswith(" unset HISTFILE; ")
    assert asked[3] == {"message": "exit\r"}


@pytest.mark.parametrize("no_login", [[["pty-ready", DENIED + "pty-exited"]], [["pty-ready", DENIED], ["pty-exited"]]])
def test_the_next_key_where_one_lets_nobody_in(no_login: list[list[str]]) -> None:
    asked: list[t.Any] = []
    assert verdict(look(terminal(*no_login, ["pty-ready", PROMPT], ["selfhosted-42\r\n"], [], asked=asked))) == (True, None)
    assert "ssh_key@two" in asked[1 + len(no_login)]["command"][0]


@pytest.mark.parametrize("words", SESSIONS)
def test_what_keeps_a_session_from_its_prompt(words: str) -> None:
    serve, identifier = SESSIONS[words]
    result = look(serve, deadline=0.8 if identifier in ("CWT-942", "CWT-944") else 20.0)
    assert verdict(result) == (_diagnosis.verdict(identifier), identifier)


@pytest.mark.parametrize("engine", [Engine([]), Engine(KEYS, 2), Away(), Engine(["$(reboot)", "a b", "x.pub"])])
def test_without_a_key_there_is_nothing_to_try(engine: Engine) -> None:
    assert verdict(look(terminal(), engine)) == (None, "CWT-943")


def test_a_container_that_tells_no_keys_in_time_is_not_taken_for_one_without() -> None:
    held = threading.Event()

    class Stuck(Engine):
        def exec(self, container: str, argv: t.Sequence[str], errors: bool = True) -> tuple[int, bytes]:
            held.wait(30)
            return super().exec(container, argv)

    result = look(terminal(), Stuck(), deadline=2.0)
    held.set()
    assert verdict(result) == (None, "CWT-943")
    assert "does not tell Coolify's keys in time" in result["diagnosis"]["cause"]


def test_what_the_server_and_ssh_say_is_told() -> None:
    denied, unlisted = "Permission denied (publickey)", "not in authorized list"
    for words, said in (("keys that let nobody in", denied), ("the host is none to open", unlisted)):
        assert said in look(SESSIONS[words][0])["diagnosis"]["cause"]


@pytest.mark.parametrize("cookies", ["a=1\r\nX: y", "a=ü", "a=\x00"])
def test_cookies_that_are_no_header(cookies: str) -> None:
    with pytest.raises(ValueError, match="session is not the value of a header Cookie"):
        look(terminal(), cookies=cookies)
