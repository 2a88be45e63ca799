# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The key of the secure session. Must be kept in sync with C(module_utils/_argspec.py:session_key)."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  session_key:
    description:
      - The only key to which a session that carries secrets may be salted, for example the endorsement key that enrolment has verified.
        Nobody but the TPM that has this key can then read the secrets on the way.
      - If the key at this handle has another Name, the task fails and no secret is sent.
    type: dict
    suboptions:
      handle:
        description:
          - The persistent handle of this key.
        type: str
        default: "0x81010001"
      name:
        description:
          - The Name of this key in hex, as the registry has it.
        type: str
        required: true
"""
