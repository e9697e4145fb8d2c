# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker's Engine API on its Unix socket, for engines 20.10 and later: inspect, exec, files in and out, events.

The requests are HTTP/1.0, one connection each: the answer then ends where the connection does, whether it is a JSON
document, a raw stream of an exec or the engine's events, so that one small reader does for all of them and an event
stream can be waited on with a time limit. Python's own http.client brings ssl and email with it, which would double the
memory of the agent that runs this file on every host.
"""

from __future__ import annotations

import io
import json
import select
import socket
import struct
import tarfile
import time
import typing as t

# The newest API whose answers were checked against this file; an engine that wants a newer one gets its own minimum.
_NEWEST_API = (1, 51)

# What is asked for is some kilobytes; whoever answers with more than this has nothing that could be meant. In bytes.
_ANSWER_LIMIT = 8 * 1024 * 1024
_EVENT_LIMIT = 1024 * 1024

_NO_FILE = "no regular file"
# An archive ends in two blocks of zeros (POSIX ustar).
_ARCHIVE_END = 1024
# The number of standard error in an attached stream.
_ERRORS = 2

# How the engine tells that its runtime started no command, and that this is because of the command.
_NOT_BEGUN, _UNFIT = b"OCI runtime exec failed", b": exec: "


class EngineError(Exception):
    """The engine answered with an error. `status` is the HTTP status, 0 where there was none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class EngineUnavailable(EngineError):
    """Nothing answers at the socket, or the answer broke off, did not come in time, or is none of an engine's."""


class TooLarge(EngineError):
    """What was asked for is larger than is ever read into memory."""


class File(t.NamedTuple):
    """A regular file in a container. `mode` holds the permission bits."""

    data: bytes
    mode: int
    uid: int
    gid: int


