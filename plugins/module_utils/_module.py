# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The layer between Ansible and the engine: only this file and the modules turn a failure into ``fail_json``."""

from __future__ import annotations

import functools
import os
import signal
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec, _secret, _task, _values
from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import reader
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import modes
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.engine import Outcome
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.model import Resource
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.ways import Ways
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import replay, tcti

Build = t.Callable[[t.Mapping[str, t.Any]], list[Resource]]


class Module(AnsibleModule):
    """An AnsibleModule whose arguments never appear in the device's log or in the result.

    While ansible-core makes the object, it writes all arguments to syslog or the journal: before this collection can say which of them are secret,
    and in escaped forms that ansible-core's own masking does not find.
    """

    # ansible-core can fail before it has read the arguments.
    params: t.Any = None
    no_log_values: set[str]
    # What is wrong with the arguments as they came; ansible-core hides that by converting them.
    misread = ""

    def _load_params(self) -> None:
        """Read the arguments, and check them before ansible-core converts other values to text."""
        super()._load_params()
        self.misread = _values.misread(self.params, self.argument_spec)

    def log(self, msg: str | bytes, log_args: t.Any = None) -> None:
        """Log nothing: warnings go into the result, while other people read the device's log and it is kept for years."""

    def _log_invocation(self) -> None:
        """Log no invocation at all: the arguments hold secrets."""

    def exit_json(self, **kwargs: t.Any) -> None:
        """End the module with success (does not return); the result does not contain the arguments."""
        self.no_log_values = _secret.masked(self.no_log_values)
        super().exit_json(**{**kwargs, "invocation": {}})

    def fail_json(self, msg: str, **kwargs: t.Any) -> None:
        """End the module with a failure (does not return); all secrets among its parameters are masked.

        They are masked also when the arguments do not match their specification: ansible-core may not have collected any no_log value by then.
        """
        self.no_log_values = _secret.masked({*self.no_log_values, *_secret.hidden(self.params, self.argument_spec)})
        super().fail_json(msg, **{**kwargs, "invocation": {}})


def create(spec: _argspec.Spec) -> AnsibleModule:
    """The module object. From here on SIGTERM raises an error like others, so that sessions and objects are flushed."""
    module = Module(argument_spec={**_argspec.connection(), **spec}, supports_check_mode=True)
    module.no_log_values.update(_secret.hidden(module.params, module.argument_spec))
    if module.misread:
        module.fail_json(msg=module.misread, reason="input")

    def stop(number: int, _frame: t.Any) -> None:
        raise errors.TpmError(f"Stopped by signal {number} (SIGTERM) in mid-work; run again to finish.", reason="interrupted")

    signal.signal(signal.SIGTERM, stop)
    return module


def _check_owned(module: AnsibleModule, resource: Resource) -> None:
    """Check a file's mode, owner and group before anything is changed. Raises InputError."""
    if resource.owned_file is None:
        return
    path, wanted = resource.owned_file
    mode = wanted.get("mode")
    if mode is None and wanted.get("owner") is None and wanted.get("group") is None:
        return
    # Imported here and not at the top: few resources keep a file with an owner of its own.
    import grp
    import pwd

    for kind, find in (("owner", pwd.getpwnam), ("group", grp.getgrnam)):
        name = wanted.get(kind)
        try:
            _found = name is None or modes.numeric(kind, str(name), path) or find(str(name))
        except KeyError:
            raise modes.no_such(kind, name, path) from None
    modes.check(path, mode, lambda text: module._symbolic_mode_to_octal(os.stat("/"), text) & 0o7777)


def _files(module: AnsibleModule, resources: t.Sequence[Resource]) -> bool:
    """Set mode, owner and group of the files that resources keep. Returns whether something changed."""
    changed = False
    for resource in resources:
        if resource.owned_file is None or not os.path.exists(resource.owned_file.path):
            continue
        path, wanted = resource.owned_file
        changed = module.set_mode_if_different(path, wanted.get("mode"), changed)
        changed = module.set_owner_if_different(path, wanted.get("owner"), changed)
        changed = module.set_group_if_different(path, wanted.get("group"), changed)
    return changed


def ensure(spec: _argspec.Spec, build: Build, flat: bool = False) -> None:
    """Run the resources that ``build`` makes from the module's parameters, and end the module.

    ``flat``: the module has one resource, whose results become the module's own.
    """
    module = create({**_argspec.session_key(), **_argspec.execution(), **_argspec.known_answers(), **spec})
    outcome = Outcome()
    try:
        resources = build(module.params)
        for resource in resources:
            _check_owned(module, resource)
        place, known = tcti.resolve(module.params["tcti"]), replay.parse(module.params["known_answers"])
        way = Ways(place, connect=functools.partial(reader.connect, known=known))
        engine = way.engine(_task.given(module.params), salt=_task.salt(module.params))
        if module.params.get("library_to_come"):
            engine.expect_library()
        engine.run(resources, module.check_mode, outcome)
    except errors.TpmError as failed:
        module.fail_json(msg=failed.message, **failed.words(), **_task.failure(outcome))
    for note in outcome.notes:
        module.warn(note)
    result = _task.result(outcome, predicted=module.check_mode, diff=module._diff)
    result["changed"] = _files(module, resources) or result["changed"]
    if flat:
        result.update(outcome.plans[0].result)
    if module.params.get("return_reads"):
        result["reads"] = _task.reads(engine, outcome)
    module.exit_json(**result)


def inform(spec: _argspec.Spec, gather: t.Callable[[t.Mapping[str, t.Any], tcti.Tcti], dict[str, t.Any]]) -> None:
    """Return what ``gather`` reads from the TPM, and end the module."""
    module = create({**_argspec.execution(), **spec})
    try:
        facts = gather(module.params, tcti.resolve(module.params["tcti"]))
    except errors.TpmError as failed:
        module.fail_json(msg=failed.message, **failed.words())
    for note in facts.pop("notes", []):
        module.warn(note)
    module.exit_json(changed=False, **facts)


Salt = t.Optional[tuple[int, bytes]]
Talk = t.Callable[[t.Mapping[str, t.Any], Ways, t.Mapping[int, bytes], Salt, bool, Outcome], dict[str, t.Any]]


def exchange(spec: _argspec.Spec, talk: Talk) -> None:
    """Return what ``talk`` learns from the TPM, together with the steps that it carried out, and end the module."""
    module = create({**_argspec.session_key(), **_argspec.execution(), **spec})
    outcome = Outcome()
    try:
        way, params = Ways(tcti.resolve(module.params["tcti"])), module.params
        found = talk(params, way, _task.given(params), _task.salt(params), module.check_mode, outcome)
    except errors.TpmError as failed:
        module.fail_json(msg=failed.message, **failed.words(), **_task.failure(outcome))
    for note in outcome.notes:
        module.warn(note)
    module.exit_json(**_task.result(outcome, predicted=module.check_mode, diff=module._diff), **found)


def only_on_the_controller(spec: _argspec.Spec, *, connection: bool) -> None:
    """End a module that exists only to document an action plugin; it was run on a device by mistake."""
    module = Module(argument_spec={**(_argspec.connection() if connection else {}), **spec}, supports_check_mode=True)
    module.fail_json(
        msg="Could not run this on the device: it belongs to the controller; call it by its full name, edgefleet.tpm2.NAME.", reason="input"
    )


__all__ = ("create", "ensure", "exchange", "inform", "only_on_the_controller")
