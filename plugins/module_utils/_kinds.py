# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The table of kinds: everything that a profile can hold, each with its argument specification and its class; and a profile made of them.

A class is imported only when it is needed, because the device recompiles every imported file on each run. The import statements are spelled
out, because Ansible sends a device only the files that it finds in such statements.
"""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import files, places
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.common import Options
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.model import Resource
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors

# Makes the resource that the options describe. Raises InputError.
Make = t.Callable[[Options], Resource]


class Kind(t.NamedTuple):
    """One kind: the function that returns its argument specification, and the function that imports its class."""

    spec: t.Callable[[], _argspec.Spec]
    load: t.Callable[[], Make]


def _certificate() -> Make:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.certificate import Certificate

    return Certificate


def _da_lockout() -> Make:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.da_lockout import DaLockout

    return DaLockout


def _hierarchy() -> Make:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.hierarchy import Hierarchy

    return Hierarchy


def _key() -> Make:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.key import Key

    return Key


def _nv_index() -> Make:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.nv_index import NvIndex

    return NvIndex


def _persistent_handle() -> Make:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.persistent_handle import PersistentHandle

    return PersistentHandle


def _primary_key() -> Make:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.primary_key import PrimaryKey

    return PrimaryKey


def _sealed_blob() -> Make:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.sealed_blob import SealedBlob

    return SealedBlob


KINDS: dict[str, Kind] = {
    "certificate": Kind(_argspec.certificate, _certificate),
    "da_lockout": Kind(_argspec.da_lockout, _da_lockout),
    "hierarchy": Kind(_argspec.hierarchy, _hierarchy),
    "key": Kind(_argspec.key, _key),
    "nv_index": Kind(_argspec.nv_index, _nv_index),
    "persistent_handle": Kind(_argspec.persistent_handle, _persistent_handle),
    "primary_key": Kind(_argspec.primary_key, _primary_key),
    "sealed_blob": Kind(_argspec.sealed_blob, _sealed_blob),
}


def profile() -> _argspec.Spec:
    """Options of tpm2_profile: every kind with its own options."""
    options = {name: dict(type="dict", options=kind.spec(), no_log=False) for name, kind in KINDS.items()}
    return dict(
        resources=dict(type="list", elements="dict", required=True, options=options),
        return_reads=dict(type="bool", default=False),
        library_to_come=dict(type="bool", default=False),
    )


def build(items: t.Sequence[t.Mapping[str, t.Any]]) -> list[Resource]:
    """The resources of a profile, in its order. Raises InputError as ``make`` does, and if two items name one object, or one file of this machine."""
    made = make(items)
    places.check_all(made, files.LOCAL)
    return made


def make(items: t.Sequence[t.Mapping[str, t.Any]]) -> list[Resource]:
    """The resources of a profile, in its order. Raises InputError if an item does not name exactly one kind, or if its options are wrong."""
    made: list[Resource] = []
    for number, item in enumerate(items, 1):
        named = [name for name, options in item.items() if options is not None]
        if len(named) != 1:
            raise errors.InputError(
                f"Could not read item {number} of resources: it names {len(named)} kinds of resource; give exactly one of {', '.join(KINDS)}."
            )
        try:
            resource = KINDS[named[0]].load()(item[named[0]])
        except errors.InputError as failed:
            failed.message = f"{failed.message.rstrip('.')} (item {number} of resources, {named[0]})."
            raise
        made.append(resource)
    return made


__all__ = ("KINDS", "Kind", "build", "make", "profile")
