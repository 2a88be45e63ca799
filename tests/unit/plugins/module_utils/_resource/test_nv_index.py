# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NV indices: definitions, content, write once, counters, who may write and read, and what makes no sense."""

from __future__ import annotations

import base64
import typing as t

import pytest
from unit.bed import Bed
from unit.fakes import Index

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attributes, errors, handles, nv

INDEX = 0x01800010
SERIAL = "EDGE-0001-TEST"
ONCE_WORD = 0x2060008
PLAIN_WORD = 0x2060002


def index(**options: t.Any) -> dict[str, dict[str, t.Any]]:
    return {"nv_index": {"index": "0x01800010", **options}}


ONCE = index(content=SERIAL, write_once=True)
PLAIN = index(content=SERIAL)


def put(bed: Bed, word: int, data: bytes | None = SERIAL.encode(), *, policy: bytes = b"", auth: bytes = b"", size: int = 14) -> None:
    bed.tpm.indices[INDEX] = Index(nv.NvPublic(INDEX, 0x000B, word, policy, size), auth, data)


# -- definitions


@pytest.mark.parametrize(
    ("item", "word", "policy", "size"),
    [
        (ONCE, ONCE_WORD, nv.WRITE_ONCE_POLICY, 14),
        (PLAIN, PLAIN_WORD, b"", 14),
        (index(content_b64=base64.b64encode(b"\0\xff\n").decode()), PLAIN_WORD, b"", 3),
        (index(size=64), PLAIN_WORD, b"", 64),
        (index(nv_type="counter"), 0x2060016, b"", 8),
        (index(content="x", no_da=False), 0x60002, b"", 1),
        (index(content="x", auth="secret"), 0x2060006, b"", 1),
        (index(content="x", auth="secret", write_once=True), ONCE_WORD, nv.WRITE_ONCE_POLICY, 1),
        (index(content="x", attributes=["ppwrite", "ppread", "ownerread", "platformcreate"]), 0x42030001, b"", 1),
        (index(content="x", attributes=["ownerwrite", "authread", "write_stclear"]), 0x2044002, b"", 1),
    ],
)
def test_definitions(bed: Bed, item: dict[str, dict[str, t.Any]], word: int, policy: bytes, size: int) -> None:
    verbs = bed.converge(item)
    held = bed.tpm.indices[INDEX].public
    assert (held.attributes & ~attributes.NV_STATE, held.auth_policy, held.size) == (word, policy, size)
    assert verbs[0] == "nv_define_space"


def test_write_once_is_written_by_its_policy_and_never_again(bed: Bed) -> None:
    assert bed.converge(ONCE) == ["nv_define_space", "nv_write"]
    assert bed.tpm.indices[INDEX].data == SERIAL.encode()
    assert bed.tpm.calls[-1].session == "policy"
    with pytest.raises(errors.MismatchError, match=f"written once.*{SERIAL}.*on_mismatch: replace"):
        bed.run(index(content="EDGE-0002-TEST", write_once=True))
    assert bed.tpm.indices[INDEX].data == SERIAL.encode()
    replaced = index(content="EDGE-0002-TEST", write_once=True, on_mismatch="replace")
    assert bed.converge(replaced) == ["nv_undefine_space", "nv_define_space", "nv_write"]


def test_a_no_op_costs_two_reads(bed: Bed) -> None:
    bed.run(ONCE)
    bed.tpm.reads.clear()
    bed.run(ONCE)
    assert bed.tpm.reads == [("nv_read_public", INDEX), ("nv_read", INDEX, INDEX)]


def test_defined_but_not_written_is_finished(bed: Bed) -> None:
    bed.tpm.fail["nv_write"] = 0x101
    with pytest.raises(errors.TpmResponseError):
        bed.run(ONCE)
    bed.tpm.fail.clear()
    assert bed.converge(ONCE) == ["nv_write"]


