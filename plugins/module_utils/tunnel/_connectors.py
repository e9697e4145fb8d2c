# SPDX-License-Identifier: GPL-3.0-or-later
"""cloudflared's connectors: what a command line of cloudflared runs, where its list lies, and which list counts (fact 56).

Texts and inspections in, values out; nothing is opened here. A token is a secret: of it only the two ids that it names go
further.
"""

from __future__ import annotations

import base64
import json
import posixpath
import re
import shlex
import typing as t

#: Where cloudflared looks for its file, first match wins (its config/configuration.go); ~ is the user's home.
FOLDERS = ("~/.cloudflared", "~/.cloudflare-warp", "~/cloudflare-warp", "/etc/cloudflared", "/usr/local/etc/cloudflared")
NAMES = ("config.yml", "config.yaml")

_IMAGE = re.compile(r"(?:.+/)?cloudflare/cloudflared(?::[^/@]*)?(?:@.*)?")
_ACCOUNT = re.compile(r"[0-9a-f]{32}")
_TUNNEL = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TOKEN_IN_FILE = re.compile(r"""(?m)^["']?token["']?[ \t]*:[ \t]*["']?(?P<token>[\w+/=-]+)""")
_ENGINES = ("docker", "podman", "nerdctl", "docker-compose", "podman-compose")
#: Flags without a value; every other one takes the next word, unless that is a flag itself.
_SWITCHES = frozenset(
    (
        "V",
        "bastion",
        "compression",
        "disable-path-normalization",
        "force",
        "h",
        "hello-world",
        "help",
        "http2-origin",
        "is-autoupdated",
        "no-autoupdate",
        "no-chunked-encoding",
        "no-prechecks",
        "no-tls-verify",
        "post-quantum",
        "pq",
        "proxy-dns",
        "proxy-no-happy-eyeballs",
        "quic-disable-pmtu-discovery",
        "socks5",
        "ui",
        "v",
        "version",
    )
)


class Command(t.NamedTuple):
    """How a connector is started: the file it is told to read, its token, and the file that holds the token."""

    config: str
    token: str
    token_file: str

    @property
    def remote(self) -> bool:
        """Whether the list comes from Cloudflare, whatever file lies beside."""
        return bool(self.token or self.token_file)


class Connector(t.NamedTuple):
    """One connector; `path` is its list's place on the host, None where there is none that can be reached from there.

    `kind` is ``unit``, ``container`` or ``process``; `account` and `tunnel` are the ids in its token.
    """

    kind: str
    name: str
    running: bool
    remote: bool
    path: str | None
    account: str | None
    tunnel: str | None


def is_image(reference: str) -> bool:
    """Whether this is cloudflared's image, of whatever registry and tag."""
    return _IMAGE.fullmatch(reference) is not None


def command(argv: t.Sequence[str], environment: t.Mapping[str, str], named: bool = False) -> Command | None:
    """What a command line runs; None where that is no connector.

    cloudflared may be behind a shell, or a program such as `env`. `named` tells that by its name it is a connector, so
    that a command which hides cloudflared in a script is one too.
    """
    if not argv or posixpath.basename(argv[0]) in _ENGINES:
        return None
    words = [piece for index, word in enumerate(argv) for piece in _pieces(argv[index - 1] if index else "", word)]
    at = next((index for index, word in enumerate(words) if posixpath.basename(word) == "cloudflared"), None)
    if at is None and not named:
        return None
    flags, said = _parsed(words[0 if at is None else at + 1 :])
    if at is not None and said[:1] not in ([], ["tunnel"]):
        return None
    if at is not None and len(said) > 1 and said[1] != "run":
        return None
    token = flags.get("token") or environment.get("TUNNEL_TOKEN") or ""
    return Command(flags.get("config") or "", token, flags.get("token-file") or environment.get("TUNNEL_TOKEN_FILE") or "")


def token_in(text: str) -> str:
    """The token that stands in cloudflared's own file; empty where there is none."""
    found = _TOKEN_IN_FILE.search(text)
    return found["token"] if found else ""


def ids(token: str) -> tuple[str | None, str | None]:
    """The account's id and the tunnel's that a token names. Its secret is not passed on, and nothing is raised."""
    try:
        named = json.loads(base64.b64decode(token.strip() + "=" * (-len(token.strip()) % 4), altchars=b"-_"))
        account, tunnel = str(named["a"]), str(named["t"])
    except (ValueError, TypeError, KeyError):
        return None, None
    return account if _ACCOUNT.fullmatch(account) else None, tunnel if _TUNNEL.fullmatch(tunnel) else None


def candidates(config: str, home: str, folder: str) -> list[str]:
    """Where the list may be, the first that exists counting; `folder` is the working directory."""
    if config:
        return [posixpath.normpath(posixpath.join(folder or "/", config))]
    return [posixpath.join(at.replace("~", home.rstrip("/"), 1), name) for at in FOLDERS for name in NAMES]


def on_host(path: str, mounts: t.Iterable[t.Mapping[str, t.Any]]) -> str | None:
    """Where a container's path lies on the host, by the mounts in its inspection; None where it is the container's own."""
    covering = [mount for mount in mounts if _below(path, str(mount.get("Destination") or "")) is not None]
    if not covering:
        return None
    mount = max(covering, key=lambda one: len(str(one["Destination"]).rstrip("/")))
    source = str(mount.get("Source") or "")
    return posixpath.join(source, _below(path, mount["Destination"]) or "").rstrip("/") if source else None


def names(text: str, host: str) -> bool:
    """Whether a list, as text, names this host, itself or by a wildcard."""
    wanted = {host.lower(), "*." + host.lower().partition(".")[2]}
    return bool(host) and not wanted.isdisjoint(re.split(r"""[\s"',{}[\]]+""", text.lower()))


def counting(connectors: t.Sequence[Connector], names_host: t.Callable[[str], bool]) -> list[Connector]:
    """Those whose list counts: of the connectors that run, else of all, those of one list, or those at Cloudflare.

    Of several lists on the host, the one that names the instance counts (`names_host`, by path).
    """
    asked = [one for one in connectors if one.running] or list(connectors)
    local = [one for one in asked if not one.remote]
    first = next((one for one in local if one.path and names_host(one.path)), None)
    remote = [one for one in asked if one.remote]
    if first is None and remote:
        return remote
    first = first or next((one for one in local if one.path), None)
    return [one for one in local if first is None or one.path == first.path]


def _pieces(before: str, word: str) -> list[str]:
    """The words of a shell's command line, up to where another command begins; any other word as it is."""
    if before not in ("-c", "-ec", "-lc", "-xc"):
        return [word]
    try:
        found = list(shlex.shlex(word, posix=True, punctuation_chars=";&|"))
    except ValueError:
        return [word]
    at = next((index for index, piece in enumerate(found) if posixpath.basename(piece) == "cloudflared"), 0)
    end = next((index for index in range(at, len(found)) if set(found[index]) <= set(";&|")), len(found))
    return found[at:end]


def _parsed(words: t.Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The flags with their values, and the other words. A dash before a flag is as good as two."""
    flags, said = {}, []
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-"):
            said.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if not equals and name not in _SWITCHES and left and not left[0].startswith("-"):
            value = left.pop(0)
        flags[name] = value
    return flags, said


def _below(path: str, folder: str) -> str | None:
    """The path from the folder on; None where it is not in there."""
    if path == folder:
        return ""
    start = folder.rstrip("/") + "/"
    return path[len(start) :] if folder and path.startswith(start) else None
