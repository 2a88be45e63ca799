#!/usr/bin/python

# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tpm2_profile
short_description: The state of a whole TPM 2.0 in one pass
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - Ensures a whole list of resources, such as keys, NV indices and auth values. It reads the TPM once, plans all changes, and makes them
    over one connection. Use it to provision a fleet.
  - A run that changes nothing reads each fact once and opens no session. Check mode reads the same, and predicts what the run would do.
  - If a run is interrupted, the next one finishes it.
extends_documentation_fragment:
  - edgefleet.tpm2._attributes
  - edgefleet.tpm2._connection
  - edgefleet.tpm2._profile
  - edgefleet.tpm2._session_key
  - edgefleet.tpm2._execution
  - edgefleet.tpm2._known_answers
seealso:
  - module: edgefleet.tpm2.tpm2_info
"""

EXAMPLES = r"""
---
- name: Storage root key, serial number and dictionary attack protection
  edgefleet.tpm2.tpm2_profile:
    resources:
      - primary_key:
          template: srk_ecc_p256
      - nv_index:
          index: "0x01800010"
          content: "{{ serial_number }}"
          write_once: true
      - da_lockout:
          max_tries: 32
          recovery_time: 600
          lockout_recovery: 86400

- name: Show what a hardened profile would change
  edgefleet.tpm2.tpm2_profile:
    resources:
      - primary_key:
          template: srk_ecc_p256
      - hierarchy:
          hierarchy: owner
          auth: "{{ vault_owner_auth }}"
      - hierarchy:
          hierarchy: lockout
          auth: "{{ vault_lockout_auth }}"
  check_mode: true
  diff: true

- name: Keys and an index, and one that is no longer wanted, through tpm2-abrmd
  edgefleet.tpm2.tpm2_profile:
    tcti: tabrmd:bus_name=com.intel.tss2.Tabrmd
    owner_auth: "{{ vault_owner_auth }}"
    resources:
      - primary_key:
          template: srk_ecc_p256
      - sealed_blob:
          path: /var/lib/edgefleet-tpm2/telemetry.key.pem
          content_b64: "{{ vault_telemetry_key }}"
          policy:
            - pcr: {bank: sha256, indices: [7]}
      - nv_index:
          index: "0x01800021"
          state: absent
"""

RETURN = r"""
resources:
  description:
    - The state of each resource after the run. In check mode, the state that the run would leave, as far as it can be predicted.
  returned: always
  type: list
  elements: dict
  contains:
    kind:
      description: The kind of resource, by the name that O(edgefleet.tpm2.tpm2_profile#module:resources) gives it.
      type: str
      returned: always
      sample: primary_key
    object:
      description: The handle, NV index, path or hierarchy that the resource is about.
      type: str
      returned: always
      sample: "0x81000001"
    state:
      description: V(ok) or V(changed).
      type: str
      returned: always
      sample: ok
    name:
      description: The Name of the object in hex (the fingerprint that the TPM gives it), if it has one and it is known.
      type: str
      returned: when known
      sample: 000bdec3b7ad2e6a9f2f6a4d9d7d1c2cf0be4ff63d12b7bcd4f6a1ee7db54f9c1a2b
    accepted:
      description: Why the module has kept an object that differs from the declared one.
      type: str
      returned: when a storage key of another kind is kept as the SRK
steps:
  description:
    - What was done or, in check mode, what would be done.
  returned: always
  type: list
  elements: dict
  contains:
    kind:
      description: The kind of the resource that the step belongs to.
      type: str
      returned: always
      sample: primary_key
    object:
      description: The handle, NV index, path or hierarchy that the step is about.
      type: str
      returned: always
      sample: "0x81000001"
    action:
      description: The TPM command in small letters, for example V(nv_write), or V(export) and V(remove_file) for files.
      type: str
      returned: always
    sentence:
      description: What the step does, as a sentence for people. It may change with a release.
      type: str
      returned: always
    cost:
      description: What the step uses up, in NV bytes, NV indices, NV counters, places for persistent objects, and keys to be generated. A
        number is negative if the step frees something.
      type: dict
      returned: always
    reversible:
      description: Whether the step can be undone.
      type: bool
      returned: always
reads:
  description:
    - What was read from the TPM, as C(public), the public area of each key by its handle, and C(properties), the TPM's properties by
      number.
  returned: with O(return_reads)
  type: dict
"""

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _kinds, _module


def main() -> None:
    """Run the module."""
    _module.ensure(_kinds.profile(), lambda options: _kinds.build(options["resources"]))


if __name__ == "__main__":
    main()
