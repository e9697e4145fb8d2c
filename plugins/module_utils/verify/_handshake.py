# SPDX-License-Identifier: GPL-3.0-or-later
"""Real handshakes with a list of URLs, all at once and by one deadline, and what each tells about its hop.

A target is a mapping: `name`; `url` (http, https, ws or wss; of kind `app` without the key, so that it can be shown); and
what else than `DEFAULTS` has of `kind`, `expect`, `status` (of kind `http`), `connect_to` (an address to connect to in
place of the URL's host) and `validate_certs`. Whatever answers, hostile or broken, gives a diagnosis within the deadline.
Proxies of the environment are not used.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import queue
import socket
import ssl
import threading
import time
import typing as t
from urllib.parse import SplitResult, urlsplit, urlunsplit

from ..tailnet import _tailscale
from . import _diagnosis, _websocket
from ._answers import SCHEMES, Fault, by_terminal_server, printable, refusal, request

KINDS = ("terminal", "app", "http")
EXPECTATIONS = ("open", "closed")
DEFAULTS = {"kind": "http", "expect": "open", "status": 200, "connect_to": None, "validate_certs": True}
#: Seconds for all targets together.
DEADLINE = 5.0

#: A key that no Coolify has: the realtime server's refusal of it proves the route as well as a greeting does (fact 10).
PROBE_KEY = "selfhosted-coolify-probe"
_UNKNOWN_KEY = 4001
#: How the terminal server closes: no cookies, token refused; it could not ask Coolify (fact 45).
TERMINAL_REFUSALS = (4401, 4403)
AUTH_FAILED = 1011
_WORDS_BEFORE_CLOSE = 8

#: Seconds after which a port that does not answer counts as closed: a lost packet is sent again after one.
CLOSED_AFTER = 1.5
# The part of the time that an address has to answer; in the rest another port of it is tried.
_TO_CONNECT = 0.75
#: What a thread may need to come back after the deadline.
_GRACE = 0.1

# What an answer means then depends on whether it is Coolify's page that such requests reach.
_UNCLEAR = ("CWT-911", "CWT-912", "CWT-915", "CWT-917")
# From somewhere else they lead to another machine, or to none, so that silence there tells nothing (RFC 1918, 3927, 4193, 4291).
_PRIVATE = tuple(
    map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"))
)
# Found by the machine itself, before a packet leaves it: it has no network of the address's family.
_NO_NETWORK = (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

Target = t.Mapping[str, t.Any]
AnyProbe = t.TypeVar("AnyProbe", bound="Probe")
AnyResult = t.TypeVar("AnyResult")


class _Closed(Fault):
    """The target does not let us in; `seen` says how."""


def validate(target: Target) -> SplitResult:
    """The target's URL in its parts. Raises ValueError, which names the option of the target that is wrong."""
    for option, choices in (("kind", KINDS), ("expect", EXPECTATIONS)):
        if target[option] not in choices:
            raise ValueError("{} is {!r}. Set it to one of {}.".format(option, target[option], ", ".join(choices)))
    try:
        parts = urlsplit(target["url"])
        _port = parts.port
    except ValueError as error:
        raise ValueError("url {!r} cannot be read: {}".format(target["url"], error)) from None
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise ValueError("url {!r} must begin with http, https, ws or wss, and name a host".format(target["url"]))
    if parts.username is not None or parts.fragment:
        raise ValueError("url must have no user, password or fragment")
    try:
        request(parts, target["kind"], PROBE_KEY, "")
    except ValueError as error:
        raise ValueError("url {!r} cannot be asked for: {}".format(target["url"], error)) from None
    return parts


def probe_all(
    targets: t.Sequence[Target],
    deadline: float = DEADLINE,
    app_key: str | None = None,
    authorities: str | None = None,
) -> list[dict[str, t.Any]]:
    """Look at all targets at once, for `deadline` seconds together; results in the same order.

    `app_key` is Pusher's application key, None for one that nobody has; it is in no result. `authorities` are certificates
    (PEM) to trust beside the system's. Raises ValueError, which names the target and its option that is wrong, or the
    certificates that cannot be read.
    """
    end = time.monotonic() + deadline
    return results_of(probes(targets, end, app_key, authorities, Probe), end)


def results_of(looking: t.Sequence[Probe], end: float) -> list[dict[str, t.Any]]:
    """The results of these probes, all at once; what has not come back by `end` is told as unfinished."""
    done: queue.Queue[tuple[int, dict[str, t.Any]]] = queue.Queue()

    def look(index: int) -> None:
        done.put((index, looking[index].result()))

    for index in range(len(looking)):
        # Daemons: a resolver that does not answer cannot be interrupted, and must not hold up the end.
        threading.Thread(target=look, args=(index,), daemon=True).start()
    results: dict[int, dict[str, t.Any]] = {}
    while len(results) < len(looking):
        try:
            index, result = done.get(timeout=max(end + _GRACE - time.monotonic(), 0.0))
        except queue.Empty:
            break
        results[index] = result
    return [results.get(index) or probe.unfinished() for index, probe in enumerate(looking)]


