# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What CRLs say about the certificates of a chain (RFC 5280, sections 5 and 6.3).

A CRL counts only if the certificate's own issuer signed it. One that is out of date or covers only some certificates cannot say
C(good), but what it lists is revoked all the same.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import verdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import deps
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.certificates import der_of, extension, public_key, shown, titled
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import x509
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.path import WEAK_HASHES, weak_key


def _extension(crl: x509.CertificateRevocationList, kind: t.Any) -> t.Any:
    try:
        return crl.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _signed_by(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    """Whether C(issuer) made the CRL and may (RFC 5280, section 6.3.3 f, g). Delta CRLs and those of others (indirect) are left aside."""
    usage, scope = extension(issuer, x509.KeyUsage), _extension(crl, x509.IssuingDistributionPoint)
    if crl.issuer != issuer.subject or (usage is not None and not usage.crl_sign):
        return False
    if _extension(crl, x509.DeltaCRLIndicator) is not None or (scope is not None and scope.indirect_crl):
        return False
    try:
        digest = crl.signature_hash_algorithm
        if weak_key(der_of(issuer)) or (digest is not None and digest.name in WEAK_HASHES):
            return False
        return crl.is_signature_valid(public_key(der_of(issuer))[0])
    except deps.malformed():
        return False


def _lists(crl: x509.CertificateRevocationList, child: x509.Certificate) -> bool:
    return crl.get_revoked_certificate_by_serial_number(child.serial_number) is not None


def _covers(crl: x509.CertificateRevocationList, child: x509.Certificate, at: datetime.datetime) -> bool:
    """Whether a CRL that does not list a certificate proves it good: it is current, and made for such certificates, for all reasons."""
    if crl.next_update_utc is None or not crl.last_update_utc <= at <= crl.next_update_utc:
        return False
    known = (x509.IssuingDistributionPoint.oid, x509.AuthorityKeyIdentifier.oid, x509.CRLNumber.oid)
    if any(one.critical and one.oid not in known for one in crl.extensions):
        return False
    scope = _extension(crl, x509.IssuingDistributionPoint)
    if scope is None:
        return True
    basic = extension(child, x509.BasicConstraints)
    is_ca = basic is not None and basic.ca
    if (
        scope.only_contains_attribute_certs
        or scope.only_some_reasons
        or (scope.only_contains_ca_certs if not is_ca else scope.only_contains_user_certs)
    ):
        return False
    if scope.full_name is None and scope.relative_name is None:
        return True
    points = extension(child, x509.CRLDistributionPoints) or ()
    return any(set(one.full_name or ()) & set(scope.full_name or ()) for one in points)


def _state(
    child: x509.Certificate, issuer: x509.Certificate, crls: t.Iterable[x509.CertificateRevocationList], at: datetime.datetime
) -> str:
    state = verdict.NOT_CHECKED
    for crl in crls:
        if not _signed_by(crl, issuer):
            continue
        if _lists(crl, child):
            return verdict.REVOKED
        if _covers(crl, child, at):
            state = verdict.GOOD
    return state


def check(way: t.Sequence[x509.Certificate], crls: t.Sequence[x509.CertificateRevocationList], at: datetime.datetime) -> tuple[str, str]:
    """C(good), C(revoked) or C(not checked) for a way of certificates, the EK's first, the root last; and which one is revoked, as a clause.

    C(good) takes a CRL for every certificate below the root. Where the way does not reach a root, C(revoked) still counts.
    """
    states = [_state(child, issuer, crls, at) for child, issuer in zip(way, way[1:])]
    for child, issuer, state in zip(way, way[1:], states):
        if state == verdict.REVOKED:
            subject = "it" if child is way[0] else titled(child)
            return (
                state,
                f"{subject} (serial number {child.serial_number:x}) is on the list of those that {shown(issuer.subject)} has revoked",
            )
    good = bool(states) and all(state == verdict.GOOD for state in states)
    return (verdict.GOOD if good else verdict.NOT_CHECKED), ""


__all__ = ("check",)
