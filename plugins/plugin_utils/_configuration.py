# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Check Ansible's own configuration before the controller makes decisions."""

from __future__ import annotations

from ansible import constants

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError

INJECTION = (
    "Could not trust any variable: inject_facts_as_vars is on, so what a device answers overrides the inventory; set "
    "inject_facts_as_vars = false in section [defaults] of the controller's ansible.cfg."
)


def refuse_injection() -> None:
    """Refuse to run if a device could set variables. The role ``controller`` does the same, with the same sentence.

    Raises:
        InputError: Ansible's setting ``INJECT_FACTS_AS_VARS`` is on.
    """
    if constants.config.get_config_value("INJECT_FACTS_AS_VARS"):
        raise InputError(INJECTION)


__all__ = ("INJECTION", "refuse_injection")
