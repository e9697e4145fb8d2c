# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports at which SSH has to come in: those sshd is configured for, and the one of the connection in use."""

from __future__ import annotations

import re
from typing import NamedTuple


class Connection(NamedTuple):
    """The client's address, and the port of this host that it came to."""

    client: str
    port: int


def ports(configuration: str) -> set[int]:
    """The ports in what ``sshd -T`` prints; an address to listen at may have one of its own."""
    return {int(port) for port in re.findall(r"(?m)^(?:port |listenaddress .*:)(\d+)$", configuration)}


def connection(pid: int, proc: str = "/proc") -> Connection | None:
    """The SSH connection that a process was started over; None where there is none.

    sudo takes the variable away, but not from the processes that it was started by.
    """
    while pid > 1:
        try:
            with open(f"{proc}/{pid}/environ", "rb") as file:
                environment = file.read().decode("utf-8", "replace").split("\0")
            with open(f"{proc}/{pid}/stat", encoding="utf-8", errors="replace") as file:
                pid = int(file.read().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return None
        for entry in environment:
            name, _separator, value = entry.partition("=")
            fields = value.split()
            if name == "SSH_CONNECTION" and len(fields) == 4 and fields[3].isdigit():
                return Connection(fields[0].partition("%")[0], int(fields[3]))
    return None
