# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The suboptions of escrow: where auth values come from."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.doc_fragments import _compose, _former_master


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    # Annotated, for it is no plain text: checkers that read the source leave it alone, those that load it see it.
    DOCUMENTATION: str = (
        r"""
options:
  mode:
    description:
      - How the controller gets auth values.
      - V(derived) computes each value from O(escrow.master), the EK, the hierarchy and the number of the generation. No value is stored.
      - V(random) makes random values, which the registry keeps encrypted.
    type: str
    choices: [derived, random]
    default: derived
  master:
    description:
      - The master secret of the fleet, from a vault. 32 random bytes or more, in hex or base64, as C(openssl rand -hex 32) makes them.
    type: str
    required: true
"""
        + _compose.nested(2, _former_master.ModuleDocFragment.DOCUMENTATION)
        + r"""  recovery_key:
    description:
      - With V(random), a PEM file with an RSA public key. Every value is also encrypted with this key, in case the master is lost.
    type: path
"""
    )
