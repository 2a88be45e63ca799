# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealed blobs and opening them: what is sealed, when a file still is what was asked for, and when nothing is tried."""

from __future__ import annotations

import base64
import pathlib
import typing as t

import pytest
from unit.bed import Bed
from unit.fakes import with_unique

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import policy_read, sealed_blob
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, handles, keyfile, policy, templates

SRK: dict[str, dict[str, t.Any]] = {"primary_key": {"template": "srk_ecc_p256"}}
CONTENT = "the telemetry key"


@pytest.fixture
def rooted(bed: Bed) -> Bed:
    """A TPM that has its SRK."""
    bed.run(SRK)
    bed.tpm.calls.clear()
    return bed


def blob(bed: Bed, **options: t.Any) -> dict[str, dict[str, t.Any]]:
    bound = {} if {"policy", "auth", "pcrs"} & set(options) else {"pcrs": {"indices": [7]}}
    content = {} if {"content_b64", "src", "state"} & set(options) else {"content": CONTENT}
    return {"sealed_blob": {"path": bed.path("key.pem"), **bound, **content, **options}}


def stored(bed: Bed) -> keyfile.KeyFile:
    return keyfile.read(pathlib.Path(bed.path("key.pem")).read_bytes(), "key.pem")


def test_sealed_to_pcrs(rooted: Bed) -> None:
    assert rooted.converge(blob(rooted)) == ["create"]
    assert rooted.tpm.calls[0].session == "secure" and rooted.tpm.calls[0].secret
    found = stored(rooted)
    assert (found.sealed, found.empty_auth, found.parent) == (True, True, handles.SRK)
    assert found.parent_name == rooted.tpm.objects[handles.SRK].public.name
    digest = policy.digest(policy_read.read([{"pcr": {"indices": [7]}}]), rooted.tpm.banks)
    assert found.public._replace(unique=b"", raw=b"") == templates.sealed(digest, False)._replace(unique=b"", raw=b"")
    assert pathlib.Path(rooted.path("key.pem")).stat().st_mode & 0o777 == 0o600


def test_a_no_op_reads_parent_and_pcrs(rooted: Bed) -> None:
    rooted.run(blob(rooted))
    rooted.tpm.reads.clear()
    rooted.run(blob(rooted))
    assert sorted(read[0] for read in rooted.tpm.reads) == ["pcr_read", "read_public"]


def test_shorthand_and_policy_are_the_same(rooted: Bed) -> None:
    rooted.run(blob(rooted))
    assert rooted.plan(blob(rooted, policy=[{"pcr": {"bank": "sha256", "indices": [7]}}])) == []
    now = rooted.tpm.banks["sha256"][7].hex()
    assert rooted.plan(blob(rooted, pcrs={"indices": [7], "values": {"7": now}})) == []


def test_an_auth_alone(rooted: Bed) -> None:
    rooted.converge(blob(rooted, auth="blob auth"))
    found = stored(rooted)
    assert found.empty_auth is False and found.public.auth_policy == b""
    assert found.public.attributes & 0x40, "userwithauth"


def test_the_content_may_come_from_a_file(rooted: Bed) -> None:
    source = pathlib.Path(rooted.path("source"))
    item = blob(rooted, src=str(source))
    with pytest.raises(errors.InputError, match="source does not exist"):
        rooted.run(item)
    source.write_bytes(b"")
    with pytest.raises(errors.InputError, match="0 bytes"):
        rooted.run(item)
    source.write_bytes(bytes(128))
    rooted.converge(item)


