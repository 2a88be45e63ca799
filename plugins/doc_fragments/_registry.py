# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Where the registry is."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  registry:
    description:
      - Where the device registry is, as the path of an SQLite file or as a URL such as
        V(postgresql+psycopg://factory@db.example.org/tpm2).
    type: str
    required: true
  timeout:
    description:
      - How many seconds to wait for a registry that is locked or does not answer.
    type: int
    default: 30
"""
