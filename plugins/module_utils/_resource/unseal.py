# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Open a sealed blob. That is a read which takes a session; for the engine it is a resource whose state is a file, or nothing."""

from __future__ import annotations

import base64
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth import choose
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import (
    common,
    model,
    observation,
    parents,
    places,
    sealed_blob,
)
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, handles, keyfile, names, policy

if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Backend
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.context import Run


class Unseal(model.Noun):
    """The content of a sealed blob: returned, or kept in a file."""

    kind = "unseal"

    def __init__(self, options: common.Options) -> None:
        self._options = options
        self.path = str(options.get("path"))
        self.dest: str | None = options.get("dest")
        super().__init__(self.path, model.PHASE_SEAL, owned_file=_owned(options))
        self.policy = sealed_blob.read_policy(options, f"unseal {self.path}")
        self.value = choose.read(options.get("auth"), "auth") or b""

    def claims(self) -> list[model.Claim]:
        """The file that is written, and the blob, which is only read."""
        kept = [model.Claim(model.FILE, self.dest, "dest")] if self.dest else []
        return [model.Claim(model.SOURCE, self.path, "path"), *kept]

    def facts(self, seen: observation.Observation) -> t.Iterable[observation.Fact]:
        """First file, parent and PCRs; the blob is opened only if these show no obstacle."""
        facts = [
            observation.Fact("file", self.path),
            observation.Fact("properties"),
            *(observation.Fact("pcrs", one) for one in policy.selections(self.policy)),
        ]
        if self.dest:
            facts.append(observation.Fact("file", self.dest))
        if ("file", self.path) not in seen:
            return facts
        stored = self._stored(seen)
        facts += parents.facts(stored)
        if parents.known(stored, seen):
            self._check(stored, seen)
            facts.append(observation.Fact("session", ("unsealed", self.path), lambda backend: self._open(backend, stored, seen)))
        return facts

    def _stored(self, seen: observation.Observation) -> keyfile.KeyFile:
        data = seen.file(self.path)
        if data is None:
            raise errors.InputError(
                f"Could not unseal {self.path}: it does not exist; seal the content first (tpm2_sealed_blob).", object=self.path
            )
        found = keyfile.read(data, self.path)
        if not found.sealed:
            raise errors.InputError(f"Could not unseal {self.path}: it holds a key, not sealed data; name another file.", object=self.path)
        return found

    def _check(self, stored: keyfile.KeyFile, seen: observation.Observation) -> None:
        attempt, found = f"unseal {self.path}", None
        if handles.is_persistent(stored.parent):
            found = seen.public(stored.parent)
            parents.check_there(stored, stored.parent, seen, attempt, self.path)
        reasons = parents.origin(stored, stored.parent, found, self.path)
        if not reasons and found and not names.is_storage_parent(found[0]):
            reasons = [f"its parent {handles.text(stored.parent)} is not a storage key"]
        if reasons:
            raise errors.StateError(f"Could not {attempt}: {reasons[0]}; {parents.ELSEWHERE}.", object=self.path)
        parents.check(stored, seen, self._run, attempt)
        sealed_blob.check_openable(self.path, stored, self.policy, seen)
        sealed_blob.check_counted(self.path, stored, self.policy, seen, self._options.get("auth") is not None)

    def _open(self, backend: Backend, stored: keyfile.KeyFile, seen: observation.Observation) -> bytes:
        return sealed_blob.unseal(
            backend, stored, sealed_blob.authorisation(self.policy, seen, self._run, self.value), self.path, self._run
        )

    def plan(self, seen: observation.Observation, run: Run) -> model.Plan:
        """The content never appears in the plan. It appears in the result only if it is not written to a file."""
        found: bytes = seen["session", ("unsealed", self.path)]
        if not self.dest:
            return model.Plan(self.kind, self.object, (), {}, {}, {"content_b64": base64.b64encode(found).decode("ascii")})
        dest = self.dest
        if seen.file(dest) == found:
            return model.Plan(self.kind, self.object, (), {}, {}, {"dest": dest})
        # The content may look like anything. A file of a known kind (a key, a certificate) is overwritten only by content of the same kind.
        common.check_overwrite(f"write the content of {self.path} to", dest, seen, self._options, (places.OTHER, places.holds(found)))
        run.files.check_writable(dest)
        step = model.Step(
            f"write the content of {self.path} to {dest}", "unseal", local=lambda _result: run.files.write(dest, found, keep=False)
        )
        before = "other content" if seen.file(dest) is not None else None
        return model.Plan(self.kind, self.object, (step,), {dest: before}, {dest: f"the content of {self.path}"}, {"dest": dest})


def _owned(options: common.Options) -> model.OwnedFile | None:
    """Write the content so that only its owner may read it, unless the task gives a mode: an old file's mode was not meant for a secret."""
    mode = "0600" if options.get("mode") is None else options["mode"]
    return model.OwnedFile(options["dest"], {**options, "mode": mode}) if options.get("dest") else None


__all__ = ("Unseal",)
