# SPDX-License-Identifier: GPL-3.0-or-later
"""What a handshake asks for, and what an answer in place of the upgrade means."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, quote, unquote, urlsplit

from . import _websocket

#: Whether a URL's scheme is encrypted, and its port where it names none.
SCHEMES = {"http": (False, 80), "ws": (False, 80), "https": (True, 443), "wss": (True, 443)}
_PUSHER_QUERY = "protocol=7&client=js&version=8.4.0&flash=false"
#: Where products that ask people to log in send them, whatever name they have.
LOGIN = re.compile(
    r"cloudflareaccess\.com|/cdn-cgi/access/login|/oauth2/|/outpost\.goauthentik|/authelia|/auth/resource/|/\.pomerium/"
    r"|/openid-connect/auth|/o/oauth2/|[?&]SAMLRequest=|[?&]response_type=",
    re.I,
)
# What a login says beside, or in place of, a redirect.
_LOGIN_PLACES = ("location", "x-tinyauth-location", "x-redirection-url")
_LOGIN_COOKIE = re.compile(r"(^|, )(_oauth2_proxy|CF_AppSession|authelia_session|authentik_proxy)", re.I)
# Checks for robots, which browsers pass: a header's name, and what is in it.
_CHALLENGES = {
    "cf-mitigated": "challenge",
    "x-vercel-mitigated": "challenge",
    "x-amzn-waf-action": "",
    "set-cookie": "techaro.lol-anubis",
}
#: By its words "Unauthorized", which are all of its answer.
_TERMINAL_REFUSAL = "12"
_REDIRECTS = (301, 302, 303, 307, 308)
_TUNNEL_DOWN = (520, 521, 522, 523, 524, 525, 526, 530)


class Fault(Exception):
    """A target is not as expected. `seen` is for the table, `detail` completes the cause."""

    def __init__(self, identifier: str, seen: str, detail: str = "") -> None:
        super().__init__(identifier)
        self.identifier = identifier
        self.seen = seen
        self.detail = detail


def request(url: SplitResult, kind: str, app_key: str, websocket_key: str, cookies: str = "") -> bytes:
    """The bytes to send. Raises ValueError, which says what of the URL cannot be asked for."""
    secure, default_port = SCHEMES[url.scheme]
    try:
        name = str(url.hostname).encode("idna").decode("ascii") if not str(url.hostname).isascii() else url.hostname
    except UnicodeError:
        raise ValueError("its host is no host name") from None
    host = f"[{name}]" if ":" in str(name) else str(name)
    if url.port and url.port != default_port:
        host += f":{url.port}"
    path, query = url.path or "/", url.query
    if kind == "app":
        path, query = f"{path.rstrip('/')}/{quote(app_key, safe='')}", _PUSHER_QUERY
    target = f"{path}?{query}" if query else path
    origin = ("https://" if secure else "http://") + host
    return _websocket.request(target, host, origin, None if kind == "http" else websocket_key, cookies)


def refusal(answer: _websocket.Answer, upgrade: bool, url: SplitResult) -> Fault:
    """What an HTTP status means in place of the upgrade."""
    status = answer.status
    location = answer.headers.get("location", "")
    if any(name in answer.headers and word in answer.headers[name] for name, word in _CHALLENGES.items()):
        return Fault("CWT-835", f"{status} challenge")
    if status in (*_REDIRECTS, 401, 403, 407) and _asks_to_log_in(answer, url):
        return Fault("CWT-831", f"{status} login page", _place(location))
    if status in _REDIRECTS:
        if _same_but_encrypted(location, url):
            return Fault("CWT-918", f"{status} to https")
        if upgrade and _same_site(location, url):
            # Coolify's own pages send whoever is not logged in to another page.
            return Fault("CWT-912", f"{status} to a page", _place(location))
        return Fault("CWT-913", f"{status} redirect", _place(location))
    if status == 404:
        return Fault("CWT-911" if upgrade else "CWT-917", "404")
    if status in (401, 403, 407):
        return Fault("CWT-916", str(status))
    if status in (502, 503, 504):
        return Fault("CWT-914", str(status))
    if status in _TUNNEL_DOWN:
        return Fault("CWT-832", str(status))
    if upgrade and status in (400, 426):
        return Fault("CWT-915", str(status))
    if upgrade and status == 200:
        return Fault("CWT-912", "200 page")
    return Fault("CWT-917", str(status), str(status))


def by_terminal_server(answer: _websocket.Answer) -> bool:
    """Whether a 401 is the terminal server's own, and not that of a login in front of it."""
    headers = answer.headers
    foreign = any(name in headers for name in ("www-authenticate", *_LOGIN_PLACES))
    return answer.status == 401 and not foreign and headers.get("content-length", _TERMINAL_REFUSAL) == _TERMINAL_REFUSAL


def _asks_to_log_in(answer: _websocket.Answer, url: SplitResult) -> bool:
    """By where it sends people: to a known place, or to one that is told where they came from."""
    if _LOGIN_COOKIE.search(answer.headers.get("set-cookie", "")):
        return True
    for location in (answer.headers.get(name, "") for name in _LOGIN_PLACES):
        carried = unquote(unquote(location.partition("?")[2])).lower()
        if LOGIN.search(location) or f"//{url.hostname}" in carried or (url.path != "/" and f"={url.path}" in carried):
            return True
    return False


def _same_but_encrypted(location: str, url: SplitResult) -> bool:
    try:
        parts = urlsplit(location)
        there = (parts.scheme, parts.hostname, parts.port or 443)
    except ValueError:
        return False
    return not SCHEMES[url.scheme][0] and there == ("https", url.hostname, 443) and parts.path.startswith(url.path)


def _same_site(location: str, url: SplitResult) -> bool:
    try:
        parts = urlsplit(location)
        if not parts.netloc:
            return True
        return (parts.scheme in ("https", "wss"), parts.hostname) == (SCHEMES[url.scheme][0], url.hostname)
    except ValueError:
        return False


def _place(location: str) -> str:
    """A redirect's address without its query, which may carry tokens."""
    try:
        parts = urlsplit(location)
        return "to " + printable(f"{parts.scheme}://{parts.hostname}{parts.path}" if parts.netloc else parts.path)
    except ValueError:
        return ""


def printable(text: str) -> str:
    """What others sent, safe to be shown on a terminal, and short."""
    return "".join(character for character in text if character.isascii() and character.isprintable())[:120]
