"""cloudflared itself judges a new list before it is installed, also the one in a container."""

from __future__ import annotations

from typing import Any, Sequence

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _client
from ansible_collections.selfhosted.coolify.plugins.module_utils.tunnel import _judge

EXPECTED = [{"url": "https://coolify.example.com/terminal/ws", "service": "http://coolify-realtime:6002"}]
ANSWER = "Using rules from {}\nMatched rule #0\n\thostname: coolify.example.com\n\tpath: ^/terminal/ws$\n\tservice: {}\n"
LIST = b"token: planted\ningress: []\n"


class Container:
    """A container of cloudflared without a shell; `answers` are what the program says to `validate` and `rule`."""

    def __init__(self, *answers: tuple[int, str], user: str = "65532:65532", running: bool = True) -> None:
        self.answers = list(answers)
        self.state = {"State": {"Running": running}, "Config": {"User": user}}
        self.files: list[tuple[str, bytes, int, int]] = []
        self.asked: list[list[str]] = []
        self.readonly = False

    def inspect(self, name: str) -> dict[str, Any]:
        assert name == "cloudflare-tunnel"
        return self.state

    def write_file(self, name: str, path: str, data: bytes, mode: int, uid: int, gid: int) -> None:
        if self.readonly:
            raise _client.EngineError("container rootfs is marked read-only", 403)
        self.files.append((path, data, mode, uid))

    def exec(self, name: str, argv: Sequence[str]) -> tuple[int, bytes]:
        assert self.files[-1][1] == LIST
        self.asked.append(list(argv))
        status, text = self.answers.pop(0)
        return status, text.encode()


def judged(container: Any) -> bool:
    return _judge.in_container(container, "cloudflare-tunnel", LIST, EXPECTED)


def right(service: str = "http://coolify-realtime:6002") -> Container:
    return Container((0, "OK\n"), (0, ANSWER.format(_judge.CANDIDATE, service)))


def test_the_program_in_the_container_is_asked_and_nothing_stays_of_the_candidate() -> None:
    """Field case T5."""
    container = right()
    assert judged(container)
    asked = ["cloudflared", "tunnel", "--config", _judge.CANDIDATE, "ingress"]
    assert container.asked == [[*asked, "validate"], [*asked, "rule", EXPECTED[0]["url"]]]
    assert container.files == [(_judge.CANDIDATE, LIST, 0o600, 65532), (_judge.CANDIDATE, b"", 0o600, 0)]


@pytest.mark.parametrize(
    ("container", "said"),
    [
        (Container((1, "Validation failed: no catch-all\n")), "refuses the new list: Validation failed: no catch-all"),
        (right("http://localhost:8000"), "to http://localhost:8000, and not to http://coolify-realtime:6002"),
        (Container((0, "OK"), (1, "bad URL")), "finds no rule"),
        (Container((0, "OK"), (0, "")), "finds no rule"),
    ],
)
def test_a_list_that_it_takes_otherwise_is_refused(container: Container, said: str) -> None:
    with pytest.raises(_judge.RefusedError, match=said):
        judged(container)
    assert container.files[-1][1] == b""


@pytest.mark.parametrize("case", ["stopped", "readonly", "no program"])
def test_one_that_cannot_be_asked_judges_nothing(case: str) -> None:
    container = Container((127, "exec: cloudflared: not found"), running=case != "stopped")
    container.readonly = case == "readonly"
    assert not judged(container)
    assert not container.files or container.files[-1][1] == b""


@pytest.mark.parametrize(
    ("user", "mode", "uid"), [("", 0o600, 0), ("nonroot", 0o600, 65532), ("1000:5", 0o600, 1000), ("me", 0o644, 0)]
)
def test_the_programs_user_can_read_the_candidate(user: str, mode: int, uid: int) -> None:
    container = right()
    container.state["Config"]["User"] = user
    assert judged(container)
    assert container.files[0][2:] == (mode, uid)
