"""A stand-in for an engine with one container: real files, a real shell, and an nginx that is a small script.

Commands that are "executed in the container" run here, in a shell whose ``nginx`` and ``curl`` are the two scripts below.
They keep what nginx would have loaded in the file ``loaded``, and refuse a configuration with the word ``bogus`` in it.
"""

from __future__ import annotations

import os
import subprocess

NGINX = r"""#!/bin/sh
here=$(dirname "$0")/..
conf=$here/etc/nginx/nginx.conf test= reload=
while [ $# -gt 0 ]; do
    case $1 in -t) test=1 ;; -c) conf=$2; shift ;; -s) reload=1; shift ;; esac
    shift
done
all() {
    while read -r line; do
        case $line in "include "*) name=${line#include }; all "$(echo "${name%;}" | tr -d '"')" ;; *) echo "$line" ;; esac
    done < "$1"
}
text=$(all "$conf")
case $text in
    *bogus*) echo "[emerg] unknown directive \"bogus\" in $conf" >&2; exit 1 ;;
    *"$(cat "$here/hates" 2>/dev/null || echo '@nothing@')"*) echo "[emerg] I hate this in $conf" >&2; exit 1 ;;
esac
if [ -n "$reload" ]; then
    [ -e "$here/up" ] || { echo "[error] invalid PID number" >&2; exit 1; }
    [ -e "$here/deaf" ] || echo "$text" > "$here/loaded"
    echo reload >> "$here/log"
fi
"""

CURL = r"""#!/bin/sh
# Either the probe for the block's mark, or a handshake, whose answers stand in a file: address and path, status, body.
here=$(dirname "$0")/..
[ ! -e "$here/broken" ] || exit 126
mark= format= quiet=
while [ $# -gt 1 ]; do
    case $1$2 in -HX-Coolify*) mark=${2##*: } ;; -w*) format=$2 ;; -o*) quiet=1 ;; esac
    shift
done
say() {
    [ "$quiet" ] || printf %s "$2"
    case $format in '%'*) ;; *) echo ;; esac
    printf %s "$1"
}
[ -e "$here/up" ] || { say 000; exit 7; }
if [ "$mark" ]; then
    if grep -q "\"$mark\"" "$here/loaded"; then printf 204; else printf 302; fi
    exit
fi
while read -r url status body; do
    [ "http://$url" != "$1" ] || { say "$status" "$body"; exit; }
done < "$here/answers"
case $1 in http://127.0.0.1:*) say 302 ;; *) say 101 ;; esac
"""

STOCK = "listen 8080 default_server;\nlocation / {\n    return 200;\n}\n"


def impatient(monkeypatch, container_nginx):
    """Lets the scripts wait for nginx no longer than they must."""
    for script in ("_SWAP", "_LOAD"):
        text = getattr(container_nginx, script)
        assert "+ 5))" in text
        monkeypatch.setattr(container_nginx, script, text.replace("+ 5))", "+ 0))"))


class Container:
    """`state` is Docker's word. `up` says whether its nginx answers."""

    def __init__(self, root, docker_engine, identity="c" * 64, state="running"):
        self.root = root
        self.docker_engine = docker_engine
        self.identity = identity
        self.state = state
        self.execs = []
        self.refuses = []
        self.name = "coolify"
        (root / "bin").mkdir(parents=True)
        for name, script in (("nginx", NGINX), ("curl", CURL)):
            (root / "bin" / name).write_text(script)
            (root / "bin" / name).chmod(0o755)
        self.folder = root / "etc" / "nginx"
        self.http_conf = self.folder / "site-opts.d" / "http.conf"
        self.http_conf.parent.mkdir(parents=True)
        (self.folder / "conf.d").mkdir()
        # One directive a line and no blanks in front of "include", which is all that the stand-in's reader can do.
        (self.folder / "nginx.conf").write_text(f"http {{\ninclude {self.folder}/conf.d/default.conf;\n}}\n")
        (self.folder / "conf.d" / "default.conf").write_text(f"server {{\ninclude {self.http_conf};\n}}\n")
        self.http_conf.write_text(STOCK)
        (root / "answers").touch()
        self.boot()

    def boot(self):
        """nginx starts with the files as they are."""
        (self.root / "loaded").write_text(self.http_conf.read_text())
        (self.root / "up").touch()

    def hush(self):
        """nginx answers nobody."""
        (self.root / "up").unlink()

    def break_curl(self):
        """No command of that name can run, as without memory."""
        (self.root / "broken").touch()

    def answer(self, url, status, body=""):
        """What a handshake there is answered with; status 0 is no answer."""
        with (self.root / "answers").open("a") as answers:
            answers.write(f"{url} {status:03} {body}\n")

    def make_deaf(self):
        """nginx takes no reload."""
        (self.root / "deaf").touch()

    def hates(self, words):
        """nginx refuses a configuration with these words in it."""
        (self.root / "hates").write_text(words)

    def unrender(self):
        """As an image leaves it that renders http.conf from a template at its first start (fact 49)."""
        self.http_conf.rename(self.template)

    @property
    def template(self):
        return self.http_conf.with_name("http.conf.template")

    @property
    def inspected(self):
        running = self.state in ("running", "restarting", "paused")
        state = {"Status": self.state, "Running": running, "Restarting": self.state == "restarting"}
        return {"Id": self.identity, "Name": "/coolify", "State": state, "Mounts": [], "Image": "sha256:1"}

    @property
    def leftovers(self):
        return sorted(path.name for path in self.folder.rglob(".*"))


class Engine:
    """The part of the engine's client that is asked of containers."""

    def __init__(self, *containers):
        self.all = {container.identity: container for container in containers}

    def _find(self, name):
        return next((c for c in self.all.values() if name in (c.identity, c.name)), None)

    def version(self):
        return {"ApiVersion": "1.45"}

    def inspect(self, name):
        found = self._find(name)
        return None if found is None else found.inspected

    def restart(self, name):
        container = self._find(name)
        if not container.http_conf.exists():
            container.http_conf.write_text(container.template.read_text())
        container.boot()

    def changes(self, name):
        """http.conf was rendered where there is a template beside it."""
        container = self._find(name)
        return {str(container.http_conf): 1} if container.template.exists() else {}

    def image(self, name):
        return {"Id": "sha256:1" if name == "coolify:1" else "sha256:2"}

    def containers(self, all=True, filters=None):
        return [{"Id": c.identity, "Names": ["/" + c.name]} for c in self.all.values()]

    def read_tree(self, name, path):
        container = self._find(name)
        tree = {}
        for file in sorted(container.folder.rglob("*")):
            if file.is_file():
                mode = file.stat().st_mode & 0o7777
                tree[str(file)] = container.docker_engine.File(file.read_bytes(), mode, 9999, 9999)
        return tree

    def read_file(self, name, path):
        return self.read_tree(name, "").get(path)

    def write_file(self, name, path, data, mode, uid, gid):
        with open(path, "wb") as target:
            target.write(data)
            os.fchmod(target.fileno(), mode)

    def write_files(self, name, folder, files):
        for below, file in files.items():
            self.write_file(name, os.path.join(folder, below), *file)

    def exec(self, name, argv, errors=True):
        container = self._find(name)
        container.execs.append(argv)
        if container.refuses and container.refuses.pop(0):
            raise container.docker_engine.EngineError("cannot start it")
        environment = {"PATH": f"{container.root}/bin:{os.environ['PATH']}"}
        done = subprocess.run(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return done.returncode, done.stdout
