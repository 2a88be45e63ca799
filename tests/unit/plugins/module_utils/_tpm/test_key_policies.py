# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policies of the TCG's keys, worked out from their parts, are the constants that the specifications print."""

from __future__ import annotations

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, handles, key_policies, policy, templates
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import StateError

# EK Credential Profile v2.5, section B.6.2: PolicyA; B.6.4: PolicyC.
POLICY_A = {
    alg.SHA256: "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa",
    alg.SHA384: "8bbf2266537c171cb56e403c4dc1d4b64f432611dc386e6f532050c3278c930e143e8bb1133824ccb431053871c6db53",
    alg.SHA512: (
        "1e3b76502c8a1425aa0b7b3fc646a1b0fae063b03b5368f9c4cddecaff0891dd682bac1a85d4d832b781ea451915de5fc5bf0dc4a1917cd42fa041e3f998e0ee"
    ),
}
POLICY_C = {
    alg.SHA256: "3767e2edd43ff45a3a7e1eaefcef78643dca964632e7aad82c673a30d8633fde",
    alg.SHA384: "d6032ce61f2fb3c240eb3cf6a33237ef2b6a16f4293c22b455e261cffd217ad5b4947c2d73e63005eed2dc2b3593d165",
    alg.SHA512: (
        "589ee1e146544716e8deafe6db247b01b81e9f9c7dd16b814aa159138749105fba5388dd1dea702f35240c184933121e2c61b8f50d3ef91393a49a38c3f73fc8"
    ),
}
# TPM 2.0 Keys for Device Identity and Attestation v1.00, section 7.3.5 (those of SHA-512 by their ends).
DEVID = {
    ("idevid", alg.SHA256): ("ad6b3a22", "8de579ea"),
    ("idevid", alg.SHA384): ("4db1aa83", "42c3dd33"),
    ("idevid", alg.SHA512): ("7dd7500f", "a72f"),
    ("iak", alg.SHA256): ("54371823", "0b2d1e07"),
    ("iak", alg.SHA384): ("129d94eb", "b312"),
    ("iak", alg.SHA512): ("8060d1fb", "b586"),
}
HASHES = tuple(POLICY_A)
BY_OWNER = policy.Secret(handles.RH_ENDORSEMENT)


@pytest.mark.parametrize("hash_alg", HASHES)
def test_policy_a_and_b_and_c(hash_alg: int) -> None:
    assert key_policies.secret(hash_alg).hex() == POLICY_A[hash_alg]
    assert key_policies.branches("ek", hash_alg)[1].hex() == POLICY_C[hash_alg]
    assert key_policies.either("ek", hash_alg) == templates.POLICY_B[hash_alg]


@pytest.mark.parametrize(("kind", "hash_alg"), DEVID)
def test_the_policies_of_device_identities(kind: str, hash_alg: int) -> None:
    found = key_policies.either(kind, hash_alg).hex()
    begins, ends = DEVID[kind, hash_alg]
    assert found.startswith(begins) and found.endswith(ends)
    assert len(found) == 2 * len(alg.digest(hash_alg, b""))


def test_the_templates_have_them() -> None:
    assert key_policies.either("idevid", alg.SHA256) == templates.IDEVID_POLICY
    assert key_policies.either("idevid", alg.SHA384) == templates.IDEVID_POLICY_384
    assert key_policies.either("iak", alg.SHA256) == templates.IAK_POLICY
    assert key_policies.either("iak", alg.SHA384) == templates.IAK_POLICY_384
    policies = {templates.primary(name).auth_policy for name in templates.PRIMARY_NAMES if not name.startswith("srk_")}
    known = {key_policies.either(kind, hash_alg) for kind in ("ek", "idevid", "iak") for hash_alg in HASHES}
    assert policies <= known | {key_policies.secret(alg.SHA256)}


@pytest.mark.parametrize("name", [name for name in templates.PRIMARY_NAMES if name.startswith("ek_")])
@pytest.mark.parametrize("code", [constants.CC_ACTIVATE_CREDENTIAL, constants.CC_CERTIFY])
def test_an_endorsement_key_is_opened_by_its_hierarchy(name: str, code: int) -> None:
    public = templates.primary(name)
    high = key_policies.in_high_range(public)
    assert high == (name not in ("ek_rsa_2048", "ek_ecc_p256"))
    offered = [policy.Offer(key_policies.branches("ek", public.name_alg))] if high else []
    assert key_policies.steps(public, code, "the EK") == [BY_OWNER, *offered]


@pytest.mark.parametrize("name", [name for name in templates.PRIMARY_NAMES if name.startswith(("iak_", "idevid_"))])
@pytest.mark.parametrize("code", [constants.CC_ACTIVATE_CREDENTIAL, constants.CC_CERTIFY])
def test_a_device_identity_key_wants_the_command_as_well(name: str, code: int) -> None:
    public = templates.primary(name)
    kind = name.partition("_")[0]
    steps = key_policies.steps(public, code, "the key")
    assert steps == [BY_OWNER, policy.CommandCode(code), policy.Offer(key_policies.branches(kind, public.name_alg))]
    # What the session holds before PolicyOR is one of the branches: nothing but the command differs.
    before = alg.digest(public.name_alg, key_policies.secret(public.name_alg) + (0x16C).to_bytes(4, "big") + code.to_bytes(4, "big"))
    assert before in steps[2].digests


@pytest.mark.parametrize(
    ("policy_digest", "shown"),
    [(b"", "empty"), (b"\x01" * 32, "01" * 32), (templates.POLICY_B[alg.SHA384], templates.POLICY_B[alg.SHA384].hex())],
)
def test_a_key_of_no_template_is_refused(policy_digest: bytes, shown: str) -> None:
    public = templates.key("restricted_sign", "ecc_p256")._replace(auth_policy=policy_digest)
    with pytest.raises(StateError) as caught:
        key_policies.steps(public, constants.CC_CERTIFY, "the AK at 0x81020001")
    assert caught.value.message == (
        f"Could not use the AK at 0x81020001: its policy ({shown}) is not that of a TCG template; "
        "make the key from a template of this collection (tpm2_primary_key)."
    )


def test_a_key_with_a_hash_of_no_template_is_refused() -> None:
    public = templates.primary("ek_rsa_2048")._replace(name_alg=alg.SHA1)
    with pytest.raises(StateError, match="not that of a TCG template"):
        key_policies.steps(public, constants.CC_CERTIFY, "the EK")
