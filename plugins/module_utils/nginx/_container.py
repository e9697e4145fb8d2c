# SPDX-License-Identifier: GPL-3.0-or-later
"""http.conf where it lives: read from a container, tested beside the running nginx, swapped in, loaded, proved.

A container that runs gets a new http.conf by one command of its own shell, which goes on by itself if whoever started
it dies: the candidate is tested inside a copy of the real configuration (fact 17), takes the file's place by rename, is
tested there, and is loaded; where any of that fails the old file is put back. A container that does not run gets the
file through the engine (fact 27).
"""

from __future__ import annotations

import contextlib
import os
import re
import typing as t

from ..engine import _client
from . import _http_conf, _routes, _syntax

ROOT = "/etc/nginx"
MAIN = "/etc/nginx/nginx.conf"
TEMPLATE = ".template"

_REFUSED, _CONFLICT, _BROKEN, _NOT_LOADED, _SILENT, _STUCK = 10, 11, 12, 13, 14, 15

# $1 the port, $2 the probe's header, $3 whether the block is to be loaded or gone, $4… the paths.
_PROBE = rf"""
ask() {{
    port=$1 header=$2 want=$3
    shift 3
    for path in "$@"; do
        code=$(curl -s -m 1 -o /dev/null -w '%{{http_code}}' -H "$header" "http://127.0.0.1:$port$path")
        case $want$code in
            loaded204) ;;
            *000|loaded|gone) return {_SILENT} ;;
            loaded*|gone204) return {_NOT_LOADED} ;;
        esac
    done
}}
uptime() {{
    read -r up _ </proc/uptime
    echo "${{up%%.*}}"
}}
wait_for_answers() {{
    until=$(($(uptime) + 5))
    while ask "$@"; answer=$?; [ $answer -ne 0 ]; do
        [ "$(uptime)" -lt $until ] || return $answer
        sleep 0.1
    done
}}
"""

_ASK = _PROBE + 'ask "$@"'

# $1 the port, then each path with the address of the server behind it: says whether nginx answers a handshake there as
# that server does, which Coolify's own pages do not; nothing where the server answers nobody, or where what came is no
# status, as of a curl that cannot run.
_COMPARE = f"""
shake() {{
    url=$1
    shift
    curl -s -m 1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \\
        -H 'Sec-WebSocket-Key: Y29vbGlmeS13ZWJzb2NrZQ==' "$@" "$url"
}}
compare() {{
    here=$(shake "$1" -w '\n%{{http_code}}') there=$(shake "$2" -w '\n%{{http_code}}')
    case ${{here##*
}},${{there##*
}} in
        000,*) exit {_SILENT} ;;
        *,000) ;;
        101,101) echo "yes $3" ;;
        [1-9][0-9][0-9],[1-9][0-9][0-9]) [ "$here" = "$there" ] && echo "yes $3" || echo "no $3" ;;
        *) exit {_SILENT} ;;
    esac
}}
port=$1
shift
asking=
while [ $# -gt 1 ]; do
    compare "http://127.0.0.1:$port$1" "http://$2$1" "$1" &
    asking="$asking $!"
    shift 2
done
for one in $asking; do
    wait "$one" || exit
done
"""

_TEST = "nginx -t -q 2>&1"

_LOAD = f"""
{_PROBE}
nginx -t -q 2>&1 || exit {_BROKEN}
nginx -s reload 2>&1
wait_for_answers "$@"
"""