def test_other_content_is_written_where_it_may_be(bed: Bed) -> None:
    bed.run(PLAIN)
    assert bed.converge(index(content="EDGE-0002-TEST")) == ["nv_write"]
    assert bed.tpm.indices[INDEX].data == b"EDGE-0002-TEST"


def test_a_write_locked_index_is_not_written(bed: Bed) -> None:
    put(bed, PLAIN_WORD | attributes.NV["writelocked"])
    with pytest.raises(errors.StateError, match="until the TPM is next reset and holds something else") as refused:
        bed.run(index(content="EDGE-0002-TEST"))
    assert refused.value.reason == "nv_locked" and "replace" not in refused.value.message
    assert bed.plan(PLAIN) == []


def test_content_is_not_needed_to_keep_an_index(bed: Bed) -> None:
    put(bed, ONCE_WORD, policy=nv.WRITE_ONCE_POLICY)
    assert bed.plan(index(write_once=True)) == []
    assert bed.plan(index(write_once=True, size=14)) == []
    with pytest.raises(errors.MismatchError, match="size is 14 bytes, not 15"):
        bed.plan(index(write_once=True, size=15))


@pytest.mark.parametrize(
    ("word", "policy", "phrase"),
    [
        (PLAIN_WORD, b"", "lacks policywrite.*has ownerwrite|policy is empty"),
        (ONCE_WORD | 0x10, nv.WRITE_ONCE_POLICY, "type counter, not ordinary"),
        (ONCE_WORD, b"\1" * 32, "its policy is"),
        (ONCE_WORD & ~attributes.NV["no_da"], nv.WRITE_ONCE_POLICY, "lacks no_da"),
    ],
)
def test_an_index_of_another_definition(bed: Bed, word: int, policy: bytes, phrase: str) -> None:
    put(bed, word, policy=policy)
    with pytest.raises(errors.MismatchError, match=phrase):
        bed.run(ONCE)
    assert bed.tpm.calls == []
    assert bed.converge({"nv_index": {**ONCE["nv_index"], "on_mismatch": "replace"}})[0] == "nv_undefine_space"


def test_replacing_what_the_platform_made_takes_the_platform(bed: Bed) -> None:
    put(bed, PLAIN_WORD | attributes.NV["platformcreate"])
    bed.converge(index(content=SERIAL, on_mismatch="replace"))
    assert not bed.tpm.indices[INDEX].public.has("platformcreate")


def test_absent(bed: Bed) -> None:
    absent = index(state="absent")
    assert bed.converge(absent) == []
    put(bed, PLAIN_WORD)
    assert bed.converge(absent) == ["nv_undefine_space"]
    put(bed, PLAIN_WORD | attributes.NV["platformcreate"])
    assert bed.converge(absent) == ["nv_undefine_space"]


def test_what_only_its_policy_removes(bed: Bed) -> None:
    put(bed, PLAIN_WORD | attributes.NV["platformcreate"] | attributes.NV["policydelete"])
    with pytest.raises(errors.StateError, match="policydelete"):
        bed.run(index(state="absent"))


# -- counters


def test_a_counter_is_made_readable_once(bed: Bed) -> None:
    item = index(nv_type="counter")
    assert bed.converge(item) == ["nv_define_space", "nv_increment"]
    bed.tpm.indices[INDEX].data = (41).to_bytes(8, "big")
    assert bed.run(item).plans[0].report()["counter"] == 41


def test_counters_that_do_not_fit(bed: Bed) -> None:
    bed.tpm.counters = 0
    with pytest.raises(errors.CapacityError, match="counters"):
        bed.run(index(nv_type="counter"))
    assert bed.tpm.calls == []


def test_a_replaced_counter_needs_no_further_room(bed: Bed) -> None:
    bed.run(index(nv_type="counter"))
    bed.tpm.counters = 1
    bed.converge(index(nv_type="counter", no_da=False, on_mismatch="replace"))


# -- who may


