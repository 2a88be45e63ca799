# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told below a diff: what a run costs, frees and loses, the same in check mode and in the run."""

from __future__ import annotations

import typing as t

import pytest
from unit.bed import Bed

Item = dict[str, dict[str, t.Any]]
SRK: Item = {"primary_key": {}}
SERIAL: Item = {"nv_index": {"index": "0x01800010", "content": "EF-1", "write_once": True}}


def told(bed: Bed, *items: Item) -> list[str]:
    """The lines in check mode; the run says the same."""
    checked = bed.run(*items, check=True).diff
    done = bed.run(*items).diff
    assert checked == done
    return str(done.get("prepared", "")).splitlines()


def test_what_a_first_run_costs_and_what_is_for_good(bed: Bed) -> None:
    assert told(bed, SRK, {"key": {"handle": "0x81000210"}}, SERIAL) == [
        "costs: 2 key generations, 2 persistent slots, 1 NV index, 4 bytes of NV memory",
        "cannot be undone: write 4 bytes to the NV index 0x01800010 once and for all",
    ]
    assert told(bed, SRK, {"key": {"handle": "0x81000210"}}, SERIAL) == []


def test_what_is_freed(bed: Bed) -> None:
    bed.run(SRK, {"nv_index": {"index": "0x01800011", "content": "old"}})
    assert told(bed, {"nv_index": {"index": "0x01800011", "state": "absent"}}) == [
        "frees: 1 NV index, 3 bytes of NV memory",
        "cannot be undone: undefine the NV index 0x01800011 (its content is lost)",
    ]


def replacements(bed: Bed) -> dict[str, tuple[Item, dict[str, t.Any], str]]:
    """Something of each noun, what is asked for in its place, and the end of the line that says what is lost."""
    blob, path = bed.path("blob.pem"), bed.path("key.pem")
    key = "(replaced; the old key is lost)"
    return {
        "primary_key": ({"primary_key": {"handle": "0x81000220"}}, {"template": "srk_rsa_2048"}, key),
        "key": ({"key": {"handle": "0x81000210"}}, {"algorithm": "rsa_2048"}, key),
        "key of a file": ({"key": {"path": path}}, {"algorithm": "rsa_2048"}, key),
        "nv_index": ({"nv_index": {"index": "0x01800011", "content": "old"}}, {"content": "longer"}, "(replaced; its old content is lost)"),
        "sealed_blob": (
            {"sealed_blob": {"path": blob, "content": "old", "pcrs": {"indices": [7]}}},
            {"pcrs": None, "auth": "an auth of its own"},
            f"seal 3 bytes under 0x81000001 into {blob} (replaced; the secret in the old file is lost)",
        ),
    }


@pytest.mark.parametrize("name", ["primary_key", "key", "key of a file", "nv_index", "sealed_blob"])
def test_what_a_replacement_loses(bed: Bed, name: str) -> None:
    first, other, lost = replacements(bed)[name]
    bed.run(SRK, first)
    ((noun, options),) = first.items()
    lines = told(bed, SRK, {noun: {**options, **other, "on_mismatch": "replace"}})
    (line,) = [line for line in lines if line.startswith("cannot be undone: ")]
    assert line.endswith(lost)
