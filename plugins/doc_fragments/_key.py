# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of tpm2_key. Must be kept in sync with C(module_utils/_argspec.py:key)."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  parent:
    description:
      - The persistent handle of the storage key under which the key is created.
    type: str
    default: "0x81000001"
  usage:
    description:
      - What the key is for. An RSA key for V(decrypt) takes OAEP with SHA-256 only.
    type: str
    choices: [sign, decrypt, restricted_sign, storage]
    default: sign
  algorithm:
    description:
      - Key type and size.
    type: str
    choices: [rsa_2048, rsa_3072, ecc_p256, ecc_p384]
    default: ecc_p256
  auth:
    description:
      - The auth value of the key; text of at most 32 bytes, or V(hex:) and hex digits. It is set when the key is created and
        cannot be compared later.
    type: str
  no_da:
    description:
      - Whether wrong tries of the key's auth do not count towards the lockout. Leave it unless the auth is a PIN that people type.
    type: bool
    default: true
  path:
    description:
      - Keep the key in this TSS2 PEM file.
    type: path
  handle:
    description:
      - Keep the key at this persistent handle; ours are 0x81000200 to 0x810002ff.
    type: str
  public_path:
    description:
      - Write the public key to this file, as PEM.
    type: path
  allow_unmeasured:
    description:
      - Accept PCRs into which nothing has been measured. Such a policy protects nothing.
      - A bank that the TPM has not allocated is refused all the same, for any state satisfies it.
    type: bool
    default: false
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
  allow_foreign_range:
    description:
      - Allow a place that the registry of reserved handles gives to somebody else.
    type: bool
    default: false
"""
