# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Attribute words: TPMA_OBJECT (TPM 2.0 Library Part 2, section 8.3) and TPMA_NV (section 13.4).

The names are those that tpm2-tools prints, so that an operator can compare them.
"""

from __future__ import annotations

import typing as t

OBJECT = {
    "fixedtpm": 1 << 1,
    "stclear": 1 << 2,
    "fixedparent": 1 << 4,
    "sensitivedataorigin": 1 << 5,
    "userwithauth": 1 << 6,
    "adminwithpolicy": 1 << 7,
    "noda": 1 << 10,
    "encryptedduplication": 1 << 11,
    "restricted": 1 << 16,
    "decrypt": 1 << 17,
    "sign": 1 << 18,
    "x509sign": 1 << 19,
}

NV = {
    "ppwrite": 1 << 0,
    "ownerwrite": 1 << 1,
    "authwrite": 1 << 2,
    "policywrite": 1 << 3,
    "policydelete": 1 << 10,
    "writelocked": 1 << 11,
    "writeall": 1 << 12,
    "writedefine": 1 << 13,
    "write_stclear": 1 << 14,
    "globallock": 1 << 15,
    "ppread": 1 << 16,
    "ownerread": 1 << 17,
    "authread": 1 << 18,
    "policyread": 1 << 19,
    "no_da": 1 << 25,
    "orderly": 1 << 26,
    "clear_stclear": 1 << 27,
    "readlocked": 1 << 28,
    "written": 1 << 29,
    "platformcreate": 1 << 30,
    "read_stclear": 1 << 31,
}
NV_TYPES = {0: "ordinary", 1: "counter", 2: "bits", 4: "extend", 8: "pinfail", 9: "pinpass"}
NV_TYPE_SHIFT = 4
NV_TYPE_MASK = 0xF0
# Bits for the state of an index; they are not part of its definition.
NV_STATE = NV["written"] | NV["writelocked"] | NV["readlocked"]


def names(word: int, table: t.Mapping[str, int]) -> list[str]:
    """The attribute names set in ``word``, lowest bit first; bits without a name appear as ``bit<N>``."""
    found = [name for name, bit in table.items() if word & bit]
    known = sum(table.values())
    if table is NV:
        known |= NV_TYPE_MASK
    return found + [f"bit{number}" for number in range(32) if word >> number & 1 and not known >> number & 1]


def word(wanted: t.Iterable[str], table: t.Mapping[str, int]) -> int:
    """The attribute word with the named attributes set. Raises KeyError with the first name that does not exist."""
    value = 0
    for name in wanted:
        value |= table[name]
    return value


def nv_type(attributes: int) -> str:
    """The kind of an NV index (TPM_NT) by name: ordinary, counter, bits, extend, pinfail, pinpass."""
    number = (attributes & NV_TYPE_MASK) >> NV_TYPE_SHIFT
    return NV_TYPES.get(number, f"type{number}")


__all__ = ("NV", "NV_STATE", "NV_TYPES", "NV_TYPE_MASK", "NV_TYPE_SHIFT", "OBJECT", "names", "nv_type", "word")
