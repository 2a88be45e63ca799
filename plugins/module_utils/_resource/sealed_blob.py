# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Sealed blobs: data sealed to a policy under a storage parent, in a TSS2 PEM file (TPM 2.0 Library Part 1, section 27.7)."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth import choose
from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth.policy import PolicySession
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import (
    common,
    model,
    observation,
    parents,
    places,
    policy_read,
)
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import (
    attributes,
    constants,
    errors,
    handles,
    keyfile,
    names,
    policy,
    templates,
)

if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Backend
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.context import Run

MAX_CONTENT = 128
REPLACED = " (replaced; the secret in the old file is lost)"


def read_policy(options: common.Options, attempt: str) -> policy.Policy:
    """The policy in the option ``policy``, or in its shorthand ``pcrs``. Raises InputError."""
    if options.get("pcrs") and options.get("policy"):
        raise errors.InputError(f"Could not {attempt}: pcrs and policy are both given; put the pcr assertion into policy.")
    return policy_read.read(
        [{"pcr": {key: value for key, value in options["pcrs"].items() if value is not None}}]
        if options.get("pcrs")
        else options.get("policy")
    )


def authorisation(asked: policy.Policy, seen: observation.Observation, run: Run, value: bytes) -> choose.Auth:
    """The authorisation that opens a blob with this policy now. Raises StateError if the policy cannot be satisfied."""
    if not asked:
        return choose.for_value(value, secret=True)
    steps = policy.steps(asked, constants.CC_UNSEAL, seen.pcrs())
    return PolicySession(steps, value, secret=True, auths=run.hierarchy_auths())


def check_openable(path: str, stored: keyfile.KeyFile, asked: policy.Policy, seen: observation.Observation) -> None:
    """Raises StateError if the policy is not the blob's, or if PCRs have changed since; called before anything is loaded."""
    # Checked even if unmeasured PCRs are allowed, because a bank that the TPM does not have gives no values.
    policy.check_measured(asked, seen.pcrs(), True)
    digest = policy.digest(asked, seen.pcrs())
    if digest != stored.public.auth_policy:
        raise errors.StateError(
            f"Could not unseal {path}: its policy is {stored.public.auth_policy.hex() or 'empty'}, the one asked for is now {digest.hex() or 'empty'}; "
            "the PCRs have changed since it was sealed, or it was sealed to another policy: bring the device into that state, or seal the content again.",
            reason="policy_not_met",
            object=path,
        )


def check_counted(path: str, stored: keyfile.KeyFile, asked: policy.Policy, seen: observation.Observation, given: bool) -> None:
    """Raises InputError if opening the blob would try an empty auth that the task has not ``given``, and a wrong try counts."""
    if given or stored.public.attributes & attributes.OBJECT["noda"]:
        return
    steps = policy.steps(asked, constants.CC_UNSEAL, seen.pcrs()) if asked else []
    if not asked or policy.asks_auth(steps):
        raise common.auth_not_given(f"unseal {path}", "it counts wrong tries (it lacks noDA)", path)


def unseal(backend: Backend, stored: keyfile.KeyFile, auth: choose.Auth, path: str, run: Run) -> bytes:
    """Load and open a blob, and flush it. Returns its content."""
    token = parents.load(backend, stored, run, path)
    try:
        return backend.unseal(token, auth, path)
    finally:
        backend.flush_context(token)


