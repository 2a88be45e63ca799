# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of tpm2_persistent_handle. Must be kept in sync with C(module_utils/_argspec.py:persistent_handle)."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  handle:
    description:
      - The persistent handle.
    type: str
    required: true
  path:
    description:
      - A TSS2 PEM file whose key is to be there; it is loaded where nothing is.
    type: path
  name:
    description:
      - The Name of the object, in hex. An object of another Name is neither accepted nor removed.
    type: str
  state:
    description:
      - Whether it is to be there.
    type: str
    choices: [present, absent]
    default: present
  on_mismatch:
    description:
      - What to do where something different is already there.
      - V(fail) changes nothing and says what differs. V(replace) removes it and makes what is asked for; a TPM object that is
        removed cannot be got back.
    type: str
    choices: [fail, replace]
    default: fail
  allow_foreign_range:
    description:
      - Allow a place that the registry of reserved handles gives to somebody else.
    type: bool
    default: false
"""
