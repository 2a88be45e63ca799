# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input, options: combinations that make no sense, values of the wrong type or size, malformed policies, ranges that are not ours."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from support.refused import Bench
from support.swtpm import Swtpm, copy_state

NV, SEAL, KEY, PRIMARY, PERSISTENT = "tpm2_nv_index", "tpm2_sealed_blob", "tpm2_key", "tpm2_primary_key", "tpm2_persistent_handle"
HIERARCHY, DA, PROFILE, UNSEAL, INFO = "tpm2_hierarchy", "tpm2_da_lockout", "tpm2_profile", "tpm2_unseal", "tpm2_info"
OURS, FREE = "0x01800010", "0x81000210"
PCR7 = {"indices": [7]}
SECRET = "a secret of some length"

Options = dict[str, t.Any]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, blank_state: pathlib.Path, system_python: str) -> t.Iterator[Bench]:
    """A TPM with an SRK, measured into PCR 7, for all refusals of this file: none of them changes it."""
    folder = tmp_path_factory.mktemp("options")
    (folder / "device").mkdir()
    (folder / "device" / "plain").write_text("what somebody needs")
    (folder / "device" / "huge").write_bytes(b"")
    os.truncate(folder / "device" / "huge", (1 << 20) + 1)
    os.mkfifo(folder / "device" / "pipe")
    copy_state(blank_state, folder / "tpm")
    with Swtpm(folder / "tpm") as swtpm:
        swtpm.extend_pcr(7)
        made = Bench(swtpm, folder / "device", system_python)
        made.made(PRIMARY)
        yield made


def nv(**options: t.Any) -> tuple[str, Options]:
    return NV, {"index": OURS, **options}


def seal(**options: t.Any) -> tuple[str, Options]:
    return SEAL, {
        "path": "FOLDER/blob.pem",
        "content": SECRET,
        **({} if "policy" in options or "auth" in options else {"pcrs": PCR7}),
        **options,
    }


def key(**options: t.Any) -> tuple[str, Options]:
    return KEY, {"handle": FREE, **options}


def profile(*items: t.Any) -> tuple[str, Options]:
    return PROFILE, {"resources": list(items)}


CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
GOOD_NV = {"nv_index": {"index": OURS, "content": "EF-1"}}

