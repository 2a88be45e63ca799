# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles: reading them, the order of work, what a run costs, how it ends when something fails."""

from __future__ import annotations

import typing as t

import pytest
from unit.bed import Bed

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _kinds
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import model
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, handles, keyfile

Item = dict[str, dict[str, t.Any]]
SRK: Item = {"primary_key": {"template": "srk_ecc_p256"}}


def whole(bed: Bed) -> list[Item]:
    """One of everything, in the worst order."""
    return [
        {"hierarchy": {"hierarchy": "lockout", "auth": "lockout"}},
        {"hierarchy": {"hierarchy": "owner", "auth": "owner"}},
        {"da_lockout": {"max_tries": 32, "recovery_time": 600, "lockout_recovery": 86400}},
        {"sealed_blob": {"path": bed.path("blob.pem"), "content": "x", "pcrs": {"indices": [7]}}},
        {"nv_index": {"index": "0x01800010", "content": "EDGE-0001", "write_once": True}},
        {"persistent_handle": {"handle": "0x81000211", "state": "absent"}},
        {"key": {"handle": "0x81000210", "path": bed.path("key.pem")}},
        {"hierarchy": {"hierarchy": "endorsement", "auth": "endorsement"}},
        {"primary_key": {"template": "ek_ecc_p256"}},
        SRK,
        {"nv_index": {"index": "0x01800011", "state": "absent"}},
    ]


def test_the_order_of_work(bed: Bed) -> None:
    bed.run(SRK, {"key": {"handle": "0x81000211"}}, {"nv_index": {"index": "0x01800011", "content": "old"}})
    del bed.tpm.objects[handles.SRK]
    bed.tpm.calls.clear()
    items = whole(bed)
    verbs = bed.converge(*items)
    assert verbs == [
        *("evict_control", "nv_undefine_space"),
        *("create_primary", "evict_control") * 2,
        *("create", "load", "evict_control"),
        *("nv_define_space", "nv_write"),
        "create",
        "dictionary_attack_parameters",
        *("hierarchy_change_auth",) * 3,
    ]
    changed = [call.about for call in bed.tpm.calls if call.verb == "hierarchy_change_auth"]
    assert changed == [handles.RH_OWNER, handles.RH_ENDORSEMENT, handles.RH_LOCKOUT], "the lockout auth is the last that a TPM learns"


@pytest.mark.parametrize("turn", range(11))
def test_the_order_of_items_does_not_matter(bed: Bed, turn: int) -> None:
    items = whole(bed)
    bed.converge(*items[turn:], *items[:turn])
    assert sorted(bed.tpm.objects) == [handles.SRK, 0x81000210, 0x81010002]
    assert list(bed.tpm.indices) == [0x01800010]


def test_a_no_op_reads_each_fact_once(bed: Bed) -> None:
    bed.run(*whole(bed))
    bed.tpm.reads.clear()
    bed.run(*whole(bed))
    assert len(bed.tpm.reads) == len(set(bed.tpm.reads)), "a fact was read twice"
    assert sum(1 for read in bed.tpm.reads if read[0] == "properties") == 1


def test_the_bound_of_a_no_op(bed: Bed) -> None:
    keys: list[Item] = [{"key": {"handle": f"{0x81000210 + number:#x}"}} for number in range(4)]
    indices: list[Item] = [{"nv_index": {"index": f"{0x01800010 + number:#x}", "content": "x"}} for number in range(5)]
    seals: list[Item] = [{"sealed_blob": {"path": bed.path(f"{n}.pem"), "content": "x", "pcrs": {"indices": [7]}}} for n in range(3)]
    items = [SRK, {"da_lockout": {"max_tries": 9}}, *keys, *indices, *seals]
    bed.run(*items)
    bed.tpm.reads.clear()
    bed.run(*items)
    # K + 2N + 2 of the design's first law: five keys, five indices, properties, PCRs.
    assert len(bed.tpm.reads) == 5 + 2 * 5 + 2


def test_pcrs_of_one_bank_are_read_together(bed: Bed) -> None:
    for number in (0, 7, 16):
        bed.tpm.banks["sha256"][number] = bytes([number + 1]) * 32
    seals: list[Item] = [{"sealed_blob": {"path": bed.path(f"{n}.pem"), "content": "x", "pcrs": {"indices": [n]}}} for n in (16, 0, 7)]
    bed.run(SRK, *seals)
    assert [read[1][0].text for read in bed.tpm.reads if read[0] == "pcr_read"] == ["sha256:0,7,16"]


# -- reading


