# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The option allow_foreign_range of what has a handle."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  allow_foreign_range:
    description:
      - Allow a handle or NV index that is reserved for somebody else. Without this option the module accepts the handles 0x81000200 to
        0x810002ff, the NV indices 0x01800000 to 0x01bfffff, and for a primary key also the handles that the TCG reserves for its
        template.
    type: bool
    default: false
"""
