# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The option on_mismatch of objects in a TPM."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  on_mismatch:
    description:
      - What to do if something different is already in the place.
      - V(fail) changes nothing and says what differs. V(replace) removes what is there, and makes what the task declares. An object that
        was removed from a TPM cannot be restored.
    type: str
    choices: [fail, replace]
    default: fail
"""
