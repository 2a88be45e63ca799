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
  - Makes on the device what M(edgefleet.tpm2.tpm2_enroll) needs to verify it. Use it alone if you verify devices with a program of your
    own.
  - O(collect) reads the certificates of the endorsement key (EK), makes identity keys that are missing, and lets the attestation key (AK)
    sign statements about the serial number in NV, the PCRs and other keys.
  - O(activate) opens a credential, a secret that was encrypted for the EK and the AK, in a session salted to the EK. The answer proves
    that it was opened, without revealing the secret. O(activate) also lets the AK certify the IDevID key.
  - O(sign) signs digests, for certificate requests. It takes keys that may sign any data.
  - In check mode nothing is signed and no credential is opened.
  - This module verifies nothing. The program that uses the answer must check every part of it against the nonce that it chose.
notes:
  - The AK, and the keys in O(sign), must have an empty auth.
  - RV(proof) is an HMAC-SHA256 over the text C(edgefleet.tpm2 activation) and the nonce. Its key is the secret.
extends_documentation_fragment:
  - edgefleet.tpm2._attributes
  - edgefleet.tpm2._connection
  - edgefleet.tpm2._session_key
  - edgefleet.tpm2._execution
  - edgefleet.tpm2._evidence
seealso:
  - module: edgefleet.tpm2.tpm2_enroll
"""

EXAMPLES = r"""
---
- name: Collect evidence of which TPM this is
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
  description: The public areas (TPMT_PUBLIC) of the keys in hex, by handle.
  returned: with O(collect), unless check mode would have made a key
  type: dict
certificates:
  description: The EK certificates in base64, as NV holds them. The one of the EK's own template comes first. Bytes that follow a
    certificate in its NV index are included.
  returned: with O(collect.certificates)
  type: list
  elements: str
chain:
  description: The CA certificates above the EK certificate that NV holds, in base64. The list is empty if the issuer is in O(collect.issuers).
  returned: with O(collect.certificates)
  type: list
  elements: str
identity:
  description: Family, revision, manufacturer, model and firmware, unless O(collect.reads) says that they are known.
  returned: with O(collect)
  type: dict
nv_certify:
  description: The attestation of the serial number, with C(attest) (TPMS_ATTEST) and C(signature) (TPMT_SIGNATURE) in base64.
  returned: with O(collect.serial_size), not in check mode
  type: dict
quote:
  description: The attestation of the PCRs, with C(attest) and C(signature) in base64, C(bank), and C(pcrs), the value of each PCR in hex.
  returned: with O(collect.pcrs), not in check mode
  type: dict
certify:
  description: With O(collect.certify), the attestations of these keys by handle. With O(activate.idevid), the attestation of the IDevID
    key, with C(attest) and C(signature).
  returned: where asked for, not in check mode
  type: dict
certify_idevid:
  description: The attestation of the IDevID key, with C(attest) and C(signature) in base64.
  returned: with O(collect.certify_idevid), not in check mode
  type: dict
proof:
  description: The proof that the credential was opened, in hex.
  returned: with O(activate), not in check mode
  type: str
signatures:
  description: The signatures, as TPMT_SIGNATURE in base64, in the order of O(sign).
  returned: with O(sign), not in check mode
  type: list
  elements: str
"""

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec_identity, _module
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import evidence_task


def main() -> None:
    """Run the module."""
    _module.exchange(_argspec_identity.evidence(), evidence_task.talk)


if __name__ == "__main__":
    main()
