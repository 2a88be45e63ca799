# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The shorthand for a policy of PCRs alone."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  pcrs:
    description:
      - A short form for a C(policy) with one V(pcr) assertion. Give one of the two options, not both.
    type: dict
    suboptions:
      bank:
        description:
          - The hash algorithm of the bank, for example V(sha256). SHA-1 is refused.
        type: str
        default: sha256
      indices:
        description:
          - PCR numbers, 0 to 23. The assertion V(pcr) of a policy takes the same.
        type: list
        elements: int
        required: true
      values:
        description:
          - A digest in hex for each index. The default is the current values.
        type: dict
"""
