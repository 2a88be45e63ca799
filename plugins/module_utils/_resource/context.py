# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What all resources of a run share: the auth values of the hierarchies, and which objects the run makes and removes."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth.choose import Auth, for_value
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import observation
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.files import LOCAL, Files
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, errors, handles

# By hierarchy: the bit of the TPM's properties that says whether it is enabled, or whether its auth is set.
ENABLED = {
    handles.RH_PLATFORM: constants.STARTUP_PLATFORM,
    handles.RH_OWNER: constants.STARTUP_OWNER,
    handles.RH_ENDORSEMENT: constants.STARTUP_ENDORSEMENT,
}
AUTH_SET = {
    handles.RH_OWNER: constants.PERMANENT_OWNER_AUTH_SET,
    handles.RH_ENDORSEMENT: constants.PERMANENT_ENDORSEMENT_AUTH_SET,
    handles.RH_LOCKOUT: constants.PERMANENT_LOCKOUT_AUTH_SET,
}


class Run:
    """The auth values of one run, by hierarchy.

    ``given`` are the values before the run (owner_auth, endorsement_auth and so on), ``declared`` those that hierarchy resources ask for.
    The TPM's AuthSet bits tell which of the two it has now. No value is tried to find that out, except when two different values are given
    for a hierarchy without dictionary attack protection.
    """

    def __init__(self, given: t.Mapping[int, bytes], seen: observation.Observation, files: Files = LOCAL) -> None:
        self.given, self.files = dict(given), files
        self.declared: dict[int, bytes] = {}
        self.seen = seen
        # By hierarchy: a function that returns the digest of the policy that a hierarchy resource asks for; it may be called once PCRs have been read.
        self.policies: dict[int, t.Callable[[], bytes]] = {}
        self.made: set[int] = set()
        self.removed: set[int] = set()
        # The handle of the key to which the run's sessions are salted; the run may still have to make that key.
        self.salt = handles.SRK
        # Whether a step has begun a change that takes further commands of the same step to complete.
        self.touched = False
        # Notes for the user.
        self.notes: list[str] = []
        self._now: dict[int, bytes] = {}

    def note(self, sentence: str) -> None:
        """Tell the user something once, as a warning."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def candidates(self, hierarchy: int) -> list[bytes]:
        """The different non-empty auth values that the task gives for a hierarchy, the declared one first."""
        values = [self.declared.get(hierarchy), self.given.get(hierarchy)]
        return [value for at, value in enumerate(values) if value and value not in values[:at]]

    def is_set(self, hierarchy: int) -> bool:
        """Whether the hierarchy has an auth value, according to the TPM's properties. They do not cover platform: for it, the fact platform_auth decides."""
        if hierarchy == handles.RH_PLATFORM:
            return self.seen.get(("platform_auth", None)) is False
        return bool(self.seen.properties().get(constants.PT_PERMANENT, 0) & AUTH_SET[hierarchy])

    def is_enabled(self, hierarchy: int) -> bool:
        """Whether the TPM says that the hierarchy can be used; the lockout hierarchy always can."""
        bit = ENABLED.get(hierarchy, 0)
        return self.seen.properties().get(constants.PT_STARTUP_CLEAR, bit) & bit == bit

    def check_enabled(self, hierarchy: int) -> None:
        """Raises StateError if the hierarchy is disabled: then nothing in it can be used or seen."""
        if not self.is_enabled(hierarchy):
            raise errors.StateError(
                f"Could not act as {handles.HIERARCHY_NAMES[hierarchy]}: the hierarchy is disabled until the TPM is reset; reboot the device, or "
                "enable it as platform (tpm2_hierarchy, enabled: true).",
                reason="hierarchy_disabled",
                object=handles.HIERARCHY_NAMES[hierarchy],
            )

    def current(self, hierarchy: int) -> bytes:
        """The hierarchy's current auth value. Raises StateError if it is set and cannot be known, or if the hierarchy is disabled."""
        if hierarchy in self._now:
            return self._now[hierarchy]
        if hierarchy == handles.RH_NULL:
            return b""
        values, name = self.candidates(hierarchy), handles.HIERARCHY_NAMES[hierarchy]
        self.check_enabled(hierarchy)
        if hierarchy == handles.RH_PLATFORM and ("platform_auth", None) not in self.seen:
            return values[0] if values else b""
        if not self.is_set(hierarchy):
            return b""
        if not values:
            raise errors.StateError(_unknown(name), reason="auth_not_given", object=name)
        if len(values) == 1:
            if hierarchy == handles.RH_LOCKOUT:
                self.check_lockout(values[0])
            return values[0]
        if hierarchy == handles.RH_LOCKOUT and ("auth_policy", hierarchy) in self.seen:
            return self._current_lockout(new=values[0], old=values[1])
        if ("session", ("holds", hierarchy)) not in self.seen:
            raise errors.StateError(_ambiguous(name), reason="auth_ambiguous", object=name)
        return values[0] if self.seen["session", ("holds", hierarchy)] else values[1]

    def policy_facts(self, spends: bool) -> list[observation.Fact]:
        """The facts that ``check_lockout`` needs; none unless ``spends`` says that a command needs the lockout auth."""
        return [observation.Fact("auth_policy", handles.RH_LOCKOUT)] if spends and self.candidates(handles.RH_LOCKOUT) else []

    def check_lockout(self, value: bytes) -> None:
        """Raises StateError if the policy of the lockout hierarchy shows that its auth is not ``value``; so ``value`` is not tried.

        When these modules set the auth, they set the policy to the marker of the value (see ``_protocol/rotation.py``). A policy that this run
        declares tells nothing about the auth.
        """
        found = self.seen["auth_policy", handles.RH_LOCKOUT]
        if not found or handles.RH_LOCKOUT in self.policies and self.policies[handles.RH_LOCKOUT]() == found:
            return
        # Imported here and not at the top: few runs meet a lockout hierarchy that has a policy.
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._protocol import rotation

        if found != rotation.marker(value):
            raise errors.StateError(
                f"Could not act as lockout: the policy of its hierarchy, {found.hex()}, shows that its auth is another value than the one given, "
                "which was not tried because one wrong try blocks the hierarchy (a restored backup of the registry, or another generation?); give the "
                "current value, both values if a replacement was interrupted, or declare the policy in the same run if you have set it yourself.",
                reason="auth_other",
            )

    def rotation(self, new: bytes, old: bytes) -> str:
        """How far the replacement of a lockout auth has come (see ``_protocol/rotation.py``). Raises StateError if the TPM does not tell."""
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._protocol import rotation

        found = self.seen["auth_policy", handles.RH_LOCKOUT]
        state = rotation.UNKNOWN if found is None else rotation.progress(found, old, new)
        if state == rotation.UNKNOWN:
            why = "this TPM does not tell its policy (library before 1.38)" if found is None else f"its policy {found.hex()} is neither's"
            raise errors.StateError(
                f"Could not choose between two auth values for lockout: {why}, and trying one could lock the TPM; give only the current one.",
                reason="auth_ambiguous",
                object="lockout",
            )
        return state

    def _current_lockout(self, new: bytes, old: bytes) -> bytes:
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._protocol import rotation

        state = self.rotation(new, old)
        if state == rotation.BEGUN:
            raise errors.StateError(
                "Could not act as lockout: a replacement of its auth has begun, and neither of the two values is tried; "
                "to finish it, first declare the lockout hierarchy alone with both values.",
                reason="rotation_begun",
                object="lockout",
            )
        return new if state == rotation.DONE else old

    def changed(self, hierarchy: int, value: bytes) -> None:
        """Note that the hierarchy has a new auth value from now on."""
        self._now[hierarchy] = value

    def auth(self, hierarchy: int, secret: bool = False) -> Auth:
        """The authorisation by a hierarchy. Raises StateError as ``current`` does."""
        return for_value(self.current(hierarchy), secret)

    def hierarchy_auths(self) -> dict[int, bytes]:
        """The auth values that a policy's secret assertion may need, as far as they are known."""
        found: dict[int, bytes] = {}
        for hierarchy in (handles.RH_OWNER, handles.RH_ENDORSEMENT, handles.RH_PLATFORM) if ("properties", None) in self.seen else ():
            try:
                found[hierarchy] = self.current(hierarchy)
            except errors.StateError:
                continue
        return found


def _unknown(name: str) -> str:
    if name == "lockout":
        return (
            "Could not act as lockout: its auth is set and none was given; give lockout_auth, which is never guessed, "
            "because one wrong value blocks the lockout hierarchy."
        )
    return f"Could not act as {name}: its auth is set and none was given; give {name}_auth."


def _ambiguous(name: str) -> str:
    return (
        f"Could not choose between two auth values for {name}: its auth is set, and trying lockout_auth (or current_auth) or the declared auth "
        "could lock the TPM, so neither is tried; give only the current one."
        if name == "lockout"
        else f"Could not choose between two auth values for {name}; give only the current one."
    )


__all__ = ("AUTH_SET", "ENABLED", "Run")
