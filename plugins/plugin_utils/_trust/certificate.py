# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""An EK certificate as it lies in NV: cut to its length, read with the known quirks of vendors, its own promises checked.

TCG EK Credential Profile for TPM 2.0 v2.x, section 3.2 (fields); RFC 5280. Chain and vendor policy are for C(chain) and C(ladder).
"""

from __future__ import annotations

import contextlib
import itertools
import typing as t
import warnings

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import verdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.verdict import TrustError

try:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    IMPORT_ERROR: ImportError | None = None
except ImportError as error:
    IMPORT_ERROR = error

MAX_SIZE = 8 << 10
MAX_CHAIN_SIZE = 64 << 10
MAX_CHAIN = 16

OID_MANUFACTURER = "2.23.133.2.1"
OID_MODEL = "2.23.133.2.2"
OID_VERSION = "2.23.133.2.3"
OID_EK_CERTIFICATE = "2.23.133.8.1"

_SEQUENCE = 0x30
_PADDING = b"\x00\xff"
_RSA_ENCRYPTION = bytes.fromhex("300d06092a864886f70d0101010500")
_OAEP_OID = bytes.fromhex("06092a864886f70d010107")
# TCG PC Client Specific Implementation Specification for TPM 1.2, 7.4.5 to 7.4.7: some vendors still put these before a certificate.
_STORED_CERT, _FULL_CERT = bytes.fromhex("100100"), bytes.fromhex("1002")


class EkCertificate(t.NamedTuple):
    """An EK certificate, read. Texts are as written in it, empty where it has none; C(spki) is the DER of its key as rsaEncryption or ECC."""

    der: bytes
    parsed: x509.Certificate
    spki: bytes
    manufacturer: str
    model: str
    version: str
    notes: tuple[str, ...]


def refuse(reason: str, what: str, cure: str) -> TrustError:
    """The error for an EK certificate: C(what) speaks against it, C(cure) is what to do."""
    return TrustError(f"Could not trust the EK certificate: {what}; {cure}.", reason)


def malformed(what: str) -> TrustError:
    """The error for a certificate that cannot be read."""
    return refuse(verdict.MALFORMED, what, "read it anew from the TPM, or pin the EK's hash in the manifest")


def shown(name: x509.Name) -> str:
    """A name out of a certificate for people: printable, on one line, not long, whatever the certificate says."""
    text = "".join(one if one.isprintable() else "?" for one in name.rfc4514_string())
    return text if 0 < len(text) <= 120 else (text[:117] + "..." if text else "nobody")


def titled(one: x509.Certificate) -> str:
    """A certificate by its subject; that of an EK often has none."""
    return f"the certificate of {shown(one.subject)}" if list(one.subject) else "the EK's certificate"


def element(data: bytes, at: int = 0) -> tuple[int, int, int]:
    """Tag, first byte of the content and first byte after it of the DER element at C(at) (X.690). Raises ValueError where none fits."""
    if at + 2 > len(data):
        raise ValueError("it ends within an element")
    tag, size, start = data[at], data[at + 1], at + 2
    if size & 0x80:
        count = size & 0x7F
        size, start = int.from_bytes(data[start : start + count], "big"), start + count
        if not 1 <= count <= 4 or size < 0x80:
            raise ValueError("a length in it is malformed")
    if start + size > len(data):
        raise ValueError(f"it should have {start + size - at} bytes and ends after {len(data) - at}")
    return tag, start, start + size


def _unwrap(data: bytes) -> bytes:
    """Without the header that a TPM 1.2 had before each certificate."""
    if data.startswith(_STORED_CERT) and len(data) > 5:
        data = data[5 : 5 + int.from_bytes(data[3:5], "big")]
        if data.startswith(_FULL_CERT):
            data = data[2:]
    return data


def cut(data: bytes) -> bytes:
    """The certificate alone: what follows its DER is padding of 00 or FF. Raises TrustError: no_certificate, oversized or malformed."""
    if len(data) > MAX_SIZE:
        raise refuse(
            verdict.OVERSIZED,
            f"it has {len(data)} bytes, more than the {MAX_SIZE} of the largest",
            "see what has been written to its NV index",
        )
    if not data.strip(_PADDING):
        raise refuse(
            verdict.NO_CERTIFICATE, "its NV index holds nothing but padding", "ask the board vendor, or pin the EK's hash in the manifest"
        )
    data = _unwrap(data)
    try:
        tag, _start, end = element(data)
    except ValueError as error:
        raise malformed(str(error)) from None
    if tag != _SEQUENCE:
        raise malformed("it does not begin as a DER certificate does")
    if data[end:].strip(_PADDING):
        raise malformed(f"it is followed by {len(data) - end} bytes that are no padding")
    return data[:end]


@contextlib.contextmanager
def _quiet() -> t.Iterator[None]:
    """The library warns on standard error of what vendors do; our notes say what matters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def parse(der: bytes) -> x509.Certificate:
    """A DER certificate, every lazily parsed part of it touched except its key. Raises ValueError in the library's words."""
    _keys.require()
    try:
        with _quiet():
            found = x509.load_der_x509_certificate(der)
            for part in ("extensions", "issuer", "subject", "serial_number", "not_valid_before_utc", "not_valid_after_utc", "version"):
                getattr(found, part)
        return found
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType):
        raise ValueError("it is no certificate that can be read") from None


