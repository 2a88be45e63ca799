# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Tell files apart: two names of one file, symbolic links, and what a file holds before it is overwritten or removed."""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.files import Files
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.model import FILE, SOURCE, Claim, Resource
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, keyfile

NOTHING, OTHER = "nothing", "something else"
PUBLIC_KEY, CERTIFICATE, PRIVATE_KEY, KEY_FILE = "a public key", "a certificate", "a private key", "a key file of a TPM"
# Kinds of files by a text in them, the most valuable kind first: a file with a certificate and its private key is a private key.
_SIGNS = ((b"PRIVATE KEY-----", PRIVATE_KEY), (b"-----BEGIN CERTIFICATE-----", CERTIFICATE), (b"-----BEGIN PUBLIC KEY-----", PUBLIC_KEY))


def holds(data: bytes | None) -> str:
    """What a file holds: one of the constants above; nothing if it is empty or does not exist (None)."""
    if not data:
        return NOTHING
    if keyfile.is_key_file(data):
        return KEY_FILE
    return next((kind for sign, kind in _SIGNS if sign in data), OTHER)


def _places(claim: Claim, files: Files) -> set[tuple[t.Any, ...]]:
    return files.names(claim.text) if claim.place in (FILE, SOURCE) else {(claim.place, claim.text)}


def check_own(resource: Resource, files: Files) -> None:
    """Raises InputError if a file that the resource writes is a symbolic link, or the same file as another one of the resource."""
    claimed = [claim for claim in resource.claims() if claim.place in (FILE, SOURCE)]
    for claim in claimed:
        target = files.leads_to(claim.text) if claim.place == FILE else ""
        if target:
            raise errors.InputError(
                f"Could not use {claim.text}: it is a symbolic link to {target}, and a link is not replaced by a file; "
                "name the file that it leads to.",
                object=claim.text,
            )
    for one, other in itertools.combinations(claimed, 2):
        if FILE in (one.place, other.place) and _places(one, files) & _places(other, files):
            under = "" if one.text == other.text else f" ({one.text} and {other.text})"
            raise errors.InputError(
                f"Could not plan the {resource.kind.replace('_', ' ')} {resource.object}: {one.option} and {other.option} are the same file{under}; "
                "name two.",
                object=one.text,
            )


def check_all(resources: t.Sequence[Resource], files: Files) -> None:
    """Raises InputError if two items of a profile are about one object: a handle, a hierarchy, or a file, also under two names."""
    claimed: dict[tuple[t.Any, ...], tuple[int, Claim]] = {}
    for number, resource in enumerate(resources, 1):
        for claim in resource.claims():
            # A file that is only read may be one that another item writes: a key file that is then loaded.
            for place in _places(claim, files) if claim.place != SOURCE else ():
                before, first = claimed.setdefault(place, (number, claim))
                if before != number:
                    under = "" if first.text == claim.text else f", as {first.text}"
                    raise errors.InputError(
                        f"Could not read item {number} of resources: {claim.text} is already item {before}{under}; name each object once.",
                        object=claim.text,
                    )


def check_removable(path: str, data: bytes | None, *, sealed: bool, replace: bool) -> None:
    """Raises MismatchError if a file that is to be removed is not a key file (a torn one counts as one), or is a key file of the other kind.

    ``data``: the file's content, None if there is no file. ``sealed``: whether it should hold sealed data instead of a key.
    """
    if not data or replace:
        return
    reason = ""
    if not keyfile.is_key_file(data):
        reason = "it is not a key file of a TPM"
    else:
        try:
            if keyfile.read(data, path).sealed != sealed:
                reason = "it holds a key, not sealed data" if sealed else "it holds sealed data, not a key"
        except errors.InputError:
            pass  # torn: it cannot be used any more, so it may be removed
    if reason:
        raise errors.MismatchError(
            f"Could not remove {path}: {reason}; name another path, or set on_mismatch: replace to remove it whatever it holds."
        )


__all__ = (
    "CERTIFICATE",
    "KEY_FILE",
    "NOTHING",
    "OTHER",
    "PRIVATE_KEY",
    "PUBLIC_KEY",
    "check_all",
    "check_own",
    "check_removable",
    "holds",
)
