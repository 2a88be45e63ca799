# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The first exchange: what we ask, whether we believe the EK that answers, and what check mode can tell about it."""

from __future__ import annotations

import datetime
import hashlib
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys as _ek_keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._ek_verdict import EkVerdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import answers, certify, clock, signing
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll.plan import (
    EnrolmentOutcome,
    EnrolmentPlan,
    Exchange,
    QuarantineError,
    nonce,
)
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence import evidence_checks
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._https import FetchError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.store import Registry
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import certificate, ek, ladder, services
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.verdict import NOT_YET_VALID, QUARANTINED, TrustError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.certificates import shown

# A device with the usual EK template is not asked for the certificates of its other EKs, because that would cost commands, and it cannot
# be enrolled by another EK. A device with another template must show them all.
_USUAL = "ek_rsa_2048"


def _about_the_ek(plan: EnrolmentPlan, fresh: bytes) -> dict[str, t.Any]:
    known = {name: plan.reads[name] for name in ("public", "properties", "nv_buffer_max") if plan.reads.get(name)}
    return {
        "nonce": fresh.hex(),
        "ek": plan.where.ek,
        "ak": plan.where.ak,
        "issuers": answers.known_issuers(plan.policy),
        "all_certificates": plan.where.ek_template != _USUAL,
        "reads": {**known, "identity": bool(plan.tpm)},
    }


def question_of_all_eks(plan: EnrolmentPlan, ek: names.Public, fresh: bytes) -> dict[str, t.Any]:
    """The question to a device whose EK another device has shown: all EK certificates in its TPM."""
    asked = _about_the_ek(plan, fresh)
    reads = {**asked["reads"], "public": {plan.where.ek: ek.raw.hex()}, "identity": True}
    return {**asked, "all_certificates": True, "reads": reads}


def question(plan: EnrolmentPlan, fresh: bytes) -> dict[str, t.Any]:
    """The question to a device that is about to be enrolled."""
    asked = _about_the_ek(plan, fresh)
    asked["idevid"] = {"template": plan.where.idevid_template, "handle": plan.where.idevid}
    asked["certify_idevid"] = bool(plan.external and plan.external.tcg_csr)
    asked["pcrs"] = answers.selection(plan.quote)
    return {**asked, **signing.about_the_serial(plan), **(signing.about_the_ldevid(plan.local) if plan.local else {})}


class Sought(t.NamedTuple):
    """The result of asking a vendor's service for an EK's certificate: the certificate, or the service that has none; and a note."""

    fetched: services.Fetched | None = None
    in_vain: str = ""
    note: str = ""


def seek(plan: EnrolmentPlan, found: answers.Shown, keep: bool) -> Sought:
    """If the TPM has no certificate for its EK, ask the vendor's service for it, where the user allows that.

    ``keep``: keep what was fetched. Raises FetchError if the service gives no usable answer, unless the EK is pinned.
    """
    if plan.services is None or found.own_certificate() is not None:
        return Sought()
    tpm = plan.tpm or found.identity
    service = services.of(plan.services, tpm.get("manufacturer", ""))
    if service is None:
        return Sought()
    try:
        ek.check_strength(found.ek)
        ek.check_ek(found.ek)
        got = services.find(plan.services, service, found.ek, keep=keep)
    except TrustError:
        return Sought()  # not an EK, so it has no certificate; the trust ladder refuses it
    except FetchError as error:
        if plan.pinned is None:
            raise
        return Sought(note=error.message)
    if got is None:
        return Sought(in_vain=service.title)
    return Sought(got, "", f"The EK certificate is not in the TPM; the service of {service.title} gave it.")


def judge(plan: EnrolmentPlan, found: answers.Shown, now: datetime.datetime, sought: Sought) -> tuple[EkVerdict, dict[str, str]]:
    """Why the EK is believed, and what the TPM is. Raises QuarantineError; EvidenceError for an invalid AK; ClockError."""
    tpm = dict(plan.tpm or found.identity)
    der = sought.fetched.certificate if sought.fetched else found.ek_certificate()
    about = {name: tpm.get(name, "") for name in ("manufacturer", "firmware")}
    told = ladder.EkEvidence(found.ek, der, found.chain, **about, asked=sought.in_vain)
    verdict = ladder.judge(told, plan.policy, now=now, pinned=plan.pinned)
    if sought.note:
        verdict = verdict._replace(notes=(*verdict.notes, sought.note))
    if verdict.reason == NOT_YET_VALID:
        raise clock.not_yet_valid(plan, now)
    if verdict.rung == QUARANTINED:
        raise QuarantineError(verdict.detail, verdict.reason)
    try:
        ek.check_template(found.ek, plan.where.ek_template)
    except TrustError as error:
        raise QuarantineError(error.message, error.reason) from None
    if found.ak is not None:
        evidence_checks.check_ak(found.ak)
    return verdict, tpm


