# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The option policy of all that can have one, and what goes with it. C(module_utils/_argspec.py) has them as _policy."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  policy:
    description:
      - The conditions under which the object can be used, a list of assertions that are read from top to bottom. Without an assertion
        V(or), all of them must hold.
      - V(pcr) means that PCRs must have certain values. It takes C(bank), C(indices) and optionally C(values), which are the current ones
        by default.
      - V(command_code) means that only one TPM command may use the object, and takes its name, such as V(NV_Write).
      - V(nv_written) means that an NV index has already been written (V(true)) or not (V(false)).
      - V(auth_value) and V(password) mean that the auth of the object is needed. They take nothing, and neither sends the auth in clear.
      - V(secret) means that the auth of a hierarchy is needed. It takes C(hierarchy) (owner, endorsement, platform), and optionally
        C(ref) in hex.
      - V(or) means that one of several branches must hold. It takes 2 to 8 branches, each of which is a list of assertions. It can be
        nested 4 deep.
    type: list
    elements: raw
"""

    UNMEASURED = r"""
options:
  allow_unmeasured:
    description:
      - Accept PCRs that are still all zero because nothing has been measured into them. Such a policy protects nothing.
      - A bank that the TPM has not allocated is refused all the same, because any state would satisfy the policy.
    type: bool
    default: false
"""
