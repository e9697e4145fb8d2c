"""The lab's own certificate authority, and the keys of its machines."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import paths
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = datetime.timedelta(days=365)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    temporary.rename(path)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def authority() -> Path:
    """Return the certificate of the checkout's CA, made if missing; its key lies beside it."""
    paths.LAB.mkdir(exist_ok=True)
    certificate, key_file = paths.LAB / "ca.pem", paths.LAB / "ca-key.pem"
    if certificate.exists() and key_file.exists():
        return certificate
    key = ec.generate_private_key(ec.SECP256R1())
    name = "selfhosted.coolify lab CA"
    made = (
        _builder(name, _name(name), key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    write_private(key_file, _pem(key))
    # The certificate last: it is what says that both are there.
    write_private(certificate, made.public_bytes(serialization.Encoding.PEM))
    certificate.chmod(0o644)
    return certificate


def _names(domain: str) -> list[x509.GeneralName]:
    return [x509.DNSName(domain), x509.DNSName("*." + domain.partition(".")[2])]


def server_certificate(folder: Path, domain: str) -> None:
    """Put <domain>.pem and <domain>.key into the folder, signed by the CA, unless they are there and fit it."""
    folder.mkdir(parents=True, exist_ok=True)
    ca = x509.load_pem_x509_certificate(authority().read_bytes())
    target = folder / f"{domain}.pem"
    if target.exists() and (folder / f"{domain}.key").exists():
        old = x509.load_pem_x509_certificate(target.read_bytes())
        try:
            old.verify_directly_issued_by(ca)
        except Exception:  # noqa: S110 - any doubt about the old one is answered by a new one
            pass
        else:
            return
    ca_key = serialization.load_pem_private_key((paths.LAB / "ca-key.pem").read_bytes(), password=None)
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
        raise TypeError("the lab's CA key is not an EC key: remove .lab/ca.pem and .lab/ca-key.pem")
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        _builder(domain, ca.subject, key.public_key())
        # Cloudflare's certificates also cover the names beside the domain, where applications are.
        .add_extension(x509.SubjectAlternativeName(_names(domain)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    write_private(folder / f"{domain}.key", _pem(key))
    write_private(target, made.public_bytes(serialization.Encoding.PEM))


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
