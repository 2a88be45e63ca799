# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""NV indices (TPM 2.0 Library Part 2, section 13; Part 1, section 37)."""

from __future__ import annotations

import struct
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attributes
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import ST_NO_SESSIONS, Cursor, sized

# PolicyCommandCode(TPM2_NV_Write), then PolicyNvWritten(NO), sha256: writing is allowed only until the index has been written.
WRITE_ONCE_POLICY = bytes.fromhex("b7afecee9bf7bcbd5078f264de85f7e361dc84f745da7efa34e91fdaf200ee9b")
COUNTER_SIZE = 8
# In bytes. Every TPM 2.0 in use reads and writes this many bytes of an NV index at once, so TPM_PT_NV_BUFFER_MAX is not asked for smaller ones.
SAFE_SIZE = 512


class NvPublic(t.NamedTuple):
    """A TPMS_NV_PUBLIC: index, TPM_ALG_ID of its Name, TPMA_NV word, policy digest, size in bytes."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    name_alg: int
    attributes: int
    auth_policy: bytes
    size: int

    @property
    def raw(self) -> bytes:
        """The marshalled structure."""
        return struct.pack(">IHI", self.index, self.name_alg, self.attributes) + sized(self.auth_policy) + struct.pack(">H", self.size)

    @property
    def name(self) -> bytes:
        """The Name; it changes when the index is first written. Raises TpmError for an unknown name algorithm."""
        try:
            return self.name_alg.to_bytes(2, "big") + alg.digest(self.name_alg, self.raw)
        except KeyError:
            raise TpmError(
                f"Could not compute the Name of the NV index {self.index:#010x}: its Name algorithm {self.name_alg:#06x} is not a known hash; "
                "use another index."
            ) from None

    @property
    def written(self) -> bool:
        """Whether the index has been written."""
        return bool(self.attributes & attributes.NV["written"])

    @property
    def type(self) -> str:
        """ordinary, counter, bits, extend, pinfail or pinpass."""
        return attributes.nv_type(self.attributes)

    def has(self, name: str) -> bool:
        """Whether the attribute of that name is set."""
        return bool(self.attributes & attributes.NV[name])


def after_write(public: NvPublic) -> NvPublic:
    """The definition of an index after it has been written for the first time."""
    return public._replace(attributes=public.attributes | attributes.NV["written"])


def answered(public: NvPublic) -> bytes:
    """The response to TPM2_NV_ReadPublic of an index with this definition (Part 3, section 31.6)."""
    body = sized(public.raw) + sized(public.name)
    return struct.pack(">HII", ST_NO_SESSIONS, 10 + len(body), 0) + body


def parse(data: bytes) -> NvPublic:
    """Parse a marshalled TPMS_NV_PUBLIC. No bytes may be left over. Raises TpmError."""
    cursor = Cursor(data)
    found = NvPublic(cursor.u32(), cursor.u16(), cursor.u32(), cursor.sized(), cursor.u16())
    if cursor.at() != len(data):
        raise TpmError(
            f"Could not read the public area of the NV index {found.index:#010x}: it has bytes left over; see that tcti names a TPM 2.0."
        )
    return found


# Rules of TPM2_NV_DefineSpace for the attributes of ordinary indices and counters (Part 2, section 13.4; Part 3, section 31.3): sets of
# attributes of which one must be set, and attributes that exclude each other. The first clause says what is wrong, the second what to do.
_ONE_OF = (
    (("ownerread", "authread", "policyread", "ppread"), "nobody could read it"),
    (("ownerwrite", "authwrite", "policywrite", "ppwrite"), "nobody could write it"),
)


def refused(word: int) -> tuple[str, str] | None:
    """Why every TPM refuses to define an ordinary index or counter with these attributes, and what to do; None if they are allowed."""
    for names, why in _ONE_OF:
        if not any(word & attributes.NV[name] for name in names):
            return why, f"add {', '.join(names[:-1])} or {names[-1]} to attributes"
    has = {name for name, bit in attributes.NV.items() if word & bit}
    if "policydelete" in has and "platformcreate" not in has:
        return "policydelete is only possible together with platformcreate", "leave it out"
    if "clear_stclear" in has and attributes.nv_type(word) == "counter":
        return "a counter counts on, and clear_stclear would forget at each reset that it was written", "leave clear_stclear out"
    if {"clear_stclear", "writedefine"} <= has:
        return "writedefine locks for good and clear_stclear forgets at each reset", "leave one of them out"
    return None


def write_lock(public: NvPublic) -> tuple[str, bool] | None:
    """The active write lock, as a clause that says when it ends, and whether it lasts for ever; None if no lock is active.

    A lock survives TPM Reset and TPM Restart only if the index is written and has WRITEDEFINE (Part 2, section 13.4; Part 3, section 31.11).
    """
    if not public.has("writelocked"):
        return None
    if public.has("writedefine") and public.written:
        return "it is write-locked for good (writedefine)", True
    kinds = [name for name in ("writedefine", "write_stclear", "globallock") if public.has(name)]
    return f"it is write-locked ({' or '.join(kinds) or 'writelocked'}) until the TPM is next reset", False


def read_lock(public: NvPublic) -> str | None:
    """The same for the read lock, which TPM Reset and TPM Restart always end (Part 3, section 31.14)."""
    return "it is read-locked (read_stclear) until the TPM is next reset" if public.has("readlocked") else None


def differences(want: NvPublic, have: NvPublic) -> list[str]:
    """How two definitions differ, apart from the state bits (written, locked): one short phrase for each difference."""
    found = []
    if want.type != have.type:
        found.append(f"it is of type {have.type}, not {want.type}")
    if want.size != have.size:
        found.append(f"its size is {have.size} bytes, not {want.size}")
    if want.name_alg != have.name_alg:
        found.append(f"its Name algorithm is {alg.alg_name(have.name_alg)}, not {alg.alg_name(want.name_alg)}")
    mask = ~(attributes.NV_STATE | attributes.NV_TYPE_MASK)
    missing = attributes.names(want.attributes & ~have.attributes & mask, attributes.NV)
    surplus = attributes.names(have.attributes & ~want.attributes & mask, attributes.NV)
    if missing:
        found.append(f"it lacks {'|'.join(missing)}")
    if surplus:
        found.append(f"it has {'|'.join(surplus)}")
    if want.auth_policy != have.auth_policy:
        found.append(f"its policy is {have.auth_policy.hex() or 'empty'}, not {want.auth_policy.hex() or 'empty'}")
    return found


def describe(public: NvPublic) -> dict[str, t.Any]:
    """An NV index for people."""
    return {
        "attributes": attributes.names(public.attributes, attributes.NV),
        "policy": public.auth_policy.hex(),
        "size": public.size,
        "type": public.type,
    }


__all__ = ("COUNTER_SIZE", "WRITE_ONCE_POLICY", "NvPublic", "describe", "differences", "parse", "read_lock", "refused", "write_lock")
