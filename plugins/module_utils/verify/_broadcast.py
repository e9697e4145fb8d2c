# SPDX-License-Identifier: GPL-3.0-or-later
"""An event, published as Coolify's backend would publish it, and seen by clients of ours: live updates as a whole.

The event goes out from inside the container, by the settings that Coolify's own config/broadcasting.php makes there, and is
signed there: of the app's secret nothing comes out. It is on a channel that nobody else knows, and leaves no trace.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import typing as t

from ..engine import _client
from . import _diagnosis, _handshake, _websocket
from ._answers import LOGIN, Fault

#: Where events are published to, below the server's address.
PATH = "/apps/…/events"

_EVENT = "selfhosted-coolify"
# What the clients have in all before the event is published without those that are not there yet, as a share of the time.
_PATIENCE = 0.5
# What is left to an event, once it is published, to arrive in, likewise.
_ON_THE_WAY = 0.1

# $argv: the channel, the event, and the time (Unix, in seconds) that an answer is waited for. Laravel's cached settings, if it
# has some, come before its files. Says where it went, and what came back, but for the body.
_PUBLISH = r"""
ini_set('display_errors', '0');
chdir('/var/www/html');
if (is_file('vendor/autoload.php')) { require_once 'vendor/autoload.php'; }
if (class_exists('Dotenv\Dotenv') && is_readable('.env')) {
    Dotenv\Dotenv::createImmutable(getcwd())->safeLoad();
}
if (!function_exists('env')) {
    function env($key, $default = null) { $value = getenv($key); return $value === false ? $default : $value; }
}
$all = is_file('bootstrap/cache/config.php') ? (require 'bootstrap/cache/config.php')['broadcasting'] : null;
$pusher = ($all ?? require 'config/broadcasting.php')['connections']['pusher'];
$to = $pusher['options'];
$path = '/apps/'.rawurlencode((string) $pusher['app_id']).'/events';
$body = json_encode(['name' => $argv[2], 'channels' => [$argv[1]], 'data' => '{}']);
$query = http_build_query([
    'auth_key' => $pusher['key'], 'auth_timestamp' => time(), 'auth_version' => '1.0', 'body_md5' => md5($body),
]);
$signature = hash_hmac('sha256', "POST\n$path\n$query", (string) $pusher['secret']);
$patience = max(500, (int) (1000 * ($argv[3] - microtime(true))));
$request = curl_init("{$to['scheme']}://{$to['host']}:{$to['port']}$path?$query&auth_signature=$signature");
curl_setopt_array($request, [
    CURLOPT_POSTFIELDS => $body, CURLOPT_HTTPHEADER => ['Content-Type: application/json'], CURLOPT_RETURNTRANSFER => true,
    CURLOPT_TIMEOUT_MS => $patience,
]);
$answer = curl_exec($request);
echo json_encode([
    'scheme' => (string) $to['scheme'], 'host' => (string) $to['host'], 'port' => (string) $to['port'],
    'error' => curl_errno($request), 'patience' => $patience, 'status' => curl_getinfo($request, CURLINFO_RESPONSE_CODE),
    'connected' => curl_getinfo($request, CURLINFO_CONNECT_TIME) > 0,
    'location' => (string) curl_getinfo($request, CURLINFO_REDIRECT_URL), 'json' => json_decode((string) $answer) !== null,
]);
"""

# curl's exit codes: what the name, the connection and the encryption fail with.
_NO_NAME, _NO_CONNECTION, _TIMED_OUT = (3, 5, 6), (7, 28, 52, 55, 56), 28
# Milliseconds after which no answer tells something, and that where the connection was taken by a server that answers others.
# Where a busy host left fewer, the server may be as busy.
_ENOUGH, _ANSWERED_IN = 1500, 3000


def prove(
    engine: _client.Engine,
    container: str,
    app_key: str,
    targets: t.Sequence[_handshake.Target],
    deadline: float,
    authorities: str | None = None,
) -> list[dict[str, t.Any]]:
    """Publishes one event in the container once all targets listen; a result for what was published, and for each target.

    Results are those of `_handshake.probe_all`. Without an event no target is told of. Raises ValueError as that does.
    """
    channel = f"selfhosted-coolify-{os.urandom(8).hex()}"
    end = time.monotonic() + deadline
    clients = _handshake.probes(targets, end, app_key, authorities, lambda *words: _Client(channel, *words))
    results: dict[int, dict[str, t.Any]] = {}

    def listen(index: int) -> None:
        results[index] = clients[index].result()
        clients[index].listening.set()

    threads = [threading.Thread(target=listen, args=(index,), daemon=True) for index in range(len(clients))]
    for thread in threads:
        thread.start()
    for client in clients:
        client.listening.wait(max(0.0, end - deadline * _PATIENCE - time.monotonic()))
    answers = any(client.listening.is_set() for index, client in enumerate(clients) if index not in results)
    began = time.monotonic()
    published = _handshake.within(end, lambda: publish(engine, container, channel, end - deadline * _ON_THE_WAY, answers))
    published = published or _result(began, {}, "CWT-328", "not looked at")
    if not published["ok"]:
        # Whoever waits for it waits in vain.
        return [published]
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return [published, *(results.get(index) or client.unfinished() for index, client in enumerate(clients))]


def publish(engine: _client.Engine, container: str, channel: str, end: float, answers: bool) -> dict[str, t.Any]:
    """Publishes an event on this channel as the backend would, until `end` of the monotonic clock; the result of that.

    `answers` tells whether the realtime server answered anybody in this run.
    """
    began = time.monotonic()
    until = time.time() + end - began
    try:
        _code, output = engine.exec(container, ["php", "-r", _PUBLISH, channel, _EVENT, f"{until:.3f}"])
        told = json.loads(output.decode("utf-8"))
        return _result(began, told, *judged(told, answers))
    except (_client.EngineError, ValueError, KeyError, TypeError, RecursionError):
        # What is printed instead may hold anything.
        return _result(began, {}, "CWT-328", "not looked at")


def _result(began: float, told: t.Mapping[str, t.Any], identifier: str | None, seen: str) -> dict[str, t.Any]:
    """What was published, by what the program in the container says; nothing where it does not tell."""
    address = "{scheme}://{host}:{port}".format(**told) if told else ""
    return {
        "name": "broadcast",
        "url": address + PATH if told else "config/broadcasting.php",
        "kind": "http",
        "expect": "open",
        "ok": _diagnosis.verdict(identifier),
        "status": told.get("status") or None,
        "seen": seen,
        "milliseconds": round((time.monotonic() - began) * 1000, 1),
        "phases": {},
        "diagnosis": _diagnosis.explain(identifier, address) if identifier else None,
    }


def judged(told: t.Mapping[str, t.Any], answers: bool) -> tuple[str | None, str]:
    """What the answer to a published event means, as an id of the diagnoses, and in a few words; `answers` as for `publish`."""
    error, status = told["error"], told["status"]
    if error in _NO_NAME:
        return "CWT-321", "no address"
    if error == _TIMED_OUT and told["patience"] < (_ANSWERED_IN if told["connected"] and answers else _ENOUGH):
        return "CWT-330", "no time left"
    if error in _NO_CONNECTION:
        return "CWT-322", "no answer"
    # What speaks TLS alone may answer plain HTTP with a status of its own.
    plain = told["scheme"] == "http" and told["port"] == "443" and status in (400, 404)
    if error or plain or (status == 400 and not told["json"]):
        return "CWT-323", "TLS fails" if error else str(status)
    if 300 <= status < 400 or (status in (200, 401, 403) and not told["json"]) or LOGIN.search(told["location"]):
        return "CWT-325", f"{status}, a page"
    if status in (401, 403):
        return "CWT-324", str(status)
    return (None, "published") if status == 200 else ("CWT-326", str(status))


class _Client(_handshake.Probe):
    """Listens on the channel; `listening` is set once it does, or cannot."""

    def __init__(self, channel: str, *words: t.Any) -> None:
        super().__init__(*words)
        self._channel = channel
        self.listening = threading.Event()

    def _greeted(self, connection: socket.socket, reader: _websocket.Reader, seen: str) -> str:
        subscribe = json.dumps({"event": "pusher:subscribe", "data": {"channel": self._channel}})
        connection.sendall(_websocket.text(subscribe.encode("ascii")))
        self._wait(reader, "pusher_internal:subscription_succeeded")
        self.listening.set()
        self._wait(reader, _EVENT)
        self._passed("event")
        return "event"

    def _wait(self, reader: _websocket.Reader, name: str) -> None:
        while True:
            message = reader.message()
            if message.opcode == _websocket.CLOSE:
                raise Fault("CWT-933", "101, closed", f"code {_websocket.close_code(message)}")
            try:
                event = json.loads(message.payload.decode("utf-8"))
                if event["event"] == name and event.get("channel") == self._channel:
                    return
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                raise Fault("CWT-935", "101, then no event") from None

    def _told(self, fault: Fault | None, seen: str) -> dict[str, t.Any]:
        if fault is not None and self.listening.is_set():
            fault = Fault("CWT-327", "no event")
        elif fault is not None:
            # Why the socket did not open is told by the rows of its own hop.
            fault = Fault("CWT-329", "not looked at", fault.seen)
        return super()._told(fault, seen if fault is None else fault.seen)
