# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Helpers that several resources share: reading option values (InputError names the option), parents, errors, and the public key file."""

from __future__ import annotations

import base64
import binascii
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import model, observation
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attributes, errors, handles, keyfile, names

if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Backend
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.context import Run

Options = t.Mapping[str, t.Any]

# Added to the sentence of a step that replaces a key by another.
REPLACED = " (replaced; the old key is lost)"


def handle(value: t.Any, option: str) -> int:
    """A handle or index given as ``0x…`` text or integer."""
    try:
        number = int(str(value), 0)
    except ValueError:
        number = -1
    if not 0 <= number <= 0xFFFFFFFF:
        raise errors.InputError(f"Could not read {option} '{value}': it is not a handle; write one as 0x81000001 or as an integer.")
    return number


def content(options: Options, attempt: str) -> bytes | None:
    """The bytes given by ``content`` (text) or ``content_b64``; None if neither is given."""
    if options.get("content") is not None and options.get("content_b64") is not None:
        raise errors.InputError(f"Could not {attempt}: content and content_b64 are both given; give one of them.")
    if options.get("content") is not None:
        return str(options["content"]).encode()
    if options.get("content_b64") is None:
        return None
    try:
        return base64.b64decode("".join(str(options["content_b64"]).split()), validate=True)
    except (binascii.Error, ValueError):
        raise errors.InputError(f"Could not {attempt}: content_b64 is not base64; encode the bytes with the b64encode filter.") from None


def replace(options: Options) -> bool:
    """Whether the task allows replacing something different (on_mismatch: replace)."""
    return options.get("on_mismatch") == "replace"


def mismatch(attempt: str, reasons: t.Sequence[str], keep: str) -> errors.MismatchError:
    """The error for something different that is already in the place; ``keep`` says what the user can do instead of replacing it."""
    return errors.MismatchError(
        f"Could not {attempt}: {'; '.join(reasons)}; {keep}, or set on_mismatch: replace to replace it (it cannot be restored)."
    )


def check_enabled(number: int, seen: observation.Observation, run: Run) -> None:
    """Raises StateError if a parent may be missing only because its hierarchy is disabled: the TPM does not show objects of a disabled hierarchy."""
    if seen.public(number) is None and number not in run.made and ("properties", None) in seen:
        run.check_enabled(handles.RH_OWNER)


def parent(number: int, seen: observation.Observation, run: Run, attempt: str) -> tuple[names.Public, bytes] | None:
    """Public area and Qualified Name of a storage parent; None if this run will make it. Raises StateError or InputError."""
    if not handles.FIRST_PERSISTENT <= number <= handles.LAST_PERSISTENT:
        raise errors.InputError(
            f"Could not {attempt}: its parent {handles.text(number)} is not a persistent handle; name the SRK, 0x81000001."
        )
    if number in run.removed and number not in run.made:
        raise errors.InputError(
            f"Could not {attempt}: the same run removes its parent {handles.text(number)}; name another parent, or leave it there."
        )
    found = seen.public(number)
    if found is None:
        if number in run.made:
            return None
        check_enabled(number, seen, run)
        raise errors.StateError(
            f"Could not {attempt}: its parent {handles.text(number)} does not exist; make it first (tpm2_primary_key) or name another parent.",
            reason="no_parent",
        )
    if not names.is_storage_parent(found[0]):
        raise errors.InputError(
            f"Could not {attempt}: {handles.text(number)} is not a storage parent (a restricted decryption key that its auth value opens); name the SRK."
        )
    warn_counted(number, found[0], run)
    return found


def warn_counted(number: int, found: names.Public, run: Run) -> None:
    """Warn of a parent that counts wrong tries. It is used with an empty auth, and only its use shows whether its auth is empty."""
    if not found.attributes & attributes.OBJECT["noda"]:
        run.note(
            f"The parent {handles.text(number)} counts wrong tries (it lacks noDA) and is used with an empty auth: if it has an auth of its own, each "
            "use costs one try of the TPM's lockout. Name a parent with noDA where there is a choice."
        )


