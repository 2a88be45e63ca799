# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A task of tpm2_evidence: what of the two exchanges of enrolment it asks for, and signatures."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import evidence, evidence_options, key, model, primary_key
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.engine import Outcome
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.ways import Ways


def _identity_keys(collect: t.Mapping[str, t.Any]) -> list[model.Resource]:
    """The identity keys to make if they are missing."""
    made: list[model.Resource] = []
    if collect.get("idevid"):
        made.append(primary_key.PrimaryKey({**collect["idevid"], "state": "present"}))
    if collect.get("ldevid"):
        made.append(key.Key({**collect["ldevid"], "usage": "sign", "state": "present"}))
    return made


def talk(
    params: t.Mapping[str, t.Any],
    way: Ways,
    given: t.Mapping[int, bytes],
    salt: tuple[int, bytes] | None,
    check: bool,
    outcome: Outcome,
) -> dict[str, t.Any]:
    """What the device shows and signs. ``given``: the hierarchies' auth values; ``salt``: the only key for sessions. Raises TpmError."""
    found: dict[str, t.Any] = {}
    collect, activate, sign = params["collect"], params["activate"], params["sign"]
    # Bad options are refused before anything is done. In check mode only collect runs, and changes nothing.
    opening, digests = evidence_options.activation(activate) if activate else None, evidence_options.signing(sign or [])
    if collect:
        found.update(evidence.Collector(way, given, collect, salt).run(_identity_keys(collect), check, outcome))
    if opening and not check:
        found.update(evidence.activate(way, given, opening))
    if digests and not check:
        found["signatures"] = evidence.sign(way, digests, outcome)
    return found


__all__ = ("talk",)
