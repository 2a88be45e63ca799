# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a task gives and gets back, wherever its run takes place: auth values and the key for sessions from its options, its result."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth import choose
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import common
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.engine import Engine, Outcome
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, handles

# The nameAlg and a SHA-256 digest, in bytes: no key of ours has a shorter Name.
_SHORTEST_NAME = 34


def given(params: t.Mapping[str, t.Any]) -> dict[int, bytes]:
    """The auth values that hold before the run, by hierarchy. Raises InputError."""
    found: dict[int, bytes] = {}
    for name, number in handles.HIERARCHIES.items():
        value = choose.read(params[f"{name}_auth"], f"{name}_auth")
        if value is not None:
            found[number] = value
    return found


def salt(params: t.Mapping[str, t.Any]) -> tuple[int, bytes] | None:
    """The only key that sessions may be salted to, if the task names one. Raises InputError."""
    chosen = params.get("session_key")
    if not chosen:
        return None
    try:
        name = bytes.fromhex(str(chosen["name"]))
    except ValueError:
        name = b""
    if len(name) < _SHORTEST_NAME:
        raise errors.InputError(
            "Could not read session_key.name: it is not a TPM Name; use the verified key's Name in hex, as the registry shows it."
        )
    return common.handle(chosen["handle"], "session_key.handle"), name


def result(outcome: Outcome, *, predicted: bool, diff: bool) -> dict[str, t.Any]:
    """The result of a run that succeeded. ``predicted``: it was a run in check mode. ``diff``: with the states before and after."""
    changed = bool(outcome.steps) if predicted else outcome.done > 0 or outcome.touched
    # Public areas are sent only to those who ask for them: the results of a fleet add up.
    told = dict(diff=outcome.diff) if diff else {}
    return dict(changed=changed, steps=outcome.steps, resources=[plan.report() for plan in outcome.plans], **told)


def failure(outcome: Outcome) -> dict[str, t.Any]:
    """The result after a failure: what has been done, without the planned steps that were not carried out."""
    left, resources = outcome.done, []
    for plan in outcome.plans:
        left -= len(plan.steps)
        if plan.steps and left >= 0:
            resources.append(plan.report())
    changed = outcome.done > 0 or outcome.touched
    return dict(changed=changed, steps_done=outcome.done, steps=outcome.steps[: outcome.done], resources=resources)


def reads(engine: Engine, outcome: Outcome) -> dict[str, t.Any]:
    """What enrolment would otherwise read again: the public areas of the keys in the TPM, and the TPM's properties."""
    public = {plan.object: plan.result["public"] for plan in outcome.plans if "public" in plan.result and plan.object.startswith("0x")}
    properties = engine.seen.get(("properties", None)) or {}
    return {"public": public, "properties": {f"{number:#x}": value for number, value in properties.items()}}


__all__ = ("failure", "given", "reads", "result", "salt")
