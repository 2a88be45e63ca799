# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a device's keys sign for certificate requests; the AK's attestations of the serial number and an LDevID."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attest, names
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import tcg_csr
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.request import RequestError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._ek_verdict import EkVerdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import answers, certify, settings
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll.plan import EnrolmentPlan
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence import evidence_checks
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence.attestation import Attestation

# Flavours of the TCG-CSR-IDEVID that contain a finished PKCS#10 request, so they are signed in a later exchange.
AROUND_REQUEST = ("flightctl",)


class ToSign(t.NamedTuple):
    """Bytes for a key of the device to sign: the kind of certificate, the key, the bytes, the hash, and the flavour of a TCG-CSR."""

    kind: str
    handle: str
    public: names.Public
    content: bytes
    hash_name: str
    flavour: str | None = None

    @property
    def question(self) -> dict[str, str]:
        """In the form that ``tpm2_evidence`` takes."""
        return {"handle": self.handle, "public": self.public.raw.hex(), "digest": answers.digest(self.content, self.hash_name)}


def to_sign(kind: str, handle: str, public: names.Public, about: t.Any) -> ToSign:
    """A PKCS#10 request for a key to sign."""
    return ToSign(kind, handle, public, *certify.request_for(public, about))


def wanted(plan: EnrolmentPlan, found: answers.Collected, about: t.Any, verdict: EkVerdict) -> list[ToSign]:
    """The requests that the device's keys sign in the second exchange: the LDevID's if it gets one, the IDevID's for an external CA."""
    made: list[ToSign] = []
    if plan.external is not None:
        made.append(to_sign("idevid", plan.where.idevid, t.cast("names.Public", found.idevid), about))
        if plan.external.tcg_csr and plan.external.tcg_csr not in AROUND_REQUEST:
            made.append(tcg_csr_of(plan, found, verdict))
    if plan.local is not None and found.ldevid is not None:
        made.append(to_sign("ldevid", plan.local.handle, found.ldevid, about))
    return made


def tcg_csr_of(plan: EnrolmentPlan, found: answers.Collected, verdict: EkVerdict, pkcs10: str = "") -> ToSign:
    """A TCG-CSR-IDEVID for the IDevID to sign. Raises EvidenceError, no_idevid; InputError if a field that the flavour needs is missing."""
    idevid, certified = t.cast("names.Public", found.idevid), found.certify.get("idevid")
    if certified is None:
        raise answers.missing("the IDevID without an attestation", "no_idevid")
    flavour = t.cast("str", t.cast("settings.External", plan.external).tcg_csr)
    about = (plan.serial, plan.model or "unknown")
    ek_certificate, _chain = certify.own_certificate(found.ek, verdict)
    content = certify.tcg_content(flavour, (found.ak, idevid), certified, ek_certificate or b"", about, pkcs10.encode())
    return ToSign("idevid", plan.where.idevid, idevid, *content, flavour)


def certified(answer: answers.Answer) -> Attestation:
    """The AK's attestation of the IDevID in a second answer. Raises EvidenceError: no_idevid, malformed_answer."""
    if answer.get("certify") is None:
        raise answers.missing("the IDevID without an attestation", "no_idevid")
    return answers.signed(answer["certify"], "certified IDevID")


def signatures(asked: t.Sequence[ToSign], answer: answers.Answer) -> list[bytes]:
    """The signatures in an answer. Raises EvidenceError if their number is not that of the requests."""
    found = answers.listed(answer.get("signatures"), "signatures", len(asked))
    if len(found) < len(asked):
        raise answers.missing("the certificate requests without their signatures", "no_request")
    return [answers.octets(one, "signature") for one in found]


def requests(asked: t.Sequence[ToSign], answer: answers.Answer, about: t.Any) -> tuple[dict[str, str], bytes | None]:
    """PKCS#10 requests by kind, and the TCG-CSR if there is one, all verified. Raises EvidenceError, bad_request."""
    made: dict[str, str] = {}
    tcg = None
    for one, signature in zip(asked, signatures(asked, answer)):
        try:
            if one.flavour is None:
                made[one.kind] = certify.signed_request(one.public, about, signature)
            else:
                tcg = certify.tcg_request(one.flavour, one.content, one.public, signature)
        except (_keys.SignatureError, RequestError, tcg_csr.TcgCsrError) as error:
            raise evidence_checks.EvidenceError(
                f"Could not accept the request for the {one.kind} certificate: {error.message}", "bad_request"
            ) from None
    return made, tcg


def about_the_serial(plan: EnrolmentPlan) -> dict[str, t.Any]:
    """The question that has the AK certify the serial number in NV."""
    return {"serial_index": f"{plan.serial_index.index:#010x}", "serial_size": plan.serial_index.size}


def check_serial(plan: EnrolmentPlan, found: answers.Collected, nonce: bytes) -> attest.Attest:
    """Check that the serial number is in the NV of the AK's TPM. Raises EvidenceError."""
    if found.nv_certify is None:
        raise answers.missing("the serial number without an attestation", "no_serial")
    content = plan.serial.encode()
    return evidence_checks.check_nv_certify(*found.nv_certify.signed, found.ak, nonce=nonce, index=plan.serial_index, content=content)


def about_the_ldevid(local: settings.LocalKey) -> dict[str, t.Any]:
    """The question that has the device make an LDevID, unless it has one, and the AK certify it."""
    key = {"handle": local.handle, "algorithm": local.algorithm, "parent": local.parent}
    return {"ldevid": key, "certify": [local.handle]}


def check_local(local: settings.LocalKey, found: answers.Collected, nonce: bytes) -> None:
    """Check that the LDevID is a key in the AK's TPM. Raises EvidenceError."""
    ldevid, certified = t.cast("names.Public", found.ldevid), found.certify.get(local.handle)
    evidence_checks.check_ldevid(ldevid)
    if certified is None:
        raise answers.missing("the LDevID without an attestation", "no_ldevid")
    evidence_checks.check_certify(*certified.signed, found.ak, nonce=nonce, subject=ldevid)


__all__ = (
    "AROUND_REQUEST",
    "ToSign",
    "about_the_ldevid",
    "about_the_serial",
    "certified",
    "check_local",
    "check_serial",
    "requests",
    "signatures",
    "tcg_csr_of",
    "to_sign",
    "wanted",
)
