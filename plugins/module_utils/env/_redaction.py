# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the values of secret variables out of what other programs say.

Compose quotes the line it cannot read, and a log may quote a connection string.
"""

from __future__ import annotations

import re
import typing as t

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
                    hidden.add(part)
    for part in sorted(hidden, key=len, reverse=True):
        text = text.replace(part, "(hidden)")
    return text
