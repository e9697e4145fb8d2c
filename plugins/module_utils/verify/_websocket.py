# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's side of RFC 6455, without a socket: bytes of a request out, bytes of an answer in.

Everything read is bounded, since what answers may be anything.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import struct
import typing as t

#: A proxy's own limits are 8 to 32 KiB for a whole header.
HEADER_LIMIT = 32768
#: The greeting of a realtime server has some hundred bytes.
PAYLOAD_LIMIT = 65536

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_CONTINUATION = 0x0
_BODY = 64

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?")

#: Returns some bytes, at most so many as it likes, or none at the end of the stream.
Read = t.Callable[[], bytes]


class ProtocolError(Exception):
    """The other side broke the protocol. ``kind`` is one of the constants below."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


NOT_HTTP, HEADER_TOO_LARGE, NOT_WEBSOCKET, FRAME_TOO_LARGE, ENDED = "not-http", "header", "frames", "large", "ended"


class Answer(t.NamedTuple):
    """Status, and headers by their names in lower case; of a name that came more than once, all values with commas."""

    status: int
    headers: dict[str, str]


class Frame(t.NamedTuple):
    """A whole message, or a control frame."""

    opcode: int
    payload: bytes


def new_key() -> str:
    """A fresh Sec-WebSocket-Key."""
    return base64.b64encode(os.urandom(16)).decode("ascii")


def request(target: str, host: str, origin: str, key: str | None, cookies: str = "") -> bytes:
    """A GET of `target`, as an upgrade where a `key` is given. Raises ValueError for what would break out of its line."""
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", "User-Agent: selfhosted.coolify"]
    if key is None:
        lines += ["Accept: */*", "Connection: close"]
    else:
        lines += [
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Origin: {origin}",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
        ]
    if cookies:
        lines.append(f"Cookie: {cookies}")
    if any(not line.isascii() or not line.isprintable() for line in lines):
        raise ValueError("it has characters that must be written in percent form")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def accepts(answer: Answer, key: str) -> bool:
    """Whether a 101 belongs to the handshake with this key (RFC 6455, 4.1)."""
    expected = base64.b64encode(hashlib.sha1(key.encode("ascii") + _GUID).digest())
    return (
        answer.headers.get("upgrade", "").lower() == "websocket"
        and "upgrade" in [word.strip().lower() for word in answer.headers.get("connection", "").split(",")]
        and answer.headers.get("sec-websocket-accept", "").encode("latin-1") == expected
    )


class Reader:
    """Reads an HTTP answer, then frames, from the stream that ``read`` gives."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._buffer = b""

    def answer(self) -> Answer:
        """The final answer, past any 1xx before it but 101. Raises ProtocolError: NOT_HTTP, HEADER_TOO_LARGE or ENDED."""
        taken = 0
        while True:
            while b"\r\n\r\n" not in self._buffer:
                if taken + len(self._buffer) > HEADER_LIMIT:
                    raise ProtocolError(HEADER_TOO_LARGE)
                # Told before the end of the header, which a server of another kind may never send.
                if self._buffer and not b"HTTP/1.".startswith(self._buffer[:7]):
                    raise ProtocolError(NOT_HTTP)
                self._more()
            head, _separator, self._buffer = self._buffer.partition(b"\r\n\r\n")
            taken += len(head) + 4
            if taken > HEADER_LIMIT:
                raise ProtocolError(HEADER_TOO_LARGE)
            answer = _parse(head)
            if answer.status >= 200 or answer.status == 101:
                return answer

    def body(self) -> bytes:
        """The beginning of what follows an answer, as it comes; some bytes more may be the next answer's."""
        try:
            while len(self._buffer) < _BODY:
                self._more()
        except ProtocolError:
            pass
        return self._buffer[:_BODY]

    def message(self) -> Frame:
        """The next whole message or close frame; pings and pongs in between are passed over.

        Raises ProtocolError: NOT_WEBSOCKET, FRAME_TOO_LARGE or ENDED.
        """
        parts: list[bytes] = []
        first = 0
        total = 0
        while True:
            final, frame = self._frame()
            # Each counts at least so much that a run of empty ones ends by their number, before it ends by the clock.
            total += max(len(frame.payload), 64)
            if total > PAYLOAD_LIMIT:
                raise ProtocolError(FRAME_TOO_LARGE)
            if frame.opcode == CLOSE:
                return frame
            if frame.opcode in (PING, PONG):
                continue
            if (frame.opcode == _CONTINUATION) != bool(first):
                raise ProtocolError(NOT_WEBSOCKET)
            first = first or frame.opcode
            parts.append(frame.payload)
            if final:
                return Frame(first, b"".join(parts))

    def _frame(self) -> tuple[bool, Frame]:
        start, second = self._take(2)
        final, opcode, length = bool(start & 0x80), start & 0x0F, second & 0x7F
        known = opcode in (_CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG)
        # Reserved bits belong to extensions, of which none was asked for; a server never masks (RFC 6455, 5.1, 5.2).
        if start & 0x70 or second & 0x80 or not known:
            raise ProtocolError(NOT_WEBSOCKET)
        if opcode >= CLOSE and (length > 125 or not final):
            raise ProtocolError(NOT_WEBSOCKET)
        if length == 126:
            length = struct.unpack("!H", self._take(2))[0]
        elif length == 127:
            length = struct.unpack("!Q", self._take(8))[0]
        if length > PAYLOAD_LIMIT:
            raise ProtocolError(FRAME_TOO_LARGE)
        return final, Frame(opcode, self._take(length))

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def _more(self) -> None:
        data = self._read()
        if not data:
            raise ProtocolError(ENDED)
        self._buffer += data


def closing() -> bytes:
    """A masked close frame, 1000 (normal), as RFC 6455, 5.5.1 has it."""
    return _masked(CLOSE, struct.pack("!H", 1000))


def text(payload: bytes) -> bytes:
    """A masked text frame with less than 64 KiB."""
    return _masked(TEXT, payload)


def _masked(opcode: int, payload: bytes) -> bytes:
    mask, length = os.urandom(4), len(payload)
    size = bytes([0x80 | length]) if length < 126 else struct.pack("!BH", 0x80 | 126, length)
    return bytes([0x80 | opcode]) + size + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def close_code(frame: Frame) -> int:
    """The code in a close frame, 1005 where there is none (RFC 6455, 7.1.5)."""
    return int(struct.unpack("!H", frame.payload[:2])[0]) if len(frame.payload) >= 2 else 1005


def _parse(head: bytes) -> Answer:
    lines = head.split(b"\r\n")
    match = _STATUS_LINE.fullmatch(lines[0])
    if match is None:
        raise ProtocolError(NOT_HTTP)
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, separator, value = line.decode("latin-1").partition(":")
        if not separator or not name or name != name.strip():
            raise ProtocolError(NOT_HTTP)
        name = name.lower()
        value = value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Answer(int(match[1]), headers)
