# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Public areas and Names against what tpm2-tools made and computed (tests/unit/fixtures/publics.json, and a TPM)."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from support.tools import Tools

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms, handles, keyfile, names, templates
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError

FIXTURES = pathlib.Path(__file__).resolve().parents[3] / "fixtures"
OBJECTS: list[dict[str, str]] = json.loads((FIXTURES / "publics.json").read_text())["objects"]
PARENT = next(one for one in OBJECTS if one["made"] == "tpm2_createprimary -C o -G ecc256:aes128cfb")
HIERARCHIES = {"o": handles.RH_OWNER, "e": handles.RH_ENDORSEMENT, "p": handles.RH_PLATFORM, "n": handles.RH_NULL}

each_object = pytest.mark.parametrize("made", OBJECTS, ids=lambda one: one["made"].partition(",")[0])


def area(made: dict[str, str]) -> bytes:
    """The TPMT_PUBLIC within the TPM2B_PUBLIC of a fixture."""
    return bytes.fromhex(made["public"])[2:]


@each_object
def test_name_is_the_tools_name(made: dict[str, str]) -> None:
    public = names.parse_public(area(made))
    assert public.name.hex() == made["name"]
    assert names.to_2b(public).hex() == made["public"]


@each_object
def test_qualified_name_is_the_tools_qualified_name(made: dict[str, str]) -> None:
    primary = made["made"].startswith("tpm2_createprimary")
    parent = names.hierarchy_name(HIERARCHIES[made["made"].split()[2]]) if primary else bytes.fromhex(PARENT["qualified_name"])
    assert names.qualified_name(parent, names.parse_public(area(made))).hex() == made["qualified_name"]


def test_types_and_schemes_by_name() -> None:
    found = [(names.parse_public(area(one)).algorithm, names.scheme_name(names.parse_public(area(one)).scheme)) for one in OBJECTS]
    assert found == [
        ("rsa_2048", "null"),
        ("ecc_p256", "null"),
        ("ecc_p384", "ecdsa-sha384"),
        ("ecc_p256", "null"),
        ("rsa_2048", "rsapss-sha256"),
        ("rsa_2048", "oaep-sha256"),
        ("rsa_2048", "rsaes"),
        ("rsa_3072", "rsassa-sha384"),
        ("ecc_p256", "ecdaa-sha256"),
        ("ecc_p256", "ecdsa-sha256"),
        ("keyedhash", "hmac-sha256"),
        ("symcipher", "none"),
        ("keyedhash", "null"),
    ]


@each_object
def test_every_truncation_and_every_surplus_byte_is_a_tpm_error(made: dict[str, str]) -> None:
    raw = area(made)
    for size in range(len(raw)):
        with pytest.raises(TpmError):
            names.parse_public(raw[:size])
    with pytest.raises(TpmError, match="1 bytes that do not belong"):
        names.parse_public(raw + b"\0")


def test_an_unknown_type_and_an_unknown_hash_are_tpm_errors() -> None:
    raw = area(PARENT)
    with pytest.raises(TpmError, match="unknown type 0x7777"):
        names.parse_public(b"\x77\x77" + raw[2:])
    odd = names.parse_public(raw[:2] + b"\x77\x77" + raw[4:])
    with pytest.raises(TpmError, match="0x7777"):
        _name = odd.name


def test_storage_parents() -> None:
    parents = [one["made"] for one in OBJECTS if names.is_storage_parent(names.parse_public(area(one)))]
    assert parents == [
        "tpm2_createprimary -C o -G rsa2048:aes128cfb",
        "tpm2_createprimary -C o -G ecc256:aes128cfb",
        "tpm2_createprimary -C p -G ecc256",
    ]
    # An EK of the low range cannot be used with its auth value, so it is no parent for us.
    assert not names.is_storage_parent(templates.primary("ek_rsa_2048"))
    assert names.is_storage_parent(templates.primary("srk_ecc_p256"))
    assert names.is_storage_parent(templates.primary("srk_rsa_2048"))


def _changed(**fields: t.Any) -> names.Public:
    return names.parse_public(area(PARENT))._replace(**fields)


@pytest.mark.parametrize(
    ("have", "phrase"),
    [
        (_changed(type=algorithms.RSA, detail=bytes.fromhex("080000000000")), "it is rsa_2048, not ecc_p256"),
        (_changed(detail=bytes.fromhex("00040010")), "it is ecc_p384, not ecc_p256"),
        (_changed(name_alg=algorithms.SHA384), "its Name algorithm is sha384, not sha256"),
        (_changed(attributes=0x30032), "it lacks userwithauth"),
        (_changed(attributes=0x30472), "it has noda"),
        (_changed(auth_policy=b"\x01" * 32), f"its policy is {'01' * 32}, not empty"),
        (_changed(symmetric=bytes.fromhex("000601000043")), "its symmetric algorithm is 000601000043, not 000600800043"),
        (_changed(scheme=bytes.fromhex("0018000b")), "its scheme is ecdsa-sha256, not null"),
        (_changed(detail=bytes.fromhex("000300200004")), "its key parameters are 000300200004, not 00030010"),
    ],
)
def test_each_difference_has_its_phrase(have: names.Public, phrase: str) -> None:
    assert names.differences(names.parse_public(area(PARENT)), have) == [phrase]


def test_unique_is_no_difference() -> None:
    assert names.differences(_changed(unique=b""), names.parse_public(area(PARENT))) == []


def test_the_two_ways_to_write_the_usual_exponent_are_no_difference() -> None:
    rsa = names.parse_public(area(OBJECTS[0]))
    assert rsa.detail.hex() == "080000000000"
    assert names.differences(rsa, rsa._replace(detail=bytes.fromhex("080000010001"))) == []
    assert names.differences(rsa, rsa._replace(detail=bytes.fromhex("080000000003"))) == [
        "its key parameters are 080000000003, not 080000000000"
    ]


def test_describe() -> None:
    found = names.describe(names.parse_public(area(OBJECTS[12])))
    assert found["attributes"] == ["fixedtpm", "fixedparent", "noda"]
    assert (found["algorithm"], found["name_algorithm"], found["policy"], found["scheme"]) == ("keyedhash", "sha256", "", "null")


ON_A_TPM = [
    ("o", "ecc256", "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt"),
    ("e", "ecc384:ecdsa-sha384:null", "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"),
    ("n", "rsa2048:rsapss-sha256:null", "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign"),
]


def test_names_and_public_keys_on_a_tpm(tools: Tools, tmp_path: pathlib.Path) -> None:
    for hierarchy, key_type, attributes in ON_A_TPM:
        files = [tmp_path / name for name in ("context", "public", "name", "qualified")]
        tools.run("createprimary", "-Q", "-C", hierarchy, "-G", key_type, "-a", attributes, "-c", files[0])
        tools.flush_transient()
        tools.run("readpublic", "-Q", "-c", files[0], "-o", files[1], "-n", files[2], "-q", files[3])
        tools.run("readpublic", "-Q", "-c", files[0], "-f", "pem", "-o", tmp_path / "pem")
        tools.flush_transient()
        public = names.parse_public(files[1].read_bytes()[2:])
        assert public.name == files[2].read_bytes()
        assert names.qualified_name(names.hierarchy_name(HIERARCHIES[hierarchy]), public) == files[3].read_bytes()
        assert keyfile.public_pem(public) == (tmp_path / "pem").read_text()
        assert "|".join(names.describe(public)["attributes"]) == attributes