def within(end: float, call: t.Callable[[], AnyResult]) -> AnyResult | None:
    """What `call` returns; None where it has not come back by `end`, however it goes on. It must raise nothing."""
    found: list[AnyResult] = []
    caller = threading.Thread(target=lambda: found.append(call()), daemon=True)
    caller.start()
    caller.join(max(0.0, end - time.monotonic()))
    return found[0] if found else None


def probes(
    targets: t.Sequence[Target], end: float, app_key: str | None, authorities: str | None, make: t.Callable[..., AnyProbe]
) -> list[AnyProbe]:
    """A probe for each target, by what `Probe` takes. Raises ValueError as `probe_all` does."""
    targets = [{**DEFAULTS, **target} for target in targets]
    for index, target in enumerate(targets):
        try:
            validate(target)
        except ValueError as error:
            raise ValueError(f"targets[{index}]: {error}") from None
    contexts = {checked: tls(checked, authorities) for checked in _tls_wanted(targets)}
    return [make(target, end, app_key, contexts.get(bool(target["validate_certs"]))) for target in targets]


def _tls_wanted(targets: t.Sequence[Target]) -> set[bool]:
    """Whether certificates are to be checked, by any target that has some: to read the system's takes a while."""
    return {bool(target["validate_certs"]) for target in targets if SCHEMES[urlsplit(target["url"]).scheme][0]}


def tls(checked: bool, authorities: str | None) -> ssl.SSLContext:
    """Raises ValueError where `authorities` (PEM) are none."""
    context = ssl.create_default_context()
    # As browsers do: a private authority without a key usage is one. From 3.13 on, Python is stricter by default.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not checked:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif authorities:
        try:
            # A comment beside the certificates may be in any language.
            context.load_verify_locations(cadata=authorities.encode("ascii", "replace").decode("ascii"))
        except (ssl.SSLError, ValueError):
            raise ValueError("the certificates to trust are not in PEM form") from None
    return context


