# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""One run: observe, plan, check, apply. The fine-grained modules run one resource, tpm2_profile a list; the code is the same."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import reader
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import model, observation, observe, places
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.context import Run
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.files import LOCAL, Files
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, errors, handles, names, nv
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport.tcti import Tcti

# A device recompiles every imported file on each run, so files that only a changing run needs are imported where they are used.
if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Backend, Reads

    Connect = t.Callable[[Tcti], t.ContextManager[Reads]]
    Open = t.Callable[[Tcti, int], Backend]


def open_backend(place: Tcti, nv_buffer: int) -> Backend:
    """Open the TPM through the TSS; ``nv_buffer`` is how many bytes of NV it accepts in one command. Raises DependencyError, TransportError."""
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import esapi

    return esapi.Esapi(place, nv_buffer)


def require_library() -> None:
    """Raises DependencyError in the cases in which ``open_backend`` would."""
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import esapi

    esapi.require_library()


class Outcome:
    """What a run found and did. ``done`` counts the steps that were carried out, even if the run failed afterwards.

    ``touched``: whether anything was changed, including by a step that then failed halfway.
    """

    def __init__(self) -> None:
        self.touched = False
        self.plans: list[model.Plan] = []
        self.done = 0
        self.notes: list[str] = []

    @property
    def steps(self) -> list[dict[str, t.Any]]:
        """All planned steps in the order in which they run, for the result."""
        return [_describe(plan, step) for plan in self.plans for step in plan.steps]

    @property
    def diff(self) -> dict[str, t.Any]:
        """The states before and after, by object; for a run that changes something also ``prepared``: its costs and losses, as lines."""
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import costs

        before: dict[str, t.Any] = {}
        after: dict[str, t.Any] = {}
        for plan in self.plans:
            _merge(before, plan.before)
            _merge(after, plan.after)
        told = costs.told(self.plans)
        return {"before": before, "after": after, **({"prepared": told} if told else {})}


def _merge(told: dict[str, t.Any], more: t.Mapping[str, t.Any]) -> None:
    """Merge what two resources say about one object, for example about the lockout hierarchy and its count of wrong tries."""
    for name, value in more.items():
        both = isinstance(value, dict) and isinstance(told.get(name), dict)
        told[name] = {**told[name], **value} if both else value


def _describe(plan: model.Plan, step: model.Step) -> dict[str, t.Any]:
    return {
        "kind": plan.kind,
        "object": plan.object,
        "action": step.action,
        "sentence": step.sentence,
        "cost": step.cost._asdict(),
        "reversible": step.reversible,
    }


class _Pinned(t.NamedTuple):
    """Asks for the public area of the only key that sessions may be salted to."""

    handle: int

    def facts(self, seen: observation.Observation) -> t.Iterable[observation.Fact]:
        return [observation.Fact("public", self.handle)]


