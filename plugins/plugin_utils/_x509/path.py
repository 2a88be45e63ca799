# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Find the path from a certificate up to a trust anchor (RFC 5280, section 6.1, as far as devices and TPM vendors use it).

EK certificates, the signers of birth records, and certificates of an external CA are all checked here, equally strictly.
``cryptography.x509.verification`` accepts such certificates too since version 50 (ExtensionPolicy, no DNS name needed), but has one
opaque error for all reasons; here each reason has a word of its own, which is stored and compared.

The search goes up by issuer and subject, key identifiers and signatures, and checks each CA's constraints. Untrusted certificates (from
a TPM, a file, an envelope) may be part of a path, but only an anchor ends it. Revocation is not checked here.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._advisory import roca
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import canonical, certificates, deps
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.certificates import Certificate, der_of, extension, shown, titled
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import ec, rsa, x509

MAX_DEPTH = 8  # certificates from the lowest to the anchor
MAX_STEPS = 256  # tries in one search, because untrusted certificates could form a maze
MIN_RSA_BITS = 2048
MIN_ECC_BITS = 256
WEAK_HASHES = ("md5", "sha1")
# Critical extensions that we check, or that restrict nothing we rely on: basicConstraints, keyUsage, extKeyUsage, subjectAltName,
# certificatePolicies, inhibitAnyPolicy (we require no policy). We do not check nameConstraints, so it is not here.
KNOWN_CRITICAL = frozenset(("2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.17", "2.5.29.32", "2.5.29.54"))

# Why there is no path; words are stable, as they are stored.
EXPIRED = "expired"
NOT_YET_VALID = "not_yet_valid"
WRONG_USAGE = "wrong_usage"
UNKNOWN_ROOT = "unknown_root"
BAD_SIGNATURE = "bad_signature"
UNKNOWN_ISSUER = "unknown_issuer"
TIME = (EXPIRED, NOT_YET_VALID)
# If several problems occur at the same height, the most telling one is reported.
_RANK = (*TIME, WRONG_USAGE, UNKNOWN_ROOT, BAD_SIGNATURE, UNKNOWN_ISSUER)


class Problem(t.NamedTuple):
    """What is wrong with a path: one of the words above, and a clause for a sentence."""

    reason: str
    clause: str


class Way(t.NamedTuple):
    """The certificates above the lowest, issuer first, and what is wrong with them; without a problem the last one is an anchor.

    With the problem ``expired`` or ``not_yet_valid`` the path is complete; with any other problem it ends where the search got stuck.
    """

    above: tuple[Certificate, ...]
    problem: Problem | None


class Anchors(t.NamedTuple):
    """Whom we trust: the DER of the certificates that end a path, and by subject the CAs known to lead there, anchors included.

    ``where`` completes the sentence about a root that is not an anchor.
    """

    ends: frozenset[bytes]
    by_subject: t.Mapping[x509.Name, t.Sequence[Certificate]]
    where: str = "among the CAs that are trusted here"


def anchors(found: t.Iterable[Certificate]) -> Anchors:
    """Anchors of these certificates, each of which ends a path, self-signed or not."""
    by_subject: dict[x509.Name, list[Certificate]] = {}
    for one in found:
        by_subject.setdefault(one.subject, []).append(one)
    return Anchors(frozenset(der_of(one) for ones in by_subject.values() for one in ones), by_subject)


def out_of_time(one: Certificate, at: datetime.datetime, unnamed: str = "") -> Problem | None:
    """Whether a certificate is not valid at that time (RFC 5280, section 4.1.2.5)."""
    if at > one.not_valid_after_utc:
        return Problem(EXPIRED, f"{titled(one, unnamed)} expired on {one.not_valid_after_utc:%Y-%m-%d}")
    if at < one.not_valid_before_utc:
        return Problem(NOT_YET_VALID, f"{titled(one, unnamed)} is valid only from {one.not_valid_before_utc:%Y-%m-%d} on")
    return None


def unknown_critical(one: Certificate, unnamed: str = "") -> Problem | None:
    """Whether a certificate has a critical extension that we do not know, or constrains names (RFC 5280, section 4.2)."""
    for each in one.extensions:
        if (each.critical and each.oid.dotted_string not in KNOWN_CRITICAL) or each.oid == x509.NameConstraints.oid:
            what = f"{titled(one, unnamed)} has the extension {each.oid.dotted_string}, which restricts it in a way we do not know"
            return Problem(WRONG_USAGE, what)
    return None


