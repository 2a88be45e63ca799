# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The one exception family of the collection, and what a response code means.

Every module imports this file, even in a run that changes nothing, so it stays small: the texts are in ``rc_table``, which is imported only
after something has failed.

Python versions supported: >=3.9
"""

from __future__ import annotations

import typing as t

# Layers of a TSS2 response code, bits 16 to 23 (TSS 2.0 Overview and Common Structures, section 3.2; tss2_common.h).
LAYERS: dict[int, str] = {
    0: "tpm",
    6: "fapi",
    7: "esys",
    8: "sys",
    9: "mu",
    10: "tcti",
    11: "rm",
    12: "rm",
    13: "policy",
}

# The codes that the rest of the collection asks for, as base codes: compare with is_rc(), never with ==.
RC_INITIALIZE = 0x100
RC_FAILURE = 0x101
RC_AUTH_UNAVAILABLE = 0x12F
RC_NV_SPACE = 0x14B
RC_VALUE = 0x084
RC_HIERARCHY = 0x085
RC_HANDLE = 0x08B
RC_AUTH_FAIL = 0x08E
RC_SIZE = 0x095
RC_INSUFFICIENT = 0x09A
RC_POLICY_FAIL = 0x09D
RC_INTEGRITY = 0x09F
RC_BAD_AUTH = 0x0A2
RC_BINDING = 0x0A5
RC_OBJECT_MEMORY = 0x902
RC_SESSION_MEMORY = 0x903
RC_YIELDED = 0x908
RC_TESTING = 0x90A
RC_NV_RATE = 0x920
RC_RETRY = 0x922
RC_NV_UNAVAILABLE = 0x923

# Base codes after which the same command may be sent again, because they say that the TPM has not carried it out.
# LOCKOUT and the *_MEMORY warnings are not among them, because waiting does not end these (TPM 2.0 library part 2, 6.6.3).
RETRYABLE: frozenset[int] = frozenset((RC_RETRY, RC_YIELDED, RC_TESTING, RC_NV_RATE, RC_NV_UNAVAILABLE))

# Kinds of TransportError.
ABSENT = "absent"  # there is no TPM at that address
PERMISSION = "permission"  # it is there, but this process may not open it
BUSY = "busy"  # another process holds it
NO_ANSWER = "no_answer"  # opened, but it does not answer
BROKEN = "broken"  # the connection ended during a command, which may or may not have been carried out
NOT_A_TPM = "not_a_tpm"  # something answers, but it does not speak TPM 2.0
UNSUPPORTED = "unsupported"  # the TCTI is unknown or its library is not installed
OTHER = "other"

# The reason of a TransportError (see docs/errors.md) for each kind whose reason has another name.
_TRANSPORT_REASONS: dict[str, str] = {ABSENT: "no_tpm", PERMISSION: "no_permission", BROKEN: "connection_lost", OTHER: "transport"}

_TCTI_KINDS: dict[int, str] = {
    0xA0008: ABSENT,
    0xA0009: NO_ANSWER,
    0xA000A: BROKEN,
    0xA000C: PERMISSION,
    0xA0011: NOT_A_TPM,
    0xA0015: UNSUPPORTED,
}


class ResponseCode(t.NamedTuple):
    """A response code, decoded and put into words."""

    rc: int  # as received
    layer: str  # a value of LAYERS, or "unknown"
    name: str  # TPM_RC_BAD_AUTH, TSS2_TCTI_RC_IO_ERROR or UNKNOWN_0x...
    base: int  # the code that is_rc() compares: without position bits and without the resource manager's layer
    subject: str  # "handle 1", "parameter 2", "session 1", or ""
    meaning: str
    cure: str
    warning: bool  # a warning of the TPM ("not now"), 0x900 and up


class TpmError(Exception):
    """Base class of all errors that this collection raises on purpose: one sentence that says what to do, and the response code if there is one.

    The sentence is for people and may change. Programs decide by ``reason``, one stable word for each kind of failure (a key of
    ``rc_table.REASONS``, or the name of the TPM's response code), and by ``object``, the handle, index, path or hierarchy that the failure
    is about, if it is known.
    """

    reason: str = "failed"

    def __init__(self, message: str, rc: int | None = None, *, reason: str = "", object: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.rc = rc
        if reason:
            self.reason = reason
        self.object = object

    def __str__(self) -> str:
        """The current message: while the error is passed up, callers may add the task and step that it belongs to."""
        return self.message

    def words(self) -> dict[str, str]:
        """The keys of a result about the failure, besides its sentence: ``reason`` and, if it is known, ``object``."""
        return {"reason": self.reason, **({"object": self.object} if self.object else {})}


class ReasonedError(TpmError):
    """An error that cannot be raised without its reason."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message, reason=reason)


class TpmResponseError(TpmError):
    """The TPM, or the TSS on the way to it, answered a command with a response code."""

    rc: int

    def __init__(self, attempt: str, obj: str, rc: int, cure: str | None = None) -> None:
        super().__init__(sentence(attempt, obj, rc, cure), rc, reason=decode(rc).name)
        self.attempt = attempt
        self.obj = obj


class TransportError(TpmError):
    """There is no TPM, no permission, or no answer; ``kind`` is one of the constants above."""

    def __init__(self, message: str, kind: str = OTHER, rc: int | None = None, *, reason: str = "") -> None:
        super().__init__(message, rc, reason=reason or _TRANSPORT_REASONS.get(kind, kind))
        self.kind = kind


class InputError(TpmError):
    """The task's options make no sense; nothing was attempted."""

    reason = "input"


class MismatchError(TpmError):
    """Something different is already there, and replacing it was not asked for."""

    reason = "mismatch"


class CapacityError(TpmError):
    """The TPM lacks the room or the ability for what was asked for."""

    reason = "capacity"


class StateError(TpmError):
    """The TPM is in a state in which the run must not go on, for example lockoutAuth is set and not given."""

    reason = "state"


class DependencyError(TpmError):
    """A library on the device is missing or too old."""

    reason = "dependency"


def flushed(left: t.Sequence[int]) -> str:
    """The note for the user about handles that were flushed to make room."""
    told = ", ".join(f"{handle:#010x}" for handle in left)
    return f"flushed {told}, which an interrupted program had left in a TPM without resource manager"


def other_key(handle: int, found: bytes, verified: bytes) -> StateError:
    """The error if the key at ``handle`` is not the verified one; ``found`` and ``verified`` are Names."""
    return StateError(
        f"Could not open a secure session to the TPM: the key at {handle:#010x} has the Name {found.hex()}, not {verified.hex()}, which was "
        "verified; this is another TPM, or somebody sits between it and the processor: find out which; that TPM was sent nothing secret, "
        "but this host has read the options of the task, and the secrets in them.",
        reason="other_key",
        object=f"{handle:#010x}",
    )


def no_key(handle: int, verified: bytes) -> StateError:
    """The error if there is no key any more at a handle where one was verified; ``verified`` is its Name."""
    return StateError(
        f"Could not open a secure session to the TPM: there is no key at {handle:#010x}, where {verified.hex()} was verified; "
        "declare it in the same run (tpm2_profile), or find out who removed it.",
        reason="no_key",
        object=f"{handle:#010x}",
    )


def base_code(rc: int) -> int:
    """Return ``rc`` without its position bits and without the resource manager's layer (TPM 2.0 library part 2, 6.6).

    A code of another TSS layer is returned unchanged, so that, for example, the TCTI's 0xA000A never equals a TPM code.
    """
    rc &= 0xFFFFFFFF
    layer, low = rc >> 16, rc & 0xFFFF
    # The kernel's resource manager and tabrmd forward TPM codes under their own layer; TSS base codes all lie below 0x80.
    if layer == 0 or (LAYERS.get(layer) == "rm" and low >= 0x80):
        if low <= 0xFFF:
            return 0x80 | (low & 0x3F) if low & 0x80 else low
    return rc


def is_rc(rc: int | None, *bases: int) -> bool:
    """Return whether ``rc`` is one of ``bases``, whatever handle, parameter or session it names; False for None."""
    return rc is not None and base_code(rc) in {base_code(base) for base in bases}


def subject(rc: int) -> str:
    """Return what a code points to, "handle 1", "parameter 2" or "session 1"; "" if it does not say (part 2, 6.6.2)."""
    base, low = base_code(rc), rc & 0xFFF
    if 0x910 <= base <= 0x916:
        return f"handle {base - 0x90F}"
    if 0x918 <= base <= 0x91E:
        return f"session {base - 0x917}"
    if base > 0xFFF or not base & 0x80:
        return ""
    if low & 0x40:
        kind, number = "parameter", (low >> 8) & 0xF
    elif low & 0x800:
        kind, number = "session", (low >> 8) & 0x7
    else:
        kind, number = "handle", (low >> 8) & 0x7
    return f"{kind} {number}" if number else ""


def decode(rc: int) -> ResponseCode:
    """Put a response code into words; an unknown one is named UNKNOWN_0x... and raises no error."""
    # Imported here and not at the top, so that a run without failures does not load the texts.
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import rc_table

    rc &= 0xFFFFFFFF
    base = base_code(rc)
    layer = LAYERS.get(rc >> 16, "unknown")
    name = ""
    meaning, cure = rc_table.VENDOR if base <= 0xFFF and not base & 0x80 and base & 0x400 else rc_table.UNKNOWN
    if base in rc_table.TPM:
        name, meaning, cure = rc_table.TPM[base]
        name = "TPM_RC_" + name
    elif layer not in ("tpm", "unknown") and rc & 0xFFFF in rc_table.TSS:
        name, meaning, cure = rc_table.TSS[rc & 0xFFFF]
        name = rc_table.LAYER_NAMES.get((layer, name), name)
        name = "TSS2_{}_RC_{}".format("RESMGR" if layer == "rm" else layer.upper(), name)
    meaning, cure = rc_table.EXACT.get(rc, (meaning, cure))
    return ResponseCode(rc, layer, name or f"UNKNOWN_0x{rc:x}", base, subject(rc), meaning, cure, 0x900 <= base <= 0x97F)


def sentence(attempt: str, obj: str, rc: int, cure: str | None = None) -> str:
    """Return the one sentence that a user reads: what was attempted, on what, the reason by name, and what to do.

    ``attempt`` is a verb ("define"), ``obj`` its object ("NV index 0x01800010"); ``cure`` replaces the table's, where the
    caller knows better.
    """
    code = decode(rc)
    place = [f"0x{code.rc:x}"]
    if code.subject:
        place.append(code.subject)
    if code.layer == "rm":
        place.append("from the resource manager")
    text = "Could not {} {}: {} ({}): {}; {}".format(attempt, obj, code.name, ", ".join(place), code.meaning, cure or code.cure)
    return " ".join(text.split()).rstrip(" .") + "."


def from_rc(attempt: str, obj: str, rc: int, cure: str | None = None) -> TpmError:
    """Return the exception for ``rc``: TransportError for the TCTI layer, TpmResponseError for every other."""
    if (rc >> 16) & 0xFF == 10:
        return TransportError(sentence(attempt, obj, rc, cure), _TCTI_KINDS.get(rc, OTHER), rc)
    return TpmResponseError(attempt, obj, rc, cure)
