# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What CRLs say about the certificates of a chain (RFC 5280, sections 5 and 6.3).

A CRL counts only if the certificate's own issuer signed it. Only a fresh CRL that covers the certificate can say ``good``: now lies
between its thisUpdate and nextUpdate, and it is not older than the policy allows. A certificate that any other CRL lists is revoked too.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import verdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.certificate import UNNAMED
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import deps
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.certificates import (
    Certificate,
    der_of,
    extension,
    public_key,
    shown,
    titled,
)
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import x509
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.path import WEAK_HASHES, weak_key

Crls = t.Sequence["x509.CertificateRevocationList"]


class Revocation(t.NamedTuple):
    """What CRLs say of a chain. ``state`` is ``good``, ``revoked``, ``stale`` or ``not checked``.

    ``revoked``: a clause that says which certificate is revoked and by whom, or empty. ``lacking``: for each CA without a fresh CRL, a
    clause that says what is wrong with its CRL.
    """

    state: str
    revoked: str
    lacking: tuple[str, ...]


class _Said(t.NamedTuple):
    """What one CRL, or the lack of one, says of one certificate; ``why``: a clause that says why it is not ``good``."""

    state: str
    why: str


def _not_authentic(crl: x509.CertificateRevocationList, issuer: Certificate) -> str:
    """A clause on why a CRL with the issuer's name does not count as the issuer's (RFC 5280, section 6.3.3 f, g); empty if it does."""
    usage, scope = extension(issuer, x509.KeyUsage), extension(crl, x509.IssuingDistributionPoint)
    if usage is not None and not usage.crl_sign:
        return "may not be used, because the key usage of that CA does not allow it to sign CRLs"
    if scope is not None and scope.indirect_crl:
        return "is an indirect one, which speaks for other CAs"
    try:
        digest = crl.signature_hash_algorithm
        if weak_key(der_of(issuer)) or (digest is not None and digest.name in WEAK_HASHES):
            return "has a signature that can be forged"
        valid = crl.is_signature_valid(public_key(der_of(issuer))[0])
    except deps.malformed():
        valid = False
    return "" if valid else "is not signed by that CA"


def _lists(crl: x509.CertificateRevocationList, child: Certificate) -> bool:
    """Whether it names the certificate as revoked. A delta CRL may also take one off the list (section 5.3.1, removeFromCRL)."""
    found = crl.get_revoked_certificate_by_serial_number(child.serial_number)
    if found is None:
        return False
    try:
        reason = found.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return True
    return bool(reason != x509.ReasonFlags.remove_from_crl)


def _partial(crl: x509.CertificateRevocationList, child: Certificate) -> str:
    """A clause on why a CRL, even a fresh one, proves nothing of a certificate that it does not list; empty if it does prove it good."""
    if extension(crl, x509.DeltaCRLIndicator) is not None:
        return "is a delta CRL, which only says what has changed"
    known = (x509.IssuingDistributionPoint.oid, x509.AuthorityKeyIdentifier.oid, x509.CRLNumber.oid)
    entries = (x509.CRLReason.oid, x509.InvalidityDate.oid)
    strange = [one.oid for one in crl.extensions if one.critical and one.oid not in known]
    # Entries' extensions too: a critical one that we do not know may change the meaning of the list (section 5.3).
    strange += [one.oid for entry in crl for one in entry.extensions if one.critical and one.oid not in entries]
    if strange:
        return f"has the critical extension {strange[0].dotted_string}, which is not known here"
    scope = extension(crl, x509.IssuingDistributionPoint)
    return "" if scope is None or _in_scope(scope, child) else "is for other certificates of that CA"


def _in_scope(scope: x509.IssuingDistributionPoint, child: Certificate) -> bool:
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


def _old(crl: x509.CertificateRevocationList, at: datetime.datetime, max_age: datetime.timedelta | None) -> _Said | None:
    """What a CRL that is not fresh says, by its dates."""
    if crl.last_update_utc > at:
        return _Said(verdict.NOT_CHECKED, f"is of {crl.last_update_utc:%Y-%m-%d}, which is in the future")
    if crl.next_update_utc is None:
        return _Said(verdict.NOT_CHECKED, "does not say when the next one comes")
    if at > crl.next_update_utc:
        return _Said(verdict.STALE, f"is of {crl.last_update_utc:%Y-%m-%d} and ended on {crl.next_update_utc:%Y-%m-%d}")
    if max_age is not None and at - crl.last_update_utc > max_age:
        return _Said(verdict.STALE, f"is of {crl.last_update_utc:%Y-%m-%d}, more than {max_age / datetime.timedelta(days=1):g} days old")
    return None


def _one(
    crl: x509.CertificateRevocationList,
    pair: tuple[Certificate, Certificate],
    at: datetime.datetime,
    max_age: datetime.timedelta | None,
) -> _Said:
    child, issuer = pair
    alien = _not_authentic(crl, issuer)
    if alien:
        return _Said(verdict.NOT_CHECKED, alien)
    if _lists(crl, child):
        return _Said(verdict.REVOKED, "")
    partial = _partial(crl, child)
    return _Said(verdict.NOT_CHECKED, partial) if partial else _old(crl, at, max_age) or _Said(verdict.GOOD, "")


# If a CA has several CRLs, a revocation counts in any of them; otherwise the freshest decides.
_WEIGHT = (verdict.REVOKED, verdict.GOOD, verdict.STALE, verdict.NOT_CHECKED)


def check(way: t.Sequence[Certificate], crls: Crls, at: datetime.datetime, max_age: datetime.timedelta | None = None) -> Revocation:
    """What CRLs say of a path of certificates, the EK's first, the root last; ``max_age``: how old a CRL may be, beside its own nextUpdate.

    ``good`` requires a fresh CRL for every certificate below the root. If the path does not reach a root, ``revoked`` still counts.
    """
    states: list[str] = []
    lacking: list[str] = []
    for child, issuer in zip(way, way[1:]):
        said = [_one(crl, (child, issuer), at, max_age) for crl in crls if crl.issuer == issuer.subject]
        best = min(said, key=lambda one: _WEIGHT.index(one.state), default=_Said(verdict.NOT_CHECKED, ""))
        if best.state == verdict.REVOKED:
            subject = "it" if child is way[0] else titled(child, UNNAMED)
            what = f"{subject} (serial number {child.serial_number:x}) is on the list of those that {shown(issuer.subject)} has revoked"
            return Revocation(best.state, what, ())
        states.append(best.state)
        if best.state != verdict.GOOD:
            name = shown(issuer.subject)
            lacking.append(f"the CRL of {name} {best.why}" if said else f"there is no CRL of {name}")
    # The worst state of any certificate in the path.
    return Revocation(max(states, key=_WEIGHT.index, default=verdict.NOT_CHECKED), "", tuple(lacking))


__all__ = ("Revocation", "check")
