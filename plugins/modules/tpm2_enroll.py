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
  - Finds out whether a TPM is genuine and which one it is, binds it to a serial number for ever, and issues the device's certificates.
  - The module believes the endorsement key (EK), which identifies the chip, if its certificate leads to a CA in O(trust), or if
    O(ek_sha256) is its hash. All other devices are quarantined, which means that they get no certificate and no secret.
  - The device then proves that its attestation key (AK) is in the TPM of that EK, by opening a secret that was encrypted for both (a
    credential). Certificates are issued only after that.
  - A registered identity never changes. A device that shows a registered serial number with another EK, or a registered EK with another
    serial number, is quarantined.
  - Every EK certificate that the TPM shows is registered too. A TPM that shows the EK of another enrolled device is quarantined. If
    another device has shown the EK of this one before, verdict and birth record only note that, because certificates can be copied.
  - An enrolled device is recognised from O(observed), without a TPM command. The certificate of its LDevID is renewed when it is due.
  - If an enrolled device is at another O(host) than the registry says, or was in quarantine, it first has to sign its serial number with
    its attestation key.
  - The registry keeps each quarantine as an incident. When the device at O(host) is enrolled or recognised, its open incidents are
    closed. These are all that name this host, and those that name its serial number and no host.
  - If the controller's clock cannot be right, the module fails and issues, writes and registers nothing, because identities cannot be
    replaced. It compares the clock with the registry's last event, the dates of the CA and of the EK certificate, and the date of this
    release. If nothing was registered for 90 days, the clock may be ahead, and verdict and birth record note that.
  - It runs on the controller, and talks to the device through M(edgefleet.tpm2.tpm2_evidence), in at most two exchanges (three with
    O(external_authority.tcg_csr=flightctl)).
notes:
  - The controller needs cryptography and SQLAlchemy. To make a registry, or to bring it up to date, it also needs Alembic.
  - The task fails for a device that is quarantined; other devices go on. The reason is in RV(reason) and in the registry.
  - In check mode the module judges the EK, and signs, makes and writes nothing. If O(observed) says that the EK is still to be made, the
    device is not asked, and there is no RV(verdict).
  - A birth record is a signed file that says what was verified. O(authority) or O(record_signer) signs it. With O(external_authority)
    alone there are no birth records, and they cannot be made later. A new device is then enrolled with a warning, or, if O(record_dir) is
    given, refused before it is asked anything.
  - With O(external_authority.tcg_csr) the attestation of the IDevID is made in the first exchange, because a TCG-CSR-IDEVID contains it.
attributes:
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: none
extends_documentation_fragment:
  - edgefleet.tpm2._attributes
  - edgefleet.tpm2._attributes.controller
  - edgefleet.tpm2._connection
  - edgefleet.tpm2._execution
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
    - V(enrolled) or V(quarantined). In check mode, the state that the run would lead to.
    - V(unproven) for a device that is in the registry, but without a valid birth record that says the same. It gets no secret.
  returned: when the device answered
  type: str
reason:
  description:
    - Why the device is quarantined or unproven, or why the task failed otherwise, as one word that does not change between releases.
      RV(state) tells whether it is quarantined or unproven. A word that begins with C(clock_) means that the controller's clock cannot be
      right.
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
  description: Why the module believes the EK. C(rung) is V(certificate) if its certificate leads to a CA in O(trust), or V(pinned) if
    O(ek_sha256) is its hash. C(reason) and C(detail) say more, and C(revocation) whether revocation was checked.
  returned: when enrolled
  type: dict
overlooked:
  description:
    - Faults in the encoding of the EK certificate, or of a CA certificate above it, that were overlooked because genuine TPMs have them.
      There is one word for each fault.
    - V(unsorted_set), V(explicit_default) and V(null_parameters) mean that it is not quite DER, V(string_types) that the CA's name is
      written in two types of string, V(oaep_key) that the key's algorithm is called RSAES-OAEP, V(trailing_bytes) and V(tpm12_header)
      that NV holds more than the certificate. Signatures are verified over the original bytes.
  returned: when this run has judged the EK
  type: list
  elements: str
fetched:
  description:
    - The EK certificate is not in the TPM, and came from the service of C(vendor). C(kept) is true if an earlier run has fetched it and
      it was taken from O(trust.fetch.cache).
  returned: when it was fetched (O(trust.fetch))
  type: dict
  sample: {vendor: intel, kept: false}
trust_bundle:
  description:
    - What was read from O(trust.bundle), with C(path), C(sha256) and the number of C(certificates) in the file.
    - C(left_out) lists up to 50 certificates that are not used, each with its C(number) in the file, C(subject), C(vendor), C(reason)
      (V(malformed) or V(not_a_ca)) and C(detail). C(left_out_count) is the number of all of them. A warning says how many there are of
      which vendor.
    - C(lenient) and C(lenient_count) are the same for certificates that are used although they are not DER. They have C(rules), with
      words as in RV(overlooked), instead of C(reason).
  returned: with O(trust.bundle)
  type: dict
certificates:
  description: The device's certificates by kind (V(iak), V(idevid), V(ldevid)), each with C(pem) (the certificate and those above it),
    C(serial_number) and C(not_after).
  returned: when enrolled
  type: dict
pending:
  description: The kinds of certificates that the external CA still has to issue.
  returned: when enrolled
  type: list
  elements: str
did:
  description: What was done, or in check mode would be done, for example V(enroll) or V(renew ldevid).
  returned: when enrolled
  type: list
  elements: str
pcrs:
  description:
    - The PCRs that the AK has quoted in this run, and that were verified. They are C(bank), and C(values), which has for each index its
      digest in hex.
    - Give it to the filter P(edgefleet.tpm2.sealed_to#filter) to seal a secret to these values.
  returned: with O(pcrs), when this run has verified the device, not only recognised it
  type: dict
  sample: {bank: sha256, values: {"7": 5d0a8cf0a1d2f3b46b9e0c1d2e3f405162738495a6b7c8d9eafb0c1d2e3f4051}}
record:
  description: The path of the birth record.
  returned: with O(record_dir)
  type: str
exchanges:
  description: How many exchanges with the device there were.
  returned: always
  type: int
"""

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec, _argspec_identity, _module


def main() -> None:
    """End with a failure that says to run this on the controller."""
    _module.only_on_the_controller({**_argspec.execution(), **_argspec_identity.enroll()}, connection=True)


if __name__ == "__main__":
    main()
