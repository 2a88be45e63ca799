# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The way from an EK certificate up to a root of the trust bundle (RFC 5280, section 6.1, as far as TPM vendors use it).

C(cryptography.x509.verification) is made for TLS: it wants DNS names and refuses EK certificates. So this goes up by issuer and subject,
key identifiers and signatures, and holds each CA to its promises. Certificates out of the TPM may help on the way; only a
self-signed certificate in the bundle ends it. Revocation is for C(crl).
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import roca
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import certificate, verdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.bundle import Bundle, is_self_signed
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.certificate import extension, shown, titled
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.verdict import TrustError

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    IMPORT_ERROR: ImportError | None = None
except ImportError as error:
    IMPORT_ERROR = error

MAX_DEPTH = 8  # certificates from the EK's to the root
MAX_STEPS = 256  # tries in one search: certificates out of a TPM could make up a maze
MIN_RSA_BITS = 2048
_WEAK_HASHES = ("md5", "sha1")
# Critical extensions that we take into account, or that restrict nothing we rely on: basicConstraints, keyUsage, extKeyUsage,
# subjectAltName, certificatePolicies, inhibitAnyPolicy (no policy is asked for). nameConstraints is none of them.
KNOWN_CRITICAL = frozenset(("2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.17", "2.5.29.32", "2.5.29.54"))

_Problem = tuple[str, str]  # a reason of C(verdict) and a clause
_TIME = (verdict.EXPIRED, verdict.NOT_YET_VALID)
# Of problems at the same height the most telling one is reported.
_RANK = (*_TIME, verdict.WRONG_USAGE, verdict.UNKNOWN_ROOT, verdict.BAD_SIGNATURE, verdict.UNKNOWN_ISSUER)
_CURES = {
    verdict.EXPIRED: "ask the vendor, or allow expired certificates if that is your policy",
    verdict.NOT_YET_VALID: "see that the clock of the controller is right",
    verdict.WRONG_USAGE: "keep the device out, and ask the vendor about its certificates",
    verdict.UNKNOWN_ROOT: "add the vendor's root to the trust bundle if you trust it",
    verdict.BAD_SIGNATURE: "keep the device out, and see where it comes from",
    verdict.UNKNOWN_ISSUER: "add the vendor's intermediate CA to the trust bundle",
}


class Outcome(t.NamedTuple):
    """The certificates above the EK's, issuer first, and what is wrong with the way; without a problem the last one is a trusted root.

    With a problem, they are those that were found: whole with C(expired) and C(not_yet_valid), else a part.
    """

    above: tuple[x509.Certificate, ...]
    problem: TrustError | None


def _der(one: x509.Certificate) -> bytes:
    return one.public_bytes(serialization.Encoding.DER)


def out_of_time(one: x509.Certificate, at: datetime.datetime) -> _Problem | None:
    """Whether a certificate is not valid at that time (RFC 5280, section 4.1.2.5)."""
    if at > one.not_valid_after_utc:
        return verdict.EXPIRED, f"{titled(one)} expired on {one.not_valid_after_utc:%Y-%m-%d}"
    if at < one.not_valid_before_utc:
        return verdict.NOT_YET_VALID, f"{titled(one)} is valid only from {one.not_valid_before_utc:%Y-%m-%d} on"
    return None


def unknown_critical(one: x509.Certificate) -> _Problem | None:
    """Whether a certificate has a critical extension that we do not know, or constrains names (RFC 5280, section 4.2)."""
    for each in one.extensions:
        if (each.critical and each.oid.dotted_string not in KNOWN_CRITICAL) or each.oid == x509.NameConstraints.oid:
            what = f"{titled(one)} has the extension {each.oid.dotted_string}, which restricts it in a way we do not know"
            return verdict.WRONG_USAGE, what
    return None


def _weak(issuer: x509.Certificate, child: x509.Certificate) -> str:
    """Why the signature on a certificate could be forged, as a clause."""
    digest = child.signature_hash_algorithm
    if digest is not None and digest.name in _WEAK_HASHES:
        return f"it is made with {digest.name}"
    key, _quirk = certificate.public_key(_der(issuer))
    if isinstance(key, rsa.RSAPublicKey) and roca.weakness(key.public_numbers().n, MIN_RSA_BITS):
        return f"the RSA key of {key.key_size} bits that made it can be broken"
    return ""


def bad_signature(issuer: x509.Certificate, child: x509.Certificate) -> _Problem | None:
    """Whether C(issuer) did not sign C(child), or did so in a way that can be forged."""
    try:
        weak = _weak(issuer, child)
        if not weak:
            child.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        weak = "it does not verify"
    if weak:
        return (
            verdict.BAD_SIGNATURE,
            f"the signature of {shown(issuer.subject)} on {titled(child)} is bad: {weak}",
        )
    return None


