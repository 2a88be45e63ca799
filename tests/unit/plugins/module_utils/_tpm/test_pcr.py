# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PCR selections and digests, and PCRs that prove nothing."""

from __future__ import annotations

import hashlib
import typing as t

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms, marshal, pcr
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError, StateError, TpmError

# The TPML_PCR_SELECTION in the creation data that `tpm2_createprimary -l SELECTION --creation-data` (tpm2-tools 5.4) wrote.
SEEN = [
    ([("sha256", [7])], "00000001000b03800000"),
    ([("sha256", [0, 7, 23])], "00000001000b03810080"),
    ([("sha256", [0, 1, 2]), ("sha384", [8, 16])], "00000002000b03070000000c03000101"),
]
each_selection = pytest.mark.parametrize(("chosen", "raw"), SEEN, ids=["one", "three", "two banks"])


@each_selection
def test_marshalled_as_tpm2_tools_does(chosen: list[tuple[str, list[int]]], raw: str) -> None:
    selections = [pcr.selection(bank, indices) for bank, indices in chosen]
    assert pcr.marshal(selections).hex() == raw
    assert pcr.parse(marshal.Cursor(bytes.fromhex(raw))) == selections


@each_selection
def test_a_torn_selection_is_a_tpm_error(chosen: list[tuple[str, list[int]]], raw: str) -> None:
    for size in range(len(raw) // 2):
        with pytest.raises(TpmError):
            pcr.parse(marshal.Cursor(bytes.fromhex(raw)[:size]))


def test_a_bank_that_we_do_not_know_keeps_its_number() -> None:
    assert pcr.parse(marshal.Cursor(bytes.fromhex("00000001777704000000 80".replace(" ", "")))) == [pcr.Selection("0x7777", (31,))]


def test_a_selection_is_ordered_and_each_index_counts_once() -> None:
    assert pcr.selection("sha256", [7, 0, 7]) == pcr.Selection("sha256", (0, 7))
    assert pcr.selection("sha256", [7, 0]).text == "sha256:0,7"


@pytest.mark.parametrize(
    ("bank", "indices", "phrase"),
    [
        ("sha1", [7], "collisions"),
        ("md5", [7], "no such hash"),
        ("aes", [7], "no such hash"),
        ("", [7], "no such hash"),
        ("sha256", [], "empty list"),
        ("sha256", [24], "PCR 24"),
        ("sha256", [-1, 7], "PCR -1"),
        ("sha256", [7, 99], "PCR 99"),
    ],
)
def test_selections_that_make_no_sense(bank: str, indices: list[int], phrase: str) -> None:
    with pytest.raises(InputError, match=phrase):
        pcr.selection(bank, indices)


def test_the_composite_is_the_digest_of_the_values_in_ascending_order() -> None:
    values = {0: b"\1" * 32, 7: b"\2" * 32, 9: b"\3" * 32}
    assert pcr.composite(algorithms.SHA256, pcr.selection("sha256", [7, 0]), values) == hashlib.sha256(b"\1" * 32 + b"\2" * 32).digest()


@pytest.mark.parametrize("idle", [bytes(32), b"\xff" * 32])
def test_a_pcr_without_measurement_is_refused_unless_allowed(idle: bytes) -> None:
    chosen = pcr.selection("sha256", [0, 7])
    with pytest.raises(StateError, match="PCR 7 of bank sha256.*nothing has been measured.*allow_unmeasured"):
        pcr.check_measured(chosen, {0: b"\1" * 32, 7: idle}, False)
    pcr.check_measured(chosen, {0: b"\1" * 32, 7: idle}, True)
    pcr.check_measured(chosen, {0: b"\1" * 32, 7: b"\0" * 31 + b"\1"}, False)


@pytest.mark.parametrize("allowed", [True, False])
def test_a_bank_that_is_not_allocated_is_always_refused(allowed: bool) -> None:
    with pytest.raises(StateError, match="PCR 0,7 of bank sha384.*not allocated"):
        pcr.check_measured(pcr.selection("sha384", [0, 7]), {}, allowed)
    with pytest.raises(StateError, match="PCR 7 of bank sha256.*not allocated"):
        pcr.check_measured(pcr.selection("sha256", [0, 7]), {0: b"\1" * 32}, allowed)


@pytest.mark.parametrize("indices", [True, [True], [7, False], ["yes"], None, 7.0, {7: ""}, [[7]]])
def test_indices_that_are_no_numbers(indices: t.Any) -> None:
    with pytest.raises(InputError, match="must be a list of numbers"):
        pcr.selection("sha256", indices)
