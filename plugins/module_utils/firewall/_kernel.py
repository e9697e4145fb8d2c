# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the kernel has nf_tables for this process, asked where there is no nft yet to ask it."""

from __future__ import annotations

import os
import socket
import struct

_NETFILTER = 12
# Of nf_tables, how many changes it has seen; a request, answered for whoever may use it at all.
_GETGEN = struct.pack("=IHHIIBBH", 20, 10 << 8 | 16, 1, 1, 0, 0, 0, 0)
_ERROR = 2
_TIMEOUT = 2.0


def refusal() -> str | None:
    """Why the kernel refuses, in its own words; None where it does not."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as asked:
            asked.settimeout(_TIMEOUT)
            asked.send(_GETGEN)
            return read(asked.recv(8192))
    except OSError as error:
        return str(error.strerror or error)


def read(answer: bytes) -> str | None:
    """What one netlink message says: the text of its error, None where it is none."""
    kind, _flags, _sequence, _port, code = struct.unpack_from("=HHIIi", answer, 4)
    return os.strerror(-code) if kind == _ERROR and code else None
