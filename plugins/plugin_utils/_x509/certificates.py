# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""X.509 certificates: read them with the known quirks of vendors, and name them in sentences (RFC 5280).

`parse` accepts what the library accepts. It is for certificates that we can have reissued: those of our own CAs, and of the keys that
they certify. `parse_vendor` is for those of TPMs and their vendors, which nobody can change. `path` decides whether to believe one.
"""

from __future__ import annotations

import contextlib
import datetime
import re
import typing as t
import warnings

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _text
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import canonical, deps, der
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import (
    ec,
    hashes,
    padding,
    rsa,
    serialization,
    x509,
)
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.lenient import (
    Certificate,
    Lenient,
    issuer_der,
    subject_der,
    verify_directly_issued_by,
)

PublicKey = t.Union["ec.EllipticCurvePublicKey", "rsa.RSAPublicKey"]

_SEQUENCE = 0x30
_RSA_ENCRYPTION = bytes.fromhex("300d06092a864886f70d0101010500")
_OAEP_OID = bytes.fromhex("06092a864886f70d010107")
# How the library words a violation of DER.
_KIND = re.compile(r"kind: (\w+)")


@contextlib.contextmanager
def _quiet() -> t.Iterator[None]:
    """Silence the library's warnings about vendors' certificates on standard error; our notes say what matters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def parse(data: bytes) -> x509.Certificate:
    """A DER certificate, of which everything but the key has been parsed. Raises ValueError."""
    try:
        with _quiet():
            found = x509.load_der_x509_certificate(data)
            for part in ("extensions", "issuer", "subject", "serial_number", "not_valid_before_utc", "not_valid_after_utc", "version"):
                getattr(found, part)
            der.check_signature_octets(data, found.signature)
        return found
    except deps.malformed() as error:
        kind = _KIND.search(str(error))
        raise ValueError(f"it cannot be read as a certificate{f' ({kind[1]})' if kind else ''}") from None


def parse_vendor(data: bytes) -> Certificate:
    """As `parse`, but a certificate with the faults of `canonical.RULES` is read too, as a `Lenient`. Raises ValueError."""
    try:
        return parse(data)
    except ValueError as error:
        refused = error
    with contextlib.suppress(ValueError):
        mended, rules = canonical.copy(data)
        if rules:
            return Lenient(data, parse(mended), rules)
    raise refused


def overlooked(one: Certificate) -> tuple[str, ...]:
    """The faults in a certificate that were overlooked, as words of `canonical.RULES`."""
    return one.rules if isinstance(one, Lenient) else ()


def overlooked_on(way: t.Sequence[Certificate]) -> tuple[str, ...]:
    """The faults in all certificates of a path (the lowest first), and those between a certificate and its issuer's."""
    found = {word for one in way for word in overlooked(one)}
    if any(issuer_der(child) != subject_der(issuer) for child, issuer in zip(way, way[1:])):
        found.add(canonical.STRING_TYPES)
    return tuple(sorted(found))


def der_of(one: Certificate) -> bytes:
    """A certificate's DER."""
    return one.public_bytes(serialization.Encoding.DER)


def pem(certificates: t.Iterable[Certificate]) -> str:
    """The certificates as PEM, one after the other."""
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode("ascii") for one in certificates)


def same(one: Certificate, other: Certificate) -> bool:
    """Whether two are the same certificate."""
    return der_of(one) == der_of(other)


def extension(one: Certificate | x509.CertificateRevocationList, kind: t.Any) -> t.Any:
    """The value of an extension of a certificate or CRL, by its class in `cryptography.x509`; None if there is none."""
    try:
        return one.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def shown(name: x509.Name) -> str:
    """A name in a certificate, fit to be shown: printable, on one line, not long."""
    return _text.shown(name.rfc4514_string(), 120) or "nobody"


def label(one: Certificate) -> str:
    """A certificate's subject for a sentence, or its serial number if it has no subject."""
    return shown(one.subject) if list(one.subject) else f"serial number {one.serial_number:x}"


def titled(one: Certificate, unnamed: str = "") -> str:
    """A certificate by its subject, or `unnamed` if it has none, which is common for an EK's."""
    return f"the certificate of {label(one)}" if list(one.subject) or not unnamed else unnamed


def moment(when: datetime.datetime) -> str:
    """A time in the form in which we print and store it: 2026-01-31T12:00:00Z."""
    return when.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_self_issued(one: Certificate) -> bool:
    """Whether subject and issuer are the same, as in a root."""
    return one.subject == one.issuer


def issued(issuer: Certificate, one: Certificate) -> bool:
    """Whether names and signature say that `issuer` issued `one`. `path` decides whether that counts."""
    try:
        verify_directly_issued_by(one, issuer)
    except deps.not_signed():
        return False
    return True


def is_self_signed(one: Certificate) -> bool:
    """Whether a certificate is signed with its own key. SHA-1 is accepted, because a root is trusted for being in the file, not for its signature."""
    if not is_self_issued(one):
        return False
    try:
        digest = one.signature_hash_algorithm
        if isinstance(digest, hashes.SHA1):  # for which the library does not check certificates
            key, _quirk = public_key(der_of(one))
            if isinstance(key, rsa.RSAPublicKey):
                key.verify(one.signature, one.tbs_certificate_bytes, padding.PKCS1v15(), digest)
                return True
    except deps.not_signed():
        return False
    return issued(one, one)


def spki_in(data: bytes) -> tuple[bytes, bool]:
    """The DER SubjectPublicKeyInfo in a certificate, and whether its algorithm had to be corrected. Raises ValueError.

    Infineon names the algorithm of its RSA EKs id-RSAES-OAEP (RFC 4055), which no library accepts: it is read as rsaEncryption.
    """
    element = der.element_at
    _tag, at, _end = element(data)
    _tag, at, end = element(data, at)
    if data[at] == 0xA0:  # version
        at = element(data, at)[2]
    for _each in ("serialNumber", "signature", "issuer", "validity", "subject"):
        at = element(data[:end], at)[2]
    _tag, start, stop = element(data[:end], at)
    algorithm = element(data[:stop], start)[2]
    if not data[start:algorithm].startswith(_OAEP_OID, element(data[:stop], start)[1] - start):
        return data[at:stop], False
    body = _RSA_ENCRYPTION + data[algorithm:stop]
    return bytes([_SEQUENCE, 0x82]) + len(body).to_bytes(2, "big") + body, True


def public_key(data: bytes) -> tuple[PublicKey, bool]:
    """The key in a DER certificate, and whether a quirk had to be overlooked. Raises ValueError for a key that is neither RSA nor ECC."""
    try:
        spki, quirk = spki_in(data)
        with _quiet():
            key = serialization.load_der_public_key(spki)
    except deps.malformed():
        raise ValueError("its public key cannot be read") from None
    if not isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)):
        raise ValueError("its public key is neither RSA nor ECC")
    return key, quirk


__all__ = (
    "Certificate",
    "Lenient",
    "PublicKey",
    "der_of",
    "extension",
    "is_self_issued",
    "is_self_signed",
    "issued",
    "issuer_der",
    "label",
    "moment",
    "overlooked",
    "overlooked_on",
    "parse",
    "parse_vendor",
    "pem",
    "public_key",
    "same",
    "shown",
    "spki_in",
    "subject_der",
    "titled",
    "verify_directly_issued_by",
)
