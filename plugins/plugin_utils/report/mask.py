# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts masks in place of addresses and names, the same mask for the same thing, so that a page can be shown to anybody.

What looks like a name and is not known to be harmless is masked: too much is better than too little.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.selfhosted.coolify.plugins.module_utils.verify import _diagnosis

Json = t.Any

# Of a row, what the collection itself chooses, and no name is in.
_OWN_WORDS = ("id", "hop", "kind", "mode", "generated", "schema")
# The same on every host, so that they tell nothing, and the text is not to be understood without them.
_PUBLIC = ("0.0.0.0/0", "100.64.0.0/10", "fd7a:115c:a1e0::/48")
_GENERIC = {"host", "control", "outside", "tailnet", "localhost", "coolify", "coolify-realtime", "coolify-proxy", "empty"}
_EXTENSIONS = "cfg|conf|env|j2|json|key|log|pem|php|py|service|sh|sock|socket|timer|toml|txt|yaml|yml"
_EXTENSION = re.compile(rf"(\.(?:{_EXTENSIONS}))+$", re.I)

_DOTTED = r"\w(?:[\w-]*\w)?(?:\.\w(?:[\w-]*\w)?)+"
_IPV4 = r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)"
_IPV6 = r"(?<![\w:.])[0-9a-fA-F]*:[0-9a-fA-F:]*:(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9a-fA-F:]*)(?!\w)"
# Names without a dot stand out by what is around them: a URL's host, how ssh names the host it could not reach, and
# what a variable of Coolify's that holds a host is.
_PLACES = re.compile(
    r"(?:://(?:[^/@\s]*@)?|resolve hostname |connect to host |\w@|_HOST is )([^\W\d](?:[\w.-]*\w)?|\d[\w.-]*[^\W\d][\w.-]*)"
)
_WORD = re.compile(r"[\w-]+")
# The keys that such names stand below, in a row, in what the modules found, and in the inventory.
_KEYS = re.compile(r"(host|hostname|from|.*_HOST|ansible_host)")


class Mask:
    """Holds the masks given so far: one for each thing, numbered in the order of their coming.

    A text is masked by what was learnt before: learn from everything, then mask.
    """

    def __init__(self) -> None:
        self._masks: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._names: set[str] = set()
        texts = [text for entry in _diagnosis.TABLE.values() for text in (entry.cause, entry.next)]
        self._harmless = {found.lower() for text in texts for found in re.findall(_DOTTED, text)}
        self._words = {word.lower() for text in texts for word in _WORD.findall(text)} | _GENERIC
        self._pattern = self._compiled()

    def learn(self, value: Json, key: str = "") -> None:
        """Remember the names in everything below, by where they stand."""
        for text, place in _strings(value, key):
            if text and _KEYS.fullmatch(place):
                self._names.add(text.lower())
            self._names.update(name.lower() for name in _PLACES.findall(text))
        self._pattern = self._compiled()

    def masked(self, value: Json, key: str = "") -> Json:
        """A copy of everything below with masks in it."""
        if isinstance(value, dict):
            return {name: self.masked(one, name) for name, one in value.items()}
        if isinstance(value, list):
            return [self.masked(one, key) for one in value]
        if not isinstance(value, str) or key in _OWN_WORDS:
            return value
        if key in ("host", "from") and value.lower() not in _GENERIC - {"coolify"}:
            return self._whole(value)
        return self.text(value)

    def text(self, text: str) -> str:
        """A text with masks in it."""
        return self._pattern.sub(self._replaced, text)

    def _compiled(self) -> re.Pattern[str]:
        # A host that is called like a word of ours, such as "server", tells nothing where it stands among them.
        names = sorted(self._names - self._words, key=len, reverse=True)
        known = "|".join(map(re.escape, names)) or "(?!)"
        public = "|".join(map(re.escape, _PUBLIC))
        self._known = re.compile(rf"(?<![^\W_])(?:{known})(?![^\W_])", re.I)
        return re.compile(
            rf"(?P<public>(?<![\w.:])(?:{public}))|(?P<ipv6>{_IPV6})|(?P<ipv4>{_IPV4})|(?P<dotted>{_DOTTED})"
            rf"|(?P<known>{self._known.pattern})",
            re.I,
        )

    def _replaced(self, match: re.Match[str]) -> str:
        kind, text = str(match.lastgroup), match[0]
        if kind == "public":
            return text
        if kind == "dotted":
            return self._dotted(text)
        if kind == "known":
            return self._parts(text)
        return self._address(text)

    def _whole(self, name: str) -> str:
        """The mask of a field that is a name and nothing else."""
        masked = self.text(name)
        return masked if masked != name else self._mask("host", name.lower())

    def _dotted(self, text: str) -> str:
        stem = _EXTENSION.sub("", text)
        rest = text[len(stem) :]
        if text.lower() in self._harmless:
            return text
        if text.lower() in self._names:
            return self._mask("domain" if _is_name(text) else "host", text.lower())
        if not _is_name(stem):
            return self._parts(stem) + rest
        return self._mask("domain", stem.lower()) + rest

    def _parts(self, text: str) -> str:
        """The known names in a text that is no name as a whole."""
        return self._known.sub(lambda match: self._mask("host", match[0].lower()), text)

    def _address(self, text: str) -> str:
        bare = text if text.endswith("::") else text.rstrip(":")
        try:
            address = ipaddress.ip_address(bare)
        except ValueError:
            return self._parts(text)
        if address.is_loopback or address.is_unspecified:
            return text
        return self._mask(f"ipv{address.version}", str(address)) + text[len(bare) :]

    def _mask(self, kind: str, thing: str) -> str:
        if thing not in self._masks:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            self._masks[thing] = _MAKE[kind](number)
        return self._masks[thing]


def _is_name(text: str) -> bool:
    """Whether the end is a word of two letters or more, as of a domain, and not a number, as of a version."""
    end = text.rpartition(".")
    return bool(end[1]) and len(end[2]) > 1 and not end[2][0].isdigit() and "_" not in end[2]


def _ipv4(number: int) -> str:
    """The addresses for documentation (RFC 5737), and where they do not suffice, those for benchmarks (RFC 2544)."""
    block, rest = divmod(number - 1, 254)
    prefix = ("192.0.2", "198.51.100", "203.0.113")[block] if block < 3 else f"198.18.{block - 3}"
    return f"{prefix}.{rest + 1}"


_MAKE: dict[str, t.Callable[[int], str]] = {
    "host": "host-{}".format,
    "domain": "domain-{}.example".format,
    "ipv4": _ipv4,
    "ipv6": "2001:db8::{:x}".format,
}


def _strings(value: Json, key: str) -> t.Iterator[tuple[str, str]]:
    """Every string below, with the key that it, or the list it is in, stands under."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _strings(one, name)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one, key)
    elif isinstance(value, str):
        yield value, key