COMBINATIONS: dict[str, tuple[tuple[str, Options], tuple[str, ...]]] = {
    "content_twice": (nv(content="a", content_b64="YQ=="), (OURS, "content and content_b64 are both given")),
    "size_mismatch": (nv(content="abc", size=5), (OURS, "3 bytes", "size of 5")),
    "neither_size_nor_content": (nv(), (OURS, "neither size nor content")),
    "counter_with_content": (nv(nv_type="counter", content="EF-7"), (OURS, "a counter has 8 bytes")),
    "counter_with_size": (nv(nv_type="counter", size=4), (OURS, "a counter has 8 bytes")),
    "counter_written_once": (nv(nv_type="counter", write_once=True), (OURS, "a counter is incremented")),
    "counter_nobody_increments": (nv(nv_type="counter", policy=[{"command_code": "NV_Write"}]), (OURS, "NV_Write only")),
    "no_reader": (nv(size=8, attributes=["ownerwrite"]), (OURS, "nobody could read it")),
    "no_writer": (nv(size=8, attributes=["ownerread"]), (OURS, "nobody could write it")),
    "policy_without_policywrite": (
        nv(size=8, attributes=["ownerread", "ownerwrite"], policy=[{"nv_written": False}]),
        (OURS, "belong together"),
    ),
    "policywrite_without_policy": (nv(size=8, attributes=["ownerread", "policywrite"]), (OURS, "belong together")),
    "write_once_with_policy": (nv(content="EF-7", write_once=True, policy=["auth_value"]), (OURS, "write_once brings its own policy")),
    "write_once_with_ownerwrite": (
        nv(content="EF-7", write_once=True, attributes=["policywrite", "ownerwrite", "ownerread"]),
        (OURS, "no attribute but policywrite"),
    ),
    "write_once_until_a_reset": (
        nv(content="EF-7", write_once=True, attributes=["policywrite", "ownerread", "clear_stclear"]),
        (OURS, "clear_stclear", "leave both out"),
    ),
    "write_once_until_power_is_lost": (
        nv(content="EF-7", write_once=True, attributes=["policywrite", "ownerread", "authread", "orderly"]),
        (OURS, "orderly", "leave both out"),
    ),
    "policydelete_by_owner": (nv(size=8, attributes=["ownerread", "ownerwrite", "policydelete"]), (OURS, "platformcreate")),
    "unknown_attribute": (nv(size=8, attributes=["ownerread", "ownerwrite", "nonsense"]), (OURS, "'nonsense'", "choose from")),
    "attribute_that_the_tpm_sets": (nv(size=8, attributes=["ownerread", "ownerwrite", "written"]), (OURS, "'written'")),
    "reading_would_be_a_gamble": (
        nv(content="EF-7", no_da=False, attributes=["authread", "ownerwrite"]),
        (OURS, "counts towards the lockout"),
    ),
    "policy_that_forbids_the_write": (nv(content="EF-7", policy=[{"command_code": "NV_Read"}]), (OURS, "NV_Read only")),
    "policy_for_a_written_index": (nv(content="EF-7", policy=[{"nv_written": True}]), (OURS, "has not been written")),
    "seal_without_lock": (seal(policy=None), ("FOLDER/blob.pem", "anybody who can reach the TPM opens it")),
    "seal_with_empty_auth": (seal(auth=""), ("FOLDER/blob.pem", "anybody")),
    "seal_open_to_all": (seal(policy=["auth_value"]), ("FOLDER/blob.pem", "anybody")),
    "seal_open_to_all_for_one_command": (seal(policy=[{"command_code": "Unseal"}]), ("FOLDER/blob.pem", "anybody")),
    "seal_with_one_open_branch": (seal(policy=[{"or": [["auth_value"], [{"pcr": PCR7}]]}]), ("FOLDER/blob.pem", "anybody")),
    "seal_for_ever": (seal(policy=[{"pcr": PCR7}, {"command_code": "NV_Write"}]), ("FOLDER/blob.pem", "never", "NV_Write only")),
    "seal_to_nv_written": (seal(policy=[{"pcr": PCR7}, {"nv_written": True}]), ("FOLDER/blob.pem", "never", "NV indices only")),
    "seal_pcrs_and_policy": (seal(policy=["auth_value"], pcrs=PCR7, auth="abcdefgh"), ("FOLDER/blob.pem", "pcrs and policy")),
    "seal_auth_that_nobody_asks_for": (seal(pcrs=PCR7, auth="abcdefgh"), ("FOLDER/blob.pem", "never asks for auth")),
    "seal_content_twice": (seal(content_b64="YQ=="), ("FOLDER/blob.pem", "content and content_b64")),
    "seal_content_and_src": (seal(src="/etc/hostname"), ("FOLDER/blob.pem", "content and src")),
    "seal_nothing": (seal(content=None), ("FOLDER/blob.pem", "no content")),
    "key_nowhere": ((KEY, {}), ("neither handle nor path",)),
    "storage_key_with_policy": (key(usage="storage", policy=["auth_value"]), (FREE, "storage key with a policy")),
    "key_auth_that_nobody_asks_for": (key(auth="abcdefgh", policy=[{"pcr": PCR7}]), (FREE, "never asks for auth")),
    "primary_without_usual_handle": ((PRIMARY, {"template": "ek_rsa_3072"}), ("ek_rsa_3072", "no usual handle")),
    "ek_of_the_owner": (
        (PRIMARY, {"template": "ek_ecc_p256", "hierarchy": "owner"}),
        ("ek_ecc_p256", "in any other hierarchy than endorsement"),
    ),
    "platform_key_at_owner_handle": ((PRIMARY, {"hierarchy": "platform"}), ("0x81000001", "0x81800000-0x81ffffff")),
    "owner_key_at_platform_handle": (
        (PRIMARY, {"handle": "0x81800001", "allow_foreign_range": True}),
        ("0x81800001", "0x81800000-0x81ffffff"),
    ),
    "key_and_public_key_in_one_file": (
        key(path="FOLDER/key.pem", public_path="FOLDER/key.pem"),
        (FREE, "path and public_path are the same file"),
    ),
    "one_file_for_two": (
        profile(
            {"key": {"path": "FOLDER/one.pem"}},
            {"sealed_blob": {"path": "FOLDER/one.pem", "content": SECRET, "pcrs": PCR7}},
        ),
        ("item 2", "FOLDER/one.pem", "already item 1"),
    ),
    "a_parent_that_goes": (
        profile({"key": {"path": "FOLDER/key.pem"}}, {"primary_key": {"state": "absent"}}),
        ("FOLDER/key.pem", "the same run removes its parent 0x81000001"),
    ),
    "handle_for_no_object": ((PERSISTENT, {"handle": FREE}), (FREE, "neither path nor name")),
    "lockout_enabled": ((HIERARCHY, {"hierarchy": "lockout", "enabled": True}), ("lockout", "leave enabled out")),
    "clear_disabled_for_owner": ((HIERARCHY, {"hierarchy": "owner", "clear_disabled": True}), ("owner", "lockout or platform")),
    "no_tries_at_all": ((DA, {"max_tries": 0}), ("max_tries 0", "give at least 1")),
    "item_of_nothing": (profile({}), ("item 1", "0 kinds")),
    "item_of_two_nouns": (profile(GOOD_NV, {**GOOD_NV, "da_lockout": {"max_tries": 5}}), ("item 2", "2 kinds")),
    "object_twice": (profile(GOOD_NV, GOOD_NV), ("item 2", OURS, "already item 1")),
    "object_twice_in_other_words": (profile(GOOD_NV, {"nv_index": {"index": "25165840", "size": 4}}), ("item 2", OURS)),
    "handle_by_two_nouns": (
        profile({"key": {"handle": FREE}}, {"persistent_handle": {"handle": FREE, "state": "absent"}}),
        ("item 2", FREE, "already item 1"),
    ),
    "nonsense_deep_in_a_profile": (profile(GOOD_NV, {"key": {}}), ("neither handle nor path", "item 2 of resources, key")),
    "policy_deep_in_a_profile": (
        profile(GOOD_NV, {"sealed_blob": {"path": "FOLDER/x.pem", "content": SECRET, "policy": [{"pcrs": [7]}]}}),
        ("'pcrs'", "item 2 of resources, sealed_blob"),
    ),
}

