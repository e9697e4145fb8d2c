# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be given as the instance's domain, and what to write instead of what may not."""

from __future__ import annotations

import re
import typing as t

_DOMAIN_LIMIT = 253
_LABEL_LIMIT = 63
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")


class AccessError(ValueError):
    """The host, or a variable, makes a plan impossible. The message names what is wrong or missing, and the remedy."""


def _domain_error(value: str, reason: str, remedy: str) -> AccessError:
    return AccessError(f"coolify_domain {value!r} {reason}. {remedy}")


def validate_domain(value: t.Any) -> str:
    """Return a host name in lower case, or raise AccessError saying what to write instead.

    RFC 1123 names of at most 253 characters, labels of at most 63: a name outside of them gets no certificate, and a
    character outside of them could carry syntax into the files that the name is written to.
    """
    bare = "Write the bare host name, like coolify.example.com."
    if not isinstance(value, str):
        raise _domain_error(value, "is not text", bare)
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise _domain_error(value, "has a control character (a line break, a tab …) in it", bare)
    if re.search(r"\s", value):
        raise _domain_error(value, "has a blank in it", bare)
    if "://" in value:
        raise _domain_error(value, "has a scheme in it", bare + " The scheme is a variable of its own: coolify_access_scheme.")
    if any(character in value for character in "/?#\\"):
        raise _domain_error(value, "has a path in it", bare)
    if "@" in value:
        raise _domain_error(value, "has a user name in it", bare)
    if "*" in value:
        raise _domain_error(value, "is a wildcard", "Write the one name that the instance is opened by.")
    if value.startswith("[") or value.count(":") > 1:
        raise _domain_error(value, "is an address", "Write a host name, or leave it empty and use coolify_access: tailscale.")
    if ":" in value:
        raise _domain_error(value, "has a port in it", bare)
    return _validate_labels(value)


def _validate_labels(value: str) -> str:
    if not value.isascii():
        raise _domain_error(
            value, "has letters beyond ASCII in it", f"Write its ASCII form (punycode){_punycode_example(value)}."
        )
    name = value.lower()
    labels = name.split(".")
    if name.endswith(".") and len(labels) > 1 and all(labels[:-1]):
        raise _domain_error(value, "ends in a dot", "Leave the last dot out.")
    if not all(labels):
        raise _domain_error(value, "has an empty label (nothing between two dots)", "Take the superfluous dot out.")
    if len(name) > _DOMAIN_LIMIT:
        raise _domain_error(
            value, f"is longer than {_DOMAIN_LIMIT} characters", "No name that long can be looked up: use a shorter one."
        )
    for label in labels:
        if len(label) > _LABEL_LIMIT:
            raise _domain_error(
                value, f"has a label longer than {_LABEL_LIMIT} characters", "Use a shorter name between two dots."
            )
        if "_" in label:
            raise _domain_error(
                value, "has an underscore in it", "Host names know no underscore, and get no certificate with one: use a hyphen."
            )
        if not _LABEL.fullmatch(label):
            raise _domain_error(
                value,
                f"has the label {label!r} in it",
                "Only letters, digits and hyphens make a label, and a hyphen neither begins nor ends it.",
            )
    if labels[-1].isdigit():
        raise _domain_error(value, "is an address", "Write a host name, or leave it empty and use coolify_access: tailscale.")
    return name


def _punycode_example(value: str) -> str:
    try:
        return ": {}".format(value.encode("idna").decode("ascii"))
    except UnicodeError:
        return ", which begins with xn--"


def validate_data_path(value: t.Any) -> str:
    """Return Coolify's folder without a slash at its end, or raise AccessError."""
    if not isinstance(value, str) or not value.startswith("/"):
        raise AccessError(f"coolify_data_path is {value!r}. Write Coolify's folder as an absolute path, like /data/coolify.")
    return value.rstrip("/")
