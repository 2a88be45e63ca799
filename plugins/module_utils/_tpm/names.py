# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Public areas, Names and Qualified Names (TPM 2.0 Library Part 1, section 16; Part 2, section 12.2)."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attributes
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import Cursor, sized

# TPM 2.0 Library 1.85 Part 2, section 11.2: TPM_MLKEM_512 …, TPM_MLDSA_44 …
_MLDSA_SETS = {1: "44", 2: "65", 3: "87"}
PARAMETER_SETS = {alg.MLKEM: {1: "512", 2: "768", 3: "1024"}, alg.MLDSA: _MLDSA_SETS, alg.HASH_MLDSA: _MLDSA_SETS}


class Public(t.NamedTuple):
    """A TPMT_PUBLIC, parsed as far as comparisons need it; ``raw`` is the whole marshalled structure."""

    type: int
    name_alg: int
    attributes: int
    auth_policy: bytes
    symmetric: bytes
    scheme: bytes
    detail: bytes
    unique: bytes
    raw: bytes

    @property
    def name(self) -> bytes:
        """The Name: nameAlg and the digest of the marshalled public area. Raises TpmError for an unknown nameAlg."""
        try:
            return self.name_alg.to_bytes(2, "big") + alg.digest(self.name_alg, self.raw)
        except KeyError:
            raise TpmError(
                f"Could not compute a Name: the name algorithm {alg.alg_name(self.name_alg)} of a public area is not a known hash; "
                "use an object with another one."
            ) from None

    @property
    def algorithm(self) -> str:
        """The key type in the collection's words: rsa_2048, ecc_p256, keyedhash, symcipher."""
        if self.type == alg.RSA:
            return f"rsa_{int.from_bytes(self.detail[:2], 'big')}"
        if self.type == alg.ECC:
            curve = int.from_bytes(self.detail[:2], "big")
            return alg.CURVE_NAMES.get(curve, f"ecc_{curve:#06x}")
        if self.type in PARAMETER_SETS:
            number = int.from_bytes(self.detail[:2], "big")
            return f"{alg.alg_name(self.type)}_{PARAMETER_SETS[self.type].get(number, hex(number))}"
        return alg.alg_name(self.type)


def _optional(cursor: Cursor, extra: t.Mapping[int, int], default: int) -> bytes:
    """An algorithm identifier together with the details that follow it; no details follow TPM_ALG_NULL."""
    number = cursor.u16()
    size = 0 if number == alg.NULL else extra.get(number, default)
    return number.to_bytes(2, "big") + cursor.take(size)


def _parameters(kind: int, cursor: Cursor) -> tuple[bytes, bytes, bytes]:
    if kind == alg.RSA:
        symmetric = _optional(cursor, {}, 4)
        return symmetric, _optional(cursor, {alg.RSAES: 0}, 2), cursor.take(6)
    if kind == alg.ECC:
        symmetric = _optional(cursor, {}, 4)
        scheme = _optional(cursor, {alg.ECDAA: 4}, 2)
        return symmetric, scheme, cursor.take(2) + _optional(cursor, {}, 2)
    if kind == alg.KEYEDHASH:
        return b"", _optional(cursor, {alg.XOR: 4}, 2), b""
    if kind == alg.SYMCIPHER:
        return _optional(cursor, {}, 4), b"", b""
    if kind in PARAMETER_SETS:
        # TPMS_MLKEM_PARMS: symmetric, set; TPMS_MLDSA_PARMS: set, allowExternalMu; TPMS_HASH_MLDSA_PARMS: set, hash.
        symmetric = _optional(cursor, {}, 4) if kind == alg.MLKEM else b""
        return symmetric, b"", cursor.take({alg.MLKEM: 2, alg.MLDSA: 3, alg.HASH_MLDSA: 4}[kind])
    raise TpmError(f"Could not read a public area: it has the unknown type {alg.alg_name(kind)}; see whether a newer release knows it.")


def parse_public(raw: bytes) -> Public:
    """Parse a marshalled TPMT_PUBLIC. No bytes may be left over. Raises TpmError."""
    cursor = Cursor(raw)
    kind, name_alg, attrs, policy = cursor.u16(), cursor.u16(), cursor.u32(), cursor.sized()
    symmetric, scheme, detail = _parameters(kind, cursor)
    start = cursor.at()
    cursor.sized()
    if kind == alg.ECC:
        cursor.sized()
    end = cursor.at()
    if end != len(raw):
        raise TpmError(
            f"Could not read a public area: it is followed by {len(raw) - end} bytes that do not belong to it; see that tcti names a TPM 2.0."
        )
    return Public(kind, name_alg, attrs, policy, symmetric, scheme, detail, raw[start:], raw)