VALUES: dict[str, tuple[tuple[str, Options], tuple[str, ...]]] = {
    "auth_of_33_bytes": (nv(size=8, auth="x" * 33), ("auth", "33 bytes", "at most 32")),
    "auth_that_ends_in_zero": (nv(size=8, auth="hex:616200"), ("auth", "ends in a zero byte")),
    "auth_of_no_hex": (nv(size=8, auth="hex:wxyz"), ("auth", "hexadecimal")),
    "owner_auth_of_33_bytes": (nv(size=8, owner_auth="y" * 33), ("owner_auth", "33 bytes")),
    "lockout_auth_that_ends_in_zero": ((DA, {"max_tries": 5, "lockout_auth": "hex:00"}), ("lockout_auth", "zero byte")),
    "hierarchy_auth_of_40_bytes": ((HIERARCHY, {"hierarchy": "owner", "auth": "z" * 40}), ("auth", "40 bytes")),
    "auth_of_a_file": (nv(size=8, auth="file:/etc/auth"), ("auth", "'file:'", "'str:'")),
    "owner_auth_of_a_session": (nv(size=8, owner_auth="session:s.ctx"), ("owner_auth", "'session:'")),
    "hierarchy_auth_of_pcrs": ((HIERARCHY, {"hierarchy": "owner", "auth": "pcr:sha256:7"}), ("auth", "'pcr:'")),
    "content_of_a_number": (nv(content=0o12345), ("content", "a number", "quotes")),
    "content_of_a_fraction": (nv(content=1.10), ("content", "a number")),
    "content_of_a_truth_value": (nv(content=True), ("content", "a truth value", "quotes")),
    "content_of_a_mapping": (nv(content={"a": 1}), ("content", "a mapping", "give text")),
    "content_of_a_list": (nv(content=["a"]), ("content", "a list", "give text")),
    "base64_of_a_number": (nv(content_b64=12345678), ("content_b64", "a number")),
    "secret_of_a_number": (seal(content=12345678), ("content", "a number")),
    "auth_of_a_number": (nv(size=8, auth=12345678), ("auth", "a number")),
    "lockout_auth_of_a_number": ((DA, {"max_tries": 5, "lockout_auth": 12345678}), ("lockout_auth", "a number")),
    "unique_of_a_truth_value": ((PRIMARY, {"unique": False}), ("unique", "a truth value")),
    "name_of_a_number": ((PERSISTENT, {"handle": FREE, "name": 12}), ("name", "a number")),
    "content_of_a_number_in_a_profile": (
        profile(GOOD_NV, {"nv_index": {"index": "0x01800011", "content": 45296}}),
        ("content (item 2 of resources, nv_index)", "a number"),
    ),
    "auth_of_a_number_in_a_profile": (
        profile({"hierarchy": {"hierarchy": "owner", "auth": 12345678}}),
        ("auth (item 1 of resources, hierarchy)", "a number"),
    ),
    "content_of_no_base64": (nv(content_b64="***"), (OURS, "not base64")),
    "index_of_no_number": ((NV, {"index": "serial", "size": 8}), ("index 'serial'", "0x")),
    "index_of_half_a_number": ((NV, {"index": "0x018000zz", "size": 8}), ("'0x018000zz'",)),
    "index_without_0x": ((NV, {"index": "01800010", "size": 8}), ("'01800010'", "0x")),
    "negative_index": ((NV, {"index": "-1", "size": 8}), ("'-1'",)),
    "index_of_33_bits": ((NV, {"index": "0x101800010", "size": 8}), ("'0x101800010'",)),
    "handle_of_no_number": (key(handle="srk"), ("handle 'srk'",)),
    "parent_of_no_number": (key(parent="srk"), ("parent 'srk'",)),
    "parent_that_is_a_hierarchy": (key(parent="0x40000001"), ("0x40000001", "not a persistent handle")),
    "parent_that_is_an_index": (seal(parent=OURS), (OURS, "not a persistent handle")),
    "parent_that_does_not_exist": (seal(parent="0x81000005"), ("0x81000005", "does not exist")),
    "size_of_a_truth_value": (nv(size=True), ("size", "a truth value, not a number")),
    "tries_of_a_truth_value": ((DA, {"max_tries": True}), ("max_tries", "a truth value, not a number")),
    "pcr_of_a_truth_value": (seal(pcrs={"indices": [True]}), ("indices (pcrs)", "a truth value, not a number")),
    "negative_size": (nv(size=-1), (OURS, "-1 bytes")),
    "size_zero": (nv(size=0), (OURS, "0 bytes")),
    "size_of_17_bits": (nv(size=70000), (OURS, "70000")),
    "empty_content": (nv(content=""), (OURS, "empty")),
    "larger_than_any_index": (nv(size=2049), ("2049 bytes", "at most 2048", "nothing was changed")),
    "content_larger_than_any_index": (nv(content="x" * 3000), ("3000 bytes", "at most 2048")),
    "written_once_in_two_writes": (nv(content="x" * 1025, write_once=True), (OURS, "1025 bytes", "1024", "write-once")),
    "seal_129_bytes": (seal(content="s" * 129), ("FOLDER/blob.pem", "129 bytes", "1 to 128")),
    "seal_empty_content": (seal(content=""), ("FOLDER/blob.pem", "0 bytes")),
    "seal_large_file": (seal(content=None, src="/etc/services"), ("FOLDER/blob.pem", "1 to 128")),
    "seal_missing_file": (seal(content=None, src="FOLDER/none"), ("FOLDER/blob.pem", "FOLDER/none does not exist")),
    "seal_endless_file": (seal(content=None, src="/dev/zero"), ("/dev/zero", "not an ordinary file")),
    "seal_huge_file": (seal(content=None, src="FOLDER/huge"), ("FOLDER/huge", "larger than")),
    "src_is_a_pipe": (seal(content=None, src="FOLDER/pipe"), ("FOLDER/pipe", "not an ordinary file")),
    "path_is_a_pipe": (seal(path="FOLDER/pipe"), ("FOLDER/pipe", "not an ordinary file")),
    "seal_relative_src": (seal(content=None, src="secret.txt"), ("'secret.txt'", "absolute path")),
    "pcr_24": (seal(pcrs={"indices": [7, 24]}), ("PCR 24", "0 to 23")),
    "pcr_minus_1": (seal(pcrs={"indices": [-1]}), ("PCR -1",)),
    "no_pcr": (seal(pcrs={"indices": []}), ("empty list of PCRs",)),
    "sha1_bank": (seal(pcrs={"bank": "sha1", "indices": [7]}), ("'sha1'", "sha256")),
    "bank_of_no_hash": (seal(pcrs={"bank": "crc32", "indices": [7]}), ("'crc32'", "sha256")),
    "bank_that_the_tpm_does_not_know": (seal(pcrs={"bank": "sha3_256", "indices": [7]}), ("PCRs", "TPM_RC_HASH")),
    "pcr_values_too_short": (seal(pcrs={"indices": [7], "values": {"7": "00ff"}}), ("32 bytes", "[7]")),
    "pcr_values_of_others": (seal(pcrs={"indices": [7], "values": {"8": "11" * 32}}), ("for each of the indices [7]",)),
    "pcr_all_zero": (seal(pcrs={"indices": [0, 7]}), ("PCR 0 of bank sha256", "nothing has been measured", "allow_unmeasured", "blob.pem")),
    "pcr_all_ones": (seal(pcrs={"indices": [7, 17]}), ("PCR 17 of bank sha256", "nothing has been measured")),
    "pcr_values_all_zero": (seal(pcrs={"indices": [7], "values": {"7": "00" * 32}}), ("PCR 7", "nothing has been measured")),
    "key_to_unmeasured_pcr": (key(policy=[{"pcr": {"indices": [2]}}]), ("PCR 2", "nothing has been measured", FREE)),
    "nv_to_unmeasured_pcr": (nv(content="EF-7", policy=[{"pcr": {"indices": [2]}}]), ("PCR 2", "nothing has been measured", OURS)),
    "relative_path": (seal(path="blob.pem"), ("'blob.pem'", "absolute path")),
    "relative_key_path": (key(path="key.pem"), ("'key.pem'", "absolute path")),
    "relative_public_path": (key(public_path="key.pub"), ("'key.pub'", "absolute path")),
    "relative_path_to_remove": (seal(path="blob.pem", state="absent"), ("'blob.pem'", "absolute path")),
    "folder_is_a_file": (seal(path="FOLDER/plain/blob.pem"), ("FOLDER/plain/blob.pem", "Not a directory")),
    "folder_of_a_folder_is_a_file": (key(path="FOLDER/plain/none/key.pem"), ("FOLDER/plain/none/key.pem", "Not a directory")),
    "public_path_folder_is_a_file": (key(public_path="FOLDER/plain/key.pub"), ("FOLDER/plain/key.pub", "Not a directory")),
    "path_is_a_folder": (seal(path="FOLDER"), ("FOLDER", "it is a folder")),
    "public_path_is_a_folder": (key(public_path="FOLDER"), ("FOLDER", "it is a folder")),
    "src_is_a_folder": (seal(content=None, src="FOLDER"), ("FOLDER", "it is a folder")),
    "mode_of_no_kind": (seal(mode="u=zz"), ("blob.pem", "'u=zz'", "0600")),
    "mode_of_no_octal": (seal(mode="0999"), ("blob.pem", "'0999'")),
    "mode_of_a_number": (seal(mode=444), ("blob.pem", "mode '444'", '"0444"')),
    "mode_of_a_negative_number": (seal(mode=-1), ("blob.pem", "mode '-1'")),
    "mode_of_a_truth_value": (seal(mode=True), ("blob.pem", "mode 'True'", '"0600"')),
    "mode_with_setuid": (seal(mode="4600"), ("blob.pem", "mode '4600'", "setuid")),
    "mode_with_sticky_bit": (seal(mode="u=rw,+t"), ("blob.pem", "sticky")),
    "mode_of_a_certificate": (
        profile({"certificate": {"path": "FOLDER/c.pem", "content": CERTIFICATE, "mode": 644}}),
        ("c.pem", "mode '644'", '"0644"'),
    ),
    "owner_who_does_not_exist": (seal(owner="nobody-of-that-name"), ("blob.pem", "owner nobody-of-that-name")),
    "group_that_does_not_exist": (seal(group="none-of-that-name"), ("blob.pem", "group none-of-that-name")),
    "name_of_no_hex": ((PERSISTENT, {"handle": FREE, "name": "my key"}), (FREE, "not hexadecimal")),
    "name_of_half_a_byte": ((PERSISTENT, {"handle": FREE, "name": "000b1"}), (FREE, "not hexadecimal")),
    "unique_too_long": ((PRIMARY, {"handle": "0x81000201", "unique": "u" * 70}), ("70 bytes", "at most 66")),
    "negative_max_tries": ((DA, {"max_tries": -1}), ("max_tries -1", "out of range")),
    "recovery_time_of_33_bits": ((DA, {"recovery_time": 1 << 32}), ("recovery_time", "out of range")),
    "info_of_pcr_24": ((INFO, {"pcrs": [7, 24]}), ("PCR 24", "0 to 23")),
    "unseal_missing_file": ((UNSEAL, {"path": "FOLDER/none.pem", "pcrs": PCR7}), ("FOLDER/none.pem", "does not exist")),
    "unseal_relative_path": ((UNSEAL, {"path": "none.pem", "pcrs": PCR7}), ("'none.pem'", "absolute path")),
}

