#!/usr/bin/python

# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tpm2_enroll
short_description: Enroll the TPM 2.0 of a device with the factory's registry
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - Finds out whether a TPM is genuine and which one it is, binds it to a serial number for ever, and issues its certificates.
  - The endorsement key (EK) is believed if its certificate leads to a CA in O(trust), or if O(ek_sha256) pins it. All other
    devices are quarantined.
  - The device then proves that its attestation key (AK) lives in the TPM of that EK, by opening a credential that was made for both.
    Certificates are issued after that, and not before.
  - What is registered never changes. A known serial number with another EK, or a known EK under another serial number, is quarantined.
  - Every EK certificate that the TPM shows is registered too. A TPM that shows the EK of another enrolled device is quarantined. Where another
    device has shown the EK of this one, that is only noted in verdict and birth record, as certificates can be copied.
  - An enrolled device is recognised by what O(observed) says, without a TPM command. Its LDevID is renewed when it is due.
  - Where an enrolled device is at another O(host) than the registry says, or was in quarantine, its attestation key signs the serial number first.
  - Each quarantine is kept in the registry as an incident. When the device at O(host) is enrolled or recognised, the open incidents of that
    host are closed, whatever serial number they name, and so are those that name its serial number and no host.
  - Where the controller's clock cannot be right, nothing is issued, written or registered, as identities cannot be replaced. It is compared with
    the registry's last event, the dates of the CA and of the EK certificate, and the age of this collection. A clock that may be ahead, because
    nothing was registered for 90 days, is noted in verdict and birth record.
  - It runs on the controller and talks to the device at most twice, through M(edgefleet.tpm2.tpm2_evidence).
notes:
  - The controller needs cryptography and SQLAlchemy, with Alembic where the registry is made or brought up to date.
  - A device that is quarantined fails; the others go on. The reason is in RV(reason), and in the registry.
  - In check mode the EK is judged and nothing is signed, made or written. Where O(observed) says that the EK is still to be made, the device
    is not asked, and there is no RV(verdict).
  - Birth records are signed by O(authority) or O(record_signer). With O(external_authority) alone there are none, and they cannot be made
    later. A new device is then enrolled with a warning; where O(record_dir) is given, it is refused before it is asked anything.
  - A TCG-CSR-IDEVID holds the attestation of the IDevID, which is then made in the first of the two exchanges.
attributes:
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: none
extends_documentation_fragment:
  - edgefleet.tpm2._attributes
  - edgefleet.tpm2._attributes.controller
  - edgefleet.tpm2._connection
  - edgefleet.tpm2._enroll
seealso:
  - module: edgefleet.tpm2.tpm2_evidence
  - plugin: edgefleet.tpm2.registry
    plugin_type: inventory
  - plugin: edgefleet.tpm2.device_auth
    plugin_type: lookup
"""

EXAMPLES = r"""
---
- name: Enroll the device
  edgefleet.tpm2.tpm2_enroll:
    serial: "{{ tpm2_profile_serial }}"
    host: "{{ inventory_hostname }}"
    ek_sha256: "{{ tpm2_pinned_ek_sha256 | default(omit) }}"
    registry: /srv/factory/tpm2-registry.sqlite
    trust:
      bundle: /srv/factory/tpm-vendors.pem
      sha256: 0d4f1a5e8b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e
      manufacturers: [IFX, STM]
    authority:
      certificate: /srv/factory/ca/issuing.pem
      key: /srv/factory/ca/issuing.key
      password: "{{ vault_ca_password }}"
    record_dir: /srv/factory/birth-records
    observed: "{{ tpm2_profile_result }}"
    facts: "{{ tpm2_profile_facts }}"
  register: enrolment
"""

RETURN = r"""
state:
  description:
    - V(enrolled) or V(quarantined); in check mode, what it would be.
    - V(unproven) for a device that the registry knows and no birth record proves; it gets no secret.
  returned: when the device answered
  type: str
reason:
  description:
    - Why it is quarantined or unproven, or why the task failed otherwise, one stable word. RV(state) tells which of the two;
      C(clock_...) where the clock of the controller cannot be right.
  returned: when it is quarantined or unproven, or the task failed
  type: str
serial:
  description: The serial number.
  returned: always
  type: str
ek_name:
  description: The Name of the EK, hex.
  returned: when enrolled
  type: str
ak_name:
  description: The Name of the AK, hex.
  returned: when enrolled
  type: str
idevid_name:
  description: The Name of the IDevID key, hex.
  returned: when enrolled
  type: str
verdict:
  description: Why the EK is believed, with C(rung) (V(certificate) or V(pinned)), C(reason), C(detail), C(revocation).
  returned: when enrolled
  type: dict
overlooked:
  description:
    - Faults in the encoding of the EK certificate, or of a CA certificate above it, that were overlooked because genuine TPMs have them, a word for each.
    - V(unsorted_set), V(explicit_default) and V(null_parameters) are not DER, V(string_types) is a name in two types of string, V(oaep_key) names
      another algorithm, V(trailing_bytes) and V(tpm12_header) surround the certificate in NV. Signatures are verified over the bytes as they are.
  returned: when this run has judged the EK
  type: list
  elements: str
fetched:
  description:
    - The EK certificate is not in the TPM, and the service of C(vendor) gave it; C(kept) is true where an earlier run has kept it.
  returned: when it was fetched (O(trust.fetch))
  type: dict
  sample: {vendor: intel, kept: false}
trust_bundle:
  description:
    - What was read of O(trust.bundle), with C(path), C(sha256) and the number of C(certificates) in the file.
    - C(left_out) lists up to 50 certificates that are not used, each with C(number) in the file, C(subject), C(vendor), C(reason) (V(malformed) or
      V(not_a_ca)) and C(detail); C(left_out_count) is how many there are. A warning says how many of which vendor.
    - C(lenient) and C(lenient_count) are likewise those that are used although they are not DER, with C(rules) in the place of C(reason); the words are
      those of RV(overlooked).
  returned: with O(trust.bundle)
  type: dict
certificates:
  description: By kind (V(iak), V(idevid), V(ldevid)), with C(pem) (the certificate and its chain), C(serial_number), C(not_after).
  returned: when enrolled
  type: dict
pending:
  description: The kinds of certificates that a CA elsewhere still has to issue.
  returned: when enrolled
  type: list
  elements: str
did:
  description: What was done, or in check mode would be; for example V(enroll) or V(renew ldevid).
  returned: when enrolled
  type: list
  elements: str
pcrs:
  description:
    - The PCRs that the AK has quoted in this run and that were verified, with C(bank) and C(values), a digest in hex by index.
    - The filter P(edgefleet.tpm2.sealed_to#filter) takes it.
  returned: with O(pcrs), when this run has verified the device, not only recognised it
  type: dict
  sample: {bank: sha256, values: {"7": 5d0a8cf0a1d2f3b46b9e0c1d2e3f405162738495a6b7c8d9eafb0c1d2e3f4051}}
record:
  description: The path of the birth record.
  returned: with O(record_dir)
  type: str
exchanges:
  description: How often the device was spoken with.
  returned: always
  type: int
"""

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec_identity, _module


def main() -> None:
    """Say where this runs."""
    _module.only_on_the_controller(_argspec_identity.enroll(), connection=True)


if __name__ == "__main__":
    main()
