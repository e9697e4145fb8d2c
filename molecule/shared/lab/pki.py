"""The lab's own certificate authority, and the keys of its machines."""

from __future__ import annotations

import os
from pathlib import Path

import paths
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    temporary.rename(path)


def authority() -> Path:
    """Return the certificate of the checkout's CA, made if missing; its key lies beside it."""
    paths.LAB.mkdir(exist_ok=True)
    certificate, key_file = paths.LAB / "ca.pem", paths.LAB / "ca-key.pem"
    if certificate.exists() and key_file.exists():
        return certificate
    made = trustme.CA(organization_name="selfhosted.coolify lab")
    write_private(key_file, made.private_key_pem.bytes())
    # The certificate last: it is what says that both are there.
    write_private(certificate, made.cert_pem.bytes())
    certificate.chmod(0o644)
    return certificate


def server_certificate(folder: Path, domain: str) -> None:
    """Put <domain>.pem and <domain>.key into the folder, signed by the CA, unless they are there and fit it."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate = authority().read_bytes()
    target = folder / f"{domain}.pem"
    if target.exists() and (folder / f"{domain}.key").exists():
        old = x509.load_pem_x509_certificate(target.read_bytes())
        try:
            old.verify_directly_issued_by(x509.load_pem_x509_certificate(certificate))
        except Exception:  # noqa: S110 - any doubt about the old one is answered by a new one
            pass
        else:
            return
    ca = trustme.CA.from_pem(certificate, (paths.LAB / "ca-key.pem").read_bytes())
    # Cloudflare's certificates also cover the names beside the domain, where applications are.
    parent = domain.partition(".")[2]
    made = ca.issue_cert(domain, *[f"*.{parent}"] * bool(parent))
    write_private(folder / f"{domain}.key", made.private_key_pem.bytes())
    write_private(target, b"".join(part.bytes() for part in made.cert_chain_pems))


def ssh_key(path: Path) -> str:
    """Return the public half of an OpenSSH key, the private half being at path, made if missing."""
    if not path.exists():
        fresh = ed25519.Ed25519PrivateKey.generate()
        write_private(
            path,
            fresh.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
            ),
        )
    private = serialization.load_ssh_private_key(path.read_bytes(), password=None)
    public = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return public.decode("ascii")
