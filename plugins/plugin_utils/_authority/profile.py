# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a device's certificates contain: the profile of "TPM 2.0 Keys for Device Identity and Attestation" (v1.0 r12, section 8).

IAK and IDevID certificates identify TPM and device and do not expire; an LDevID's does so for a lifetime that the owner chooses (IEEE
802.1AR-2018).
"""

from __future__ import annotations

import datetime
import hashlib
import re
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import der
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.certificates import Certificate
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import (
    ExtendedKeyUsageOID,
    ExtensionOID,
    NameOID,
    x509,
)
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.names import MAX_SERIAL, SERIAL

KINDS = ("iak", "idevid", "ldevid")
# 99991231235959Z: "no well-defined expiration date" (RFC 5280, section 4.1.2.5).
FOREVER = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.timezone.utc)

HARDWARE_MODULE_NAME = "1.3.6.1.5.5.7.8.4"  # id-on-hardwareModuleName, RFC 4108 section 5
TPM_20 = "2.23.133.1.2"  # TCG's hwType of a TPM 2.0
VERIFIED_RESIDENCY = "2.23.133.11.1.1"  # tcg-cap-verifiedTPMResidency
VERIFIED_FIXED = "2.23.133.11.1.2"  # tcg-cap-verifiedTPMFixed
VERIFIED_RESTRICTED = "2.23.133.11.1.3"  # tcg-cap-verifiedTPMRestricted
AIK_CERTIFICATE = "2.23.133.8.3"  # tcg-kp-AIKCertificate

_MAXIMUM = 64  # ub-common-name and ub-organization-name
_VENDOR = re.compile(r"(?:id:)?([0-9A-Fa-f]{8})")


class DeviceSubject(t.NamedTuple):
    """Who a certificate is about. ``hardware_serial`` comes from ``hardware_serial()``; ``common_name`` defaults to the serial number."""

    serial: str
    hardware_serial: bytes
    common_name: str | None = None
    organization: str | None = None


def hardware_serial(manufacturer: str | None, ek_certificate: Certificate | None, ek_public: t.Any) -> bytes:
    """hwSerialNum, which names the TPM (section 8.1.6).

    If there is an EK certificate with an authority key identifier: ``VENDOR:AKI:SERIAL`` in upper-case hex, as Hewlett Packard's
    devid-provisioning-tool writes it; ``manufacturer`` is TPM_PT_MANUFACTURER as 8 hex digits, with or without ``id:``.
    Else the SHA-256 digest (32 bytes) of the EK's DER SubjectPublicKeyInfo, the same hash that a manifest pins (``ek_sha256``).
    Raises InputError if the manufacturer has another form.
    """
    # The specification (version 1.00, revision 12) says "three ASCII values: the TCG TPM Manufacturer code", the identifier and the serial
    # number, and not how a code of four bytes becomes ASCII. Keylime's samples have its characters ("STM :1ADB..."), HPE's tool has hex, as
    # an EK certificate itself writes the code ("id:53544D20"; EK Credential Profile, section 3.1.2). Hex also works for a code that is not
    # text (swtpm's 00001014). We never compare this value with one in another CA's certificate, so theirs may have either form.
    if ek_certificate is not None:
        found = _VENDOR.fullmatch(manufacturer or "")
        if not found:
            raise InputError(f"Could not name the TPM in a certificate: '{manufacturer}' is no manufacturer; give its 8 hex digits.")
        try:
            identifier = ek_certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        except x509.ExtensionNotFound:
            identifier = None
        if identifier:
            number = ek_certificate.serial_number
            serial = number.to_bytes((number.bit_length() + 7) // 8 or 1, "big")
            return f"{found[1]}:{identifier.hex()}:{serial.hex()}".upper().encode("ascii")
    return hashlib.sha256(keys.spki(ek_public)).digest()


def check(subject: DeviceSubject) -> None:
    """Raise InputError if a certificate cannot hold this subject."""
    if not SERIAL.fullmatch(subject.serial):
        raise InputError(
            f"Could not put the serial number '{subject.serial}' into a certificate: X.520 allows 1 to {MAX_SERIAL} letters, digits, spaces "
            "and '()+,-./:=? there; give the device another one."
        )
    for what, value in (("common name", subject.common_name), ("organization", subject.organization)):
        if value is not None and (not 1 <= len(value) <= _MAXIMUM or not value.isprintable()):
            raise InputError(f"Could not put the {what} '{value}' into a certificate: it takes 1 to {_MAXIMUM} printable characters.")
    if not subject.hardware_serial:
        raise InputError(f"Could not make a certificate for {subject.serial}: nothing names its TPM; give the EK's public key.")


def name(subject: DeviceSubject) -> x509.Name:
    """The distinguished name: O, CN, and the device's serial number (2.5.4.5). Raises InputError."""
    check(subject)
    found = [] if subject.organization is None else [x509.NameAttribute(NameOID.ORGANIZATION_NAME, subject.organization)]
    found.append(x509.NameAttribute(NameOID.COMMON_NAME, subject.common_name or subject.serial))
    return x509.Name([*found, x509.NameAttribute(NameOID.SERIAL_NUMBER, subject.serial)])


