# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a TPM says of the algorithms of library version 1.85: yes, no, and what it does not tell."""

from __future__ import annotations

import struct

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms, names, post_quantum

CLASSIC = [0x0001, 0x0023, 0x000B]
SETS = ("ml_kem_512", "ml_kem_768", "ml_kem_1024", "ml_dsa_44", "ml_dsa_65", "ml_dsa_87")
ALGORITHMS = ("ml_kem", "ml_dsa", "hash_ml_dsa")
NEW, OLD = {0x102: 185}, {0x102: 159}


@pytest.mark.parametrize("properties", [NEW, OLD, {}, {**NEW, 0x131: 0}])
def test_what_is_not_in_the_list_is_no(properties: dict[int, int]) -> None:
    assert post_quantum.readiness(CLASSIC, properties) == dict.fromkeys((*ALGORITHMS, *SETS), "no")


@pytest.mark.parametrize("properties", [NEW, OLD, {}, {**NEW, 0x131: 0x3F}])
def test_without_a_list_nothing_is_known(properties: dict[int, int]) -> None:
    assert post_quantum.readiness([], properties) == dict.fromkeys((*ALGORITHMS, *SETS), "unknown")


def test_a_tpm_that_tells_its_sets() -> None:
    found = post_quantum.readiness([*CLASSIC, 0xA0, 0xA2], {**NEW, 0x131: 0b010110})
    assert [found[name] for name in ALGORITHMS] == ["yes", "no", "yes"]
    assert [found[name] for name in SETS] == ["no", "yes", "yes", "no", "yes", "no"]


def test_a_tpm_that_does_not_tell_its_sets() -> None:
    found = post_quantum.readiness([*CLASSIC, 0xA0], NEW)
    assert [found[name] for name in ALGORITHMS] == ["yes", "no", "no"]
    assert [found[name] for name in SETS] == ["unknown"] * 3 + ["no"] * 3


def test_a_number_without_meaning_in_an_older_library() -> None:
    """It may be the maker's own: neither yes nor no."""
    found = post_quantum.readiness([*CLASSIC, 0xA1], {**OLD, 0x131: 0x3F})
    assert [found[name] for name in ALGORITHMS] == ["no", "unknown", "no"]
    assert [found[name] for name in SETS] == ["no"] * 3 + ["unknown"] * 3


@pytest.mark.parametrize(
    ("kind", "parameters", "name"),
    [
        (0xA0, "0006008000430002", "mlkem_768"),
        (0xA0, "00100003", "mlkem_1024"),
        (0xA1, "000100", "mldsa_44"),
        (0xA2, "0002000c", "hash_mldsa_65"),
        (0xA1, "000901", "mldsa_0x9"),
    ],
)
def test_their_keys_can_be_listed(kind: int, parameters: str, name: str) -> None:
    """One such key at a persistent handle, an EK for instance, must not hide all the others from tpm2_info."""
    head = struct.pack(">HHIH", kind, 0x000B, 0x30472, 0)
    found = names.parse_public(head + bytes.fromhex(parameters) + struct.pack(">H", 1184) + bytes(1184))
    assert found.algorithm == name
    assert names.describe(found)["algorithm"] == name
    assert algorithms.alg_name(kind) == name.rpartition("_")[0]
