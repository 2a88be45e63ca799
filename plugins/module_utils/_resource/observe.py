# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Observe: every fact once, in as few commands as there are facts, with no session unless a fact needs one."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Reads
from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.reader import FIXED, VARIABLE
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import files
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.model import Asking, Fact, Observation
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import pcr


def _wanted(resources: t.Sequence[Asking], seen: Observation) -> list[Fact]:
    """The facts that are still missing, each once. All PCRs of a bank are one fact."""
    found: dict[tuple[str, t.Any], Fact] = {}
    banks: dict[str, set[int]] = {}
    for resource in resources:
        for fact in resource.facts(seen):
            if fact.kind == "pcrs":
                new = set(fact.key.indices) - seen.asked.get(fact.key.bank, set())
                banks.setdefault(fact.key.bank, set()).update(new)
            elif (fact.kind, fact.key) not in seen:
                found.setdefault((fact.kind, fact.key), fact)
    facts = list(found.values())
    return facts + [Fact("pcrs", pcr.Selection(bank, tuple(sorted(indices)))) for bank, indices in banks.items() if indices]


def _read(reader: Reads, fact: Fact) -> t.Any:
    if fact.kind == "properties":
        return reader.properties(VARIABLE)
    if fact.kind == "limits":
        return reader.properties(FIXED)
    if fact.kind == "public":
        return reader.read_public(fact.key)
    if fact.kind == "nv_public":
        return reader.nv_read_public(fact.key)
    if fact.kind == "nv_content":
        return reader.nv_read(*fact.key)
    if fact.kind == "auth_policy":
        return reader.auth_policy(fact.key)
    if fact.kind == "platform_auth":
        return reader.platform_auth_is_empty()
    return files.read(fact.key)


def observe(reader: Reads, resources: t.Sequence[Asking], seen: Observation) -> list[Fact]:
    """Read until no resource asks for more; C(seen) is filled. Returns the facts that need a session, which are left to the caller.

    Raises TransportError, TpmResponseError, InputError (a file that cannot be read).
    """
    while True:
        wanted = _wanted(resources, seen)
        plain = [fact for fact in wanted if fact.kind != "session"]
        if not plain:
            return wanted
        chosen = [fact.key for fact in plain if fact.kind == "pcrs"]
        if chosen:
            values = reader.pcr_read(chosen)
            for one in chosen:
                seen["pcrs", one] = values[one.bank]
                seen.asked.setdefault(one.bank, set()).update(one.indices)
        for fact in plain:
            if fact.kind != "pcrs":
                seen[fact.kind, fact.key] = _read(reader, fact)


__all__ = ("observe",)
