# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ordinary keys: at a handle, in a file, in both; going on where a run was interrupted; what belongs to another TPM."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from unit.bed import Bed
from unit.fakes import Loaded, with_unique

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, handles, keyfile, names, templates

SRK: dict[str, dict[str, t.Any]] = {"primary_key": {"template": "srk_ecc_p256"}}
HANDLE = 0x81000210


def key(**options: t.Any) -> dict[str, dict[str, t.Any]]:
    return {"key": {"handle": "0x81000210", **options}}


@pytest.fixture
def rooted(bed: Bed) -> Bed:
    """A TPM that has its SRK."""
    bed.run(SRK)
    bed.tpm.calls.clear()
    return bed


def test_a_key_at_a_handle(rooted: Bed) -> None:
    assert rooted.converge(key()) == ["create", "load", "evict_control"]
    held = rooted.tpm.objects[HANDLE]
    assert names.differences(templates.key("sign", "ecc_p256"), held.public) == []
    rooted.tpm.reads.clear()
    rooted.run(key())
    assert sorted(rooted.tpm.reads) == [("read_public", handles.SRK), ("read_public", HANDLE)]


def test_a_key_with_its_parent_in_one_profile(bed: Bed) -> None:
    assert bed.converge(key(), SRK) == ["create_primary", "evict_control", "create", "load", "evict_control"]


def test_a_key_without_parent(bed: Bed) -> None:
    with pytest.raises(errors.StateError, match="parent 0x81000001 does not exist.*tpm2_primary_key"):
        bed.run(key())
    bed.tpm.enabled[handles.RH_OWNER] = False
    with pytest.raises(errors.StateError, match="disabled"):
        bed.run(key())


@pytest.mark.parametrize("template", ["ek_rsa_2048", "iak_ecc_p256"])
def test_what_is_no_parent(bed: Bed, template: str) -> None:
    public = with_unique(templates.primary(template), b"x")
    bed.tpm.objects[0x81010001] = Loaded(public, b"q", 0x81010001)
    with pytest.raises(errors.InputError, match="0x81010001 is not a storage parent"):
        bed.run(key(parent="0x81010001"))


@pytest.mark.parametrize("parent", ["0x40000001", "0x01800010", "0x80000000", "word"])
def test_a_parent_that_is_no_persistent_handle(rooted: Bed, parent: str) -> None:
    with pytest.raises(errors.InputError, match="parent"):
        rooted.run(key(parent=parent))


def test_a_key_under_a_key(rooted: Bed) -> None:
    storage, leaf = key(usage="storage"), {"key": {"handle": "0x81000211", "parent": "0x81000210"}}
    rooted.converge(storage)
    rooted.converge(storage, leaf)
    assert rooted.tpm.objects[0x81000211].qualified == names.qualified_name(
        rooted.tpm.objects[HANDLE].qualified, rooted.tpm.objects[0x81000211].public
    )


def test_a_parent_is_made_before_its_children_in_whatever_order_they_are_listed(bed: Bed) -> None:
    chain = [SRK, key(usage="storage")] + [
        {"key": {"handle": f"{0x81000210 + at:#x}", "parent": f"{0x8100020F + at:#x}", "usage": "storage"}} for at in (1, 2, 3)
    ]
    bed.converge(*chain[::-1])
    with pytest.raises(errors.StateError, match="does not exist"):
        bed.run({"key": {"handle": "0x81000220", "parent": "0x81000220"}})


def test_what_hangs_from_a_parent_that_is_replaced(rooted: Bed) -> None:
    below: list[dict[str, dict[str, t.Any]]] = [
        key(),
        {"key": {"path": rooted.path("key.pem")}},
        {"sealed_blob": {"path": rooted.path("blob.pem"), "content": "x", "auth": "a"}},
    ]
    rooted.run(*below)
    rooted.tpm.calls.clear()
    another = {"primary_key": {"unique": "another", "template": "srk_rsa_2048", "on_mismatch": "replace"}}
    for item in below:
        with pytest.raises(errors.MismatchError, match="its parent 0x81000001 is replaced by this run"):
            rooted.run(another, item)
    with pytest.raises(errors.StateError, match="its parent 0x81000001 is replaced by this run"):
        rooted.run(another, {"persistent_handle": {"handle": "0x81000220", "path": rooted.path("key.pem")}})
    assert set(rooted.tpm.verbs()) <= {"load"}, "whether the TPM loads a file is asked for before anything is changed"
    rooted.converge(another, *({noun: {**options, "on_mismatch": "replace"}} for item in below for noun, options in item.items()))