def weak_key(data: bytes) -> str:
    """A clause on why the key in a DER certificate is too weak to sign others; empty if it is not. Raises ValueError."""
    key, _quirk = certificates.public_key(data)
    if isinstance(key, rsa.RSAPublicKey) and roca.weakness(key.public_numbers().n, MIN_RSA_BITS):
        return f"the RSA key of {key.key_size} bits that made it can be broken"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size < MIN_ECC_BITS:
        return f"the ECC key of {key.curve.key_size} bits that made it can be broken"
    return ""


def _weak(issuer: Certificate, child: Certificate) -> str:
    """A clause on why the signature on a certificate could be forged; empty if it could not."""
    digest = child.signature_hash_algorithm
    if digest is not None and digest.name in WEAK_HASHES:
        return f"it is made with {digest.name}"
    return weak_key(der_of(issuer))


def bad_signature(issuer: Certificate, child: Certificate, unnamed: str = "") -> Problem | None:
    """The problem if ``issuer`` did not sign ``child``, or the signature can be forged; else None."""
    try:
        weak = _weak(issuer, child)
        if not weak:
            certificates.verify_directly_issued_by(child, issuer)
    except deps.not_signed():
        same = canonical.same_name(certificates.issuer_der(child), certificates.subject_der(issuer))
        weak = "it does not verify" if same else "the name of the CA is encoded in another way in its own certificate"
    if weak:
        return Problem(BAD_SIGNATURE, f"the signature of {shown(issuer.subject)} on {titled(child, unnamed)} is bad: {weak}")
    return None


def not_a_ca(issuer: Certificate) -> Problem | None:
    """The problem if a certificate may not issue others (RFC 5280, sections 4.2.1.3 and 4.2.1.9); else None."""
    basic, usage = extension(issuer, x509.BasicConstraints), extension(issuer, x509.KeyUsage)
    if basic is None or not basic.ca:
        return Problem(WRONG_USAGE, f"{titled(issuer)} is not a CA's, so it must not issue others")
    if usage is not None and not usage.key_cert_sign:
        return Problem(WRONG_USAGE, f"the key usage of {shown(issuer.subject)} does not allow it to sign certificates")
    return None


def _too_long(issuer: Certificate, path: t.Sequence[Certificate]) -> Problem | None:
    """The problem if more CAs are below an issuer than it allows (RFC 5280, section 6.1.4 l and m); else None."""
    basic = extension(issuer, x509.BasicConstraints)
    below = sum(not certificates.is_self_issued(one) for one in path[1:])
    if basic.path_length is not None and below > basic.path_length:
        return Problem(WRONG_USAGE, f"{shown(issuer.subject)} may have {basic.path_length} CAs below it, but there are {below}")
    return None


def link(issuer: Certificate, path: t.Sequence[Certificate], unnamed: str = "") -> Problem | None:
    """Why ``issuer`` cannot have issued the last certificate of ``path``, apart from dates; None if it can."""
    found = bad_signature(issuer, path[-1], unnamed if len(path) == 1 else "")
    return found or not_a_ca(issuer) or _too_long(issuer, path) or unknown_critical(issuer)


def _identifiers_fit(issuer: Certificate, child: Certificate) -> bool:
    """Whether the key identifiers allow that one issued the other; if either is missing, they do (RFC 5280, section 4.2.1.1 f.)."""
    above, below = extension(issuer, x509.SubjectKeyIdentifier), extension(child, x509.AuthorityKeyIdentifier)
    return above is None or below is None or below.key_identifier is None or above.digest == below.key_identifier


