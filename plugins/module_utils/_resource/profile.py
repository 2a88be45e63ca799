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

NOUNS = ("certificate", "da_lockout", "hierarchy", "key", "nv_index", "persistent_handle", "primary_key", "sealed_blob")


def _class(noun: str) -> t.Callable[[common.Options], model.Resource]:
    """The class of a noun. Imported when it is asked for: a device compiles every file that it imports anew in every run."""
    found: t.Callable[[common.Options], model.Resource]
    if noun == "certificate":
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.certificate import Certificate as found
    elif noun == "da_lockout":
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.da_lockout import DaLockout as found
    elif noun == "hierarchy":
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.hierarchy import Hierarchy as found
    elif noun == "key":
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.key import Key as found
    elif noun == "nv_index":
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.nv_index import NvIndex as found
    elif noun == "persistent_handle":
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.persistent_handle import PersistentHandle as found
    elif noun == "primary_key":
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.primary_key import PrimaryKey as found
    else:
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.sealed_blob import SealedBlob as found
    return found


def build(items: t.Sequence[t.Mapping[str, t.Any]]) -> list[model.Resource]:
    """The resources of a profile, in its order. Raises InputError where an item names not exactly one noun, or two one object."""
    made: list[model.Resource] = []
    objects: dict[model.Claim, int] = {}
    for number, item in enumerate(items, 1):
        nouns = [noun for noun, options in item.items() if options is not None]
        if len(nouns) != 1:
            choices = ", ".join(NOUNS)
            raise errors.InputError(
                f"Could not read item {number} of resources: it names {len(nouns)} nouns; give exactly one of {choices}."
            )
        try:
            resource = _class(nouns[0])(item[nouns[0]])
        except errors.InputError as failed:
            failed.message = f"{failed.message.rstrip('.')} (item {number} of resources, {nouns[0]})."
            raise
        for claim in resource.claims():
            before = objects.setdefault(claim, number)
            if before != number:
                raise errors.InputError(
                    f"Could not read item {number} of resources: {claim.text} is already item {before}; name each object once.",
                    object=claim.text,
                )
        made.append(resource)
    return made


__all__ = ("build",)
