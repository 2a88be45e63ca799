# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hierarchies: set, kept, rotated, emptied auths; never a gamble with lockout; policies, enabling, TPM2_Clear."""

from __future__ import annotations

import typing as t

import pytest
from unit.bed import Bed

from ansible_collections.edgefleet.tpm2.plugins.module_utils._protocol import rotation
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, handles

OWNER, ENDORSEMENT, LOCKOUT, PLATFORM = handles.RH_OWNER, handles.RH_ENDORSEMENT, handles.RH_LOCKOUT, handles.RH_PLATFORM


def hierarchy(name: str = "owner", **options: t.Any) -> dict[str, dict[str, t.Any]]:
    return {"hierarchy": {"hierarchy": name, **options}}


every_hierarchy = pytest.mark.parametrize("name", list(handles.HIERARCHIES))


@every_hierarchy
def test_an_auth_is_set_once_and_crosses_encrypted(bed: Bed, name: str) -> None:
    assert bed.converge(hierarchy(name, auth="the new auth")) == ["hierarchy_change_auth"]
    assert bed.tpm.auths[handles.HIERARCHIES[name]] == b"the new auth"
    assert [(call.session, call.secret) for call in bed.tpm.calls] == [("secure", True)]


@every_hierarchy
def test_nothing_asked_for_is_nothing_done(bed: Bed, name: str) -> None:
    assert bed.converge(hierarchy(name)) == []
    bed.tpm.auths[handles.HIERARCHIES[name]] = b"unknown"
    assert bed.converge(hierarchy(name)) == []


@pytest.mark.parametrize("name", ["owner", "endorsement", "lockout"])
def test_a_set_auth_of_which_one_value_is_given_is_not_tried(bed: Bed, name: str) -> None:
    bed.tpm.auths[handles.HIERARCHIES[name]] = b"whatever it is"
    assert bed.converge(hierarchy(name, auth="declared")) == []
    assert bed.converge(hierarchy(name, auth="declared"), **{name: b"declared"}) == []
    assert bed.tpm.calls == []


@pytest.mark.parametrize("name", ["owner", "endorsement"])
@pytest.mark.parametrize("by_option", [True, False])
def test_rotation(bed: Bed, name: str, by_option: bool) -> None:
    number = handles.HIERARCHIES[name]
    bed.tpm.auths[number] = b"old"
    item = hierarchy(name, auth="new", **({"current_auth": "old"} if by_option else {}))
    given = {} if by_option else {name: b"old"}
    assert bed.converge(item, **given)[-1] == "hierarchy_change_auth"
    assert bed.tpm.auths[number] == b"new"
    assert {call.session for call in bed.tpm.calls} == {"secure"}


@pytest.mark.parametrize("name", ["owner", "endorsement"])
def test_rotation_that_is_done_already(bed: Bed, name: str) -> None:
    bed.tpm.auths[handles.HIERARCHIES[name]] = b"new"
    assert bed.converge(hierarchy(name, auth="new", current_auth="old")) == ["holds"]


OLD, NEW = "the old lockout auth", "the new lockout auth"


def test_a_lockout_auth_is_never_asked_for(bed: Bed) -> None:
    bed.converge(hierarchy("lockout", auth="new"), after={"lockout": b"new"})
    assert bed.tpm.lockout[0] == 0
    # One value is the one that holds; of two, the policy tells. It is asked, no value is tried.
    bed.tpm.auths[LOCKOUT], bed.tpm.policies[LOCKOUT] = OLD.encode(), rotation.marker(NEW.encode())
    assert not bed.run(hierarchy("lockout", auth=NEW, current_auth=OLD)).steps
    for strange in (b"s" * 32, rotation.bridge(b"x" * 16, NEW.encode())):
        bed.tpm.policies[LOCKOUT] = strange
        with pytest.raises(errors.StateError, match="lockout: its policy .* is neither's, and trying one could lock the TPM"):
            bed.run(hierarchy("lockout", auth=NEW, current_auth=OLD))
    bed.tpm.policies[LOCKOUT] = None
    with pytest.raises(errors.StateError, match="lockout: this TPM does not tell its policy"):
        bed.run(hierarchy("lockout", auth=NEW), lockout=OLD.encode())


