# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a plan fits, from what the TPM tells and what it leaves out."""

from __future__ import annotations

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import capacity, model
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, errors


def plans(*costs: model.Cost, action: str = "create") -> list[model.Plan]:
    """One plan for each cost."""
    return [model.Plan("key", "x", (model.Step("do it", action, lambda _backend: None, cost),), {}, {}, {}) for cost in costs]


SLOT, FREES = model.Cost(persistent_slots=1), model.Cost(persistent_slots=-1)


def test_what_a_tpm_does_not_tell_is_no_limit() -> None:
    capacity.check(plans(*[SLOT] * 99, model.Cost(nv_counters=99), model.Cost(nv_bytes=60000)), {})


def test_what_is_freed_first_makes_room() -> None:
    full = {constants.PT_HR_PERSISTENT_AVAIL: 0}
    capacity.check(plans(FREES, SLOT), full)
    capacity.check(plans(FREES), full)
    for wrong in (plans(SLOT, FREES), plans(FREES, SLOT, SLOT)):
        with pytest.raises(errors.CapacityError, match="needs 1 persistent slots and the TPM has 0 left"):
            capacity.check(wrong, full)


def test_counters_without_a_maximum_are_unlimited() -> None:
    one = plans(model.Cost(nv_counters=1))
    capacity.check(one, {constants.PT_NV_COUNTERS_MAX: 0, constants.PT_NV_COUNTERS_AVAIL: 0})
    with pytest.raises(errors.CapacityError, match="1 NV counters and the TPM has 0"):
        capacity.check(one, {constants.PT_NV_COUNTERS_MAX: 8, constants.PT_NV_COUNTERS_AVAIL: 0})


def test_lockout() -> None:
    locked = {constants.PT_PERMANENT: constants.PERMANENT_IN_LOCKOUT, constants.PT_LOCKOUT_COUNTER: 3, constants.PT_MAX_AUTH_FAIL: 3}
    with pytest.raises(errors.StateError, match="lockout.*3 failed tries of 3"):
        capacity.check(plans(SLOT), locked)
    capacity.check(plans(SLOT, model.Cost(), action="dictionary_attack_lock_reset"), locked)


class Listing:
    """A backend that lists handles."""

    def __init__(self, indices: list[int], objects: list[int]) -> None:
        self.handles = {0x01: indices, 0x81: objects}

    def list_handles(self, first: int) -> list[int]:
        return self.handles[first >> 24]


def test_who_has_the_room() -> None:
    failed = errors.TpmError("Could not define it.", 0x14B)
    backend = Listing([0x01C00002, 0x01C00003, 0x01800010], [0x81000001])
    found = capacity.full(failed, backend)  # type: ignore[arg-type]
    assert found.rc == 0x14B
    assert found.message.startswith("Could not define it; it is taken by ")
    assert [
        word for word in ("0x01800010", "0x01c00002", "the owner", "endorsement", "storage root key") if word not in found.message
    ] == []
    assert "nothing that the TPM lists" in capacity.full(failed, Listing([], [])).message  # type: ignore[arg-type]
    many = capacity.full(failed, Listing([0x01800010 + 2 * number for number in range(50)], []))  # type: ignore[arg-type]
    assert "and 44 more" in many.message and len(many.message) < 600