def _not_a_ca(issuer: x509.Certificate, path: t.Sequence[x509.Certificate]) -> _Problem | None:
    """Whether a certificate may not issue the last one in C(path) (RFC 5280, section 6.1.4 k to n)."""
    basic, usage = extension(issuer, x509.BasicConstraints), extension(issuer, x509.KeyUsage)
    if basic is None or not basic.ca:
        return verdict.WRONG_USAGE, f"{titled(issuer)}, which issued another one, is not that of a CA"
    if usage is not None and not usage.key_cert_sign:
        return verdict.WRONG_USAGE, f"the key usage of {shown(issuer.subject)} does not allow to sign certificates"
    below = sum(one.subject != one.issuer for one in path[1:])
    if basic.path_length is not None and below > basic.path_length:
        what = f"{shown(issuer.subject)} may have {basic.path_length} CAs below it, but there are {below}"
        return verdict.WRONG_USAGE, what
    return None


def _identifiers_fit(issuer: x509.Certificate, child: x509.Certificate) -> bool:
    """Key identifiers tell apart CAs of one name; where one is missing they tell nothing (RFC 5280, section 4.2.1.1 f.)."""
    above, below = extension(issuer, x509.SubjectKeyIdentifier), extension(child, x509.AuthorityKeyIdentifier)
    return above is None or below is None or below.key_identifier is None or above.digest == below.key_identifier


class _Search:
    """One depth-first search; problems of the times in C(ignored) do not count."""

    def __init__(self, extra: t.Sequence[x509.Certificate], bundle: Bundle, at: datetime.datetime, ignored: tuple[str, ...]) -> None:
        self.extra, self.bundle, self.at, self.ignored = extra, bundle, at, ignored
        self.steps = 0
        self.late = False  # a way was given up because of a date
        self.best: tuple[int, int, list[x509.Certificate], _Problem] | None = None

    def fail(self, path: list[x509.Certificate], problem: _Problem) -> None:
        """Remember the problem of the way that led the highest."""
        self.late = self.late or problem[0] in _TIME
        rank = len(path), -_RANK.index(problem[0])
        if self.best is None or rank > self.best[:2]:
            self.best = (*rank, path, problem)

    def single(self, one: x509.Certificate) -> _Problem | None:
        """What speaks against a certificate, whoever issued it."""
        time = out_of_time(one, self.at)
        return unknown_critical(one) or (time if time and time[0] not in self.ignored else None)

    def candidates(self, child: x509.Certificate) -> list[x509.Certificate]:
        """Who may have issued a certificate by name and key identifier, those of the bundle first."""
        named = [*self.bundle.by_subject.get(child.issuer, ()), *(one for one in self.extra if one.subject == child.issuer)]
        return [one for one in dict.fromkeys(named) if _identifiers_fit(one, child)]

    def up(self, path: list[x509.Certificate]) -> list[x509.Certificate] | None:
        """Go on from the last certificate in C(path); return the whole way to a root of the bundle, or None."""
        child = path[-1]
        open_ways = [one for one in self.candidates(child) if one not in path]
        if not open_ways or len(path) >= MAX_DEPTH:
            self.fail(path, (verdict.UNKNOWN_ISSUER, f"{shown(child.issuer)}, who issued {titled(child)}, is not known"))
            return None
        for issuer in open_ways:
            self.steps += 1
            if self.steps > MAX_STEPS:
                return None
            problem = bad_signature(issuer, child) or _not_a_ca(issuer, path) or self.single(issuer)
            if problem:
                self.fail(path, problem)
                continue
            way = [*path, issuer]
            if _der(issuer) in self.bundle.roots:
                return way
            if is_self_signed(issuer):
                self.fail(way, (verdict.UNKNOWN_ROOT, f"its root {shown(issuer.subject)} is not in the trust bundle"))
                continue
            found = self.up(way)
            if found:
                return found
        return None


def build(leaf: x509.Certificate, extra: t.Sequence[x509.Certificate], bundle: Bundle, at: datetime.datetime) -> Outcome:
    """Find the way from an EK certificate over the bundle's CAs and C(extra) ones to a root of the bundle, valid at C(at) (aware).

    Dates come last: C(expired) or C(not_yet_valid) is said only of a way on which nothing else is wrong.
    """
    for ignored in ((), _TIME[:1], _TIME):
        search = _Search(extra, bundle, at, ignored)
        alone = search.single(leaf)
        if alone:
            search.fail([leaf], alone)
        way = None if alone else search.up([leaf])
        if way:
            dates = sorted(filter(None, (out_of_time(one, at) for one in way)), key=lambda found: found[0] == verdict.EXPIRED)
            return Outcome(tuple(way[1:]), _error(dates[0]) if dates else None)
        if not search.late:
            break
    path, problem = search.best[2:] if search.best else ([leaf], (verdict.UNKNOWN_ISSUER, "there are too many ways up from it"))
    return Outcome(tuple(path[1:]), _error(problem))


def _error(problem: _Problem) -> TrustError:
    return certificate.refuse(*problem, _CURES[problem[0]])


__all__ = ("KNOWN_CRITICAL", "MAX_DEPTH", "MAX_STEPS", "Outcome", "bad_signature", "build", "out_of_time", "unknown_critical")
