# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What has been read already. Must be kept in sync with C(module_utils/_argspec.py:known_answers)."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  known_answers:
    description:
      - What the controller has just read from this TPM. The controller's part of this module gives it to the part on the device, which then
        need not read it again. Leave it out.
    type: list
    elements: str
"""
