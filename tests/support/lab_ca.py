# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificate authorities for tests: a root, a CA below it, and their files; valid, unless a test asks for a fault."""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
import typing as t

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

NOW = datetime.datetime(2026, 6, 1, 12, 0, 0, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
PASSWORD = "not-a-secret-of-anybody"
Key = t.Any


def new_key(kind: str = "ecc_p256") -> Key:
    """A private key in software: ecc_p256, ecc_p384, ecc_p521, rsa_2048 ..."""
    family, _under, size = kind.partition("_")
    if family == "rsa":
        return rsa.generate_private_key(65537, int(size))
    return ec.generate_private_key({"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1(), "k256": ec.SECP256K1()}[size])


def private_pem(key: Key, password: str | None = PASSWORD) -> bytes:
    """PKCS#8 PEM, encrypted unless `password` is None."""
    protection = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


def public_pem(key: Key) -> str:
    """SubjectPublicKeyInfo PEM of a private key's public half."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def pem(certificate: x509.Certificate) -> str:
    """PEM of a certificate."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@dataclasses.dataclass(frozen=True)
class Ca:
    """A CA in memory."""

    key: Key
    certificate: x509.Certificate

    def certify(self, name: str, key: Key, **options: t.Any) -> x509.Certificate:
        """Issue a certificate; the options are those of certify()."""
        return certify(name, key, issuer=self, **options)

    def below(self, name: str, kind: str = "ecc_p256", **options: t.Any) -> Ca:
        """Make a CA below this one."""
        key = new_key(kind)
        return Ca(key, certify(name, key, issuer=self, **options))


def root(name: str = "Lab Root", kind: str = "ecc_p256", **options: t.Any) -> Ca:
    """Make a self-signed CA."""
    key = new_key(kind)
    return Ca(key, certify(name, key, issuer=None, **options))


def certify(
    name: str,
    key: Key,
    *,
    issuer: Ca | None,
    ca: bool | None = True,
    cert_sign: bool = True,
    path_length: int | None = None,
    not_before: datetime.datetime = NOW - 365 * DAY,
    not_after: datetime.datetime = NOW + 3650 * DAY,
    serial: str | None = None,
    extra: t.Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> x509.Certificate:
    """A certificate, by default a CA's. With `ca=None` it has no basicConstraints, with an empty name no common name."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []
    attributes += [x509.NameAttribute(NameOID.SERIAL_NUMBER, serial)] if serial else []
    subject = x509.Name(attributes)
    signing = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
        .add_extension(x509.KeyUsage(True, False, False, False, False, bool(ca) and cert_sign, bool(ca), False, False), critical=True)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, path_length if ca else None), critical=True)
    for value, critical in extra:
        builder = builder.add_extension(value, critical=critical)
    return builder.sign(signing, hashes.SHA256())


@dataclasses.dataclass(frozen=True)
class Files:
    """A CA below a root, in files, as a user has it. `options` are for load_authority."""

    folder: pathlib.Path
    root: Ca
    ca: Ca
    options: dict[str, t.Any]

    @property
    def root_path(self) -> pathlib.Path:
        """The root's certificate."""
        return self.folder / "root.pem"


def write(folder: pathlib.Path, kind: str = "ecc_p256", *, above: Ca | None = None, below: Ca | None = None) -> Files:
    """Make root and CA and write root.pem, ca.pem and ca.key (encrypted) to a folder."""
    top = above or root()
    ca = below or top.below("Lab Device CA", kind)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "root.pem").write_text(pem(top.certificate))
    (folder / "ca.pem").write_text(pem(ca.certificate))
    (folder / "ca.key").write_bytes(private_pem(ca.key))
    options = {
        "certificate": str(folder / "ca.pem"),
        "chain": str(folder / "root.pem"),
        "key": str(folder / "ca.key"),
        "password": PASSWORD,
    }
    return Files(folder, top, ca, options)
