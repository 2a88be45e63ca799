# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The types of observe, plan and apply: costs, steps, plans, claims, resources."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.observation import Asking, Observation
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.nv import NvPublic

if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Backend
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.context import Run

# Order of work in a run. Steps that free room come first; the lockout auth is set last.
PHASE_ABSENT, PHASE_PRIMARY, PHASE_KEY, PHASE_PERSISTENT, PHASE_NV, PHASE_SEAL, PHASE_DA, PHASE_HIERARCHY, PHASE_LOCKOUT = range(9)


class Cost(t.NamedTuple):
    """What a step takes from a TPM: NV bytes, NV indices, NV counters, persistent slots, key generations. A negative number: it frees that many."""

    nv_bytes: int = 0
    nv_indices: int = 0
    nv_counters: int = 0
    persistent_slots: int = 0
    key_generations: int = 0


# The result of a resource besides its kind and object: name, public, accepted, …
Result = dict[str, t.Any]


class Step(t.NamedTuple):
    """One change: a sentence for people, what it costs, whether it can be undone, and how it is done.

    A step has one of two functions. ``run`` changes the TPM and returns new facts about the resource, if any, as a dict for its result. ``local``
    changes only files on the device, so it needs neither the TPM nor a library; its argument is what the earlier steps of the resource have returned.
    """

    sentence: str
    action: str
    run: t.Callable[[Backend], Result | None] | None = None
    cost: Cost = Cost()
    reversible: bool = True
    local: t.Callable[[Result], None] | None = None


class Plan(t.NamedTuple):
    """The steps of one resource. ``before`` and ``after`` are its states for the diff, by object; what the steps return is added to ``result``."""

    kind: str
    object: str
    steps: tuple[Step, ...]
    before: t.Mapping[str, t.Any]
    after: t.Mapping[str, t.Any]
    result: Result

    def report(self) -> Result:
        """What the module returns about this resource. Public areas are long, so they are returned only if they are asked for."""
        result = {name: value for name, value in self.result.items() if name != "public"}
        return {"kind": self.kind, "object": self.object, "state": "changed" if self.steps else "ok", **result}


class OwnedFile(t.NamedTuple):
    """A file on the device that a resource keeps, and the options that may name its mode, owner and group."""

    path: str
    options: t.Mapping[str, t.Any]


# Kinds of places in a claim: a handle or index, a file that the resource writes, a file that it only reads.
HANDLE, FILE, SOURCE = "handle", "file", "source"


class Claim(t.NamedTuple):
    """A place that a resource uses in a run: ``place`` is one of the above or the kind of the resource, ``text`` the handle, path or name there.

    For a file, ``option`` is the option that names it.
    """

    place: str
    text: str
    option: str = ""


class Resource(Asking, t.Protocol):
    """One resource, as the engine, the profile and the modules see it."""

    @property
    def kind(self) -> str:
        """The kind of the resource, as a profile names it."""

    @property
    def object(self) -> str:
        """Which one: a handle or index (0x…), a path, or a hierarchy."""

    @property
    def phase(self) -> int:
        """Its place in the order of work: one of PHASE_*."""

    @property
    def handle(self) -> int | None:
        """The persistent handle at which it puts an object, if any."""

    @property
    def parent(self) -> int | None:
        """The persistent handle of its parent key, if any."""

    @property
    def owned_file(self) -> OwnedFile | None:
        """The file whose mode, owner and group the module sets after the run, if any."""

    @property
    def files_only(self) -> bool:
        """Whether it does not need the TPM."""

    def claims(self) -> list[Claim]:
        """The places that no other resource of the run may use."""

    def expects(self) -> list[NvPublic]:
        """Definitions of NV indices that are there if nothing has to be done, as far as they can be told before anything is read."""

    def declare(self, run: Run) -> None:
        """Called before anything is observed: tell the run what this resource contributes to it."""

    def plan(self, seen: Observation, run: Run) -> Plan:
        """The plan, made from the facts that were read; no I/O. Raises MismatchError, StateError, InputError."""


class Noun:
    """What most resources have in common. Properties that only some resources have are arguments here, so that a misspelt one is refused."""

    kind: str
    files_only = False

    def __init__(
        self, object: str, phase: int, *, handle: int | None = None, parent: int | None = None, owned_file: OwnedFile | None = None
    ) -> None:
        self.object, self.phase = object, phase
        self.handle, self.parent, self.owned_file = handle, parent, owned_file

    def expects(self) -> list[NvPublic]:
        """No NV index: most resources are not about one."""
        return []

    def declare(self, run: Run) -> None:
        """Remember the run, because a read may need its auth values; this resource declares none."""
        self._run = run


__all__ = ("Claim", "Cost", "Noun", "OwnedFile", "Plan", "Resource", "Result", "Step")
