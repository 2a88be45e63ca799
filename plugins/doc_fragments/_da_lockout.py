# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of tpm2_da_lockout. Must be kept in sync with C(module_utils/_argspec.py:da_lockout)."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  max_tries:
    description:
      - After how many wrong tries the TPM refuses all objects that count them. 32 suits unattended devices.
    type: int
  recovery_time:
    description:
      - After how many seconds the TPM forgets one wrong try.
    type: int
  lockout_recovery:
    description:
      - For how many seconds a wrong lockout auth blocks the lockout hierarchy. 0 means until the next reset.
    type: int
  reset:
    description:
      - Set the counter of wrong tries to zero, if it is not zero already. This takes the lockout auth.
    type: bool
    default: false
"""
