# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""One run: observe, plan, check, apply. The fine-grained modules run one resource, tpm2_profile a list; the code is the same."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.reader import Reader
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import model, observe
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.context import Run
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, handles, names, nv
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import tcti as transport

# A device compiles all that it imports anew in every run: what only a run that changes something needs is imported there.
if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Backend

# Steps that change files only: they need neither the TPM nor a library.
LOCAL = ("export", "remove_file", "unseal")


class Outcome:
    """What a run found and did. C(done) counts the steps that were carried out, also where the run then failed.

    C(touched): something was changed, be it by a step that then failed in its middle.
    """

    def __init__(self) -> None:
        self.touched = False
        self.plans: list[model.Plan] = []
        self.done = 0
        self.notes: list[str] = []

    @property
    def steps(self) -> list[dict[str, t.Any]]:
        """All planned steps in the order of work, for the result."""
        return [_describe(plan, step) for plan in self.plans for step in plan.steps]

    @property
    def diff(self) -> dict[str, t.Any]:
        """Before and after, by object."""
        before: dict[str, t.Any] = {}
        after: dict[str, t.Any] = {}
        for plan in self.plans:
            _merge(before, plan.before)
            _merge(after, plan.after)
        return {"before": before, "after": after}


def _merge(told: dict[str, t.Any], more: t.Mapping[str, t.Any]) -> None:
    """Two resources may be about one object: the lockout hierarchy, and how it counts wrong tries."""
    for name, value in more.items():
        both = isinstance(value, dict) and isinstance(told.get(name), dict)
        told[name] = {**told[name], **value} if both else value


def _describe(plan: model.Plan, step: model.Step) -> dict[str, t.Any]:
    return {
        "resource": f"{plan.kind} {plan.object}",
        "action": step.action,
        "sentence": step.sentence,
        "cost": step.cost._asdict(),
        "reversible": step.reversible,
    }


class _Pinned:
    """Asks for the public area of the key to which alone sessions may be salted."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def facts(self, _seen: model.Observation) -> t.Iterable[model.Fact]:
        return [model.Fact("public", self._handle)]


class Engine:
    """One TPM and the auth values that hold before the run.

    C(seen): what was read of it already. C(salt): the handle and Name of the key to which alone sessions may be salted.
    """

    def __init__(
        self,
        tcti: transport.Tcti,
        given: t.Mapping[int, bytes],
        seen: model.Observation | None = None,
        salt: tuple[int, bytes] | None = None,
    ) -> None:
        self._tcti = tcti
        self._given = given
        self._backend: Backend | None = None
        self._seen = model.Observation() if seen is None else seen
        self._salt = salt

    @property
    def seen(self) -> model.Observation:
        """What has been read so far."""
        return self._seen

    def run(self, resources: t.Sequence[model.Resource], check: bool, outcome: Outcome) -> None:
        """Bring the TPM into the state of C(resources), or find out what it would take. Fills C(outcome). Raises TpmError."""
        ordered = _in_order(resources)
        run = Run(self._given, self._seen)
        for resource in ordered:
            getattr(resource, "declare", lambda _run: None)(run)
        try:
            self._observe(ordered)
            plans = [self._plan(resource, run) for resource in ordered]
            outcome.plans = plans
            if any(plan.steps for plan in plans):
                self._check(plans)
                if check:
                    _check_library(plans)
                else:
                    self._apply(plans, run, outcome)
        finally:
            if self._backend is not None:
                outcome.notes += self._backend.notes()
                self._backend.close()

    def _observe(self, resources: t.Sequence[model.Resource]) -> None:
        connection = transport.connect(self._tcti)
        try:
            left = observe.observe(Reader(connection), [*resources, *self._pinned(resources)], self._seen)
        finally:
            # swtpm and /dev/tpm0 take one client at a time.
            connection.close()
        self._check_salt(resources)
        for fact in left:
            learn = t.cast("t.Callable[[Backend], t.Any]", fact.learn)
            self._seen[fact.kind, fact.key] = learn(self._open())

    def _pinned(self, resources: t.Sequence[model.Resource]) -> list[t.Any]:
        # Files alone are nothing to ask a TPM about.
        if self._salt is None or all(getattr(resource, "files_only", False) for resource in resources):
            return []
        return [_Pinned(self._salt[0])]

    def _check_salt(self, resources: t.Sequence[model.Resource]) -> None:
        """Another key at the pinned handle, or none that this run makes, ends the run before anything is planned. Raises StateError."""
        if self._salt is None or ("public", self._salt[0]) not in self._seen:
            return
        handle, name = self._salt
        found = self._seen["public", handle]
        if found and found[0].name != name:
            raise errors.other_key(handle, found[0].name, name)
        if found is None and all(getattr(resource, "handle", None) != handle for resource in resources):
            raise errors.no_key(handle, name)

    def _plan(self, resource: model.Resource, run: Run) -> model.Plan:
        try:
            return resource.plan(self._seen, run)
        except errors.TpmError as failed:
            if resource.object not in failed.message:
                failed.message = f"{failed.message.rstrip('.')} ({resource.kind} {resource.object})."
            raise

    def _open(self) -> Backend:
        if self._backend is None:
            from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import esapi

            limits = self._seen.get(("limits", None), {})
            self._backend = esapi.Esapi(self._tcti, limits.get(model.PT_NV_BUFFER_MAX) or nv.SAFE_SIZE)
            found = self._seen.get(("public", handles.SRK))
            if self._salt is not None:
                self._backend.pin_salt(*self._salt)
            elif found and names.is_storage_parent(found[0]):
                self._backend.salt_with(handles.SRK)
        return self._backend

    def _check(self, plans: t.Sequence[model.Plan]) -> None:
        if ("properties", None) in self._seen:
            from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import capacity

            capacity.check(plans, self._seen.properties())

    def _apply(self, plans: t.Sequence[model.Plan], run: Run, outcome: Outcome) -> None:
        steps = [step for plan in plans for step in plan.steps]
        backend = t.cast("Backend", None) if all(step.action in LOCAL for step in steps) else self._open()
        for step in steps:
            try:
                step.run(backend)
            except errors.TpmError as failed:
                if errors.is_rc(failed.rc, errors.RC_NV_SPACE):
                    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import capacity

                    failed = capacity.full(failed, backend)
                failed.message = f"{failed.message.rstrip('.')} (step {outcome.done + 1} of {len(steps)}: {step.sentence})."
                outcome.touched = bool(outcome.done or run.touched or (backend and backend.writes))
                raise failed from None
            outcome.done += 1


def _in_order(resources: t.Sequence[model.Resource]) -> list[model.Resource]:
    """By phase; among keys, a parent before its children, in whatever order they are listed."""
    left, ordered = sorted(resources, key=lambda resource: resource.phase), []
    while left:
        phase = [resource for resource in left if resource.phase == left[0].phase]
        makes = {getattr(resource, "handle", None) for resource in phase}
        chosen = next((resource for resource in phase if getattr(resource, "parent", None) not in makes), phase[0])
        left.remove(chosen)
        ordered.append(chosen)
    return ordered


def _check_library(plans: t.Sequence[model.Plan]) -> None:
    """Check mode predicts the failure of a run on a device without tpm2-pytss. Raises DependencyError."""
    if any(step.action not in LOCAL for plan in plans for step in plan.steps):
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import esapi

        esapi.require_library()


__all__ = ("Engine", "Outcome")