def serial_of(certified: x509.Name) -> str | None:
    """The device's serial number in a subject; None if the subject has none, or several."""
    found = certified.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    return str(found[0].value) if len(found) == 1 else None


def alternative_name(subject: DeviceSubject, dns_names: t.Sequence[str] = ()) -> x509.SubjectAlternativeName:
    """SubjectAltName with the HardwareModuleName (RFC 4108, section 5), and the DNS names of a device that serves TLS."""
    value = der.element(der.SEQUENCE, der.oid(TPM_20), der.element(der.OCTET_STRING, subject.hardware_serial))
    module = x509.OtherName(x509.ObjectIdentifier(HARDWARE_MODULE_NAME), value)
    try:
        return x509.SubjectAlternativeName([module, *map(x509.DNSName, dns_names)])
    except ValueError:
        raise InputError(
            f"Could not put the DNS names {', '.join(dns_names)} into a certificate: one is not ASCII; write it in its xn-- form."
        ) from None


def is_device(certificate: x509.Certificate) -> bool:
    """Whether a certificate is for a device's key: it has a HardwareModuleName or TCG policies."""
    for one in certificate.extensions:
        if one.oid == ExtensionOID.SUBJECT_ALTERNATIVE_NAME:
            if any(isinstance(n, x509.OtherName) and n.type_id.dotted_string == HARDWARE_MODULE_NAME for n in one.value):
                return True
        if one.oid == ExtensionOID.CERTIFICATE_POLICIES:
            if any(policy.policy_identifier.dotted_string.startswith("2.23.133.11.1.") for policy in one.value):
                return True
    return False


def extensions(
    kind: str, subject: DeviceSubject, public_key: keys.PublicKey, *, server_auth: bool = False, dns_names: t.Sequence[str] = ()
) -> list[tuple[x509.ExtensionType, bool]]:
    """The extensions for a kind of certificate, each with its criticality, except the authority key identifier, which the CA adds."""
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    policies = [VERIFIED_RESIDENCY, VERIFIED_FIXED, *([VERIFIED_RESTRICTED] if kind == "iak" else [])]
    purposes = []
    if kind == "iak":
        purposes = [x509.ObjectIdentifier(AIK_CERTIFICATE)]
    elif kind == "ldevid":
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if server_auth else [])]
    found: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.KeyUsage(digital_signature=True, **usage), True),
        (x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(one), None) for one in policies]), False),
        # Never critical, because the subject is never empty (RFC 5280, section 4.2.1.6).
        (alternative_name(subject, dns_names), False),
        (x509.SubjectKeyIdentifier.from_public_key(public_key), False),
    ]
    if purposes:
        found.append((x509.ExtendedKeyUsage(purposes), False))
    return found


__all__ = (
    "FOREVER",
    "KINDS",
    "DeviceSubject",
    "alternative_name",
    "check",
    "extensions",
    "hardware_serial",
    "is_device",
    "name",
    "serial_of",
)
