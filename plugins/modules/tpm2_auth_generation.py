#!/usr/bin/python

# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tpm2_auth_generation
short_description: Begin or finish the replacement of a device's auth values in the factory's registry
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - The auth values of a device (the passwords of its TPM's hierarchies) are replaced together; each such set is a generation. This module
    stores the next generation in the registry before the TPM gets it, and makes it the current one when the TPM has it.
  - It refuses a host that is in quarantine, or that is not the one as which the device was enrolled. Nothing is begun then.
  - It also refuses a device whose birth record cannot be verified with O(record_roots), or is about another device than the registry's
    row.
  - It runs on the controller; nothing is sent to the device. The playbook C(edgefleet.tpm2.rotate_auth) uses it.
notes:
  - What it returns is kept out of logs and callbacks.
extends_documentation_fragment:
  - edgefleet.tpm2._attributes.registry
  - edgefleet.tpm2._attributes.controller
  - edgefleet.tpm2._auth_generation
seealso:
  - module: edgefleet.tpm2.tpm2_registry_info
"""

EXAMPLES = r"""
---
- name: Open the next generation
  edgefleet.tpm2.tpm2_auth_generation:
    serial: "{{ tpm2_profile_serial }}"
    host: "{{ inventory_hostname }}"
    state: begun
    registry: /srv/factory/tpm2-registry.sqlite
    record_roots: [/srv/factory/ca/issuing.pem]
    escrow:
      master: "{{ vault_fleet_master }}"
  register: generation
"""

RETURN = r"""
reason:
  description: Why the task failed, as one word that does not change between releases. C(docs/identity.md) of the collection lists the words.
  returned: when the task failed, and the failure has such a word
  type: str
ek_name:
  description: The Name of the EK, hex.
  returned: success
  type: str
generation:
  description: The current generation.
  returned: success
  type: int
auths:
  description: The auth values of the current generation.
  returned: success
  type: dict
next_generation:
  description: The generation that is being set.
  returned: with O(state=begun)
  type: int
next_auths:
  description: The auth values of the generation that is being set.
  returned: with O(state=begun)
  type: dict
"""

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec_identity, _module


def main() -> None:
    """End with a failure that says to run this on the controller."""
    _module.only_on_the_controller(_argspec_identity.auth_generation(), connection=False)


if __name__ == "__main__":
    main()
