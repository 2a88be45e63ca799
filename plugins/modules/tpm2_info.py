#!/usr/bin/python

# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tpm2_info
short_description: Facts about a TPM 2.0
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - Reads what a TPM tells about itself. It opens no session, loads no object and changes nothing, and needs Python alone on the device.
extends_documentation_fragment:
  - edgefleet.tpm2._attributes.info
  - edgefleet.tpm2._connection
options:
  gather:
    description:
      - Which facts to read.
    type: list
    elements: str
    choices: [all, identity, da_lockout, hierarchies, capacity, persistent_handles, nv_indices, algorithms, pcrs]
    default: [all]
  pcrs:
    description:
      - Which PCRs to read, of every allocated bank; all of them where it is not given.
    type: list
    elements: int
seealso:
  - module: edgefleet.tpm2.tpm2_profile
"""

EXAMPLES = r"""
---
- name: Who is it, and is it locked?
  edgefleet.tpm2.tpm2_info:
    gather: [identity, da_lockout]
  register: tpm

- name: Refuse a TPM in lockout
  ansible.builtin.assert:
    that: not tpm.da_lockout.in_lockout
"""

RETURN = r"""
tcti:
  description: Where the TPM is.
  returned: always
  type: str
  sample: device:/dev/tpmrm0
resource_manager:
  description: Who swaps sessions and objects on this path.
  returned: always
  type: str
  sample: kernel
family:
  description: The library family.
  returned: with identity
  type: str
  sample: "2.0"
revision:
  description: The revision of the specification.
  returned: with identity
  type: str
  sample: "1.59"
manufacturer:
  description: The manufacturer's registered name.
  returned: with identity
  type: str
  sample: IFX
model:
  description: What the manufacturer calls it.
  returned: with identity
  type: str
firmware:
  description: The firmware version as four numbers.
  returned: with identity
  type: str
  sample: 7.85.17.51968
da_lockout:
  description: Dictionary attack protection; times in seconds.
  returned: with da_lockout
  type: dict
hierarchies:
  description: For each hierarchy whether its auth is set and whether it is enabled; V(null) where the TPM does not tell.
  returned: with hierarchies
  type: dict
capacity:
  description: What is used and left, as far as the TPM tells.
  returned: with capacity
  type: dict
persistent_handles:
  description: Persistent objects with Name, template and registered user of the handle.
  returned: with persistent_handles
  type: list
  elements: dict
nv_indices:
  description: NV indices with type, attributes, size and registered user.
  returned: with nv_indices
  type: list
  elements: dict
algorithms:
  description: Algorithms by name.
  returned: with algorithms
  type: list
  elements: str
curves:
  description: Elliptic curves by name.
  returned: with algorithms
  type: list
  elements: str
commands:
  description: Implemented commands by code.
  returned: with algorithms
  type: list
  elements: str
pcr_banks:
  description: Allocated PCR banks.
  returned: with pcrs
  type: list
  elements: str
pcrs:
  description: PCR values.
  returned: with pcrs
  type: list
  elements: dict
  contains:
    bank:
      description: The hash of the bank.
      type: str
      returned: always
    index:
      description: The PCR.
      type: int
      returned: always
    digest:
      description: Its value in hex.
      type: str
      returned: always
"""

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec, _module
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import info


def main() -> None:
    """Run the module."""
    _module.inform(_argspec.info(), lambda options, place: info.gather(place, options["gather"], options["pcrs"]))


if __name__ == "__main__":
    main()
