# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Dictionary attack protection (TPM 2.0 Library Part 3, section 25; Part 1, section 19.11)."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import common, model, observation
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, errors, handles

if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.context import Run

_FIELDS = {
    "max_tries": constants.PT_MAX_AUTH_FAIL,
    "recovery_time": constants.PT_LOCKOUT_INTERVAL,
    "lockout_recovery": constants.PT_LOCKOUT_RECOVERY,
}


class DaLockout(model.Noun):
    """How many wrong tries a TPM allows, how fast it forgets them (seconds), and how long a wrong lockout auth blocks (seconds)."""

    kind = "da_lockout"

    def __init__(self, options: common.Options) -> None:
        self._reset = bool(options.get("reset"))
        # In lockout no protected object can be used, so the step that ends the lockout comes first.
        super().__init__("lockout", model.PHASE_ABSENT if self._reset else model.PHASE_DA)
        self._want = {name: int(options[name]) for name in _FIELDS if options.get(name) is not None}
        for name, value in self._want.items():
            if not 0 <= value <= 0xFFFFFFFF:
                raise errors.InputError(
                    f"Could not plan the dictionary attack parameters: {name} {value} is out of range; give 0 to 4294967295."
                )
        if self._want.get("max_tries") == 0:
            raise errors.InputError(
                "Could not plan the dictionary attack parameters: max_tries 0 would lock the TPM at once; give at least 1."
            )

    def claims(self) -> list[model.Claim]:
        """The protection of the whole TPM; there is only one per TPM."""
        return [model.Claim(self.kind, self.object)]

    def facts(self, seen: observation.Observation) -> t.Iterable[observation.Fact]:
        """The TPM's properties; and if the lockout auth is needed, what ``Run.check_lockout`` needs."""
        facts = [observation.Fact("properties")]
        if ("properties", None) in seen:
            have, counter = self._state(seen)
            changes = {**have, **self._want} != have or bool(self._reset and counter)
            facts += self._run.policy_facts(changes and self._run.is_set(handles.RH_LOCKOUT))
        return facts

    @staticmethod
    def _state(seen: observation.Observation) -> tuple[dict[str, int], int]:
        properties = seen.properties()
        missing = [name for name, number in _FIELDS.items() if number not in properties]
        if missing:
            raise errors.TpmError(
                f"Could not read the dictionary attack parameters: the TPM omitted {', '.join(missing)}, which every TPM 2.0 tells; see that tcti "
                "names a TPM 2.0, and look for a firmware update."
            )
        return {name: properties[number] for name, number in _FIELDS.items()}, properties.get(constants.PT_LOCKOUT_COUNTER, 0)

    def plan(self, seen: observation.Observation, run: Run) -> model.Plan:
        """Raises StateError if the lockout auth is set and not given, or if the TPM shows that it is another value."""
        have, counter = self._state(seen)
        want, steps = {**have, **self._want}, []
        if self._reset and counter:
            run.auth(handles.RH_LOCKOUT)
            sentence = f"reset the counter of failed tries, now {counter}"
            steps.append(
                model.Step(
                    sentence,
                    "dictionary_attack_lock_reset",
                    lambda backend: backend.dictionary_attack_lock_reset(run.auth(handles.RH_LOCKOUT)),
                    reversible=False,
                )
            )
        if want != have:
            run.auth(handles.RH_LOCKOUT)
            steps.append(_parameters(want, have, run))
        before, after = {**have, "counter": counter}, {**want, "counter": 0 if self._reset else counter}
        return model.Plan(self.kind, self.object, tuple(steps), {self.object: before}, {self.object: after if steps else before}, {})


def _parameters(want: t.Mapping[str, int], have: t.Mapping[str, int], run: Run) -> model.Step:
    changes = ", ".join(f"{name} {have[name]} -> {want[name]}" for name in want if want[name] != have[name])
    return model.Step(
        f"set the dictionary attack parameters ({changes})",
        "dictionary_attack_parameters",
        lambda backend: backend.dictionary_attack_parameters(
            run.auth(handles.RH_LOCKOUT), want["max_tries"], want["recovery_time"], want["lockout_recovery"]
        ),
    )


__all__ = ("DaLockout",)
