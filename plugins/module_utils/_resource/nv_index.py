# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""NV indices and their content (TPM 2.0 Library Part 3, section 31). Ordinary indices and counters can be ensured."""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _secret
from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth import choose
from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth.policy import PolicySession
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import common, model, nv_options, observation
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attributes, constants, errors, handles, nv, policy

if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Backend
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.context import Run


class NvIndex(model.Noun):
    """An NV index with a given definition and content, or its absence."""

    kind = "nv_index"

    def __init__(self, options: common.Options) -> None:
        self._options = options
        self.index = common.handle(options.get("index"), "index")
        self.absent = options.get("state") == "absent"
        super().__init__(handles.text(self.index), model.PHASE_ABSENT if self.absent else model.PHASE_NV)
        handles.check_nv(self.index, bool(options.get("allow_foreign_range")))
        self._attempt = f"plan the NV index {self.object}"
        self.content = common.content(options, self._attempt)
        self.value = choose.read(options.get("auth"), "auth") or b""
        self.policy = nv_options.policy_of(options, self._attempt)
        self.counter = options.get("nv_type") == "counter"
        self.attributes = nv_options.attributes_of(options, self._attempt)
        self.hierarchy = handles.RH_PLATFORM if self._has("platformcreate") else handles.RH_OWNER
        self.size: int | None = None
        if not self.absent:
            self.size = nv_options.size_of(options, self.content, self._attempt)
            nv_options.check(options, self.attributes, self.policy, self.content, self._attempt)

    def _has(self, name: str) -> bool:
        return bool(self.attributes & attributes.NV[name])

    @property
    def public_content(self) -> bool:
        """Whether anybody who reaches the TPM may read the content, so that it is not a secret."""
        return _secret.readable_by_all(self._options)

    def claims(self) -> list[model.Claim]:
        """The index."""
        return [model.Claim(model.HANDLE, self.object)]

    def facts(self, seen: observation.Observation) -> t.Iterable[observation.Fact]:
        """The definition; the content if it has to be compared; the properties if something has to be changed."""
        facts = [observation.Fact("nv_public", self.index), *(observation.Fact("pcrs", one) for one in policy.selections(self.policy))]
        if ("nv_public", self.index) not in seen:
            return facts
        found = seen.nv_public(self.index)
        if found is None or self.absent or not found.written or self._differences(found, seen):
            return facts if found is None and self.absent else [*facts, *self._needed()]
        if (self.content is not None or self.counter) and not nv.read_lock(found):
            facts += self._content_facts(found, seen)
            if self.content not in (None, self._read_content(found, seen)):
                facts += self._needed()
        return facts

    def expects(self) -> list[nv.NvPublic]:
        """The written index, if its size and policy do not depend on anything else."""
        known = not self.absent and self.size is not None and not policy.selections(self.policy)
        return [nv.after_write(self._want(observation.Observation(), t.cast("int", self.size)))] if known else []

    def _needed(self) -> list[observation.Fact]:
        """The facts that a change needs. The TPM's limits are not asked for if the size is one that every TPM allows."""
        small = self.size is not None and self.size <= nv.SAFE_SIZE and not self.counter
        return [observation.Fact("properties")] + ([] if small or self.absent else [observation.Fact("limits")])

    def _want(self, seen: observation.Observation, size: int) -> nv.NvPublic:
        values = seen.pcrs()
        policy.check_measured(self.policy, values, bool(self._options.get("allow_unmeasured")))
        return nv.NvPublic(self.index, nv_options.NAME_ALG, self.attributes, policy.digest(self.policy, values), size)

    def _differences(self, found: nv.NvPublic, seen: observation.Observation) -> list[str]:
        # Without size and content the task does not care how large the index is.
        return nv.differences(self._want(seen, found.size if self.size is None else self.size), found)

    def _content_facts(self, found: nv.NvPublic, seen: observation.Observation) -> list[observation.Fact]:
        """The fact that holds the content. Raw reads use an empty auth; a secret content is read in a session (see docs/architecture.md)."""
        reader = self._reader(seen)
        if reader is not None:
            return [observation.Fact("nv_content", (self.index, found.size, reader))]
        if ("properties", None) not in seen:
            return [observation.Fact("properties")]
        return [observation.Fact("session", ("nv_content", self.index), lambda backend: self._read(backend, found.size, seen))]

    def _reader(self, seen: observation.Observation) -> int | None:
        if not self.public_content and not self.counter:
            return None
        if self.public_content and self._has("no_da"):
            return self.index
        empty_owner = not self._run.candidates(handles.RH_OWNER) or (
            ("properties", None) in seen and not self._run.is_set(handles.RH_OWNER)
        )
        # If the index counts wrong tries, its own auth is used only if nothing else reads it, even if the task says that it is empty.
        if self._has("ownerread"):
            return handles.RH_OWNER if empty_owner else None
        return self.index if self.public_content and self._options.get("auth") is not None else None

    def _read(self, backend: Backend, size: int, seen: observation.Observation) -> bytes:
        return backend.nv_read(*self._authority("read", seen, self._run), self.index, size)

    def _read_content(self, found: nv.NvPublic, seen: observation.Observation) -> bytes | None:
        reader = self._reader(seen)
        key: t.Any = ("session", ("nv_content", self.index)) if reader is None else ("nv_content", (self.index, found.size, reader))
        data: bytes | None = seen.get(key, self.content)
        return data

    def plan(self, seen: observation.Observation, run: Run) -> model.Plan:
        """Raises MismatchError if the index has another definition, or holds another content that can never be changed."""
        found = seen.nv_public(self.index)
        if self.absent:
            return self._plan_absent(found, run)
        if found is None:
            return self._finish(None, None, [self._define(seen, run), *self._write(None, seen, run)], seen)
        reasons = self._differences(found, seen)
        data = self._read_content(found, seen) if found.written and not reasons else None
        wrong = self.content is not None and found.written and not reasons and data != self.content
        if not reasons:
            self._check_locks(found, seen, wrong, self._shown(data))
        if wrong and not self._writable(found):
            once = "it is written once " + ("and for all" if self._forever() else "until the TPM is reset")
            why = (nv.write_lock(found) or (once, True))[0]
            reasons = [f"{why} and holds something else ({self._shown(data)})"]
        if reasons and not common.replace(self._options):
            keep = "is it the right device, and the right content? If so, name another index" if wrong else "name another index"
            raise common.mismatch(f"make the NV index {self.object}", reasons, keep)
        if reasons:
            steps = [
                self._undefine(run, "replaced; its old content is lost", found),
                self._define(seen, run),
                *self._write(None, seen, run),
            ]
            return self._finish(found, data, steps, seen)
        steps = self._write(found, seen, run) if wrong or not found.written else []
        return self._finish(found, data, steps, seen)

    def _check_locks(self, found: nv.NvPublic, seen: observation.Observation, wrong: bool, shown: str | None) -> None:
        """Raises StateError if a lock prevents the change and ends by itself, so that no replacement is needed."""
        lock, hidden, attempt = nv.write_lock(found), nv.read_lock(found), f"write the NV index {self.object}"
        if lock is None and wrong and self._has("clear_stclear") and not self._writable(found):
            lock = ("it is written once until the TPM is reset", False)
        why = None
        if hidden and self.content is not None and found.written:
            why, attempt = hidden, f"compare the content of the NV index {self.object}"
        elif lock and not lock[1] and not common.replace(self._options):
            why = f"{lock[0]} and holds something else ({shown})" if wrong else None
            why = lock[0] if not found.written and (self.content is not None or self.counter) else why
        if why:
            raise errors.StateError(
                f"Could not {attempt}: {why}; reboot the device, and run again before the lock is set again.",
                reason="nv_locked",
                object=self.object,
            )

    def _writable(self, found: nv.NvPublic) -> bool:
        if found.has("writelocked"):
            return False
        return not self._has("policywrite") or self._has("ownerwrite") or self._has("authwrite") or not _once(self.policy)

    def _forever(self) -> bool:
        """Whether what is written once can never be written again."""
        return _once(self.policy) and not any(self._has(name) for name in nv_options.FORGETFUL)

    def _plan_absent(self, found: nv.NvPublic | None, run: Run) -> model.Plan:
        before = {self.object: nv.describe(found) if found else None}
        steps = [self._undefine(run, "its content is lost", found)] if found else []
        return model.Plan(self.kind, self.object, tuple(steps), before, {self.object: None}, {})

    def _finish(self, found: nv.NvPublic | None, data: bytes | None, steps: list[model.Step], seen: observation.Observation) -> model.Plan:
        before = {self.object: {**nv.describe(found), "content": self._shown(data)} if found else None}
        want = nv.describe(self._want(seen, found.size if found and self.size is None else self.size or 0))
        if found and not any(step.action == "nv_define_space" for step in steps):
            want["attributes"] = attributes.names(found.attributes | (attributes.NV["written"] if steps else 0), attributes.NV)
        elif self.content is not None or self.counter:
            want["attributes"].append("written")
        after = {self.object: {**want, "content": self._shown(data if self.content is None else self.content, data)}}
        result: dict[str, t.Any] = {"nv_type": "counter" if self.counter else "ordinary"}
        if found and not steps:
            result["name"] = found.name.hex()
        if self.counter and data is not None:
            result["counter"] = int.from_bytes(data, "big")
        return model.Plan(self.kind, self.object, tuple(steps), before, before if not steps else after, result)

    def _shown(self, data: bytes | None, old: bytes | None = None) -> str | None:
        if data is None:
            return None
        if not self.public_content:
            return f"{len(data)} {'bytes' if old in (None, data) else 'other bytes'}, not shown"
        text = data.decode("utf-8", "replace")
        return text if text.isprintable() and text.encode() == data else f"sha256 {hashlib.sha256(data).hexdigest()}"

    def _define(self, seen: observation.Observation, run: Run) -> model.Step:
        if self.size is None:
            raise errors.InputError(
                f"Could not {self._attempt}: it does not exist and neither size nor content is given; give one of them."
            )
        public = self._want(seen, self.size)
        limit = seen.properties().get(constants.PT_NV_BUFFER_MAX)
        if limit and public.has("writeall") and public.size > limit:
            raise errors.CapacityError(
                f"Could not {self._attempt}: with writeall it is written in one command, which takes {limit} bytes on this TPM, and it has "
                f"{public.size}; leave writeall out, or make it smaller."
            )
        run.auth(self.hierarchy)

        def define(backend: Backend) -> None:
            common.prove_pcrs(backend, seen, self.policy, f"define the NV index {self.object}")
            backend.nv_define_space(self.hierarchy, run.auth(self.hierarchy, bool(self.value)), public, self.value)

        cost = model.Cost(nv_bytes=public.size, nv_indices=1, nv_counters=int(self.counter))
        return model.Step(f"define the NV index {self.object} of {public.size} bytes", "nv_define_space", define, cost)

    def _undefine(self, run: Run, note: str, found: nv.NvPublic) -> model.Step:
        if found.has("policydelete"):
            raise errors.StateError(
                f"Could not plan to undefine the NV index {self.object}: it has policydelete, so that only its policy removes it "
                "(tpm2_nvundefine -S with a policy session); leave it, or name another index."
            )
        hierarchy = handles.RH_PLATFORM if found.has("platformcreate") else handles.RH_OWNER
        run.auth(hierarchy)

        def undefine(backend: Backend) -> None:
            backend.nv_undefine_space(hierarchy, run.auth(hierarchy), self.index)

        cost = model.Cost(nv_bytes=-found.size, nv_indices=-1, nv_counters=-int(found.type == "counter"))
        return model.Step(f"undefine the NV index {self.object} ({note})", "nv_undefine_space", undefine, cost, reversible=False)

    def _write(self, found: nv.NvPublic | None, seen: observation.Observation, run: Run) -> list[model.Step]:
        written = bool(found and found.written)
        if self.counter:
            self._check_counted(found, *self._authority("increment", seen, run, written))
            sentence = f"increment the counter {self.object} once, so that it can be read"
            return [
                model.Step(sentence, "nv_increment", lambda backend: self._act(backend, "increment", seen, run, written), reversible=False)
            ]
        if self.content is None:
            return []
        limit = seen.properties().get(constants.PT_NV_BUFFER_MAX)
        if limit and len(self.content) > limit and _once(self.policy):
            raise errors.CapacityError(
                f"Could not {self._attempt}: {len(self.content)} bytes need more than one write on this TPM ({limit} bytes each), "
                "and a write-once index takes only one; make the content shorter."
            )
        self._check_counted(found, *self._authority("write", seen, run, written))
        forever = self._forever()
        sentence = f"write {len(self.content)} bytes to the NV index {self.object}{' once and for all' if forever else ''}"
        return [model.Step(sentence, "nv_write", lambda backend: self._act(backend, "write", seen, run, written), reversible=not forever)]

    def _check_counted(self, found: nv.NvPublic | None, authority: int, auth: choose.Auth) -> None:
        if found is not None and authority == self.index:
            nv_options.check_counted(self._options, self.attributes, auth, self._attempt)

    def _act(self, backend: Backend, verb: str, seen: observation.Observation, run: Run, written: bool) -> None:
        authority, auth = self._authority(verb, seen, run, written)
        if verb == "increment":
            backend.nv_increment(authority, auth, self.index)
        else:
            backend.nv_write(authority, auth, self.index, t.cast("bytes", self.content))

    def _authority(self, verb: str, seen: observation.Observation, run: Run, written: bool | None = None) -> tuple[int, choose.Auth]:
        """The authority that may write or read the index (owner, the index itself, platform), and its authorisation. Raises StateError.

        ``written``: whether the index has been written when the command runs; None if that does not matter.
        """
        suffix, secret = ("read" if verb == "read" else "write"), not self.public_content
        for name, authority in ((f"owner{suffix}", handles.RH_OWNER), (f"pp{suffix}", handles.RH_PLATFORM)):
            if self._has(name) and (authority != handles.RH_PLATFORM or self.hierarchy == handles.RH_PLATFORM):
                return authority, run.auth(authority, secret)
        if self._has(f"auth{suffix}"):
            return self.index, choose.for_value(self.value, secret)
        code = {"write": constants.CC_NV_WRITE, "increment": constants.CC_NV_INCREMENT, "read": constants.CC_NV_READ}[verb]
        if not self._has(f"policy{suffix}"):
            # No other authority may do it; the platform may, for the owner's indices, too.
            return handles.RH_PLATFORM, run.auth(handles.RH_PLATFORM, secret)
        steps = policy.steps(self.policy, code, seen.pcrs(), written)
        return self.index, PolicySession(steps, self.value, secret, run.hierarchy_auths())


def _once(asked: policy.Policy) -> bool:
    return any(isinstance(one, policy.NvWritten) and not one.written for one in asked)


__all__ = ("NvIndex",)