@pytest.mark.parametrize(
    ("items", "phrase"),
    [
        ([{}], "item 1 of resources: it names 0 kinds"),
        ([SRK, {**SRK, "da_lockout": {}}], "item 2 of resources: it names 2 kinds.*nv_index"),
        (
            [{"key": {"handle": "0x81000210"}}, {"persistent_handle": {"handle": "0x81000210", "name": "00"}}],
            "item 2.*0x81000210 is already item 1",
        ),
        ([{"key": {"handle": "0x81000210"}}, {"key": {"handle": str(0x81000210)}}], "item 2.*0x81000210 is already item 1"),
        ([{"nv_index": {"index": "0x1800010"}}, SRK, {"nv_index": {"index": "0x01800010"}}], "item 3.*0x01800010 is already item 1"),
        ([{"hierarchy": {"hierarchy": "owner"}}] * 2, "item 2.*owner is already item 1"),
        ([{"da_lockout": {}}] * 2, "item 2.*lockout is already item 1"),
        ([{"key": {"path": "/a"}}, {"sealed_blob": {"path": "/a", "auth": "x", "content": "x"}}], "item 2.*/a is already item 1"),
        (
            [{"key": {"path": "/a", "handle": "0x81000210"}}, {"key": {"path": "/a", "handle": "0x81000211"}}],
            "item 2.*/a is already item 1",
        ),
        ([{"primary_key": {"public_path": "/a"}}, {"key": {"handle": "0x81000210", "public_path": "/a"}}], "item 2.*/a is already item 1"),
        ([SRK, {"nv_index": {"index": "0x01c00002", "content": "x"}}], "0x01c00002.*endorsement.*item 2 of resources, nv_index"),
    ],
)
def test_what_makes_no_sense_is_named_by_its_item(bed: Bed, items: list[Item], phrase: str) -> None:
    with pytest.raises(errors.InputError, match=phrase):
        bed.plan(*items)
    assert bed.tpm.reads == []


def test_what_is_no_clash(bed: Bed) -> None:
    # The hierarchy lockout is not its parameters; a file may be written by one item and be another's source.
    shared = bed.path("key.pem")
    items: list[Item] = [
        {"hierarchy": {"hierarchy": "lockout"}},
        {"da_lockout": {}},
        SRK,
        {"key": {"path": shared}},
        {"persistent_handle": {"handle": "0x81000220", "path": shared}},
    ]
    assert [resource.object for resource in _kinds.build(items)][0] == "lockout"
    bed.run(*items[:4])
    bed.converge(*items)


def test_an_empty_profile(bed: Bed) -> None:
    assert bed.converge() == [] and bed.tpm.reads == []


# -- endings


def test_nothing_is_done_where_one_item_cannot_be(bed: Bed) -> None:
    with pytest.raises(errors.StateError, match="nothing has been measured.*sealed_blob"):
        bed.run(SRK, {"sealed_blob": {"path": bed.path("blob.pem"), "content": "x", "pcrs": {"indices": [8]}}})
    assert bed.tpm.calls == []


def test_an_error_names_the_resource_the_step_and_how_far_it_came(bed: Bed) -> None:
    bed.tpm.fail["nv_write"] = 0x101
    with pytest.raises(errors.TpmError, match=r"TPM_RC_FAILURE.*step 3 of 4: write 1 bytes to the NV index 0x01800010") as failed:
        bed.run(SRK, {"nv_index": {"index": "0x01800010", "content": "x"}}, {"da_lockout": {"max_tries": 9}})
    assert failed.value.rc == 0x101
    bed.tpm.fail.clear()
    assert bed.converge(SRK, {"nv_index": {"index": "0x01800010", "content": "x"}}, {"da_lockout": {"max_tries": 9}}) == [
        "nv_write",
        "dictionary_attack_parameters",
    ]


@pytest.mark.parametrize(
    "verb", ["create_primary", "evict_control", "create", "load", "nv_define_space", "nv_write", "hierarchy_change_auth"]
)
def test_interrupted_anywhere_a_second_run_finishes(bed: Bed, verb: str) -> None:
    bed.tpm.fail[verb] = 0x101
    with pytest.raises(errors.TpmError):
        bed.run(*whole(bed))
    bed.tpm.fail.clear()
    bed.converge(*whole(bed))


def test_full_memory_names_who_has_it(bed: Bed) -> None:
    bed.run(SRK, {"nv_index": {"index": "0x01800020", "content": "x"}}, {"nv_index": {"index": "0x01800021", "content": "x"}})
    bed.tpm.fail["nv_define_space"] = 0x14B
    with pytest.raises(errors.CapacityError, match="0x01800020.*the owner.*0x81000001.*storage root key") as failed:
        bed.run({"nv_index": {"index": "0x01800010", "content": "x"}})
    assert failed.value.rc == 0x14B


def test_the_connection_is_closed_also_when_planning_fails(bed: Bed) -> None:
    bed.run(SRK, {"sealed_blob": {"path": bed.path("b.pem"), "content": "x", "auth": "a"}})
    opened = bed.tpm.opened
    with pytest.raises(errors.TpmError):
        bed.run({"sealed_blob": {"path": bed.path("b.pem"), "content": "x", "auth": "wrong", "verify": "unseal"}})
    assert bed.tpm.opened == bed.tpm.closed == opened + 1


