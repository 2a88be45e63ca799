# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""An EK that is made as its TPM says: from a template or with a nonce that the manufacturer has stored in NV.

EK Credential Profile v2.4, sections 2.2.1.2 to 2.2.1.5 and 2.2.1.9. If such an index is written, only an EK made with its content
matches the certificate. The content of NV is a claim of the device: it is used only if it describes an endorsement key.
"""

from __future__ import annotations

import struct
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attributes, key_policies
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import Cursor, sized
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.names import Public, parse_public

MAX_SIZE = 1024  # bytes of a template: RSA 4096 with a full ``unique`` has 600
_MUST = attributes.word(("fixedtpm", "fixedparent", "sensitivedataorigin", "adminwithpolicy", "restricted", "decrypt"), attributes.OBJECT)
_MAY = _MUST | attributes.word(("userwithauth", "noda"), attributes.OBJECT)
_AES = tuple(struct.pack(">HHH", alg.AES, bits, alg.CFB) for bits in (128, 256))
_NULL = struct.pack(">H", alg.NULL)
_CURVES = {0x0003: 32, 0x0004: 48, 0x0005: 66}
_RSA_BITS = (2048, 3072, 4096)
_HASHES = (alg.SHA256, alg.SHA384, alg.SHA512)


class Places(t.NamedTuple):
    """The NV indices for an EK template: of the TPM's own template, and of the nonce (None in the high range, which has no nonce)."""

    template: int
    nonce: int | None = None


PLACES = {
    "ek_rsa_2048": Places(0x01C00004, 0x01C00003),
    "ek_ecc_p256": Places(0x01C0000C, 0x01C0000B),
    "ek_high_rsa_2048": Places(0x01C00013),
    "ek_high_ecc_p256": Places(0x01C00015),
    "ek_ecc_p384": Places(0x01C00017),
    "ek_ecc_p521": Places(0x01C00019),
    "ek_rsa_3072": Places(0x01C0001D),
    "ek_rsa_4096": Places(0x01C0001F),
}


def fault(public: Public) -> str:
    """Why a public area or template is not that of an endorsement key, as clauses; an empty list if it is.

    The key must be fixed to its TPM, restricted, and a decryption key. Its policy must be one of the profile's, or it could not be used as an EK.
    """
    missing = attributes.names(_MUST & ~public.attributes, attributes.OBJECT)
    surplus = attributes.names(public.attributes & ~_MAY, attributes.OBJECT)
    if public.type not in (alg.RSA, alg.ECC) or not _size(public):
        return f"its key is {public.algorithm}"
    if missing or surplus:
        return f"it lacks {'|'.join(missing)}" if missing else f"it has {'|'.join(surplus)}"
    if public.name_alg not in _HASHES:
        return f"its Name algorithm is {alg.alg_name(public.name_alg)}"
    policies = [key_policies.secret(public.name_alg)]
    if public.attributes & attributes.OBJECT["userwithauth"]:
        policies = [key_policies.either("ek", public.name_alg)]
    if public.auth_policy not in policies:
        return f"its policy is {public.auth_policy.hex() or 'empty'}"
    if public.symmetric not in _AES or public.scheme != _NULL:
        return "it does not encrypt its children with AES in CFB mode, or has a scheme"
    return ""


def _size(public: Public) -> int:
    """The length of the modulus or of a coordinate in bytes; 0 for a key of another size or with other parameters."""
    number, rest = int.from_bytes(public.detail[:2], "big"), public.detail[2:]
    if public.type == alg.RSA:
        return number // 8 if number in _RSA_BITS and int.from_bytes(rest, "big") in (0, 65537) else 0
    return _CURVES.get(number, 0) if rest == _NULL else 0


def same_kind(one: Public, other: Public) -> bool:
    """Whether the keys of two EKs are of the same type and size.

    Each index of a template is for an EK of one type and size, so this tells a TPM's EK at one index from its EKs at others.
    """
    return one.type == other.type and _size(one) == _size(other)


def template(usual: Public, own: bytes | None, nonce: bytes | None) -> Public:
    """The template from which an EK is made: the usual one or the TPM's own, with the nonce in ``unique``, padded with zeros as the profile says.

    Raises TpmError, whose message is a clause, if NV does not describe an EK of the usual type and size, or if the nonce does not fit.
    """
    chosen = usual
    if own is not None:
        try:
            chosen = parse_public(own)
        except TpmError:
            raise TpmError("it is not a public area") from None
        why = fault(chosen) or ("" if same_kind(chosen, usual) else f"its key is {chosen.algorithm}")
        why = why or ("" if _fits(chosen) else "its unique field is too long")
        if why:
            raise TpmError(why)
    if not nonce:
        return chosen
    size = _size(chosen)
    if len(nonce) > size:
        raise TpmError(f"the nonce has {len(nonce)} bytes, more than the {size} that fit")
    unique = sized(nonce.ljust(size, b"\0")) + (sized(bytes(size)) if chosen.type == alg.ECC else b"")
    return parse_public(chosen.raw[: len(chosen.raw) - len(chosen.unique)] + unique)


def _fits(public: Public) -> bool:
    cursor, size = Cursor(public.unique), _size(public)
    return all(len(cursor.sized()) <= size for _each in range(2 if public.type == alg.ECC else 1))


__all__ = ("MAX_SIZE", "PLACES", "Places", "fault", "same_kind", "template")
