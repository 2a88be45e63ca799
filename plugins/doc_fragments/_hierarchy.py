# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of tpm2_hierarchy. Must be kept in sync with C(module_utils/_argspec.py:hierarchy)."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.doc_fragments import _compose, _policy


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    # Annotated, for it is no plain text: checkers that read the source leave it alone, those that load it see it.
    DOCUMENTATION: str = _compose.options(
        r"""
options:
  hierarchy:
    description:
      - Which hierarchy.
    type: str
    choices: [owner, endorsement, lockout, platform]
    required: true
  auth:
    description:
      - The auth value that the hierarchy is to have; text of at most 32 bytes, or V(hex:) and hex digits, or V(str:) and text that would
        otherwise be read differently (V(hex:), V(file:), V(session:) and V(pcr:) at its beginning are words of tpm2-tools). Empty removes it.
      - A TPM tells whether an auth is set, not which. Where one is set and only one value is given, it is taken to be that one.
      - The platform's auth lasts until the TPM is reset.
    type: str
  current_auth:
    description:
      - The auth value that holds before, where another one is to replace it.
      - Where two different values are given and the hierarchy is owner or endorsement, which one holds is asked in a session.
        For lockout it is not asked, since a wrong value blocks it.
    type: str
  enabled:
    description:
      - Whether the hierarchy can be used, until the TPM is reset. Not for lockout. Only the platform can enable.
    type: bool
  clear_disabled:
    description:
      - Whether TPM2_Clear is forbidden. For lockout (to forbid it) and platform.
    type: bool
  refuse_empty_auth:
    description:
      - Fail where the auth is empty and none is to be set, for example where a firmware has left the platform hierarchy open.
    type: bool
    default: false
""",
        _policy.ModuleDocFragment.DOCUMENTATION,
    )
