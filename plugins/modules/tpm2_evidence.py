#!/usr/bin/python

# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tpm2_evidence
short_description: Evidence of the identity of a TPM 2.0
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - What M(edgefleet.tpm2.tpm2_enroll) asks of a device, for those who verify devices with a program of their own.
  - O(collect) reads the certificates of the endorsement key, makes identity keys that are missing, and has the attestation key sign the
    serial number in NV, the PCRs and other keys.
  - O(activate) certifies the IDevID by the attestation key and opens a credential that was made for the endorsement key and the
    attestation key, in a session salted to the endorsement key. The answer is a proof that does not reveal the secret.
  - O(sign) signs digests with unrestricted keys, for certificate requests.
  - In check mode nothing is signed and no credential is opened.
  - It verifies nothing. The caller must check every part of the answer against a fresh nonce.
notes:
  - The attestation key and the keys that are asked to sign are used with their empty auth.
  - A proof is HMAC-SHA256 with the secret as key over C(edgefleet.tpm2 activation) and the nonce.
extends_documentation_fragment:
  - edgefleet.tpm2._attributes
  - edgefleet.tpm2._connection
  - edgefleet.tpm2._session_key
  - edgefleet.tpm2._evidence
seealso:
  - module: edgefleet.tpm2.tpm2_enroll
"""

EXAMPLES = r"""
---
- name: Which TPM is this
  edgefleet.tpm2.tpm2_evidence:
    collect:
      nonce: "{{ lookup('ansible.builtin.password', '/dev/null', chars=['hexdigits'], length=64) | lower }}"
      serial_index: "0x01800010"
      serial_size: 14
      pcrs:
        bank: sha256
        indices: [0, 2, 4, 7]
  register: evidence

- name: Open the credential that was made for the two keys
  edgefleet.tpm2.tpm2_evidence:
    activate:
      nonce: "{{ challenge.nonce }}"
      ek:
        handle: "0x81010001"
        public: "{{ evidence.publics['0x81010001'] }}"
      ak:
        handle: "0x81020001"
        public: "{{ evidence.publics['0x81020001'] }}"
      id_object: "{{ challenge.id_object }}"
      encrypted_secret: "{{ challenge.encrypted_secret }}"
  register: answer
"""

RETURN = r"""
publics:
  description: Public areas (TPMT_PUBLIC, hex) of the keys by handle.
  returned: with O(collect), unless check mode would have made a key
  type: dict
certificates:
  description: EK certificates as NV holds them, base64, the one of the EK's own template first; what follows the certificate in NV is in it.
  returned: with O(collect.certificates)
  type: list
  elements: str
chain:
  description: What NV holds of the chain above the EK certificate, base64; empty where the issuer is one of O(collect.issuers).
  returned: with O(collect.certificates)
  type: list
  elements: str
identity:
  description: Family, revision, manufacturer, model and firmware, unless O(collect.reads) says that they are known.
  returned: with O(collect)
  type: dict
nv_certify:
  description: C(attest) (TPMS_ATTEST) and C(signature) (TPMT_SIGNATURE), base64, over the serial number.
  returned: with O(collect.serial_size), not in check mode
  type: dict
quote:
  description: C(attest) and C(signature), base64, C(bank), and C(pcrs) with the value of each PCR in hex.
  returned: with O(collect.pcrs), not in check mode
  type: dict
certify:
  description: With O(collect.certify), attestations by handle. With O(activate.idevid), C(attest) and C(signature) over the IDevID.
  returned: where asked for, not in check mode
  type: dict
certify_idevid:
  description: C(attest) and C(signature), base64, over the IDevID.
  returned: with O(collect.certify_idevid), not in check mode
  type: dict
proof:
  description: The answer to the credential, hex.
  returned: with O(activate), not in check mode
  type: str
signatures:
  description: Marshalled TPMT_SIGNATUREs, base64, in the order of O(sign).
  returned: with O(sign), not in check mode
  type: list
  elements: str
"""

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec_identity, _module
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import evidence, evidence_options, key, model, primary_key


def _identity_keys(collect: t.Mapping[str, t.Any]) -> list[model.Resource]:
    """The keys that are made where they are missing."""
    made: list[model.Resource] = []
    if collect.get("idevid"):
        made.append(primary_key.PrimaryKey({**collect["idevid"], "state": "present"}))
    if collect.get("ldevid"):
        made.append(key.Key({**collect["ldevid"], "usage": "sign", "state": "present"}))
    return made


def _talk(
    params: t.Mapping[str, t.Any], place: _module.tcti.Tcti, given: t.Mapping[int, bytes], check: bool, outcome: _module.Outcome
) -> dict[str, t.Any]:
    found: dict[str, t.Any] = {}
    collect, activate, sign = params["collect"], params["activate"], params["sign"]
    # All of it is read before the first of it is done; in check mode that is all that is done.
    opening, digests = evidence_options.activation(activate) if activate else None, evidence_options.signing(sign or [])
    if collect:
        found.update(evidence.Collector(place, given, collect, _module.salt(params)).run(_identity_keys(collect), check, outcome))
    if opening and not check:
        found.update(evidence.activate(place, given, opening))
    if digests and not check:
        found["signatures"] = evidence.sign(place, digests, outcome)
    return found


def main() -> None:
    """Run the module."""
    _module.exchange(_argspec_identity.evidence(), _talk)


if __name__ == "__main__":
    main()
