"""A stand-in for Cloudflare's API: one tunnel's configuration on real sockets, in the forms that Cloudflare documents.

It counts what it is asked, checks the token and the body, raises the version at each change, and fails as it is told:
each entry of `faults` is for one request, and says what happens instead of an answer or, with `late`, after the change.
`changed` is called after each change, as Cloudflare tells the connectors.
"""

from __future__ import annotations

import contextlib
import copy
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ACCOUNT = "023e105f4ecef8ad9ca31a8372d0c353"
TUNNEL = "f70ff985-a4ef-4643-bbbc-4a0ed4fc8415"
TOKEN = "Sn3lZJTBX6kkg7OdcBUAxOO963GEIyGQqnFTOFYY"  # noqa: S105 (the one of Cloudflare's own examples)
NAME = "coolify.example.com"


def error(code, message):
    return {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}


def config(*names, **rest):
    """What the dashboard makes of published applications, the rest of a configuration beside them."""
    ingress = [{"hostname": name, "service": "http://localhost:8000", "originRequest": {}} for name in names or (NAME,)]
    return {"ingress": [*ingress, {"service": "http_status:404"}], "warp-routing": {"enabled": True}, **rest}


class Api:
    def __init__(self, found=None, source="cloudflare"):
        self.config, self.source, self.version = copy.deepcopy(config() if found is None else found), source, 7
        self.asked, self.faults, self.wrong = [], [], []
        self.before_read = self.changed = lambda: None
        self.normalise = lambda rule: None
        handler = type("Handler", (_Handler,), {"api": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/client/v4"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_exception):
        self._server.shutdown()
        self._server.server_close()
        assert self.wrong == []

    def change(self, ingress):
        self.put({**self.config, "ingress": ingress})

    def put(self, config):
        self.config, self.version = config, self.version + 1
        self.changed()

    def result(self):
        kept = copy.deepcopy(self.config)
        for rule in (kept or {}).get("ingress") or []:
            self.normalise(rule)
        return {
            "tunnel_id": TUNNEL,
            "account_id": ACCOUNT,
            "version": self.version,
            "config": kept,
            "source": self.source,
            "created_at": "2026-02-22T18:22:00.000000Z",
        }


class _Handler(BaseHTTPRequestHandler):
    api: Api

    def handle(self):
        # Who asked may have given up. A traceback in a thread of its own breaks what another one parses (CPython 3.11).
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, *_arguments):
        pass

    def do_GET(self):
        self.api.before_read()
        self._answer("GET", lambda: None)

    def do_PUT(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer("PUT", lambda: self._put(body))

    def _put(self, body):
        ingress = body["config"]["ingress"]
        if set(body) != {"config"} or self.headers["Content-Type"] != "application/json" or ingress[-1].get("hostname"):
            self.api.wrong.append(body)
        self.api.put(body["config"])

    def _answer(self, method, act):
        api = self.api
        api.asked.append(method)
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self._send(401, error(1000, "Invalid API Token"))
        if self.path != f"/client/v4/accounts/{ACCOUNT}/cfd_tunnel/{TUNNEL}/configurations":
            return self._send(404, error(1003, "Tunnel not found"))
        fault = api.faults.pop(0) if api.faults else {}
        if not fault or fault.get("late"):
            act()
        time.sleep(fault.get("pause", 0))
        for _drop in range(fault.get("drops", 0)):
            self.wfile.write(b"HTTP/1.1 200 OK\r\n" if not _drop else b"X-More: to come\r\n")
            time.sleep(0.3)
        if fault.get("cut"):
            return self.connection.close()
        if "status" in fault:
            return self._send(fault["status"], fault.get("body", error(0, "")), fault.get("headers", {}))
        return self._send(200, {"success": True, "errors": [], "messages": [], "result": api.result()})

    def _send(self, status, body, headers=()):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        kind = "text/html" if isinstance(body, bytes) else "application/json"
        for name, value in {"Content-Type": kind, "Content-Length": str(len(text)), **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)
