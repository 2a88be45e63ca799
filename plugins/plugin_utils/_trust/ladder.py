# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The trust ladder decides whether an EK is genuine: by its certificate, else by the hash that the manifest pins, else quarantine.

It reads no file, no clock and no TPM, and denies by default. The caller gives the controller's time; a device's clock is never used.
"""

from __future__ import annotations

import datetime
import hmac
import re
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys, _text
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._ek_verdict import EkVerdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import certificate, chain, crl, ek, vendors, verdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.bundle import Bundle
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.verdict import TrustError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.certificates import Certificate, der_of, overlooked_on, shown
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import x509
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.path import TIME


class EkEvidence(t.NamedTuple):
    """What a device says of its EK: the public area that the TPM re-created, the contents of the NV indices of the certificate and its
    chain (0x01C00100 on, in order), and manufacturer and firmware version in the form of ``tpm2_info``. ``certificate`` may instead come
    from a vendor's service; ``asked`` names the service that was asked and had none."""

    ek_public: names.Public
    certificate: bytes | None = None
    chain: tuple[bytes, ...] = ()
    manufacturer: str = ""
    firmware: str = ""
    asked: str = ""


class Policy(t.NamedTuple):
    """Whom we trust. ``manufacturers`` in any spelling; None means all that the bundle vouches for, an empty set means nobody.

    ``require_crl``: each CA on the path must have a fresh CRL; ``crl_max_age``: how old a CRL may be, beside its own nextUpdate.
    """

    bundle: Bundle | None = None
    crls: tuple[x509.CertificateRevocationList, ...] = ()
    manufacturers: frozenset[str] | None = None
    allow_expired: bool = False
    require_crl: bool = False
    crl_max_age: datetime.timedelta | None = None


class _Case:
    """The reasons against one EK, the weightiest first, and what the checks found."""

    def __init__(self) -> None:
        self.against: list[TrustError] = []
        self.notes: list[str] = []
        self.certificate: certificate.EkCertificate | None = None
        self.above: tuple[Certificate, ...] = ()
        self.revocation = verdict.NOT_CHECKED

    def hold(self, check: t.Callable[..., None], *arguments: t.Any) -> None:
        """Run one check and keep the TrustError that it raises."""
        try:
            check(*arguments)
        except TrustError as error:
            self.against.append(error)


def judge(device: EkEvidence, policy: Policy, *, now: datetime.datetime, pinned: str | None = None) -> EkVerdict:
    """Decide about one EK. ``now`` is aware; ``pinned`` is the manifest's ``ek_sha256`` for this device, None if it pins none.

    A pin that does not match quarantines the device even if its certificate is good. A pin that matches replaces a certificate, but does not
    excuse a revoked one, a weak key, or a key that is not an EK. Nothing is raised about the device: the verdict has the reasons.
    """
    case = _Case()
    case.hold(ek.check_strength, device.ek_public)
    case.hold(ek.check_ek, device.ek_public)
    if not case.against:
        case.hold(_check_pin, device.ek_public, pinned)
    _weigh_certificate(case, device, policy, now)
    final = [one for one in case.against if one.reason in verdict.FINAL]
    if not case.against and case.certificate is not None:
        return _verdict(case, verdict.CERTIFICATE, "", _praise(case, case.certificate))
    first = (final or case.against)[0]
    if final or pinned is None:
        return _verdict(case, verdict.QUARANTINED, first.reason, first.message)
    # The pin matches: a mismatch would have been final above.
    detail = f"The EK is trusted by the hash that the manifest pins, not by a certificate: {first.message}"
    return _verdict(case, verdict.PINNED, first.reason, detail)


def _verdict(case: _Case, rung: str, reason: str, detail: str) -> EkVerdict:
    der = case.certificate.der if case.certificate else None
    above = tuple(der_of(one) for one in case.above)
    own = (case.certificate.parsed, *case.above) if case.certificate else ()
    faults = {*overlooked_on(own), *(case.certificate.overlooked if case.certificate else ())}
    return EkVerdict(rung, reason, detail, der, above, case.revocation, tuple(case.notes), tuple(sorted(faults)))


def _praise(case: _Case, found: certificate.EkCertificate) -> str:
    return (
        f"The EK certificate {found.parsed.serial_number:x} of the manufacturer {_vendor(vendors.normalise(found.manufacturer))}, issued by "
        f"{shown(found.parsed.issuer)}, leads to the root {shown(case.above[-1].subject)} of the trust bundle."
    )


def _check_pin(public: names.Public, pinned: str | None) -> None:
    actual = _keys.spki_sha256(public)
    if pinned is not None and not hmac.compare_digest(pinned.strip().lower().encode(), actual.encode()):
        raise TrustError(
            f"Could not trust the EK: its SHA-256 is {actual}, but the manifest pins {pinned}; see whether this is another device "
            "or its TPM was exchanged.",
            verdict.PIN_MISMATCH,
        )


