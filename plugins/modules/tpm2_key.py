#!/usr/bin/python

# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tpm2_key
short_description: A TPM 2.0 key at a persistent handle or in a file
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - Ensures that a key for signing, decryption or storage is kept at a persistent handle, in a TSS2 PEM file, or both; or that it is not.
  - The key is created in the TPM and cannot leave it. A key that is lost cannot be made again.
extends_documentation_fragment:
  - edgefleet.tpm2._attributes
  - edgefleet.tpm2._connection
  - edgefleet.tpm2._key
  - edgefleet.tpm2._session_key
  - edgefleet.tpm2._execution
  - edgefleet.tpm2._known_answers
seealso:
  - module: edgefleet.tpm2.tpm2_profile
  - module: edgefleet.tpm2.tpm2_info
"""

EXAMPLES = r"""
---
- name: A key for decrypting MQTT credentials
  edgefleet.tpm2.tpm2_key:
    usage: decrypt
    algorithm: rsa_2048
    handle: "0x81000210"
    public_path: /var/lib/edgefleet-tpm2/mqtt.pub.pem

- name: A signing key in a file that OpenSSL's tpm2 provider takes
  edgefleet.tpm2.tpm2_key:
    usage: sign
    path: /var/lib/edgefleet-tpm2/tls.key.pem

- name: A key that signs only while PCR 7 has its present value, in a TPM that is reached through tpm2-abrmd
  edgefleet.tpm2.tpm2_key:
    tcti: tabrmd:bus_name=com.intel.tss2.Tabrmd
    usage: sign
    handle: "0x81000211"
    policy:
      - pcr: {bank: sha256, indices: [7]}

- name: Take a key away
  edgefleet.tpm2.tpm2_key:
    handle: "0x81000211"
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
      sample: key
    object:
      description: The handle, NV index, path or hierarchy that the resource is about.
      type: str
      returned: always
      sample: "0x81000210"
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
    object:
      description: The handle, NV index, path or hierarchy that the step is about.
      type: str
      returned: always
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
"""

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec, _module
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.key import Key


def main() -> None:
    """Run the module."""
    _module.ensure(_argspec.key(), lambda options: [Key(options)])


if __name__ == "__main__":
    main()
