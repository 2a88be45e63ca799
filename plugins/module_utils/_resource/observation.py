# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The words of observe: what somebody wants to know of a TPM, and what is known of it so far."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.names import Public
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.nv import NvPublic

if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Backend


class Fact(t.NamedTuple):
    """One thing to know: ``kind`` is one of ``observe.READ``, pcrs, or session.

    ``key`` tells which one; a session fact, the only kind that needs more than a raw read, brings the function that learns it.
    """

    kind: str
    key: t.Any = None
    learn: t.Callable[[Backend], t.Any] | None = None


class Observation(dict[tuple[str, t.Any], t.Any]):
    """The facts read so far, by kind and key. A KeyError here is a bug: plan() used a fact that facts() did not request."""

    def __init__(self) -> None:
        super().__init__()
        # PCRs that were asked for: those of a bank that is not allocated never come.
        self.asked: dict[str, set[int]] = {}

    def properties(self) -> t.Mapping[int, int]:
        """TPM properties by number: those that vary, and the fixed ones where they were asked for."""
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
    """Whoever wants to know something of a TPM."""

    def facts(self, seen: Observation) -> t.Iterable[Fact]:
        """What has to be known, given what is: asked again until nothing new comes."""


__all__ = ("Asking", "Fact", "Observation")
