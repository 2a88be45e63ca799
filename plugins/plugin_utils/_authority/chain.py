# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Certificates as a chain: reading them, and following them up to a trust anchor (RFC 5280, section 6, as far as devices need it).

cryptography's own verifier is made for TLS (names of hosts, profiles of browsers), so the path is followed here, and each signature is
checked by cryptography.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import deps, der
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.deps import (
    ExtensionOID,
    InvalidSignature,
    hashes,
    serialization,
    x509,
)
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.chain import MAX_STEPS

MAX_DEPTH = 8


class CertificateError(TpmError):
    """A certificate or chain is not what it has to be."""


def load(data: str | bytes, what: str) -> list[x509.Certificate]:
    """All certificates of a PEM text, or the one of DER bytes. Raises CertificateError where there is none or one is malformed."""
    deps.require(f"read {what}")
    try:
        raw = data.encode() if isinstance(data, str) else data
        if b"-----BEGIN CERTIFICATE-----" in raw:
            found = x509.load_pem_x509_certificates(raw)
        else:
            found = [x509.load_der_x509_certificate(raw)]
        for one in found:
            one.public_key()
            # Parsed lazily, else an error would come from wherever one of these is asked for.
            _seen = list(one.extensions), one.subject, one.issuer, one.version, one.not_valid_before_utc, one.not_valid_after_utc
            der.check_signature_octets(one.public_bytes(serialization.Encoding.DER), one.signature)
    except deps.malformed():
        raise CertificateError(f"Could not read {what}: it holds no well-formed certificate in PEM or DER form; export it again.") from None
    return found


def pem(certificates: t.Iterable[x509.Certificate]) -> str:
    """PEM, one after the other."""
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode("ascii") for one in certificates)


def label(certificate: x509.Certificate) -> str:
    """A certificate's subject for a sentence, or its serial number where it has none."""
    return certificate.subject.rfc4514_string() or f"serial number {certificate.serial_number:x}"


def extension(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> t.Any:
    """The value of an extension, or None."""
    try:
        return certificate.extensions.get_extension_for_oid(oid).value
    except x509.ExtensionNotFound:
        return None


def is_self_issued(certificate: x509.Certificate) -> bool:
    """Whether subject and issuer are the same, as in a root."""
    return certificate.subject == certificate.issuer


def no_ca(certificate: x509.Certificate) -> str | None:
    """Why a certificate is none of a CA (RFC 5280, 4.2.1.9 and 4.2.1.3), as a clause; None where it is one."""
    constraints = extension(certificate, ExtensionOID.BASIC_CONSTRAINTS)
    if constraints is None or not constraints.ca:
        return "its basicConstraints do not say CA:TRUE"
    usage = extension(certificate, ExtensionOID.KEY_USAGE)
    if usage is not None and not usage.key_cert_sign:
        return "its keyUsage lacks keyCertSign"
    return None


def not_valid(certificate: x509.Certificate, at: datetime.datetime) -> str | None:
    """Why a certificate is not valid at a time (aware), as a clause; None where it is."""
    if at < certificate.not_valid_before_utc:
        return f"it is not valid before {moment(certificate.not_valid_before_utc)}"
    if at > certificate.not_valid_after_utc:
        return f"it expired on {moment(certificate.not_valid_after_utc)}"
    return None


def moment(when: datetime.datetime) -> str:
    """A time as it is printed and stored: 2026-01-31T12:00:00Z."""
    return when.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether names and signature say that C(issuer) issued C(certificate)."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except deps.malformed():
        return False
    except InvalidSignature:
        return False
    return True


def same(one: x509.Certificate, other: x509.Certificate) -> bool:
    """Whether two are the same certificate."""
    return one.fingerprint(hashes.SHA256()) == other.fingerprint(hashes.SHA256())


def follow(
    leaf: x509.Certificate, pool: t.Sequence[x509.Certificate], anchors: t.Sequence[x509.Certificate], at: datetime.datetime, what: str
) -> list[x509.Certificate]:
    """The path from C(leaf) to one of C(anchors), both included; C(pool) may hold what lies between, in any order.

    Raises CertificateError: no path, or the most telling fault of the paths there are. The anchors are trusted as they are, but they
    too must be CAs and valid at C(at).
    """
    reason = _unusable(leaf, at, 0, None)
    if reason:
        raise CertificateError(f"Could not accept {what}: {reason}; see who issued it and when.")
    search = _Search(pool, anchors, at)
    path = search.climb([leaf])
    if path is not None:
        return path
    if search.steps > MAX_STEPS:
        raise CertificateError(f"Could not accept {what}: more than {MAX_STEPS} ways lead up from it; give no CA but those of its chain.")
    search.faults.append(f"no CA that is trusted here issued it, nor what issued it ({leaf.issuer.rfc4514_string()})")
    raise CertificateError(f"Could not accept {what}: {search.faults[0]}; give the CA's certificate and all between.")


class _Search:
    """One depth-first search for a path, with what was wrong on the way; whoever signs many CAs of one name gets no more than our steps."""

    def __init__(self, pool: t.Sequence[x509.Certificate], anchors: t.Sequence[x509.Certificate], at: datetime.datetime) -> None:
        self.known, self.anchors, self.at = [*dict.fromkeys([*anchors, *pool])], anchors, at
        self.faults: list[str] = []
        self.steps = 0

    def climb(self, path: list[x509.Certificate]) -> list[x509.Certificate] | None:
        """Go on from the last certificate of C(path); return the whole path, or None."""
        if any(same(path[-1], anchor) for anchor in self.anchors):
            return path
        if len(path) > MAX_DEPTH:
            self.faults.append(f"its chain is longer than {MAX_DEPTH} certificates")
            return None
        for candidate in self.known:
            if candidate.subject != path[-1].issuer or any(same(candidate, one) for one in path):
                continue
            self.steps += 1
            if self.steps > MAX_STEPS:
                return None
            if not issued(candidate, path[-1]):
                continue
            below = sum(not is_self_issued(one) for one in path[1:])
            reason = _unusable(candidate, self.at, below, candidate)
            if reason:
                self.faults.append(reason)
                continue
            found = self.climb([*path, candidate])
            if found is not None:
                return found
        return None


def _unusable(certificate: x509.Certificate, at: datetime.datetime, below: int, authority: x509.Certificate | None) -> str | None:
    """Why a certificate cannot stand in a path with C(below) CAs beneath it, as a clause."""
    name = f"of {label(authority)}, which issued it, " if authority is not None else ""
    reason = not_valid(certificate, at) or (no_ca(certificate) if authority is not None else None)
    if reason is None and authority is not None:
        constraints = extension(certificate, ExtensionOID.BASIC_CONSTRAINTS)
        if constraints.path_length is not None and below > constraints.path_length:
            reason = f"its path length constraint of {constraints.path_length} is exceeded"
    if reason is None:
        known = (
            ExtensionOID.BASIC_CONSTRAINTS,
            ExtensionOID.KEY_USAGE,
            ExtensionOID.EXTENDED_KEY_USAGE,
            ExtensionOID.CERTIFICATE_POLICIES,
            ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        )
        strange = [one.oid.dotted_string for one in certificate.extensions if one.critical and one.oid not in known]
        reason = f"it has the critical extension {strange[0]}, which is not known here" if strange else None
    return f"{name}{reason}" if reason else None


__all__ = (
    "CertificateError",
    "extension",
    "follow",
    "is_self_issued",
    "issued",
    "label",
    "load",
    "moment",
    "no_ca",
    "not_valid",
    "pem",
    "same",
)
