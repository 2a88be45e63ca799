# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec_identity
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _action_support, _configuration, _plain
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._escrow import HIERARCHIES
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import ask
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import is_there, missing, open_registry

Result = dict[str, t.Any]
SPEC = _argspec_identity.registry_info()


class ActionModule(ActionBase):
    """Looks a device up in the registry, without contacting the device."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        """Look the device of this task up."""
        result: Result = super().run(tmp, task_vars)
        _valid, given = self.validate_argument_spec(argument_spec=SPEC)
        return _action_support.result_of(
            result, lambda: _look(self._task.args, _plain.plain(given), self._loader.path_dwim, create=not self._task.check_mode)
        )


def _look(raw: t.Any, options: _action_support.Options, path: t.Callable[[str], str], *, create: bool) -> Result:
    _configuration.refuse_injection()
    _action_support.check_texts(raw, SPEC)
    url, timeout = options["registry"], options["timeout"]
    # Only an auth value that is requested for the first time is written. A registry that does not exist is not created.
    writes = create and bool(options["escrow"]) and is_there(url, timeout=timeout)
    with open_registry(url, timeout=timeout, create=writes) as registry:
        device, doubt = _action_support.seen(registry, options, path=path)
        host, serial = options["host"] or (device.host if device else ""), options["serial"] or (device.serial if device else "")
        problem = ask.incident(registry, host=host, serial=serial)
        found: Result = {"changed": False, "device": ask.describe(device, problem, doubt)}
        found["registry"] = {"where": registry.shown, "exists": registry.there, "detail": "" if registry.there else missing(url)}
        # No auth value is derived for a device in quarantine, an unproven one, or another host than the signed one.
        trusted = None if problem or doubt or device is None or ask.elsewhere(device, options["host"]) else device
        found["trusted"] = trusted is not None and trusted.auth_pending is None
        if options["escrow"]:
            held = _action_support.escrow(registry, options["escrow"], create=create, path=path)
            found["auths"] = held.auths(trusted) if trusted else dict.fromkeys(HIERARCHIES, "")
            if trusted and trusted.auth_pending is not None:
                found["next_auths"] = held.auths(trusted, generation=trusted.auth_pending)
        return found
