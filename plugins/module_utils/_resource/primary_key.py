# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Primary keys (TPM 2.0 Library Part 3, section 24.1), persisted with TPM2_EvictControl (28.5)."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import common, model, observation
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, handles, names, own_ek, templates

if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Backend, Token
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.context import Run

DEFAULT_HANDLES = {"srk_ecc_p256": 0x81000001, "srk_rsa_2048": 0x81000001, "ek_rsa_2048": 0x81010001, "ek_ecc_p256": 0x81010002}
DEFAULT_HANDLES.update({f"idevid_{kind}": 0x81020000 for kind in ("ecc_p256", "ecc_p384", "rsa_2048")})
DEFAULT_HANDLES.update({f"iak_{kind}": 0x81020001 for kind in ("ecc_p256", "ecc_p384", "rsa_2048")})


class PrimaryKey(model.Noun):
    """A primary key of a TCG template at a persistent handle, or its absence."""

    kind = "primary_key"
    handle: int

    def __init__(self, options: common.Options) -> None:
        self._options = options
        self.template = str(options.get("template") or "srk_ecc_p256")
        self._any_ek = self.template == templates.EK_ANY
        made = templates.EK_USUAL if self._any_ek else self.template
        self.role = templates.PRIMARIES[made][0]
        self.absent = options.get("state") == "absent"
        handle = _handle(options, self.template)
        super().__init__(handles.text(handle), model.PHASE_ABSENT if self.absent else model.PHASE_PRIMARY, handle=handle)
        self.hierarchy = handles.HIERARCHIES[options.get("hierarchy") or ("owner" if self.role == "srk" else "endorsement")]
        self.want = templates.primary(made, str(options.get("unique") or "").encode())
        # With a unique value of the user, the key is not the one in the certificate, so what the TPM holds on its EK does not matter.
        self._own = None if options.get("unique") else own_ek.PLACES.get(made)
        self.file = common.PublicFile(options)
        handles.check_persistent(self.handle, self.role, bool(options.get("allow_foreign_range")))
        self._check()

    def _check(self) -> None:
        if self.role != "srk" and self.hierarchy != handles.RH_ENDORSEMENT:
            raise errors.InputError(
                f"Could not plan the primary key {self.template}: in any other hierarchy than endorsement the key will not match its certificate; "
                "leave hierarchy out."
            )
        if (self.hierarchy == handles.RH_PLATFORM) != (evicting(self.handle) == handles.RH_PLATFORM) and not self.absent:
            raise errors.InputError(
                f"Could not plan the primary key {self.template} at {self.object}: the platform hierarchy, and only it, keeps its keys in "
                "0x81800000-0x81ffffff; name a handle there, or another hierarchy."
            )

    def claims(self) -> list[model.Claim]:
        """The handle, and the file of the public key."""
        return [model.Claim(model.HANDLE, self.object), *self.file.claims()]

    def facts(self, seen: observation.Observation) -> t.Iterable[observation.Fact]:
        """The object at the handle; the TPM's properties only if something has to be changed."""
        facts = [observation.Fact("public", self.handle), *self.file.facts(), *self._own_facts(seen)]
        if ("public", self.handle) in seen and self._own_known(seen, facts) and self._has_work(seen):
            facts.append(observation.Fact("properties"))
        return facts

    def _own_facts(self, seen: observation.Observation) -> list[observation.Fact]:
        """The indices in which the TPM may say how its EK is made; read only if an EK has to be made, or if the existing one does not match the template."""
        if self._own is None or ("public", self.handle) not in seen:
            return []
        found = seen.public(self.handle)
        if self.absent if found is None else self._any_ek or not names.differences(self.want, found[0]):
            return []
        facts = [observation.Fact("handles", handles.FIRST_NV)]
        for index in filter(None, self._own):
            if index in seen.get(("handles", handles.FIRST_NV), ()):
                facts.append(observation.Fact("nv_public", index))
                facts += self._content(seen, index)
        return facts

    def _own_known(self, seen: observation.Observation, facts: t.Iterable[observation.Fact]) -> bool:
        return all((one.kind, one.key) in seen for one in facts if one.kind in ("handles", "nv_public", "nv_content"))

    @staticmethod
    def _content(seen: observation.Observation, index: int) -> list[observation.Fact]:
        """The fact that holds the content of an index, if everybody may read it and reading it cannot count as a wrong try; otherwise none."""
        found = seen.get(("nv_public", index))
        if found is None or found.size > own_ek.MAX_SIZE or not all(found.has(name) for name in ("authread", "no_da", "written")):
            return []
        return [observation.Fact("nv_content", (index, found.size, index))]

    def _own_data(self, seen: observation.Observation, index: int | None) -> bytes | None:
        facts = [] if index is None else self._content(seen, index)
        return seen.get((facts[0].kind, facts[0].key)) if facts else None

    def _wanted(self, seen: observation.Observation) -> names.Public:
        """The public area from which the key is made. Raises StateError if the TPM holds a template that is not that of an EK."""
        if self._own is None:
            return self.want
        own, nonce = (self._own_data(seen, index) for index in self._own)
        try:
            return own_ek.template(self.want, own, nonce)
        except errors.TpmError as error:
            raise errors.StateError(
                f"Could not make the primary key {self.template} as the NV index {handles.text(self._own.template)} of this TPM says: "
                f"{error.message}; ask the board vendor, because an EK that is made in another way does not match its certificate."
            ) from None

    def _differences(self, seen: observation.Observation, found: tuple[names.Public, bytes]) -> list[str]:
        """How the object at the handle differs from the key that is asked for."""
        public, qualified = found
        reasons = names.differences(self._wanted(seen), public)
        if self._any_ek:
            reasons = [] if templates.ek_template(public) or not own_ek.fault(public) else ["it does not match any EK template of the TCG"]
        if not reasons and names.qualified_name(names.hierarchy_name(self.hierarchy), public) != qualified:
            reasons = [f"it is not a primary key of the {handles.HIERARCHY_NAMES[self.hierarchy]} hierarchy"]
        return reasons

    def _has_work(self, seen: observation.Observation) -> bool:
        found = seen.public(self.handle)
        if found is None or self.absent:
            return (found is None) != self.absent
        return bool(self._differences(seen, found)) and not self._acceptable(found[0])

    def _acceptable(self, public: names.Public) -> bool:
        # Everything sealed under an existing storage root key would be lost with it, so any key that can serve as a storage parent stays.
        return self.role == "srk" and self.handle == handles.SRK and names.is_storage_parent(public) and not common.replace(self._options)

    def plan(self, seen: observation.Observation, run: Run) -> model.Plan:
        """Raises MismatchError if another object is at the handle."""
        found = seen.public(self.handle)
        reasons = self._differences(seen, found) if found else []
        before = {self.object: names.describe(found[0]) if found else None}
        result: model.Result = {}
        if self.absent:
            return self._plan_absent(found, reasons, run, before)
        if found and reasons and self._acceptable(found[0]):
            result["accepted"] = f"another storage parent than {self.template} is at {self.object} and stays: {'; '.join(reasons)}"
            reasons = []
        if found and not reasons and self._any_ek:
            of = f"the template {templates.ek_template(found[0])}" if templates.ek_template(found[0]) else "a template of its TPM's own"
            result["accepted"] = f"the EK at {self.object} is of {of}"
        if found and not reasons:
            result.update(common.identified(found[0]))
            return self._done(seen, before, before, self.file.steps(seen, found[0], run), result)
        if found and not common.replace(self._options):
            self._check_other_ek(found[0])
            raise common.mismatch(f"make the primary key {self.template} at {self.object}", reasons, "name another handle")
        after = {self.object: names.describe(self._wanted(seen), made=False)}
        return self._done(seen, before, after, self._create(seen, run, found is not None), result)

    def _check_other_ek(self, public: names.Public) -> None:
        """Raises MismatchError for an EK of another template. It may belong to another program, such as systemd, so the error does not advise to replace it."""
        other = templates.ek_template(public) if self.role == "ek" else None
        if other and other != self.template:
            raise errors.MismatchError(
                f"Could not make the primary key {self.template} at {self.object}: an EK of the template {other} is there, which may be in use "
                f"(systemd from version 262 on keeps one at 0x81010001); accept it with template: {templates.EK_ANY}, or name another handle."
            )

    def _salts(self, seen: observation.Observation) -> bool:
        found = seen.public(self.handle)
        return found is not None and names.is_storage_parent(found[0])

    def _done(
        self,
        seen: observation.Observation,
        before: dict[str, t.Any],
        after: dict[str, t.Any],
        steps: list[model.Step],
        result: model.Result,
    ) -> model.Plan:
        old, new = self.file.diff(seen, steps)
        return model.Plan(self.kind, self.object, tuple(steps), {**before, **old}, {**after, **new}, result)

    def _plan_absent(self, found: tuple[names.Public, bytes] | None, reasons: list[str], run: Run, before: dict[str, t.Any]) -> model.Plan:
        if not found:
            return model.Plan(self.kind, self.object, (), before, before, {})
        if reasons and not common.replace(self._options):
            raise common.mismatch(
                f"remove the primary key {self.template} at {self.object}", reasons, "use tpm2_persistent_handle with its name"
            )
        run.auth(self.hierarchy)
        steps = (evict(self.handle, run, "a primary key can be made again"),)
        return model.Plan(self.kind, self.object, steps, before, {self.object: None}, {})

    def _create(self, seen: observation.Observation, run: Run, occupied: bool) -> list[model.Step]:
        run.auth(self.hierarchy)
        run.made.add(self.handle)

        # The commands that make the key that sessions are salted to come before any session, unless another storage key is at its handle.
        first = self.handle == run.salt and not self._salts(seen)
        want = self._wanted(seen)

        def create(backend: Backend) -> model.Result:
            if first:
                backend.go_unproven()
            auth = run.auth(self.hierarchy)
            token, public = backend.create_primary(self.hierarchy, auth, want)
            persist(backend, token, self.handle, occupied, run)
            if self.handle == run.salt:
                backend.salt_with(self.handle)
            return common.identified(public)

        run.auth(evicting(self.handle))
        old = "replace the object at" if occupied else "make it persistent at"
        own = "" if want == self.want else " as the template or nonce in the TPM's NV says"
        sentence = (
            f"create the primary key {self.template}{own} in the {handles.HIERARCHY_NAMES[self.hierarchy]} hierarchy and {old} {self.object}"
            f"{common.REPLACED if occupied else ''}"
        )
        cost = model.Cost(persistent_slots=0 if occupied else 1, key_generations=1)
        step = model.Step(sentence, "create_primary", create, cost, reversible=not occupied)
        return [step, *self.file.steps(seen, None, run)]


