# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec_identity
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _action
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry

Result = dict[str, t.Any]
SPEC = _argspec_identity.auth_generation()


class ActionModule(ActionBase):
    """Moves a device's auth values from one generation to the next, in the registry."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        """Begin or finish for the device of this task."""
        result: Result = super().run(tmp, task_vars)
        _valid, given = self.validate_argument_spec(argument_spec=SPEC)
        return _action.told(result, lambda: _move(_action.plain(given), check=bool(self._task.check_mode)))


def _move(options: _action.Options, *, check: bool) -> Result:
    with open_registry(options["registry"], timeout=options["timeout"], create=not check) as registry:
        device = _action.find(registry, options)
        if device is None:
            who = options["serial"] or options["ek_name"]
            raise InputError(f"Could not replace the auth values of {who}: it is not enrolled; enroll it first (playbook day_zero).")
        held = _action.escrow(registry, options["escrow"], create=not check)
        begun = options["state"] == "begun"
        found: Result = {"ek_name": device.ek_name, "changed": (device.auth_pending is None) if begun else device.auth_pending is not None}
        if not check and found["changed"]:
            (registry.begin_rotation if begun else registry.finish_rotation)(device.ek_name)
            device = registry.find(ek_name=device.ek_name) or device
        found.update(generation=device.auth_generation, auths=held.auths(device))
        if begun:
            # Durable, and read back, before anybody may send them to a TPM.
            found["next_auths"] = held.auths(device, generation=device.auth_pending or device.auth_generation + 1)
        return found