def test_a_first_lockout_auth_is_marked(bed: Bed) -> None:
    marks = {OLD: rotation.marker(OLD.encode()), "x" * 16: rotation.marker(b"x" * 16), "x" * 15: b""}
    for value, mark in marks.items():
        bed.tpm.auths[LOCKOUT], bed.tpm.policies[LOCKOUT] = b"", b""
        assert len(bed.run(hierarchy("lockout", auth=value)).steps) == 1
        assert (bed.tpm.auths[LOCKOUT], bed.tpm.policies[LOCKOUT]) == (value.encode(), mark)
    # A TPM that does not tell its policies gets none.
    bed.tpm.auths[LOCKOUT], bed.tpm.policies[LOCKOUT] = b"", None
    bed.run(hierarchy("lockout", auth=OLD))
    assert (bed.tpm.auths[LOCKOUT], bed.tpm.policies[LOCKOUT]) == (OLD.encode(), None)


@pytest.mark.parametrize(
    ("begun", "calls"), [(b"", 3), (rotation.marker(OLD.encode()), 3), (rotation.bridge(OLD.encode(), NEW.encode()), 2)]
)
def test_a_lockout_auth_is_replaced_from_wherever_it_stands(bed: Bed, begun: bytes, calls: int) -> None:
    bed.tpm.auths[LOCKOUT], bed.tpm.policies[LOCKOUT] = OLD.encode(), begun
    sentence = f"{'finish replacing' if calls == 2 else 'replace'} the auth of the lockout hierarchy"
    assert bed.plan(hierarchy("lockout", auth=NEW, current_auth=OLD)) == [sentence] and bed.tpm.calls == []
    bed.run(hierarchy("lockout", auth=NEW, current_auth=OLD))
    assert bed.tpm.auths[LOCKOUT] == NEW.encode() and bed.tpm.policies[LOCKOUT] == rotation.marker(NEW.encode())
    assert len(bed.tpm.calls) == calls


@pytest.mark.parametrize("name", ["owner", "endorsement", "lockout"])
def test_emptying(bed: Bed, name: str) -> None:
    number = handles.HIERARCHIES[name]
    assert bed.converge(hierarchy(name, auth="")) == []
    bed.tpm.auths[number] = b"old"
    with pytest.raises(errors.StateError, match=f"{name}.*was given"):
        bed.run(hierarchy(name, auth=""))
    assert bed.tpm.calls == []
    assert bed.converge(hierarchy(name, auth="", current_auth="old"), after={}) == ["hierarchy_change_auth"]
    assert bed.tpm.auths[number] == b""


def test_the_platform_is_rotated_and_emptied_too(bed: Bed) -> None:
    bed.tpm.auths[PLATFORM] = b"old"
    bed.converge(hierarchy("platform", auth="new", current_auth="old"))
    assert bed.tpm.auths[PLATFORM] == b"new"
    bed.converge(hierarchy("platform", auth="", current_auth="new"))
    assert bed.tpm.auths[PLATFORM] == b""


def test_the_platform_with_an_unknown_auth(bed: Bed) -> None:
    bed.tpm.auths[PLATFORM] = b"of the firmware"
    with pytest.raises(errors.StateError, match="platform.*was given"):
        bed.run(hierarchy("platform", clear_disabled=False, auth=""))
    assert bed.tpm.calls == []


def test_an_open_platform_is_refused(bed: Bed) -> None:
    with pytest.raises(errors.StateError, match="auth is empty.*firmware"):
        bed.run(hierarchy("platform", refuse_empty_auth=True))
    assert len(bed.plan(hierarchy("platform", refuse_empty_auth=True, auth="x"))) == 1
    bed.tpm.auths[PLATFORM] = b"of the firmware"
    assert bed.plan(hierarchy("platform", refuse_empty_auth=True)) == []
    bed.tpm.enabled[PLATFORM] = False
    assert bed.plan(hierarchy("platform", refuse_empty_auth=True)) == []


@pytest.mark.parametrize(
    ("options", "phrase"),
    [
        ({"hierarchy": "lockout", "enabled": False}, "enabled"),
        ({"clear_disabled": True}, "clear_disabled belongs to lockout or platform"),
        ({"auth": "x" * 33}, "auth: it has 33 bytes"),
        ({"current_auth": "hex:00"}, "current_auth: it ends in a zero byte"),
        ({"policy": ["nosuch"]}, "nosuch"),
        ({"policy": [{"pcr": {"indices": [8]}}]}, "nothing has been measured"),
    ],
)
def test_what_makes_no_sense(bed: Bed, options: dict[str, t.Any], phrase: str) -> None:
    with pytest.raises(errors.TpmError, match=phrase):
        bed.run(hierarchy(**options))
    assert bed.tpm.calls == []


# -- policy