def test_neither_handle_nor_path(bed: Bed) -> None:
    with pytest.raises(errors.InputError, match="neither handle nor path"):
        bed.plan({"key": {"usage": "sign"}})


def test_a_key_in_a_file_alone(rooted: Bed) -> None:
    item: dict[str, dict[str, t.Any]] = {"key": {"path": rooted.path("key.pem"), "public_path": rooted.path("key.pub.pem")}}
    assert rooted.converge(item) == ["create"]
    stored = keyfile.read(pathlib.Path(rooted.path("key.pem")).read_bytes(), "x")
    assert (stored.sealed, stored.empty_auth, stored.parent) == (False, True, handles.SRK)
    assert stored.parent_name == rooted.tpm.objects[handles.SRK].public.name
    assert pathlib.Path(rooted.path("key.pub.pem")).read_text() == keyfile.public_pem(stored.public)
    assert pathlib.Path(rooted.path("key.pem")).stat().st_mode & 0o777 == 0o600
    assert list(rooted.tpm.objects) == [handles.SRK]


def test_an_interrupted_run_goes_on_with_the_file(rooted: Bed) -> None:
    item = key(path=rooted.path("key.pem"))
    rooted.tpm.fail["evict_control"] = 0x101
    with pytest.raises(errors.TpmResponseError, match="TPM_RC_FAILURE"):
        rooted.run(item)
    stored = keyfile.read(pathlib.Path(rooted.path("key.pem")).read_bytes(), "x")
    rooted.tpm.fail.clear()
    outcome = rooted.run(item, check=True)
    assert outcome.steps[0]["cost"]["key_generations"] == 0
    assert rooted.converge(item) == ["load", "load", "evict_control"]
    assert rooted.tpm.objects[HANDLE].public.raw == stored.public.raw


def test_auth_and_policy(rooted: Bed) -> None:
    rooted.converge(key(auth="key auth"))
    assert rooted.tpm.objects[HANDLE].value == b"key auth"
    rooted.converge({"key": {"path": rooted.path("k.pem"), "auth": "x"}})
    assert keyfile.read(pathlib.Path(rooted.path("k.pem")).read_bytes(), "x").empty_auth is False
    rooted.converge({"key": {"handle": "0x81000211", "policy": [{"pcr": {"indices": [7]}}]}})
    public = rooted.tpm.objects[0x81000211].public
    assert len(public.auth_policy) == 32 and "userwithauth" not in names.describe(public)["attributes"]
    with pytest.raises(errors.InputError, match="never asks for auth"):
        rooted.plan(key(auth="x", policy=[{"pcr": {"indices": [7]}}]))
    assert rooted.plan({"key": {"handle": "0x81000212", "auth": "x", "policy": [{"or": [[{"pcr": {"indices": [7]}}], ["auth_value"]]}]}})
    with pytest.raises(errors.InputError, match="storage key with a policy"):
        rooted.plan(key(usage="storage", policy=["auth_value"]))


def test_pcrs_that_prove_nothing(rooted: Bed) -> None:
    item = key(policy=[{"pcr": {"indices": [8]}}])
    with pytest.raises(errors.StateError, match="nothing has been measured"):
        rooted.run(item)
    rooted.converge(key(policy=[{"pcr": {"indices": [8]}}], allow_unmeasured=True))
    with pytest.raises(errors.StateError, match="not allocated"):
        rooted.run(key(policy=[{"pcr": {"bank": "sha384", "indices": [7]}}], allow_unmeasured=True))