class Engine:
    """One TPM, and the auth values that it has before the run.

    ``seen``: the facts that have been read already. ``salt``: the handle and Name of the only key that sessions may be salted to. ``certified``: the
    attestation key signs for what the run makes, so that its commands need no proof of their own. ``connect`` and
    ``open_backend`` are the ways to the TPM, for reads and for changes; ``require_library`` tells whether the second is there; ``files`` is the way to
    the device's files.
    """

    def __init__(
        self,
        tcti: Tcti,
        given: t.Mapping[int, bytes],
        seen: observation.Observation | None = None,
        salt: tuple[int, bytes] | None = None,
        certified: bool = False,
        *,
        connect: Connect = reader.connect,
        open_backend: Open = open_backend,
        require_library: t.Callable[[], None] = require_library,
        files: Files = LOCAL,
    ) -> None:
        self._connect, self._open_backend, self._require_library = connect, open_backend, require_library
        self._tcti, self._files = tcti, files
        self._given = given
        self._backend: Backend | None = None
        self._seen = observation.Observation() if seen is None else seen
        self._salt = salt
        self._certified = certified

    @property
    def seen(self) -> observation.Observation:
        """What has been read so far."""
        return self._seen

    def expect_library(self) -> None:
        """From now on check mode assumes that the TPM can be opened for changes."""
        self._require_library = lambda: None

    def run(self, resources: t.Sequence[model.Resource], check: bool, outcome: Outcome) -> None:
        """Bring the TPM into the state of ``resources``, or (in check mode) plan it. Fills ``outcome``. Raises TpmError."""
        for resource in resources:
            places.check_own(resource, self._files)
        run = Run(self._given, self._seen, self._files)
        if self._salt is not None:
            run.salt = self._salt[0]
        ordered = _in_order(resources, run.salt, self._salt is not None)
        for resource in ordered:
            resource.declare(run)
        try:
            self._observe(ordered, outcome)
            plans = outcome.plans = self._plan_all(ordered, run)
            if any(plan.steps for plan in plans):
                self._check(plans)
                if check:
                    self._note_library(plans, outcome)
                else:
                    self._apply(plans, run, outcome)
        finally:
            outcome.notes += run.notes
            if self._backend is not None:
                outcome.notes += self._backend.notes()
                self._backend.close()

    def _observe(self, resources: t.Sequence[model.Resource], outcome: Outcome) -> None:
        asking = [*resources, *self._pinned(resources)]
        with self._connect(self._tcti) as found:
            try:
                left = observe.observe(found, asking, self._seen, self._files)
            finally:
                outcome.notes += found.flushed
        self._check_salt(resources)
        for fact in left:
            learn = t.cast("t.Callable[[Backend], t.Any]", fact.learn)
            self._seen[fact.kind, fact.key] = learn(self._open())

    def _pinned(self, resources: t.Sequence[model.Resource]) -> list[observation.Asking]:
        # A run that is about files only does not need the TPM.
        if self._salt is None or all(resource.files_only for resource in resources):
            return []
        return [_Pinned(self._salt[0])]

    def _check_salt(self, resources: t.Sequence[model.Resource]) -> None:
        """Check the pinned key before anything is planned. Raises StateError if another key is at its handle, or no key and this run does not make it."""
        if self._salt is None or ("public", self._salt[0]) not in self._seen:
            return
        handle, name = self._salt
        found = self._seen["public", handle]
        if found and found[0].name != name:
            raise errors.other_key(handle, found[0].name, name)
        if found is None and all(resource.handle != handle for resource in resources):
            raise errors.no_key(handle, name)

    def _plan_all(self, resources: t.Sequence[model.Resource], run: Run) -> list[model.Plan]:
        """One plan for each resource. Raises one TpmError that names all obstacles in the TPM, so that one run reports all of them."""
        plans: list[model.Plan] = []
        obstacles: list[errors.TpmError] = []
        for resource in resources:
            try:
                plans.append(self._plan(resource, run))
            except (errors.MismatchError, errors.StateError) as found:
                obstacles.append(found)
        if obstacles:
            raise _together(obstacles)
        return plans

    def _plan(self, resource: model.Resource, run: Run) -> model.Plan:
        try:
            return resource.plan(self._seen, run)
        except errors.TpmError as failed:
            failed.object = failed.object or resource.object
            if resource.object not in failed.message:
                failed.message = f"{failed.message.rstrip('.')} ({resource.kind} {resource.object})."
            raise

    def _open(self) -> Backend:
        if self._backend is None:
            limits = self._seen.get(("limits", None), {})
            self._backend = self._open_backend(self._tcti, limits.get(constants.PT_NV_BUFFER_MAX) or nv.SAFE_SIZE)
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

    def _note_library(self, plans: t.Sequence[model.Plan], outcome: Outcome) -> None:
        """Check mode works without tpm2-pytss; it warns if the real run would need it and the device does not have it."""
        if any(step.run for plan in plans for step in plan.steps):
            try:
                self._require_library()
            except errors.DependencyError as missing:
                outcome.notes.append(f"Checked without tpm2-pytss, which is needed for the changes. {missing.message}")

    def _apply(self, plans: t.Sequence[model.Plan], run: Run, outcome: Outcome) -> None:
        todo = [(plan, step) for plan in plans for step in plan.steps]
        # Opened before the first step, even if that only writes a file: if the TPM cannot be reached, nothing has been changed yet.
        backend = self._open() if any(step.run for _plan, step in todo) else None
        if self._certified and backend is not None:
            backend.go_unproven()
        for plan, step in todo:
            try:
                self._carry_out(plan, step)
            except errors.TpmError as failed:
                if backend and errors.is_rc(failed.rc, errors.RC_NV_SPACE):
                    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import capacity

                    failed = capacity.full(failed, backend)
                failed.object = failed.object or plan.object
                failed.message = f"{failed.message.rstrip('.')} (step {outcome.done + 1} of {len(todo)}: {step.sentence})."
                outcome.touched = bool(outcome.done or run.touched or (backend and backend.writes))
                raise failed from None
            outcome.done += 1
        if backend is not None and not self._certified:
            backend.prove()

    def _carry_out(self, plan: model.Plan, step: model.Step) -> None:
        if step.run:
            plan.result.update(step.run(self._open()) or {})
        if step.local:
            step.local(plan.result)


def _together(obstacles: t.Sequence[errors.TpmError]) -> errors.TpmError:
    """One error for all obstacles, with the reason and object of the first."""
    first = obstacles[0]
    if len(obstacles) > 1:
        told = " ".join(f"({number}) {one.message}" for number, one in enumerate(obstacles, 1))
        first.message = f"Nothing was changed, as {len(obstacles)} things are in the way. {told}"
    return first


def _in_order(resources: t.Sequence[model.Resource], salt: int, pinned: bool) -> list[model.Resource]:
    """The order of work: by phase; among keys, each parent before its children, whatever the order in the list.

    The key that sessions are salted to comes first among primary keys, and before everything else if it is the only key that sessions may use.
    """

    def place(resource: model.Resource) -> tuple[bool, int, bool]:
        salts = resource.phase == model.PHASE_PRIMARY and resource.handle == salt
        return not (salts and pinned), resource.phase, not salts

    left, ordered = sorted(resources, key=place), []
    while left:
        phase = [resource for resource in left if resource.phase == left[0].phase]
        makes = {resource.handle for resource in phase}
        chosen = next((resource for resource in phase if resource.parent not in makes), phase[0])
        left.remove(chosen)
        ordered.append(chosen)
    return ordered


__all__ = ("Engine", "Outcome", "open_backend", "require_library")
