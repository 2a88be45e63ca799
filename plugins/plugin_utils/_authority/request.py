# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Certificate requests (PKCS#10, RFC 2986) for keys that live in a TPM.

The controller makes the CertificationRequestInfo, the device signs its digest with the key, the controller assembles the request.
"""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import foreign, keys, profile
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import deps, der
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import ec, serialization, utils, x509

# The algorithms with which cryptography and we sign a request: RFC 5758 section 3.2, RFC 4055 section 5.
_ECDSA = {"sha256": "1.2.840.10045.4.3.2", "sha384": "1.2.840.10045.4.3.3", "sha512": "1.2.840.10045.4.3.4"}
_RSA_SHA256 = "1.2.840.113549.1.1.11"
_NULL = b"\x05\x00"


class RequestError(TpmError):
    """A certificate request that is refused."""


class Request(t.NamedTuple):
    """A request whose signature has been verified. ``serial`` is the device's, None if the subject has none; ``der`` is the request."""

    public_key: keys.PublicKey
    subject: str
    serial: str | None
    der: bytes

    @property
    def pem(self) -> str:
        """The request in PEM form."""
        return der.pem("CERTIFICATE REQUEST", self.der)


def to_be_signed(public_key: t.Any, subject: profile.DeviceSubject) -> bytes:
    """The DER CertificationRequestInfo for a key, with the subject and SubjectAltName that we want in its certificate.

    The device signs its digest with ``digest_name()``: ECDSA for an ECC key, RSASSA (PKCS#1 v1.5) for an RSA one.
    Raises KeyTypeError for a weak key and InputError for a subject that does not fit.
    """
    key = keys.public_key(public_key, f"the public key of {subject.serial}")
    taken: list[bytes] = []

    def take_down(data: bytes, algorithm: t.Any) -> bytes:
        """Keep what is to be signed."""
        taken.append(data)
        # Discarded: cryptography needs some signature to append to the data.
        return utils.encode_dss_signature(1, 1) if isinstance(key, ec.EllipticCurvePublicKey) else bytes(key.key_size // 8)

    builder = x509.CertificateSigningRequestBuilder().subject_name(profile.name(subject))
    builder = builder.add_extension(profile.alternative_name(subject), critical=False)
    builder.sign(foreign.key_for(key, take_down), keys.hash_for(key))
    return taken[0]


def digest_name(public_key: t.Any) -> str:
    """The hash with which a request for this key is signed: sha256, sha384 or sha512."""
    return keys.hash_for(keys.public_key(public_key, "the public key of a request")).name


def assemble(to_sign: bytes, signature: bytes) -> str:
    """The PEM request of a CertificationRequestInfo and the signature over it (ECDSA as DER of r and s, RSA as it is).

    This does not check the signature; ``verify`` does. Raises RequestError if ``to_sign`` is not a CertificationRequestInfo.
    """
    deps.require("assemble a certificate request")
    try:
        # The algorithm depends on the key, and cryptography reads the key only from a complete request, so one with an empty signature is made.
        placeholder = der.element(der.SEQUENCE, der.oid(_RSA_SHA256), _NULL)
        whole = der.element(der.SEQUENCE, to_sign, placeholder, der.element(der.BIT_STRING, b"\0" + signature))
        key = x509.load_der_x509_csr(whole).public_key()
        algorithm = _algorithm(keys.public_key(key, "the public key of a certificate request"))
    except deps.malformed():
        raise RequestError(
            "Could not assemble a certificate request: what was signed is no CertificationRequestInfo; make it anew."
        ) from None
    return der.pem("CERTIFICATE REQUEST", der.element(der.SEQUENCE, to_sign, algorithm, der.element(der.BIT_STRING, b"\0" + signature)))


def _algorithm(key: keys.PublicKey) -> bytes:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return der.element(der.SEQUENCE, der.oid(_ECDSA[keys.hash_for(key).name]))
    return der.element(der.SEQUENCE, der.oid(_RSA_SHA256), _NULL)


def verify(data: str | bytes, *, public_key: t.Any = None, serial: str | None = None) -> Request:
    """Read a request, PEM or DER; check its signature, and that it is for this key and this serial number where they are given.

    Raises RequestError: malformed, tampered with, for another key, for another device; KeyTypeError for a weak key.
    """
    deps.require("verify a certificate request")
    raw = data.encode() if isinstance(data, str) else data
    what = f"the certificate request of {serial}" if serial else "the certificate request"
    try:
        found = x509.load_pem_x509_csr(raw) if raw.lstrip().startswith(b"-----") else x509.load_der_x509_csr(raw)
        key = keys.public_key(found.public_key(), f"the key of {what}")
        der.check_signature_octets(found.public_bytes(serialization.Encoding.DER), found.signature)
        signed = found.is_signature_valid
        named = profile.serial_of(found.subject)
    except deps.malformed():
        raise RequestError(f"Could not accept {what}: it is no well-formed PKCS#10 request in PEM or DER form; make it anew.") from None
    if not signed:
        raise RequestError(f"Could not accept {what}: its signature is not that of its key over its content; it was altered, make it anew.")
    if public_key is not None and keys.spki(key) != keys.spki(keys.public_key(public_key, "the key that is expected")):
        raise RequestError(f"Could not accept {what}: it is for another key than the one that was verified; make it anew on the device.")
    if serial is not None and named != serial:
        raise RequestError(f"Could not accept {what}: the serial number in it is {named or 'missing'}; make it anew for this device.")
    return Request(key, found.subject.rfc4514_string(), named, found.public_bytes(serialization.Encoding.DER))


__all__ = ("Request", "RequestError", "assemble", "digest_name", "to_be_signed", "verify")
