# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Policies: compute a policy's digest in software, and find the assertions with which a session satisfies it.

TPM 2.0 Library Part 1, section 19.7. A policy is a list of assertions, read from top to bottom. The assertions are in
``policy_assertions.py``; the one that contains further policies is in ``policy_or.py``.
"""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import pcr, policy_or
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import StateError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.policy_assertions import AuthValue, CommandCode, NvWritten, Pcr, Secret
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.policy_base import (
    COMMAND_CODES,
    HASH,
    Assertion,
    PcrValues,
    Policy,
    command_name,
)
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.policy_or import Offer, Or, impossible

# All assertions that a playbook can use.
ASSERTIONS: tuple[type[Assertion], ...] = (AuthValue, CommandCode, NvWritten, Or, Pcr, Secret)


def open_to_all(policy: Policy) -> bool:
    """Whether anybody can satisfy the policy of an object with an empty auth, in every state of the device."""
    return all(one.free() for one in policy)


def selections(policy: Policy) -> list[pcr.Selection]:
    """All PCRs in a policy."""
    return [chosen for one in policy for chosen in one.selections()]


def current(policy: Policy) -> list[pcr.Selection]:
    """The PCRs in a policy that gives no values for them, so that the TPM's current values are used."""
    return [chosen for one in policy for chosen in one.current()]


def asks_for_auth(policy: Policy) -> bool:
    """Whether there is a way to satisfy the policy that uses the object's auth value."""
    return any(one.needs_auth() for one in policy)


def digest(policy: Policy, current: PcrValues, start: bytes | None = None) -> bytes:
    """The policy digest (32 bytes) as the TPM computes it; ``current`` holds the PCR values by bank and index.

    An empty policy has an empty digest, like an object without a policy. Raises KeyError if a PCR value is missing.
    """
    if not policy and start is None:
        return b""
    return policy_or.extended(policy, current, bytes(alg.digest_size(HASH)) if start is None else start)


def check_measured(policy: Policy, current: PcrValues, allow_unmeasured: bool) -> None:
    """Raises StateError for PCR assertions that prove nothing."""
    for one in policy:
        one.check_measured(current, allow_unmeasured)


def steps(policy: Policy, code: int, current: PcrValues, written: bool | None = None) -> list[t.Any]:
    """The assertions that a session must make so that the command ``code`` is allowed now; an ``Or`` is returned as an ``Offer``.

    The first branch that can be satisfied is taken. Raises StateError if none can.
    """
    found, reasons = policy_or.steps(policy, code, current, written, bytes(alg.digest_size(HASH)))
    if found is None:
        raise StateError(
            f"Could not satisfy the policy: {'; '.join(reasons)}; bring the device into the state it was made for, or make the object again."
        )
    return found


def asks_auth(asked: t.Iterable[Assertion]) -> bool:
    """Whether assertions from ``steps`` need the object's auth value."""
    return any(isinstance(step, AuthValue) for step in asked)


__all__ = (
    "ASSERTIONS",
    "AuthValue",
    "COMMAND_CODES",
    "CommandCode",
    "NvWritten",
    "Offer",
    "Or",
    "Pcr",
    "Policy",
    "Secret",
    "asks_for_auth",
    "check_measured",
    "command_name",
    "digest",
    "impossible",
    "open_to_all",
    "selections",
    "steps",
)