def test_another_key_at_the_handle(rooted: Bed) -> None:
    rooted.run(key(algorithm="rsa_2048"))
    old = rooted.tpm.objects[HANDLE].public
    with pytest.raises(errors.MismatchError, match="rsa_2048, not ecc_p256.*on_mismatch: replace"):
        rooted.run(key())
    assert rooted.tpm.objects[HANDLE].public is old
    assert rooted.converge(key(on_mismatch="replace")) == ["create", "load", "evict_control", "evict_control"]
    assert rooted.tpm.objects[HANDLE].public.algorithm == "ecc_p256"


def test_a_key_of_another_parent_at_the_handle(rooted: Bed) -> None:
    public = with_unique(templates.key("sign", "ecc_p256"), b"x")
    rooted.tpm.objects[HANDLE] = Loaded(public, b"qualified by another parent", HANDLE)
    with pytest.raises(errors.MismatchError, match="not a child of 0x81000001"):
        rooted.run(key())


def test_a_handle_without_its_file(rooted: Bed) -> None:
    rooted.run(key())
    with pytest.raises(errors.MismatchError, match="cannot be written"):
        rooted.run(key(path=rooted.path("key.pem")))


def test_handle_and_file_hold_two_keys(rooted: Bed) -> None:
    rooted.run({"key": {"path": rooted.path("key.pem")}})
    rooted.run(key())
    with pytest.raises(errors.MismatchError, match="another key"):
        rooted.run(key(path=rooted.path("key.pem")))


def test_a_file_of_another_tpm(rooted: Bed) -> None:
    item: dict[str, dict[str, t.Any]] = {"key": {"path": rooted.path("key.pem")}}
    rooted.run(item)
    del rooted.tpm.objects[handles.SRK]
    with pytest.raises(errors.StateError, match="its parent 0x81000001 does not.*make the parent first") as missing:
        rooted.run(item)
    assert missing.value.reason == "no_parent" and "on_mismatch" not in missing.value.message, "it may be a good file"
    rooted.run(SRK)
    assert rooted.plan(item) == []
    del rooted.tpm.objects[handles.SRK]
    rooted.run({"primary_key": {"unique": "another seed"}})
    with pytest.raises(errors.MismatchError, match="another TPM"):
        rooted.run(item)
    assert rooted.converge({"key": {**item["key"], "on_mismatch": "replace"}}) == ["create"]


def test_a_file_of_another_parent(rooted: Bed) -> None:
    rooted.run({"key": {"path": rooted.path("key.pem")}}, key(usage="storage"))
    with pytest.raises(errors.MismatchError, match="made under the parent 0x81000001, not 0x81000210"):
        rooted.run({"key": {"path": rooted.path("key.pem"), "parent": "0x81000210"}})


def test_files_that_hold_something_else(rooted: Bed) -> None:
    path = pathlib.Path(rooted.path("key.pem"))
    path.write_text(keyfile.write(keyfile.KeyFile(True, True, handles.SRK, templates.sealed(b"", True), b"x")))
    with pytest.raises(errors.InputError, match="sealed data"):
        rooted.run({"key": {"path": str(path)}})
    path.write_text("-----BEGIN TSS2 PRIVATE KEY-----\ntorn")
    with pytest.raises(errors.InputError, match="key.pem"):
        rooted.run({"key": {"path": str(path)}})
    assert rooted.tpm.calls == []


def test_absent(rooted: Bed) -> None:
    path = rooted.path("key.pem")
    assert rooted.converge(key(state="absent", path=path)) == []
    rooted.run(key(path=path))
    assert rooted.converge(key(state="absent", path=path)) == ["evict_control"]
    assert list(rooted.tpm.objects) == [handles.SRK] and not pathlib.Path(path).exists()


def test_owner_auth_persists_it(rooted: Bed) -> None:
    rooted.tpm.auths[handles.RH_OWNER] = b"owner"
    with pytest.raises(errors.StateError, match="give owner_auth"):
        rooted.run(key())
    assert rooted.tpm.calls == []
    # A file takes no hierarchy's auth.
    rooted.converge({"key": {"path": rooted.path("key.pem")}})
    rooted.converge(key(), owner=b"owner")