class Events:
    """The engine's events from now on, as dictionaries in the engine's own form."""

    def __init__(self, connection: socket.socket, rest: bytes, where: str) -> None:
        self._connection = connection
        self._buffer = rest.lstrip()
        self._where = where

    def read(self, timeout: float) -> dict[str, t.Any] | None:
        """The next event; None if none came within `timeout` seconds. Raises EngineUnavailable when the engine goes away."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._buffer:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._connection], [], [], left)[0]:
                return None
            try:
                chunk = self._connection.recv(65536)
            except OSError as error:
                raise EngineUnavailable(f"the event stream of {self._where} broke off: {error.strerror}") from error
            if not chunk:
                raise EngineUnavailable(f"the event stream of {self._where} ended")
            # Between events there may be empty lines.
            self._buffer = (self._buffer + chunk).lstrip()
            if len(self._buffer) > _EVENT_LIMIT:
                raise EngineUnavailable(f"the event stream of {self._where} is not one of a Docker engine")
        line, self._buffer = self._buffer.split(b"\n", 1)
        self._buffer = self._buffer.lstrip()
        return t.cast("dict[str, t.Any]", _parsed(line, self._where, dict))

    def fileno(self) -> int:
        return self._connection.fileno()

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


class Engine:
    """The Docker engine behind the Unix socket at the path `socket`.

    `timeout` is the time in seconds that the engine may be silent within one answer. Every method raises EngineError
    or, when the engine cannot be reached, its subclass EngineUnavailable.
    """

    def __init__(self, socket: str = "/var/run/docker.sock", timeout: float = 30.0) -> None:
        self.socket = socket
        self._timeout = timeout
        self._prefix: str | None = None

    def version(self) -> dict[str, t.Any]:
        """The engine's own description of its version, such as `Version` and `ApiVersion`."""
        return self._object("GET", "/version", negotiated=False)

    def inspect(self, container: str) -> dict[str, t.Any] | None:
        """What the engine knows of a container, by name or id; None if there is no such container."""
        return self._described(f"/containers/{_quote(container)}/json")

    def image(self, image: str) -> dict[str, t.Any] | None:
        """What the engine knows of an image, by name or id; None if there is no such image."""
        return self._described(f"/images/{_quote(image)}/json")

    def changes(self, container: str) -> dict[str, int]:
        """What a container has changed of its image's files: absolute name -> 0 modified, 1 added, 2 deleted."""
        listed = self._json((list, type(None)), "GET", f"/containers/{_quote(container)}/changes")
        return {str(one["Path"]): int(one["Kind"]) for one in listed or []}

    def has_path(self, container: str, path: str) -> bool:
        """Whether a container, running or not, has anything at this path."""
        return self._if_there("HEAD", _archive(container, path)) is not None

    def containers(self, all: bool = True, filters: dict[str, list[str]] | None = None) -> list[dict[str, t.Any]]:
        """The engine's list of containers, those that do not run included; `filters` as in the Engine API."""
        query = f"all={int(all)}&filters={_quote(json.dumps(filters or {}))}"
        return t.cast("list[dict[str, t.Any]]", self._json(list, "GET", f"/containers/json?{query}"))

    def networks(self) -> list[dict[str, t.Any]]:
        """The engine's networks of its driver ``bridge``, as in its own list: `Id`, `Name`, `Options` and more."""
        filters = _quote(json.dumps({"driver": ["bridge"]}))
        return t.cast("list[dict[str, t.Any]]", self._json(list, "GET", f"/networks?filters={filters}"))

    def read_file(self, container: str, path: str) -> File | None:
        """One regular file of a container, running or not; None if it is not there.

        Raises EngineError for what is no regular file.
        """
        files = self._files(container, path)
        if files is None:
            return None
        file = next(iter(files.values()), _NO_FILE)
        if isinstance(file, str):
            raise EngineError(f"{path} in the container {container} is {file}")
        return file

    def read_tree(self, container: str, path: str) -> dict[str, File]:
        """All regular files below the directory `path` of a container, by their absolute names; empty if it is not there.

        Symbolic links are not followed.
        """
        parent = path.rstrip("/").rpartition("/")[0]
        files = self._files(container, path) or {}
        return {f"{parent}/{name}": file for name, file in files.items() if isinstance(file, File)}

    def write_file(self, container: str, path: str, data: bytes, mode: int, uid: int, gid: int) -> None:
        """Puts a file into a container, running or only created (fact 27). Its directory must be there."""
        folder, _slash, name = path.rpartition("/")
        self.write_files(container, folder or "/", {name: File(data, mode, uid, gid)})

    def write_files(self, container: str, folder: str, files: dict[str, File]) -> None:
        """Puts several files into one directory of a container, by their names below it, in one request."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode, entry.mtime = len(content.data), content.mode, int(time.time())
                entry.uid, entry.gid = content.uid, content.gid
                tar.addfile(entry, io.BytesIO(content.data))
        self._request("PUT", _archive(container, folder), archive.getvalue(), "application/x-tar")

    def exec(self, container: str, argv: t.Sequence[str], errors: bool = True) -> tuple[int, bytes]:
        """Runs a command in a running container, as the image's user.

        Returns its exit status and what it wrote to standard output and, with `errors`, standard error, in the order it came.
        Raises EngineError also where the command has no exit status, or where the engine's runtime has failed, three times,
        before it began.
        """
        create = {"AttachStdout": True, "AttachStderr": True, "Cmd": list(argv)}
        for _attempt in range(3):
            process = self._object("POST", f"/containers/{_quote(container)}/exec", create)["Id"]
            start = json.dumps({"Detach": False, "Tty": False}).encode("ascii")
            stream = self._request("POST", f"/exec/{process}/start", start)
            output = _demultiplex(stream)
            status = self._object("GET", f"/exec/{process}/json")["ExitCode"]
            if not isinstance(status, int):
                raise EngineError(f"a command in the container {container} ended without an exit status")
            if status != 126 or not output.startswith(_NOT_BEGUN) or _UNFIT in output:
                return status, output if errors else _demultiplex(stream, errors=False)
        raise EngineError(f"no command can be started in the container {container}: {output.decode('utf-8', 'replace').strip()}")

    def restart(self, container: str) -> None:
        """Stops a container, by force after a while, and starts it again."""
        self._request("POST", f"/containers/{_quote(container)}/restart?t=5", b"")

    def events(self, filters: dict[str, list[str]] | None = None) -> Events:
        """Follows the engine's events; `filters` as in the Engine API."""
        query = f"filters={_quote(json.dumps(filters or {}))}"
        connection, rest, _left = self._open("GET", f"{self._negotiated()}/events?{query}")
        return Events(connection, rest, self.socket)

    def _described(self, target: str) -> dict[str, t.Any] | None:
        answer = self._if_there("GET", target)
        return None if answer is None else t.cast("dict[str, t.Any]", _parsed(answer, self.socket, dict))

    def _if_there(self, method: str, target: str) -> bytes | None:
        try:
            return self._request(method, target)
        except EngineError as error:
            if error.status == 404:
                return None
            raise

    def _files(self, container: str, path: str) -> dict[str, File | str] | None:
        """What is at the path, by its name in the archive, in words where it is no regular file; None if nothing is."""
        try:
            archive = self._if_there("GET", _archive(container, path))
        except TooLarge as error:
            raise TooLarge(f"{path} in the container {container} is larger than {_ANSWER_LIMIT >> 20} MiB") from error
        if archive is None:
            return None
        if len(archive) < _ARCHIVE_END or archive[-_ARCHIVE_END:].strip(b"\0"):
            # What comes before would be taken for all there is.
            raise EngineUnavailable(f"what {self.socket} sent of {path} ended too early")
        try:
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                return {entry.name: _file(tar, entry) for entry in tar}
        except tarfile.TarError as error:
            raise EngineUnavailable(f"{self.socket} did not send {path} as a Docker engine does: {error}") from error

    def _negotiated(self) -> str:
        if self._prefix is None:
            version = self.version()
            wanted = min(_numbers(version["ApiVersion"]), max(_NEWEST_API, _numbers(version.get("MinAPIVersion", "1.0"))))
            self._prefix = "/v{}.{}".format(*wanted)
        return self._prefix

    def _object(self, method: str, target: str, body: t.Any = None, negotiated: bool = True) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", self._json(dict, method, target, body, negotiated))

    def _json(
        self, kind: type | tuple[type, ...], method: str, target: str, body: t.Any = None, negotiated: bool = True
    ) -> t.Any:
        payload = None if body is None else json.dumps(body).encode("ascii")
        return _parsed(self._request(method, target, payload, negotiated=negotiated), self.socket, kind)

    def _request(
        self, method: str, target: str, body: bytes | None = None, content_type: str = "application/json", negotiated: bool = True
    ) -> bytes:
        prefix = self._negotiated() if negotiated else ""
        connection, rest, left = self._open(method, prefix + target, body, content_type)
        with connection:
            return rest + self._drain(connection, left)

    def _open(
        self, method: str, target: str, body: bytes | None = None, content_type: str = "application/json"
    ) -> tuple[socket.socket, bytes, int | None]:
        """Sends a request and reads the head of its answer.

        Returns the connection, what came of the body already, and how many bytes of it are left; None where it goes on
        until the connection ends.
        """
        head = [f"{method} {target} HTTP/1.0", "Host: docker"]
        if body is not None:
            head += [f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self._timeout)
            connection.connect(self.socket)
            connection.sendall("\r\n".join([*head, "", ""]).encode("ascii") + (body or b""))
            answer = b""
            while b"\r\n\r\n" not in answer:
                chunk = connection.recv(65536)
                if not chunk:
                    raise EngineUnavailable(f"the engine at {self.socket} closed the connection without an answer")
                answer += chunk
                if len(answer) > _ANSWER_LIMIT:
                    raise EngineUnavailable(f"{self.socket} did not answer as a Docker engine does")
            lines, rest = answer.split(b"\r\n\r\n", 1)
            status = int(lines.split(None, 2)[1])
            length = 0 if method == "HEAD" else _content_length(lines)
            left = None if length is None else length - len(rest)
            if status >= 400:
                raise EngineError(_message(rest + self._drain(connection, left)), status)
        except EngineError:
            connection.close()
            raise
        except (OSError, ValueError, IndexError) as error:
            connection.close()
            raise EngineUnavailable(f"no Docker engine answers at {self.socket}: {_reason(error)}") from error
        return connection, rest, left

    def _drain(self, connection: socket.socket, left: int | None) -> bytes:
        """What is left of a body, and no further.

        An engine that has answered, and has not read the padding behind an archive, may end the connection by a reset.
        """
        chunks: list[bytes] = []
        read = 0
        try:
            while left is None or left > 0:
                chunk = connection.recv(65536)
                if not chunk and left:
                    raise EngineUnavailable(f"the answer of {self.socket} ended {left} bytes too early")
                if not chunk:
                    break
                chunks.append(chunk)
                read += len(chunk)
                if read > _ANSWER_LIMIT:
                    raise TooLarge(f"what {self.socket} was asked for is larger than {_ANSWER_LIMIT >> 20} MiB")
                left = None if left is None else left - len(chunk)
            return b"".join(chunks)
        except OSError as error:
            raise EngineUnavailable(f"the answer of {self.socket} broke off: {_reason(error)}") from error


