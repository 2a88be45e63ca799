# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A profile: many resources in one observation, one plan and one connection."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import common, model
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors


def _classes() -> dict[str, t.Callable[[common.Options], model.Resource]]:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.da_lockout import DaLockout
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.hierarchy import Hierarchy
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.key import Key
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.nv_index import NvIndex
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.persistent_handle import PersistentHandle
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.primary_key import PrimaryKey
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.sealed_blob import SealedBlob

    return {one.kind: one for one in (DaLockout, Hierarchy, Key, NvIndex, PersistentHandle, PrimaryKey, SealedBlob)}


def build(items: t.Sequence[t.Mapping[str, t.Any]]) -> list[model.Resource]:
    """The resources of a profile, in its order. Raises InputError where an item names not exactly one noun, or two one object."""
    classes, made = _classes(), []
    objects: dict[tuple[str, str], int] = {}
    for number, item in enumerate(items, 1):
        nouns = [noun for noun, options in item.items() if options is not None]
        if len(nouns) != 1:
            choices = ", ".join(sorted(classes))
            raise errors.InputError(
                f"Could not read item {number} of resources: it names {len(nouns)} nouns; give exactly one of {choices}."
            )
        resource = classes[nouns[0]](item[nouns[0]])
        space = "handle" if resource.object.startswith("0x") else resource.kind
        before = objects.setdefault((space, resource.object), number)
        if before != number:
            raise errors.InputError(
                f"Could not read item {number} of resources: {resource.object} is already item {before}; name each object once."
            )
        made.append(resource)
    return made


__all__ = ("build",)