# $1 the live file, $2 the candidate, $3 a copy of the live file, $4 a configuration that includes the candidate; the
# rest goes to the probe. An nginx that answers nobody is about to start, and will do so with the tested file: it stays.
_SWAP = f"""
{_PROBE}
live=$1 candidate=$2 old=$3 wrapper=$4
shift 4
# Also what an earlier run left, whose command never began.
trap 'rm -f "$candidate" "$old" "$wrapper"; find "${{live%/*}}" "${{wrapper%/*}}" -maxdepth 1 -name ".coolify-websocket-*" \
    -mmin +60 -exec rm -f {{}} +' EXIT
nginx -t -q -c "$wrapper" 2>&1 || exit {_REFUSED}
cmp -s "$old" "$live" || exit {_CONFLICT}
mv -f "$candidate" "$live" 2>&1 || exit {_STUCK}
nginx -t -q 2>&1 || {{ mv -f "$old" "$live"; exit {_BROKEN}; }}
nginx -s reload 2>&1
wait_for_answers "$@" && exit
answer=$?
[ $answer -eq {_SILENT} ] || {{ mv -f "$old" "$live"; nginx -s reload 2>&1; }}
exit $answer
"""


# Without what differs from one telling of the same complaint to the next: it would never be known as the same.
_TIME_AND_PROCESS = re.compile(r"^[0-9/]+ [0-9:]+ (?=\[)|(?<=\] )[0-9]+#[0-9]+: ")
_VERDICT = re.compile(r"configuration file \S+ test failed$")


class NginxError(Exception):
    """nginx or the container does not take the file; the message holds nginx's own words."""


class Mounted(NginxError):
    """http.conf is a file of the host that somebody mounts into the container: theirs to write."""


class Conflict(NginxError):
    """Somebody else changed http.conf between reading and writing: read again."""


class NotRendered(NginxError):
    """The container has just started and has no http.conf yet: its start-up is about to render it (fact 49)."""


class Empty(NotRendered):
    """http.conf is being rendered at this moment, or was rendered from nothing."""


class NotAnswering(NginxError):
    """The tested file is in place, but nginx does not answer: it is starting, or stopped."""


class Snapshot(t.NamedTuple):
    """A container's nginx configuration at one moment. `texts` maps absolute names to contents, http.conf included.

    `path` is http.conf, or the template that it will be rendered from at the container's first start (fact 49). `mounted` is the
    place outside of the container that it comes from, if it does.
    """

    container: str
    running: bool
    path: str
    file: _client.File
    texts: dict[str, str]
    mounted: str = ""

    @property
    def text(self) -> str:
        return self.texts[self.path]


def read(engine: _client.Engine, inspected: dict[str, t.Any], path: str = _http_conf.PATH) -> Snapshot:
    """What the container of this inspection has. Raises NginxError and EngineError."""
    container = inspected["Id"]
    files = engine.read_tree(container, ROOT)
    running = _runs(inspected)
    template = path + TEMPLATE
    if not running and path in files and template in files:
        # Rendered while it was read: the engine keeps who asks for files waiting from the order to start until it runs.
        running = _runs(engine.inspect(container) or inspected)
    if path not in files and template in files:
        if running:
            raise NotRendered(f"the container has started, and has not rendered {path} from its template yet")
        # Never a new http.conf: it would keep the real one from being rendered.
        path = template
    if path not in files:
        raise NginxError(f"the container has no regular file {path}; is this a Coolify image of 4.0.0-beta.426 or later?")
    texts = {name: file.data.decode("latin-1") for name, file in files.items()}
    snapshot = Snapshot(container, running, path, files[path], texts, _mounted(inspected, path))
    if _is_unrendered(snapshot):
        # For a moment of every start the file is empty: what renders it has opened it, and not written yet.
        raise Empty(f"{path} is empty: it is being rendered, or was rendered from nothing")
    return snapshot


def _mounted(inspected: dict[str, t.Any], path: str) -> str:
    mounts = [(str(one.get("Destination")), str(one.get("Source"))) for one in inspected.get("Mounts") or []]
    # In a folder that is mounted the file can be replaced, and given back, as in any other.
    return next((source for inside, source in mounts if path == inside), "")


def _runs(inspected: dict[str, t.Any]) -> bool:
    state = inspected["State"]
    return bool(state["Running"]) and not state.get("Restarting") and not state.get("Paused")


