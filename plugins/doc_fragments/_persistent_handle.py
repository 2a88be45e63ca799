# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of tpm2_persistent_handle. Must be kept in sync with C(module_utils/_argspec.py:persistent_handle)."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.doc_fragments import _compose, _mismatch, _range, _state


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    # Annotated, for it is no plain text: checkers that read the source leave it alone, those that load it see it.
    DOCUMENTATION: str = _compose.options(
        r"""
options:
  handle:
    description:
      - The persistent handle.
    type: str
    required: true
  path:
    description:
      - A TSS2 PEM file on the device. Its key is to be at the handle, and is loaded and made persistent if nothing is there.
    type: path
  name:
    description:
      - The Name of the object in hex. An object with another Name is neither accepted nor removed, unless C(on_mismatch=replace).
    type: str
""",
        _state.ModuleDocFragment.DOCUMENTATION,
        _mismatch.ModuleDocFragment.DOCUMENTATION,
        _range.ModuleDocFragment.DOCUMENTATION,
    )
