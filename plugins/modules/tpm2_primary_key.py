#!/usr/bin/python

# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tpm2_primary_key
short_description: A TPM 2.0 primary key at a persistent handle
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - Ensures that a primary key is at a persistent handle, or that none is. The TPM computes a primary key from the secret seed of a
    hierarchy and a template, so the same template gives the same key again until the TPM is cleared.
  - If an object is at the handle already, its public area and its hierarchy are compared with the declared ones. No key is created to
    find out.
extends_documentation_fragment:
  - edgefleet.tpm2._attributes
  - edgefleet.tpm2._connection
  - edgefleet.tpm2._primary_key
  - edgefleet.tpm2._session_key
  - edgefleet.tpm2._execution
  - edgefleet.tpm2._known_answers
seealso:
  - module: edgefleet.tpm2.tpm2_profile
  - module: edgefleet.tpm2.tpm2_info
"""

EXAMPLES = r"""
---
- name: The storage root key, as systemd makes it
  edgefleet.tpm2.tpm2_primary_key:
    template: srk_ecc_p256

- name: The attestation key, its public part as a file
  edgefleet.tpm2.tpm2_primary_key:
    template: iak_ecc_p256
    public_path: /var/lib/edgefleet-tpm2/ak.pub.pem

- name: Take away a primary key that is no longer used
  edgefleet.tpm2.tpm2_primary_key:
    template: ek_ecc_p256
    handle: "0x81010002"
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
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.primary_key import PrimaryKey


def main() -> None:
    """Run the module."""
    _module.ensure(_argspec.primary_key(), lambda options: [PrimaryKey(options)])


if __name__ == "__main__":
    main()