def template_of(engine: _client.Engine, inspected: dict[str, t.Any], path: str = _http_conf.PATH) -> Snapshot | None:
    """The template beside a container's http.conf, into which a block may have gone before its first start.

    None where there is no template, or no http.conf beside it. Raises EngineError.
    """
    file = engine.read_file(inspected["Id"], path + TEMPLATE)
    if file is None or engine.read_file(inspected["Id"], path) is None:
        return None
    name = path + TEMPLATE
    return Snapshot(inspected["Id"], False, name, file, {name: file.data.decode("latin-1")})


def wanted(engine: _client.Engine, snapshot: Snapshot, settings: _routes.Settings = _routes.DEFAULT) -> _http_conf.Result:
    """What http.conf should say, after asking nginx, where it runs, which paths it serves without our block.

    Raises HttpConfError and EngineError, and Mounted where the file is not ours to write and should say more.
    """
    if snapshot.mounted:
        return _http_conf.Result(snapshot.text, False, [], [], [], _served_by_mounted(engine, snapshot, settings))
    ours = _http_conf.paths(snapshot.text)
    others = [route for route in _routes.ROUTES if route.path not in ours]
    asked = served(engine, snapshot, others) if snapshot.running and others else {}
    return _http_conf.apply(snapshot.text, settings, snapshot.texts, asked)


def _served_by_mounted(engine: _client.Engine, snapshot: Snapshot, settings: _routes.Settings) -> list[str]:
    """The paths that a mounted http.conf serves, which have to be all. Raises Mounted with the lines that it needs."""
    if not snapshot.running:
        return []
    asked = served(engine, snapshot, _routes.ROUTES)
    # Of a path whose server answers nobody, the text alone can tell.
    missing = [route for route in _routes.ROUTES if not asked.get(route.path, f" {route.path}" in snapshot.text)]
    if missing:
        lines = "\n".join(_routes.locations(missing, settings, probed=False))
        raise Mounted(
            f"{snapshot.path} in the container is mounted from {snapshot.mounted} on the host, which only you write. Add these "
            f"lines to it, within the server block or as the file has it, then run `docker exec coolify nginx -s reload`; or "
            f"remove the mount:\n{lines}"
        )
    return [route.path for route in _routes.ROUTES]


def _refuse_mounted(snapshot: Snapshot) -> None:
    if snapshot.mounted:
        raise Mounted(f"{snapshot.path} is mounted from {snapshot.mounted}, which is not ours to write; nothing was written")


def served(engine: _client.Engine, snapshot: Snapshot, routes: t.Iterable[_routes.Route]) -> dict[str, bool]:
    """Whether the running nginx answers on the paths of these routes as the servers behind them do.

    Without the paths whose server answers nobody, and empty if nginx is silent. Raises EngineError.
    """
    samples = {_sample(route.path): route for route in routes}
    arguments = [part for path, route in samples.items() for part in (path, f"{_routes.UPSTREAM}:{route.port}")]
    code, output = _run(engine, snapshot, _COMPARE, str(_port(snapshot.text)), *arguments)
    if code:
        return {}
    answers = [line.partition(" ") for line in output.splitlines()]
    return {samples[path].path: answer == "yes" for answer, _blank, path in answers if path in samples}


def put(engine: _client.Engine, snapshot: Snapshot, text: str) -> None:
    """Gives a container that does not run its http.conf. Raises Mounted, and EngineError with the file as it was."""
    _refuse_mounted(snapshot)
    file = snapshot.file
    try:
        engine.write_file(snapshot.container, snapshot.path, text.encode("latin-1"), file.mode, file.uid, file.gid)
    except _client.EngineError:
        # The engine takes the old one away before it writes; what had room for that has it again.
        with contextlib.suppress(_client.EngineError):
            engine.write_file(snapshot.container, snapshot.path, *file)
        raise


