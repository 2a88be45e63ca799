# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Mode, owner and group of a file with a secret in it."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  mode:
    description:
      - Permissions of the file. A new file has V(0600) if none are given.
      - Write it in quotes, as V("0600"), or as V(u=rw,g=r). A number that was not written in octal (V(600) in place of V(0600)) is refused, and so
        are setuid, setgid and sticky bits.
    type: raw
  owner:
    description:
      - Owner of the file.
    type: str
  group:
    description:
      - Group of the file.
    type: str
"""
