# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine, whole, on a TPM of Python: what is planned, in which order it is done, and how each verb is authorised."""

from __future__ import annotations

import contextlib
import json
import pathlib
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from unit.fakes import TR_PASSWORD, FakeTpm

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec, _kinds
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import engine, model, unseal
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, handles
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport.tcti import Tcti

Items = list[dict[str, dict[str, t.Any]]]
_SPEC, _UNSEAL = ArgumentSpecValidator(_kinds.profile()), ArgumentSpecValidator(_argspec.unseal())


def _valid(spec: ArgumentSpecValidator, parameters: dict[str, t.Any]) -> dict[str, t.Any]:
    # As they come to a module: through JSON.
    found = spec.validate(json.loads(json.dumps(parameters)))
    assert not found.error_messages, found.error_messages
    return t.cast("dict[str, t.Any]", found.validated_parameters)


class Bed:
    """A TPM and a folder; profiles are run on them as the module does it, with the defaults of the argument spec."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.tpm, self.folder = FakeTpm(), folder
        self.library = True

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def run(self, *items: dict[str, dict[str, t.Any]], check: bool = False, **given: bytes) -> engine.Outcome:
        """One run of a profile; `given` are auth values by hierarchy. The laws are checked also where it fails."""
        return self._run(_kinds.build(_valid(_SPEC, {"resources": list(items)})["resources"]), check, given)

    def unseal(self, options: dict[str, t.Any], check: bool = False, **given: bytes) -> engine.Outcome:
        """One run of tpm2_unseal."""
        return self._run([unseal.Unseal(_valid(_UNSEAL, options))], check, given)

    def _run(self, resources: list[model.Resource], check: bool, given: dict[str, bytes]) -> engine.Outcome:
        outcome, before = engine.Outcome(), len(self.tpm.calls)
        auths = {handles.HIERARCHIES[name]: value for name, value in given.items()}
        try:
            engine.Engine(
                Tcti("swtpm", ""),
                auths,
                connect=lambda _place: contextlib.nullcontext(self.tpm),
                open_backend=self._open,
                require_library=self._require_library,
            ).run(resources, check, outcome)
        finally:
            self._laws(before, check)
        return outcome

    def _open(self, _place: Tcti, _nv_buffer: int) -> FakeTpm:
        self._require_library()
        self.tpm.opened += 1
        return self.tpm

    def _require_library(self) -> None:
        if not self.library:
            raise errors.DependencyError("there is no library")

    def _laws(self, before: int, check: bool) -> None:
        calls = self.tpm.calls[before:]
        in_clear = [call for call in calls if call.session == TR_PASSWORD and (call.value or call.secret)]
        assert in_clear == [], "a secret would cross in clear"
        assert self.tpm.loaded == [], "something is left loaded"
        assert self.tpm.closed == self.tpm.opened, "a connection is left open"
        if check:
            assert {call.verb for call in calls} <= {"holds", "load", "unseal", "nv_read"}, "check mode changes something"

    def plan(self, *items: dict[str, dict[str, t.Any]], **given: bytes) -> list[str]:
        """The sentences of the steps that check mode predicts."""
        return [step["sentence"] for step in self.run(*items, check=True, **given).steps]

    def converge(self, *items: dict[str, dict[str, t.Any]], after: dict[str, bytes] | None = None, **given: bytes) -> list[str]:
        """Check mode, the run, and a second run: predicted is what happens, and then nothing is left to do. Returns the verbs.

        `after` are the auth values that are given to the second run.
        """
        predicted = self.run(*items, check=True, **given)
        start = len(self.tpm.calls)
        done = self.run(*items, **given)
        verbs = self.tpm.verbs()[start:]
        assert [step["sentence"] for step in predicted.steps] == [step["sentence"] for step in done.steps]
        assert predicted.diff == done.diff
        assert done.done == len(done.steps)
        opened = self.tpm.opened
        again = self.run(*items, **(given if after is None else after))
        assert again.steps == [] and [plan.report()["state"] for plan in again.plans] == ["ok"] * len(items)
        assert again.diff["before"] == again.diff["after"]
        if not any(call.verb in ("holds", "unseal", "nv_read") for call in self.tpm.calls[start + len(verbs) :]):
            assert self.tpm.opened == opened, "a run that changes nothing opened the TSS"
        return verbs
