# Copyright (c) 2026, selfhosted.coolify contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that a browser would refuse, each named for what is wrong with it."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
import typing as t
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hostile_servers import CERTIFICATES, NAME

from ansible_collections.selfhosted.coolify.plugins.module_utils.verify import _handshake

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


def certificate(name: str, first: datetime.datetime, last: datetime.datetime) -> tuple[str, str]:
    """A certificate that is its own authority, and its key, in PEM form."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(last)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


@pytest.fixture
def serving(tmp_path: Path) -> t.Iterator[t.Callable[[str, str], int]]:
    """Starts a TLS server for one connection that answers every request with a page."""
    listeners = []

    def start(public: str, private: str) -> int:
        (tmp_path / "pem").write_text(public + private)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "pem")
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def run() -> None:
            try:
                connection, _address = listener.accept()
                connection.settimeout(5)
                with context.wrap_socket(connection, server_side=True) as secure:
                    secure.recv(4096)
                    secure.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            except OSError:
                pass

        threading.Thread(target=run, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.close()


def look(port: int, authorities: str | None, validate: bool = True) -> dict[str, t.Any]:
    target = {
        "name": "domain",
        "url": f"https://{NAME}:{port}/",
        "kind": "http",
        "expect": "open",
        "connect_to": "127.0.0.1",
        "validate_certs": validate,
    }
    return _handshake.probe_all([target], 30.0, authorities=authorities)[0]


def test_trusted_certificate(serving: t.Callable[[str, str], int]) -> None:
    public, private = certificate(NAME, NOW - DAY, NOW + DAY)
    result = look(serving(public, private), public)
    assert (result["ok"], set(result["phases"])) == (True, {"dns", "tcp", "tls", "http"})


def test_a_private_authority_without_a_key_usage_is_trusted_as_browsers_do(
    serving: t.Callable[[str, str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From Python 3.13 on a context is strict by default (RFC 5280), which browsers are not."""
    lenient = ssl.create_default_context

    def strict() -> ssl.SSLContext:
        context = lenient()
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    public, private = certificate(NAME, NOW - DAY, NOW + DAY)
    result = look(serving(public, private), f"# Zertifizierungsstelle für alle\n{public}")
    assert (result["ok"], result["seen"]) == (True, "200")


@pytest.mark.parametrize("what", sorted(CERTIFICATES))
def test_refused_certificate(serving: t.Callable[[str, str], int], what: str) -> None:
    name, first, last, known, identifier = CERTIFICATES[what]
    public, private = certificate(name, NOW + first * DAY, NOW + last * DAY)
    result = look(serving(public, private), public if known else None)
    assert (result["ok"], result["diagnosis"]["id"]) == (False, identifier)


def test_certificate_that_is_not_to_be_checked(serving: t.Callable[[str, str], int]) -> None:
    public, private = certificate("traefik.default", NOW - 2 * DAY, NOW - DAY)
    assert look(serving(public, private), None, validate=False)["ok"]
