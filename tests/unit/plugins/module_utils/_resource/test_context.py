# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which auth value is taken for a hierarchy, and when none is."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth.hmac import Hmac
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import observation
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.context import Run
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, errors, handles

OWNER, ENDORSEMENT, LOCKOUT, PLATFORM = handles.RH_OWNER, handles.RH_ENDORSEMENT, handles.RH_LOCKOUT, handles.RH_PLATFORM
BIT = {OWNER: 1, ENDORSEMENT: 2, LOCKOUT: 4}
ENABLED = 0b111


def run(is_set: int = 0, given: dict[int, bytes] | None = None, declared: dict[int, bytes] | None = None, enabled: int = ENABLED) -> Run:
    """A run on a TPM whose AuthSet bits are `is_set`."""
    seen = observation.Observation()
    seen["properties", None] = {constants.PT_PERMANENT: is_set, constants.PT_STARTUP_CLEAR: enabled}
    seen["auth_policy", LOCKOUT] = b""
    made = Run(given or {}, seen)
    made.declared.update(declared or {})
    return made


@pytest.mark.parametrize("hierarchy", BIT)
def test_not_set_is_empty_whatever_is_given(hierarchy: int) -> None:
    for given, declared in itertools.product([{}, {hierarchy: b"g"}], [{}, {hierarchy: b"d"}]):
        assert run(7 ^ BIT[hierarchy], given, declared).current(hierarchy) == b""


@pytest.mark.parametrize("hierarchy", BIT)
def test_set_and_one_value(hierarchy: int) -> None:
    assert run(7, {hierarchy: b"g"}).current(hierarchy) == b"g"
    assert run(7, {}, {hierarchy: b"d"}).current(hierarchy) == b"d"
    assert run(7, {hierarchy: b"d"}, {hierarchy: b"d"}).current(hierarchy) == b"d"
    assert run(7, {hierarchy: b"g"}, {hierarchy: b""}).current(hierarchy) == b"g"


@pytest.mark.parametrize("hierarchy", BIT)
def test_set_and_unknown(hierarchy: int) -> None:
    name = handles.HIERARCHY_NAMES[hierarchy]
    for given in ({}, {hierarchy: b""}):
        with pytest.raises(errors.StateError) as failed:
            run(7, given).current(hierarchy)
        assert failed.value.words() == {"reason": "auth_not_given", "object": name}


@pytest.mark.parametrize("hierarchy", BIT)
def test_set_and_two_values(hierarchy: int) -> None:
    two = run(7, {hierarchy: b"g"}, {hierarchy: b"d"})
    del two.seen["auth_policy", LOCKOUT]
    assert two.candidates(hierarchy) == [b"d", b"g"]
    with pytest.raises(errors.StateError) as failed:
        two.current(hierarchy)
    assert failed.value.reason == "auth_ambiguous"
    two.seen["session", ("holds", hierarchy)] = True
    assert two.current(hierarchy) == b"d"
    two.seen["session", ("holds", hierarchy)] = False
    assert two.current(hierarchy) == b"g"


def test_what_has_been_changed_counts_from_then_on() -> None:
    made = run(7, {OWNER: b"g"})
    made.changed(OWNER, b"new")
    assert made.current(OWNER) == b"new"
    made.changed(OWNER, b"")
    assert made.current(OWNER) == b""


@pytest.mark.parametrize(
    ("empty", "given", "found"),
    [(True, {PLATFORM: b"g"}, b""), (False, {PLATFORM: b"g"}, b"g"), (True, {}, b""), (None, {}, b"")],
)
def test_the_platform_is_what_was_found_out(empty: bool | None, given: dict[int, bytes], found: bytes) -> None:
    made = run(0, given)
    made.seen["platform_auth", None] = empty
    assert made.current(PLATFORM) == found


def test_a_platform_that_nobody_asked() -> None:
    assert run(0, {PLATFORM: b"g"}).current(PLATFORM) == b"g"
    assert run(0).current(PLATFORM) == b""


def test_a_platform_that_has_an_auth_and_none_is_given() -> None:
    made = run()
    made.seen["platform_auth", None] = False
    with pytest.raises(errors.StateError, match="give platform_auth"):
        made.current(PLATFORM)


@pytest.mark.parametrize(("hierarchy", "bit"), [(PLATFORM, 0), (OWNER, 1), (ENDORSEMENT, 2)])
def test_a_disabled_hierarchy(hierarchy: int, bit: int) -> None:
    with pytest.raises(errors.StateError, match=f"{handles.HIERARCHY_NAMES[hierarchy]}.*disabled"):
        run(enabled=ENABLED & ~(1 << bit)).current(hierarchy)
    assert run(enabled=ENABLED & ~(1 << bit)).current(LOCKOUT) == b""


def test_the_strategy_follows_from_the_value() -> None:
    for made in (run().auth(OWNER), run().auth(OWNER, secret=True), run(7, {OWNER: b"g"}).auth(OWNER)):
        assert isinstance(made, Hmac)


def test_the_auths_of_a_policys_secrets() -> None:
    made = run(7, {OWNER: b"o", LOCKOUT: b"l", PLATFORM: b"p"})
    assert made.hierarchy_auths() == {OWNER: b"o", PLATFORM: b"p"}
    two = run(7, {OWNER: b"g"}, {OWNER: b"d"})
    assert OWNER not in two.hierarchy_auths()
    two.seen["session", ("holds", OWNER)] = False
    assert two.hierarchy_auths()[OWNER] == b"g"
    assert Run({OWNER: b"o"}, observation.Observation()).hierarchy_auths() == {}


def test_a_fact_that_nobody_read_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        Run({}, observation.Observation()).current(OWNER)