def spki_in(der: bytes) -> tuple[bytes, bool]:
    """The DER SubjectPublicKeyInfo in a certificate, and whether its algorithm had to be put right. Raises ValueError.

    Infineon names the algorithm of its RSA EKs id-RSAES-OAEP (RFC 4055), which no library takes: it is read as rsaEncryption.
    """
    _tag, at, _end = element(der)
    _tag, at, end = element(der, at)
    if der[at] == 0xA0:  # version
        at = element(der, at)[2]
    for _each in ("serialNumber", "signature", "issuer", "validity", "subject"):
        at = element(der[:end], at)[2]
    _tag, start, stop = element(der[:end], at)
    algorithm = element(der[:stop], start)[2]
    if not der[start:algorithm].startswith(_OAEP_OID, element(der[:stop], start)[1] - start):
        return der[at:stop], False
    body = _RSA_ENCRYPTION + der[algorithm:stop]
    return bytes([_SEQUENCE, 0x82]) + len(body).to_bytes(2, "big") + body, True


def public_key(der: bytes) -> tuple[_keys.PublicKey, bool]:
    """The key in a certificate, and whether a quirk had to be overlooked. Raises ValueError for a key that is neither RSA nor ECC."""
    try:
        spki, quirk = spki_in(der)
        with _quiet():
            key = serialization.load_der_public_key(spki)
    except (ValueError, TypeError, UnsupportedAlgorithm, OverflowError):
        raise ValueError("its public key cannot be read") from None
    if not isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)):
        raise ValueError("its public key is neither RSA nor ECC")
    return key, quirk


def extension(certificate: x509.Certificate, kind: t.Any) -> t.Any:
    """The value of an extension by its class in C(cryptography.x509), or None."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _attributes(certificate: x509.Certificate) -> dict[str, str]:
    """The TPM's attributes in subjectAltName, by OID. Raises ValueError where one is there twice with two values."""
    found: dict[str, str] = {}
    san = extension(certificate, x509.SubjectAlternativeName)
    for name in san.get_values_for_type(x509.DirectoryName) if san is not None else ():
        for one in name:
            value = one.value if isinstance(one.value, str) else one.value.decode("ascii", "replace")
            if found.setdefault(one.oid.dotted_string, value) != value:
                raise ValueError(f"its subjectAltName has two values of {one.oid.dotted_string}")
    return found


