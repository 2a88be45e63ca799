# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The suboptions of escrow: where auth values come from."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  mode:
    description:
      - Where auth values come from.
      - V(derived) computes them from O(escrow.master), the EK, the hierarchy and the generation; no value is stored.
      - V(random) makes random ones, which the registry keeps encrypted.
    type: str
    choices: [derived, random]
    default: derived
  master:
    description:
      - The master secret of the fleet, from a vault. 32 random bytes or more, in hex or base64, as C(openssl rand -hex 32) makes them.
    type: str
    required: true
  former_master:
    description:
      - The master secret before that one. It opens the values that were made with it, and makes none, so that C(edgefleet.tpm2.rotate_auth) can go
        from one to the other. Leave it out afterwards.
    type: str
  recovery_key:
    description:
      - With V(random), a PEM file with the RSA public key to which every value is encrypted once more, for the day when the master is lost.
    type: path
"""