RANGES: dict[str, tuple[tuple[str, Options], tuple[str, ...]]] = {
    "tpm_manufacturer": ((NV, {"index": "0x01000010", "size": 8}), ("0x01000010", "the TPM's manufacturer", "allow_foreign_range")),
    "what_tpm2_tools_makes_of_0x2000A": ((NV, {"index": "0x0102000A", "size": 8}), ("0x0102000a", "the TPM's manufacturer")),
    "platform_manufacturer": ((NV, {"index": "0x01400001", "size": 8}), ("0x01400001", "the platform's manufacturer")),
    "snapd": ((NV, {"index": "0x01801100", "size": 8}), ("0x01801100", "snapd's full disk encryption")),
    "ek_certificate": ((NV, {"index": "0x01c00002", "size": 8}), ("0x01c00002", "endorsement key certificates")),
    "device_identity": ((NV, {"index": "0x01c90000", "size": 8}), ("0x01c90000", "device identity certificates")),
    "systemd": ((NV, {"index": "0x01d10200", "size": 8}), ("0x01d10200", "systemd's NvPCRs")),
    "index_that_is_a_handle": ((NV, {"index": "0x81000001", "size": 8}), ("0x81000001", "an NV index lies in")),
    "undefine_foreign_index": ((NV, {"index": "0x01c00002", "state": "absent"}), ("0x01c00002", "allow_foreign_range")),
    "srk": (key(handle="0x81000001"), ("0x81000001", "the shared storage root key", "allow_foreign_range")),
    "owner_keys": (key(handle="0x81000005"), ("0x81000005", "keys of the owner hierarchy")),
    "azure": (key(handle="0x81000100"), ("0x81000100", "Azure IoT")),
    "ek": (key(handle="0x81010001"), ("0x81010001", "the endorsement key")),
    "platform_handle": (key(handle="0x81800000"), ("0x81800000", "the platform hierarchy")),
    "transient_handle": (key(handle="0x80000000"), ("0x80000000", "a persistent handle lies in")),
    "handle_that_is_an_index": (key(handle=OURS), (OURS, "a persistent handle lies in")),
    "ek_at_the_srk": ((PRIMARY, {"template": "ek_rsa_2048", "handle": "0x81000001"}), ("0x81000001", "the shared storage root key")),
    "srk_elsewhere": ((PRIMARY, {"handle": "0x81010001"}), ("0x81010001", "the endorsement key")),
    "remove_the_srk": ((PERSISTENT, {"handle": "0x81000001", "state": "absent"}), ("0x81000001", "allow_foreign_range")),
}


