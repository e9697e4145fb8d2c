# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host knows of its tailnet, read from the kernel and from tailscaled's local API.

No process is started: addresses come from the kernel, so that they are there while tailscaled is being restarted, and
the state of the login comes from the daemon's socket.
"""

from __future__ import annotations

import fcntl
import http.client
import ipaddress
import json
import os
import socket
import struct
import threading
import time
import typing as t

# Ranges that Tailscale gives addresses from (fact 22).
IPV4_RANGE = "100.64.0.0/10"
IPV6_RANGE = "fd7a:115c:a1e0::/48"

_SIOCGIFADDR = 0x8915
_IFF_UP = 0x1
# What tailscaled wants to be called on its socket; other names are refused as DNS rebinding.
_LOCAL_API_HOST = "local-tailscaled.sock"
_TIMEOUT = 2.0
_STATUS_LIMIT = 32 * 1024 * 1024


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__(_LOCAL_API_HOST, timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ipv6_from_proc(text: str, interface: str) -> str | None:
    """Return the interface's first address of global scope from ``/proc/net/if_inet6``."""
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 6 and (fields[3], fields[5]) == ("00", interface):
            return str(ipaddress.IPv6Address(int(fields[0], 16)))
    return None


def in_range(address: str) -> bool:
    """Whether the address is one of those that Tailscale's own control server gives; others have their own (fact 59)."""
    parsed = ipaddress.ip_address(address)
    return any(parsed in ipaddress.ip_network(network) for network in (IPV4_RANGE, IPV6_RANGE))


def status_facts(status: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return what is wanted of the local API's ``/localapi/v0/status`` answer, any part of which may be missing."""
    name = str((status.get("Self") or {}).get("DNSName") or "").rstrip(".")
    tun = status.get("TUN")
    return {
        "backend_state": status.get("BackendState") or None,
        "name": name or None,
        "userspace": None if tun is None else not tun,
    }


def served(config: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """Return what the local API's ``/localapi/v0/serve-config`` answer puts at ``/`` of a name and a port.

    Without what is served in the foreground, which ends with somebody's terminal.
    """
    found = []
    ports, pages = config.get("TCP") or {}, config.get("Web") or {}
    for place, page in pages.items():
        name, _colon, port = str(place).rpartition(":")
        kind: t.Mapping[str, t.Any] = ports.get(port) or {}
        handlers = (page or {}).get("Handlers") or {}
        target = str((handlers.get("/") or {}).get("Proxy") or "")
        if name and target and (kind.get("HTTPS") or kind.get("HTTP")):
            found.append({"name": name, "port": int(port), "https": bool(kind.get("HTTPS")), "target": _url(target)})
    return sorted(found, key=lambda one: (one["port"], one["name"]))


def _url(target: str) -> str:
    """A target as tailscaled itself reads it: a port and a host are short for a URL."""
    if "://" in target:
        return target
    return "http://" + (f"127.0.0.1:{target}" if target.isdigit() else target)


def fetch_status(path: str, timeout: float) -> dict[str, t.Any] | None:
    """Ask tailscaled behind socket ``path`` for its status; None where it gives none in ``timeout`` seconds."""
    # Peers are left out: a large tailnet's list is megabytes that nobody here reads.
    return _ask(path, "status?peers=false", timeout)


def fetch_served(path: str, timeout: float) -> list[dict[str, t.Any]] | None:
    """Ask tailscaled what it serves; None where it does not tell."""
    config = _ask(path, "serve-config", timeout)
    return None if config is None else served(config)


def _ask(path: str, question: str, timeout: float) -> dict[str, t.Any] | None:
    """The answer as far as it is a JSON object and there in time, however slowly its parts come."""
    found: list[dict[str, t.Any] | None] = []
    asking = threading.Thread(target=lambda: found.append(_answer(path, question, timeout)), daemon=True)
    asking.start()
    asking.join(timeout)
    return found[0] if found else None


def _answer(path: str, question: str, timeout: float) -> dict[str, t.Any] | None:
    connection = _SocketConnection(path, timeout)
    try:
        connection.request("GET", f"/localapi/v0/{question}")
        response = connection.getresponse()
        if response.status != 200:
            return None
        answer = json.loads(response.read(_STATUS_LIMIT))
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return answer if isinstance(answer, dict) else None


def kernel_ipv4(interface: str) -> str | None:
    """Return the first IPv4 address that the kernel has on ``interface``."""
    request = struct.pack("256s", interface.encode()[:15])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        try:
            answer = fcntl.ioctl(handle.fileno(), _SIOCGIFADDR, request)
        except OSError:
            return None
    return socket.inet_ntoa(answer[20:24])


def _own(address: str | None, status: t.Mapping[str, t.Any]) -> str | None:
    """The kernel's address; where that is one of the link alone, which nobody is sent to, the one that tailscaled has."""
    if address is None or not ipaddress.ip_address(address).is_link_local:
        return address
    given = (str(one) for one in status.get("TailscaleIPs") or ())
    return next((one for one in given if ":" not in one), None)


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="ascii", errors="replace") as handle:
            return handle.read()
    except OSError:
        return None


def discover(
    interface: str = "tailscale0",
    socket_path: str = "/var/run/tailscale/tailscaled.sock",
    state_file: str = "/var/lib/tailscale/tailscaled.state",
) -> dict[str, t.Any]:
    """Describe Tailscale on this host; what is not there is None or False, nothing is raised.

    ``installed`` stays true through an outage of the daemon: its socket or its state file is enough.
    """
    flags = _read(os.path.join("/sys/class/net", interface, "flags"))
    end = time.monotonic() + _TIMEOUT
    status = fetch_status(socket_path, _TIMEOUT)
    present = flags is not None
    facts: dict[str, t.Any] = {
        "interface": interface,
        "installed": present or status is not None or os.path.exists(socket_path) or os.path.exists(state_file),
        "present": present,
        "up": present and bool(int((flags or "0").strip(), 16) & _IFF_UP),
        "ipv4": _own(kernel_ipv4(interface) if present else None, status or {}),
        "ipv6": ipv6_from_proc(_read("/proc/net/if_inet6") or "", interface) if present else None,
    }
    facts.update(status_facts(status or {}))
    facts["served"] = None if status is None else fetch_served(socket_path, max(end - time.monotonic(), 0.1))
    return facts
