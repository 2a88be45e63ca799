# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Bring a device into the state that a task declares, from the controller: the module's run, with the TPM and the files at the other end of a channel.

Auth values and secrets go from here into the TPM in the run's salted sessions. What reaches the device's operating system is what a listener on the
TPM's bus sees.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _task
from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import base, esapi, own_tcti
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import engine, evidence_task, model, modes, places, ways
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import tcti
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import comparison
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay.live import Live

Result = dict[str, t.Any]


def make(module: str, options: t.Mapping[str, t.Any], *, check: bool, diff: bool, device: Live) -> Result:
    """The module's result. ``check``: only plan. Raises ElsewhereError, before anything is changed, if only the module on the device can do this."""
    params, outcome = comparison.valid(module, options), engine.Outcome()
    way = ways.Ways(
        device.place,
        transport=lambda _place: device,
        connect=device.connect,
        open_backend=_opener(device),
        require_library=esapi.require_library,
        files=device,
    )
    try:
        if module == "tpm2_evidence":
            found = evidence_task.talk(params, way, _task.given(params), _task.salt(params), check, outcome)
            result = {**_task.result(outcome, predicted=check, diff=diff), **found}
        else:
            result = _ensure(comparison.made(module, params), params, outcome, check, diff, way, device)
            if module == "tpm2_unseal":
                result.update(outcome.plans[0].result)
    except errors.TpmError as failed:
        result = {"failed": True, "msg": failed.message, **failed.words(), **_task.failure(outcome)}
    if outcome.notes:
        result["warnings"] = list(outcome.notes)
    return comparison.masked(module, options, result)


def _ensure(
    resources: t.Sequence[model.Resource], params: Result, outcome: engine.Outcome, check: bool, diff: bool, way: ways.Ways, device: Live
) -> Result:
    """The result of a module that ensures something. Raises TpmError, ElsewhereError."""
    for owned in filter(None, (resource.owned_file for resource in resources)):
        _check_owned(owned, device)
    places.check_all(resources, device)
    run = way.engine(_task.given(params), salt=_task.salt(params))
    run.run(resources, check, outcome)
    result = _task.result(outcome, predicted=check, diff=diff)
    for owned in filter(None, (resource.owned_file for resource in resources)):
        if comparison.differs(owned, device.look(owned.path)):
            result["changed"] = True
            if not check:
                _own(owned, device)
    if params.get("return_reads"):
        result["reads"] = _task.reads(run, outcome)
    return result


def _opener(device: Live) -> t.Callable[[tcti.Tcti, int], base.Backend]:
    """How the TSS is opened over the relay. From then on, the module on the device cannot go on with the task."""

    def opened(place: tcti.Tcti, nv_buffer: int) -> base.Backend:
        device.begun = True
        return esapi.Esapi(place, nv_buffer, own_tcti.OwnTcti(device))

    return opened


def _check_owned(owned: model.OwnedFile, device: Live) -> None:
    """Check a file's mode, owner and group before anything is changed. Raises InputError."""
    for kind in ("owner", "group"):
        name = owned.options.get(kind)
        if name is None or modes.numeric(kind, str(name), owned.path):
            continue
        if device.own(None, None, **{"owner": None, "group": None, kind: name}):
            raise modes.no_such(kind, name, owned.path)
    modes.check(owned.path, owned.options.get("mode"), comparison.symbolic(0o755))


def _own(owned: model.OwnedFile, device: Live) -> None:
    """Give a file the mode, owner and group of its task. Raises TpmError."""
    found, mode = device.look(owned.path), owned.options.get("mode")
    wanted = None if mode is None else modes.number(mode, comparison.symbolic(found["mode"]))
    number = device.own(owned.path, wanted, owned.options.get("owner"), owned.options.get("group"))
    if number:
        raise errors.TpmError(
            f"Could not give {owned.path} its mode, owner and group: the device refuses ({os.strerror(number)}); run with become as root, or "
            "leave them out.",
            reason="file",
            object=owned.path,
        )


__all__ = ("make",)
