# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of tpm2_sealed_blob. Must be kept in sync with C(module_utils/_argspec.py:sealed_blob)."""

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
  parent:
    description:
      - The persistent handle of the storage key under which the content is sealed.
    type: str
    default: "0x81000001"
  content:
    description:
      - The content as text, 1 to 128 bytes. A blob that is already there and sealed to the policy needs none.
    type: str
  content_b64:
    description:
      - The content as base64.
    type: str
  src:
    description:
      - A file on the device that holds the content. It is read, not removed.
    type: path
  auth:
    description:
      - An auth value that opening the blob takes, alone or with V(auth_value) in the policy.
    type: str
  verify:
    description:
      - V(policy) compares the blob's policy and parent, which needs no session, and cannot see other content.
      - V(unseal) also opens the blob and compares its content.
    type: str
    choices: [policy, unseal]
    default: policy
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
  allow_unmeasured:
    description:
      - Accept PCRs into which nothing has been measured. Such a policy protects nothing.
      - A bank that the TPM has not allocated is refused all the same, for any state satisfies it.
    type: bool
    default: false
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
  state:
    description:
      - Whether it is to be there.
    type: str
    choices: [present, absent]
    default: present
  on_mismatch:
    description:
      - What to do where something different is already there.
      - V(fail) changes nothing and says what differs. V(replace) removes it and makes what is asked for; a TPM object that is
        removed cannot be got back.
    type: str
    choices: [fail, replace]
    default: fail
"""
