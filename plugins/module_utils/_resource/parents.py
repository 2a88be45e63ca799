# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The parent under which a key file is loaded: a persistent key, or the default primary key of a hierarchy, which is made only for the load.

Files of OpenSSL's TPM 2.0 provider and of most Go programs name a hierarchy (ASN.1 Specification for TPM 2.0 Key Files). The key is then a
child of the primary key that the SRK template makes in that hierarchy with an empty unique: ECC P-256, or RSA-2048 where the file says so.
"""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth import choose
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import common, observation
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, handles, keyfile, names, templates

if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Backend, Token
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.context import Run

# The answers of a TPM to TPM2_Load if it did not make the private part under this parent, or if that is damaged (Part 3, section 12.2).
NOT_OURS = (errors.RC_INTEGRITY, errors.RC_SIZE, errors.RC_BINDING, errors.RC_INSUFFICIENT)
NOT_LOADED = "this TPM does not load it, so that it was made by another TPM or under another parent, or is damaged"

# What to do with a file that is not for this TPM: it may be a good file of another TPM.
ELSEWHERE = "use it where it was made, or name a file of this TPM"


def facts(stored: keyfile.KeyFile) -> list[observation.Fact]:
    """The facts about the parent that a file names which are needed to load it."""
    if handles.is_persistent(stored.parent):
        return [observation.Fact("public", stored.parent)]
    return [observation.Fact("properties")]


def _default(stored: keyfile.KeyFile) -> names.Public:
    """The template of the primary key that is the parent of a file which names a hierarchy."""
    return templates.primary("srk_rsa_2048" if stored.rsa_parent else "srk_ecc_p256")


def is_default(stored: keyfile.KeyFile | None, parent: names.Public) -> bool:
    """Whether a parent can be the one that a file means which names the owner hierarchy, judged by its template."""
    return stored is not None and stored.parent == handles.RH_OWNER and not names.differences(_default(stored), parent)


def known(stored: keyfile.KeyFile, seen: observation.Observation) -> bool:
    """Whether all of ``facts`` have been read."""
    return all((fact.kind, fact.key) in seen for fact in facts(stored))


def origin(stored: keyfile.KeyFile, parent: int, found: tuple[names.Public, bytes] | None, path: str) -> list[str]:
    """Why a file cannot belong to this parent on this TPM, as clauses, as far as that shows without loading it.

    A file that names a hierarchy is accepted if the SRK is asked for as its parent, because that is the default of the option.
    """
    if stored.in_hierarchy and parent in (stored.parent, handles.SRK):
        return []
    if not stored.in_hierarchy and not handles.is_persistent(stored.parent):
        return [f"{path} names as its parent {handles.text(stored.parent)}, which is neither a persistent handle nor a hierarchy"]
    if stored.parent != parent:
        return [f"{path} was made under the parent {_name(stored)}, not {handles.text(parent)}"]
    if found is None:
        return [f"{path} exists, but its parent {handles.text(parent)} does not, so it is not known whether it belongs to this TPM"]
    if stored.parent_name is not None and stored.parent_name != found[0].name:
        there, here = stored.parent_name.hex(), found[0].name.hex()
        return [f"{path} was made for another TPM (or this one was cleared): its parent has the Name {there}, here it is {here}"]
    return []


def _name(stored: keyfile.KeyFile) -> str:
    text = handles.text(stored.parent)
    return f"{text} (the default primary key of that hierarchy)" if stored.in_hierarchy else text


def check_there(stored: keyfile.KeyFile | None, parent: int, seen: observation.Observation, attempt: str, path: str) -> None:
    """Raises StateError if a file's parent is missing: made again from its template, it may be the parent of the file after all."""
    if stored and stored.parent == parent and handles.is_persistent(parent) and seen.public(parent) is None:
        what = "its file" if path in attempt else path
        raise errors.StateError(
            f"Could not {attempt}: {what} exists, but its parent {handles.text(parent)} does not, so it is not known whether it belongs to this "
            "TPM; make the parent first, with the template that it had (tpm2_primary_key), in a run of its own.",
            reason="no_parent",
        )


def replaced(parent: int, seen: observation.Observation, run: Run) -> list[str]:
    """Why no key under this parent can stay: this run replaces the parent by another key. An empty list if it does not."""
    goes = parent in run.made and ("public", parent) in seen and seen.public(parent) is not None
    return [f"its parent {handles.text(parent)} is replaced by this run"] if goes else []


def check(stored: keyfile.KeyFile, seen: observation.Observation, run: Run, attempt: str) -> None:
    """Raises StateError or InputError if the parent of a file cannot be used; warns of a parent that counts wrong tries."""
    if stored.in_hierarchy:
        run.auth(stored.parent)
    else:
        common.parent(stored.parent, seen, run, attempt)


def load(backend: Backend, stored: keyfile.KeyFile, run: Run, path: str, auth: choose.Auth | None = None) -> Token:
    """Load a file's object; ``auth`` authorises the parent (default: an empty auth, without a session). Leaves nothing else loaded."""
    auth = choose.for_use(b"") if auth is None else auth
    if not stored.in_hierarchy:
        return backend.load(backend.persistent(stored.parent), auth, stored.private, stored.public, path)
    parent, _public = backend.create_primary(stored.parent, choose.for_use(run.current(stored.parent)), _default(stored))
    try:
        return backend.load(parent, auth, stored.private, stored.public, path)
    finally:
        backend.flush_context(parent)


def loadable(stored: keyfile.KeyFile, parent: int, seen: observation.Observation, path: str) -> bool:
    """Whether the file can be loaded before this run changes anything: its ``facts`` have been read and show no obstacle."""
    if not known(stored, seen):
        return False
    found = seen.public(stored.parent) if handles.is_persistent(stored.parent) else None
    return (stored.in_hierarchy or found is not None) and not origin(stored, parent, found, path)


def loads(stored: keyfile.KeyFile, run: Run, path: str) -> observation.Fact:
    """The fact (true or false) whether this TPM loads a file; only the TPM can tell."""

    def learn(backend: Backend) -> bool:
        try:
            backend.flush_context(load(backend, stored, run, path))
        except errors.TpmResponseError as failed:
            if not errors.is_rc(failed.rc, *NOT_OURS):
                raise
            return False
        return True

    return observation.Fact("session", ("loads", path), learn)


def unloadable(path: str, seen: observation.Observation) -> list[str]:
    """The reason against the file that the fact of ``loads`` shows, if any."""
    return [] if seen.get(("session", ("loads", path)), True) else [f"{path} is not for this TPM: {NOT_LOADED}"]


__all__ = (
    "ELSEWHERE",
    "NOT_LOADED",
    "NOT_OURS",
    "check",
    "check_there",
    "facts",
    "is_default",
    "known",
    "load",
    "loadable",
    "loads",
    "origin",
    "replaced",
    "unloadable",
)
