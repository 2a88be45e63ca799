# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What keys of a device sign for certificate requests, and what the AK certifies of an LDevID."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _evidence as evidence
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import answers, certify, settings


class ToSign(t.NamedTuple):
    """Something that a key of the device is to sign: what it is for, the key, the bytes, the hash, and the flavour if it is a TCG-CSR."""

    kind: str
    handle: str
    public: names.Public
    content: bytes
    hash_name: str
    flavour: str | None = None

    @property
    def question(self) -> dict[str, str]:
        """As C(tpm2_evidence) takes it."""
        return {"handle": self.handle, "public": self.public.raw.hex(), "digest": answers.digest(self.content, self.hash_name)}


def to_sign(kind: str, handle: str, public: names.Public, about: t.Any) -> ToSign:
    """A PKCS#10 request that a key is to sign."""
    return ToSign(kind, handle, public, *certify.request_for(public, about))


def signatures(wanted: t.Sequence[ToSign], answer: answers.Answer) -> list[bytes]:
    """The signatures of an answer. Raises EvidenceError where they are not as many as were asked for."""
    found = answer.get("signatures") or []
    if len(found) != len(wanted):
        raise evidence.EvidenceError(
            f"Could not accept the device's answer: it has {len(found)} signatures, not {len(wanted)}; keep the device out.",
            "malformed_answer",
        )
    return [answers.octets(one, "signature") for one in found]


def requests(wanted: t.Sequence[ToSign], answer: answers.Answer, about: t.Any) -> tuple[dict[str, str], bytes | None]:
    """PKCS#10 requests by kind, and the TCG-CSR if there is one, all verified."""
    made: dict[str, str] = {}
    tcg = None
    for one, signature in zip(wanted, signatures(wanted, answer)):
        if one.flavour is None:
            made[one.kind] = certify.signed_request(one.public, about, signature)
        else:
            tcg = certify.tcg_request(one.flavour, one.content, one.public, signature)
    return made, tcg


def check_local(local: settings.LocalKey, found: answers.Collected, nonce: bytes) -> None:
    """That the LDevID is a key of the TPM whose AK certifies it. Raises EvidenceError."""
    ldevid, certified = t.cast("names.Public", found.ldevid), found.certify.get(local.handle)
    evidence.check_ldevid(ldevid)
    if certified is None:
        raise evidence.EvidenceError("Could not accept the LDevID: the device sent no attestation of it; keep it out.", "no_ldevid")
    evidence.check_certify(*certified, found.ak, nonce=nonce, subject=ldevid)


__all__ = ("ToSign", "check_local", "requests", "signatures", "to_sign")