def test_an_owner_who_has_an_auth_writes_with_it(bed: Bed) -> None:
    bed.tpm.auths[handles.RH_OWNER] = b"owner"
    with pytest.raises(errors.StateError, match="give owner_auth"):
        bed.run(PLAIN)
    assert bed.tpm.calls == []
    bed.converge(PLAIN, owner=b"owner")


def test_content_that_is_secret_crosses_in_sessions(bed: Bed) -> None:
    secret = index(content="the secret", attributes=["ownerwrite", "ownerread"])
    bed.converge(secret)
    writes = [call for call in bed.tpm.calls if call.verb == "nv_write"]
    assert [(call.session, call.secret) for call in writes] == [("secure", True)]
    assert ("nv_read", INDEX, handles.RH_OWNER) not in bed.tpm.reads
    outcome = bed.run(index(content="another !!", attributes=["ownerwrite", "ownerread"]), check=True)
    assert "the secret" not in str(outcome.diff) and "another" not in str(outcome.diff)
    assert "bytes, not shown" in str(outcome.diff)


def test_an_index_auth_is_used_in_a_session(bed: Bed) -> None:
    item = index(content=SERIAL, auth="index auth", attributes=["authwrite", "authread"])
    bed.converge(item)
    assert {call.value for call in bed.tpm.calls if call.verb in ("nv_write", "nv_read")} == {b"index auth"}
    assert not [read for read in bed.tpm.reads if read[0] == "nv_read"], "the auth would have been tried empty"


def test_no_auth_is_tried_against_what_counts(bed: Bed) -> None:
    with pytest.raises(errors.InputError, match="counts towards the lockout.*give auth"):
        bed.run(index(content=SERIAL, no_da=False, attributes=["ownerwrite", "authread"]))
    # It may have an auth that we do not know; with ownerread the owner reads, and nothing counts.
    put(bed, PLAIN_WORD & ~attributes.NV["no_da"], auth=b"unknown")
    assert bed.plan(index(content=SERIAL, no_da=False)) == []
    assert bed.tpm.reads[-1] == ("nv_read", INDEX, handles.RH_OWNER)
    bed.run(index(content=SERIAL, no_da=False, attributes=["ownerwrite", "authread", "ownerread"]))
    assert bed.tpm.lockout[0] == 0


def test_an_auth_that_is_said_to_be_empty_is_taken_as_such(bed: Bed) -> None:
    bed.converge(index(content=SERIAL, no_da=False, auth="", attributes=["ownerwrite", "authread"]))
    assert ("nv_read", INDEX, INDEX) in bed.tpm.reads


def test_the_owner_reads_with_its_auth_where_it_must(bed: Bed) -> None:
    item = index(content=SERIAL, no_da=False)
    bed.run(item)
    bed.tpm.auths[handles.RH_OWNER] = b"owner"
    with pytest.raises(errors.TpmError, match="owner_auth"):
        bed.run(item)
    assert bed.run(item, owner=b"owner").steps == []
    assert bed.tpm.lockout[0] == 0


def test_the_platform_reads_and_writes_its_own(bed: Bed) -> None:
    item = index(content=SERIAL, attributes=["ppwrite", "ppread", "platformcreate"])
    bed.converge(item)
    assert {call.about for call in bed.tpm.calls} == {INDEX}
    bed.tpm.auths[handles.RH_PLATFORM] = b"platform"
    assert bed.run(item, platform=b"platform").steps == []


def test_policies_write_and_read(bed: Bed) -> None:
    policy = [{"or": [[{"command_code": "NV_Write"}, {"nv_written": False}], [{"command_code": "NV_Read"}, {"pcr": {"indices": [7]}}]]}]
    item = index(content="for measured boots", attributes=["policywrite", "policyread"], policy=policy)
    assert bed.converge(item)[:2] == ["nv_define_space", "nv_write"]
    assert {call.session for call in bed.tpm.calls if call.verb in ("nv_write", "nv_read")} == {"policy"}


