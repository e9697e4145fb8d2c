# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands where a Coolify should, in words, as a server's behaviour, and by the diagnosis that it has to be given.

The words go into docs/diagnoses.md.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import time
import typing as t

Serve = t.Callable[[socket.socket, bytes], None]


def accept_of(request: bytes) -> bytes:
    key = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:")).split(b": ")[1]
    return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def upgrade(request: bytes, more: bytes = b"") -> bytes:
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + accept_of(request)
        + b"\r\n"
        + more
        + b"\r\n"
    )


def frame(payload: bytes, opcode: int = 1, final: bool = True) -> bytes:
    head = bytes([(0x80 if final else 0) | opcode])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    return head + bytes([126]) + struct.pack("!H", len(payload)) + payload


def event(name: str, **data: t.Any) -> bytes:
    return frame(json.dumps({"event": name, "data": json.dumps(data)}).encode())


ESTABLISHED = event("pusher:connection_established", socket_id="1.1", activity_timeout=30)
UNKNOWN_KEY = event("pusher:error", code=4001, message="App key does not exist.")


def answering(answer: bytes) -> Serve:
    return lambda connection, _request: connection.sendall(answer)


def upgrading(*frames: bytes, more: bytes = b"") -> Serve:
    def serve(connection: socket.socket, request: bytes) -> None:
        connection.sendall(upgrade(request, more) + b"".join(frames))
        connection.recv(4096)

    return serve


def closing(code: int) -> bytes:
    return frame(struct.pack("!H", code), 8)


# What opens at the terminal's path, by its frames.
TERMINALS: dict[str, tuple[list[bytes], str]] = {
    "silence": ([], "CWT-938"),
    "a word": ([frame(b"x")], "CWT-938"),
    "many words": ([frame(b"x")] * 20, "CWT-938"),
    "closed, since Coolify could not be asked": ([closing(1011)], "CWT-119"),
    "closed as if all were well": ([closing(1000)], "CWT-933"),
    "closed without code": ([frame(b"", 8)], "CWT-933"),
}

