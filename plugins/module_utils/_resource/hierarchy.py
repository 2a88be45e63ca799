# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Hierarchies: auth, policy, enabled, and whether TPM2_Clear is allowed (TPM 2.0 Library Part 3, section 24)."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth import choose
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import common, model, observation, policy_read
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.context import AUTH_SET, ENABLED
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, errors, handles, policy

if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Backend
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.context import Run


class Hierarchy(model.Noun):
    """One of owner, endorsement, lockout, platform."""

    kind = "hierarchy"

    def __init__(self, options: common.Options) -> None:
        self._options = options
        name = str(options.get("hierarchy"))
        self.hierarchy = handles.HIERARCHIES[name]
        super().__init__(name, model.PHASE_LOCKOUT if self.hierarchy == handles.RH_LOCKOUT else model.PHASE_HIERARCHY)
        self.value = choose.read(options.get("auth"), "auth")
        self.old = choose.read(options.get("current_auth"), "current_auth")
        self.policy = policy_read.read(options["policy"]) if options.get("policy") is not None else None
        self.enabled: bool | None = options.get("enabled")
        self.clear_disabled: bool | None = options.get("clear_disabled")
        self.refuse_empty = bool(options.get("refuse_empty_auth"))
        if self.enabled is not None and self.hierarchy == handles.RH_LOCKOUT:
            raise errors.InputError("Could not plan the lockout hierarchy: it cannot be enabled or disabled; leave enabled out.")
        if self.clear_disabled is not None and self.hierarchy not in (handles.RH_LOCKOUT, handles.RH_PLATFORM):
            raise errors.InputError(
                f"Could not plan the {self.object} hierarchy: clear_disabled belongs to lockout or platform; set it there."
            )

    def claims(self) -> list[model.Claim]:
        """The hierarchy."""
        return [model.Claim(self.kind, self.object)]

    def declare(self, run: Run) -> None:
        """Declare the auth that the rest of the run uses for this hierarchy; current_auth is its value before the run."""
        if self.value is not None:
            run.declared[self.hierarchy] = self.value
        if self.old is not None:
            run.given[self.hierarchy] = self.old
        if self.policy is not None:
            asked = self.policy
            run.policies[self.hierarchy] = lambda: policy.digest(asked, run.seen.pcrs())
        self._run = run

    def facts(self, seen: observation.Observation) -> t.Iterable[observation.Fact]:
        """The properties; the policy if one is asked for; a session only if two different auth values are given."""
        facts = [observation.Fact("properties")]
        if self.policy is not None:
            facts += [
                observation.Fact("auth_policy", self.hierarchy),
                *(observation.Fact("pcrs", one) for one in policy.selections(self.policy)),
            ]
        if self.hierarchy == handles.RH_PLATFORM:
            facts.append(observation.Fact("platform_auth"))
        if ("properties", None) in seen and self._rotates():
            facts.append(observation.Fact("auth_policy", self.hierarchy))
        elif ("properties", None) in seen and self.hierarchy == handles.RH_LOCKOUT:
            facts += self._run.policy_facts(self._spends(seen))
        elif ("properties", None) in seen and self._must_ask():
            value = self._run.candidates(self.hierarchy)[0]
            facts.append(
                observation.Fact(
                    "session", ("holds", self.hierarchy), lambda backend: backend.holds(self.hierarchy, choose.for_value(value))
                )
            )
        return facts

    def _rotates(self) -> bool:
        """Whether the lockout auth is to be replaced; then the hierarchy's policy tells which value it has."""
        two = len(self._run.candidates(self.hierarchy)) == 2
        return two and self.hierarchy == handles.RH_LOCKOUT and bool(self._run.is_set(self.hierarchy))

    def _spends(self, seen: observation.Observation) -> bool:
        """Whether a command needs the lockout auth or sets it, apart from those that ``_rotates`` and the policy's step cover."""
        sets = self.value is not None and bool(self.value) != self._run.is_set(self.hierarchy)
        return sets or bool(self.clear_disabled) and not _clear_disabled(seen)

    def _must_ask(self) -> bool:
        two = len(self._run.candidates(self.hierarchy)) == 2
        return two and self.hierarchy != handles.RH_LOCKOUT and bool(self._run.is_set(self.hierarchy))

    def plan(self, seen: observation.Observation, run: Run) -> model.Plan:
        """Raises StateError if the current auth is needed and not known."""
        before = self._state(seen, run)
        after, steps = dict(before), []
        if self.refuse_empty and not self.value and before.get("auth_set") is False:
            raise errors.StateError(
                f"Could not accept the {self.object} hierarchy: its auth is empty, so anybody who reaches the TPM can act as {self.object}; "
                "set auth, or have the firmware close it.",
                reason="auth_empty",
            )
        if self.policy is not None:
            steps += self._policy_step(seen, run, before, after)
        if self._rotates():
            steps += self._rotation(run)
        elif self._differs(run):
            steps.append(self._auth_step(run))
        if steps and steps[-1].action == "hierarchy_change_auth":
            after["auth_set"] = bool(self.value)
            if before["auth_set"] == after["auth_set"]:
                before["auth"], after["auth"] = "another value", "the value asked for"
        if self.clear_disabled is not None and before.get("clear_disabled") != self.clear_disabled:
            steps.append(self._clear_step(run))
            after["clear_disabled"] = self.clear_disabled
        if self.enabled is not None and before.get("enabled") != self.enabled:
            steps.append(self._enable_step(run))
            after["enabled"] = self.enabled
        return model.Plan(
            self.kind, self.object, tuple(steps), {self.object: before}, {self.object: after}, {"auth_set": after.get("auth_set")}
        )

    def _state(self, seen: observation.Observation, run: Run) -> dict[str, t.Any]:
        state: dict[str, t.Any] = {}
        if self.hierarchy in AUTH_SET:
            state["auth_set"] = run.is_set(self.hierarchy)
        else:
            empty = seen["platform_auth", None]
            state["auth_set"] = None if empty is None else not empty
        if self.hierarchy in ENABLED:
            state["enabled"] = run.is_enabled(self.hierarchy)
        if self.hierarchy in (handles.RH_LOCKOUT, handles.RH_PLATFORM):
            state["clear_disabled"] = _clear_disabled(seen)
        if self.policy is not None:
            found = seen["auth_policy", self.hierarchy]
            state["policy"] = None if found is None else found.hex()
        return state

    def _differs(self, run: Run) -> bool:
        """Whether the auth has to be set. If the TPM has an auth and only one value is given, that value is taken to be it; it is not tried."""
        if self.value is None:
            return False
        if not run.is_set(self.hierarchy):
            # A platform hierarchy that is closed until the next reset can take no auth and needs none; other hierarchies are not affected.
            closed = self.hierarchy == handles.RH_PLATFORM and run.seen.get(("platform_auth", None), True) is None
            return bool(self.value) and not closed
        if run.candidates(self.hierarchy) == [self.value]:
            return False
        return bool(run.current(self.hierarchy) != self.value)

    def _auth_step(self, run: Run) -> model.Step:
        value = t.cast("bytes", self.value)
        run.current(self.hierarchy)
        lockout = self.hierarchy == handles.RH_LOCKOUT
        marked, mark = lockout and self._marked(run), self._mark(run) if lockout else b""

        def change(backend: Backend) -> None:
            if marked and not value:
                # The policy is the marker of a value that is about to be replaced.
                backend.set_primary_policy(self.hierarchy, run.auth(self.hierarchy), b"")
            backend.hierarchy_change_auth(self.hierarchy, run.auth(self.hierarchy, secret=True), value)
            run.changed(self.hierarchy, value)
            if mark:
                backend.set_primary_policy(self.hierarchy, run.auth(self.hierarchy), mark)

        verb = "set" if value else "empty"
        note = " (until the next reset of the TPM)" if self.hierarchy == handles.RH_PLATFORM else ""
        return model.Step(f"{verb} the auth of the {self.object} hierarchy{note}", "hierarchy_change_auth", change)

    def _marked(self, run: Run) -> bool:
        """Whether the policy of the lockout hierarchy is the marker of its auth. Raises StateError if it marks another value than the one to be set."""
        if self.policy is not None:
            return False
        if self.value:
            run.check_lockout(self.value)
        return bool(run.seen["auth_policy", self.hierarchy])

    def _mark(self, run: Run) -> bytes:
        """The policy to set as the marker of a lockout auth that is set for the first time, or b"" for no such policy.

        No marker is set if the value is short enough to be guessed from it, if the task declares a policy, if there is a policy already, or if
        the TPM does not tell its policies. A run that is interrupted before this step leaves no marker either.
        """
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._protocol import rotation

        value = t.cast("bytes", self.value)
        if self.policy is not None or len(value) < rotation.SHORTEST or run.seen["auth_policy", self.hierarchy] != b"":
            return b""
        return rotation.marker(value)

    def _rotation(self, run: Run) -> list[model.Step]:
        """The step that replaces the lockout auth; it continues what an interrupted run has begun."""
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth.policy import PolicySession
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._protocol import rotation

        new, old = run.candidates(self.hierarchy)
        if self.policy is not None:
            raise errors.InputError(
                "Could not plan the lockout hierarchy: its policy is needed while its auth is replaced; leave policy out."
            )
        if len(new) < rotation.SHORTEST:
            raise errors.InputError(
                f"Could not replace the auth of the lockout hierarchy: the new one has {len(new)} bytes, and less than {rotation.SHORTEST} can be "
                "guessed by anybody who reads the policy that is set meanwhile; give a longer, random one."
            )
        state = run.rotation(new, old)
        if state == rotation.DONE:
            return []

        def change(backend: Backend) -> None:
            if state == rotation.NOT_BEGUN:
                backend.set_primary_policy(self.hierarchy, choose.for_value(old), rotation.bridge(old, new))
            backend.hierarchy_change_auth(self.hierarchy, PolicySession(rotation.steps(old, new)), new)
            backend.set_primary_policy(self.hierarchy, choose.for_value(new), rotation.marker(new))
            run.changed(self.hierarchy, new)

        verb = "finish replacing" if state == rotation.BEGUN else "replace"
        return [model.Step(f"{verb} the auth of the lockout hierarchy", "hierarchy_change_auth", change)]

    def _policy_step(self, seen: observation.Observation, run: Run, before: dict[str, t.Any], after: dict[str, t.Any]) -> list[model.Step]:
        asked = t.cast("policy.Policy", self.policy)
        policy.check_measured(asked, seen.pcrs(), False)
        digest = policy.digest(asked, seen.pcrs())
        if before["policy"] is None:
            raise errors.StateError(
                f"Could not compare the policy of the {self.object} hierarchy: this TPM cannot report it (library before 1.38); leave policy out."
            )
        if before["policy"] == digest.hex():
            return []
        after["policy"] = digest.hex()
        run.current(self.hierarchy)

        def change(backend: Backend) -> None:
            common.prove_pcrs(backend, seen, asked, f"set the policy of the {self.object} hierarchy")
            backend.set_primary_policy(self.hierarchy, run.auth(self.hierarchy), digest)

        return [model.Step(f"set the policy of the {self.object} hierarchy to {digest.hex() or 'none'}", "set_primary_policy", change)]

    def _enable_step(self, run: Run) -> model.Step:
        enable = bool(self.enabled)
        # Enabling needs platform auth; to disable a hierarchy, its own auth is used.
        authority = handles.RH_PLATFORM if enable else self.hierarchy
        run.current(authority)
        return model.Step(
            f"{'enable' if enable else 'disable'} the {self.object} hierarchy (until the next reset of the TPM)",
            "hierarchy_control",
            lambda backend: backend.hierarchy_control(authority, run.auth(authority), self.hierarchy, enable),
        )

    def _clear_step(self, run: Run) -> model.Step:
        disable = bool(self.clear_disabled)
        authority = self.hierarchy if disable else handles.RH_PLATFORM
        run.current(authority)
        return model.Step(
            f"{'forbid' if disable else 'allow'} TPM2_Clear",
            "clear_control",
            lambda backend: backend.clear_control(authority, run.auth(authority), disable),
        )


def _clear_disabled(seen: observation.Observation) -> bool:
    return bool(seen.properties().get(constants.PT_PERMANENT, 0) & constants.PERMANENT_DISABLE_CLEAR)


__all__ = ("Hierarchy",)
