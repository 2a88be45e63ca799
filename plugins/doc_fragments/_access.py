# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of C(tpm2_access). Must be kept in sync with C(module_utils/_argspec.py:access)."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  allowed:
    description:
      - Users who must get an answer from the TPM.
    type: list
    elements: str
    default: []
  refused:
    description:
      - Users who must be refused. Only a refusal by file permissions or by D-Bus counts.
    type: list
    elements: str
    default: []
  timeout:
    description:
      - How many seconds each user's command may take. A TPM that has not answered by then is reported as silent.
    type: int
    default: 30
"""