def _weigh_certificate(case: _Case, device: EkEvidence, policy: Policy, now: datetime.datetime) -> None:
    """Collect everything that is wrong with the certificate; a reason does not end the search, because a later one may be final."""
    if device.certificate is None:
        nowhere = f", and the service of {device.asked} has none for this key" if device.asked else ""
        cure = "ask the board vendor, or pin the EK's hash in the manifest"
        case.against.append(certificate.refuse(verdict.NO_CERTIFICATE, f"the TPM holds none{nowhere}", cure))
        return
    try:
        found = case.certificate = certificate.read(device.certificate)
    except TrustError as error:
        case.against.append(error)
        return
    case.notes += found.notes
    case.hold(_check_key, found, device.ek_public)
    case.hold(certificate.check_usage, found)
    if policy.bundle is None:
        why = "there is no trust bundle to check it against", "give a trust bundle and its SHA-256, or pin the EK's hash in the manifest"
        case.against.append(certificate.refuse(verdict.NO_BUNDLE, *why))
    else:
        _weigh_chain(case, found, device, policy, policy.bundle, now)
    case.hold(_check_manufacturer, found, device, policy)
    case.notes += _firmware_notes(found.version, device.firmware)


def _check_key(found: certificate.EkCertificate, public: names.Public) -> None:
    try:
        same = hmac.compare_digest(found.spki, _keys.spki(public))
    except _keys.KeyMaterialError:
        same = False
    if not same:
        raise certificate.refuse(
            verdict.KEY_MISMATCH, "it is for another key than this TPM's EK", "see whether the TPM or the content of its NV was exchanged"
        )


def _weigh_chain(
    case: _Case, found: certificate.EkCertificate, device: EkEvidence, policy: Policy, bundle: Bundle, now: datetime.datetime
) -> None:
    extra, notes = certificate.chain_in(device.chain)
    case.notes += notes
    outcome = chain.build(found.parsed, extra, bundle, now)
    case.above = outcome.above
    told = overlooked_on((found.parsed, *case.above))
    if told:
        case.notes.append(f"Faults of encoding in the certificates from the EK's to the root were overlooked ({', '.join(told)}).")
    if outcome.problem is not None:
        if outcome.problem.reason == verdict.EXPIRED and policy.allow_expired:
            case.notes.append("A certificate of the chain has expired, which the policy allows.")
        else:
            case.against.append(outcome.problem)
    _weigh_revocation(case, (found.parsed, *outcome.above), outcome, policy, now)


def _weigh_revocation(
    case: _Case, way: t.Sequence[Certificate], outcome: chain.ChainOutcome, policy: Policy, now: datetime.datetime
) -> None:
    found = crl.check(way, policy.crls, now, policy.crl_max_age)
    case.revocation = found.state
    whole = outcome.problem is None or outcome.problem.reason in TIME
    if found.state == verdict.GOOD and not whole:
        case.revocation = verdict.NOT_CHECKED  # the path reaches no root
    if found.revoked:
        case.against.append(certificate.refuse(verdict.REVOKED, found.revoked, "keep the device out, and ask the vendor why"))
    if not found.lacking or not whole:
        return
    lacking = " and ".join(found.lacking)
    if policy.require_crl:
        cure = "fetch the CAs' CRLs anew, or do without them (require_crl) if that is your policy"
        case.against.append(certificate.refuse(verdict.NO_FRESH_CRL, f"whether it was revoked is not known, as {lacking}", cure))
    else:
        case.notes.append(f"Whether the EK certificate was revoked is not known: {lacking}.")


def _check_manufacturer(found: certificate.EkCertificate, device: EkEvidence, policy: Policy) -> None:
    written, own = vendors.normalise(found.manufacturer), vendors.normalise(device.manufacturer)
    if policy.manufacturers is not None and written not in {vendors.normalise(one) for one in policy.manufacturers}:
        raise certificate.refuse(
            verdict.MANUFACTURER_NOT_ALLOWED,
            f"its manufacturer {_vendor(written)} is not among those that are allowed",
            "allow it if you trust its TPMs",
        )
    if not written or written != own:
        raise certificate.refuse(
            verdict.MANUFACTURER_MISMATCH,
            f"it names the manufacturer {_vendor(written)}, but the TPM says {_vendor(own)}",
            "see whether the certificate belongs to this TPM",
        )


def _vendor(name: str) -> str:
    """A manufacturer, fit to be shown: a certificate may contain any text."""
    told = _text.shown(name, 40)
    return f"'{told}'" if told else "of nobody"


def _firmware_notes(version: str, firmware: str) -> list[str]:
    """A note if the firmware is not the one in the certificate. It decides nothing, because firmware is updated in the field.

    Certificates write ``id:`` and the hex digits of TPM_PT_FIRMWARE_VERSION_1, or one byte for each half (EK Credential Profile, 3.1.2).
    """
    match = re.fullmatch(r"id:([0-9a-f]{1,8})", version, re.IGNORECASE | re.ASCII)
    parts = re.fullmatch(r"(\d{1,5})\.(\d{1,5})(\.\d{1,5}){2}", firmware, re.ASCII)
    if not match or not parts:
        return []
    major, minor = int(parts[1]), int(parts[2])
    if int(match[1], 16) in (major << 16 | minor, major << 8 | minor):
        return []
    return [
        f"The EK certificate was made for firmware {match[1]}, the TPM has {firmware}; it was updated since, or the vendor counts otherwise."
    ]


__all__ = ("EkEvidence", "Policy", "judge")
