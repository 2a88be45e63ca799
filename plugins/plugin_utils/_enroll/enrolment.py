# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Enroll one device: recognise it if it is registered; else verify it in two exchanges, certify its keys and register it.

The steps are those of TPM 2.0 Keys for Device Identity and Attestation, section 6: verify the EK, check the keys, have the TPM
activate a credential that only the EK opens and only while the AK is in the same TPM, and issue certificates after that alone.
A device is new, quarantined or enrolled; a run that ends early does not change that.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.request import RequestError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._ek_verdict import EkVerdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import (
    answers,
    certify,
    clock,
    first_exchange,
    settings,
    signing,
    upkeep,
)
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll.plan import (
    EnrolmentOutcome,
    EnrolmentPlan,
    Exchange,
    QuarantineError,
    judged,
    nonce,
    session_key,
)
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence import evidence_checks
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence.credentials import ActivationError, Challenge
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._proven import NO_RECORD, UnprovenError, prove
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.faults import IdentityConflictError, RegistryError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.store import Registry
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.ek import by_own_template
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.services import Fetched

# Errors that put a device into quarantine: those with a reason of their own, and those without.
_WITH_REASON = (evidence_checks.EvidenceError, ActivationError, IdentityConflictError)
_WITHOUT_REASON = (_keys.SignatureError, _keys.KeyMaterialError, RequestError)


