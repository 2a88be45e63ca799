# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attribute words and their names."""

from __future__ import annotations

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attributes


@pytest.mark.parametrize("table", [attributes.OBJECT, attributes.NV], ids=["object", "nv"])
def test_every_name_is_one_bit_and_comes_back(table: dict[str, int]) -> None:
    assert len(set(table.values())) == len(table)
    for name, bit in table.items():
        assert bit.bit_count() == 1
        assert attributes.names(attributes.word([name], table), table) == [name]
    assert attributes.names(attributes.word(table, table), table) == list(table)
    assert attributes.names(0, table) == []


def test_words_as_other_programs_print_them() -> None:
    # tpm2_nvreadpublic: "policywrite|ownerread|authread|no_da" is 0x2060008; a storage key of tpm2_createprimary is 0x30072.
    assert attributes.word(("policywrite", "ownerread", "authread", "no_da"), attributes.NV) == 0x2060008
    wanted = ("fixedtpm", "fixedparent", "sensitivedataorigin", "userwithauth", "restricted", "decrypt")
    assert attributes.word(wanted, attributes.OBJECT) == 0x30072


def test_an_unknown_bit_shows_as_its_number_and_the_type_of_an_index_does_not() -> None:
    assert attributes.names(1 << 31 | 1 << 1, attributes.OBJECT) == ["fixedtpm", "bit31"]
    assert attributes.names(1 << 8 | 0x10 | 1, attributes.NV) == ["ppwrite", "bit8"]


def test_an_unknown_name_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="nosuch"):
        attributes.word(["fixedtpm", "nosuch"], attributes.OBJECT)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        (0x2060008, "ordinary"),
        (0x2060012, "counter"),
        (0x20, "bits"),
        (0x40042, "extend"),
        (0x90, "pinpass"),
        (0x80, "pinfail"),
        (0x70, "type7"),
    ],
)
def test_nv_types(word: int, name: str) -> None:
    assert attributes.nv_type(word) == name
