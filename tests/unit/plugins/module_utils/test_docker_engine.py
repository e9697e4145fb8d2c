"""The Engine API's client, against an engine that speaks from a script on a real Unix socket."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import struct
import tarfile
import threading
from socketserver import StreamRequestHandler, ThreadingUnixStreamServer

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _client as docker_engine

VERSION = {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}


def answer(body, status="200 OK", kind="application/json"):
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.0 {status}\r\nContent-Type: {kind}\r\n\r\n".encode() + payload


class ScriptedEngine(ThreadingUnixStreamServer):
    """Answers by "METHOD path", without the query; keeps what it was asked."""

    daemon_threads = True

    def __init__(self, path, answers):
        self.answers = {"GET /version": answer(VERSION), **answers}
        self.requests = []
        super().__init__(str(path), Handler)


class Handler(StreamRequestHandler):
    def handle(self):
        method, target, protocol = self.rfile.readline().decode().split()
        headers = {}
        for line in iter(self.rfile.readline, b"\r\n"):
            name, _colon, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", 0)))
        self.server.requests.append((method, target, protocol, body))
        nothing = answer({"message": "no such thing"}, "404 Not Found")
        reply = self.server.answers.get(f"{method} {target.partition('?')[0]}", nothing)
        if callable(reply):
            reply(self.wfile)
        else:
            self.wfile.write(reply)


@pytest.fixture
def engine_at(tmp_path):
    servers = []

    def start(answers, timeout=2.0):
        server = ScriptedEngine(tmp_path / f"{len(servers)}.sock", answers)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server, docker_engine.Engine(server.server_address, timeout)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def tar_of(entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content, mode in entries:
            entry = tarfile.TarInfo(name)
            entry.mode, entry.uid, entry.gid = mode, 9999, 33
            if content is None:
                entry.type, entry.linkname = tarfile.SYMTYPE, "elsewhere"
                tar.addfile(entry)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("engine_version", "minimum", "used"),
    [("1.41", "1.12", "/v1.41"), ("1.45", "1.24", "/v1.45"), ("1.99", "1.44", "/v1.51"), ("1.99", "1.60", "/v1.60")],
)
def test_the_version_is_negotiated_once(engine_at, engine_version, minimum, used):
    version = {"ApiVersion": engine_version, "MinAPIVersion": minimum}
    server, engine = engine_at({"GET /version": answer(version), f"GET {used}/containers/c/json": answer({"Id": "1"})})
    assert engine.inspect("c") == {"Id": "1"}
    assert engine.inspect("c") == {"Id": "1"}
    assert [target for _method, target, _protocol, _body in server.requests].count("/version") == 1


def test_no_such_container_is_none_and_other_errors_carry_the_engines_words(engine_at):
    _server, engine = engine_at({"GET /v1.41/containers/broken/json": answer({"message": "out of order"}, "500 Oops")})
    assert engine.inspect("nobody") is None
    with pytest.raises(docker_engine.EngineError, match="out of order") as caught:
        engine.inspect("broken")
    assert caught.value.status == 500


def test_a_name_cannot_leave_its_place_in_the_request(engine_at):
    server, engine = engine_at({})
    assert engine.inspect("a/../b?x=\r\nEvil: 1") is None
    assert server.requests[-1][1] == "/v1.41/containers/a%2F..%2Fb%3Fx%3D%0D%0AEvil%3A%201/json"


def test_files_come_with_owner_and_mode(engine_at):
    content = bytes(range(256))
    _server, engine = engine_at(
        {"GET /v1.41/containers/c/archive": answer(tar_of([("http.conf", content, 0o640)]), kind="application/x-tar")}
    )
    assert engine.read_file("c", "/etc/nginx/http.conf") == docker_engine.File(content, 0o640, 9999, 33)
    assert engine.read_file("other", "/etc/nginx/http.conf") is None


def test_a_link_is_no_file(engine_at):
    _server, engine = engine_at({"GET /v1.41/containers/c/archive": answer(tar_of([("http.conf", None, 0o777)]))})
    with pytest.raises(docker_engine.EngineError, match="a symbolic link"):
        engine.read_file("c", "/etc/nginx/http.conf")


def test_a_tree_holds_its_regular_files_by_absolute_name(engine_at):
    archive = tar_of([("nginx/a", b"1", 0o644), ("nginx/link", None, 0o777), ("nginx/d/b", b"2", 0o600)])
    _server, engine = engine_at({"GET /v1.41/containers/c/archive": answer(archive)})
    tree = engine.read_tree("c", "/etc/nginx")
    assert {name: file.data for name, file in tree.items()} == {"/etc/nginx/a": b"1", "/etc/nginx/d/b": b"2"}
    assert engine.read_tree("other", "/etc/nginx") == {}


def test_a_file_is_put_with_owner_and_mode(engine_at):
    server, engine = engine_at({"PUT /v1.41/containers/c/archive": answer(b"")})
    engine.write_file("c", "/etc/nginx/site-opts.d/http.conf", b"\xff\n", 0o640, 9999, 33)
    method, target, _protocol, body = server.requests[-1]
    assert (method, target) == ("PUT", "/v1.41/containers/c/archive?path=%2Fetc%2Fnginx%2Fsite-opts.d")
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        (entry,) = tar.getmembers()
        assert (entry.name, entry.mode, entry.uid, entry.gid) == ("http.conf", 0o640, 9999, 33)
        assert tar.extractfile(entry).read() == b"\xff\n"


NOT_BEGUN = b"OCI runtime exec failed: exec failed: unable to start container process: "
BROKEN = NOT_BEGUN + b"waiting for init preliminary setup: read init-p: connection reset by peer: unknown\r\n"
UNFIT = NOT_BEGUN + b'exec: "php": executable file not found in $PATH: unknown\r\n'


def begun_at(attempt, output):
    """What an engine answers whose runtime starts a command at this attempt only."""
    made = []

    def start(wfile):
        made.append(output if len(made) + 1 >= attempt else BROKEN)
        frame = struct.pack(">BxxxI", 2, len(made[-1])) + made[-1]
        wfile.write(answer(frame, kind="application/vnd.docker.raw-stream"))

    def end(wfile):
        wfile.write(answer({"ExitCode": 126 if made[-1].startswith(NOT_BEGUN) else 0}))

    return made, {
        "POST /v1.41/containers/c/exec": answer({"Id": "e1"}, "201 Created"),
        "POST /v1.41/exec/e1/start": start,
        "GET /v1.41/exec/e1/json": end,
    }


@pytest.mark.parametrize(("output", "status"), [(b"fine", 0), (UNFIT, 126)])
def test_a_command_that_the_runtime_did_not_begin_is_started_again(engine_at, output, status):
    _made, answers = begun_at(3, output)
    assert engine_at(answers)[1].exec("c", ["php"]) == (status, output)


def test_a_command_that_never_begins_has_no_exit_status(engine_at):
    made, answers = begun_at(9, b"fine")
    with pytest.raises(docker_engine.EngineError, match=r"no command can be started in the container c: OCI .*init-p"):
        engine_at(answers)[1].exec("c", ["true"])
    assert len(made) == 3


def ended_with(status):
    """A command that wrote to both streams."""
    frames = b"".join(
        struct.pack(">BxxxI", stream, len(text)) + text for stream, text in [(1, b"out "), (2, b"err "), (1, b"out")]
    )
    return {
        "POST /v1.41/containers/c/exec": answer({"Id": "e1"}, "201 Created"),
        "POST /v1.41/exec/e1/start": answer(frames, kind="application/vnd.docker.raw-stream"),
        "GET /v1.41/exec/e1/json": answer({"ExitCode": status}),
    }


@pytest.mark.parametrize("status", [None, "0", 1.5])
def test_a_command_without_an_exit_status_has_failed(engine_at, status):
    with pytest.raises(docker_engine.EngineError, match="ended without an exit status"):
        engine_at(ended_with(status))[1].exec("c", ["true"])


def test_exec_joins_both_streams_and_returns_the_status(engine_at):
    server, engine = engine_at(ended_with(7))
    assert engine.exec("c", ["sh", "-c", "x"]) == (7, b"out err out")
    created = json.loads(server.requests[1][3])
    assert created["Cmd"] == ["sh", "-c", "x"]
    assert engine_at(ended_with(7))[1].exec("c", ["true"], errors=False) == (7, b"out out")


def test_events_are_whole_however_they_are_cut(engine_at):
    lines = b'{"Action": "create"}\n{"Action": "start"}\n'
    cut, release = threading.Event(), threading.Event()

    def stream(out):
        out.write(b"HTTP/1.0 200 OK\r\n\r\n" + lines[:30])
        out.flush()
        cut.wait(5)
        out.write(lines[30:])
        out.flush()
        release.wait(5)

    _server, engine = engine_at({"GET /v1.41/events": stream})
    with engine.events({"type": ["container"]}) as events:
        assert events.read(5) == {"Action": "create"}
        assert events.read(0.05) is None
        cut.set()
        assert events.read(5) == {"Action": "start"}
        release.set()
        with pytest.raises(docker_engine.EngineUnavailable):
            events.read(5)


def endless(piece):
    """An answer without an end; the client is to hang up on it."""

    def reply(stream):
        stream.write(b"HTTP/1.0 200 OK\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                stream.write(piece)

    return reply


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (endless(b" " * 65536), docker_engine.TooLarge),
        (endless(b"X: y\r\n" * 8192), docker_engine.TooLarge),
        (answer(b"[" * 100_000), docker_engine.EngineUnavailable),
        (answer(b"[]"), docker_engine.EngineUnavailable),
        (answer(b"7"), docker_engine.EngineUnavailable),
        (answer(b"\xff\xfe"), docker_engine.EngineUnavailable),
        (answer(b""), docker_engine.EngineUnavailable),
    ],
    ids=["endless", "endless lines", "deep", "a list", "a number", "no text", "nothing"],
)
def test_a_hostile_answer_is_no_answer(engine_at, reply, error):
    _server, engine = engine_at({"GET /v1.41/containers/c/json": reply})
    with pytest.raises(error):
        engine.inspect("c")


def test_a_head_without_an_end_is_no_answer(engine_at):
    def reply(stream):
        with contextlib.suppress(OSError):
            while True:
                stream.write(b"X-More: of it\r\n" * 4096)

    _server, engine = engine_at({"GET /v1.41/containers/c/json": reply})
    with pytest.raises(docker_engine.EngineUnavailable, match="did not answer as a Docker engine"):
        engine.inspect("c")


def test_a_file_of_100_mb_is_refused_by_its_name(engine_at):
    head = tarfile.TarInfo("http.conf")
    head.size = 100 << 20

    def reply(stream):
        stream.write(b"HTTP/1.0 200 OK\r\n\r\n" + head.tobuf())
        with contextlib.suppress(OSError):
            for _number in range(1600):
                stream.write(b"#" * 65536)

    _server, engine = engine_at({"GET /v1.41/containers/c/archive": reply})
    for read in (engine.read_file, engine.read_tree):
        with pytest.raises(docker_engine.TooLarge, match=r"^/etc/nginx/http.conf in the container c is larger than 8 MiB$"):
            read("c", "/etc/nginx/http.conf")


@pytest.mark.parametrize("cut", [512, 1024, 1536, 2048, 10**9])
def test_an_archive_that_ends_early_is_no_smaller_tree(engine_at, cut):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name in ("nginx/a", "nginx/b"):
            entry = tarfile.TarInfo(name)
            entry.size = 5
            tar.addfile(entry, io.BytesIO(b"text;"))
    # Go's writer ends with two blocks of zeros, and pads no further.
    whole = content.getvalue()[: 4 * 512 + 1024]
    _server, engine = engine_at({"GET /v1.41/containers/c/archive": answer(whole)})
    assert sorted(engine.read_tree("c", "/etc/nginx")) == ["/etc/nginx/a", "/etc/nginx/b"]
    _server, engine = engine_at({"GET /v1.41/containers/c/archive": answer(whole[:-cut])})
    with pytest.raises(docker_engine.EngineUnavailable, match="ended too early"):
        engine.read_tree("c", "/etc/nginx")


def test_an_archive_that_is_none(engine_at):
    _server, engine = engine_at({"GET /v1.41/containers/c/archive": answer(b"not a tar" * 200 + bytes(1024))})
    with pytest.raises(docker_engine.EngineUnavailable, match="did not send /a"):
        engine.read_file("c", "/a")


@pytest.mark.parametrize(
    ("piece", "words"), [(b"x" * 65536, "not one of a Docker engine"), (b"[1]\n", "did not answer"), (b"{\n", "did not answer")]
)
def test_a_hostile_event_stream_is_left(engine_at, piece, words):
    _server, engine = engine_at({"GET /v1.41/events": endless(piece)})
    with engine.events() as events, pytest.raises(docker_engine.EngineUnavailable, match=words):
        while True:
            events.read(2.0)


def test_empty_lines_between_events_are_none(engine_at):
    _server, engine = engine_at({"GET /v1.41/events": answer(b"\n" * 5000 + b'{"a": 1}\n' + b"\r\n" * 5000 + b'{"b": 2}\n')})
    with engine.events() as events:
        assert [events.read(2.0), events.read(2.0)] == [{"a": 1}, {"b": 2}]


def test_nobody_at_the_socket(tmp_path):
    with pytest.raises(docker_engine.EngineUnavailable, match="No such file"):
        docker_engine.Engine(str(tmp_path / "none.sock")).version()


@pytest.mark.parametrize(
    ("reply", "words"),
    [(b"", "without an answer"), (b"SSH-2.0\r\n\r\n", "not the answer"), (answer(b"<html>"), "as a Docker engine")],
)
def test_somebody_else_at_the_socket(engine_at, reply, words):
    _server, engine = engine_at({"GET /version": reply})
    with pytest.raises(docker_engine.EngineUnavailable, match=words):
        engine.version()


def test_a_silent_engine_is_not_waited_for(engine_at):
    done = threading.Event()
    _server, engine = engine_at({"GET /version": lambda _out: done.wait(5)}, timeout=0.1)
    with pytest.raises(docker_engine.EngineUnavailable, match="in time"):
        engine.version()
    done.set()


def test_environment_of_a_container():
    inspected = {"Config": {"Env": ["A=1", "B=x=y", "C="]}}
    assert docker_engine.environment(inspected) == {"A": "1", "B": "x=y", "C": ""}
    assert docker_engine.environment({"Config": {"Env": None}}) == {}


def once(path, reply, reads):
    """A server that reads this many bytes of one request, answers, and ends the connection."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()

    def serve():
        connection, _address = listener.accept()
        with connection:
            connection.recv(reads)
            connection.sendall(reply)
        listener.close()

    threading.Thread(target=serve, daemon=True).start()
    engine = docker_engine.Engine(str(path), 2.0)
    engine._prefix = "/v1.41"
    return engine


def test_an_answer_is_whole_although_the_engine_did_not_read_to_the_end(tmp_path):
    """The padding behind an archive: Linux resets a connection that is closed with unread bytes in it."""
    engine = once(tmp_path / "socket", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 64)
    engine.write_file("c", "/etc/nginx/x", b"x" * 5000, 0o644, 9999, 9999)


def test_an_answer_that_ends_early_is_no_answer(tmp_path):
    engine = once(tmp_path / "socket", b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}", 4096)
    with pytest.raises(docker_engine.EngineUnavailable, match="18 bytes too early"):
        engine.inspect("c")
