# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the values of secret variables out of what other programs say.

Compose quotes the line it cannot read, and a log may quote a connection string.
"""

from __future__ import annotations

import json
import re
import typing as t
from urllib.parse import quote

from ._dotenv import NON_SECRET_KEYS

_SECRET_NAME = re.compile(r"KEY|SECRET|PASS|TOKEN|CREDENTIAL|AUTH|DSN|APP_ID", re.IGNORECASE)
# Shorter values occur in ordinary text; longer ones are hidden whatever their variable is called.
_SHORTEST, _ALWAYS = 4, 20


def redact(text: str, *environments: t.Mapping[str, str]) -> str:
    """`text` without the values that the environments give to variables which may be secret."""
    shown = {value for environment in environments for key, value in environment.items() if key in NON_SECRET_KEYS}
    hidden = set()
    for environment in environments:
        for key, value in environment.items():
            for part in {value, value.partition("base64:")[2], *value.splitlines()}:
                enough = _SHORTEST if _SECRET_NAME.search(key) else _ALWAYS
                if key not in NON_SECRET_KEYS and part not in shown and len(part) >= enough:
                    hidden |= _spellings(part)
    for part in sorted(hidden, key=len, reverse=True):
        text = text.replace(part, "(hidden)")
    return text


def _spellings(value: str) -> set[str]:
    """The value as it stands in text, in JSON, also PHP's, which escapes the slash, and in a URL."""
    escaped = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    in_json = escaped | {text.replace("/", "\\/") for text in escaped}
    in_url = {quote(value, safe=safe, errors="replace") for safe in ("", "/")}
    return {value, *in_json, *in_url, *(re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), text) for text in in_url)}
