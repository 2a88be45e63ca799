# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Policies: one description that computes its digest in software and tells how to satisfy a session.

TPM 2.0 Library Part 1, section 19.7. A policy is a list of assertions, read top to bottom; what they are stands in ``policy_assertions.py``
and, for those that hold policies of their own, ``policy_or.py``.
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

# All that a playbook can write.
ASSERTIONS: tuple[type[Assertion], ...] = (AuthValue, CommandCode, NvWritten, Or, Pcr, Secret)


def open_to_all(policy: Policy) -> bool:
    """Whether anybody can satisfy the policy of an object whose auth is empty, whatever state the device is in."""
    return all(one.free() for one in policy)


def selections(policy: Policy) -> list[pcr.Selection]:
    """All PCRs that a policy speaks of."""
    return [chosen for one in policy for chosen in one.selections()]


def current(policy: Policy) -> list[pcr.Selection]:
    """Those of them whose values are not in the policy, so that the TPM's present ones are meant."""
    return [chosen for one in policy for chosen in one.current()]


def asks_for_auth(policy: Policy) -> bool:
    """Whether some way to satisfy the policy takes the object's auth value."""
    return any(one.needs_auth() for one in policy)


def digest(policy: Policy, current: PcrValues, start: bytes | None = None) -> bytes:
    """The policy digest (32 bytes) as the TPM computes it; ``current`` holds the PCR values by bank and index.

    An empty policy has an empty digest, as an object without policy has. Raises KeyError where a PCR value is missing.
    """
    if not policy and start is None:
        return b""
    return policy_or.extended(policy, current, bytes(alg.digest_size(HASH)) if start is None else start)


def check_measured(policy: Policy, current: PcrValues, allow_unmeasured: bool) -> None:
    """Refuse PCR assertions that prove nothing. Raises StateError."""
    for one in policy:
        one.check_measured(current, allow_unmeasured)


def steps(policy: Policy, code: int, current: PcrValues, written: bool | None = None) -> list[t.Any]:
    """The assertions that a session must make so that the command ``code`` is allowed now; ``Or`` comes as ``Offer``.

    The first branch that can hold is taken. Raises StateError where none can.
    """
    found, reasons = policy_or.steps(policy, code, current, written, bytes(alg.digest_size(HASH)))
    if found is None:
        raise StateError(
            f"Could not satisfy the policy: {'; '.join(reasons)}; bring the device into the state it was made for, or make the object anew."
        )
    return found


def asks_auth(asked: t.Iterable[Assertion]) -> bool:
    """Whether assertions, as ``steps`` has them, ask for the object's auth value."""
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
