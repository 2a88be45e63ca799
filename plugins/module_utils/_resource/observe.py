# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Observe: read every fact once, with at most one command each, and without a session unless a fact needs one."""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Reads, Waiting
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.files import Files
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.observation import Asking, Fact, Observation
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, handles, pcr


def wanted(resources: t.Sequence[Asking], seen: Observation) -> list[Fact]:
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


# How each kind of fact is read, given its key. Not in this table: PCRs, all of which are read together; files; and session facts.
READ: dict[str, t.Callable[[Reads, t.Any], t.Any]] = {
    "properties": lambda reader, _key: reader.properties(constants.PT_VAR),
    "limits": lambda reader, _key: reader.properties(constants.PT_FIXED),
    "public": lambda reader, handle: reader.read_public(handle),
    "handles": lambda reader, first: reader.handles(first),
    "nv_public": lambda reader, index: reader.nv_read_public(index),
    "nv_content": lambda reader, where: reader.nv_read(*where),
    "auth_policy": lambda reader, hierarchy: reader.auth_policy(hierarchy),
    "platform_auth": lambda reader, _key: reader.platform_auth_is_empty(),
}


def observe(reader: Reads, resources: t.Sequence[Asking], seen: Observation, files: Files) -> list[Fact]:
    """Read facts into ``seen`` until no resource asks for more. Returns the facts that need a session; reading them is left to the caller.

    Raises TransportError, TpmResponseError, InputError (a file that cannot be read).
    """
    while True:
        missing = wanted(resources, seen)
        plain = [fact for fact in missing if fact.kind != "session"]
        if not plain:
            return missing
        # Definitions of NV indices come last: if all handles have been listed by then, the list shows which indices do not exist.
        plain = [fact for fact in plain if fact.kind != "nv_public"] or plain
        if not read(reader, plain, seen, files):
            reader.fetch()


def read(reader: Reads, facts: t.Sequence[Fact], seen: Observation, files: Files) -> bool:
    """Read these facts into ``seen``. Returns False if some of them wait for ``reader.fetch()``, which happens only far from the TPM."""
    complete = True
    chosen = [fact.key for fact in facts if fact.kind == "pcrs"]
    ways: list[t.Callable[[], None]] = [lambda: _read_pcrs(reader, chosen, seen)] if chosen else []
    ways += [functools.partial(_read_one, reader, fact, seen, files) for fact in facts if fact.kind != "pcrs"]
    for way in ways:
        try:
            way()
        except Waiting:
            complete = False
    return complete


def _read_pcrs(reader: Reads, chosen: t.Sequence[pcr.Selection], seen: Observation) -> None:
    values = reader.pcr_read(chosen)
    for one in chosen:
        seen["pcrs", one] = values[one.bank]
        seen.asked.setdefault(one.bank, set()).update(one.indices)


def _read_one(reader: Reads, fact: Fact, seen: Observation, files: Files) -> None:
    if fact.kind == "file":
        seen[fact.kind, fact.key] = files.read(fact.key)
        return
    known = fact.kind == "nv_public" and fact.key not in seen.get(("handles", handles.FIRST_NV), (fact.key,))
    seen[fact.kind, fact.key] = None if known else READ[fact.kind](reader, fact.key)


__all__ = ("observe", "read", "wanted")
