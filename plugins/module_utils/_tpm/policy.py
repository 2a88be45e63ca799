# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Policies: one description that computes its digest in software and tells how to satisfy a session.

TPM 2.0 Library Part 1, section 19.7 and Part 3, section 23. A policy is a list of assertions, read top to bottom. C(authorize),
C(signed) and C(nv) will be further assertion classes here, with a reader each in C(policy_read).
"""

from __future__ import annotations

import struct
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names, pcr
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import StateError

CC_NV_INCREMENT = 0x134
CC_NV_WRITE = 0x137
CC_NV_READ = 0x14E
CC_POLICY_SECRET = 0x151
CC_UNSEAL = 0x15E
CC_POLICY_AUTH_VALUE = 0x16B
CC_POLICY_COMMAND_CODE = 0x16C
CC_POLICY_OR = 0x171
CC_POLICY_PCR = 0x17F
CC_POLICY_NV_WRITTEN = 0x18F
COMMAND_CODES = {
    "NV_UndefineSpaceSpecial": 0x11F,
    "NV_Increment": CC_NV_INCREMENT,
    "NV_SetBits": 0x135,
    "NV_Extend": 0x136,
    "NV_Write": CC_NV_WRITE,
    "NV_WriteLock": 0x138,
    "NV_ChangeAuth": 0x13B,
    "ActivateCredential": 0x147,
    "Certify": 0x148,
    "Duplicate": 0x14B,
    "NV_Read": CC_NV_READ,
    "NV_ReadLock": 0x14F,
    "ObjectChangeAuth": 0x150,
    "ECDH_ZGen": 0x154,
    "Quote": 0x158,
    "RSA_Decrypt": 0x159,
    "Sign": 0x15D,
    "Unseal": CC_UNSEAL,
    "NV_Certify": 0x184,
}
# In software every policy of this collection is a SHA-256 policy: the nameAlg of all that we create.
HASH = alg.SHA256

_COMMAND_NAMES = {code: name for name, code in COMMAND_CODES.items()}

PcrValues = t.Mapping[str, t.Mapping[int, bytes]]


class Pcr(t.NamedTuple):
    """TPM2_PolicyPCR; C(values) maps an index to its digest where not the current ones are meant."""

    selection: pcr.Selection
    values: t.Mapping[int, bytes] | None = None


class CommandCode(t.NamedTuple):
    """TPM2_PolicyCommandCode."""

    code: int


class NvWritten(t.NamedTuple):
    """TPM2_PolicyNvWritten."""

    written: bool


class AuthValue(t.NamedTuple):
    """TPM2_PolicyAuthValue. Also stands for C(password): both have one digest, and only this one keeps the value off the bus."""


class Secret(t.NamedTuple):
    """TPM2_PolicySecret with the auth of a hierarchy (its handle) and a policyRef."""

    hierarchy: int
    ref: bytes = b""


class Or(t.NamedTuple):
    """TPM2_PolicyOR over 2 to 8 branches, each a policy of its own."""

    branches: tuple[tuple[t.Any, ...], ...]


class Offer(t.NamedTuple):
    """C(Or) as a session needs it: the digests of all branches."""

    digests: tuple[bytes, ...]


Policy = tuple[t.Any, ...]


def command_name(code: int) -> str:
    """A command by name, or its code where we have none."""
    return _COMMAND_NAMES.get(code, f"{code:#x}")


def impossible(policy: Policy, code: int) -> str | None:
    """Why no state of the device can ever make the policy allow the command C(code) on an object that is no NV index; None: it may."""
    for one in policy:
        if isinstance(one, NvWritten):
            return "nv_written holds for NV indices only"
        if isinstance(one, CommandCode) and one.code != code:
            return f"it allows the command {command_name(one.code)} only"
        if isinstance(one, Or):
            reasons = [impossible(branch, code) for branch in one.branches]
            if all(reasons):
                return reasons[0]
    return None


def open_to_all(policy: Policy) -> bool:
    """Whether anybody can satisfy the policy of an object whose auth is empty, whatever state the device is in."""
    free = (AuthValue, CommandCode)
    return all(isinstance(one, free) or (isinstance(one, Or) and any(map(open_to_all, one.branches))) for one in policy)


def selections(policy: Policy) -> list[pcr.Selection]:
    """All PCRs that a policy speaks of."""
    found = []
    for one in policy:
        if isinstance(one, Pcr):
            found.append(one.selection)
        elif isinstance(one, Or):
            for branch in one.branches:
                found += selections(branch)
    return found


def current(policy: Policy) -> list[pcr.Selection]:
    """Those of them whose values are not in the policy, so that the TPM's present ones are meant."""
    found = []
    for one in policy:
        if isinstance(one, Pcr) and one.values is None:
            found.append(one.selection)
        elif isinstance(one, Or):
            for branch in one.branches:
                found += current(branch)
    return found