# What answers the request for an upgrade.
ANSWERS: dict[str, tuple[bytes, str]] = {
    "404": (b"HTTP/1.1 404 Not Found\r\n\r\n", "CWT-911"),
    "page": (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>", "CWT-912"),
    "page after a redirect": (b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n", "CWT-912"),
    "redirect loop": (b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1/app/\r\n\r\n", "CWT-912"),
    "redirect to another page by https": (b"HTTP/1.1 301 Moved\r\nLocation: https://127.0.0.1/\r\n\r\n", "CWT-913"),
    "redirect to another host": (b"HTTP/1.1 307 Moved\r\nLocation: http://x.example/?token=S3CRET\r\n\r\n", "CWT-913"),
    "redirect to nonsense": (b"HTTP/1.1 308 Moved\r\nLocation: http://[::1\r\n\r\n", "CWT-913"),
    "access login": (
        b"HTTP/1.1 302 Found\r\nLocation: https://t.cloudflareaccess.com/cdn-cgi/access/login/x?kid=S3CRET\r\n\r\n",
        "CWT-831",
    ),
    "bad gateway": (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "CWT-914"),
    "unavailable": (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "CWT-914"),
    "gateway timeout": (b"HTTP/1.1 504 Gateway Timeout\r\n\r\n", "CWT-914"),
    "tunnel down": (b"HTTP/1.1 530 \r\n\r\n", "CWT-832"),
    "headers lost": (b"HTTP/1.1 426 Upgrade Required\r\n\r\n", "CWT-915"),
    "bad request": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "CWT-915"),
    "basic auth": (b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\n\r\n", "CWT-916"),
    "forbidden": (b"HTTP/1.1 403 Forbidden\r\n\r\n", "CWT-916"),
    "server error": (b"HTTP/1.1 500 Error\r\n\r\n", "CWT-917"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", "CWT-921"),
    "TLS alert": (b"\x15\x03\x01\x00\x02\x02\x0a", "CWT-921"),
    "HTTP/2": (b"HTTP/2 200\r\n\r\n", "CWT-921"),
    "broken header": (b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n", "CWT-921"),
    "half a header": (b"HTTP/1.1 101 Switch", "CWT-921"),
    "nothing": (b"", "CWT-904"),
}

_OIDC = "client_id=x&redirect_uri=https%3A%2F%2F{}&response_type=code&scope=openid&state=S3CRET"
# What answers in front of a Coolify, as the products themselves document it: status and headers, in which {url}, {path} and, in
# percent form, {quoted} and {quoted_path} are what was asked for. A WebSocket asks for no HTML, and is often told so by 401.
PRODUCTS: dict[str, tuple[int, dict[str, str], str]] = {
    "Cloudflare Access": (
        302,
        {
            "location": "https://team.cloudflareaccess.com/cdn-cgi/access/login/coolify.example.com"
            "?kid=x&redirect_url={quoted_path}&meta=S3CRET"
        },
        "CWT-831",
    ),
    "Authelia": (302, {"location": "https://auth.example.org/?rd={quoted}&rm=GET"}, "CWT-831"),
    "Authelia, for a WebSocket": (401, {"location": "https://sso.example.org/?rd={quoted}&rm=GET"}, "CWT-831"),
    "Pangolin": (302, {"location": "https://pangolin.example.org/auth/resource/5e1b?redirect={quoted}"}, "CWT-831"),
    "Pangolin with header authentication": (401, {"www-authenticate": 'Basic realm="pangolin"'}, "CWT-916"),
    "tinyauth": (307, {"location": "https://in.example.org/login?redirect_uri={quoted}"}, "CWT-831"),
    "tinyauth, for a WebSocket": (
        401,
        {"x-tinyauth-location": "https://in.example.org/login?login_for=app&redirect_uri={quoted}"},
        "CWT-831",
    ),
    "authentik, one application": (
        302,
        {"location": "https://coolify.example.com/outpost.goauthentik.io/start?rd={quoted}"},
        "CWT-831",
    ),
    "authentik, a domain": (
        302,
        {"location": "https://id.example.org/application/o/authorize/?" + _OIDC.format("id.example.org%2Fcallback")},
        "CWT-831",
    ),
    "oauth2-proxy behind nginx": (302, {"location": "/oauth2/sign_in?rd={path}"}, "CWT-831"),
    "oauth2-proxy's own page": (403, {"set-cookie": "_oauth2_proxy=; Path=/; Max-Age=0; HttpOnly"}, "CWT-831"),
    "Keycloak": (
        302,
        {
            "location": "https://sso.example.org/realms/home/protocol/openid-connect/auth?"
            + _OIDC.format("coolify.example.com%2Foauth%2Fcallback")
        },
        "CWT-831",
    ),
    "Pomerium": (
        302,
        {"location": "https://authenticate.example.org/.pomerium/sign_in?pomerium_redirect_uri={quoted}&sig=S3CRET"},
        "CWT-831",
    ),
    "Pomerium, for a WebSocket": (401, {"content-type": "application/json", "content-length": "63"}, "CWT-916"),
    "Vouch Proxy": (302, {"location": "https://vouch.example.org/login?url={url}&vouch-failcount=&error="}, "CWT-831"),
    "AuthCrunch in Caddy": (302, {"location": "/auth?redirect_url={quoted}"}, "CWT-831"),
    "AWS load balancer": (
        302,
        {"location": "https://idp.example.org/authorize?" + _OIDC.format("coolify.example.com%2Foauth2%2Fidpresponse")},
        "CWT-831",
    ),
    "Google IAP": (
        302,
        {"location": "https://accounts.google.com/o/oauth2/v2/auth?" + _OIDC.format("iap.googleapis.com")},
        "CWT-831",
    ),
    "Google IAP, for a WebSocket": (
        401,
        {"x-goog-iap-generated-response": "true", "content-type": "text/html", "content-length": "37"},
        "CWT-916",
    ),
    "SAML of any product": (302, {"location": "https://idp.example.org/sso?SAMLRequest=S3CRET&RelayState=x"}, "CWT-831"),
    "access list of Nginx Proxy Manager": (401, {"www-authenticate": 'Basic realm="Authorization required"'}, "CWT-916"),
    "Cloudflare's challenge": (403, {"cf-mitigated": "challenge", "server": "cloudflare"}, "CWT-835"),
    "a rule of Cloudflare's that blocks": (403, {"server": "cloudflare"}, "CWT-916"),
    "Vercel's challenge": (429, {"x-vercel-mitigated": "challenge"}, "CWT-835"),
    "Vercel's firewall": (403, {"x-vercel-mitigated": "deny"}, "CWT-916"),
    "AWS WAF's challenge": (202, {"x-amzn-waf-action": "challenge"}, "CWT-835"),
    "AWS WAF's puzzle": (405, {"x-amzn-waf-action": "captcha"}, "CWT-835"),
    "Anubis": (200, {"set-cookie": "techaro.lol-anubis-cookie-verification=S3CRET; Path=/"}, "CWT-835"),
    "Traefik's redirection of an entry point": (308, {"location": "https://coolify.example.com{path}"}, "CWT-918"),
    "nginx's or Cloudflare's way to https": (301, {"location": "https://coolify.example.com:443{path}"}, "CWT-918"),
    "another port by https": (301, {"location": "https://coolify.example.com:8443{path}"}, "CWT-913"),
    "another name by https": (301, {"location": "https://www.example.com{path}"}, "CWT-913"),
    "cloudflared without a connection": (530, {"server": "cloudflare"}, "CWT-832"),
    "Cloudflare without the origin": (522, {"server": "cloudflare"}, "CWT-832"),
    "Reverb without Upgrade": (500, {"content-type": "text/plain"}, "CWT-917"),
    "Traefik without a router": (404, {"x-content-type-options": "nosniff"}, "CWT-911"),
    "Coolify's page": (302, {"location": "http://coolify.example.com/login", "server": "nginx"}, "CWT-912"),
}


def trickle(data: bytes) -> Serve:
    def serve(connection: socket.socket, _request: bytes) -> None:
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)

    return serve


def silence(connection: socket.socket, _request: bytes) -> None:
    connection.recv(1)


def endless(piece: bytes, head: bool = False) -> Serve:
    def serve(connection: socket.socket, request: bytes) -> None:
        connection.sendall(upgrade(request) if head else b"")
        while True:
            connection.sendall(piece)

    return serve


def wrong_accept(connection: socket.socket, _request: bytes) -> None:
    connection.sendall(upgrade(b"Sec-WebSocket-Key: bm90IHlvdXJz") + ESTABLISHED)
    connection.recv(1)


def no_upgrade_header(connection: socket.socket, request: bytes) -> None:
    connection.sendall(upgrade(request).replace(b"Upgrade: websocket\r\n", b"") + ESTABLISHED)
    connection.recv(1)


def reset(connection: socket.socket, _request: bytes) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def then_reset(connection: socket.socket, request: bytes) -> None:
    connection.sendall(upgrade(request))
    time.sleep(0.05)
    reset(connection, request)


# What a realtime server would never do.
HOSTILE: dict[str, tuple[Serve, str]] = {
    "silence": (silence, "CWT-905"),
    "reset": (reset, "CWT-904"),
    "trickle": (trickle(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" + b"X: y\r\n" * 99), "CWT-906"),
    "endless header line": (endless(b"HTTP/1.1 101 X" + b"x" * 65536), "CWT-922"),
    "endless headers": (endless(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 9999), "CWT-922"),
    "endless 100 Continue": (endless(b"HTTP/1.1 100 Continue\r\n\r\n"), "CWT-922"),
    "endless noise": (endless(b"\0" * 65536), "CWT-921"),
    "wrong accept": (wrong_accept, "CWT-923"),
    "no upgrade header": (no_upgrade_header, "CWT-923"),
    "extension": (upgrading(ESTABLISHED, more=b"Sec-WebSocket-Extensions: permessage-deflate\r\n"), "CWT-924"),
    "subprotocol": (upgrading(ESTABLISHED, more=b"Sec-WebSocket-Protocol: chat\r\n"), "CWT-924"),
    "masked frame": (upgrading(bytes([0x81, 0x82, 1, 2, 3, 4, 5, 6])), "CWT-931"),
    "compressed frame": (upgrading(bytes([0xC1, 2]) + b"{}"), "CWT-931"),
    "reserved opcode": (upgrading(bytes([0x83, 0])), "CWT-931"),
    "fragmented ping": (upgrading(bytes([0x09, 0])), "CWT-931"),
    "long ping": (upgrading(bytes([0x89, 126, 0, 200]) + b"x" * 200), "CWT-931"),
    "continuation of nothing": (upgrading(frame(b"x", 0)), "CWT-931"),
    "message in a message": (upgrading(frame(b"x", 1, False), frame(b"y", 1)), "CWT-931"),
    "oversized frame": (upgrading(bytes([0x81, 127]) + struct.pack("!Q", 1 << 40)), "CWT-932"),
    "negative length": (upgrading(bytes([0x81, 127]) + b"\xff" * 8), "CWT-932"),
    "endless pings": (endless(frame(b"", 9) * 999, head=True), "CWT-932"),
    "endless pieces": (endless(frame(b"", 0, False) * 999, head=True), "CWT-931"),
    "endless empty pieces": (upgrading(frame(b"", 1, False), frame(b"", 0, False) * 65536), "CWT-932"),
    "closed at once": (upgrading(frame(struct.pack("!H", 1011) + b"\x1b[31m", 8)), "CWT-933"),
    "closed without code": (upgrading(frame(b"", 8)), "CWT-933"),
    "ended after 101": (lambda connection, request: connection.sendall(upgrade(request)), "CWT-933"),
    "reset after 101": (then_reset, "CWT-933"),
    "silence after 101": (upgrading(), "CWT-934"),
    "half a frame": (upgrading(ESTABLISHED[:9]), "CWT-934"),
    "binary noise": (upgrading(frame(b"\xff\xfe", 2)), "CWT-935"),
    "no JSON": (upgrading(frame(b"hello")), "CWT-935"),
    "JSON of another kind": (upgrading(frame(b"[1]")), "CWT-935"),
    "deep JSON": (upgrading(frame(b"[" * 60000)), "CWT-935"),
    "deep data": (upgrading(frame(json.dumps({"event": "x", "data": "[" * 60000}).encode())), "CWT-935"),
    "another event": (upgrading(event("chat")), "CWT-935"),
    "error without code": (upgrading(event("pusher:error")), "CWT-935"),
    "code of another type": (upgrading(event("pusher:error", code="4001")), "CWT-935"),
    "over quota": (upgrading(event("pusher:error", code=4004)), "CWT-937"),
}

# Certificates by name, first and last day from today on, and whether their authority is known.
NAME = "coolify.example.com"
CERTIFICATES: dict[str, tuple[str, int, int, bool, str]] = {
    "expired": (NAME, -2, -1, True, "CWT-821"),
    "not yet valid": (NAME, 1, 2, True, "CWT-821"),
    "another name": ("traefik.default", -1, 1, True, "CWT-822"),
    "unknown authority": (NAME, -1, 1, False, "CWT-823"),
}


def message(connection: socket.socket) -> dict[str, t.Any]:
    """The next message of a client; what it masks is read with its mask."""

    def take(count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = connection.recv(count - len(data))
            if not more:
                raise ConnectionError
            data += more
        return data

    _opcode, size = take(2)
    length = size & 127
    if length == 126:
        length = int.from_bytes(take(2), "big")
    mask = take(4)
    return json.loads(bytes(byte ^ mask[index % 4] for index, byte in enumerate(take(length))))


def terminal(*turns: t.Sequence[str], asked: list[t.Any] | None = None) -> Serve:
    """Upgrades, and answers each message of a client with the texts of the next turn."""
    kept: list[t.Any] = [] if asked is None else asked

    def serve(connection: socket.socket, request: bytes) -> None:
        kept.append(request)
        connection.sendall(upgrade(request))
        for turn in turns:
            kept.append(message(connection))
            for text in turn:
                connection.sendall(frame(text.encode()))
        connection.recv(1)

    return serve


PROMPT = "root@host:~# "
DENIED = "root@host.docker.internal: Permission denied (publickey).\r\n"
# For whoever brings a session and two keys of Coolify's.
SESSIONS: dict[str, tuple[Serve, str]] = {
    "the session is refused": (
        answering(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 12\r\n\r\nUnauthorized"),
        "CWT-941",
    ),
    "the session is sent away": (upgrading(closing(4401)), "CWT-941"),
    "the session's token is sent away": (upgrading(closing(4403)), "CWT-941"),
    "the host is none to open": (terminal(["Unauthorized: Target host host.docker.internal not in authorized list"]), "CWT-942"),
    "silence after the command": (terminal([]), "CWT-942"),
    "talk that is no terminal's": (endless(frame(b"x" * 999) * 99, head=True), "CWT-942"),
    "keys that let nobody in, told at once": (terminal(*[["pty-ready", DENIED + "pty-exited"]] * 2), "CWT-943"),
    "keys that let nobody in": (terminal(*[["pty-ready", DENIED], ["pty-exited"]] * 2), "CWT-943"),
    "what is typed is not answered": (terminal(["pty-ready", PROMPT], ["unset"]), "CWT-944"),
    "Coolify cannot be asked": (upgrading(closing(1011)), "CWT-119"),
    "404 for the session": (answering(b"HTTP/1.1 404 No\r\n\r\n"), "CWT-945"),
}

# What comes before any of this, and needs a set-up of its own.
NO_TLS = ("plain HTTP where TLS is asked for", "CWT-824")
NO_RESOLVER = ("a resolver that never answers", "CWT-812")


def by_diagnosis() -> t.Iterator[tuple[str, str]]:
    """Each id, and one of the faults above that it is given to, in words."""
    kinds: dict[str, t.Any] = {"terminal": TERMINALS, "answer": ANSWERS, "product": PRODUCTS, "server": HOSTILE}
    kinds.update(certificate=CERTIFICATES, session=SESSIONS)
    for kind, table in kinds.items():
        for words, entry in table.items():
            yield entry[-1], f"{kind}: {words}"
    yield NO_TLS[1], NO_TLS[0]
    yield NO_RESOLVER[1], NO_RESOLVER[0]
