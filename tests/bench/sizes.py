"""Whether a line of .env and of http.conf costs more where there are many of them."""

from __future__ import annotations

import tempfile
import time
import typing as t
from pathlib import Path

from figures import Figure

from ansible_collections.selfhosted.coolify.plugins.module_utils.env import _effective, _memory
from ansible_collections.selfhosted.coolify.plugins.module_utils.keeper import _inplace_file
from ansible_collections.selfhosted.coolify.plugins.module_utils.nginx import _http_conf

SIZES = (10, 100, 1_000, 10_000, 100_000)
_ENV = ("# what {0} is for", "KEY_{0}=value-{0}", 'QUOTED_{0}="a b # ${{KEY_{0}}}"', "")
_HTTP_CONF = ("location /p{0} {{", "    # of {0}", "    return 200;", "}}")
_VALUES = {"PUSHER_HOST": "coolify.example.com", "PUSHER_PORT": "443"}


def _lines(pattern: tuple[str, ...], count: int) -> str:
    # A multiple of four and two more, of which one is what is edited.
    many = (pattern[number % 4].format(number // 4) for number in range((count - 2) // 4 * 4))
    return "".join(f"{line}\n" for line in many)


def _env(text: str) -> None:
    """Written, and given back with what somebody put around it since: what ``pusher_env`` does with the file."""
    with tempfile.TemporaryDirectory() as folder:
        path, state = Path(folder) / ".env", str(Path(folder) / "state")
        before = f"APP_ID=1\n{text}PUSHER_HOST=203.0.113.7\n".encode()
        path.write_bytes(before)
        for back in (False, True):
            with _inplace_file.InPlaceFile(str(path), state) as file:
                environment = _effective.Environment(file, _memory.EnvMemory(state, str(path)), None)
                change = environment.given_back() if back else environment.wanted(_VALUES)
                environment.carry_out(change, True, False, 0, lambda _seconds: [])
            if not back:
                path.write_bytes(b"FIRST=1\n" + path.read_bytes() + b"LAST=1\n")
        assert path.read_bytes() == b"FIRST=1\n" + before + b"LAST=1\n"


def _http(text: str) -> None:
    """Read, treated, found treated, and given back: what ``nginx_snippet`` and the service do with the file."""
    before = f"listen 8080;\n{text}server_name _;\n"
    treated = _http_conf.apply(before).text
    assert not _http_conf.apply(treated).changed
    assert _http_conf.remove(treated).text == before


def grown(_bench: t.Any = None) -> list[Figure]:
    """For each file: of all sizes, how many times the cost of a line at the cheapest smaller one is that of a line."""
    found = []
    for name, work, pattern in ((".env", _env, _ENV), ("http.conf", _http, _HTTP_CONF)):
        costs: list[float] = []
        worst = 0.0
        for size in SIZES:
            text = _lines(pattern, size)
            times = []
            for _again in range(max(1, min(20, 20_000 // size))):
                began = time.process_time()
                work(text)
                times.append(time.process_time() - began)
            costs.append(min(times) / size)
            worst = max(worst, costs[-1] / min(costs))
        shown = ", ".join(f"{cost * 1e6:.0f}" for cost in costs)
        lines = f"{name} of {SIZES[0]} to {SIZES[-1]:,} lines ({shown} µs a line)"
        found.append(Figure(f"{lines}: a line against the cheapest of a smaller file", worst, 2.0, "times"))
    return found