def qualified_name(parent: bytes, public: Public) -> bytes:
    """The Qualified Name of an object; ``parent`` is the Qualified Name of its parent (for a hierarchy: the handle)."""
    return public.name_alg.to_bytes(2, "big") + alg.digest(public.name_alg, parent + public.name)


def hierarchy_name(handle: int) -> bytes:
    """The Name of a permanent handle: the handle itself (Part 1, section 16)."""
    return handle.to_bytes(4, "big")


def differences(want: Public, have: Public) -> list[str]:
    """How two public areas differ, apart from ``unique``: one short phrase for each difference."""
    found = []
    if want.algorithm != have.algorithm:
        found.append(f"it is {have.algorithm}, not {want.algorithm}")
    if want.name_alg != have.name_alg:
        found.append(f"its Name algorithm is {alg.alg_name(have.name_alg)}, not {alg.alg_name(want.name_alg)}")
    missing = attributes.names(want.attributes & ~have.attributes, attributes.OBJECT)
    surplus = attributes.names(have.attributes & ~want.attributes, attributes.OBJECT)
    if missing:
        found.append(f"it lacks {'|'.join(missing)}")
    if surplus:
        found.append(f"it has {'|'.join(surplus)}")
    if want.auth_policy != have.auth_policy:
        found.append(f"its policy is {have.auth_policy.hex() or 'empty'}, not {want.auth_policy.hex() or 'empty'}")
    if want.type == have.type:
        found += _parameter_differences(want, have)
    return found


def _parameter_differences(want: Public, have: Public) -> list[str]:
    found = []
    if want.symmetric != have.symmetric:
        found.append(f"its symmetric algorithm is {have.symmetric.hex()}, not {want.symmetric.hex()}")
    if want.scheme != have.scheme:
        found.append(f"its scheme is {scheme_name(have.scheme)}, not {scheme_name(want.scheme)}")
    if _detail(want) != _detail(have) and want.algorithm == have.algorithm:
        found.append(f"its key parameters are {have.detail.hex()}, not {want.detail.hex()}")
    return found


def _detail(public: Public) -> bytes:
    # An RSA exponent of 65537 may be written as 0 (Part 2, section 12.2.3.5); both mean the same key.
    if public.type == alg.RSA and public.detail[2:] == (65537).to_bytes(4, "big"):
        return public.detail[:2] + bytes(4)
    return public.detail


def scheme_name(scheme: bytes) -> str:
    """A scheme as text, for example ``oaep-sha256`` or ``null``."""
    return "-".join(alg.alg_name(int.from_bytes(scheme[at : at + 2], "big")) for at in range(0, min(len(scheme), 4), 2)) or "none"


def is_storage_parent(public: Public) -> bool:
    """Whether an object can be a storage parent: restricted, decrypt, fixed to its TPM, usable with its auth, and with a symmetric algorithm."""
    need = attributes.word(("fixedtpm", "fixedparent", "userwithauth", "restricted", "decrypt"), attributes.OBJECT)
    asymmetric = public.type in (alg.RSA, alg.ECC)
    sealed_off = public.attributes & attributes.OBJECT["sign"]
    return asymmetric and public.attributes & need == need and not sealed_off and public.symmetric[:2] != alg.NULL.to_bytes(2, "big")


def describe(public: Public, made: bool = True) -> dict[str, t.Any]:
    """A public area for people: type, attributes by name, policy, scheme; and the Name, if the object has been ``made`` already."""
    name = {"name": public.name.hex()} if made else {}
    return {
        **name,
        "algorithm": public.algorithm,
        "attributes": attributes.names(public.attributes, attributes.OBJECT),
        "name_algorithm": alg.alg_name(public.name_alg),
        "policy": public.auth_policy.hex(),
        "scheme": scheme_name(public.scheme),
    }


def to_2b(public: Public) -> bytes:
    """The TPM2B_PUBLIC around it."""
    return sized(public.raw)


__all__ = (
    "Public",
    "describe",
    "differences",
    "hierarchy_name",
    "is_storage_parent",
    "parse_public",
    "qualified_name",
    "scheme_name",
    "to_2b",
)
