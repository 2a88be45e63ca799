# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of tpm2_unseal. Must be kept in sync with C(module_utils/_argspec.py:unseal)."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  path:
    description:
      - The TSS2 PEM file on the device.
    type: path
    required: true
  dest:
    description:
      - Write the content to this file on the device, rather than returning it.
    type: path
  auth:
    description:
      - The blob's auth value, where it has one.
    type: str
  policy:
    description:
      - Assertions, read top to bottom, each an entry of its own.
      - V(pcr) takes C(bank), C(indices) and, where not the current ones are meant, C(values).
      - V(command_code) takes a command such as V(NV_Write). V(nv_written) takes V(true) or V(false).
      - V(auth_value) and V(password) take nothing; both keep the value off the bus.
      - V(secret) takes C(hierarchy) (owner, endorsement, platform) and C(ref) in hex.
      - V(or) takes 2 to 8 branches, each a list of assertions. It can be nested 4 deep.
    type: list
    elements: raw
  pcrs:
    description:
      - The shorthand for a policy of one V(pcr) assertion. Excludes C(policy).
    type: dict
    suboptions:
      bank:
        description:
          - The hash of the bank, for example V(sha256). SHA-1 is refused.
        type: str
        default: sha256
      indices:
        description:
          - PCR numbers, 0 to 23.
        type: list
        elements: int
        required: true
      values:
        description:
          - A digest in hex for each index, where not the current values are meant.
        type: dict
  mode:
    description:
      - Permissions of the file. A new file has V(0600) where none are given.
    type: raw
  owner:
    description:
      - Owner of the file.
    type: str
  group:
    description:
      - Group of the file.
    type: str
"""
