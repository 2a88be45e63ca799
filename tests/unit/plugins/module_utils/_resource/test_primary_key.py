# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Primary keys: made, accepted, replaced, removed, refused."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from unit.bed import Bed
from unit.fakes import Index, Loaded, with_unique

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attributes, errors, handles, keyfile, names, nv, own_ek, templates

SRK: dict[str, dict[str, t.Any]] = {"primary_key": {"template": "srk_ecc_p256"}}


def put(bed: Bed, handle: int, template: names.Public, hierarchy: int = handles.RH_OWNER) -> names.Public:
    """Put a primary key of somebody else's at a handle."""
    public = with_unique(template, b"somebody")
    bed.tpm.objects[handle] = Loaded(public, names.qualified_name(names.hierarchy_name(hierarchy), public), handle)
    return public


def test_a_blank_tpm_gets_its_key(bed: Bed) -> None:
    assert bed.converge(SRK) == ["create_primary", "evict_control"]
    held = bed.tpm.objects[handles.SRK]
    assert names.differences(templates.primary("srk_ecc_p256"), held.public) == []
    assert held.qualified == names.qualified_name(names.hierarchy_name(handles.RH_OWNER), held.public)
    assert bed.tpm.salted_with == handles.SRK


def test_what_is_there_costs_one_read(bed: Bed) -> None:
    bed.run(SRK)
    bed.tpm.reads.clear()
    outcome = bed.run(SRK)
    assert bed.tpm.reads == [("read_public", handles.SRK)]
    assert outcome.plans[0].report()["name"] == bed.tpm.objects[handles.SRK].public.name.hex()


@pytest.mark.parametrize(
    ("template", "handle", "hierarchy"),
    [
        ("srk_rsa_2048", 0x81000001, handles.RH_OWNER),
        ("ek_rsa_2048", 0x81010001, handles.RH_ENDORSEMENT),
        ("ek_ecc_p256", 0x81010002, handles.RH_ENDORSEMENT),
        ("idevid_ecc_p256", 0x81020000, handles.RH_ENDORSEMENT),
        ("iak_rsa_2048", 0x81020001, handles.RH_ENDORSEMENT),
    ],
)
def test_usual_handles_and_hierarchies(bed: Bed, template: str, handle: int, hierarchy: int) -> None:
    bed.converge({"primary_key": {"template": template}})
    held = bed.tpm.objects[handle]
    assert held.qualified == names.qualified_name(names.hierarchy_name(hierarchy), held.public)


def test_a_template_without_a_usual_handle_wants_one(bed: Bed) -> None:
    with pytest.raises(errors.InputError, match="ek_ecc_p384.*handle"):
        bed.plan({"primary_key": {"template": "ek_ecc_p384"}})
    bed.converge({"primary_key": {"template": "ek_ecc_p384", "handle": "0x81010016"}})


@pytest.mark.parametrize("handle", ["0x81000300", "0x81010001", "0x81800000", "0x01800010", "x", "-1", ""])
def test_places_that_are_not_for_it(bed: Bed, handle: str) -> None:
    with pytest.raises(errors.InputError, match="0x8100020|handle"):
        bed.plan({"primary_key": {"handle": handle}})
    assert bed.tpm.reads == []


def test_a_place_of_somebody_else_by_consent(bed: Bed) -> None:
    bed.converge({"primary_key": {"handle": "0x81008f05", "allow_foreign_range": True}})
    assert list(bed.tpm.objects) == [0x81008F05]


def test_another_storage_key_at_the_srks_handle_stays(bed: Bed) -> None:
    there = put(bed, handles.SRK, templates.primary("srk_rsa_2048"))
    outcome = bed.run(SRK)
    assert outcome.steps == []
    report = outcome.plans[0].report()
    assert report["state"] == "ok" and report["name"] == there.name.hex()
    assert "rsa_2048" in report["accepted"]


def test_another_storage_key_is_replaced_only_when_told_so(bed: Bed) -> None:
    put(bed, handles.SRK, templates.primary("srk_rsa_2048"))
    assert bed.converge({"primary_key": {"on_mismatch": "replace"}}) == ["create_primary", "evict_control", "evict_control"]
    assert bed.tpm.objects[handles.SRK].public.algorithm == "ecc_p256"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (templates.primary("iak_ecc_p256"), "sign"),
        (templates.primary("ek_ecc_p256"), "userwithauth"),
        (templates.sealed(b"\1" * 32, False), "keyedhash"),
    ],
)
def test_what_is_no_storage_key_is_named_and_left_alone(bed: Bed, template: names.Public, reason: str) -> None:
    there = put(bed, handles.SRK, template)
    with pytest.raises(errors.MismatchError, match=f"0x81000001.*{reason}.*on_mismatch: replace"):
        bed.run(SRK)
    assert bed.tpm.objects[handles.SRK].public is there and bed.tpm.calls == []


