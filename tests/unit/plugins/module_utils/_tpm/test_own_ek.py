# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates and nonces of EKs that a TPM brings in NV: used as the profile says, and only where they describe an EK."""

from __future__ import annotations

import struct
import typing as t

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attributes, errors, key_policies, names, own_ek, templates
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import sized

RSA, ECC = templates.primary("ek_rsa_2048"), templates.primary("ek_ecc_p256")
AES_256 = struct.pack(">HHH", alg.AES, 256, alg.CFB)


def changed(usual: names.Public, **fields: t.Any) -> bytes:
    """A template with other parts, marshalled."""
    one = usual._replace(**fields)
    head = struct.pack(">HHI", one.type, one.name_alg, one.attributes) + sized(one.auth_policy)
    return head + one.symmetric + one.scheme + one.detail + one.unique


def flags(add: str = "", take: str = "") -> int:
    word = RSA.attributes | attributes.word(add.split(), attributes.OBJECT)
    return word & ~attributes.word(take.split(), attributes.OBJECT)


def test_every_template_of_the_profile_is_an_ek() -> None:
    for name in templates.EK_NAMES:
        assert own_ek.fault(templates.primary(name)) == "" and name in own_ek.PLACES
    for name in ("srk_rsa_2048", "srk_ecc_p256", "iak_ecc_p256", "idevid_rsa_2048"):
        assert own_ek.fault(templates.primary(name))


def test_without_both_it_is_the_usual_one() -> None:
    assert own_ek.template(RSA, None, None) is RSA and own_ek.template(ECC, None, b"") is ECC


GOOD = {
    "AES-256": (RSA, {"symmetric": AES_256}),
    "no unique": (RSA, {"unique": sized(b"")}),
    "a unique": (RSA, {"unique": sized(b"x" * 256)}),
    "no DA": (RSA, {"attributes": flags(add="noda")}),
    "SHA-384": (RSA, {"name_alg": alg.SHA384, "auth_policy": key_policies.secret(alg.SHA384)}),
    "exponent": (RSA, {"detail": struct.pack(">HI", 2048, 65537)}),
    "high": (ECC, {"attributes": flags(add="userwithauth"), "auth_policy": key_policies.either("ek", alg.SHA256)}),
}


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_template_of_the_tpm_is_taken_as_it_is(name: str) -> None:
    usual, fields = GOOD[name]
    raw = changed(usual, **fields)
    assert own_ek.template(usual, raw, None).raw == raw


BAD = {
    "nothing": (b"", "it is not a public area"),
    "nonsense": (bytes(range(64)), "it is not a public area"),
    "cut": (RSA.raw[:-1], "it is not a public area"),
    "trailing": (RSA.raw + b"\0", "it is not a public area"),
    "a storage key": (templates.primary("srk_rsa_2048").raw, "it lacks adminwithpolicy"),
    "a signing key": (templates.primary("iak_rsa_2048").raw, "it lacks decrypt"),
    "signs too": (changed(RSA, attributes=flags(add="sign")), "it has sign"),
    "may leave": (changed(RSA, attributes=flags(take="fixedtpm")), "it lacks fixedtpm"),
    "not restricted": (changed(RSA, attributes=flags(take="restricted")), "it lacks restricted"),
    "imported": (changed(RSA, attributes=flags(take="sensitivedataorigin")), "it lacks sensitivedataorigin"),
    "goes at a reset": (changed(RSA, attributes=flags(add="stclear")), "it has stclear"),
    "no policy": (changed(RSA, auth_policy=b""), "its policy is empty"),
    "another policy": (changed(RSA, auth_policy=bytes(32)), f"its policy is {'00' * 32}"),
    "with auth, not by policy B": (changed(RSA, attributes=flags(add="userwithauth")), "its policy is 8371"),
    "SHA-1": (changed(RSA, name_alg=alg.SHA1), "its Name algorithm is sha1"),
    "RSA 1024": (changed(RSA, detail=struct.pack(">HI", 1024, 0)), "its key is rsa_1024"),
    "RSA 3072": (changed(RSA, detail=struct.pack(">HI", 3072, 0)), "its key is rsa_3072"),
    "exponent 3": (changed(RSA, detail=struct.pack(">HI", 2048, 3)), "its key is rsa_2048"),
    "no AES": (changed(RSA, symmetric=struct.pack(">H", alg.NULL)), "it does not encrypt its children"),
    "long unique": (changed(RSA, unique=sized(bytes(257))), "its unique field is too long"),
    "ECC": (ECC.raw, "its key is ecc_p256"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_what_describes_no_ek_is_refused(name: str) -> None:
    raw, why = BAD[name]
    with pytest.raises(errors.TpmError) as caught:
        own_ek.template(RSA, raw, b"nonce")
    assert caught.value.message.startswith(why)


def test_the_nonce_is_padded_with_zeros() -> None:
    """EK Credential Profile, annex on L-1 and L-2: the modulus, or x beside a y of zeros."""
    made = own_ek.template(RSA, None, b"nonce")
    assert made.unique == sized(b"nonce".ljust(256, b"\0")) and names.differences(RSA, made) == []
    made = own_ek.template(ECC, None, b"nonce")
    assert made.unique == sized(b"nonce".ljust(32, b"\0")) + sized(bytes(32)) and names.differences(ECC, made) == []
    usual = templates.primary("ek_ecc_p384")
    raw = changed(usual, unique=sized(b"") + sized(b""))
    assert own_ek.template(usual, raw, b"n").unique == sized(b"n".ljust(48, b"\0")) + sized(bytes(48))
    with pytest.raises(errors.TpmError, match="the nonce has 33 bytes, more than the 32 that fit"):
        own_ek.template(ECC, None, bytes(33))
