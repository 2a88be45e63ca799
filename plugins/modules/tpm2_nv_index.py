#!/usr/bin/python

# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tpm2_nv_index
short_description: A TPM 2.0 NV index and its content
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - Ensures the definition of an ordinary NV index or counter and the content of an ordinary one, or that the index does not exist.
  - An index that was defined and never written, as an interrupted run leaves it, is written.
extends_documentation_fragment:
  - edgefleet.tpm2._attributes
  - edgefleet.tpm2._connection
  - edgefleet.tpm2._nv_index
  - edgefleet.tpm2._session_key
seealso:
  - module: edgefleet.tpm2.tpm2_profile
  - module: edgefleet.tpm2.tpm2_info
"""

EXAMPLES = r"""
---
- name: A serial number that is written once and that everybody may read
  edgefleet.tpm2.tpm2_nv_index:
    index: "0x01800010"
    content: "{{ serial_number }}"
    write_once: true

- name: A counter against rollback
  edgefleet.tpm2.tpm2_nv_index:
    index: "0x01800020"
    nv_type: counter

- name: A value that is read only where PCR 7 is as it is now
  edgefleet.tpm2.tpm2_nv_index:
    index: "0x01800021"
    content: "{{ vault_value }}"
    attributes: [ownerwrite, policyread]
    policy:
      - pcr: {bank: sha256, indices: [7]}
    tcti: device:/dev/tpmrm0

- name: Take an index away
  edgefleet.tpm2.tpm2_nv_index:
    index: "0x01800021"
    state: absent
    owner_auth: "{{ vault_owner_auth }}"
"""

RETURN = r"""
resources:
  description:
    - The state of each resource after the run; in check mode, what can be predicted of it.
  returned: always
  type: list
  elements: dict
  contains:
    kind:
      description: The kind of resource, as a profile names it.
      type: str
      returned: always
      sample: nv_index
    object:
      description: The handle, NV index, path or hierarchy that the resource is about.
      type: str
      returned: always
      sample: "0x01800010"
    state:
      description: V(ok) or V(changed).
      type: str
      returned: always
      sample: ok
    name:
      description: The Name in hex, where the object has one and it is known.
      type: str
      returned: when known
      sample: 000bdec3b7ad2e6a9f2f6a4d9d7d1c2cf0be4ff63d12b7bcd4f6a1ee7db54f9c1a2b
    accepted:
      description: Why something other than what was asked for is left in place.
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
      description: The command of the specification that the step is about.
      type: str
      returned: always
    sentence:
      description: What the step does, in words. It may change with a release.
      type: str
      returned: always
    cost:
      description: NV bytes, NV indices, NV counters, persistent slots and key generations; negative where the step frees them.
      type: dict
      returned: always
    reversible:
      description: Whether it can be undone.
      type: bool
      returned: always
"""

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec, _module
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.nv_index import NvIndex


def main() -> None:
    """Run the module."""
    _module.ensure(_argspec.nv_index(), lambda options: [NvIndex(options)])


if __name__ == "__main__":
    main()