class Probe:
    """One target, from its name to the first message."""

    def __init__(self, target: Target, end: float, app_key: str | None, context: ssl.SSLContext | None) -> None:
        self._target = target
        self._end = end
        self._app_key = app_key
        self._context = context
        self._url = validate(target)
        self._secure, default_port = SCHEMES[self._url.scheme]
        self._port = self._url.port or default_port
        self._phases: dict[str, float] = {}
        self._begin = self._mark = time.monotonic()
        self._status: int | None = None
        self._received = False
        self._cookies = ""
        self._server: str | None = None
        self._found: dict[str, t.Any] | None = None

    def result(self) -> dict[str, t.Any]:
        try:
            return self._told(None, self._open())
        except Fault as met:
            self._found = self._told(met, met.seen)
            return {**self._found, "page": self._page(self._found["diagnosis"])}

    def _page(self, met: dict[str, str] | None) -> bool | None:
        """Whether Coolify's page answers where something else than its socket did; None where nothing tells."""
        if self._target["kind"] == "http" or met is None or met["id"] not in _UNCLEAR:
            return None
        asked = {**self._target, "kind": "http", "expect": "open", "status": 200, "body": b"OK"}
        asked["url"] = urlunsplit((*self._url[:2], "/api/health", "", ""))
        seen = Probe(asked, self._end, None, self._context).result()
        return seen["ok"] if seen["status"] in (200, 404) else None

    def unfinished(self) -> dict[str, t.Any]:
        """The result of a look that has not come back."""
        if self._found is not None:
            return self._found
        fault = self._late() if "dns" in self._phases else Fault("CWT-812", "no address")
        return self._told(fault, fault.seen)

    def _told(self, fault: Fault | None, seen: str) -> dict[str, t.Any]:
        if self._target["expect"] == "closed":
            fault = _as_closed(fault, seen)
        return {
            **{key: self._target[key] for key in ("name", "url", "kind", "expect")},
            "ok": _diagnosis.verdict(fault.identifier if fault else None),
            "status": self._status,
            "seen": seen,
            "milliseconds": round((time.monotonic() - self._begin) * 1000, 1),
            "phases": dict(self._phases),
            "server": self._server,
            "page": None,
            "diagnosis": _diagnosis.explain(fault.identifier, fault.detail) if fault else None,
        }

    def _passed(self, phase: str) -> None:
        now = time.monotonic()
        self._phases[phase] = round((now - self._mark) * 1000, 1)
        self._mark = now

    def _left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise socket.timeout("deadline")
        return left

    # -- the phases ----------------------------------------------------------------------------------------------------

    def _open(self) -> str:
        connection = self._connect()
        try:
            if self._context is not None and self._secure:
                connection = self._handshake(connection, self._context)
            return self._talk(connection)
        finally:
            connection.close()

    def _connect(self) -> socket.socket:
        host = self._target.get("connect_to") or self._url.hostname
        try:
            found = socket.getaddrinfo(host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Fault("CWT-811", "no address", printable(str(host))) from error
        self._passed("dns")
        closed: Fault = Fault("CWT-903", "no route")
        for number, (family, kind, protocol, _name, address) in enumerate(found):
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(self._patience(len(found) - number))
                connection.connect(address)
            except socket.timeout:
                closed = _Closed("CWT-902", "timed out")
            except OSError as error:
                if isinstance(error, ConnectionError):
                    closed = _Closed("CWT-901", "refused")
                elif error.errno == errno.EHOSTUNREACH:
                    closed = _Closed("CWT-903", "no route")
                elif error.errno not in _NO_NETWORK:
                    closed = _Closed("CWT-902", "no connection", printable(error.strerror or ""))
            else:
                self._passed("tcp")
                return connection
            connection.close()
        if self._target["expect"] == "open" and closed.seen in ("timed out", "no route") and found:
            if elsewhere(str(address[0]), _own_address(family, address)):
                raise Fault("CWT-838", closed.seen, str(address[0]))
            if closed.seen == "timed out":
                raise _Closed("CWT-902", closed.seen, self._knocked(family, address))
        raise closed

    def _knocked(self, family: int, address: t.Any) -> str:
        """Whether the machine reaches anything else of an address, in words."""
        port = 80 if self._port != 80 else 443
        try:
            with socket.socket(family, socket.SOCK_STREAM) as connection:
                connection.settimeout(self._left())
                connection.connect((address[0], port, *address[2:]))
        except ConnectionRefusedError:
            pass
        except OSError:
            return f"port {port} of {address[0]} does not answer either"
        return f"port {port} of {address[0]} answers"

    def _patience(self, addresses_left: int) -> float:
        """Seconds for one attempt to connect: an address that does not answer leaves time for the others."""
        left = self._left() / addresses_left
        return min(left, CLOSED_AFTER) if self._target["expect"] == "closed" else left * _TO_CONNECT

    def _handshake(self, connection: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
        connection.settimeout(self._left())
        secure = context.wrap_socket(connection, server_hostname=self._url.hostname, do_handshake_on_connect=False)
        try:
            secure.do_handshake()
        except socket.timeout:
            raise Fault("CWT-905", "no answer in TLS") from None
        except ssl.SSLCertVerificationError as error:
            # OpenSSL's codes: 9 not yet valid, 10 expired, 62 and 64 another name or address.
            identifier = {9: "CWT-821", 10: "CWT-821", 62: "CWT-822", 64: "CWT-822"}.get(error.verify_code, "CWT-823")
            raise Fault(identifier, "TLS refused", printable(error.verify_message)) from error
        except ConnectionError as error:
            raise _Closed("CWT-904", "reset") from error
        except ssl.SSLEOFError as error:
            raise _Closed("CWT-904", "closed") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", "") or ""
            raise Fault("CWT-824", "TLS fails", printable(str(reason).replace("_", " ").lower())) from error
        self._passed("tls")
        return secure

    def _talk(self, connection: socket.socket) -> str:
        key = None if self._target["kind"] == "http" else _websocket.new_key()
        asked = request(self._url, self._target["kind"], self._app_key or PROBE_KEY, key or "", self._cookies)

        def read() -> bytes:
            connection.settimeout(self._left())
            data = connection.recv(16384)
            self._received = self._received or bool(data)
            return data

        reader = _websocket.Reader(read)
        try:
            connection.settimeout(self._left())
            connection.sendall(asked)
            answer = reader.answer()
            self._status = answer.status
            self._server = printable(answer.headers.get("server", ""))[:40] or None
            self._passed("http")
            seen = self._judge(answer, key)
            if self._target.get("body") and self._target["body"] not in reader.body():
                raise Fault("CWT-912", f"{answer.status} page")
            if self._target["kind"] == "app":
                seen = self._greeted(connection, reader, self._greeting(reader))
            elif self._target["kind"] == "terminal" and answer.status == 101:
                return self._admitted(connection, reader)
            if answer.status == 101:
                connection.settimeout(self._left())
                connection.sendall(_websocket.closing())
            return seen
        except socket.timeout:
            raise self._late() from None
        except _websocket.ProtocolError as error:
            raise self._broken(error.kind) from error
        except (OSError, ssl.SSLError) as error:
            raise self._broken(_websocket.ENDED, "reset") from error

    def _greeted(self, connection: socket.socket, reader: _websocket.Reader, seen: str) -> str:
        """What comes after the greeting; here nothing."""
        return seen

    # -- what it means -------------------------------------------------------------------------------------------------

    def _late(self) -> Fault:
        if self._status == 101:
            identifier = "CWT-938" if self._target["kind"] == "terminal" else "CWT-934"
            return Fault(identifier, "101, then silence")
        if self._received:
            return Fault("CWT-906", "half an answer")
        return Fault("CWT-905", "no answer")

    def _broken(self, kind: str, how: str = "closed") -> Exception:
        if self._status == 101:
            faults = {
                _websocket.ENDED: Fault("CWT-933", f"101, then {how}"),
                _websocket.FRAME_TOO_LARGE: Fault("CWT-932", "101, then too much"),
            }
            return faults.get(kind, Fault("CWT-931", "101, then no frame"))
        if kind == _websocket.HEADER_TOO_LARGE:
            return Fault("CWT-922", "endless header")
        if kind == _websocket.ENDED and not self._received:
            return _Closed("CWT-904", how)
        return Fault("CWT-921", "no HTTP")

    def _judge(self, answer: _websocket.Answer, key: str | None) -> str:
        status = answer.status
        if key is None:
            if status == int(self._target.get("status") or 200):
                return str(status)
        elif status == 101:
            if not _websocket.accepts(answer, key):
                raise Fault("CWT-923", "101, wrong handshake")
            if answer.headers.get("sec-websocket-extensions") or answer.headers.get("sec-websocket-protocol"):
                raise Fault("CWT-924", "101, wrong handshake")
            return "101"
        elif self._target["kind"] == "terminal" and by_terminal_server(answer):
            return "401"
        raise refusal(answer, key is not None, self._url)

    def _admitted(self, connection: socket.socket, reader: _websocket.Reader) -> str:
        """The bundled layout's terminal server lets everybody in and sends away who has no cookies (fact 45)."""
        for _message in range(_WORDS_BEFORE_CLOSE):
            message = reader.message()
            if message.opcode == _websocket.CLOSE:
                self._passed("frame")
                code = _websocket.close_code(message)
                if code in TERMINAL_REFUSALS:
                    return f"101, closed {code}"
                if code == AUTH_FAILED:
                    raise Fault("CWT-119", f"101, closed {code}")
                raise Fault("CWT-933", f"101, closed {code}", f"code {code}")
        raise Fault("CWT-938", "101, then talk")

    def _greeting(self, reader: _websocket.Reader) -> str:
        message = reader.message()
        self._passed("frame")
        if message.opcode == _websocket.CLOSE:
            closed = _websocket.close_code(message)
            raise Fault("CWT-933", f"101, closed {closed}", f"code {closed}")
        try:
            event = json.loads(message.payload.decode("utf-8"))
            name, data = event["event"], event.get("data")
            code = (json.loads(data) if isinstance(data, str) else data or {}).get("code")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise Fault("CWT-935", "101, then no greeting") from None
        if name == "pusher:connection_established":
            return "101 established"
        if name != "pusher:error" or isinstance(code, bool) or not isinstance(code, int):
            raise Fault("CWT-935", "101, then no greeting")
        if code == _UNKNOWN_KEY and self._app_key is None:
            return f"101 error {code}"
        # The message beside the code may repeat the key.
        raise Fault("CWT-936" if code == _UNKNOWN_KEY else "CWT-937", f"101 error {code}", f"code {code}")


def is_private(address: str) -> bool:
    """Whether an address leads to another machine, or to none, from other networks; of what is none, it is false."""
    try:
        return any(ipaddress.ip_address(address.split("%")[0]) in network for network in _PRIVATE)
    except ValueError:
        return False


def elsewhere(address: str, own: str) -> bool:
    """Whether an address has a meaning in a network alone that the machine is not in which would use its `own` for it."""
    address, own = address.split("%")[0], own.split("%")[0]
    if _tailscale.in_range(address):
        return not _tailscale.in_range(own)
    network = ipaddress.ip_network(f"{address}/{64 if ':' in address else 24}", strict=False)
    return is_private(address) and ipaddress.ip_address(own) not in network


def _own_address(family: int, address: t.Any) -> str:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as connection:
            # This sends nothing.
            connection.connect(address)
            return str(connection.getsockname()[0])
    except OSError:
        return "0.0.0.0"


def _as_closed(fault: Fault | None, seen: str) -> Fault | None:
    """What it means for a port that is to be closed. Whatever it is that answers: it is open."""
    if isinstance(fault, _Closed):
        return None
    if fault is not None and fault.identifier in ("CWT-811", "CWT-812", "CWT-903"):
        # No packet got there, which says nothing of the host.
        return Fault("CWT-611", seen, fault.detail)
    return Fault("CWT-601", seen)
