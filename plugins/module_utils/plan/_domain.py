# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be given as the instance's domain, and what to write instead of what may not."""

from __future__ import annotations

import re
import typing as t

_BARE = "Write the bare host name, like coolify.example.com."
_HOST_NAME = "Write a host name, or leave it empty and use coolify_access: tailscale."
# What is found in a whole value, why it is refused, and the remedy; in this order.
_REFUSED = (
    (r"[\x00-\x1f\x7f]", "has a control character (a line break, a tab …) in it", _BARE),
    (r"\s", "has a blank in it", _BARE),
    (r"://", "has a scheme in it", _BARE + " The scheme is a variable of its own: coolify_access_scheme."),
    (r"[/?#\\]", "has a path in it", _BARE),
    (r"@", "has a user name in it", _BARE),
    (r"\*", "is a wildcard", "Write the one name that the instance is opened by."),
    (r"^\[|:.*:", "is an address", _HOST_NAME),
    (r":", "has a port in it", _BARE),
    (r"[^\x00-\x7f]", "has letters beyond ASCII in it", "Write its ASCII form (punycode){example}."),
    (r"^[^.]+(\.[^.]+)*\.$", "ends in a dot", "Leave the last dot out."),
    (r"^$|^\.|\.\.|\.$", "has an empty label (nothing between two dots)", "Take the superfluous dot out."),
    (r"^.{254}", "is longer than 253 characters", "No name that long can be looked up: use a shorter one."),
)
# The same for each label of it.
_REFUSED_LABEL = (
    (r"^.{64}", "has a label longer than 63 characters", "Use a shorter name between two dots."),
    (r"_", "has an underscore in it", "Host names know no underscore, and get no certificate with one: use a hyphen."),
    (
        r"^-|-$|[^a-z0-9-]",
        "has the label {label!r} in it",
        "Only letters, digits and hyphens make a label, and a hyphen neither begins nor ends it.",
    ),
)


class AccessError(ValueError):
    """The host, or a variable, makes a plan impossible. The message names what is wrong or missing, and the remedy."""


def validate_domain(value: t.Any, option: str = "coolify_domain") -> str:
    """Return a host name in lower case. Raises AccessError saying what of `option` to write instead.

    RFC 1123 names of at most 253 characters, labels of at most 63: a name outside of them gets no certificate, and a
    character outside of them could carry syntax into the files that the name is written to.
    """
    if not isinstance(value, str):
        raise AccessError(f"{option} {value!r} is not text. {_BARE}")
    name = value.lower()
    labels = name.split(".")
    checks = [(value, refused) for refused in _REFUSED]
    checks += [(label, refused) for label in labels for refused in _REFUSED_LABEL]
    for text, (pattern, reason, remedy) in checks:
        if re.search(pattern, text):
            said = f"{reason}. {remedy}".format(label=text, example=_punycode_example(value))
            raise AccessError(f"{option} {value!r} {said}")
    if labels[-1].isdigit():
        raise AccessError(f"{option} {value!r} is an address. {_HOST_NAME}")
    return name


def _punycode_example(value: str) -> str:
    try:
        return ": {}".format(value.encode("idna").decode("ascii"))
    except UnicodeError:
        return ", which begins with xn--"


def validate_data_path(value: t.Any) -> None:
    """Raise AccessError for what cannot be Coolify's folder."""
    if not isinstance(value, str) or not value.startswith("/"):
        raise AccessError(f"coolify_data_path is {value!r}. Write Coolify's folder as an absolute path, like /data/coolify.")
