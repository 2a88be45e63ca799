# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The types of observe: a fact that somebody wants to know of a TPM, and the facts that are known so far."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.names import Public
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.nv import NvPublic

if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Backend


class Fact(t.NamedTuple):
    """One fact: ``kind`` is a key of ``observe.READ``, pcrs, or session; ``key`` identifies the fact within its kind.

    Only a session fact needs more than a raw read; it comes with the function that reads it.
    """

    kind: str
    key: t.Any = None
    learn: t.Callable[[Backend], t.Any] | None = None


class Observation(dict[tuple[str, t.Any], t.Any]):
    """The facts read so far, by kind and key. A KeyError here is a bug: plan() used a fact that facts() did not request."""

    def __init__(self) -> None:
        super().__init__()
        # PCRs that were asked for; a bank that is not allocated gives no values.
        self.asked: dict[str, set[int]] = {}

    def properties(self) -> t.Mapping[int, int]:
        """TPM properties by number: the variable ones, and the fixed ones if they were asked for."""
        return {**self["properties", None], **self.get(("limits", None), {})}

    def public(self, handle: int) -> tuple[Public, bytes] | None:
        """Public area and Qualified Name of the object at a handle."""
        found: tuple[Public, bytes] | None = self["public", handle]
        return found

    def nv_public(self, index: int) -> NvPublic | None:
        """Definition of an NV index."""
        found: NvPublic | None = self["nv_public", index]
        return found

    def file(self, path: str) -> bytes | None:
        """Content of a file on the device."""
        found: bytes | None = self["file", path]
        return found

    def pcrs(self) -> dict[str, dict[int, bytes]]:
        """All PCR values read, by bank and index."""
        found: dict[str, dict[int, bytes]] = {}
        for (kind, key), value in self.items():
            if kind == "pcrs":
                found.setdefault(key.bank, {}).update(value)
        return found


class Asking(t.Protocol):
    """A caller that wants to know facts of a TPM."""

    def facts(self, seen: Observation) -> t.Iterable[Fact]:
        """The facts that are needed, given those that are known; called again until it returns no new fact."""


__all__ = ("Asking", "Fact", "Observation")
