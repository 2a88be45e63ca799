# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Persistent handles: ensure that a certain object, or no object, is at a handle (TPM 2.0 Library Part 3, section 28.5)."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth import choose
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import common, model, observation, parents
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.primary_key import evict, evicting, persist
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, handles, keyfile, names

if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Backend
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.context import Run


class PersistentHandle(model.Noun):
    """An object at a handle, given by its Name or its key file; or no object there."""

    kind = "persistent_handle"
    handle: int

    def __init__(self, options: common.Options) -> None:
        self._options = options
        handle = common.handle(options.get("handle"), "handle")
        self.absent = options.get("state") == "absent"
        super().__init__(handles.text(handle), model.PHASE_ABSENT if self.absent else model.PHASE_PERSISTENT, handle=handle)
        self.path = options.get("path")
        self.name = str(options.get("name") or "").lower() or None
        handles.check_persistent(self.handle, "key", bool(options.get("allow_foreign_range")) or bool(self.name))
        if self.name and (len(self.name) % 2 or not all(char in "0123456789abcdef" for char in self.name)):
            raise errors.InputError(
                f"Could not plan {self.object}: the name is not hexadecimal; take it from tpm2_info or tpm2_readpublic."
            )
        if not self.absent and not self.path and not self.name:
            raise errors.InputError(f"Could not plan {self.object}: neither path nor name is given; say which object belongs there.")

    def claims(self) -> list[model.Claim]:
        """The handle; a key file is only read."""
        return [model.Claim(model.HANDLE, self.object)] + ([model.Claim(model.SOURCE, self.path, "path")] if self.path else [])

    def facts(self, seen: observation.Observation) -> t.Iterable[observation.Fact]:
        """The object; the file if one is named; parent and properties only if something has to be changed."""
        facts = [observation.Fact("public", self.handle)]
        if self.path and not self.absent:
            facts.append(observation.Fact("file", self.path))
        if all((fact.kind, fact.key) in seen for fact in facts):
            held = seen.public(self.handle)
            stored = self._stored(seen)
            if bool(held) == self.absent or (common.replace(self._options) and self._reasons(held, self._wanted(stored))):
                facts.append(observation.Fact("properties"))
                facts += self._load_facts(stored, seen) if stored else []
        return facts

    def _load_facts(self, stored: keyfile.KeyFile, seen: observation.Observation) -> list[observation.Fact]:
        """The parent, and whether the TPM loads the file; asked before anything is changed."""
        needed = parents.facts(stored)
        if parents.loadable(stored, stored.parent, seen, str(self.path)):
            needed.append(parents.loads(stored, self._run, str(self.path)))
        return needed

    def _stored(self, seen: observation.Observation) -> keyfile.KeyFile | None:
        if not self.path or self.absent:
            return None
        data = seen.file(self.path)
        return keyfile.read(data, self.path) if data is not None else None

    def _wanted(self, stored: keyfile.KeyFile | None) -> str | None:
        return self.name or (stored.public.name.hex() if stored else None)

    @staticmethod
    def _reasons(held: tuple[names.Public, bytes] | None, want: str | None) -> list[str]:
        return [f"it has the Name {held[0].name.hex()}, not {want}"] if held and want and held[0].name.hex() != want else []

    def plan(self, seen: observation.Observation, run: Run) -> model.Plan:
        """Raises MismatchError if another object is at the handle, StateError if there is no object to put there."""
        held, stored = seen.public(self.handle), self._stored(seen)
        before = {self.object: names.describe(held[0]) if held else None}
        want = self._wanted(stored)
        if held and want is None and not self.absent:
            raise errors.StateError(
                f"Could not tell whether the object at {self.object} is the one that is asked for: {self.path} does not exist; restore the file, "
                f"or give name (the object there has {held[0].name.hex()})."
            )
        reasons = self._reasons(held, want)
        if reasons and not common.replace(self._options):
            raise common.mismatch(f"{'remove' if self.absent else 'put an object at'} {self.object}", reasons, "name another handle")
        if self.absent:
            steps = [evict(self.handle, run, "it cannot be restored unless it is a primary key or has a file", False)] if held else []
            return model.Plan(self.kind, self.object, tuple(steps), before, {self.object: None}, {})
        if held and not reasons:
            return model.Plan(self.kind, self.object, (), before, before, {"name": held[0].name.hex()})
        if stored is None:
            source = f"{self.path} does not exist" if self.path else "no path is given to load it from"
            raise errors.StateError(
                f"Could not put an object at {self.object}: the handle is empty and {source}; name its key file, or make it with tpm2_key."
            )
        if self.name and stored.public.name.hex() != self.name:
            raise errors.InputError(
                f"Could not put {self.path} at {self.object}: it has the Name {stored.public.name.hex()}, not {self.name}."
            )
        step = self._load(stored, held is not None, seen, run)
        after = {self.object: names.describe(stored.public)}
        return model.Plan(self.kind, self.object, (step,), before, after, {"name": stored.public.name.hex()})

    def _load(self, stored: keyfile.KeyFile, occupied: bool, seen: observation.Observation, run: Run) -> model.Step:
        attempt = f"load {self.path}"
        parents.check_there(stored, stored.parent, seen, attempt, str(self.path))
        found = seen.public(stored.parent) if handles.is_persistent(stored.parent) else None
        reasons = parents.origin(stored, stored.parent, found, str(self.path)) + parents.unloadable(str(self.path), seen)
        reasons += parents.replaced(stored.parent, seen, run)
        if reasons:
            raise errors.StateError(f"Could not {attempt}: {reasons[0]}; {parents.ELSEWHERE}.")
        parents.check(stored, seen, run, attempt)
        run.auth(evicting(self.handle))

        def load(backend: Backend) -> None:
            token = parents.load(backend, stored, run, str(self.path), choose.for_value(b""))
            persist(backend, token, self.handle, occupied, run)

        sentence = f"load {self.path} and make it persistent at {self.object}{common.REPLACED if occupied else ''}"
        cost = model.Cost(persistent_slots=int(not occupied), key_generations=int(stored.in_hierarchy))
        return model.Step(sentence, "evict_control", load, cost, reversible=not occupied)


__all__ = ("PersistentHandle",)
