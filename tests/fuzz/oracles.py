"""The programs that have the last word: phpdotenv and nginx of the lab's image of Coolify, and Docker Compose."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import tarfile
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NGINX_FILES = ROOT / "molecule" / "shared" / "images" / "coolify" / "rootfs" / "etc" / "nginx"

_DOTENV = r"""
spl_autoload_register(function ($class) {
    $file = '/usr/share/php/' . str_replace('\\', '/', $class) . '.php';
    if (is_file($file)) require_once $file;
});
while (($line = fgets(STDIN)) !== false) {
    try {
        $text = Dotenv\Util\Str::utf8(base64_decode(trim($line)))->success()->get();
        $entries = (new Dotenv\Parser\Parser())->parse($text);
        $repository = Dotenv\Repository\RepositoryBuilder::createWithNoAdapters()
            ->addAdapter(Dotenv\Repository\Adapter\ArrayAdapter::class)->make();
        $values = [];
        foreach ((new Dotenv\Loader\Loader())->load($repository, $entries) as $name => $value)
            if ($value !== null) $values[base64_encode((string) $name)] = base64_encode($value);
        echo json_encode((object) $values), "\n";
    } catch (Throwable $error) {
        echo "null\n";
    }
}
"""

_NGINX = r"""
cp -r /lab/. /etc/nginx/
while read -r line; do
    printf %s "$line" | base64 -d >/etc/nginx/site-opts.d/http.conf
    if said=$(nginx -t -q 2>&1); then echo; else printf %s "$said" | base64 -w 0; echo; fi
done
"""


class OracleError(Exception):
    """The oracle itself is missing or has ended."""


class _Lines:
    """A program in a container that answers each line with a line."""

    def __init__(self, *words: str) -> None:
        self._process = subprocess.Popen(
            ["docker", "run", "--rm", "-i", "--network", "none", *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )

    def ask(self, files: t.Iterable[bytes]) -> t.Iterator[bytes]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        for data in files:
            stdin.write(base64.b64encode(data) + b"\n")
            stdin.flush()
            answer = stdout.readline()
            if not answer.endswith(b"\n"):
                raise OracleError("the oracle in the container has ended")
            yield answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class PhpDotenv(_Lines):
    """phpdotenv 5 as Debian packages it, with nothing in the environment."""

    def __init__(self) -> None:
        super().__init__(image("inner-base"), "php", "-r", _DOTENV)

    def values(self, files: t.Iterable[bytes]) -> t.Iterator[dict[str, str] | None]:
        """What it reads from each file; None where it refuses it."""
        for answer in self.ask(files):
            found = json.loads(answer)
            yield found and {_text(name): _text(value) for name, value in found.items()} if found is not None else None


class Nginx(_Lines):
    """The real nginx, with the lab's nginx.conf around http.conf."""

    def __init__(self) -> None:
        # A name that is written out is looked up when nginx starts, and there is one here to be found.
        host = ["--add-host", "coolify-realtime:127.0.0.1"]
        super().__init__(*host, "-v", f"{NGINX_FILES}:/lab:ro", image("inner-base"), "sh", "-c", _NGINX)

    def complaint(self, text: str) -> str:
        """What ``nginx -t`` says against this http.conf; empty if nothing."""
        (answer,) = self.ask([text.encode("latin-1")])
        return base64.b64decode(answer).decode("utf-8", "replace")


def compose(files: t.Sequence[bytes]) -> list[dict[str, str]]:
    """What Docker Compose, as the lab's hosts have it, reads from each file as ``env_file``.

    Raises OracleError where it refuses one.
    """
    services = {f"s{number}": {"image": "x", "env_file": [f"{number}.env"]} for number in range(len(files))}
    contents = {"c.json": json.dumps({"services": services}).encode()}
    contents.update({f"{number}.env": data for number, data in enumerate(files)})
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    script = "mkdir /fuzz && cd /fuzz && tar x && docker compose -f c.json config --format json"
    words = ["docker", "run", "--rm", "-i", "--network", "none", image("host-trixie"), "sh", "-c", script]
    done = subprocess.run(words, input=packed.getvalue(), capture_output=True, check=False)
    if done.returncode:
        raise OracleError(done.stderr.decode(errors="replace")[-400:])
    found = json.loads(done.stdout)["services"]
    # It doubles each "$" in what it prints, so that it could be read as a compose file again.
    return [
        {name: (value or "").replace("$$", "$") for name, value in found[f"s{number}"].get("environment", {}).items()}
        for number in range(len(files))
    ]


def image(name: str) -> str:
    """The newest of the lab's images with this name. Raises OracleError where the lab was never built."""
    repository = f"selfhosted.coolify.lab/{name}"
    words = ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", repository]
    listed = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    if not listed:
        raise OracleError(f"no image {repository}; build the lab's images first: python molecule/shared/lab build")
    return listed[0]


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode("utf-8")