def test_a_key_of_another_hierarchy_is_another_key(bed: Bed) -> None:
    put(bed, 0x81000200, templates.primary("srk_ecc_p256"), handles.RH_ENDORSEMENT)
    item = {"primary_key": {"handle": "0x81000200"}}
    with pytest.raises(errors.MismatchError, match="not a primary key of the owner hierarchy"):
        bed.plan(item)
    put(bed, 0x81000200, templates.primary("srk_ecc_p256"), handles.RH_OWNER)
    assert bed.plan(item) == []


def test_absent_removes_what_it_names_and_only_that(bed: Bed) -> None:
    absent: dict[str, dict[str, t.Any]] = {"primary_key": {"template": "srk_ecc_p256", "state": "absent"}}
    assert bed.converge(absent) == []
    bed.run(SRK)
    assert bed.converge(absent) == ["evict_control"]
    assert bed.tpm.objects == {}
    put(bed, handles.SRK, templates.primary("srk_rsa_2048"))
    with pytest.raises(errors.MismatchError, match="rsa_2048"):
        bed.plan(absent)
    assert len(bed.plan({"primary_key": {**absent["primary_key"], "on_mismatch": "replace"}})) == 1


def test_hierarchies_that_make_no_sense(bed: Bed) -> None:
    with pytest.raises(errors.InputError, match="ek_ecc_p256.*hierarchy"):
        bed.plan({"primary_key": {"template": "ek_ecc_p256", "hierarchy": "owner"}})
    with pytest.raises(errors.InputError, match="platform hierarchy"):
        bed.plan({"primary_key": {"hierarchy": "platform"}})
    with pytest.raises(errors.InputError, match="platform hierarchy"):
        bed.plan({"primary_key": {"handle": "0x81800001", "allow_foreign_range": True}})


def test_a_unique_value_makes_another_key(bed: Bed) -> None:
    bed.run(SRK)
    bed.run({"primary_key": {"handle": "0x81000200", "unique": "edge"}})
    assert bed.tpm.objects[handles.SRK].public.name != bed.tpm.objects[0x81000200].public.name


def test_the_public_key_is_exported_and_mended(bed: Bed) -> None:
    path = bed.path("srk.pem")
    item: dict[str, dict[str, t.Any]] = {"primary_key": {"public_path": path}}
    assert bed.converge(item) == ["create_primary", "evict_control"]
    expected = keyfile.public_pem(bed.tpm.objects[handles.SRK].public)
    assert pathlib.Path(path).read_text() == expected
    pathlib.Path(path).write_text("-----BEGIN PUBLIC KEY-----\nof another key, or torn")
    opened = bed.tpm.opened
    assert bed.converge(item) == []
    assert pathlib.Path(path).read_text() == expected
    assert bed.tpm.opened == opened, "a file alone needs no TSS"


def test_a_path_that_cannot_be_written_is_found_before_the_first_change(bed: Bed) -> None:
    # ansible makes relative paths absolute only where they begin with ~ or $.
    pathlib.Path(bed.path("file")).touch()
    for path in ("relative.pem", bed.path("file/srk.pem")):
        with pytest.raises(errors.InputError, match=path):
            bed.run({"primary_key": {"public_path": path}})
    assert bed.tpm.calls == []


def test_the_owner_auth_is_used_where_it_is_set(bed: Bed) -> None:
    bed.tpm.auths[handles.RH_OWNER] = b"owner"
    with pytest.raises(errors.StateError, match="give owner_auth"):
        bed.run(SRK)
    assert bed.tpm.calls == []
    bed.converge(SRK, owner=b"owner")
    assert {call.value for call in bed.tpm.calls} == {b"owner"}


def test_a_given_auth_is_not_used_where_none_is_set(bed: Bed) -> None:
    bed.converge(SRK, owner=b"owner")
    assert {call.value for call in bed.tpm.calls} == {b""}


def test_both_hierarchies_are_asked_for_before_the_first_change(bed: Bed) -> None:
    bed.tpm.auths[handles.RH_OWNER] = b"owner"
    with pytest.raises(errors.StateError, match="give owner_auth"):
        bed.run({"primary_key": {"template": "ek_ecc_p256"}})
    assert bed.tpm.calls == []


@pytest.mark.parametrize("hierarchy", [handles.RH_OWNER, handles.RH_ENDORSEMENT])
def test_a_disabled_hierarchy_is_found_before_the_first_change(bed: Bed, hierarchy: int) -> None:
    bed.tpm.enabled[hierarchy] = False
    with pytest.raises(errors.StateError, match="disabled"):
        bed.run({"primary_key": {"template": "ek_ecc_p256"}})
    assert bed.tpm.calls == []


