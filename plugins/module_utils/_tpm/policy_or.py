# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The assertion that offers several policies, one of which has to be satisfied: TPM2_PolicyOR (TPM 2.0 Library Part 3, section 23.6)."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, pcr
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.policy_base import (
    Assertion,
    Found,
    PcrValues,
    Policy,
    Verbs,
    bad,
    extend_with,
)

# Part 2, section 10.9.6 (TPML_DIGEST).
MAX_BRANCHES = 8


def extended(policy: Policy, current: PcrValues, start: bytes) -> bytes:
    """The policy digest after all assertions of a policy; ``start`` is the digest before them."""
    for one in policy:
        start = one.extend(start, current)
    return start


def steps(policy: Policy, code: int, current: PcrValues, written: bool | None, start: bytes) -> Found:
    """The assertions that a session must make so that a policy allows the command ``code`` now."""
    made: list[t.Any] = []
    for one in policy:
        found, reasons = one.steps(code, current, written, start)
        if found is None:
            return None, reasons
        made += found
        start = one.extend(start, current)
    return made, []


def impossible(policy: Policy, code: int) -> str | None:
    """Why the policy can never allow the command ``code`` on an object other than an NV index, in any state of the device; None if it may."""
    return next((reason for reason in (one.never(code) for one in policy) if reason), None)


class Offer(Assertion):
    """``Or`` as a session asserts it: the digests of all branches."""

    def __init__(self, digests: tuple[bytes, ...]) -> None:
        self.digests = digests

    def extend(self, old: bytes, current: PcrValues) -> bytes:
        return extend_with(bytes(len(old)), constants.CC_POLICY_OR, *self.digests)

    def assert_in(self, verbs: Verbs, session: t.Any, auths: t.Mapping[int, bytes]) -> None:
        verbs.policy_or(session, self.digests)


class Or(Assertion):
    """TPM2_PolicyOR over 2 to 8 branches, each a policy of its own. The first branch that can be satisfied is taken."""

    names = ("or",)

    def __init__(self, branches: tuple[Policy, ...]) -> None:
        self.branches = branches

    @classmethod
    def read(cls, value: t.Any, nested: t.Callable[[t.Any], Policy]) -> Or:
        if not isinstance(value, list) or not 2 <= len(value) <= MAX_BRANCHES or not all(isinstance(one, list) and one for one in value):
            raise bad(f"or needs 2 to {MAX_BRANCHES} branches, each a list of assertions; nest them for more")
        return cls(tuple(nested(branch) for branch in value))

    def _offer(self, old: bytes, current: PcrValues) -> Offer:
        return Offer(tuple(extended(branch, current, old) for branch in self.branches))

    def extend(self, old: bytes, current: PcrValues) -> bytes:
        return self._offer(old, current).extend(old, current)

    def steps(self, code: int, current: PcrValues, written: bool | None, start: bytes) -> Found:
        tried = [steps(branch, code, current, written, start) for branch in self.branches]
        fitting = next((found for found, _why in tried if found is not None), None)
        if fitting is None:
            return None, [reason for _found, why in tried for reason in why]
        return [*fitting, self._offer(start, current)], []

    def never(self, code: int) -> str | None:
        reasons = [impossible(branch, code) for branch in self.branches]
        return reasons[0] if all(reasons) else None

    def needs_auth(self) -> bool:
        return any(one.needs_auth() for branch in self.branches for one in branch)

    def free(self) -> bool:
        return any(all(one.free() for one in branch) for branch in self.branches)

    def selections(self) -> list[pcr.Selection]:
        return [chosen for branch in self.branches for one in branch for chosen in one.selections()]

    def current(self) -> list[pcr.Selection]:
        return [chosen for branch in self.branches for one in branch for chosen in one.current()]

    def check_measured(self, current: PcrValues, allow_unmeasured: bool) -> None:
        for branch in self.branches:
            for one in branch:
                one.check_measured(current, allow_unmeasured)


__all__ = ("Offer", "Or", "extended", "impossible", "steps")
