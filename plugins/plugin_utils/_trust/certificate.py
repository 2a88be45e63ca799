# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The EK certificate in NV: cut it to its length, read it with the known quirks of vendors, check its fields.

TCG EK Credential Profile for TPM 2.0 v2.x, section 3.2 (fields); RFC 5280. `chain` and `ladder` check the chain and the vendor.
"""

from __future__ import annotations

import contextlib
import itertools
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import verdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.verdict import TrustError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import canonical, certificates
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.certificates import Certificate, extension, public_key
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import x509
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.der import element_at

MAX_SIZE = 8 << 10
MAX_CHAIN_SIZE = 64 << 10
MAX_CHAIN = 16

# Beside the faults of `canonical.RULES`, what is overlooked in an EK certificate; words are stable, as they are stored.
OAEP_KEY = "oaep_key"
TPM12_HEADER = "tpm12_header"
TRAILING_BYTES = "trailing_bytes"

OID_MANUFACTURER = "2.23.133.2.1"
OID_MODEL = "2.23.133.2.2"
OID_VERSION = "2.23.133.2.3"
OID_EK_CERTIFICATE = "2.23.133.8.1"
# The name of an EK certificate in sentences, because it often has no subject.
UNNAMED = "the EK's certificate"

_SEQUENCE = 0x30
_PADDING = b"\x00\xff"
# TCG PC Client Specific Implementation Specification for TPM 1.2, 7.4.5 to 7.4.7: some vendors still put these before a certificate.
_STORED_CERT, _FULL_CERT = bytes.fromhex("100100"), bytes.fromhex("1002")


class EkCertificate(t.NamedTuple):
    """An EK certificate, read. Texts are as written in it, empty if it has none; `spki` is the DER of its key as rsaEncryption or ECC.

    `overlooked` are the faults in it that were overlooked, each a word.
    """

    der: bytes
    parsed: Certificate
    spki: bytes
    manufacturer: str
    model: str
    version: str
    overlooked: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each fault that was overlooked."""
        return tuple(map(_note, self.overlooked))


def refuse(reason: str, what: str, cure: str) -> TrustError:
    """The error for an EK certificate: `what` is wrong with it, `cure` is what to do."""
    return TrustError(f"Could not trust the EK certificate: {what}; {cure}.", reason)


def malformed(what: str) -> TrustError:
    """The error for a certificate that cannot be read."""
    return refuse(verdict.MALFORMED, what, "read it anew from the TPM, or pin the EK's hash in the manifest")


def _unwrap(data: bytes) -> bytes:
    """The data without the header that TPM 1.2 put before each certificate."""
    if data.startswith(_STORED_CERT) and len(data) > 5:
        data = data[5 : 5 + int.from_bytes(data[3:5], "big")]
        if data.startswith(_FULL_CERT):
            data = data[2:]
    return data


def cut(data: bytes) -> bytes:
    """The certificate without the padding after it, by the length in its DER. Raises TrustError: no_certificate, oversized or malformed."""
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
        tag, _start, end = element_at(data)
    except ValueError as error:
        raise malformed(str(error)) from None
    if tag != _SEQUENCE:
        raise malformed("it does not begin as a DER certificate does")
    return data[:end]


def parse(der: bytes) -> Certificate:
    """A vendor's DER certificate. Raises ValueError; DependencyError without `cryptography`."""
    _keys.require()
    return certificates.parse_vendor(der)


def _attributes(certificate: Certificate) -> dict[str, str]:
    """The TPM's attributes in subjectAltName, by OID. Raises ValueError if one has two different values."""
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
    found = [*certificates.overlooked(parsed), *([OAEP_KEY] if quirk else []), *_around(data, der)]
    manufacturer, model, version = (about.get(oid, "") for oid in (OID_MANUFACTURER, OID_MODEL, OID_VERSION))
    return EkCertificate(der, parsed, _keys.spki_of(key), manufacturer, model, version, tuple(found))


def _around(data: bytes, der: bytes) -> t.Iterator[str]:
    """Which faults an NV index has around its certificate, as words."""
    if not data.startswith(der):
        yield TPM12_HEADER
    # Vendors pad with various bytes. Only the certificate is used, stored and hashed.
    elif data[len(der) :].strip(_PADDING):
        yield TRAILING_BYTES


_OVERLOOKED = {
    **canonical.RULES,
    OAEP_KEY: "its key's algorithm is called RSAES-OAEP, as Infineon does; it was read as an ordinary RSA key",
    TPM12_HEADER: "a header of TPM 1.2 is before it",
    TRAILING_BYTES: "bytes that are neither 00 nor FF follow it in its NV index",
}


def _note(word: str) -> str:
    """The sentence on a fault in the EK certificate that was overlooked."""
    return f"The EK certificate was read although it is not as it should be ({word}): {_OVERLOOKED[word]}."


def check_usage(found: EkCertificate) -> None:
    """Check that a certificate is an EK's, and not a CA's. Raises TrustError: not_a_leaf or wrong_usage."""
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
    """The consecutive DER elements without the padding between them, up to the first that is malformed."""
    at = 0
    while at < len(blob):
        if blob[at] in _PADDING:
            at += 1
            continue
        try:
            tag, _start, end = element_at(blob, at)
        except ValueError:
            return
        if tag != _SEQUENCE:
            return
        yield blob[at:end]
        at = end


def chain_in(indices: t.Sequence[bytes]) -> tuple[list[Certificate], list[str]]:
    """The certificates in the NV indices from 0x01C00100 on, and notes (sentences) on what could not be used.

    An index may hold several certificates, and a certificate may continue in the next index (EK Credential Profile, section 2.2.1.5.2);
    so all indices are read as one, then each alone. These certificates are not trusted: they only help to find a path to a root.
    """
    found: dict[bytes, Certificate] = {}
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


__all__ = ("MAX_SIZE", "UNNAMED", "EkCertificate", "chain_in", "check_usage", "cut", "parse", "read", "refuse")