def nested(depth: int) -> list[t.Any]:
    policy: list[t.Any] = ["auth_value"]
    for _level in range(depth):
        policy = [{"or": [policy, [{"pcr": PCR7}]]}]
    return policy


POLICIES: dict[str, tuple[t.Any, tuple[str, ...]]] = {
    "text": ("auth-value", ("'auth-value'", "auth_value, command_code")),
    "number": ([1], ("is not a known assertion",)),
    "nothing": ([None], ("is not a known assertion",)),
    "list_in_a_list": ([["auth_value"]], ("not a known assertion", "each an entry of its own")),
    "empty_entry": ([{}], ("nothing", "each an entry of its own")),
    "two_in_one_entry": ([{"pcr": PCR7, "auth_value": None}], ("'pcr' and 'auth_value'", "each an entry of its own")),
    "unknown_word": ([{"pcrs": PCR7}], ("'pcrs'",)),
    "of_a_later_release": ([{"authorize": {"key": "x"}}], ("'authorize'",)),
    "wrong_case": (["Auth_Value"], ("'Auth_Value'",)),
    "pcr_without_indices": ([{"pcr": {"bank": "sha256"}}], ("pcr needs 'indices'",)),
    "pcr_of_a_number": ([{"pcr": 7}], ("pcr needs 'indices'",)),
    "pcr_without_argument": (["pcr"], ("pcr needs 'indices'",)),
    "pcr_with_unknown_word": ([{"pcr": {"indices": [7], "colour": "red"}}], ("pcr needs 'indices'",)),
    "pcr_indices_of_a_truth_value": ([{"pcr": {"indices": [True]}}], ("list of integers",)),
    "pcr_indices_of_a_word": ([{"pcr": {"indices": ["seven"]}}], ("list of integers",)),
    "pcr_indices_of_truth": ([{"pcr": {"indices": [True]}}], ("list of integers",)),
    "pcr_indices_out_of_range": ([{"pcr": {"indices": [24]}}], ("PCR 24",)),
    "pcr_sha1": ([{"pcr": {"bank": "sha1", "indices": [7]}}], ("'sha1'",)),
    "pcr_values_of_a_list": ([{"pcr": {"indices": [7], "values": ["00"]}}], ("map each index",)),
    "pcr_values_of_no_hex": ([{"pcr": {"indices": [7], "values": {"7": "zz"}}}], ("map each index",)),
    "pcr_values_of_no_index": ([{"pcr": {"indices": [7], "values": {"seven": "00" * 32}}}], ("map each index",)),
    "command_unknown": ([{"command_code": "NV_Wipe"}], ("'NV_Wipe'", "NV_Write")),
    "command_missing": (["command_code"], ("command code",)),
    "command_negative": ([{"command_code": -1}], ("-1",)),
    "command_too_large": ([{"command_code": 1 << 40}], ("command code",)),
    "nv_written_of_text": ([{"nv_written": "no"}], ("true or false",)),
    "auth_value_with_argument": ([{"auth_value": "s3cret"}], ("take no argument",)),
    "password_with_argument": ([{"password": "s3cret"}], ("take no argument",)),
    "secret_of_text": ([{"secret": "owner"}], ("secret needs 'hierarchy'",)),
    "secret_of_nobody": ([{"secret": {}}], ("owner, endorsement or platform",)),
    "secret_of_lockout": ([{"secret": {"hierarchy": "lockout"}}], ("lockout auth would block",)),
    "secret_ref_of_no_hex": ([{"secret": {"hierarchy": "owner", "ref": "xyz"}}], ("ref", "hex")),
    "secret_ref_too_long": ([{"secret": {"hierarchy": "owner", "ref": "00" * 65}}], ("65 bytes", "64")),
    "or_of_nothing": (["or"], ("2 to 8 branches",)),
    "or_of_one": ([{"or": [[{"pcr": PCR7}]]}], ("2 to 8 branches",)),
    "or_of_nine": ([{"or": [[{"pcr": PCR7}]] * 9}], ("2 to 8 branches",)),
    "or_with_an_empty_branch": ([{"or": [[{"pcr": PCR7}], []]}], ("2 to 8 branches",)),
    "or_of_words": ([{"or": ["auth_value", "password"]}], ("2 to 8 branches",)),
    "or_of_a_mapping": ([{"or": {"a": ["auth_value"], "b": ["password"]}}], ("2 to 8 branches",)),
    "or_with_a_bad_branch": ([{"or": [[{"pcr": PCR7}], ["nosuch"]]}], ("'nosuch'",)),
    "too_deep": (nested(5), ("more than 4 deep",)),
    "far_too_deep": (nested(40), ("more than 4 deep",)),
}


