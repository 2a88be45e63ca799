# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of tpm2_nv_index. Must be kept in sync with C(module_utils/_argspec.py:nv_index)."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  index:
    description:
      - The NV index, as V(0x01800010) or an integer; ours are 0x01800000 to 0x01bfffff.
    type: str
    required: true
  size:
    description:
      - Size in bytes; the content's where it is not given. Content must fill it exactly.
    type: int
  nv_type:
    description:
      - An ordinary index, or a counter. A new counter is incremented once, so that it can be read.
    type: str
    choices: [ordinary, counter]
    default: ordinary
  attributes:
    description:
      - Attributes by the names that tpm2-tools uses, in place of the usual ones.
      - Usual are ownerwrite, ownerread and authread; policywrite, ownerread and authread for C(write_once=true).
    type: list
    elements: str
  auth:
    description:
      - The auth value of the index; text of at most 32 bytes, or V(hex:) and hex digits.
    type: str
  content:
    description:
      - What the index is to hold, as text. Content that everybody may read is shown in the diff; other content is not.
    type: str
  content_b64:
    description:
      - What the index is to hold, as base64.
    type: str
  write_once:
    description:
      - The index can be written a single time; a policy of the TPM enforces it.
      - Whoever has the owner auth can still undefine the index. C(on_mismatch=replace) does that.
    type: bool
    default: false
  no_da:
    description:
      - Whether wrong tries of the index's auth do not count towards the lockout.
    type: bool
    default: true
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