def _handle(options: common.Options, template: str) -> int:
    given = options.get("handle")
    template = templates.EK_USUAL if template == templates.EK_ANY else template
    if given is None and template not in DEFAULT_HANDLES:
        raise errors.InputError(f"Could not plan a primary key {template}: it has no usual handle; name one with handle.")
    return DEFAULT_HANDLES[template] if given is None else common.handle(given, "handle")


def evicting(handle: int) -> int:
    """The hierarchy whose auth allows to persist or remove an object at a handle (Part 3, section 28.5)."""
    return handles.RH_OWNER if handle <= handles.LAST_OWNER_PERSISTENT else handles.RH_PLATFORM


def persist(backend: Backend, token: Token, handle: int, occupied: bool, run: Run) -> None:
    """Make a loaded object persistent at a handle, in place of the object that occupies it, and flush the loaded object."""
    authority = evicting(handle)
    if occupied:
        backend.evict_control(authority, run.auth(authority), backend.persistent(handle), handle)
    backend.evict_control(authority, run.auth(authority), token, handle)
    backend.flush_context(token)


def evict(handle: int, run: Run, note: str, reversible: bool = True) -> model.Step:
    """The step that removes a persistent object."""
    authority = evicting(handle)
    run.auth(authority)
    run.removed.add(handle)

    def remove(backend: Backend) -> None:
        backend.evict_control(authority, run.auth(authority), backend.persistent(handle), handle)

    return model.Step(
        f"remove the object at {handles.text(handle)} ({note})", "evict_control", remove, model.Cost(persistent_slots=-1), reversible
    )


__all__ = ("PrimaryKey", "evict", "evicting", "persist")