@pytest.mark.parametrize(
    ("options", "phrase"),
    [
        ({"content": "x" * 129}, "129 bytes and a TPM seals 1 to 128"),
        ({"content": ""}, "0 bytes"),
        ({"content": "x", "content_b64": "eA=="}, "both given"),
        ({"content": "x", "src": "/x"}, "both given"),
        ({"pcrs": {"indices": [7]}, "policy": ["auth_value"]}, "both given"),
        ({"policy": []}, "without pcrs"),
        ({"policy": ["auth_value"]}, "without pcrs"),
        ({"policy": [{"command_code": "Unseal"}]}, "without pcrs"),
        ({"policy": [{"or": [[{"pcr": {"indices": [7]}}], ["password"]]}]}, "without pcrs"),
        ({"policy": [{"command_code": "Sign"}], "auth": "x"}, "never let it be opened"),
        ({"policy": [{"nv_written": True}]}, "never let it be opened"),
        ({"policy": [{"or": [[{"command_code": "Sign"}], [{"nv_written": False}]]}], "auth": "x"}, "never let it be opened"),
        ({"policy": [{"pcr": {"indices": [7]}}], "auth": "x"}, "never asks for auth"),
        ({"pcrs": {"bank": "sha1", "indices": [7]}}, "sha1"),
        ({"pcrs": {"indices": []}}, "empty list"),
        ({"auth": "x" * 33}, "33 bytes"),
        ({"pcrs": {"indices": [8]}}, "nothing has been measured"),
        ({"pcrs": {"bank": "sha384", "indices": [7]}, "allow_unmeasured": True}, "not allocated"),
        ({"content": None}, "no content to seal"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_change(rooted: Bed, options: dict[str, t.Any], phrase: str) -> None:
    with pytest.raises(errors.TpmError, match=phrase):
        rooted.run(blob(rooted, **options))
    assert rooted.tpm.calls == []


def test_a_path_that_cannot_be_written_is_found_before_any_change(rooted: Bed) -> None:
    pathlib.Path(rooted.path("file")).touch()
    for path, phrase in ((rooted.path("file/key.pem"), "file/key.pem"), (str(rooted.folder), "folder"), ("key.pem", "absolute")):
        with pytest.raises(errors.InputError, match=phrase):
            rooted.run(blob(rooted, path=path))
    assert rooted.tpm.calls == []


def test_an_auth_that_only_a_branch_asks_for(rooted: Bed) -> None:
    rooted.converge(blob(rooted, auth="x", policy=[{"or": [[{"pcr": {"indices": [7]}}], ["auth_value"]]}]))


def test_idle_pcrs_by_consent(rooted: Bed) -> None:
    rooted.converge(blob(rooted, pcrs={"indices": [8]}, allow_unmeasured=True))


def test_a_parent_that_the_run_makes(bed: Bed) -> None:
    assert bed.converge(blob(bed), SRK) == ["create_primary", "evict_control", "create"]


def test_without_parent(bed: Bed) -> None:
    with pytest.raises(errors.StateError, match="parent 0x81000001 does not exist"):
        bed.run(blob(bed))
    bed.tpm.enabled[handles.RH_OWNER] = False
    with pytest.raises(errors.StateError, match="disabled"):
        bed.run(blob(bed))


def test_pcrs_that_have_changed(rooted: Bed) -> None:
    rooted.run(blob(rooted))
    before = stored(rooted)
    rooted.tpm.banks["sha256"][7] = b"\1" * 32
    with pytest.raises(errors.MismatchError, match="its policy is.*PCRs may have changed"):
        rooted.run(blob(rooted))
    assert stored(rooted) == before
    assert rooted.converge(blob(rooted, on_mismatch="replace")) == ["create"]
    assert stored(rooted).public != before.public


def test_a_file_of_another_tpm(rooted: Bed) -> None:
    rooted.run(blob(rooted))
    del rooted.tpm.objects[handles.SRK]
    with pytest.raises(errors.StateError, match="its parent 0x81000001 does not.*make the parent first"):
        rooted.run(blob(rooted))
    rooted.run({"primary_key": {"unique": "another"}})
    with pytest.raises(errors.MismatchError, match="another TPM"):
        rooted.run(blob(rooted))
    assert rooted.converge(blob(rooted, on_mismatch="replace")) == ["create"]


def test_a_file_that_is_a_key_or_torn(rooted: Bed) -> None:
    rooted.run({"key": {"path": rooted.path("key.pem")}})
    with pytest.raises(errors.InputError, match="it holds a key"):
        rooted.run(blob(rooted))
    pathlib.Path(rooted.path("key.pem")).write_text("-----BEGIN TSS2 PRIVATE KEY-----\nMII")
    with pytest.raises(errors.InputError, match="key.pem"):
        rooted.run(blob(rooted))


def test_what_is_sealed_needs_no_content_to_be_kept(rooted: Bed) -> None:
    rooted.run(blob(rooted))
    assert rooted.plan(blob(rooted, content=None)) == []
    with pytest.raises(errors.MismatchError, match="policy"):
        rooted.plan(blob(rooted, content=None, pcrs={"indices": [7, 7, 0]}, allow_unmeasured=True))


def test_other_content_is_seen_by_opening_alone(rooted: Bed) -> None:
    rooted.run(blob(rooted))
    assert rooted.plan(blob(rooted, content="something else")) == []
    assert rooted.plan(blob(rooted, verify="unseal")) == []
    with pytest.raises(errors.MismatchError, match="other content"):
        rooted.run(blob(rooted, content="something else", verify="unseal"))
    rooted.converge(blob(rooted, content="something else", verify="unseal", on_mismatch="replace"))
    assert {call.session for call in rooted.tpm.calls if call.verb == "unseal"} == {"policy"}


def test_what_cannot_open_is_not_loaded(rooted: Bed) -> None:
    rooted.run(blob(rooted))
    rooted.tpm.banks["sha256"][7] = b"\1" * 32
    rooted.tpm.calls.clear()
    with pytest.raises(errors.MismatchError, match="policy"):
        rooted.run(blob(rooted, verify="unseal"))
    assert rooted.tpm.calls == []


def test_a_blob_that_does_not_say_whose_it_is(rooted: Bed) -> None:
    # As other programs write it: without the parent's Name. That it is another TPM's shows when it is loaded.
    rooted.run(blob(rooted))
    path = pathlib.Path(rooted.path("key.pem"))
    path.write_text(keyfile.write(stored(rooted)._replace(parent_name=None)))
    rooted.run({"primary_key": {"unique": "another", "state": "absent"}})
    rooted.run({"primary_key": {"unique": "another"}})
    assert rooted.plan(blob(rooted)) == []
    with pytest.raises(errors.MismatchError, match="does not load it"):
        rooted.run(blob(rooted, verify="unseal"))
    with pytest.raises(errors.TpmResponseError, match="TPM_RC_INTEGRITY"):
        unseal(rooted, pcrs={"indices": [7]})
    assert rooted.converge(blob(rooted, verify="unseal", on_mismatch="replace"))[-1] == "create"


def test_a_parent_that_is_none(rooted: Bed) -> None:
    rooted.run(blob(rooted))
    path = pathlib.Path(rooted.path("key.pem"))
    path.write_text(keyfile.write(stored(rooted)._replace(parent_name=None)))
    rooted.tpm.objects[handles.SRK].public = with_unique(templates.primary("iak_ecc_p256"), b"x")
    with pytest.raises(errors.StateError, match="not a storage key"):
        unseal(rooted, pcrs={"indices": [7]})


def test_absent(rooted: Bed) -> None:
    absent = blob(rooted, state="absent")
    assert rooted.converge(absent) == []
    rooted.run(blob(rooted))
    opened = rooted.tpm.opened
    assert rooted.converge(absent) == []
    assert not pathlib.Path(rooted.path("key.pem")).exists() and rooted.tpm.opened == opened
    pathlib.Path(rooted.path("key.pem")).write_text("the only copy of something")
    with pytest.raises(errors.MismatchError, match="not a key file"):
        rooted.run(absent)


def test_nothing_of_the_content_is_shown(rooted: Bed) -> None:
    outcome = rooted.run(blob(rooted))
    shown = str([outcome.steps, outcome.diff, [plan.report() for plan in outcome.plans]])
    assert CONTENT not in shown and base64.b64encode(CONTENT.encode()).decode() not in shown and CONTENT.encode().hex() not in shown


# -- unseal


def unseal(bed: Bed, *, check: bool = False, **options: t.Any) -> t.Any:
    return bed.unseal({"path": bed.path("key.pem"), **options}, check=check)


def test_opened_and_returned(rooted: Bed) -> None:
    rooted.run(blob(rooted))
    outcome = unseal(rooted, pcrs={"indices": [7]})
    assert outcome.steps == [] and base64.b64decode(outcome.plans[0].result["content_b64"]) == CONTENT.encode()


def test_opened_into_a_file(rooted: Bed) -> None:
    rooted.run(blob(rooted))
    dest = pathlib.Path(rooted.path("out"))
    options = {"pcrs": {"indices": [7]}, "dest": str(dest)}
    assert len(unseal(rooted, check=True, **options).steps) == 1 and not dest.exists()
    outcome = unseal(rooted, **options)
    assert outcome.done == 1 and dest.read_text() == CONTENT and dest.stat().st_mode & 0o777 == 0o600
    assert CONTENT not in str([outcome.steps, outcome.diff, outcome.plans[0].result])
    assert unseal(rooted, **options).steps == []


@pytest.mark.parametrize(
    ("options", "phrase"),
    [
        ({"pcrs": {"indices": [0]}}, "its policy is"),
        ({}, "its policy is"),
        ({"policy": [{"pcr": {"indices": [7]}}, "auth_value"]}, "its policy is"),
        ({"pcrs": {"indices": [7]}, "policy": ["auth_value"]}, "both given"),
        ({"pcrs": {"indices": [7]}, "path": "/proc/none/key.pem"}, "does not exist"),
    ],
)
def test_what_cannot_succeed_is_not_tried(rooted: Bed, options: dict[str, t.Any], phrase: str) -> None:
    rooted.run(blob(rooted))
    rooted.tpm.calls.clear()
    with pytest.raises(errors.TpmError, match=phrase):
        unseal(rooted, **options)
    assert rooted.tpm.calls == []


def test_pcrs_that_have_changed_say_so(rooted: Bed) -> None:
    rooted.run(blob(rooted))
    rooted.tpm.banks["sha256"][7] = b"\1" * 32
    with pytest.raises(errors.StateError, match="PCR"):
        unseal(rooted, pcrs={"indices": [7]})


def test_a_wrong_or_missing_auth(rooted: Bed) -> None:
    rooted.run(blob(rooted, auth="blob auth"))
    assert base64.b64decode(unseal(rooted, auth="blob auth").plans[0].result["content_b64"]) == CONTENT.encode()
    for auth in ({"auth": "wrong"}, {}):
        with pytest.raises(errors.TpmError):
            unseal(rooted, **auth)


def test_a_secret_of_a_hierarchy_is_proved_with_its_auth(rooted: Bed) -> None:
    owned = [{"secret": {"hierarchy": "owner"}}, {"secret": {"hierarchy": "platform"}}]
    rooted.run(blob(rooted, policy=owned))
    rooted.tpm.auths[handles.RH_OWNER], rooted.tpm.auths[handles.RH_PLATFORM] = b"owner", b"platform"
    outcome = rooted.unseal({"path": rooted.path("key.pem"), "policy": owned}, owner=b"owner", platform=b"platform")
    assert base64.b64decode(outcome.plans[0].result["content_b64"]) == CONTENT.encode()


def test_a_key_file_is_no_blob(rooted: Bed) -> None:
    rooted.run({"key": {"path": rooted.path("key.pem")}})
    with pytest.raises(errors.InputError, match="it holds a key"):
        unseal(rooted)


def test_the_most_that_fits() -> None:
    assert sealed_blob.MAX_CONTENT == 128
