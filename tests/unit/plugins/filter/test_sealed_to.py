# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that binds resources to verified PCR values: where it does, where it leaves the current ones, and that the module reads its answer."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.edgefleet.tpm2.plugins.filter.sealed_to import FilterModule
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import policy_read
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import policy

ZERO, SEVEN, OWN = "11" * 32, "22" * 32, "33" * 32
QUOTED = {"bank": "sha256", "values": {"0": ZERO, "7": SEVEN}}
sealed_to, unproven_pcrs = (FilterModule().filters()[name] for name in ("sealed_to", "unproven_pcrs"))


def blob(**options: t.Any) -> dict[str, t.Any]:
    return {"sealed_blob": {"path": "secret.pem", "content": "kept", **options}}


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ({"bank": "sha256", "indices": [7]}, {"7": SEVEN}),
        ({"indices": [7, 0]}, {"7": SEVEN, "0": ZERO}),
        ({"bank": None, "indices": ["7"], "values": None}, {"7": SEVEN}),
        ({"indices": "7"}, {"7": SEVEN}),
        ({"indices": 7}, {"7": SEVEN}),
        ({"indices": "7,0"}, {"7": SEVEN, "0": ZERO}),
    ],
)
def test_verified_values_take_the_place_of_current_ones(given: t.Any, values: t.Any) -> None:
    before = [blob(pcrs=given), {"key": {"handle": "0x81000210"}}]
    kept = copy.deepcopy(before)
    found = sealed_to(before, QUOTED)
    assert found == [blob(pcrs={**given, "values": values}), {"key": {"handle": "0x81000210"}}] and before == kept


@pytest.mark.parametrize(
    "given",
    [
        {"bank": "sha256", "indices": [7], "values": {"7": OWN}},
        {"bank": "sha256", "indices": []},
        {"bank": "sha256"},
        "sha256:7",
        None,
    ],
)
def test_everything_else_stays(given: t.Any) -> None:
    assert sealed_to([blob(pcrs=given)], QUOTED) == [blob(pcrs=given)]


@pytest.mark.parametrize(
    ("given", "named"), [({"bank": "sha384", "indices": [7]}, "7 of the bank sha384"), ({"indices": "7, 8"}, "8 of the bank sha256")]
)
def test_what_nobody_has_verified_is_refused(given: t.Any, named: str) -> None:
    for resource in (blob(pcrs=given), blob(policy=[{"or": [[{"pcr": given}]]}])):
        with pytest.raises(AnsibleFilterError, match=f"enrolment does not quote {named}"):
            sealed_to([resource], QUOTED)
        # Before the quote is made, the same sentence can be had without failing.
        assert unproven_pcrs([resource], QUOTED).startswith(f"Could not bind resources to PCR values: enrolment does not quote {named}")
        assert unproven_pcrs([resource], {}) == unproven_pcrs([blob(pcrs={"indices": [0, 7]})], QUOTED) == ""


def test_also_in_a_policy_and_its_branches() -> None:
    branches = [[{"pcr": {"indices": [0]}}, {"password": True}], [{"pcr": {"indices": [7], "values": {"7": OWN}}}]]
    asked = [{"pcr": {"bank": "sha256", "indices": [7]}}, {"or": branches}]
    (found,) = sealed_to([blob(policy=asked)], QUOTED)
    made = found["sealed_blob"]["policy"]
    now = {"sha256": {0: bytes.fromhex(ZERO), 7: bytes.fromhex(SEVEN)}}
    # As before while the PCRs are as they were quoted, and the same whatever they are later.
    for later in (now, {"sha256": {0: bytes(32), 7: bytes(32)}}):
        assert policy.digest(policy_read.read(made), later) == policy.digest(policy_read.read(asked), now)
    assert policy.current(policy_read.read(made)) == []


@pytest.mark.parametrize("pcrs", [{}, None])
def test_where_nothing_was_quoted(pcrs: t.Any) -> None:
    assert sealed_to([blob(pcrs={"indices": [7]})], pcrs) == [blob(pcrs={"indices": [7]})]


@pytest.mark.parametrize(
    ("resources", "pcrs"), [("none", {}), (["none"], {}), ([], {"7": SEVEN}), ([], {"bank": "sha256", "values": [SEVEN]})]
)
def test_what_it_cannot_read(resources: t.Any, pcrs: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="^Could not bind resources to PCR values: "):
        sealed_to(resources, pcrs)
    with pytest.raises(AnsibleFilterError, match="^Could not bind resources to PCR values: "):
        unproven_pcrs(resources, pcrs)
