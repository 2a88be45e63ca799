# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec_identity
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _action_support, _configuration, _plain
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._escrow import Escrow
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import ask, records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.store import Registry

Result = dict[str, t.Any]
SPEC = _argspec_identity.auth_generation()


class ActionModule(ActionBase):
    """Moves a device's auth values from one generation to the next, in the registry."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        """Begin or finish a rotation for the device of this task."""
        result: Result = super().run(tmp, task_vars)
        _valid, given = self.validate_argument_spec(argument_spec=SPEC)
        check = bool(self._task.check_mode)
        return _action_support.result_of(result, lambda: _move(self._task.args, _plain.plain(given), self._loader.path_dwim, check=check))


def _move(raw: t.Any, options: _action_support.Options, path: t.Callable[[str], str], *, check: bool) -> Result:
    _configuration.refuse_injection()
    _action_support.check_texts(raw, SPEC)
    with open_registry(options["registry"], timeout=options["timeout"], create=not check, must_exist=True) as registry:
        device = _action_support.find(registry, options)
        if device is None:
            who = options["serial"] or options["ek_name"] or options["host"]
            raise InputError(f"Could not replace the auth values of {who}: it is not enrolled; enroll it first (playbook day_zero).")
        device = _action_support.proven(registry, device, options, path=path)
        _refuse_others(registry, device, options["host"] or device.host)
        held = _action_support.escrow(registry, options["escrow"], create=not check, path=path)
        if options["state"] == "begun":
            return _begin(registry, device, held, check)
        return _finish(registry, device, held, options["generation"], check)


def _begin(registry: Registry, device: records.Device, held: Escrow, check: bool) -> Result:
    changed, following = device.auth_pending is None, device.auth_pending or device.auth_generation + 1
    # The values are stored and read back before they can reach a TPM. They are opened before the rotation begins, because with a wrong master
    # or mode nobody could finish it.
    found = {"auths": held.auths(device), "next_auths": held.auths(device, generation=following), "next_generation": following}
    if changed and not check and registry.begin_rotation(device.ek_name) != following:
        raise InputError(
            f"Could not replace the auth values of {device.serial}: another controller is rotating them; run again when it has finished."
        )
    return {"ek_name": device.ek_name, "changed": changed, "generation": device.auth_generation, **found}


def _finish(registry: Registry, device: records.Device, held: Escrow, generation: int | None, check: bool) -> Result:
    changed = device.auth_pending is not None and generation in (None, device.auth_pending)
    if changed and not check:
        device = dataclasses.replace(device, auth_generation=registry.finish_rotation(device.ek_name, generation), auth_pending=None)
    return {"ek_name": device.ek_name, "changed": changed, "generation": device.auth_generation, "auths": held.auths(device)}


def _refuse_others(registry: Registry, device: records.Device, host: str) -> None:
    """Raises InputError if the host is in quarantine, or is not the host at which the device is registered.

    This module returns auth values, and later tasks send them to what answers at that host, so even ``finished`` checks this. A refusal leaves
    the rotation pending, but a genuine device is not stuck: the playbook day_zero recognises it without any auth and closes the incident or
    registers the new host; then the rotation can be begun again, which continues the pending one, and finished.
    """
    problem = ask.incident(registry, host=host, serial=device.serial)
    if problem:
        raise InputError(
            f"Could not replace the auth values of {device.serial}: {host or device.serial} is quarantined ({problem.reason}); mend the "
            "cause and run the playbook edgefleet.tpm2.day_zero for it first."
        )
    if ask.elsewhere(device, host):
        raise InputError(
            f"{device.serial} was enrolled as {device.host}, not as {host}; run the playbook edgefleet.tpm2.day_zero for it first, which "
            "proves that it has moved."
        )
