# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Compare a device with what a task declares, on the controller: the same observation and the same plan as in the module.

If there is nothing to do, that is the task's result, and the device has been sent no auth value and no secret. In every other case (something is to be
changed, or is wrong, or takes a session) the task goes on with what has been read here: from the controller (changes.py), or in the module on the device.
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec, _argspec_identity, _kinds, _secret, _task
from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import base
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import (
    context,
    engine,
    model,
    modes,
    observation,
    observe,
    places,
    ways,
)
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.unseal import Unseal
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, errors, marshal, nv
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import tcti
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay.remote import Carry, ElsewhereError, Remote

# Imported before Ansible forks its workers, so that not every one of them imports the classes.
_CLASSES = {name: kind.load() for name, kind in _kinds.KINDS.items()}
# The response code in a response (Part 1, section 18), in bytes.
SUCCESS, CODE_AT = bytes(4), 6
_ONE_KIND = {f"tpm2_{name}": name for name in _CLASSES}
MODULES = frozenset((*_ONE_KIND, "tpm2_profile"))
# What is nothing but commands in sessions, so that there is nothing to compare first.
IN_SESSIONS = frozenset(("tpm2_evidence", "tpm2_unseal"))


class Compared(t.NamedTuple):
    """``result``: that of the module, if there is nothing to do; else None, and ``why`` is a word. ``remote``: what has been read, if anything was asked.

    ``said``: a clause, ``failed``: an error; each if it is known what is wrong.
    """

    result: dict[str, t.Any] | None
    why: str
    remote: Remote | None
    said: str = ""
    failed: errors.TpmError | None = None

    @property
    def answers(self) -> dict[bytes, bytes]:
        """What the TPM has responded, by command."""
        return {} if self.remote is None else self.remote.answers


def compare(module: str, options: t.Mapping[str, t.Any], *, diff: bool, carry: Carry) -> Compared:
    """Compare one device with the options of a task, which are plain values, as yet unchecked. ``diff``: whether the result has a diff."""

    def look(params: dict[str, t.Any], remote: Remote) -> dict[str, t.Any]:
        if module in IN_SESSIONS:
            remote.fetch()
            raise ElsewhereError("change")
        return masked(module, options, _unchanged(module, params, remote, diff))

    return attempt(module, options, carry, look)


def attempt(
    module: str,
    options: t.Mapping[str, t.Any],
    carry: Carry,
    look: t.Callable[[dict[str, t.Any], Remote], dict[str, t.Any]],
) -> Compared:
    """What ``look`` finds on a device, given the checked options and the device; or why it cannot say: it may raise ElsewhereError and TpmError."""
    remote: Remote | None = None
    try:
        params = valid(module, options)
        remote = Remote(params["tcti"], carry)
        return Compared(look(params, remote), "", remote)
    except ElsewhereError as elsewhere:
        return Compared(None, elsewhere.why, remote, elsewhere.said, elsewhere.failed)
    except errors.TpmError as failed:
        return Compared(None, failed.reason, remote, failed=failed)


