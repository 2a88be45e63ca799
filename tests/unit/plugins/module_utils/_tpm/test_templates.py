# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates, byte by byte against those of other programs (tests/unit/fixtures/ek_templates.json) and of the specifications."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import policy_read
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms, attributes, names, policy, templates
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError

FIXTURES = pathlib.Path(__file__).resolve().parents[3] / "fixtures"
EK: dict[str, dict[str, str]] = json.loads((FIXTURES / "ek_templates.json").read_text())["templates"]


@pytest.mark.parametrize("name", sorted(EK))
def test_endorsement_keys_are_those_of_the_credential_profile(name: str) -> None:
    assert names.to_2b(templates.primary(name)).hex() == EK[name]["public"]


def test_no_endorsement_key_is_without_a_vector() -> None:
    assert set(EK) == {name for name in templates.PRIMARY_NAMES if name.startswith("ek_")}


def test_policy_a_is_secret_of_the_endorsement_hierarchy() -> None:
    assert policy.digest(policy_read.read([{"secret": {"hierarchy": "endorsement"}}]), {}) == templates.POLICY_A
    assert templates.primary("ek_rsa_2048").auth_policy == templates.POLICY_A


def test_policy_b_is_policy_a_or_policy_c() -> None:
    # PolicyC of the EK Credential Profile: PolicyAuthorizeNV on the profile's own index.
    policy_c = bytes.fromhex("3767e2edd43ff45a3a7e1eaefcef78643dca964632e7aad82c673a30d8633fde")
    made = algorithms.digest(algorithms.SHA256, bytes(32) + (0x171).to_bytes(4, "big") + templates.POLICY_A + policy_c)
    assert made == templates.POLICY_B[algorithms.SHA256]


def test_storage_root_keys_byte_by_byte() -> None:
    # Provisioning Guidance 7.5.1, unique empty as systemd makes it: type, nameAlg, attributes, policy, AES-128-CFB, scheme, parameters.
    ecc = "0023 000b 00030472 0000 0006 0080 0043 0010 0003 0010 0000 0000"
    rsa = "0001 000b 00030472 0000 0006 0080 0043 0010 0800 00000000 0000"
    assert templates.primary("srk_ecc_p256").raw == bytes.fromhex(ecc)
    assert templates.primary("srk_rsa_2048").raw == bytes.fromhex(rsa)


@pytest.mark.parametrize(
    ("name", "attrs", "scheme", "unique"),
    [
        ("iak_ecc_p256", 0x000500F2, "0018000b", "0003 49414b 0000"),
        ("iak_ecc_p384", 0x000500F2, "0018000c", "0003 49414b 0000"),
        ("iak_rsa_2048", 0x000500F2, "0016000b", "0003 49414b"),
        ("idevid_ecc_p256", 0x000400F2, "0018000b", "0006 494445564944 0000"),
        ("idevid_ecc_p384", 0x000400F2, "0018000c", "0006 494445564944 0000"),
        ("idevid_rsa_2048", 0x000400F2, "0010", "0006 494445564944"),
    ],
)
def test_device_identity_keys(name: str, attrs: int, scheme: str, unique: str) -> None:
    public = templates.primary(name)
    assert public.attributes == attrs
    assert public.scheme.hex() == scheme
    assert public.unique == bytes.fromhex(unique)
    assert public.symmetric.hex() == "0010"
    assert len(public.auth_policy) == (48 if "p384" in name else 32)
    assert public.name_alg == (algorithms.SHA384 if "p384" in name else algorithms.SHA256)
    assert not names.is_storage_parent(public)


def test_no_device_identity_key_is_without_a_vector() -> None:
    tested = {"iak_ecc_p256", "iak_ecc_p384", "iak_rsa_2048", "idevid_ecc_p256", "idevid_ecc_p384", "idevid_rsa_2048"}
    assert tested == {name for name in templates.PRIMARY_NAMES if name.startswith(("iak_", "idevid_"))}


