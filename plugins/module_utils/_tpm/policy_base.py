# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The base class of a policy's assertions, and the interface of a session in which they are made (TPM 2.0 Library Part 3, section 23)."""

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
# Every policy that this collection computes uses SHA-256, the nameAlg of all objects that it creates.
HASH = alg.SHA256

_COMMAND_NAMES = {code: name for name, code in COMMAND_CODES.items()}


PcrValues = t.Mapping[str, t.Mapping[int, bytes]]
# The assertions that a session has to make; or None if the policy cannot be satisfied now, and the reasons for that.
Found = tuple[t.Optional[list[t.Any]], list[str]]


class Verbs(t.Protocol):
    """The commands for a policy session, in the specification's verbs; ``esapi.py`` implements them. ``session`` is an opaque token."""

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
    """A command's name, or its code if the name is not known."""
    return _COMMAND_NAMES.get(code, f"{code:#x}")


def extend_with(old: bytes, code: int, *parts: bytes) -> bytes:
    return alg.digest(HASH, old + struct.pack(">I", code) + b"".join(parts))


class Assertion:
    """One assertion of a policy. The methods here give the answers that fit most assertions."""

    # The assertion's name in a playbook.
    names: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, vars(self).values()))})"

    @classmethod
    def read(cls, value: t.Any, nested: t.Callable[[t.Any], Policy]) -> Assertion:
        """Make the assertion from its argument in a playbook (None without one); ``nested`` reads a policy inside it. Raises InputError."""
        raise NotImplementedError

    def extend(self, old: bytes, current: PcrValues) -> bytes:
        """The policy digest after this assertion. Raises KeyError if a PCR value is missing."""
        raise NotImplementedError

    def assert_in(self, verbs: Verbs, session: t.Any, auths: t.Mapping[int, bytes]) -> None:
        """Make the assertion in a policy session; ``auths``: the auth values of hierarchies, by handle."""
        raise NotImplementedError

    def obstacle(self, code: int, current: PcrValues, written: bool | None) -> str | None:
        """Why the assertion cannot hold now for the command ``code``; None if it can."""
        return None

    def never(self, code: int) -> str | None:
        """Why the assertion can never allow the command ``code`` on an object other than an NV index; None if it may."""
        return None

    def needs_auth(self) -> bool:
        """Whether there is a way to satisfy it that uses the object's auth value."""
        return False

    def free(self) -> bool:
        """Whether anybody can satisfy it on an object with an empty auth, in every state of the device."""
        return False

    def selections(self) -> list[pcr.Selection]:
        """All PCRs in it."""
        return []

    def current(self) -> list[pcr.Selection]:
        """The PCRs for which it gives no values, so that the TPM's current values are used."""
        return []

    def check_measured(self, current: PcrValues, allow_unmeasured: bool) -> None:
        """Raises StateError for PCRs that prove nothing."""

    def steps(self, code: int, current: PcrValues, written: bool | None, start: bytes) -> Found:
        """The assertions that a session must make for it; ``start`` is the policy digest before it."""
        reason = self.obstacle(code, current, written)
        return (None, [reason]) if reason else ([self], [])


Policy = tuple[Assertion, ...]


__all__ = ("Assertion", "COMMAND_CODES", "Found", "HASH", "PcrValues", "Policy", "Verbs", "bad", "command_name", "extend_with")
