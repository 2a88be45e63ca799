# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of tpm2_registry_info. Must be kept in sync with C(module_utils/_argspec.py:registry_info)."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.doc_fragments import _compose, _escrow, _record_roots, _registry


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    # Annotated, for it is no plain text: checkers that read the source leave it alone, those that load it see it.
    DOCUMENTATION: str = _compose.options(
        r"""
options:
  serial:
    description:
      - The serial number of the device.
    type: str
  host:
    description:
      - The host name of the device, if you do not know its serial number.
    type: str
  ek_name:
    description:
      - The Name of the device's EK (endorsement key), if you know neither.
    type: str
"""
        + _compose.nested(2, _record_roots.ModuleDocFragment.DOCUMENTATION)
        + r"""      - Without this option no device is proven, and no auth value is returned.
  escrow:
    description:
      - The escrow, which says how the controller derives or stores the auth values of the hierarchies.
    type: dict
    suboptions:
"""
        + _compose.nested(6, _escrow.ModuleDocFragment.DOCUMENTATION),
        _registry.ModuleDocFragment.DOCUMENTATION,
    )
