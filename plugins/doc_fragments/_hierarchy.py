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
      - The auth value that the hierarchy is to have. It is text of at most 32 bytes, or V(hex:) followed by hex digits. Put V(str:)
        before a text that begins with V(hex:), V(file:), V(session:) or V(pcr:). An empty text removes the auth.
      - A TPM tells whether an auth is set, but not which. If one is set and only one value is given, the module assumes that they are the
        same.
      - An auth of the platform hierarchy lasts until the TPM is reset.
    type: str
  current_auth:
    description:
      - The current auth value, if C(auth) is to replace it.
      - If C(auth) and this value differ, the module asks the TPM which of them is set, by opening a session. It never asks for lockout,
        since a wrong value would block that hierarchy.
    type: str
  enabled:
    description:
      - Whether the hierarchy can be used, until the TPM is reset. It does not apply to lockout. Only the platform hierarchy can enable
        another one again.
    type: bool
  clear_disabled:
    description:
      - Whether TPM2_Clear is forbidden. With C(hierarchy=lockout) it can be forbidden, with C(hierarchy=platform) also allowed again.
    type: bool
  refuse_empty_auth:
    description:
      - Fail if the auth is empty and C(auth) does not set one, for example because the firmware has left the platform hierarchy open.
    type: bool
    default: false
""",
        _policy.ModuleDocFragment.DOCUMENTATION,
    )