def located(value: t.Any, folder: pathlib.Path) -> t.Any:
    """FOLDER, the one on the device, filled in."""
    if isinstance(value, dict):
        return {name: located(item, folder) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(located(item, folder) for item in value)
    return value.replace("FOLDER", str(folder)) if isinstance(value, str) else value


def check(bench: Bench, case: tuple[tuple[str, Options], tuple[str, ...]]) -> None:
    (name, options), says = located(case, bench.folder)
    bench.refuses(name, options, *says)


@pytest.mark.parametrize("case", COMBINATIONS)
def test_combinations_that_make_no_sense(bench: Bench, case: str) -> None:
    check(bench, COMBINATIONS[case])


@pytest.mark.parametrize("case", VALUES)
def test_values_of_the_wrong_type_or_size(bench: Bench, case: str) -> None:
    check(bench, VALUES[case])


@pytest.mark.parametrize("case", RANGES)
def test_ranges_that_are_not_ours(bench: Bench, case: str) -> None:
    check(bench, RANGES[case])


@pytest.mark.parametrize("case", POLICIES)
def test_malformed_policy(bench: Bench, case: str) -> None:
    policy, says = POLICIES[case]
    bench.refused(SEAL, *says, path=bench.path("blob.pem"), content=SECRET, policy=policy)


# What ansible-core itself refuses by the argument specification, in its own words: the option is named.
SPECIFICATION: dict[str, tuple[tuple[str, Options], tuple[str, ...]]] = {
    "no_index": ((NV, {"size": 8}), ("missing required arguments: index",)),
    "size_of_text": (nv(size="large"), ("'size'", "int")),
    "unknown_option": (nv(size=8, colour="red"), ("colour",)),
    "unknown_state": (nv(size=8, state="gone"), ("state", "present, absent")),
    "other_nv_type": (nv(size=8, nv_type="bits"), ("nv_type", "ordinary, counter")),
    "unknown_hierarchy": ((HIERARCHY, {"hierarchy": "null"}), ("hierarchy", "owner, endorsement, lockout, platform")),
    "unknown_template": ((PRIMARY, {"template": "srk"}), ("template", "srk_ecc_p256")),
    "unknown_algorithm": (key(algorithm="ecc_p192"), ("algorithm", "ecc_p256")),
    "unknown_usage": (key(usage="both"), ("usage", "sign, decrypt")),
    "policy_of_a_mapping": (seal(policy={"pcr": PCR7}), ("'policy'", "list")),
    "pcrs_without_indices": (seal(pcrs={}), ("indices", "pcrs")),
    "pcr_of_text": (seal(pcrs={"indices": ["seven"]}), ("'indices'", "int")),
    "unknown_noun": (profile({"counter": {}}), ("resources.counter",)),
    "noun_without_options": (profile("nv_index"), ("dictionary",)),
    "profile_without_index": (profile({"nv_index": {"size": 8}}), ("index", "resources -> nv_index")),
    "unknown_subset": ((INFO, {"gather": ["everything"]}), ("gather", "everything")),
}


@pytest.mark.parametrize("case", SPECIFICATION)
def test_what_the_argument_specification_refuses(bench: Bench, case: str) -> None:
    (name, options), says = located(SPECIFICATION[case], bench.folder)
    before = bench.view()
    message = bench.run(name, **options).expect_failed()
    assert [word for word in says if word not in message] == [], message
    assert bench.view() == before


def test_a_foreign_range_needs_only_to_be_meant(bench: Bench) -> None:
    """The cure that the sentence names is one."""
    for name, options in ((NV, {"index": "0x01400001", "size": 8}), (KEY, {"handle": "0x81000005"})):
        assert bench.run(name, check=True, allow_foreign_range=True, **options).expect_ok()["changed"]