class Enrolment:
    """One run for one device. ``exchange`` runs ``tpm2_evidence`` on it; ``clock`` returns the time."""

    def __init__(self, registry: Registry, plan: EnrolmentPlan, exchange: Exchange, clock: t.Callable[[], datetime.datetime]) -> None:
        self._registry, self._plan, self._exchange, self._clock = registry, plan, judged(exchange), clock
        # The EK that answered, for the incident in the registry.
        self._ek_name: str | None = None

    def run(self, check: bool = False) -> EnrolmentOutcome:
        """Enroll the device, or find that nothing is left to do; in check mode, change nothing.

        Raises QuarantineError, with an incident in the registry (not in check mode), ClockError, TpmError.
        """
        try:
            return self._run(check)
        except QuarantineError as error:
            distrusted = error
        except _WITH_REASON as error:
            distrusted = QuarantineError(error.message, error.reason)
        except _WITHOUT_REASON as error:
            distrusted = QuarantineError(error.message, "evidence_refused")
        if not check:
            self._quarantine(distrusted)
        raise distrusted

    def _run(self, check: bool) -> EnrolmentOutcome:
        plan = self._plan
        device = self._registry.find(serial=plan.serial)
        if device is None and plan.record and plan.signs is None:
            raise settings.no_record_signer(plan.serial)
        # In check mode the keys that the run would make do not exist yet, so the device cannot be recognised by them.
        blank = answers.yet_to_be_made(plan.observed, (plan.where.ek, plan.where.ak)) if check else frozenset()
        if device is not None and not blank and self._recognised(device):
            return self._known(device, check)
        return first_exchange.Preview(self._registry, plan, self._exchange, self._clock).run(blank) if check else self._enroll()

    def _known(self, device: records.Device, check: bool) -> EnrolmentOutcome:
        """Maintain a device that is registered. Of the registry's row only what its birth record proves is trusted. Raises UnprovenError."""
        plan = self._plan
        try:
            now = self._clock()
            device = prove(self._registry, device, plan.anchors, serial=plan.serial, now=now, authorities=plan.authorities)
        except UnprovenError as error:
            if error.reason != NO_RECORD:
                raise
            if plan.signs is not None:
                # Verify it as on its first day, and make its record now.
                return EnrolmentOutcome(True, device, ("record",)) if check else self._enroll(device.ek_name)
            # It may be maintained, because that involves no secret: it gets public certificates, and stays unproven.
        return upkeep.Upkeep(self._registry, plan, self._exchange, self._clock).run(device, check)

    def _quarantine(self, distrusted: QuarantineError) -> None:
        plan = self._plan
        try:
            self._registry.open_incident(plan.host, plan.serial, self._ek_name, distrusted.reason, distrusted.message)
        except RegistryError as error:
            # The message tells both, first the fault of the device.
            raise QuarantineError(f"{distrusted.message} {error.message}", distrusted.reason) from None

    def _recognised(self, device: records.Device) -> bool:
        """Whether EK and AK are the registered ones, by what earlier tasks have read; if they have not, two public areas are read now.

        Raises IdentityConflictError for another EK.
        """
        where = self._plan.where
        seen = answers.observed_names(self._plan.observed, (where.ek, where.ak))
        if set(seen) != {where.ek, where.ak}:
            asked = {"nonce": nonce().hex(), "ek": where.ek, "ak": where.ak, "certificates": False, "reads": {"identity": True}}
            seen = answers.shown_names(self._exchange({"collect": asked}), (where.ek, where.ak))
        self._ek_name = seen.get(where.ek)
        if self._ek_name is not None and self._ek_name != device.ek_name:
            # Another EK means another device, even if everything else matches; the registry's error names the device that it would replace.
            mine = {name: getattr(device, name) for name in ("serial", "ak_name", "ek_public", "ak_public")}
            self._registry.check(records.Identity(ek_name=self._ek_name, host=self._plan.host, **mine))
        return seen == {where.ek: device.ek_name, where.ak: device.ak_name}

    # -- the first exchange: is this TPM genuine, and are its keys what they should be

    def _collect(self, fresh: bytes, registered: str | None) -> answers.Collected:
        plan = self._plan
        pin = session_key(plan.where.ek, registered) if registered else {}
        answer = self._exchange({"collect": first_exchange.question(plan, fresh), **pin})
        found = answers.collected(answer, plan.where, plan.local.handle if plan.local else None, with_idevid=True)
        self._ek_name = found.ek.name.hex()
        return found

    def _check(self, found: answers.Collected, fresh: bytes, firmware: str) -> None:
        """Everything that the AK has signed in the first exchange. Raises EvidenceError."""
        plan, idevid = self._plan, t.cast("names.Public", found.idevid)
        evidence_checks.check_idevid(idevid)
        evidence_checks.check_firmware(signing.check_serial(plan, found, fresh), firmware)
        if plan.quote is not None:
            if found.quote is None:
                raise answers.missing("the PCRs without a quote", "no_quote")
            values = {plan.quote.bank: found.values}
            evidence_checks.check_quote(*found.quote.signed, found.ak, nonce=fresh, selection=[plan.quote], values=values)
        if plan.local is not None:
            signing.check_local(plan.local, found, fresh)

    # -- the second exchange: do AK and EK live in one TPM

    def _enroll(self, registered: str | None = None) -> EnrolmentOutcome:
        """Verify, certify and register. ``registered``: the EK's Name if the device is registered already and is verified again."""
        plan, fresh = self._plan, nonce()
        doubt = clock.check(self._registry, plan, self._clock())
        found = self._collect(fresh, registered)
        sought = first_exchange.seek(plan, found.shown, keep=True)
        verdict, tpm = first_exchange.judge(plan, found.shown, self._clock(), sought)
        self._check(found, fresh, tpm.get("firmware", ""))
        verdict = verdict._replace(notes=(*verdict.notes, doubt)) if doubt else verdict
        verdict, eks = self._compare(found, verdict, first_exchange.identity(plan, found, tpm), sought.fetched)
        about = certify.subject(plan.serial, found.ek, verdict, plan.organization)
        if plan.ca is None and plan.external is None:
            raise settings.no_issuer(plan.serial)
        proven = self._activate(found, fresh, about, verdict, tpm)._replace(eks=eks)
        return self._register(proven, about)._replace(fetched=sought.fetched)

    def _compare(
        self, found: answers.Collected, verdict: EkVerdict, who: records.Identity, fetched: Fetched | None
    ) -> tuple[EkVerdict, tuple[records.ShownEk, ...]]:
        """Compare the EKs that the TPM has shown with the registry; return the verdict with notes, and the EKs. Raises IdentityConflictError.

        If another device has shown a certificate of this EK, or the EK is of no template of the profile, this device must show all its EK
        certificates, and is refused if one of them is for another device's EK. Otherwise the verdict gets a note and no more, because
        certificates can be copied.
        """
        plan, eks = self._plan, first_exchange.eks(found.shown, fetched)
        self._registry.check(who, eks)
        others = self._registry.claimed_by(who.ek_name, eks[0].spki_sha256)
        if not others and not by_own_template(found.ek):
            return verdict, eks
        everything = answers.shown(self._exchange({"collect": first_exchange.question_of_all_eks(plan, found.ek, nonce())}), plan.where)
        eks = tuple(dict.fromkeys((*eks, *first_exchange.eks(everything._replace(ek=found.ek)))))
        self._registry.check(who, eks)
        if not others:
            return verdict, eks
        told = f"A certificate of this EK was also shown by serial {', '.join(others[:5])}; it was copied, or both are one TPM."
        return verdict._replace(notes=(*verdict.notes, told)), eks

    def _activate(
        self, found: answers.Collected, before: bytes, about: t.Any, verdict: EkVerdict, tpm: t.Mapping[str, str]
    ) -> certify.Proven:
        plan, where, idevid = self._plan, self._plan.where, t.cast("names.Public", found.idevid)
        challenge = Challenge(found.ek, found.ak.name)
        key = {name: {"handle": handle, "public": public.raw.hex()} for name, handle, public in _rows(where, found)}
        early = found.certify.get("idevid")
        id_object, secret = (part.hex() for part in challenge.credential)
        asked = {"nonce": challenge.nonce.hex(), "ek": key["ek"], "ak": key["ak"], "id_object": id_object, "encrypted_secret": secret}
        if not early:
            asked["idevid"] = key["idevid"]
        wanted = signing.wanted(plan, found, about, verdict)
        answer = self._exchange({"activate": asked, "sign": [one.question for one in wanted]})
        certified = early or signing.certified(answer)
        fresh = before if early else challenge.nonce
        evidence_checks.check_certify(*certified.signed, found.ak, nonce=fresh, subject=idevid)
        challenge.check(answers.hexadecimal(answer.get("proof"), "proof"))
        ldevid = found.certify.get(plan.local.handle) if plan.local else None
        pcrs = _pcrs(plan, found)
        attestations = {
            "certify": certified._replace(nonce=fresh),
            "nv_certify": found.nv_certify and found.nv_certify._replace(nonce=before),
            "quote": found.quote and found.quote._replace(nonce=before, pcrs=tuple(pcrs)),
            "certify_ldevid": ldevid and ldevid._replace(nonce=before),
        }
        requests, tcg = signing.requests(wanted, answer, about)
        return certify.Proven(
            ek=found.ek,
            ak=found.ak,
            idevid=idevid,
            ldevid=found.ldevid,
            verdict=verdict,
            tpm=tpm,
            attestations={what: one for what, one in attestations.items() if one},
            pcrs=pcrs,
            credential=challenge.credential,
            at=self._clock(),
            requests=requests,
            tcg_csr=tcg or self._around(found, verdict, about, requests),
        )

    def _around(self, found: answers.Collected, verdict: EkVerdict, about: t.Any, requests: t.Mapping[str, str]) -> bytes | None:
        """A TCG-CSR-IDEVID of a flavour that contains the request that was just signed, which takes a third exchange."""
        if self._plan.external is None or self._plan.external.tcg_csr not in signing.AROUND_REQUEST:
            return None
        last = signing.tcg_csr_of(self._plan, found, verdict, requests["idevid"])
        return signing.requests([last], self._exchange({"sign": [last.question]}), about)[1]

    # -- after the proof, and only then

    def _register(self, proven: certify.Proven, about: t.Any) -> EnrolmentOutcome:
        plan, now = self._plan, self._clock()
        # Checked again, because certificates get the time of now, and the clock may have been set meanwhile.
        clock.check(self._registry, plan, now)
        publics = proven.publics()
        issued = [certify.issue(plan.ca, kind, public, about, plan.local, now) for kind, public in publics.items()] if plan.ca else []
        signer = plan.signs
        sha256 = plan.policy.bundle.sha256 if plan.policy.bundle else None
        record = certify.birth_record(signer, proven, _device(plan), issued, sha256, plan.versions) if signer else None

        def publish() -> None:
            # Called only for the device that gets the serial number: if two claim it at once, both have passed the checks.
            certify.publish(t.cast("settings.External", plan.external), proven, about, _device(plan), now)

        device = self._registry.enroll(
            first_exchange.identity(plan, proven, proven.tpm),
            proven.verdict.registered(now),
            issued,
            ldevid=proven.ldevid,
            birth_record=record,
            shown=proven.eks,
            before_commit=publish if plan.external else None,
        )
        did = () if device.existed else ("enroll",)
        if device.existed and record is not None and self._registry.birth_record(device.ek_name) is None:
            self._registry.add_birth_record(device.ek_name, record, issued, plan.place)
            device, did = self._registry.find(ek_name=device.ek_name) or device, ("record",)
        # Also if another run registered it first, because this device has proved its identity.
        self._registry.close_incidents(host=plan.host or None, serial=plan.serial)
        missing = tuple(kind for kind in publics if kind not in device.certificates)
        return EnrolmentOutcome(bool(did), device, did, proven.verdict, missing, proven.pcrs)


def _pcrs(plan: EnrolmentPlan, found: answers.Collected) -> list[dict[str, t.Any]]:
    """The values of the requested PCRs, which are proved; a device may send more."""
    chosen = plan.quote
    return [{"bank": chosen.bank, "index": at, "digest": found.values[at].hex()} for at in sorted(chosen.indices)] if chosen else []


def _rows(where: settings.Handles, found: answers.Collected) -> list[tuple[str, str, names.Public]]:
    idevid = t.cast("names.Public", found.idevid)
    return [("ek", where.ek, found.ek), ("ak", where.ak, found.ak), ("idevid", where.idevid, idevid)]


def _device(plan: EnrolmentPlan) -> dict[str, str]:
    found = {"serial": plan.serial, **plan.place._asdict(), "model": plan.model}
    return {name: value for name, value in found.items() if value}


__all__ = ("Enrolment",)
