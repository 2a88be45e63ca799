# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""PCR selections and digests (TPM 2.0 Library Part 2, section 10.6; Part 1, section 17)."""

from __future__ import annotations

import struct
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError, StateError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import Cursor

COUNT = 24


class Selection(t.NamedTuple):
    """PCRs of one bank: the bank's hash by name and the indices in ascending order."""

    bank: str
    indices: tuple[int, ...]

    @property
    def text(self) -> str:
        """The selection as tpm2-tools writes it: ``sha256:0,7``."""
        return f"{self.bank}:{','.join(str(index) for index in self.indices)}"


def numbers(given: t.Any) -> list[int]:
    """Read PCR indices as a playbook gives them: a list of integers or of digits in text, such a list in one text (``0,7``), or one integer.

    Raises ValueError for anything else, truth values included.
    """
    if isinstance(given, (str, int)):
        given = str(given).split(",")  # a truth value becomes a word, which is not a number
    if isinstance(given, t.Mapping) or not isinstance(given, t.Iterable):
        raise ValueError("no list")
    found = list(given)
    if any(isinstance(one, bool) or not isinstance(one, (int, str)) for one in found):
        raise ValueError("no numbers")
    return [int(one) for one in found]


def selection(bank: str, indices: t.Any) -> Selection:
    """Check and sort a selection; ``indices`` in any form that ``numbers`` accepts.

    Raises InputError for SHA-1, an unknown bank, an empty list, or an index that does not exist.
    """
    if alg.IDS.get(bank) not in alg.HASHES:
        raise InputError(f"Could not use the PCR bank '{bank}': no such hash; take sha256, sha384 or sha512.")
    if bank == "sha1":
        raise InputError("Could not use the PCR bank 'sha1': collisions can be made at will; take sha256.")
    try:
        chosen = tuple(sorted(set(numbers(indices))))
    except ValueError:
        raise InputError(
            f"Could not use the PCRs of bank {bank}: their indices must be a list of numbers; name indices from 0 to {COUNT - 1}."
        ) from None
    if not chosen:
        raise InputError("Could not use an empty list of PCRs: it protects nothing; name at least one index.")
    if chosen[0] < 0 or chosen[-1] >= COUNT:
        raise InputError(
            f"Could not use PCR {chosen[0] if chosen[0] < 0 else chosen[-1]}: there is no such PCR; name indices from 0 to {COUNT - 1}."
        )
    return Selection(bank, chosen)


def marshal(chosen: t.Sequence[Selection]) -> bytes:
    """A TPML_PCR_SELECTION with three bytes of bitmap for each bank."""
    parts = [struct.pack(">I", len(chosen))]
    for one in chosen:
        bitmap = bytearray(COUNT // 8)
        for index in one.indices:
            bitmap[index // 8] |= 1 << index % 8
        parts.append(struct.pack(">HB", alg.IDS[one.bank], len(bitmap)) + bytes(bitmap))
    return b"".join(parts)


def parse(cursor: Cursor) -> list[Selection]:
    """Read a TPML_PCR_SELECTION. A bank with an unknown hash gets its number as name."""
    found = []
    for _each in range(cursor.u32()):
        bank = alg.alg_name(cursor.u16())
        bitmap = cursor.take(cursor.u8())
        found.append(Selection(bank, tuple(index for index in range(len(bitmap) * 8) if bitmap[index // 8] >> index % 8 & 1)))
    return found


def check_measured(chosen: Selection, values: t.Mapping[int, bytes], allow_unmeasured: bool) -> None:
    """Raises StateError for PCRs that prove nothing: in a bank that is not allocated, or with a value of all zeros or all ones.

    A bank that is not allocated is never allowed: every state satisfies a policy over it, because its digest is that of no data.
    """
    absent = [str(index) for index in chosen.indices if index not in values]
    if absent:
        raise StateError(
            f"Could not use PCR {','.join(absent)} of bank {chosen.bank}: the TPM has not allocated this bank, so any state would satisfy it; "
            "allocate the bank (firmware set-up or tpm2_pcrallocate, then reboot) or name another."
        )
    idle = [str(index) for index in chosen.indices if values[index].strip(b"\0") == b"" or values[index].strip(b"\xff") == b""]
    if idle and not allow_unmeasured:
        raise StateError(
            f"Could not use PCR {','.join(idle)} of bank {chosen.bank}: nothing has been measured into it, so every boot would satisfy it; "
            "enable measured boot, or set allow_unmeasured to accept a policy that protects nothing."
        )


def composite(hash_alg: int, chosen: Selection, values: t.Mapping[int, bytes]) -> bytes:
    """The digest over the concatenated PCR values in ascending order, as TPM2_PolicyPCR takes it."""
    return alg.digest(hash_alg, b"".join(values[index] for index in chosen.indices))


__all__ = ("COUNT", "Selection", "check_measured", "composite", "marshal", "numbers", "parse", "selection")
