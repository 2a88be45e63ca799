# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The assertions of policies, one class each: how a playbook writes it, its part of the digest, when it cannot hold, how a session makes it.

Further assertions (``authorize``, ``signed``, ``nv``) belong in this file.
"""

from __future__ import annotations

import struct
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, handles, names, pcr
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.policy_base import (
    COMMAND_CODES,
    HASH,
    Assertion,
    PcrValues,
    Policy,
    Verbs,
    bad,
    command_name,
    extend_with,
)

# A policyRef is a TPM2B_NONCE (Part 2, section 10.4.4): no longer than the largest digest.
MAX_REF = 64


class Pcr(Assertion):
    """TPM2_PolicyPCR; ``values`` optionally maps each index to its digest (default: the current PCR values)."""

    names = ("pcr",)

    def __init__(self, selection: pcr.Selection, values: t.Mapping[int, bytes] | None = None) -> None:
        self.selection, self.values = selection, values

    @classmethod
    def read(cls, value: t.Any, nested: t.Callable[[t.Any], Policy]) -> Pcr:
        if not isinstance(value, dict) or not set(value) <= {"bank", "indices", "values"} or "indices" not in value:
            raise bad("pcr needs 'indices' and may have 'bank' and 'values', for example {bank: sha256, indices: [7]}")
        try:
            indices = pcr.numbers(value["indices"])
        except ValueError:
            raise bad("pcr indices must be a list of integers") from None
        chosen = pcr.selection(str(value.get("bank") or "sha256"), indices)
        return cls(chosen, _pcr_values(value.get("values"), chosen))

    def _expected(self, current: PcrValues) -> t.Mapping[int, bytes]:
        return current.get(self.selection.bank, {}) if self.values is None else self.values

    def extend(self, old: bytes, current: PcrValues) -> bytes:
        composite = pcr.composite(HASH, self.selection, self._expected(current))
        return extend_with(old, constants.CC_POLICY_PCR, pcr.marshal([self.selection]), composite)

    def assert_in(self, verbs: Verbs, session: t.Any, auths: t.Mapping[int, bytes]) -> None:
        verbs.policy_pcr(session, self.selection)

    def obstacle(self, code: int, current: PcrValues, written: bool | None) -> str | None:
        if self.values is None:
            return None
        now = current.get(self.selection.bank, {})
        moved = [str(index) for index in self.selection.indices if now.get(index) != self.values[index]]
        return f"PCR {','.join(moved)} of bank {self.selection.bank} has another value now" if moved else None

    def selections(self) -> list[pcr.Selection]:
        return [self.selection]

    def current(self) -> list[pcr.Selection]:
        return [self.selection] if self.values is None else []

    def check_measured(self, current: PcrValues, allow_unmeasured: bool) -> None:
        pcr.check_measured(self.selection, self._expected(current), allow_unmeasured)


def _pcr_values(given: t.Any, chosen: pcr.Selection) -> dict[int, bytes] | None:
    if given is None:
        return None
    size = alg.digest_size(alg.IDS[chosen.bank])
    try:
        # YAML turns digits without quotes into a number, and bytes.fromhex accepts only text.
        values = {pcr.numbers(index)[0]: bytes.fromhex(text) for index, text in given.items()}
    except (AttributeError, TypeError, ValueError):
        raise bad("pcr values must map each index to a digest in hex, in quotes") from None
    if sorted(values) != list(chosen.indices) or any(len(value) != size for value in values.values()):
        raise bad(f"pcr values must give one digest of {size} bytes for each of the indices {list(chosen.indices)}")
    return values


class CommandCode(Assertion):
    """TPM2_PolicyCommandCode."""

    names = ("command_code",)

    def __init__(self, code: int) -> None:
        self.code = code

    @classmethod
    def read(cls, value: t.Any, nested: t.Callable[[t.Any], Policy]) -> CommandCode:
        if isinstance(value, int) and not isinstance(value, bool):
            if not 0 < value <= 0xFFFFFFFF:
                raise bad(f"{value} is not a command code; give a name or a number of 32 bits")
            return cls(value)
        name = str(value or "nothing")
        for prefix in ("TPM2_CC_", "TPM2_"):
            name = name[len(prefix) :] if name.startswith(prefix) else name
        if name not in COMMAND_CODES:
            raise bad(f"'{name}' is not a known command code; take one of {', '.join(COMMAND_CODES)}")
        return cls(COMMAND_CODES[name])

    def extend(self, old: bytes, current: PcrValues) -> bytes:
        return extend_with(old, constants.CC_POLICY_COMMAND_CODE, struct.pack(">I", self.code))

    def assert_in(self, verbs: Verbs, session: t.Any, auths: t.Mapping[int, bytes]) -> None:
        verbs.policy_command_code(session, self.code)

    def obstacle(self, code: int, current: PcrValues, written: bool | None) -> str | None:
        return self.never(code)

    def never(self, code: int) -> str | None:
        return None if self.code == code else f"it allows the command {command_name(self.code)} only"

    def free(self) -> bool:
        return True


class NvWritten(Assertion):
    """TPM2_PolicyNvWritten."""

    names = ("nv_written",)

    def __init__(self, written: bool) -> None:
        self.written = written

    @classmethod
    def read(cls, value: t.Any, nested: t.Callable[[t.Any], Policy]) -> NvWritten:
        if not isinstance(value, bool):
            raise bad("nv_written takes true or false")
        return cls(value)

    def extend(self, old: bytes, current: PcrValues) -> bytes:
        return extend_with(old, constants.CC_POLICY_NV_WRITTEN, bytes([self.written]))

    def assert_in(self, verbs: Verbs, session: t.Any, auths: t.Mapping[int, bytes]) -> None:
        verbs.policy_nv_written(session, self.written)

    def obstacle(self, code: int, current: PcrValues, written: bool | None) -> str | None:
        if written is None or self.written == written:
            return None
        return "the index has been written" if written else "the index has not been written"

    def never(self, code: int) -> str | None:
        return "nv_written holds for NV indices only"


class AuthValue(Assertion):
    """TPM2_PolicyAuthValue. Also used for ``password``: both have the same digest, and only this one does not send the value over the bus."""

    names = ("auth_value", "password")

    @classmethod
    def read(cls, value: t.Any, nested: t.Callable[[t.Any], Policy]) -> AuthValue:
        if value not in (None, True):
            raise bad("auth_value and password take no argument")
        return cls()

    def extend(self, old: bytes, current: PcrValues) -> bytes:
        return extend_with(old, constants.CC_POLICY_AUTH_VALUE)

    def assert_in(self, verbs: Verbs, session: t.Any, auths: t.Mapping[int, bytes]) -> None:
        verbs.policy_auth_value(session)

    def needs_auth(self) -> bool:
        return True

    def free(self) -> bool:
        return True


class Secret(Assertion):
    """TPM2_PolicySecret with the auth of a hierarchy (its handle) and a policyRef."""

    names = ("secret",)

    def __init__(self, hierarchy: int, ref: bytes = b"") -> None:
        self.hierarchy, self.ref = hierarchy, ref

    @classmethod
    def read(cls, value: t.Any, nested: t.Callable[[t.Any], Policy]) -> Secret:
        if not isinstance(value, dict) or not set(value) <= {"hierarchy", "ref"}:
            raise bad("secret needs 'hierarchy' and may have 'ref' (hex)")
        name = value.get("hierarchy")
        if name not in ("owner", "endorsement", "platform"):
            raise bad("secret works with the hierarchy owner, endorsement or platform; a wrong lockout auth would block the TPM")
        try:
            ref = bytes.fromhex("" if value.get("ref") is None else value["ref"])
        except (TypeError, ValueError):
            raise bad("the ref of a secret must be hex, in quotes") from None
        if len(ref) > MAX_REF:
            raise bad(f"the ref of a secret has {len(ref)} bytes and may have at most {MAX_REF}; shorten it")
        return cls(handles.HIERARCHIES[name], ref)

    def extend(self, old: bytes, current: PcrValues) -> bytes:
        return alg.digest(HASH, extend_with(old, constants.CC_POLICY_SECRET, names.hierarchy_name(self.hierarchy)) + self.ref)

    def assert_in(self, verbs: Verbs, session: t.Any, auths: t.Mapping[int, bytes]) -> None:
        verbs.policy_secret(session, self.hierarchy, auths.get(self.hierarchy, b""), self.ref)


__all__ = ("AuthValue", "CommandCode", "NvWritten", "Pcr", "Secret")
