# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The option state of resources."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  state:
    description:
      - Whether the object is to exist.
    type: str
    choices: [present, absent]
    default: present
"""