def eks(found: answers.Shown, fetched: services.Fetched | None = None) -> tuple[records.ShownEk, ...]:
    """What the TPM shows of its EKs: the EK that it proves to hold, every certificate in NV as far as it can be read, and the fetched one."""
    own = hashlib.sha256(_ek_keys.spki(found.ek)).hexdigest()
    made = [records.ShownEk("", "", "", own, True)]
    for blob in (*found.certificates, *((fetched.certificate,) if fetched else ())):
        try:
            one = certificate.read(blob)
        except TrustError:
            made.append(records.ShownEk(hashlib.sha256(blob).hexdigest(), "", "", "", False))
            continue
        key = hashlib.sha256(one.spki).hexdigest()
        about = records.clean(shown(one.parsed.issuer)), f"{one.parsed.serial_number:x}"
        made.append(records.ShownEk(hashlib.sha256(one.der).hexdigest(), *about, key, key == own))
    return tuple(dict.fromkeys(made))


def identity(plan: EnrolmentPlan, found: answers.Collected | certify.Proven, tpm: t.Mapping[str, str]) -> records.Identity:
    """Who a device is, for the registry."""
    return records.Identity(
        **_keys(found.ek, found.ak, found.idevid),
        **_declared(plan),
        manufacturer=tpm.get("manufacturer", ""),
        firmware=tpm.get("firmware", ""),
        tpm_model=tpm.get("model", ""),
    )


def _declared(plan: EnrolmentPlan) -> dict[str, t.Any]:
    return {"serial": plan.serial, "model": plan.model, **plan.place._asdict()}


def _keys(ek: names.Public, ak: names.Public, idevid: names.Public | None = None) -> dict[str, t.Any]:
    return {
        "ek_name": ek.name.hex(),
        "ek_public": ek.raw,
        "ak_name": ak.name.hex(),
        "ak_public": ak.raw,
        "idevid_name": idevid.name.hex() if idevid else None,
        "idevid_public": idevid.raw if idevid else b"",
    }


class Preview:
    """What a run would find about a device to enroll, in check mode: it judges the EK only, and signs, makes and writes nothing."""

    def __init__(self, registry: Registry, plan: EnrolmentPlan, exchange: Exchange, clock: t.Callable[[], datetime.datetime]) -> None:
        self._registry, self._plan, self._exchange, self._clock = registry, plan, exchange, clock

    def run(self, blank: t.Container[str]) -> EnrolmentOutcome:
        """``blank``: the handles at which a run would make keys. If the EK is one of them there is nothing to judge, and the device is not asked.

        Raises QuarantineError, EvidenceError, IdentityConflictError, ClockError, TpmError.
        """
        plan, where = self._plan, self._plan.where
        clock.check(self._registry, plan, self._clock())
        if where.ek in blank:
            return EnrolmentOutcome(True, None, ("enroll",))
        found = answers.shown(self._exchange({"collect": _about_the_ek(plan, nonce())}), where)
        if where.ak in blank:
            found = found._replace(ak=None)
        sought = seek(plan, found, keep=False)
        verdict, _tpm = judge(plan, found, self._clock(), sought)
        certify.subject(plan.serial, found.ek, verdict, plan.organization)
        if found.ak is None and where.ak not in blank:
            raise InputError(f"Could not enroll {plan.serial}: there is no key at {where.ak}; provision the TPM first (tpm2_profile).")
        self._check(found, sought.fetched)
        return EnrolmentOutcome(True, None, ("enroll",), verdict, fetched=sought.fetched)

    def _check(self, found: answers.Shown, fetched: services.Fetched | None) -> None:
        """Check that the device contradicts nothing registered. An AK that a run would make counts as the right one. Raises IdentityConflictError."""
        keys = _keys(found.ek, found.ak or found.ek)
        known = self._registry.find(ek_name=keys["ek_name"])
        if found.ak is None and known is not None:
            keys.update(ak_name=known.ak_name, ak_public=known.ak_public)
        self._registry.check(records.Identity(**_declared(self._plan), **keys), eks(found, fetched))


__all__ = ("Preview", "eks", "identity", "judge", "question", "question_of_all_eks", "seek")
