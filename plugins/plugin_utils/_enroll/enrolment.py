# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""One device enrolled: recognised from what is known already, or verified in two exchanges, certified, written down and registered.

The steps are those of TPM 2.0 Keys for Device Identity and Attestation, section 6: verify the EK, check the keys, have the TPM
activate a credential that only the EK opens and only while the AK is in the same TPM, and issue certificates after that alone.
A device is new, quarantined or enrolled; whatever ends a run early leaves it what it was.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _evidence as evidence
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.request import RequestError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._credential import ActivationError, Challenge
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import answers, certify, settings, signing, upkeep
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll.plan import (
    Exchange,
    ExchangeError,
    Outcome,
    Plan,
    QuarantineError,
    nonce,
)
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.faults import IdentityConflictError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.store import Registry
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import ladder
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.verdict import QUARANTINED, Verdict

# What, in a device's failure, means that the credential did not open; everything else may be a loose cable.
_NOT_ACTIVATED = "Could not activate the credential"
_DISTRUST = (evidence.EvidenceError, ActivationError, IdentityConflictError, _keys.SignatureError, _keys.KeyMaterialError, RequestError)


class Enrolment:
    """One run for one device. C(exchange) runs C(tpm2_evidence) there; C(clock) tells the time."""

    def __init__(self, registry: Registry, plan: Plan, exchange: Exchange, clock: t.Callable[[], datetime.datetime]) -> None:
        self._registry, self._plan, self._exchange, self._clock = registry, plan, exchange, clock
        # The EK that answered, for whoever looks into a quarantine.
        self.ek_name: str | None = None

    def run(self, check: bool = False) -> Outcome:
        """Enroll the device, or find that nothing is left to do; in check mode only find out. Raises QuarantineError, TpmError."""
        device = self._registry.find(serial=self._plan.serial)
        try:
            if device is not None and self._recognised(device):
                return upkeep.Upkeep(self._registry, self._plan, self._exchange, self._clock).run(device, check)
            return self._verify_only() if check else self._enroll()
        except _DISTRUST as error:
            raise QuarantineError(error.message, str(getattr(error, "reason", "") or "evidence_refused")) from None

    def _recognised(self, device: records.Device) -> bool:
        """Whether EK and AK are those that are registered, by what was read already; if nothing was, two public areas are read."""
        where = self._plan.where
        seen = answers.observed_names(self._plan.observed, (where.ek, where.ak))
        if set(seen) != {where.ek, where.ak}:
            asked = {"nonce": nonce().hex(), "ek": where.ek, "ak": where.ak, "certificates": False, "reads": {"identity": True}}
            found = answers.collected(self._exchange({"collect": asked}), where, None, with_idevid=False)
            seen = {where.ek: found.ek.name.hex(), where.ak: found.ak.name.hex()}
        return seen[where.ek] == device.ek_name and seen[where.ak] == device.ak_name

    # -- the first exchange: is this TPM genuine, and are its keys what they should be

    def _collect(self, fresh: bytes, *, only_certificates: bool = False) -> answers.Collected:
        plan, where = self._plan, self._plan.where
        known = {name: plan.reads[name] for name in ("public", "properties", "nv_buffer_max") if plan.reads.get(name)}
        asked: dict[str, t.Any] = {
            "nonce": fresh.hex(),
            "ek": where.ek,
            "ak": where.ak,
            "issuers": answers.known_issuers(plan.policy),
            "reads": {**known, "identity": bool(plan.tpm)},
        }
        if not only_certificates:
            asked["idevid"] = {"template": where.idevid_template, "handle": where.idevid}
            asked["certify_idevid"] = bool(plan.external and plan.external.tcg_csr)
            asked["serial_index"] = f"{plan.serial_index.index:#010x}"
            asked["serial_size"] = plan.serial_index.size
            asked["pcrs"] = answers.selection(plan.quote)
            if plan.local:
                local = plan.local
                asked["ldevid"] = {"handle": local.handle, "algorithm": local.algorithm, "parent": local.parent}
                asked["certify"] = [local.handle]
        answer = self._exchange({"collect": asked})
        ldevid = plan.local.handle if plan.local and not only_certificates else None
        found = answers.collected(answer, where, ldevid, with_idevid=not only_certificates)
        self.ek_name = found.ek.name.hex()
        return found

    def _judge(self, found: answers.Collected) -> tuple[Verdict, dict[str, str]]:
        plan = self._plan
        tpm = dict(plan.tpm or found.identity)
        told = ladder.Device(found.ek, found.ek_certificate(), found.chain, tpm.get("manufacturer", ""), tpm.get("firmware", ""))
        verdict = ladder.judge(told, plan.policy, now=self._clock(), pinned=plan.pinned)
        if verdict.rung == QUARANTINED:
            raise QuarantineError(verdict.detail, verdict.reason)
        evidence.check_ak(found.ak)
        return verdict, tpm

    def _verify_only(self) -> Outcome:
        """What a run would say of the EK; nothing is signed or made."""
        verdict, _tpm = self._judge(self._collect(nonce(), only_certificates=True))
        return Outcome(True, None, ("enroll",), verdict)

    def _check(self, found: answers.Collected, first: bytes, firmware: str) -> None:
        """Everything that the AK has signed in the first exchange. Raises EvidenceError."""
        plan, idevid = self._plan, t.cast("names.Public", found.idevid)
        evidence.check_idevid(idevid)
        if found.nv_certify is None:
            raise evidence.EvidenceError(
                "Could not accept the serial number: the device sent no attestation of it; keep it out.", "no_serial"
            )
        content = plan.serial.encode()
        attested = evidence.check_nv_certify(*found.nv_certify, found.ak, nonce=first, index=plan.serial_index, content=content)
        evidence.check_firmware(attested, firmware)
        if plan.quote is not None:
            if found.quote is None:
                raise evidence.EvidenceError("Could not accept the PCRs: the device sent no quote of them; keep it out.", "no_quote")
            values = {plan.quote.bank: found.values}
            evidence.check_quote(*found.quote, found.ak, nonce=first, selection=[plan.quote], values=values)
        if plan.local is not None:
            signing.check_local(plan.local, found, first)

    # -- the second exchange: do AK and EK live in one TPM

    def _enroll(self) -> Outcome:
        plan, first = self._plan, nonce()
        found = self._collect(first)
        verdict, tpm = self._judge(found)
        self._check(found, first, tpm.get("firmware", ""))
        self._registry.check(self._identity(found, tpm))
        about = certify.subject(plan.serial, found.ek, verdict.ek_certificate, plan.organization)
        if plan.ca is None and plan.external is None:
            raise settings.no_issuer(plan.serial)
        proven = self._activate(found, first, about, verdict, tpm)
        return self._register(proven, about)

    def _activate(self, found: answers.Collected, first: bytes, about: t.Any, verdict: Verdict, tpm: t.Mapping[str, str]) -> certify.Proven:
        plan, where, idevid = self._plan, self._plan.where, t.cast("names.Public", found.idevid)
        challenge = Challenge(found.ek, found.ak.name)
        key = {name: {"handle": handle, "public": public.raw.hex()} for name, handle, public in _rows(where, found)}
        early = found.certify.get("idevid")
        asked = {
            "nonce": challenge.nonce.hex(),
            "ek": key["ek"],
            "ak": key["ak"],
            "id_object": challenge.credential.id_object.hex(),
            "encrypted_secret": challenge.credential.encrypted_secret.hex(),
            **({} if early else {"idevid": key["idevid"]}),
        }
        wanted = self._to_sign(found, about, verdict)
        answer = self._second({"activate": asked, "sign": [one.question for one in wanted]})
        certified = early or answers.signed(answer.get("certify"), "certified IDevID")
        fresh = first if early else challenge.nonce
        evidence.check_certify(*certified, found.ak, nonce=fresh, subject=idevid)
        challenge.check(answers.hexadecimal(answer.get("proof"), "proof"))
        told = {"certify": (certified, fresh), "nv_certify": (found.nv_certify, first), "quote": (found.quote, first)}
        if plan.local:
            told["certify_ldevid"] = (found.certify.get(plan.local.handle), first)
        requests, tcg = signing.requests(wanted, answer, about)
        return certify.Proven(
            ek=found.ek,
            ak=found.ak,
            idevid=idevid,
            ldevid=found.ldevid,
            verdict=verdict,
            tpm=tpm,
            nonces={what: asked_with for what, (one, asked_with) in told.items() if one},
            attestations={what: one for what, (one, _fresh) in told.items() if one},
            pcrs=[{"bank": plan.quote.bank, "index": at, "digest": value.hex()} for at, value in sorted(found.values.items())]
            if plan.quote
            else [],
            credential=challenge.credential,
            at=self._clock(),
            requests=requests,
            tcg_csr=tcg,
        )

    def _second(self, question: t.Mapping[str, t.Any]) -> answers.Answer:
        try:
            return self._exchange(question)
        except ExchangeError as error:
            if error.message.startswith(_NOT_ACTIVATED):
                raise QuarantineError(error.message, "not_activated") from None
            raise

    def _to_sign(self, found: answers.Collected, about: t.Any, verdict: Verdict) -> list[signing.ToSign]:
        """The requests that keys of the device sign: an LDevID's always, the IDevID's where the CA is another's."""
        plan, where = self._plan, self._plan.where
        wanted: list[signing.ToSign] = []
        idevid = t.cast("names.Public", found.idevid)
        if plan.external is not None:
            wanted.append(signing.to_sign("idevid", where.idevid, idevid, about))
            if plan.external.tcg_csr:
                certified, der = t.cast("answers.Signed", found.certify.get("idevid")), verdict.ek_certificate or b""
                flavour = plan.external.tcg_csr
                content = certify.tcg_content(flavour, (found.ak, idevid), certified, der, plan.serial, plan.model or "unknown")
                wanted.append(signing.ToSign("idevid", where.idevid, idevid, content, "sha256", flavour))
        if plan.local is not None and found.ldevid is not None:
            wanted.append(signing.to_sign("ldevid", plan.local.handle, found.ldevid, about))
        return wanted

    def _identity(self, found: answers.Collected, tpm: t.Mapping[str, str]) -> records.Identity:
        plan, idevid = self._plan, t.cast("names.Public", found.idevid)
        return records.Identity(
            ek_name=found.ek.name.hex(),
            serial=plan.serial,
            ak_name=found.ak.name.hex(),
            idevid_name=idevid.name.hex(),
            ek_public=found.ek.raw,
            ak_public=found.ak.raw,
            idevid_public=idevid.raw,
            host=plan.host,
            mac=plan.mac,
            site=plan.site,
            model=plan.model,
            manufacturer=tpm.get("manufacturer", ""),
            firmware=tpm.get("firmware", ""),
            tpm_model=tpm.get("model", ""),
        )

    # -- after the proof, and only then

    def _register(self, proven: certify.Proven, about: t.Any) -> Outcome:
        plan, now = self._plan, self._clock()
        publics = proven.publics()
        issued = [certify.issue(plan.ca, kind, public, about, plan.local, now) for kind, public in publics.items()] if plan.ca else []
        if plan.external is not None:
            certify.publish(plan.external, proven, about, _device(plan), now)
        signer = plan.signer or plan.ca
        sha256 = plan.policy.bundle.sha256 if plan.policy.bundle else None
        record = certify.birth_record(signer, proven, _device(plan), issued, sha256, plan.versions) if signer else None
        found = answers.Collected(proven.ek, proven.ak, proven.idevid, proven.ldevid, (), (), {}, None, None, {}, {})
        device = self._registry.enroll(
            self._identity(found, proven.tpm), _verdict(proven.verdict, now), issued, ldevid=proven.ldevid, birth_record=record
        )
        if not device.existed:
            self._registry.close_incidents(host=plan.host or None, serial=plan.serial)
        missing = tuple(kind for kind in publics if kind not in device.certificates)
        return Outcome(not device.existed, device, () if device.existed else ("enroll",), proven.verdict, missing)


def _rows(where: settings.Handles, found: answers.Collected) -> list[tuple[str, str, names.Public]]:
    idevid = t.cast("names.Public", found.idevid)
    return [("ek", where.ek, found.ek), ("ak", where.ak, found.ak), ("idevid", where.idevid, idevid)]


def _device(plan: Plan) -> dict[str, str]:
    found = {"serial": plan.serial, "host": plan.host, "mac": plan.mac, "site": plan.site, "model": plan.model}
    return {name: value for name, value in found.items() if value}


def _verdict(found: Verdict, now: datetime.datetime) -> records.Verdict:
    told = found._replace(detail=" ".join((found.detail, *found.notes)).strip())
    return records.Verdict(*told[:6], time=now)


__all__ = ("Enrolment",)
