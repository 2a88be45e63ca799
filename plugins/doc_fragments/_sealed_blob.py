# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of tpm2_sealed_blob. Must be kept in sync with C(module_utils/_argspec.py:sealed_blob)."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.doc_fragments import _compose, _files, _mismatch, _pcrs, _policy, _state


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    # Annotated, for it is no plain text: checkers that read the source leave it alone, those that load it see it.
    DOCUMENTATION: str = _compose.options(
        r"""
options:
  path:
    description:
      - The TSS2 PEM file on the device. A symbolic link is refused.
    type: path
    required: true
  parent:
    description:
      - The persistent handle of the storage key under which the secret is sealed.
    type: str
    default: "0x81000001"
  content:
    description:
      - The secret, as text of 1 to 128 bytes. It is not needed if the file exists already and is sealed to the policy.
    type: str
  content_b64:
    description:
      - The secret as base64.
    type: str
  src:
    description:
      - A file on the device that holds the secret. The module reads it, and does not remove it.
    type: path
  auth:
    description:
      - An auth value that is needed to open the blob. With a policy it is needed only if the policy contains V(auth_value).
    type: str
  verify:
    description:
      - V(policy) compares the policy and the parent of an existing blob. That needs no session, but does not notice another content.
      - V(unseal) also opens the blob and compares its content.
    type: str
    choices: [policy, unseal]
    default: policy
""",
        _policy.ModuleDocFragment.DOCUMENTATION,
        _pcrs.ModuleDocFragment.DOCUMENTATION,
        _policy.ModuleDocFragment.UNMEASURED,
        _files.ModuleDocFragment.DOCUMENTATION,
        _state.ModuleDocFragment.DOCUMENTATION,
        _mismatch.ModuleDocFragment.DOCUMENTATION,
    )