@pytest.mark.parametrize("name", ["owner", "endorsement", "lockout"])
def test_a_policy_is_set_and_taken_away(bed: Bed, name: str) -> None:
    item = hierarchy(name, policy=[{"pcr": {"indices": [7]}}])
    assert bed.converge(item) == ["set_primary_policy"]
    assert len(bed.tpm.policies[handles.HIERARCHIES[name]] or b"") == 32
    assert bed.plan(hierarchy(name)) == []
    assert bed.converge(hierarchy(name, policy=[])) == ["set_primary_policy"]
    assert bed.tpm.policies[handles.HIERARCHIES[name]] == b""


def test_a_tpm_that_does_not_tell_the_policy(bed: Bed) -> None:
    bed.tpm.policies[OWNER] = None
    with pytest.raises(errors.StateError, match="1.38.*leave policy out"):
        bed.run(hierarchy(policy=["auth_value"]))


def test_policy_and_auth_in_one_run(bed: Bed) -> None:
    assert bed.converge(hierarchy(policy=[{"pcr": {"indices": [7]}}], auth="new")) == ["set_primary_policy", "hierarchy_change_auth"]


# -- enabled, clear


def test_disabling_and_enabling(bed: Bed) -> None:
    assert bed.converge(hierarchy("endorsement", enabled=True)) == []
    assert bed.converge(hierarchy("endorsement", enabled=False)) == ["hierarchy_control"]
    assert bed.converge(hierarchy("endorsement", enabled=True)) == ["hierarchy_control"]
    assert bed.converge(hierarchy("platform", enabled=False)) == ["hierarchy_control"]


def test_only_the_platform_enables(bed: Bed) -> None:
    bed.tpm.enabled[OWNER] = False
    bed.tpm.auths[PLATFORM] = b"platform"
    bed.converge(hierarchy(enabled=True), platform=b"platform")
    bed.tpm.enabled[OWNER] = bed.tpm.enabled[PLATFORM] = False
    with pytest.raises(errors.StateError, match="platform.*disabled"):
        bed.run(hierarchy(enabled=True))


def test_disabling_uses_the_auth_that_the_run_has_set(bed: Bed) -> None:
    bed.converge(hierarchy(auth="new", enabled=False), after={"owner": b"new"})
    assert [call.value for call in bed.tpm.calls if call.verb == "hierarchy_control"] == [b"new"]


def test_clear_is_forbidden_by_lockout_and_allowed_by_the_platform(bed: Bed) -> None:
    bed.tpm.auths[LOCKOUT] = b"lockout"
    assert bed.converge(hierarchy("lockout", clear_disabled=True), lockout=b"lockout") == ["clear_control"]
    assert bed.converge(hierarchy("lockout", clear_disabled=True)) == []
    assert bed.converge(hierarchy("lockout", clear_disabled=False)) == ["clear_control"]
    assert bed.tpm.clear_disabled is False
    with pytest.raises(errors.StateError, match="give lockout_auth"):
        bed.run(hierarchy("lockout", clear_disabled=True))


# -- what a profile's declaration does for the rest


def test_the_declared_auth_is_what_the_rest_acts_with(bed: Bed) -> None:
    items = [hierarchy(auth="new"), {"primary_key": {"template": "srk_ecc_p256"}}, {"nv_index": {"index": "0x01800010", "content": "x"}}]
    verbs = bed.converge(*items)
    assert verbs[-1] == "hierarchy_change_auth" and {call.value for call in bed.tpm.calls} == {b""}
    bed.tpm.objects.clear()
    bed.tpm.indices.clear()
    bed.tpm.calls.clear()
    bed.converge(*items)
    assert {call.value for call in bed.tpm.calls} == {b"new"}


def test_while_it_is_rotated_the_old_auth_holds_for_the_rest(bed: Bed) -> None:
    bed.tpm.auths[OWNER] = b"old"
    items = [hierarchy(auth="new", current_auth="old"), {"primary_key": {"template": "srk_ecc_p256"}}]
    bed.converge(*items)
    assert [(call.verb, call.value) for call in bed.tpm.calls if call.verb != "holds"] == [
        ("create_primary", b"old"),
        ("evict_control", b"old"),
        ("hierarchy_change_auth", b"old"),
    ]


def test_a_run_that_was_interrupted_after_the_rotation(bed: Bed) -> None:
    bed.tpm.auths[OWNER] = b"new"
    bed.converge(hierarchy(auth="new", current_auth="old"), {"primary_key": {"template": "srk_ecc_p256"}})
    assert {call.value for call in bed.tpm.calls} == {b"new"}