def valid(module: str, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The options as the module would have them. Raises ElsewhereError if it would refuse them."""
    for path in _paths(options, spec(module)):
        # Ansible replaces ~ and $NAME in paths, which would be the controller's.
        if "~" in path or "$" in path:
            raise ElsewhereError("path")
    found = ArgumentSpecValidator(spec(module)).validate(dict(options))
    if found.error_messages:
        wrong = f"Could not take the options of {module}: {'; '.join(found.error_messages)}; see ansible-doc edgefleet.tpm2.{module}."
        raise ElsewhereError("options", failed=errors.InputError(wrong))
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
    """The argument specification of a device module, with all that the controller's part of one may take."""
    name = module.removeprefix("tpm2_")
    others = {"evidence": _argspec_identity.evidence, "profile": _kinds.profile}
    common = {**_argspec.connection(), **_argspec.session_key(), **_argspec.execution(), **_argspec.known_answers()}
    return {**common, **(others.get(name) or vars(_argspec)[name])()}


def _unchanged(module: str, params: dict[str, t.Any], remote: Remote, diff: bool) -> dict[str, t.Any]:
    """The module's result. Raises ElsewhereError unless there is nothing to do, TpmError if something is wrong."""
    resources = made(module, params)
    given, salt, outcome = _task.given(params), _task.salt(params), engine.Outcome()
    _ahead(resources, given, remote)
    places.check_all(resources, remote)
    way = ways.Ways(tcti.Tcti("relay", ""), connect=remote.connect, open_backend=_no_session, require_library=lambda: None, files=remote)
    run = way.engine(given, salt=salt)
    run.run(resources, True, outcome)
    if outcome.steps:
        raise ElsewhereError("change")
    for owned in filter(None, (resource.owned_file for resource in resources)):
        found = remote.look(owned.path)
        if differs(owned, found) or _unchecked(owned, found):
            raise ElsewhereError("attributes")
    result = _task.result(outcome, predicted=True, diff=diff)
    if params.get("return_reads"):
        result["reads"] = _task.reads(run, outcome)
    return {**result, **({"warnings": outcome.notes} if outcome.notes else {})}


def masked(module: str, options: t.Mapping[str, t.Any], result: dict[str, t.Any]) -> dict[str, t.Any]:
    """The result with the task's secrets masked in all its texts, as the module does it; there should be none."""
    return t.cast("dict[str, t.Any]", remove_values(result, _secret.masked(_secret.hidden(options, spec(module)))))


def made(module: str, params: t.Mapping[str, t.Any]) -> list[model.Resource]:
    """The resources that a task declares. Raises InputError."""
    if module == "tpm2_profile":
        return _kinds.make(params["resources"])
    return [Unseal(params) if module == "tpm2_unseal" else _CLASSES[_ONE_KIND[module]](params)]


def _no_session(_place: tcti.Tcti, _nv_buffer: int) -> base.Backend:
    raise ElsewhereError("session")


def _ahead(resources: t.Sequence[model.Resource], given: t.Mapping[int, bytes], remote: Remote) -> None:
    """Fetch, in one exchange, what the resources ask for first, and what they will ask for next if the device is as they expect."""
    nothing = observation.Observation()
    run = context.Run(given, nothing, remote)
    for resource in resources:
        resource.declare(run)
    claims = [claim for resource in resources for claim in resource.claims()]
    remote.private = {claim.text for claim in claims if claim.option == "src"}
    facts = [fact for fact in observe.wanted(resources, nothing) if fact.kind != "session" and fact.key not in remote.private]
    with remote.connect(tcti.Tcti("relay", "")) as reader:
        definitions = [fact for fact in facts if fact.kind == "nv_public"]
        observe.read(reader, [fact for fact in facts if fact not in definitions], nothing, remote)
        # Where an object is missing, more has to be asked anyway: then perhaps for a list of all indices, which makes these commands needless.
        objects = [fact.key for fact in facts if fact.kind == "public"]
        with remote.only_if(marshal.command(constants.CC_READ_PUBLIC, objects[-1:]), SUCCESS, CODE_AT):
            observe.read(reader, definitions, nothing, remote)
        for claim in claims:
            if claim.place in (model.FILE, model.SOURCE) and claim.text not in remote.private:
                remote.expect(claim.text)
        for resource in resources:
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


def differs(owned: model.OwnedFile, found: t.Mapping[str, t.Any]) -> bool:
    """Whether a file that is there lacks the mode, owner or group that a task asks for. ``found``: what is at its path (see ``Remote.look``).

    Raises InputError for a number that no owner or group can have.
    """
    wanted = owned.options
    if "mode" not in found:
        return False
    mode = wanted.get("mode")
    if mode is not None and (modes.fault(mode, symbolic(found["mode"])) or modes.number(mode, symbolic(found["mode"])) != found["mode"]):
        return True
    for kind, name, number in zip(("owner", "group"), found["names"], found["ids"]):
        one = wanted.get(kind)
        # Ansible takes a number for a number, even if a user has that name.
        if one is not None and (int(one) != number if modes.numeric(kind, str(one), owned.path) else str(one) != name):
            return True
    return False


def _unchecked(owned: model.OwnedFile, found: t.Mapping[str, t.Any]) -> bool:
    """Whether there is no file, though its mode, owner or group are given: a wrong mode and an unknown owner are refused even then."""
    return "mode" not in found and any(owned.options.get(name) is not None for name in ("mode", "owner", "group"))


def symbolic(now: int) -> t.Callable[[str], int]:
    """What words such as u=rw,g=r mean for a file with the mode ``now``. Raises ElsewhereError for words whose meaning hangs on the device's umask."""
    there = _Stat(now)

    def number(text: str) -> int:
        if any(clause[:1] in ("+", "-", "=") for clause in text.split(",")):
            raise ElsewhereError("umask")
        return int(AnsibleModule._symbolic_mode_to_octal(there, text)) & 0o7777

    return number


class _Stat(t.NamedTuple):
    st_mode: int


__all__ = ("IN_SESSIONS", "MODULES", "Compared", "attempt", "compare", "differs", "made", "masked", "spec", "valid")