def asks_for_auth(policy: Policy) -> bool:
    """Whether some way to satisfy the policy takes the object's auth value."""
    return any(isinstance(one, AuthValue) or (isinstance(one, Or) and any(map(asks_for_auth, one.branches))) for one in policy)


def _extend(old: bytes, code: int, *parts: bytes) -> bytes:
    return alg.digest(HASH, old + struct.pack(">I", code) + b"".join(parts))


def _pcr_values(one: Pcr, current: PcrValues) -> t.Mapping[int, bytes]:
    return current.get(one.selection.bank, {}) if one.values is None else one.values


def _extended(one: t.Any, old: bytes, current: PcrValues) -> bytes:
    if isinstance(one, Pcr):
        composite = pcr.composite(HASH, one.selection, _pcr_values(one, current))
        return _extend(old, CC_POLICY_PCR, pcr.marshal([one.selection]), composite)
    if isinstance(one, CommandCode):
        return _extend(old, CC_POLICY_COMMAND_CODE, struct.pack(">I", one.code))
    if isinstance(one, NvWritten):
        return _extend(old, CC_POLICY_NV_WRITTEN, bytes([one.written]))
    if isinstance(one, AuthValue):
        return _extend(old, CC_POLICY_AUTH_VALUE)
    if isinstance(one, Secret):
        return alg.digest(HASH, _extend(old, CC_POLICY_SECRET, names.hierarchy_name(one.hierarchy)) + one.ref)
    return _extend(bytes(len(old)), CC_POLICY_OR, *_branches(one, old, current))


def _branches(one: Or, old: bytes, current: PcrValues) -> list[bytes]:
    return [digest(branch, current, old) for branch in one.branches]


def digest(policy: Policy, current: PcrValues, start: bytes | None = None) -> bytes:
    """The policy digest (32 bytes) as the TPM computes it; C(current) holds the PCR values by bank and index.

    An empty policy has an empty digest, as an object without policy has. Raises KeyError where a PCR value is missing.
    """
    if not policy and start is None:
        return b""
    value = bytes(alg.digest_size(HASH)) if start is None else start
    for one in policy:
        value = _extended(one, value, current)
    return value


def check_measured(policy: Policy, current: PcrValues, allow_unmeasured: bool) -> None:
    """Refuse PCR assertions that prove nothing. Raises StateError."""
    for one in policy:
        if isinstance(one, Pcr):
            pcr.check_measured(one.selection, _pcr_values(one, current), allow_unmeasured)
        elif isinstance(one, Or):
            for branch in one.branches:
                check_measured(branch, current, allow_unmeasured)


def _obstacle(one: t.Any, code: int, current: PcrValues, written: bool | None) -> str | None:
    """Why an assertion cannot hold now, None where it can."""
    if isinstance(one, Pcr) and one.values is not None:
        now = current.get(one.selection.bank, {})
        moved = [str(index) for index in one.selection.indices if now.get(index) != one.values[index]]
        return f"PCR {','.join(moved)} of bank {one.selection.bank} has another value now" if moved else None
    if isinstance(one, CommandCode) and one.code != code:
        return f"it allows the command {command_name(one.code)} only"
    if isinstance(one, NvWritten) and written is not None and one.written != written:
        return "the index has been written" if written else "the index has not been written"
    return None


def steps(policy: Policy, code: int, current: PcrValues, written: bool | None = None) -> list[t.Any]:
    """The assertions that a session must make so that the command C(code) is allowed now; C(Or) comes as C(Offer).

    The first branch that can hold is taken. Raises StateError where none can.
    """
    found, reasons = _steps(policy, code, current, written, bytes(alg.digest_size(HASH)))
    if found is None:
        raise StateError(
            f"Could not satisfy the policy: {'; '.join(reasons)}; bring the device into the state it was made for, or make the object anew."
        )
    return found


def _steps(policy: Policy, code: int, current: PcrValues, written: bool | None, start: bytes) -> tuple[list[t.Any] | None, list[str]]:
    made: list[t.Any] = []
    value = start
    for one in policy:
        reason = _obstacle(one, code, current, written)
        if reason:
            return None, [reason]
        if not isinstance(one, Or):
            made.append(one)
        else:
            tried = [_steps(branch, code, current, written, value) for branch in one.branches]
            fitting = next((found for found, _why in tried if found is not None), None)
            if fitting is None:
                return None, [reason for _found, why in tried for reason in why]
            made += fitting + [Offer(tuple(_branches(one, value, current)))]
        value = _extended(one, value, current)
    return made, []


__all__ = (
    "AuthValue",
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