def read(data: bytes) -> EkCertificate:
    """Read the content of an EK certificate's NV index. Raises TrustError: no_certificate, oversized or malformed."""
    der = cut(data)
    try:
        parsed = parse(der)
        key, quirk = public_key(der)
        about = _attributes(parsed)
    except ValueError as error:
        raise malformed(str(error)) from None
    notes = (
        ("The EK certificate names its key's algorithm RSAES-OAEP, as Infineon does; it was read as an ordinary RSA key.",) if quirk else ()
    )
    manufacturer, model, version = (about.get(oid, "") for oid in (OID_MANUFACTURER, OID_MODEL, OID_VERSION))
    return EkCertificate(der, parsed, _keys.spki_of(key), manufacturer, model, version, notes)


def check_usage(found: EkCertificate) -> None:
    """Check that a certificate is one for an EK and for nothing that issues others. Raises TrustError: not_a_leaf or wrong_usage."""
    certificate = found.parsed
    basic, usage = extension(certificate, x509.BasicConstraints), extension(certificate, x509.KeyUsage)
    if (basic is not None and basic.ca) or (usage is not None and usage.key_cert_sign):
        raise refuse(verdict.NOT_A_LEAF, "it is the certificate of a CA, not of an EK", "see what has been written to its NV index")
    purposes = extension(certificate, x509.ExtendedKeyUsage) or ()
    if OID_EK_CERTIFICATE not in [one.dotted_string for one in purposes]:
        raise refuse(
            verdict.WRONG_USAGE,
            f"its extended key usage does not name EK certificates ({OID_EK_CERTIFICATE})",
            "see whether another kind of certificate was written to its NV index",
        )
    if usage is not None and not (usage.key_encipherment or usage.key_agreement):
        raise refuse(
            verdict.WRONG_USAGE,
            "its key usage allows neither to encipher keys nor to agree on them",
            "see whether another kind of certificate was written to its NV index",
        )


def _pieces(blob: bytes) -> t.Iterator[bytes]:
    """The DER elements in a row, padding between them left out, up to the first that does not fit."""
    at = 0
    while at < len(blob):
        if blob[at] in _PADDING:
            at += 1
            continue
        try:
            tag, _start, end = element(blob, at)
        except ValueError:
            return
        if tag != _SEQUENCE:
            return
        yield blob[at:end]
        at = end


def chain_in(indices: t.Sequence[bytes]) -> tuple[list[x509.Certificate], list[str]]:
    """The certificates in the NV indices from 0x01C00100 on, and notes on what could not be used.

    They may follow one another in one index, and go on in the next one in the middle of a certificate (EK Credential Profile,
    section 2.2.1.5.2); so the row is read as a whole, then index by index. Nobody trusts them: they only help to find a way.
    """
    found: dict[bytes, x509.Certificate] = {}
    whole = b"".join(indices)
    if len(whole) > MAX_CHAIN_SIZE:
        return [], [f"The certificate chain in the TPM was left aside: it has {len(whole)} bytes, more than {MAX_CHAIN_SIZE}."]
    for blob in (whole, *(indices if len(indices) > 1 else ())):
        for der in itertools.islice(_pieces(blob), 2 * MAX_CHAIN):
            if len(found) < MAX_CHAIN and der not in found:
                with contextlib.suppress(ValueError):
                    found[der] = parse(der)
    used = sum(len(der) for der in found)
    idle = sum(len(index.rstrip(_PADDING)) for index in indices) - used
    notes = [f"Of the certificate chain in the TPM, {idle} bytes are no certificate and were left aside."] if idle > 0 else []
    return list(found.values()), notes


__all__ = (
    "MAX_SIZE",
    "EkCertificate",
    "chain_in",
    "check_usage",
    "cut",
    "element",
    "extension",
    "parse",
    "public_key",
    "read",
    "refuse",
    "shown",
    "spki_in",
    "titled",
)