def environment(inspected: dict[str, t.Any]) -> dict[str, str]:
    """The environment that a container was created with, from its inspection."""
    pairs = (entry.partition("=") for entry in (inspected.get("Config") or {}).get("Env") or [])
    return {name: value for name, _equals, value in pairs}


def offers(inspected: t.Mapping[str, t.Any], port: int) -> bool:
    """Whether a container publishes or exposes this TCP port, from its inspection."""
    key = f"{port}/tcp"
    exposed = (inspected.get("Config") or {}).get("ExposedPorts") or {}
    return key in exposed or key in ((inspected.get("HostConfig") or {}).get("PortBindings") or {})


def _archive(container: str, path: str) -> str:
    return f"/containers/{_quote(container)}/archive?path={_quote(path)}"


def _file(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> File | str:
    if not entry.isreg():
        return "a symbolic link" if entry.issym() else _NO_FILE
    content = tar.extractfile(entry)
    # A file with holes is larger than what came of it.
    data = b"" if content is None else content.read(_ANSWER_LIMIT)
    return File(data, entry.mode & 0o7777, entry.uid, entry.gid)


def _demultiplex(stream: bytes, errors: bool = True) -> bytes:
    """The payloads of an attached stream: frames of one byte stream number (2: errors), three zero bytes, four bytes length."""
    output, position = [], 0
    while position + 8 <= len(stream):
        (length,) = struct.unpack(">I", stream[position + 4 : position + 8])
        if errors or stream[position] != _ERRORS:
            output.append(stream[position + 8 : position + 8 + length])
        position += 8 + length
    return b"".join(output)


def _parsed(text: bytes, where: str, kind: type | tuple[type, ...]) -> t.Any:
    try:
        value = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        value = kind
    if not isinstance(value, kind):
        raise EngineUnavailable(f"{where} did not answer as a Docker engine does")
    return value


def _content_length(head: bytes) -> int | None:
    for line in head.split(b"\r\n")[1:]:
        name, _colon, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return int(value)
    return None


def _numbers(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def _message(body: bytes) -> str:
    text = body.decode("utf-8", "replace").strip()
    try:
        return str(json.loads(text)["message"])
    except (KeyError, TypeError, ValueError):
        return text or "the Docker engine gave no reason"


def _reason(error: Exception) -> str:
    if isinstance(error, socket.timeout):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "not the answer of a Docker engine"


_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~")


def _quote(text: str) -> str:
    """Percent-encodes every byte that is not unreserved (RFC 3986, 2.3), without importing urllib.parse for it."""
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in text.encode("utf-8"))
