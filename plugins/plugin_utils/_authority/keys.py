# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Keys of the certificate authority and of devices: which are strong enough, how to open a key file, how to sign data."""

from __future__ import annotations

import pathlib
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import deps
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import (
    InvalidSignature,
    UnsupportedAlgorithm,
    ec,
    hashes,
    padding,
    rsa,
    serialization,
)

PublicKey = t.Union["ec.EllipticCurvePublicKey", "rsa.RSAPublicKey"]
# What cryptography's builders sign with.
Hash = t.Union["hashes.SHA256", "hashes.SHA384", "hashes.SHA512"]
PrivateKey = t.Union["ec.EllipticCurvePrivateKey", "rsa.RSAPrivateKey"]
MINIMUM_RSA = 2048
_CURVES = ("secp256r1", "secp384r1")
_DEVICE_CURVES = (*_CURVES, "secp521r1")


class AuthorityError(TpmError):
    """The certificate authority cannot be used as it is configured."""


class KeyTypeError(TpmError):
    """A key is of a type, curve or size that we do not certify or sign with."""


def read(path: str, what: str) -> bytes:
    """The content of a file on the controller. Raises AuthorityError."""
    try:
        return pathlib.Path(path).expanduser().read_bytes()
    except OSError as error:
        raise AuthorityError(f"Could not read {what} {path}: {error.strerror or error}; see the path and who may read it.") from None


def load_private_key(path: str, password: str | None, *, allow_unencrypted: bool = False) -> PrivateKey:
    """Open a PEM private key file. Raises AuthorityError: unreadable, no key, password missing or wrong, or unencrypted without leave."""
    deps.require(f"open the key {path}")
    data = read(path, "the key")
    try:
        key = serialization.load_pem_private_key(data, None)
    except TypeError:
        return check_signing(_decrypt(data, path, password), path)
    except (ValueError, UnsupportedAlgorithm):
        raise AuthorityError(f"Could not open the key {path}: it is no private key in PEM form; name the file that holds it.") from None
    if not allow_unencrypted:
        raise AuthorityError(
            f"Could not open the key {path}: it is not protected by a password, so anybody who reads the file can act as the CA; encrypt it "
            "(openssl pkey -aes256), or set allow_unencrypted for a laboratory."
        )
    return check_signing(key, path)


def _decrypt(data: bytes, path: str, password: str | None) -> t.Any:
    if not password:
        raise AuthorityError(f"Could not open the key {path}: it is protected by a password and none is given; give it, from a vault.")
    try:
        return serialization.load_pem_private_key(data, password.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise AuthorityError(
            f"Could not open the key {path}: the password is wrong, or the file is damaged; see that vault and key belong together."
        ) from None


def check_signing(key: t.Any, what: str) -> PrivateKey:
    """Return a private key with which a CA may sign. Raises KeyTypeError for any other type, curve or size."""
    if not _strong(key, _CURVES, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise KeyTypeError(
            f"Could not use the key {what} to sign: it is {describe(key)}; use ECC P-256 or P-384, or RSA of at least {MINIMUM_RSA} bits."
        )
    return t.cast("PrivateKey", key)


def public_key(value: t.Any, what: str) -> PublicKey:
    """A device's public key, given as PEM, DER or a key object. Raises KeyTypeError if it is not a public key, or too weak to certify."""
    deps.require(f"read {what}")
    if isinstance(value, (str, bytes)):
        try:
            data = value.encode() if isinstance(value, str) else value
            pem = data.lstrip().startswith(b"-----")
            value = serialization.load_pem_public_key(data) if pem else serialization.load_der_public_key(data)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise KeyTypeError(f"Could not read {what}: it is no public key in PEM or DER form; export it again.") from None
    if not _strong(value, _DEVICE_CURVES, (ec.EllipticCurvePublicKey, rsa.RSAPublicKey)):
        raise KeyTypeError(
            f"Could not accept {what}: it is {describe(value)}; use ECC P-256, P-384 or P-521, or RSA of at least {MINIMUM_RSA} bits."
        )
    return t.cast("PublicKey", value)


def _strong(key: t.Any, curves: t.Sequence[str], types: tuple[type, type]) -> bool:
    elliptic, modular = types
    if isinstance(key, elliptic):
        return t.cast("ec.EllipticCurvePublicKey", key).curve.name in curves
    return isinstance(key, modular) and t.cast("rsa.RSAPublicKey", key).key_size >= MINIMUM_RSA


def describe(key: t.Any) -> str:
    """A key's type in a few words."""
    if isinstance(key, (ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey)):
        return f"ECC {key.curve.name}"
    if isinstance(key, (rsa.RSAPrivateKey, rsa.RSAPublicKey)):
        return f"RSA of {key.key_size} bits"
    return f"of the type {type(key).__name__.strip('_')}"


def spki(key: PublicKey) -> bytes:
    """DER SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7)."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def to_pem(key: PublicKey) -> str:
    """PEM SubjectPublicKeyInfo."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def hash_for(key: PublicKey) -> Hash:
    """The hash with which a key signs certificates and requests: as strong as the curve (FIPS 186-5, section 6.1.1), SHA-256 for RSA."""
    curve = key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else ""
    if curve == "secp384r1":
        return hashes.SHA384()
    return hashes.SHA512() if curve == "secp521r1" else hashes.SHA256()


def sign(key: PrivateKey, data: bytes, algorithm: hashes.HashAlgorithm) -> bytes:
    """A signature in X.509's form: ECDSA in DER, or RSA PKCS#1 v1.5."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(algorithm))
    return key.sign(data, padding.PKCS1v15(), algorithm)


def is_signed(key: PublicKey, signature: bytes, data: bytes, algorithm: hashes.HashAlgorithm) -> bool:
    """Whether ``signature`` is this key's over ``data``."""
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(algorithm))
        else:
            key.verify(signature, data, padding.PKCS1v15(), algorithm)
    except InvalidSignature:
        return False
    return True


__all__ = (
    "AuthorityError",
    "Hash",
    "KeyTypeError",
    "PrivateKey",
    "PublicKey",
    "check_signing",
    "describe",
    "hash_for",
    "is_signed",
    "load_private_key",
    "public_key",
    "read",
    "sign",
    "spki",
    "to_pem",
)
