# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dictionary attack protection, and what a run does in lockout."""

from __future__ import annotations

import typing as t

import pytest
from unit.bed import Bed

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, handles

USUAL = {"max_tries": 32, "recovery_time": 600, "lockout_recovery": 86400}
SRK: dict[str, dict[str, t.Any]] = {"primary_key": {"template": "srk_ecc_p256"}}


def da(**options: t.Any) -> dict[str, dict[str, t.Any]]:
    return {"da_lockout": options}


def test_parameters_are_set_once(bed: Bed) -> None:
    assert bed.converge(da(**USUAL)) == ["dictionary_attack_parameters"]
    assert bed.tpm.lockout == [0, 32, 600, 86400]
    bed.tpm.reads.clear()
    bed.run(da(**USUAL))
    assert bed.tpm.reads == [("properties", 0x200)]


@pytest.mark.parametrize("name", USUAL)
def test_what_is_not_named_stays(bed: Bed, name: str) -> None:
    bed.converge(da(**{name: USUAL[name]}))
    expected = {"max_tries": 3, "recovery_time": 1000, "lockout_recovery": 1000, name: USUAL[name]}
    assert bed.tpm.lockout[1:] == list(expected.values())
    sentence = bed.run(da(**{name: 7}), check=True).steps[0]["sentence"]
    assert f"{name} {USUAL[name]} -> 7" in sentence


def test_nothing_asked_for_is_nothing_done(bed: Bed) -> None:
    bed.tpm.lockout[0] = 2
    assert bed.converge(da()) == []


def test_the_counter_is_reset_where_there_is_something_to_reset(bed: Bed) -> None:
    assert bed.converge(da(reset=True)) == []
    bed.tpm.lockout[0] = 2
    assert bed.converge(da(reset=True, max_tries=5)) == ["dictionary_attack_lock_reset", "dictionary_attack_parameters"]
    assert bed.tpm.lockout[:2] == [0, 5]


def test_a_set_lockout_auth_must_be_given(bed: Bed) -> None:
    bed.tpm.auths[handles.RH_LOCKOUT] = b"lockout"
    with pytest.raises(errors.StateError, match="give lockout_auth.*never guessed"):
        bed.run(da(**USUAL))
    assert bed.tpm.calls == []
    bed.converge(da(**USUAL), lockout=b"lockout")
    assert bed.tpm.lockout[0] == 0
    # Nothing to do needs no auth.
    assert bed.plan(da(**USUAL)) == []


@pytest.mark.parametrize(
    ("options", "phrase"),
    [({"max_tries": 0}, "lock the TPM at once"), ({"max_tries": -1}, "out of range"), ({"recovery_time": 1 << 32}, "out of range")],
)
def test_what_makes_no_sense(bed: Bed, options: dict[str, int], phrase: str) -> None:
    with pytest.raises(errors.InputError, match=phrase):
        bed.plan(da(**options))


def test_in_lockout_nothing_is_tried(bed: Bed) -> None:
    bed.tpm.in_lockout, bed.tpm.lockout[0] = True, 3
    with pytest.raises(errors.StateError, match="3 failed tries of 3.*every 1000 s.*reset: true"):
        bed.run(SRK)
    assert bed.tpm.calls == []


def test_in_lockout_a_reset_goes_first(bed: Bed) -> None:
    bed.tpm.in_lockout, bed.tpm.lockout[0] = True, 3
    assert "dictionary_attack_lock_reset" in bed.converge(da(reset=True))
    bed.tpm.in_lockout, bed.tpm.lockout[0] = True, 3
    verbs = bed.converge(SRK, da(reset=True))
    assert verbs[0] == "dictionary_attack_lock_reset"


def test_in_lockout_a_run_that_changes_nothing_is_none_the_worse(bed: Bed) -> None:
    bed.run(SRK)
    bed.tpm.in_lockout, bed.tpm.lockout[0] = True, 3
    assert bed.plan(SRK) == []


def test_the_diff_has_both_what_is_counted_and_the_auth_of_the_lockout_hierarchy(bed: Bed) -> None:
    after = bed.run(da(**USUAL), {"hierarchy": {"hierarchy": "lockout", "auth": "auth of the lockout"}}).diff["after"]["lockout"]
    assert after["auth_set"] and {name: after[name] for name in USUAL} == USUAL
