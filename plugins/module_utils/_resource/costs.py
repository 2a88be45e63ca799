# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a run costs and what in it cannot be undone, as lines below the diff; Ansible shows the diff without -v."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import model

# By the names of ``model.Cost``: the words for one and for several.
_WORDS = {
    "key_generations": ("key generation", "key generations"),
    "persistent_slots": ("persistent slot", "persistent slots"),
    "nv_indices": ("NV index", "NV indices"),
    "nv_counters": ("NV counter", "NV counters"),
    "nv_bytes": ("byte of NV memory", "bytes of NV memory"),
}


def told(plans: t.Sequence[model.Plan]) -> str:
    """The lines, each with its line feed; "" if the run does not change the TPM."""
    steps = [step for plan in plans for step in plan.steps]
    total = {name: sum(getattr(step.cost, name) for step in steps) for name in _WORDS}
    lines = [f"costs: {taken}"] if (taken := _counted(total)) else []
    lines += [f"frees: {freed}"] if (freed := _counted({name: -number for name, number in total.items()})) else []
    lines += [f"cannot be undone: {step.sentence}" for step in steps if not step.reversible]
    return "".join(f"{line}\n" for line in lines)


def _counted(amounts: t.Mapping[str, int]) -> str:
    return ", ".join(f"{number} {_WORDS[name][number != 1]}" for name, number in amounts.items() if number > 0)


__all__ = ("told",)
