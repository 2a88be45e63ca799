# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The words of observe, plan and apply: what is read, what a step is, what a plan is."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.observation import Asking, Observation

if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Backend
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.context import Run

# Order of work in a run. What frees room comes first; the lockout auth is the last thing that a TPM learns.
PHASE_ABSENT, PHASE_PRIMARY, PHASE_KEY, PHASE_PERSISTENT, PHASE_NV, PHASE_SEAL, PHASE_DA, PHASE_HIERARCHY, PHASE_LOCKOUT = range(9)


class Cost(t.NamedTuple):
    """What a step takes of a TPM: NV bytes, NV indices, NV counters, persistent slots, key generations. Negative: it frees them."""

    nv_bytes: int = 0
    nv_indices: int = 0
    nv_counters: int = 0
    persistent_slots: int = 0
    key_generations: int = 0


# What is told of a resource, beside its kind and object: name, public, accepted, …
Result = dict[str, t.Any]


class Step(t.NamedTuple):
    """One change: a sentence for people, what it costs, whether it can be undone, and how it is done.

    A step has one of two functions. ``run`` changes the TPM, and returns what is then known of the resource, if anything. ``local`` changes
    files on the device only, so that it needs neither the TPM nor a library; it is given what the resource's steps before it have returned.
    """

    sentence: str
    action: str
    run: t.Callable[[Backend], Result | None] | None = None
    cost: Cost = Cost()
    reversible: bool = True
    local: t.Callable[[Result], None] | None = None


class Plan(t.NamedTuple):
    """What one resource needs. ``before`` and ``after`` are for the diff, by object; to ``result`` is added what the steps return."""

    kind: str
    object: str
    steps: tuple[Step, ...]
    before: t.Mapping[str, t.Any]
    after: t.Mapping[str, t.Any]
    result: Result

    def report(self) -> Result:
        """What the module returns of this resource. Public areas are long, and sent only to those who ask for them."""
        result = {name: value for name, value in self.result.items() if name != "public"}
        return {"kind": self.kind, "object": self.object, "state": "changed" if self.steps else "ok", **result}


class OwnedFile(t.NamedTuple):
    """A file on the device that a resource keeps, and the options that may name its mode, owner and group."""

    path: str
    options: t.Mapping[str, t.Any]


# Where a resource has something: at a handle or index, in a file that it keeps, in a file that it only reads.
HANDLE, FILE, SOURCE = "handle", "file", "source"


class Claim(t.NamedTuple):
    """What a resource has for itself in a run: a place (one of the above, or the kind of the resource) and what it is called there.

    A file has the option that names it as well.
    """

    place: str
    text: str
    option: str = ""


class Resource(Asking, t.Protocol):
    """One noun of the TPM: all that the engine, the profile and the modules know of it."""

    @property
    def kind(self) -> str:
        """The noun, as a profile names it."""

    @property
    def object(self) -> str:
        """Which one: a handle or index (0x…), a path, or a hierarchy."""

    @property
    def phase(self) -> int:
        """When it is its turn: one of PHASE_*."""

    @property
    def handle(self) -> int | None:
        """The persistent handle that it puts an object at, if any."""

    @property
    def parent(self) -> int | None:
        """The persistent handle of the key that it is under, if any."""

    @property
    def owned_file(self) -> OwnedFile | None:
        """The file whose mode, owner and group the module sets after the run, if any."""

    @property
    def files_only(self) -> bool:
        """Whether the TPM has no part in it."""

    def claims(self) -> list[Claim]:
        """What no other resource of the run may be about."""

    def declare(self, run: Run) -> None:
        """Tell the run, before anything is observed, what this resource contributes to it."""

    def plan(self, seen: Observation, run: Run) -> Plan:
        """How to get there; no I/O. Raises MismatchError, StateError, InputError."""


class Noun:
    """What most resources have in common. What is peculiar to one is an argument, so that a misspelt one is refused."""

    kind: str
    files_only = False

    def __init__(
        self, object: str, phase: int, *, handle: int | None = None, parent: int | None = None, owned_file: OwnedFile | None = None
    ) -> None:
        self.object, self.phase = object, phase
        self.handle, self.parent, self.owned_file = handle, parent, owned_file

    def declare(self, run: Run) -> None:
        """Remember the run, whose auth values a read may need; none of them comes from here."""
        self._run = run


__all__ = ("Claim", "Cost", "Noun", "OwnedFile", "Plan", "Resource", "Result", "Step")
