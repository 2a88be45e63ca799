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
      - An index that is locked (write_stclear, globallock, read_stclear) stays as it is; where the lock is in the way, the module says when it
        ends. Only a lock by writedefine is for good.
    type: list
    elements: str
  auth:
    description:
      - The auth value of the index; text of at most 32 bytes, or V(hex:) and hex digits, or V(str:) and text that would
        else be read otherwise (V(hex:), V(file:), V(session:) and V(pcr:) at its beginning are words of tpm2-tools).
    type: str
  content:
    description:
      - What the index is to hold, as text. Put digits into quotes. V(0012345) without them is the number 5349 to YAML, and refused.
      - Content that everybody may read is shown in the diff; other content is not.
    type: str
  content_b64:
    description:
      - What the index is to hold, as base64.
    type: str
  write_once:
    description:
      - The index can be written a single time; a policy of the TPM enforces it.
      - C(clear_stclear) and C(orderly) among C(attributes) are refused with it, for with them the TPM forgets that the index was written.
      - Whoever has the owner auth can still undefine the index. C(on_mismatch=replace) does that.
    type: bool
    default: false
  no_da:
    description:
      - Whether wrong tries of the index's auth do not count towards the lockout.
    type: bool
    default: true
""",
        _policy.ModuleDocFragment.UNMEASURED,
        _policy.ModuleDocFragment.DOCUMENTATION,
        _state.ModuleDocFragment.DOCUMENTATION,
        _mismatch.ModuleDocFragment.DOCUMENTATION,
        _range.ModuleDocFragment.DOCUMENTATION,
    )