def test_a_policy_with_the_indexs_auth(bed: Bed) -> None:
    bed.converge(index(content=SERIAL, auth="index auth", attributes=["policywrite", "authread"], policy=["auth_value"]))
    write = next(call for call in bed.tpm.calls if call.verb == "nv_write")
    assert (write.session, write.value) == ("policy", b"index auth")


def test_a_policy_that_does_not_allow_the_write_is_found_before_the_definition(bed: Bed) -> None:
    item = index(content=SERIAL, attributes=["policywrite", "authread"], policy=[{"pcr": {"indices": [7], "values": {7: "5a" * 32}}}])
    with pytest.raises(errors.StateError, match="Could not satisfy the policy.*PCR 7"):
        bed.run(item)
    assert bed.tpm.calls == []


# -- sizes


def test_large_content_asks_for_the_limits(bed: Bed) -> None:
    large = index(content="x" * 1024, write_once=True)
    bed.converge(large)
    assert ("properties", 0x100) in bed.tpm.reads


def test_what_takes_two_writes_cannot_be_written_once(bed: Bed) -> None:
    with pytest.raises(errors.CapacityError, match="1025 bytes need more than one write"):
        bed.run(index(content="x" * 1025, write_once=True))
    bed.converge(index(content="x" * 1025))


def test_what_is_too_large_for_the_tpm(bed: Bed) -> None:
    with pytest.raises(errors.CapacityError, match="2049 bytes"):
        bed.run(index(size=2049))
    assert bed.tpm.calls == []


# -- what makes no sense


@pytest.mark.parametrize(
    ("options", "phrase"),
    [
        ({"index": "0x0102000a"}, "the TPM's manufacturer.*allow_foreign_range"),
        ({"index": "0x81000001"}, "0x01000000-0x01ffffff"),
        ({"index": "serial"}, "index 'serial'"),
        ({"content": "x", "content_b64": "eA=="}, "both given"),
        ({"content_b64": "x"}, "not base64"),
        ({"content": ""}, "content is empty"),
        ({"content": "xx", "size": 3}, "does not fill the size"),
        ({"size": 0}, "size of 0 bytes"),
        ({"size": 65536}, "size of 65536 bytes"),
        ({"nv_type": "counter", "content": "x"}, "a counter has 8 bytes"),
        ({"nv_type": "counter", "size": 4}, "a counter has 8 bytes"),
        ({"nv_type": "counter", "write_once": True}, "incremented, not written"),
        ({"content": "x", "write_once": True, "policy": ["auth_value"]}, "write_once brings its own policy"),
        ({"content": "x", "write_once": True, "attributes": ["policywrite", "ownerwrite", "authread"]}, "with write_once"),
        ({"content": "x", "attributes": ["ownerwrite", "authread", "nosuch"]}, "'nosuch' is not an attribute"),
        ({"content": "x", "attributes": ["ownerwrite", "authread", "written"]}, "'written' is not an attribute"),
        ({"content": "x", "attributes": ["ownerwrite"]}, "nobody could read it"),
        ({"content": "x", "attributes": ["authread"]}, "nobody could write it"),
        ({"content": "x", "attributes": ["policywrite", "authread"]}, "belong together"),
        ({"content": "x", "attributes": ["ownerwrite", "authread"], "policy": ["auth_value"]}, "belong together"),
        ({"content": "x", "attributes": ["ownerwrite", "authread", "policydelete"]}, "policydelete"),
        ({"content": "x", "auth": "hex:00"}, "auth: it ends in a zero byte"),
        ({"content": "x", "policy": [{"pcr": {"indices": [8]}}]}, "nothing has been measured"),
        ({}, "neither size nor content"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_change(bed: Bed, options: dict[str, t.Any], phrase: str) -> None:
    with pytest.raises(errors.TpmError, match=phrase):
        bed.run(index(**options))
    assert bed.tpm.calls == []
