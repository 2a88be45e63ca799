# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of tpm2_nv_index. Must be kept in sync with C(module_utils/_argspec.py:nv_index)."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.doc_fragments import _compose, _mismatch, _policy, _range, _state


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    # Annotated, for it is no plain text: checkers that read the source leave it alone, those that load it see it.
    DOCUMENTATION: str = _compose.options(
        r"""
options:
  index:
    description:
      - The NV index, as V(0x01800010) or an integer. Use one from 0x01800000 to 0x01bfffff; others are reserved.
    type: str
    required: true
  size:
    description:
      - The size in bytes. The default is the size of the content, which must fill the index exactly.
    type: int
  nv_type:
    description:
      - An ordinary index, or a counter. A new counter is incremented once, so that it can be read.
    type: str
    choices: [ordinary, counter]
    default: ordinary
  attributes:
    description:
      - The attributes of the index, by the names that tpm2-tools uses, instead of the default ones.
      - The default is ownerwrite, ownerread and authread; with C(write_once=true) it is policywrite, ownerread and authread.
      - An index can be locked (write_stclear, globallock, read_stclear). If a lock is in the way, the module fails and says when the lock
        ends. Only a lock by writedefine lasts until the index is removed.
    type: list
    elements: str
  auth:
    description:
      - The auth value of the index. It is text of at most 32 bytes, or V(hex:) followed by hex digits. Put V(str:) before a text that
        begins with V(hex:), V(file:), V(session:) or V(pcr:).
    type: str
  content:
    description:
      - What the index is to hold, as text. Put digits into quotes. Without quotes YAML reads V(0012345) as the number 5349, which is
        refused.
      - The diff shows content that everybody may read, and no other content.
    type: str
  content_b64:
    description:
      - What the index is to hold, as base64.
    type: str
  write_once:
    description:
      - The index can be written only once. A policy in the TPM enforces that.
      - The attributes C(clear_stclear) and C(orderly) are refused with it, because with them the TPM forgets that the index was written.
      - Anybody who has the owner auth can still remove the index and define it again. C(on_mismatch=replace) does that.
    type: bool
    default: false
  no_da:
    description:
      - Whether the index has noDA, so that wrong tries of its auth do not count towards the TPM's lockout.
    type: bool
    default: true
""",
        _policy.ModuleDocFragment.UNMEASURED,
        _policy.ModuleDocFragment.DOCUMENTATION,
        _state.ModuleDocFragment.DOCUMENTATION,
        _mismatch.ModuleDocFragment.DOCUMENTATION,
        _range.ModuleDocFragment.DOCUMENTATION,
    )
