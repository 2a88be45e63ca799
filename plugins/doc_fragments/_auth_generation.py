# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of tpm2_auth_generation. Must be kept in sync with C(module_utils/_argspec.py:auth_generation)."""

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
  ek_name:
    description:
      - The Name of the device's EK (its endorsement key), instead of the serial number.
    type: str
  host:
    description:
      - The host that claims to be the device. It is refused while it is in quarantine, or if the device was enrolled as another host.
      - The default is the host as which the device was enrolled. If neither O(serial) nor O(ek_name) is given, this option names the
        device.
    type: str
  state:
    description:
      - V(begun) opens the next generation of auth values, unless it is open already, and stores it in the registry.
      - V(finished) makes the next generation the current one. Use it when the TPM has its values.
    type: str
    required: true
    choices: [begun, finished]
  generation:
    description:
      - With O(state=finished), the generation that the TPM has now. If the registry has another one pending, nothing is changed.
      - The default is the pending generation.
    type: int
"""
        + _compose.nested(2, _record_roots.ModuleDocFragment.DOCUMENTATION)
        + r"""    required: true
  escrow:
    description:
      - The escrow, which says how the controller derives or stores the auth values of the hierarchies.
    type: dict
    required: true
    suboptions:
"""
        + _compose.nested(6, _escrow.ModuleDocFragment.DOCUMENTATION),
        _registry.ModuleDocFragment.DOCUMENTATION,
    )