def test_a_device_identity_key_of_p384_byte_by_byte() -> None:
    # Keys for Device Identity and Attestation, section 7.3.4.2, template H-3: type, nameAlg, attributes, policy, no symmetric
    # algorithm, ECDSA with SHA-384, NIST P-384, no KDF, unique.
    policy_digest = "129d94ebf84556652c6eef43bbb757512ac87e52be7b349ca6ce4d826f749fcf672f51716c5cbb605f313bf345aab312"
    raw = f"0023 000c 000500f2 0030 {policy_digest} 0010 0018 000c 0004 0010 0003 49414b 0000"
    assert templates.primary("iak_ecc_p384").raw == bytes.fromhex(raw)


def test_every_template_has_a_role_and_parses() -> None:
    for name, (role, _make) in templates.PRIMARIES.items():
        assert role == {"srk": "srk", "ek": "ek"}.get(name.partition("_")[0], "devid")
        assert names.parse_public(templates.primary(name).raw).raw == templates.primary(name).raw


def test_unique_goes_where_the_profile_puts_it() -> None:
    assert templates.primary("srk_rsa_2048", b"abc").unique == b"\0\3abc"
    assert templates.primary("srk_ecc_p256", b"abc").unique == b"\0\3abc\0\0"
    # A nonce of an EK is filled with zeros: 256 bytes of RSA, 32 of x beside an all-zero y.
    assert templates.primary("ek_rsa_2048", b"abc").unique == b"\1\0abc" + bytes(253)
    assert templates.primary("ek_ecc_p256", b"abc").unique == b"\0\x20abc" + bytes(29) + b"\0\x20" + bytes(32)
    assert templates.primary("iak_ecc_p256", b"other").unique == b"\0\5other\0\0"


@pytest.mark.parametrize(("name", "limit"), [("srk_ecc_p256", 66), ("iak_rsa_2048", 512)])
@pytest.mark.parametrize("more", [1, 70000])
def test_a_unique_value_that_no_tpm_takes_is_refused(name: str, limit: int, more: int) -> None:
    assert len(templates.primary(name, b"x" * limit).unique) > limit
    with pytest.raises(InputError, match=f"at most {limit} bytes"):
        templates.primary(name, b"x" * (limit + more))


KEYS = [
    ("sign", "ecc_p256", "null", {"sign"}),
    ("sign", "rsa_2048", "null", {"sign"}),
    ("decrypt", "rsa_3072", "oaep-sha256", {"decrypt"}),
    ("decrypt", "ecc_p384", "null", {"decrypt"}),
    ("restricted_sign", "rsa_2048", "rsapss-sha256", {"restricted", "sign"}),
    ("restricted_sign", "ecc_p384", "ecdsa-sha256", {"restricted", "sign"}),
    ("storage", "ecc_p256", "null", {"restricted", "decrypt"}),
]


@pytest.mark.parametrize(("usage", "algorithm", "scheme", "purpose"), KEYS)
@pytest.mark.parametrize("no_da", [True, False])
def test_ordinary_keys(usage: str, algorithm: str, scheme: str, purpose: set[str], no_da: bool) -> None:
    public = templates.key(usage, algorithm, no_da=no_da)
    has = set(attributes.names(public.attributes, attributes.OBJECT))
    assert has == {"fixedtpm", "fixedparent", "sensitivedataorigin", "userwithauth"} | purpose | ({"noda"} if no_da else set())
    assert (public.algorithm, public.name_alg, names.scheme_name(public.scheme)) == (algorithm, algorithms.SHA256, scheme)
    assert names.is_storage_parent(public) == (usage == "storage")


def test_a_policy_takes_user_with_auth_away() -> None:
    public = templates.key("sign", "ecc_p256", b"\1" * 32)
    has = attributes.names(public.attributes, attributes.OBJECT)
    assert "userwithauth" not in has and "adminwithpolicy" in has
    assert public.auth_policy == b"\1" * 32


@pytest.mark.parametrize(
    ("arguments", "raw"),
    [
        ((b"\1" * 32, False), "0008 000b 00000412 0020" + "01" * 32 + "0010 0000"),
        ((b"", True), "0008 000b 00000452 0000 0010 0000"),
        ((b"", True, False), "0008 000b 00000052 0000 0010 0000"),
    ],
)
def test_sealed_data(arguments: t.Any, raw: str) -> None:
    assert templates.sealed(*arguments).raw == bytes.fromhex(raw)
