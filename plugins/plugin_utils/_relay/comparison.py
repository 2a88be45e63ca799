# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Compare a device with what a task declares, on the controller: the same observation and the same plan as in the module.

If there is nothing to do, that is the task's result, and the device has been sent no option of it, and so no secret. In every other case (something is
to be changed, or is wrong, or takes a session) the module on the device does the task, beginning with what has been read here.
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec, _kinds, _task
from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import base
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import context, engine, model, modes, observation, observe, places
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, errors, marshal, nv
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import tcti
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay.remote import Carry, ElsewhereError, Remote

# Imported before Ansible forks its workers, so that not every one of them imports the classes.
_CLASSES = {name: kind.load() for name, kind in _kinds.KINDS.items()}
_ONE_KIND = {f"tpm2_{name}": name for name in _CLASSES}
MODULES = frozenset((*_ONE_KIND, "tpm2_profile"))


class Compared(t.NamedTuple):
    """``result``: that of the module, if there is nothing to do; else None, and ``why`` is a word. ``answers``: what the TPM has responded, by command."""

    result: dict[str, t.Any] | None
    why: str
    answers: dict[bytes, bytes]


def compare(module: str, options: t.Mapping[str, t.Any], *, diff: bool, carry: Carry) -> Compared:
    """Compare one device with the options of a task, which are plain values, as yet unchecked. ``diff``: whether the result has a diff."""
    remote: Remote | None = None
    try:
        params = _valid(module, options)
        remote = Remote(params["tcti"], carry)
        return Compared(_unchanged(module, params, remote, diff), "", remote.answers)
    except ElsewhereError as elsewhere:
        why = str(elsewhere)
    except errors.TpmError as failed:
        why = failed.reason
    return Compared(None, why, {} if remote is None else remote.answers)


def _valid(module: str, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    for path in _paths(options, spec(module)):
        # Ansible replaces ~ and $NAME in paths, which would be the controller's.
        if "~" in path or "$" in path:
            raise ElsewhereError("path")
    found = ArgumentSpecValidator(spec(module)).validate(dict(options))
    if found.error_messages:
        raise ElsewhereError("options")
    return t.cast("dict[str, t.Any]", found.validated_parameters)


def _paths(options: t.Any, known: _argspec.Spec) -> t.Iterator[str]:
    """All paths among options. Raises ElsewhereError for options that are given as text (JSON, or key=value), which may hold paths."""
    for one in options if isinstance(options, list) else [options]:
        if not isinstance(one, dict):
            raise ElsewhereError("options")
        for name, value in one.items():
            inside = known.get(name, {})
            if inside.get("type") == "path":
                yield str(value)
            elif inside.get("options") and value is not None:
                yield from _paths(value, inside["options"])


def spec(module: str) -> _argspec.Spec:
    """The argument specification of one of ``MODULES``."""
    own = _kinds.profile() if module == "tpm2_profile" else _kinds.KINDS[_ONE_KIND[module]].spec()
    return {**_argspec.connection(), **_argspec.session_key(), **_argspec.execution(), **own}


def _unchanged(module: str, params: dict[str, t.Any], remote: Remote, diff: bool) -> dict[str, t.Any]:
    """The module's result. Raises ElsewhereError unless there is nothing to do, TpmError if something is wrong."""
    profile = module == "tpm2_profile"
    resources = _kinds.make(params["resources"]) if profile else [_CLASSES[_ONE_KIND[module]](params)]
    given, outcome = _task.given(params), engine.Outcome()
    _ahead(resources, given, remote)
    if profile:
        places.check_all(resources, remote)
    run = engine.Engine(
        tcti.Tcti("relay", ""),
        given,
        salt=_task.salt(params),
        connect=remote.connect,
        open_backend=_no_session,
        require_library=lambda: None,
        disk=remote,
    )
    run.run(resources, True, outcome)
    if outcome.steps:
        raise ElsewhereError("change")
    for resource in resources:
        _check_owned(resource.owned_file, remote)
    result = _task.result(outcome, predicted=True, diff=diff)
    if params.get("return_reads"):
        result["reads"] = _task.reads(run, outcome)
    return {**result, **({"warnings": outcome.notes} if outcome.notes else {})}


def _no_session(_place: tcti.Tcti, _nv_buffer: int) -> base.Backend:
    raise ElsewhereError("session")


def _ahead(resources: t.Sequence[model.Resource], given: t.Mapping[int, bytes], remote: Remote) -> None:
    """Fetch, in one exchange, what the resources ask for first, and what they will ask for next if the device is as they expect."""
    nothing = observation.Observation()
    run = context.Run(given, nothing, remote)
    for resource in resources:
        resource.declare(run)
    facts = [fact for fact in observe.wanted(resources, nothing) if fact.kind != "session"]
    with remote.connect(tcti.Tcti("relay", "")) as reader:
        observe.read(reader, facts, nothing, remote)
        for resource in resources:
            for claim in resource.claims():
                if claim.option == "src":
                    # It holds a secret in plain text, which is to stay on the device: Ansible shows what programs print at -vvv.
                    raise ElsewhereError("src")
                if claim.place in (model.FILE, model.SOURCE):
                    remote.expect(claim.text)
            _guess(resource, reader, remote)
        reader.fetch()


def _guess(resource: model.Resource, reader: base.Reads, remote: Remote) -> None:
    """Ask for the content of an NV index together with its definition, which says how the content may be read: only if it is the expected one."""
    for public in resource.expects():
        expected = observation.Observation()
        expected["nv_public", public.index] = public
        contents = [fact for fact in resource.facts(expected) if fact.kind == "nv_content"]
        with remote.only_if(marshal.command(constants.CC_NV_READ_PUBLIC, [public.index]), nv.answered(public)):
            observe.read(reader, contents, expected, remote)


def _check_owned(owned: model.OwnedFile | None, remote: Remote) -> None:
    """Raises ElsewhereError unless a file has the mode, owner and group that a task asks for.

    The module refuses a wrong mode and an unknown owner even if there is no file, so such a task is left to it.
    """
    if owned is None:
        return
    found, wanted = remote.look(owned.path), owned.options
    mode = wanted.get("mode")
    if mode is not None and (
        modes.fault(mode, _symbolic) or (mode if isinstance(mode, int) else int(mode.replace("o", ""), 8)) != found.get("mode")
    ):
        raise ElsewhereError("mode")
    for place, kind in enumerate(("owner", "group")):
        name = wanted.get(kind)
        # Ansible takes a number for a number, even if a user has that name.
        if name is not None and ("mode" not in found or str(name) != str(found["ids" if str(name).isdigit() else "names"][place])):
            raise ElsewhereError("owner")


def _symbolic(text: str) -> int:
    raise ElsewhereError("mode")


__all__ = ("MODULES", "Compared", "compare", "spec")