def swap(engine: _client.Engine, snapshot: Snapshot, text: str) -> None:
    """Gives a running container its http.conf: tested, loaded and answering, or as it was before.

    Raises Conflict, NotAnswering, NginxError and EngineError.
    """
    _refuse_mounted(snapshot)
    mode, uid, gid = snapshot.file[1:]
    token = f".coolify-websocket-{os.urandom(4).hex()}"
    folder, _slash, name = snapshot.path.rpartition("/")
    new, old, wrapper = f"{folder}/{token}.new", f"{folder}/{token}.old", f"{ROOT}/{token}.conf"
    contents = {
        new: text.encode("latin-1"),
        old: snapshot.file.data,
        wrapper: candidate_configuration(snapshot.texts, snapshot.path, new).encode("latin-1"),
    }
    files = {key[len(ROOT) + 1 :]: _client.File(data, mode, uid, gid) for key, data in contents.items()}
    try:
        try:
            engine.write_files(snapshot.container, ROOT, files)
        except _client.EngineError as error:
            raise NginxError(f"the new {name} cannot be put beside the old one: {error}") from error
        code, output = _run(engine, snapshot, _SWAP, snapshot.path, new, old, wrapper, *_expectation(snapshot.text, text))
    except _client.EngineUnavailable:
        # It may be at it, and takes them away itself.
        raise
    except (NginxError, _client.EngineError):
        with contextlib.suppress(_client.EngineError):
            _run(engine, snapshot, 'rm -f "$@"', *contents)
        raise
    if code == _CONFLICT:
        raise Conflict(f"{name} was changed by somebody else at the same time")
    if code == _REFUSED:
        words = _words(output.replace(new, snapshot.path).replace(wrapper, MAIN))
        raise NginxError(f"nginx refuses the new {name}, which was not put in place: {words}")
    if code == _STUCK:
        raise NginxError(f"the new {name} cannot take the old one's place: {_words(output)}")
    if code == _BROKEN:
        raise NginxError(f"nginx refuses the new {name}; the old one was put back: {_words(output)}")
    if code == _SILENT:
        raise NotAnswering(
            f"nginx does not answer; the new {name} is in place and will be loaded when it starts: {_words(output)}"
        )
    if code == _NOT_LOADED:
        raise NginxError(f"nginx did not load the new {name}; the old one was put back: {_words(output)}")
    if code:
        # Neither nginx's nor the script's own: as of a container that ends, and all that runs in it.
        raise NotAnswering(f"the new {name} was not put in place to the end, exit status {code}: {_words(output)}")


def load(engine: _client.Engine, snapshot: Snapshot) -> None:
    """Lets the running nginx load the file as it is. Raises NotAnswering, NginxError and EngineError."""
    code, output = _run(engine, snapshot, _LOAD, *_expectation(snapshot.text, snapshot.text))
    if code == _SILENT:
        raise NotAnswering(f"nginx does not answer: {_words(output)}")
    if code:
        raise NginxError(f"nginx did not load {snapshot.path}: {_words(output)}")


def answers(engine: _client.Engine, snapshot: Snapshot) -> bool:
    """Whether nginx answers at all, whatever it has loaded. Raises EngineError."""
    return _run(engine, snapshot, _ASK, str(_port(snapshot.text)), f"{_routes.PROBE_HEADER}: -", "gone", "/")[0] != _SILENT


def is_loaded(engine: _client.Engine, snapshot: Snapshot) -> bool | None:
    """Whether the running nginx answers with the routes that the file holds; None if it does not answer at all."""
    expectation = _expectation(snapshot.text, snapshot.text)
    if expectation[3:] == []:
        return True
    code, _output = _run(engine, snapshot, _ASK, *expectation)
    return None if code == _SILENT else code == 0


def fault(engine: _client.Engine, snapshot: Snapshot) -> str | None:
    """What ``nginx -t`` says against the files in the running container; None if it says nothing, or cannot be run."""
    code, output = _run(engine, snapshot, _TEST)
    return _words(output) if code == 1 else None