class SealedBlob(model.Noun):
    """A file with up to 128 bytes that only this TPM can open, and only while a policy is satisfied."""

    kind = "sealed_blob"
    parent: int

    def __init__(self, options: common.Options) -> None:
        self._options = options
        self.path, self.absent = str(options.get("path")), options.get("state") == "absent"
        super().__init__(
            self.path,
            model.PHASE_ABSENT if self.absent else model.PHASE_SEAL,
            parent=common.handle(options.get("parent") or handles.SRK, "parent"),
            owned_file=model.OwnedFile(self.path, options),
        )
        self.src = options.get("src")
        self._attempt = f"seal {self.path}"
        self.content = common.content(options, self._attempt)
        self.policy = read_policy(options, self._attempt)
        self.value = choose.read(options.get("auth"), "auth") or b""
        self.unmeasured = bool(options.get("allow_unmeasured"))
        if not self.absent:
            self._check()

    def _check(self) -> None:
        if self.content is not None and self.src:
            raise errors.InputError(f"Could not {self._attempt}: content and src are both given; give one of them.")
        if not self.value and policy.open_to_all(self.policy):
            raise errors.InputError(
                f"Could not {self._attempt}: without pcrs, auth, or a policy that demands more than an empty auth, anybody who can reach the TPM "
                "opens it; give one of them."
            )
        never = policy.impossible(self.policy, constants.CC_UNSEAL)
        if never:
            raise errors.InputError(
                f"Could not {self._attempt}: its policy would never let it be opened ({never}); take that assertion out."
            )
        if self.policy and self.value and not policy.asks_for_auth(self.policy):
            raise errors.InputError(
                f"Could not {self._attempt}: its policy never asks for auth; add auth_value to the policy or leave auth out."
            )
        if self.content is not None:
            self._check_size(self.content)

    def _check_size(self, data: bytes) -> None:
        if not 1 <= len(data) <= MAX_CONTENT:
            raise errors.InputError(
                f"Could not {self._attempt}: the content has {len(data)} bytes and a TPM seals 1 to {MAX_CONTENT}; "
                "seal a key of 32 bytes and encrypt the rest with it."
            )

    def claims(self) -> list[model.Claim]:
        """The file, and the one with the content, which is only read."""
        return [model.Claim(model.FILE, self.path, "path")] + ([model.Claim(model.SOURCE, self.src, "src")] if self.src else [])

    def facts(self, seen: observation.Observation) -> t.Iterable[observation.Fact]:
        """The file, its parent, the PCRs; with verify: unseal also the content of the blob, which takes a session."""
        facts = [observation.Fact("file", self.path)]
        if self.absent:
            return facts
        facts += [observation.Fact("public", self.parent), *(observation.Fact("pcrs", one) for one in policy.selections(self.policy))]
        if self.src:
            facts.append(observation.Fact("file", self.src))
        if ("public", self.parent) in seen and seen.public(self.parent) is None:
            facts.append(observation.Fact("properties"))
        if self._options.get("verify") == "unseal" and ("public", self.parent) in seen and self._stored(seen):
            facts += [
                observation.Fact("properties"),
                observation.Fact("session", ("unsealed", self.path), lambda backend: self._open(backend, seen)),
            ]
        return facts

    def _open(self, backend: Backend, seen: observation.Observation) -> bytes | None:
        stored, run = t.cast("keyfile.KeyFile", self._stored(seen)), self._run
        if names.differences(self._want(seen, stored), stored.public) or parents.origin(
            stored, self.parent, seen.public(self.parent), self.path
        ):
            return None
        parents.check(stored, seen, run, f"open {self.path}")
        try:
            return unseal(backend, stored, authorisation(self.policy, seen, run, self.value), self.path, run)
        except errors.TpmResponseError as failed:
            if not errors.is_rc(failed.rc, *parents.NOT_OURS):
                raise
            return None

    def _stored(self, seen: observation.Observation) -> keyfile.KeyFile | None:
        data = seen.file(self.path)
        if data is None:
            return None
        found = keyfile.read(data, self.path)
        if not found.sealed:
            raise errors.InputError(f"Could not use {self.path} as a sealed blob: it holds a key; name another file.", object=self.path)
        return found

    def _want(self, seen: observation.Observation, stored: keyfile.KeyFile | None = None) -> names.Public:
        """The public area of a new blob, or the one that ``stored`` must have to stay."""
        values = seen.pcrs()
        policy.check_measured(self.policy, values, self.unmeasured)
        # If no auth value is asked for, nobody can try one, so noDA makes no difference: a blob that another program sealed without it may stay, too.
        strict = stored is None or not self.policy or policy.asks_for_auth(self.policy)
        no_da = strict or bool(t.cast("keyfile.KeyFile", stored).public.attributes & attributes.OBJECT["noda"])
        return templates.sealed(policy.digest(self.policy, values), user_with_auth=not self.policy, no_da=no_da)

    def _data(self, seen: observation.Observation) -> bytes | None:
        if not self.src:
            return self.content
        data = seen.file(self.src)
        if data is None:
            raise errors.InputError(f"Could not {self._attempt}: {self.src} does not exist; name the file that holds the content.")
        self._check_size(data)
        return data

    def _reasons(self, want: names.Public, stored: keyfile.KeyFile, seen: observation.Observation) -> list[str]:
        reasons = names.differences(want, stored.public)
        if want.auth_policy != stored.public.auth_policy and policy.selections(self.policy):
            reasons.append("PCRs may have changed since it was sealed")
        reasons += parents.origin(stored, self.parent, seen.public(self.parent), self.path)
        data = self._data(seen)
        opened = seen.get(("session", ("unsealed", self.path)), data or b"")
        if not reasons and opened is None:
            reasons.append(parents.NOT_LOADED)
        if not reasons and data is not None and opened != data:
            reasons.append("it holds other content")
        return reasons

    def plan(self, seen: observation.Observation, run: Run) -> model.Plan:
        """Raises MismatchError if the file is sealed in another way, StateError for PCRs that prove nothing, InputError."""
        if self.absent:
            return self._plan_absent(seen, run)
        common.check_enabled(self.parent, seen, run)
        want, stored = self._want(seen), self._stored(seen)
        reasons = ["it does not exist"]
        if not common.replace(self._options):
            parents.check_there(stored, self.parent, seen, self._attempt, self.path)
        if stored:
            reasons = self._reasons(self._want(seen, stored), stored, seen) + parents.replaced(stored.parent, seen, run)
        before = {self.object: _describe(stored)}
        if stored and not reasons:
            return model.Plan(self.kind, self.object, (), before, before, {"name": stored.public.name.hex()})
        if stored and not common.replace(self._options):
            raise common.mismatch(f"keep {self.path} sealed as asked", reasons, "name another path")
        data = self._data(seen)
        if data is None:
            raise errors.InputError(f"Could not {self._attempt}: there is no content to seal; give content, content_b64 or src.")
        common.parent(self.parent, seen, run, self._attempt)
        run.files.check_writable(self.path)
        step = self._step(want, data, stored is not None, run)
        after = {self.object: {**names.describe(want, made=False), "parent": handles.text(self.parent)}}
        return model.Plan(self.kind, self.object, (step,), before, after, {})

    def _step(self, want: names.Public, data: bytes, replacing: bool, run: Run) -> model.Step:
        def seal(backend: Backend) -> model.Result:
            common.prove_pcrs(backend, run.seen, self.policy, self._attempt)
            parent = backend.persistent(self.parent)
            private, public = backend.create(parent, choose.for_value(b"", secret=True), want, self.value, data)
            name = backend.name(parent)
            text = keyfile.write(keyfile.KeyFile(True, not self.value, self.parent, public, private, name))
            run.files.write(self.path, text.encode())
            return {"name": public.name.hex()}

        sentence = f"seal {len(data)} bytes under {handles.text(self.parent)} into {self.path}{REPLACED if replacing else ''}"
        return model.Step(sentence, "create", seal, model.Cost(), reversible=not replacing)

    def _plan_absent(self, seen: observation.Observation, run: Run) -> model.Plan:
        exists = seen.file(self.path) is not None
        places.check_removable(self.path, seen.file(self.path), sealed=True, replace=common.replace(self._options))
        step = model.Step(f"remove {self.path}", "remove_file", local=lambda _result: run.files.remove(self.path), reversible=False)
        before: dict[str, t.Any] = {self.object: "a file" if exists else None}
        return model.Plan(self.kind, self.object, (step,) if exists else (), before, {self.object: None}, {})


def _describe(stored: keyfile.KeyFile | None) -> t.Any:
    return {**names.describe(stored.public), "parent": handles.text(stored.parent)} if stored else None


__all__ = ("SealedBlob", "authorisation", "check_counted", "check_openable", "read_policy", "unseal")
