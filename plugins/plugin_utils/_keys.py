# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Public keys of TPM objects, used outside the TPM: convert them to ``cryptography`` keys and SubjectPublicKeyInfo, verify signatures.

TPM 2.0 Library Part 2, sections 11.2.4, 11.2.5 and 11.3; RFC 8017 (RSA), RFC 5480 (ECC), RFC 3279 (DER of an ECDSA signature).
"""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attest, names
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import DependencyError, TpmError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import Cursor

try:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

    IMPORT_ERROR: ImportError | None = None
except ImportError as error:
    IMPORT_ERROR = error

if t.TYPE_CHECKING:
    PublicKey = t.Union[rsa.RSAPublicKey, ec.EllipticCurvePublicKey]

MIN_CRYPTOGRAPHY = 42  # from this version on, certificates' times have a time zone

ECC_BYTES = {0x0003: 32, 0x0004: 48, 0x0005: 66}
_RSA_SCHEMES = (alg.RSASSA, alg.RSAPSS)


class KeyMaterialError(TpmError):
    """A public area has a malformed key, or one of a type that we cannot use."""


class SignatureError(TpmError):
    """A signature does not verify, or uses a scheme or hash that we refuse."""


def require() -> None:
    """Raise DependencyError if ``cryptography`` is missing or too old on the controller."""
    found = "none is installed" if IMPORT_ERROR is not None else ""
    if not found:
        import cryptography

        version = str(cryptography.__version__)
        major = version.partition(".")[0]
        found = "" if major.isdigit() and int(major) >= MIN_CRYPTOGRAPHY else f"{version} is installed"
    if found:
        raise DependencyError(
            f"Could not check keys and certificates: the Python package cryptography >= {MIN_CRYPTOGRAPHY} is needed on the controller, "
            f"{found}; install it for the Python that runs ansible-core."
        )


def public_key(public: names.Public) -> PublicKey:
    """The key in a TPMT_PUBLIC: RSA, or ECC on P-256, P-384 or P-521.

    Raises KeyMaterialError for another type or curve, for a modulus that is shorter than the public area says and for a point that
    does not lie on its curve; DependencyError without ``cryptography``.
    """
    require()
    try:
        if public.type == alg.RSA:
            return _rsa(public)
        if public.type == alg.ECC and int.from_bytes(public.detail[:2], "big") in ECC_BYTES:
            return _ecc(public)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyMaterialError(
            f"Could not use the key in a public area of type {public.algorithm}: its numbers are no such key; read it anew from the TPM."
        ) from None
    raise KeyMaterialError(
        f"Could not use the key in a public area of type {public.algorithm}: it is neither RSA nor ECC on P-256, P-384 or P-521; "
        "use a key of one of those types."
    )


def _rsa(public: names.Public) -> rsa.RSAPublicKey:
    bits = int.from_bytes(public.detail[:2], "big")
    exponent = int.from_bytes(public.detail[2:6], "big") or 65537  # 0 is the default exponent (Part 2, section 12.2.3.5)
    modulus = int.from_bytes(Cursor(public.unique).sized(), "big")
    if modulus.bit_length() != bits:
        # Otherwise a short key could pass for a long one.
        raise KeyMaterialError(
            f"Could not use the key in a public area of type {public.algorithm}: its modulus has {modulus.bit_length()} bits, not {bits}; "
            "read it anew from the TPM."
        )
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def curve_of(number: int) -> ec.EllipticCurve:
    """The curve of a TPM_ECC_CURVE among those in ``ECC_BYTES``."""
    known: dict[int, ec.EllipticCurve] = {0x0003: ec.SECP256R1(), 0x0004: ec.SECP384R1(), 0x0005: ec.SECP521R1()}
    return known[number]


def _ecc(public: names.Public) -> ec.EllipticCurvePublicKey:
    cursor = Cursor(public.unique)
    # As numbers, because some TPMs omit the leading zeros of a coordinate.
    x, y = (int.from_bytes(cursor.sized(), "big") for _each in "xy")
    # This raises an error for a point that is not on the curve.
    return ec.EllipticCurvePublicNumbers(x, y, curve_of(int.from_bytes(public.detail[:2], "big"))).public_key()


def spki_of(key: PublicKey) -> bytes:
    """The DER SubjectPublicKeyInfo of a key (RFC 5280, section 4.1.2.7)."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def spki(public: names.Public) -> bytes:
    """The DER SubjectPublicKeyInfo of the key in a public area. Raises as ``public_key`` does."""
    return spki_of(public_key(public))


