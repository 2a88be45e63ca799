# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Check before the first change whether a whole plan fits into the TPM, as far as the TPM tells; and say what occupies its room if not."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import model
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, errors, handles

if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Backend

MOST_USERS = 6


def _peak(plans: t.Sequence[model.Plan], field: str) -> int:
    """The most of one cost that a plan needs at any moment; steps that free room run before steps that take it."""
    level = peak = 0
    for plan in plans:
        for step in plan.steps:
            level += int(getattr(step.cost, field))
            peak = max(peak, level)
    return peak


def check(plans: t.Sequence[model.Plan], properties: t.Mapping[int, int]) -> None:
    """Raises CapacityError if the plan needs more than the TPM has left, StateError if the TPM is in lockout. No I/O."""
    _check_lockout(plans, properties)
    slots, free = _peak(plans, "persistent_slots"), properties.get(constants.PT_HR_PERSISTENT_AVAIL)
    if free is not None and slots > free:
        raise errors.CapacityError(
            f"Could not start: the plan needs {slots} persistent slots and the TPM has {free} left; remove objects that are no longer used "
            "(tpm2_info lists them with their users); nothing was changed."
        )
    counters, left = _peak(plans, "nv_counters"), properties.get(constants.PT_NV_COUNTERS_AVAIL)
    if left is not None and properties.get(constants.PT_NV_COUNTERS_MAX) and counters > left:
        raise errors.CapacityError(
            f"Could not start: the plan needs {counters} NV counters and the TPM has {left} left; undefine those that are no longer used; nothing was changed."
        )
    largest, limit = (
        max((step.cost.nv_bytes for plan in plans for step in plan.steps), default=0),
        properties.get(constants.PT_NV_INDEX_MAX),
    )
    if limit and largest > limit:
        raise errors.CapacityError(
            f"Could not start: an NV index of {largest} bytes is wanted and this TPM allows at most {limit} bytes for one index; split it, or keep the content "
            "in a file under a key that is sealed to the TPM; nothing was changed."
        )


def _check_lockout(plans: t.Sequence[model.Plan], properties: t.Mapping[int, int]) -> None:
    if not properties.get(constants.PT_PERMANENT, 0) & constants.PERMANENT_IN_LOCKOUT:
        return
    if any(step.action == "dictionary_attack_lock_reset" for plan in plans for step in plan.steps):
        return
    tries, most = properties.get(constants.PT_LOCKOUT_COUNTER), properties.get(constants.PT_MAX_AUTH_FAIL)
    wait = properties.get(constants.PT_LOCKOUT_INTERVAL)
    raise errors.StateError(
        f"Could not start: the TPM is in dictionary attack lockout ({tries} failed tries of {most}); wait until it forgets one (every {wait} s), "
        "or reset it with tpm2_da_lockout, reset: true and the lockout_auth; nothing was changed.",
        reason="in_lockout",
        object="lockout",
    )


def full(failed: errors.TpmError, backend: Backend) -> errors.CapacityError:
    """The error for TPM_RC_NV_SPACE: what failed, and what occupies the TPM's NV memory."""
    users = _users(backend.list_handles(handles.FIRST_NV)) + _users(backend.list_handles(handles.FIRST_PERSISTENT))
    more = f" and {len(users) - MOST_USERS} more" if len(users) > MOST_USERS else ""
    listed = ", ".join(users[:MOST_USERS]) + more
    return errors.CapacityError(f"{failed.message.rstrip('.')}; it is taken by {listed or 'nothing that the TPM lists'}.", failed.rc)


def _users(found: t.Sequence[int]) -> list[str]:
    """Handles in words; neighbouring handles of one user are joined to a range, because a TPM may list a hundred handles."""
    runs: list[list[int]] = []
    for handle in sorted(found):
        if runs and handle == runs[-1][-1] + 1 and handles.owner_of(handle) == handles.owner_of(runs[-1][0]):
            runs[-1].append(handle)
        else:
            runs.append([handle])
    return [f"{'-'.join(dict.fromkeys((handles.text(run[0]), handles.text(run[-1]))))} ({handles.owner_of(run[0])})" for run in runs]


__all__ = ("check", "full")