class _Search:
    """One depth-first search; date problems whose words are in ``ignored`` do not count."""

    def __init__(
        self, extra: t.Sequence[Certificate], trusted: Anchors, at: datetime.datetime, unnamed: str, ignored: tuple[str, ...]
    ) -> None:
        self.extra, self.trusted, self.at, self.unnamed, self.ignored = extra, trusted, at, unnamed, ignored
        self.steps = 0
        self.late = False  # whether a path was given up because of a date
        self.best: tuple[int, int, list[Certificate], Problem] | None = None

    def fail(self, path: list[Certificate], problem: Problem) -> None:
        """Keep the problem of the path that got the highest."""
        self.late = self.late or problem.reason in TIME
        rank = len(path), -_RANK.index(problem.reason)
        if self.best is None or rank > self.best[:2]:
            self.best = (*rank, path, problem)

    def late_one(self, one: Certificate, unnamed: str = "") -> Problem | None:
        """The problem with a certificate's dates, unless it is ignored."""
        found = out_of_time(one, self.at, unnamed)
        return found if found and found.reason not in self.ignored else None

    def candidates(self, child: Certificate) -> list[Certificate]:
        """The certificates that may have issued this one, by name and key identifier, trusted ones first."""
        named = [*self.trusted.by_subject.get(child.issuer, ()), *(one for one in self.extra if one.subject == child.issuer)]
        return [one for one in dict.fromkeys(named) if _identifiers_fit(one, child)]

    def unknown(self, path: list[Certificate]) -> Problem:
        """The problem if a path cannot go on: it is too long, or the issuer is unknown."""
        if len(path) >= MAX_DEPTH:
            return Problem(UNKNOWN_ISSUER, f"its chain is longer than {MAX_DEPTH} certificates")
        child = path[-1]
        what = titled(child, self.unnamed if len(path) == 1 else "")
        return Problem(UNKNOWN_ISSUER, f"{shown(child.issuer)}, who issued {what}, is not known")

    def up(self, path: list[Certificate]) -> list[Certificate] | None:
        """Go on from the last certificate in ``path``; return the complete path to an anchor, or None."""
        open_ways = [one for one in self.candidates(path[-1]) if one not in path]
        if not open_ways or len(path) >= MAX_DEPTH:
            self.fail(path, self.unknown(path))
            return None
        for issuer in open_ways:
            self.steps += 1
            if self.steps > MAX_STEPS:
                return None
            problem = link(issuer, path, self.unnamed) or self.late_one(issuer)
            if problem:
                self.fail(path, problem)
                continue
            way = [*path, issuer]
            if der_of(issuer) in self.trusted.ends:
                return way
            if certificates.is_self_signed(issuer):
                self.fail(way, Problem(UNKNOWN_ROOT, f"its root {shown(issuer.subject)} is not {self.trusted.where}"))
                continue
            found = self.up(way)
            if found:
                return found
        return None


def find(leaf: Certificate, extra: t.Sequence[Certificate], trusted: Anchors, at: datetime.datetime, unnamed: str = "") -> Way:
    """Find the path from a certificate over the CAs of ``trusted`` and ``extra`` ones to an anchor, valid at ``at`` (aware).

    ``unnamed``: the certificate's name in errors if it has no subject. ``expired`` and ``not_yet_valid`` are reported only if nothing else
    is wrong with the path.
    """
    for ignored in ((), TIME[:1], TIME):
        search = _Search(extra, trusted, at, unnamed, ignored)
        alone = unknown_critical(leaf, unnamed) or search.late_one(leaf, unnamed)
        if alone:
            search.fail([leaf], alone)
        way = None if alone else search.up([leaf])
        if way:
            dates = sorted(filter(None, (out_of_time(one, at, unnamed) for one in way)), key=lambda found: found.reason == EXPIRED)
            return Way(tuple(way[1:]), dates[0] if dates else None)
        if not search.late:
            break
    path, problem = search.best[2:] if search.best else ([leaf], Problem(UNKNOWN_ISSUER, f"more than {MAX_STEPS} paths lead up from it"))
    return Way(tuple(path[1:]), problem)


__all__ = (
    "BAD_SIGNATURE",
    "EXPIRED",
    "KNOWN_CRITICAL",
    "MAX_DEPTH",
    "MAX_STEPS",
    "NOT_YET_VALID",
    "TIME",
    "UNKNOWN_ISSUER",
    "UNKNOWN_ROOT",
    "WEAK_HASHES",
    "WRONG_USAGE",
    "Anchors",
    "Problem",
    "Way",
    "anchors",
    "bad_signature",
    "find",
    "link",
    "not_a_ca",
    "out_of_time",
    "unknown_critical",
    "weak_key",
)