def test_a_platform_key_is_kept_by_the_platform(bed: Bed) -> None:
    item: dict[str, dict[str, t.Any]] = {"primary_key": {"hierarchy": "platform", "handle": "0x81800001", "allow_foreign_range": True}}
    bed.converge(item)
    held = bed.tpm.objects[0x81800001]
    assert held.qualified == names.qualified_name(names.hierarchy_name(handles.RH_PLATFORM), held.public)


EK: dict[str, dict[str, t.Any]] = {"primary_key": {"template": "ek_rsa_2048"}}
READABLE = ("ppwrite", "ppread", "ownerread", "authread", "no_da")


def left(bed: Bed, index: int, data: bytes, *flags: str, written: bool = True) -> None:
    """The manufacturer has left something in NV."""
    word = attributes.word(flags or READABLE, attributes.NV)
    bed.tpm.indices[index] = Index(nv.NvPublic(index, alg.SHA256, word, b"", len(data)), data=data if written else None)


def own_template() -> bytes:
    """A template that differs from the profile's by its symmetric key and its empty unique field."""
    raw = templates.primary("ek_rsa_2048").raw
    return raw.replace(b"\x00\x06\x00\x80\x00\x43", b"\x00\x06\x01\x00\x00\x43")[:-258] + b"\0\0"


def test_the_tpms_own_template_and_nonce_make_the_ek(bed: Bed) -> None:
    left(bed, 0x01C00004, own_template())
    left(bed, 0x01C00003, b"nonce")
    assert bed.converge(EK) == ["create_primary", "evict_control"]
    want = own_ek.template(templates.primary("ek_rsa_2048"), own_template(), b"nonce")
    assert names.differences(want, bed.tpm.objects[0x81010001].public) == []
    assert names.differences(templates.primary("ek_rsa_2048"), bed.tpm.objects[0x81010001].public)


def test_where_the_ek_is_there_nothing_is_looked_for(bed: Bed) -> None:
    bed.run(EK)
    left(bed, 0x01C00004, own_template())
    bed.tpm.reads.clear()
    assert not bed.run(EK).plans[0].steps
    assert bed.tpm.reads == [("read_public", 0x81010001)]


@pytest.mark.parametrize("flags", [("ownerread", "no_da"), ("authread",)])
def test_what_not_everybody_may_read_without_a_try_is_left_alone(bed: Bed, flags: tuple[str, ...]) -> None:
    left(bed, 0x01C00004, own_template(), *flags)
    left(bed, 0x01C00003, b"nonce", written=False)
    bed.converge(EK)
    assert names.differences(templates.primary("ek_rsa_2048"), bed.tpm.objects[0x81010001].public) == []
    assert not [one for one in bed.tpm.reads if one[0] == "nv_read"]


def test_a_unique_value_of_the_user_goes_before_the_tpms_own(bed: Bed) -> None:
    left(bed, 0x01C00004, own_template())
    bed.converge({"primary_key": {"template": "ek_rsa_2048", "unique": "mine"}})
    assert names.differences(templates.primary("ek_rsa_2048"), bed.tpm.objects[0x81010001].public) == []
    assert not [one for one in bed.tpm.reads if one[0] == "handles"]


def test_a_template_in_nv_that_is_not_of_an_ek_makes_nothing(bed: Bed) -> None:
    left(bed, 0x01C00004, templates.primary("iak_rsa_2048").raw)
    with pytest.raises(errors.StateError, match="as the NV index 0x01c00004 of this TPM says: it lacks decrypt; ask the board vendor"):
        bed.run(EK)
    assert bed.tpm.objects == {} and bed.tpm.writes == 0


def test_any_ek_may_be_one_of_the_tpms_own_template(bed: Bed) -> None:
    want = own_ek.template(templates.primary("ek_rsa_2048"), own_template(), None)
    put(bed, 0x81010001, want, handles.RH_ENDORSEMENT)
    plan = bed.run({"primary_key": {"template": "ek_any"}}).plans[0]
    assert not plan.steps and plan.report()["accepted"] == "the EK at 0x81010001 is of a template of its TPM's own"
    with pytest.raises(errors.MismatchError, match="its symmetric algorithm is"):
        bed.run(EK)  # nothing in this TPM's NV speaks of such a template
    left(bed, 0x01C00004, own_template())
    assert not bed.run(EK).plans[0].steps
    assert bed.run({"primary_key": {"template": "ek_rsa_2048", "state": "absent"}}).plans[0].steps
