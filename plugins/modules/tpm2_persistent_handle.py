#!/usr/bin/python

# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tpm2_persistent_handle
short_description: What is at a TPM 2.0 persistent handle
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - Ensures that the object with a certain Name, or the key of a file, is at a persistent handle, or that nothing is there.
  - An object with another Name than the given one is removed only with O(on_mismatch=replace).
extends_documentation_fragment:
  - edgefleet.tpm2._attributes
  - edgefleet.tpm2._connection
  - edgefleet.tpm2._persistent_handle
  - edgefleet.tpm2._session_key
  - edgefleet.tpm2._execution
  - edgefleet.tpm2._known_answers
seealso:
  - module: edgefleet.tpm2.tpm2_profile
  - module: edgefleet.tpm2.tpm2_info
"""

EXAMPLES = r"""
---
- name: Make the key of a file persistent
  edgefleet.tpm2.tpm2_persistent_handle:
    handle: "0x81000220"
    path: /var/lib/edgefleet-tpm2/tls.key.pem

- name: Remove it again
  edgefleet.tpm2.tpm2_persistent_handle:
    handle: "0x81000220"
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
      sample: persistent_handle
    object:
      description: The handle, NV index, path or hierarchy that the resource is about.
      type: str
      returned: always
      sample: "0x81000220"
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
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.persistent_handle import PersistentHandle


def main() -> None:
    """Run the module."""
    _module.ensure(_argspec.persistent_handle(), lambda options: [PersistentHandle(options)])


if __name__ == "__main__":
    main()
