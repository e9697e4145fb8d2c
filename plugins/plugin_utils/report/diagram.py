# SPDX-License-Identifier: GPL-3.0-or-later
"""The way of a WebSocket from the browser to the container, as boxes and lines, each box with the state of its hop."""

from __future__ import annotations

import typing as t

Json = t.Mapping[str, t.Any]

#: In pixels of the drawing, which is as wide as a phone's page, so that its letters are not made smaller there.
WIDTH, HEIGHT = 360, 44
_LEFT, _RIGHT, _COLUMN = 0, 188, 172
_STEP = HEIGHT + 22
_TOP = 54


class Box(t.NamedTuple):
    """`state` is good, bad, unknown, off (left out, or not on this host's way), or plain where there is nothing to look at."""

    title: str
    text: str
    state: str
    x: int
    y: int
    width: int
    height: int = HEIGHT


class Line(t.NamedTuple):
    """An arrow from above to below."""

    x: int
    y: int
    end: int


class Diagram(t.NamedTuple):
    boxes: list[Box]
    lines: list[Line]
    captions: list[tuple[str, int]]
    height: int


#: What is drawn: name, title, the hops whose rows it shows, the end of the path that those rows are of, row, left, width.
_WAY: tuple[tuple[str, tuple[str, ...], str, int, int, int], ...] = (
    ("Domain", ("domain",), "", 0, _LEFT, _COLUMN),
    ("Tailscale", ("tailscale",), "", 0, _RIGHT, _COLUMN),
    ("Cloudflare Tunnel", ("tunnel",), "", 1, _LEFT, _COLUMN),
    ("Firewall", ("firewall",), "", 1, _RIGHT, _COLUMN),
    ("Proxy", ("traefik", "caddy"), "", 2, _LEFT, _COLUMN),
    ("nginx in the container coolify", ("nginx",), "", 3, _LEFT, 316),
    ("Realtime, 6001", ("realtime",), "app", 4, _LEFT, _COLUMN),
    ("Terminal, 6002", ("realtime",), "terminal", 4, _RIGHT, _COLUMN),
)
_BESIDE = (
    ("The host", "host"),
    ("Coolify", "app"),
    ("PUSHER_* in .env", "environment"),
    ("Live updates", "broadcast"),
    ("Self-heal service", "self-heal"),
)
_SIGNS = {"/app": "app", "/terminal/ws": "terminal"}


def diagram(host: Json) -> Diagram:
    """The boxes of one host of a report, by its rows."""
    rows: list[Json] = host["rows"]
    looked = bool(host.get("plan"))
    boxes = [
        Box("Browser on the internet", "", "plain", _LEFT, 0, _COLUMN, 32),
        Box("Browser on the tailnet", "", "plain", _RIGHT, 0, _COLUMN, 32),
    ]
    for title, hops, end, row, x, width in _WAY:
        own = [one for one in rows if one["hop"] in hops and _leads(one["url"], end)]
        if title == "Proxy":
            title = {"traefik": "Traefik", "caddy": "Caddy"}.get(own[0]["hop"] if own else "", title)
        boxes.append(Box(title, *state(own, looked), x, _TOP + row * _STEP, width))
    end_y = _TOP + 5 * _STEP
    prompts = [one for one in rows if one["hop"] == "terminal"]
    shown = state(prompts, looked) if prompts else ("", "plain")
    boxes.append(Box("SSH to the container of the terminal", *shown, _LEFT, end_y, WIDTH, HEIGHT if prompts else 32))
    drawn = {hop for _title, hops, *_place in _WAY for hop in hops} | {hop for _title, hop in _BESIDE} | {"terminal"}
    others = dict.fromkeys(row["hop"] for row in rows if row["hop"] not in drawn)
    beside = [*_BESIDE, *((hop, hop) for hop in others)]
    start = end_y + 72
    for number, (title, hop) in enumerate(beside):
        own = [one for one in rows if one["hop"] == hop]
        x, y = (_LEFT, _RIGHT)[number % 2], start + number // 2 * (HEIGHT + 10)
        # A host that could be looked at has no row that says so.
        shown = ("as it should be", "good") if hop == "host" and looked and not own else state(own, looked)
        boxes.append(Box(title, *shown, x, y, _COLUMN))
    lines = [Line(_LEFT + 86, y, end) for y, end in _gaps(32, 0, 1, 2, 3, 4)]
    lines += [Line(_RIGHT + 64, y, end) for y, end in _gaps(32, 0, 1)]
    lines.append(Line(_RIGHT + 64, _TOP + _STEP + HEIGHT, _TOP + 3 * _STEP))
    lines.append(Line(_RIGHT + 64, _TOP + 3 * _STEP + HEIGHT, _TOP + 4 * _STEP))
    # On the tailnet the two servers are also reached at their own ports, past nginx.
    lines.append(Line(_RIGHT + 150, _TOP + _STEP + HEIGHT, _TOP + 4 * _STEP))
    lines.append(Line(_RIGHT + 64, _TOP + 4 * _STEP + HEIGHT, end_y))
    return Diagram(boxes, lines, [("On the server", start - 12)], start + (len(beside) + 1) // 2 * (HEIGHT + 10))


def state(rows: t.Sequence[Json], looked: bool = True) -> tuple[str, str]:
    """In words, and as the state of a `Box`. Of no row: not on the way, where the host was looked at at all."""
    bad = len({row["id"] for row in rows if row["ok"] is False})
    if bad:
        return (f"{bad} faults" if bad > 1 else "a fault"), "bad"
    if not looked or any(row["ok"] is None for row in rows):
        some = " in part" if any(row["ok"] for row in rows) else ""
        return f"not looked at{some}", "unknown"
    if not rows:
        return "not on the way", "off"
    if all(row["seen"] == "not wanted" for row in rows):
        return "left out", "off"
    return "as it should be", "good"


def _leads(url: str, end: str) -> bool:
    """Whether a row belongs to a box for one of the two paths; what is of neither belongs to both."""
    path = url.rstrip("/")
    found = next((kind for sign, kind in _SIGNS.items() if path.endswith(sign)), end)
    return not end or found == end


def _gaps(first: int, *rows: int) -> list[tuple[int, int]]:
    """Where an arrow begins and ends that leads to each of these rows."""
    return [(_TOP + (row - 1) * _STEP + HEIGHT if row else first, _TOP + row * _STEP) for row in rows]
