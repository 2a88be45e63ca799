# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Ordinary keys: created under a storage parent (TPM 2.0 Library Part 3, section 12.1), kept at a handle, in a TSS2 PEM file, or both."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth import choose
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import (
    common,
    model,
    observation,
    parents,
    places,
    policy_read,
)
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.primary_key import evict, evicting, persist
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, handles, keyfile, names, policy, templates

if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Backend
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.context import Run


class Key(model.Noun):
    """A key for signing, decryption or storage, or its absence."""

    kind = "key"
    parent: int

    def __init__(self, options: common.Options) -> None:
        self._options = options
        self.absent = options.get("state") == "absent"
        self.path: str | None = options.get("path")
        handle = common.handle(options["handle"], "handle") if options.get("handle") is not None else None
        if self.path is None and handle is None:
            raise errors.InputError("Could not plan a key: neither handle nor path is given; give a place for the key.")
        super().__init__(
            handles.text(handle) if handle is not None else str(self.path),
            model.PHASE_ABSENT if self.absent else model.PHASE_KEY,
            handle=handle,
            parent=common.handle(options.get("parent") or handles.SRK, "parent"),
        )
        self.policy = policy_read.read(options.get("policy"))
        self.value = choose.read(options.get("auth"), "auth") or b""
        self.file = common.PublicFile(options)
        self._loading = options.get("verify") == "load"
        self._check()

    def _check(self) -> None:
        if self.handle is not None:
            handles.check_persistent(self.handle, "key", bool(self._options.get("allow_foreign_range")))
        if self._options.get("usage") == "storage" and self.policy:
            raise errors.InputError(
                f"Could not plan the key {self.object}: a storage key with a policy cannot be a parent for others; leave policy out."
            )
        if self.value and self.policy and not policy.asks_for_auth(self.policy):
            raise errors.InputError(
                f"Could not plan the key {self.object}: its policy never asks for auth; add auth_value to the policy or leave auth out."
            )

    def claims(self) -> list[model.Claim]:
        """The handle, the key file, and the file of the public key."""
        held = [model.Claim(model.HANDLE, self.object)] if self.handle is not None else []
        return held + ([model.Claim(model.FILE, self.path, "path")] if self.path is not None else []) + self.file.claims()

    def facts(self, seen: observation.Observation) -> t.Iterable[observation.Fact]:
        """Key and parent; PCRs and properties only if the plan needs them."""
        facts = [observation.Fact("public", self.parent), *self.file.facts()]
        if self.handle is not None:
            facts.append(observation.Fact("public", self.handle))
        if self.path is not None:
            facts.append(observation.Fact("file", self.path))
        facts += [observation.Fact("pcrs", one) for one in policy.selections(self.policy)]
        known = all((fact.kind, fact.key) in seen for fact in facts if fact.kind != "pcrs")
        if known and (seen.public(self.parent) is None or (self.handle is not None and not self._settled(seen))):
            facts.append(observation.Fact("properties"))
        return facts + (self._load_facts(seen) if known and not self.absent else [])

    def _load_facts(self, seen: observation.Observation) -> list[observation.Fact]:
        """Whether the TPM loads the file. Asked if the task wants it (verify: load), and before a run that is going to load the file changes anything."""
        stored = self._stored(seen)
        about_to = self.handle is not None and seen.public(self.handle) is None
        if stored is None or not (self._loading or about_to):
            return []
        needed = parents.facts(stored)
        path = str(self.path)
        if parents.loadable(stored, self.parent, seen, path) and not self._reasons(self._want(seen), stored, seen):
            needed.append(parents.loads(stored, self._run, path))
        return needed

    def _settled(self, seen: observation.Observation) -> bool:
        """Whether nothing has to be done at the handle, so that the TPM's properties are not needed."""
        held = seen.public(t.cast("int", self.handle))
        if self.absent or held is None:
            return self.absent and held is None
        return not common.replace(self._options) or not self._reasons(self._want(seen), self._stored(seen), seen)

    def _want(self, seen: observation.Observation) -> names.Public:
        options = self._options
        values = seen.pcrs()
        policy.check_measured(self.policy, values, bool(options.get("allow_unmeasured")))
        digest = policy.digest(self.policy, values)
        return templates.key(
            str(options.get("usage") or "sign"), str(options.get("algorithm") or "ecc_p256"), digest, options.get("no_da", True)
        )

    def _stored(self, seen: observation.Observation) -> keyfile.KeyFile | None:
        data = seen.file(self.path) if self.path is not None else None
        if data is None:
            return None
        found = keyfile.read(data, str(self.path))
        if found.sealed:
            raise errors.InputError(f"Could not use {self.path} as a key: it holds sealed data; name another file.")
        return found

    def _reasons(self, want: names.Public, stored: keyfile.KeyFile | None, seen: observation.Observation) -> list[str]:
        """How the existing objects and files differ from what was asked for, as clauses."""
        reasons: list[str] = []
        held = seen.public(self.handle) if self.handle is not None else None
        parent = seen.public(self.parent)
        if held:
            reasons = names.differences(want, held[0])
            # The parent that is asked for is compared with a file that names a hierarchy only if that parent may be the hierarchy's default primary key.
            known = parent and (not (stored and stored.in_hierarchy) or parents.is_default(stored, parent[0]))
            if not reasons and parent and known and names.qualified_name(parent[1], held[0]) != held[1]:
                reasons.append(f"it is not a child of {handles.text(self.parent)}")
        if stored:
            reasons += [f"in {self.path}, {reason}" for reason in names.differences(want, stored.public)]
            reasons += parents.origin(stored, self.parent, parent, str(self.path))
        if held and stored and stored.parent == handles.RH_NULL:
            reasons.append(f"{self.path} is a key of the null hierarchy, and no key of that hierarchy can be persistent")
        if held and stored and held[0].raw != stored.public.raw:
            reasons.append(f"{self.path} holds another key than {self.object}")
        if held and self.path is not None and not stored:
            reasons.append(f"{self.path} does not exist, and the key at {self.object} cannot be written to it")
        return reasons

    def plan(self, seen: observation.Observation, run: Run) -> model.Plan:
        """Raises MismatchError if something else is at the handle or in the file, StateError if the parent is missing."""
        held = seen.public(self.handle) if self.handle is not None else None
        stored = None if self.absent else self._stored(seen)
        there = held[0] if held else stored.public if stored and self.handle is None else None
        before = {self.object: names.describe(there) if there else None}
        if self.absent:
            return self._plan_absent(held, run, before, seen)
        common.check_enabled(self.parent, seen, run)
        want = self._want(seen)
        if not common.replace(self._options):
            parents.check_there(stored, self.parent, seen, f"make the key {self.object}", str(self.path))
        reasons = self._reasons(want, stored, seen) + parents.unloadable(str(self.path), seen)
        reasons += parents.replaced(stored.parent if stored else self.parent, seen, run) if held or stored else []
        if reasons and not common.replace(self._options):
            raise common.mismatch(f"make the key {self.object}", reasons, "name another handle or path")
        if there and not reasons:
            steps = self.file.steps(seen, there, run)
            old, new = self.file.diff(seen, steps)
            return model.Plan(self.kind, self.object, tuple(steps), {**before, **old}, {**before, **new}, common.identified(there))
        if stored and not reasons:
            parents.check(stored, seen, run, f"make the key {self.object}")
        else:
            self._check_parent(common.parent(self.parent, seen, run, f"make the key {self.object}"))
        lost = held is not None or bool(reasons and self.path is not None and seen.file(self.path) is not None)
        steps = self._make(want, None if reasons else stored, held is not None, lost, run)
        steps += self.file.steps(seen, None, run)
        old, new = self.file.diff(seen, steps)
        after = {self.object: names.describe(stored.public) if stored and not reasons else names.describe(want, made=False)}
        return model.Plan(self.kind, self.object, tuple(steps), {**before, **old}, {**after, **new}, {})

    def _check_parent(self, parent: tuple[names.Public, bytes] | None) -> None:
        """A storage key that never leaves its parent must have the parent's algorithms (Part 1, section 23.3). Raises InputError."""
        if parent is None or self._options.get("usage") != "storage":
            return
        own = templates.key("storage", str(self._options.get("algorithm") or "ecc_p256"))
        if (own.name_alg, own.symmetric) != (parent[0].name_alg, parent[0].symmetric):
            raise errors.InputError(
                f"Could not make the key {self.object}: a storage key has the hash and the symmetric algorithm of its parent, and those of "
                f"{handles.text(self.parent)} are not SHA-256 and AES-128-CFB; name another parent."
            )

    def _plan_absent(
        self, held: tuple[names.Public, bytes] | None, run: Run, before: dict[str, t.Any], seen: observation.Observation
    ) -> model.Plan:
        steps, after = [], dict.fromkeys(before)
        if held and self.handle is not None:
            steps.append(evict(self.handle, run, "it cannot be restored unless its file is kept", reversible=False))
        if self.path is not None and seen.file(self.path) is not None:
            path = self.path
            places.check_removable(path, seen.file(path), sealed=False, replace=common.replace(self._options))
            steps.append(model.Step(f"remove {path}", "remove_file", local=lambda _result: run.files.remove(path), reversible=False))
            before, after = {**before, path: "a file"}, {**after, path: None}
        return model.Plan(self.kind, self.object, tuple(steps), before, after, {})

    def _make(self, want: names.Public, stored: keyfile.KeyFile | None, occupied: bool, lost: bool, run: Run) -> list[model.Step]:
        """The steps that make the key, or load it from its file. Loading costs no key generation; that is how an interrupted run continues.

        ``occupied``: another object is at the handle. ``lost``: an object at the handle or in the file is replaced.
        """
        if self.path is not None and not stored:
            run.files.check_writable(self.path)
        if self.handle is not None:
            run.auth(evicting(self.handle))
            run.made.add(self.handle)

        def make(backend: Backend) -> model.Result:
            kept = stored
            if kept is None:
                parent = backend.persistent(self.parent)
                common.prove_pcrs(backend, run.seen, self.policy, f"make the key {self.object}")
                private, public = backend.create(parent, choose.for_value(b"", bool(self.value)), want, self.value, b"")
                kept = keyfile.KeyFile(False, not self.value, self.parent, public, private, backend.name(parent))
                self._keep(kept, run)
                run.touched = self.path is not None
            if self.handle is not None:
                token = parents.load(backend, kept, run, str(self.path or "the new key"), choose.for_value(b""))
                persist(backend, token, self.handle, occupied, run)
            return common.identified(kept.public)

        where = " and ".join([self.object] + ([str(self.path)] if self.path is not None and self.handle is not None else []))
        verb = "load the key of its file and keep it at" if stored else "create a key under its parent and keep it at"
        slots = int(self.handle is not None and not occupied)
        cost = model.Cost(persistent_slots=slots, key_generations=int(stored is None or stored.in_hierarchy))
        return [
            model.Step(
                f"{verb} {where} (parent {handles.text(stored.parent if stored else self.parent)}){common.REPLACED if lost else ''}",
                "create",
                make,
                cost,
                reversible=not lost,
            )
        ]

    def _keep(self, made: keyfile.KeyFile, run: Run) -> None:
        if self.path is not None:
            run.files.write(self.path, keyfile.write(made).encode())


__all__ = ("Key",)
