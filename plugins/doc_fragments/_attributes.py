# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What holds for all modules: check mode, diff mode, idempotency, platform, action group, requirements."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: full
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    support: full
  platform:
    description: Target operating systems that can be operated against.
    support: full
    platforms: linux
  action_group:
    description: Use C(group/edgefleet.tpm2.tpm2) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - edgefleet.tpm2.tpm2
requirements:
  - Python >= 3.6 or a POSIX shell on the device
  - tpm2-pytss >= 2.0 on the controller, for changes
  - Python >= 3.9 and, for changes, tpm2-pytss >= 1.2 on the device with C(execution=device)
"""

    # For modules that change nothing.
    INFO = r"""
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
    details:
      - This action does not modify state.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: N/A
    details:
      - This action does not modify state.
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    support: full
    details:
      - This action does not modify state.
  platform:
    description: Target operating systems that can be operated against.
    support: full
    platforms: linux
  action_group:
    description: Use C(group/edgefleet.tpm2.tpm2) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - edgefleet.tpm2.tpm2
requirements:
  - Python >= 3.9
"""

    # For action plugins that ask the factory's registry and no TPM.
    REGISTRY = r"""
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: none
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    support: full
  platform:
    description: Target operating systems that can be operated against.
    support: full
    platforms: linux
"""

    # For action plugins: what they need on the controller.
    CONTROLLER = r"""
options: {}
requirements:
  - cryptography >= 42 (on the controller)
  - SQLAlchemy >= 2.0 (on the controller)
  - Alembic >= 1.10 (on the controller, to make a registry)
"""