def spki_sha256(public: names.Public) -> str:
    """The SHA-256 of the DER SubjectPublicKeyInfo, lowercase hex: what a manifest pins as ``ek_sha256``. Raises as ``public_key`` does."""
    return hashlib.sha256(spki(public)).hexdigest()


def hash_of(number: int) -> hashes.HashAlgorithm:
    """The hash of a TPM_ALG_ID for signatures and key derivation: SHA-256, SHA-384 or SHA-512. Raises SignatureError for any other."""
    known: dict[int, hashes.HashAlgorithm] = {alg.SHA256: hashes.SHA256(), alg.SHA384: hashes.SHA384(), alg.SHA512: hashes.SHA512()}
    if number not in known:
        raise SignatureError(
            f"Could not accept a signature: its hash is {alg.alg_name(number)}, not sha256, sha384 or sha512; "
            "use a key whose scheme has one of those."
        )
    return known[number]


def _check_scheme(public: names.Public, found: attest.Signature) -> None:
    """Check the scheme: a key that has one signs only with it, others with any that fits their type (Part 2, section 12.2.3.5 f.)."""
    own = int.from_bytes(public.scheme[:2], "big")
    fits = (own == alg.NULL or own == found.scheme) and found.scheme in (_RSA_SCHEMES if public.type == alg.RSA else (alg.ECDSA,))
    if own != alg.NULL and public.scheme[2:4] != found.hash_alg.to_bytes(2, "big"):
        fits = False
    if not fits:
        raise SignatureError(
            f"Could not accept a signature: it was made with {alg.alg_name(found.scheme)}-{alg.alg_name(found.hash_alg)}, "
            f"but the {public.algorithm} key signs with {names.scheme_name(public.scheme)}; take the signature anew from the TPM."
        )


def verify(public: names.Public, signature: bytes, data: bytes) -> attest.Signature:
    """Check a TPMT_SIGNATURE over ``data`` with the key in a public area; return the signature, parsed.

    Scheme and hash must be the key's own where it has them; SHA-1 is refused. Raises SignatureError where the signature is malformed
    or does not verify, KeyMaterialError where the public area holds no key for it.
    """
    try:
        found = attest.parse_signature(signature)
    except attest.AttestError as error:
        raise SignatureError(error.message) from None
    _check_scheme(public, found)
    key, digest = public_key(public), hash_of(found.hash_alg)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            # The length of the salt is the TPM vendor's choice: that of the digest, or the largest possible (Part 1, B.7).
            pss = padding.PSS(padding.MGF1(digest), padding.PSS.AUTO)
            key.verify(found.parts[0], data, padding.PKCS1v15() if found.scheme == alg.RSASSA else pss, digest)
        else:
            key.verify(_dss(found), data, ec.ECDSA(digest))
    except (InvalidSignature, ValueError):
        raise SignatureError(
            f"Could not accept a signature: it is not the {public.algorithm} key's over these bytes; take it anew from the TPM, "
            "and look into who sent this one."
        ) from None
    return found


def _dss(found: attest.Signature) -> bytes:
    return utils.encode_dss_signature(*(int.from_bytes(part, "big") for part in found.parts))


def openssl_signature(signature: bytes) -> bytes:
    """A TPMT_SIGNATURE in the form of ``openssl dgst -verify`` and X.509: RSA's bytes, or the DER of r and s. Raises attest.AttestError."""
    require()
    found = attest.parse_signature(signature)
    return _dss(found) if found.scheme == alg.ECDSA else found.parts[0]


__all__ = (
    "ECC_BYTES",
    "IMPORT_ERROR",
    "KeyMaterialError",
    "MIN_CRYPTOGRAPHY",
    "SignatureError",
    "curve_of",
    "hash_of",
    "openssl_signature",
    "public_key",
    "require",
    "spki",
    "spki_of",
    "spki_sha256",
    "verify",
)
