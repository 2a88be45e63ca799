# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What an assertion of a policy is, and the verbs by which a session makes one (TPM 2.0 Library Part 3, section 23)."""

from __future__ import annotations

import struct
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, pcr
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError

COMMAND_CODES = {
    "NV_UndefineSpaceSpecial": constants.CC_NV_UNDEFINE_SPACE_SPECIAL,
    "NV_Increment": constants.CC_NV_INCREMENT,
    "NV_SetBits": constants.CC_NV_SET_BITS,
    "NV_Extend": constants.CC_NV_EXTEND,
    "NV_Write": constants.CC_NV_WRITE,
    "NV_WriteLock": constants.CC_NV_WRITE_LOCK,
    "NV_ChangeAuth": constants.CC_NV_CHANGE_AUTH,
    "ActivateCredential": constants.CC_ACTIVATE_CREDENTIAL,
    "Certify": constants.CC_CERTIFY,
    "Duplicate": constants.CC_DUPLICATE,
    "NV_Read": constants.CC_NV_READ,
    "NV_ReadLock": constants.CC_NV_READ_LOCK,
    "ObjectChangeAuth": constants.CC_OBJECT_CHANGE_AUTH,
    "ECDH_ZGen": constants.CC_ECDH_ZGEN,
    "Quote": constants.CC_QUOTE,
    "RSA_Decrypt": constants.CC_RSA_DECRYPT,
    "Sign": constants.CC_SIGN,
    "Unseal": constants.CC_UNSEAL,
    "NV_Certify": constants.CC_NV_CERTIFY,
}
# In software every policy of this collection is a SHA-256 policy: the nameAlg of all that we create.
HASH = alg.SHA256

_COMMAND_NAMES = {code: name for name, code in COMMAND_CODES.items()}


PcrValues = t.Mapping[str, t.Mapping[int, bytes]]
# What a session is to assert, None where nothing of it can hold now; and then the reasons.
Found = tuple[t.Optional[list[t.Any]], list[str]]


class Verbs(t.Protocol):
    """What a policy session can be told, in the specification's verbs; ``esapi.py`` implements them. ``session`` is an opaque token."""

    def policy_pcr(self, session: t.Any, selection: pcr.Selection) -> None:
        """TPM2_PolicyPCR (23.7) with the current values."""

    def policy_command_code(self, session: t.Any, code: int) -> None:
        """TPM2_PolicyCommandCode (23.11)."""

    def policy_nv_written(self, session: t.Any, written: bool) -> None:
        """TPM2_PolicyNvWritten (23.20)."""

    def policy_auth_value(self, session: t.Any) -> None:
        """TPM2_PolicyAuthValue (23.17)."""

    def policy_secret(self, session: t.Any, hierarchy: int, value: bytes, ref: bytes) -> None:
        """TPM2_PolicySecret (23.4) with the auth value of a hierarchy."""

    def policy_or(self, session: t.Any, digests: t.Sequence[bytes]) -> None:
        """TPM2_PolicyOR (23.6)."""


def bad(message: str) -> InputError:
    """The error for a policy that cannot be read."""
    return InputError(f"Could not read the policy: {message}.")


def command_name(code: int) -> str:
    """A command by name, or its code where we have none."""
    return _COMMAND_NAMES.get(code, f"{code:#x}")


def extend_with(old: bytes, code: int, *parts: bytes) -> bytes:
    return alg.digest(HASH, old + struct.pack(">I", code) + b"".join(parts))


class Assertion:
    """One line of a policy. What most assertions do not have is answered here."""

    # How a playbook names it.
    names: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, vars(self).values()))})"

    @classmethod
    def read(cls, value: t.Any, nested: t.Callable[[t.Any], Policy]) -> Assertion:
        """Itself from a playbook's argument (None without one); ``nested`` reads a policy in it. Raises InputError."""
        raise NotImplementedError

    def extend(self, old: bytes, current: PcrValues) -> bytes:
        """The policy digest after it. Raises KeyError where a PCR value is missing."""
        raise NotImplementedError

    def assert_in(self, verbs: Verbs, session: t.Any, auths: t.Mapping[int, bytes]) -> None:
        """Make it in a policy session; ``auths``: the auth values of hierarchies."""
        raise NotImplementedError

    def obstacle(self, code: int, current: PcrValues, written: bool | None) -> str | None:
        """Why it cannot hold now for the command ``code``, None where it can."""
        return None

    def never(self, code: int) -> str | None:
        """Why it can never allow the command ``code`` on an object that is no NV index, None where it may."""
        return None

    def needs_auth(self) -> bool:
        """Whether some way to satisfy it takes the object's auth value."""
        return False

    def free(self) -> bool:
        """Whether anybody can satisfy it on an object whose auth is empty, whatever state the device is in."""
        return False

    def selections(self) -> list[pcr.Selection]:
        """All PCRs that it speaks of."""
        return []

    def current(self) -> list[pcr.Selection]:
        """Those of them whose values are not in it, so that the TPM's present ones are meant."""
        return []

    def check_measured(self, current: PcrValues, allow_unmeasured: bool) -> None:
        """Refuse PCRs that prove nothing. Raises StateError."""

    def steps(self, code: int, current: PcrValues, written: bool | None, start: bytes) -> Found:
        """What a session must assert for it, whose digest is ``start`` before it."""
        reason = self.obstacle(code, current, written)
        return (None, [reason]) if reason else ([self], [])


Policy = tuple[Assertion, ...]


__all__ = ("Assertion", "COMMAND_CODES", "Found", "HASH", "PcrValues", "Policy", "Verbs", "bad", "command_name", "extend_with")