def test_persistent_slots_are_counted_before_the_first_change(bed: Bed) -> None:
    bed.tpm.slots = 2
    keys: list[Item] = [{"key": {"handle": f"{0x81000210 + number:#x}"}} for number in range(2)]
    with pytest.raises(errors.CapacityError, match="needs 3 persistent slots and the TPM has 2"):
        bed.run(SRK, *keys)
    assert bed.tpm.calls == []
    bed.run(SRK, keys[0])
    bed.converge({"key": {**keys[0]["key"], "state": "absent"}}, keys[1])


def test_what_is_done_is_told(bed: Bed) -> None:
    outcome = bed.run(*whole(bed))
    assert outcome.done == len(outcome.steps) > 8
    assert [set(step) for step in outcome.steps] == [{"kind", "object", "action", "sentence", "cost", "reversible"}] * outcome.done
    assert {plan.report()["state"] for plan in outcome.plans} == {"ok", "changed"}
    assert sum(step["cost"]["key_generations"] for step in outcome.steps) == 3
    assert sum(step["cost"]["persistent_slots"] for step in outcome.steps) == 3


def failure(bed: Bed, *items: Item, check: bool = False, **given: bytes) -> dict[str, str]:
    """What a result says, beside its sentence, of a run that fails."""
    with pytest.raises(errors.TpmError) as failed:
        bed.run(*items, check=check, **given)
    return failed.value.words()


def test_a_failure_is_told_in_words(bed: Bed) -> None:
    nv: Item = {"nv_index": {"index": "0x01800010", "content": "abc"}}
    assert failure(bed, nv, nv) == {"reason": "input", "object": "0x01800010"}
    assert failure(bed, {"key": {}}) == {"reason": "input"}
    assert failure(bed, {"key": {"handle": "0x81000210"}}) == {"reason": "no_parent", "object": "0x81000210"}
    assert failure(bed, {"certificate": {"path": "one.pem", "state": "absent"}}) == {"reason": "input", "object": "one.pem"}
    bed.run(nv)
    assert failure(bed, {"nv_index": {"index": "0x01800010", "size": 9}}) == {"reason": "mismatch", "object": "0x01800010"}
    bed.tpm.auths[handles.RH_OWNER] = b"secret"
    assert failure(bed, SRK) == {"reason": "auth_not_given", "object": "owner"}
    bed.tpm.in_lockout = True
    assert failure(bed, {"nv_index": {"index": "0x01800011", "content": "abc"}}, owner=b"secret") == {
        "reason": "in_lockout",
        "object": "lockout",
    }


@pytest.mark.parametrize(("code", "reason"), [(0x9A2, "TPM_RC_BAD_AUTH"), (0x14B, "capacity"), (0xA000A, "connection_lost")])
def test_a_step_that_fails_is_told_in_words(bed: Bed, code: int, reason: str) -> None:
    bed.tpm.fail["nv_define_space"] = code
    assert failure(bed, SRK, {"nv_index": {"index": "0x01800010", "content": "abc"}}) == {"reason": reason, "object": "0x01800010"}


def test_a_step_of_a_file_alone_opens_nothing(bed: Bed) -> None:
    bed.run(SRK)
    opened, bed.library = bed.tpm.opened, False
    assert bed.plan({"primary_key": {"public_path": bed.path("srk.pem")}}) == [f"write the public key to {bed.path('srk.pem')}"]
    bed.run({"primary_key": {"public_path": bed.path("srk.pem")}})
    assert (bed.folder / "srk.pem").read_text() == keyfile.public_pem(bed.tpm.objects[handles.SRK].public)
    assert bed.tpm.opened == opened


def test_a_change_of_the_tpm_needs_the_library_and_its_prediction_does_not(bed: Bed) -> None:
    items = (SRK, {"certificate": {"path": bed.path("one.pem"), "state": "absent"}})
    told = bed.run(*items, check=True)
    bed.library = False
    checked = bed.run(*items, check=True)
    assert checked.steps == told.steps != [] and checked.diff == told.diff
    assert (checked.notes, told.notes) == (["Checked without tpm2-pytss, which is needed for the changes. there is no library"], [])
    with pytest.raises(errors.DependencyError):
        bed.run(*items)
    assert bed.tpm.calls == [] and bed.tpm.opened == 0


def test_phases_are_in_order() -> None:
    order = [model.PHASE_ABSENT, model.PHASE_PRIMARY, model.PHASE_KEY, model.PHASE_PERSISTENT, model.PHASE_NV, model.PHASE_SEAL]
    assert [*order, model.PHASE_DA, model.PHASE_HIERARCHY, model.PHASE_LOCKOUT] == list(range(9))