def candidate_configuration(texts: t.Mapping[str, str], path: str, candidate: str) -> str:
    """nginx.conf with every ``include`` on the way to `path` written out, and `candidate` included in its place.

    So the candidate is tested with all that surrounds it: maps, log formats, other servers. Raises NginxError.
    """
    text = _rewritten(texts, MAIN, path, candidate, ())
    if text is None:
        raise NginxError(f"{path} is not included by {MAIN} in the container; is this a Coolify image?")
    return text


def _rewritten(texts: t.Mapping[str, str], name: str, path: str, candidate: str, above: tuple[str, ...]) -> str | None:
    if name == path:
        return f"include {candidate};\n"
    if name in above or name not in texts:
        return None
    text = texts[name]
    try:
        statements = _syntax.parse(text).statements
    except _syntax.NginxSyntaxError as error:
        raise NginxError(f"{name} in the container is no valid nginx configuration: {error}") from error
    replacements = []
    for statement in (inner for outer in statements for inner in outer.walk()):
        if statement.name == "include" and len(statement.words) == 2:
            names = _http_conf.included(statement.words[1], texts)
            written = {inner: _rewritten(texts, inner, path, candidate, (*above, name)) for inner in names}
            if any(part is not None for part in written.values()):
                parts = [f'include "{inner}";\n' if part is None else part for inner, part in written.items()]
                replacements.append((statement.start, statement.stop, "\n" + "".join(parts)))
    if not replacements:
        return None
    for start, stop, replacement in reversed(replacements):
        text = text[:start] + replacement + text[stop:]
    return text


def _expectation(old: str, new: str) -> list[str]:
    """The probe's arguments: what tells that nginx serves `new` and no longer `old`."""
    text, want = (new, "loaded") if _http_conf.fingerprint(new) else (old, "gone")
    header = f"{_routes.PROBE_HEADER}: {_http_conf.fingerprint(text)}"
    return [str(_port(new)), header, want, *map(_sample, _http_conf.paths(text))]


def _sample(path: str) -> str:
    """What to ask for: below a prefix what no server knows, nor an exact location of somebody's takes."""
    return path + "-" if path.endswith("/") else path


def _port(text: str) -> int:
    """The port of the first ``listen`` that takes plain HTTP; Coolify's 8080 (fact 1) if none says."""
    for statement in _syntax.parse(text).statements:
        if statement.name == "listen" and "ssl" not in statement.words:
            port = statement.words[1].rpartition(":")[2]
            if port.isdigit():
                return int(port)
    return 8080


def _is_unrendered(snapshot: Snapshot) -> bool:
    """Whether a running container's http.conf has no directive, and its template has some."""
    template = snapshot.texts.get(snapshot.path + TEMPLATE)
    if not snapshot.running or template is None:
        return False
    try:
        return not _syntax.parse(snapshot.text).statements and bool(_syntax.parse(template).statements)
    except _syntax.NginxSyntaxError:
        return False


def render_again(engine: _client.Engine, container: str, path: str) -> None:
    """Starts a container anew without its http.conf at `path`, so that its start-up renders it. Raises EngineError.

    For one that stays as `Empty` says: its template was being written at the very moment of the start.
    """
    _in_shell(engine, container, 'rm -f "$1"', path)
    engine.restart(container)


def _run(engine: _client.Engine, snapshot: Snapshot, script: str, *arguments: str) -> tuple[int, str]:
    return _in_shell(engine, snapshot.container, script, *arguments)


def _in_shell(engine: _client.Engine, container: str, script: str, *arguments: str) -> tuple[int, str]:
    code, output = engine.exec(container, ["sh", "-c", script, "coolify-websocket", *arguments])
    return code, output.decode("utf-8", "replace")


def _words(output: str) -> str:
    """The lines of nginx's in one."""
    lines = (_TIME_AND_PROCESS.sub("", line.strip()) for line in output.splitlines() if not _VERDICT.search(line))
    return " / ".join(line for line in lines if line) or "no reason given"