def identified(public: names.Public) -> dict[str, t.Any]:
    """The part of a result about a key: its Name and its public area. (The public area is returned only if it is asked for.)"""
    return {"name": public.name.hex(), "public": public.raw.hex()}


def check_overwrite(attempt: str, path: str, seen: observation.Observation, options: Options, allowed: t.Iterable[str]) -> None:
    """Raises MismatchError if a file holds something of a kind (see ``places.holds``) that is not among the allowed ones."""
    # Imported here and not at the top: few runs write a file.
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import places

    found = places.holds(seen.file(path))
    if found not in (places.NOTHING, *allowed) and not replace(options):
        raise mismatch(f"{attempt} {path}", [f"it holds {found}"], "name another file")


def auth_not_given(attempt: str, counts: str, obj: str = "") -> errors.InputError:
    """The error if the empty auth would have to be tried although no auth is given, and a wrong try counts; ``counts`` says why it counts, as a clause."""
    return errors.InputError(
        f"Could not {attempt}: {counts} and no auth is given, so none was tried; give auth, as '' if it is empty.",
        reason="auth_not_given",
        object=obj,
    )


def prove_pcrs(backend: Backend, seen: observation.Observation, asked: t.Sequence[t.Any], attempt: str) -> None:
    """Read the PCRs whose current values a policy uses once more, with the TPM's proof. Raises StateError if a value differs from the one read first.

    The values that were read for the plan have no proof: an attacker between module and TPM could choose what a secret is sealed to.
    """
    # Imported here and not at the top, so that a run that changes nothing does not compile them.
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import pcr, policy

    for selection in policy.current(tuple(asked)):
        proven, values = backend.pcr_read_proven(selection), seen.pcrs().get(selection.bank, {})
        wrong = [index for index in selection.indices if proven.get(index) != values.get(index)]
        if wrong:
            raise errors.StateError(
                f"Could not {attempt}: PCR {pcr.Selection(selection.bank, tuple(wrong)).text} was read with another value at first than the one that "
                "the TPM proves; it was extended just now, or somebody between module and TPM gives false answers: run again, and if "
                "this repeats do not trust the device.",
                reason="pcr_other",
            )


class PublicFile:
    """The PEM file to which a public key is exported, if the task asks for one."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.path: str | None = options.get("public_path")

    def facts(self) -> list[observation.Fact]:
        """The file as it is."""
        return [observation.Fact("file", self.path)] if self.path else []

    def claims(self) -> list[model.Claim]:
        """The claim on the file, for the resource that exports the key."""
        return [model.Claim(model.FILE, self.path, "public_path")] if self.path else []

    def steps(self, seen: observation.Observation, public: names.Public | None, run: Run) -> list[model.Step]:
        """One step if the file does not hold ``public``, otherwise none.

        ``public`` is None if the step before makes the key and returns it (see ``identified``). Another public key in the file is replaced.
        Raises MismatchError if the file holds something that is not a public key.
        """
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import places

        if not self.path:
            return []
        path = self.path
        if public is not None and seen.file(path) == keyfile.public_pem(public).encode():
            return []
        check_overwrite("write the public key to", path, seen, self._options, (places.PUBLIC_KEY,))
        run.files.check_writable(path)

        def export(result: model.Result) -> None:
            key = public or names.parse_public(bytes.fromhex(result["public"]))
            run.files.write(path, keyfile.public_pem(key).encode(), 0o644)

        return [model.Step(f"write the public key to {path}", "export", local=export)]

    def diff(self, seen: observation.Observation, steps: t.Sequence[model.Step]) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
        """Before and after of the file, for the diff."""
        if not self.path:
            return {}, {}
        exported = any(step.action == "export" for step in steps)
        before = None if seen.file(self.path) is None else "something else" if exported else "the public key"
        return {self.path: before}, {self.path: "the public key"}


__all__ = (
    "Options",
    "PublicFile",
    "auth_not_given",
    "check_enabled",
    "check_overwrite",
    "content",
    "handle",
    "identified",
    "mismatch",
    "parent",
    "replace",
    "warn_counted",
)
