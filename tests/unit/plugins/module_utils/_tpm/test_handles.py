# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry of handles and NV indices: whose is what, and what is refused."""

from __future__ import annotations

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import handles
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError


def test_text() -> None:
    assert handles.text(0x81000001) == "0x81000001"
    assert handles.text(0x1800010) == "0x01800010"


@pytest.mark.parametrize(
    ("handle", "role"),
    [
        (0x81000001, "srk"),
        (0x81000200, "srk"),
        (0x81000200, "key"),
        (0x810002FF, "ek"),
        (0x810002FF, "devid"),
        (0x81010001, "ek"),
        (0x81010002, "ek"),
        (0x8101FFFF, "ek"),
        (0x81020000, "devid"),
        (0x81020001, "devid"),
        (0x81020003, "devid"),
    ],
)
def test_places_for_a_role(handle: int, role: str) -> None:
    handles.check_persistent(handle, role)


@pytest.mark.parametrize(
    ("handle", "role", "user"),
    [
        (0x81000001, "key", "the shared storage root key"),
        (0x81000001, "ek", "the shared storage root key"),
        (0x81000000, "key", "keys of the owner hierarchy"),
        (0x810001FF, "key", "keys of the owner hierarchy"),
        (0x81000300, "srk", "keys of the owner hierarchy"),
        (0x81000100, "key", "Azure"),
        (0x81008F00, "key", "go-tpm-tools"),
        (0x81010001, "key", "endorsement key RSA-2048"),
        (0x81010001, "srk", "endorsement key RSA-2048"),
        (0x81020001, "key", "IDevID and IAK"),
        (0x81020001, "ek", "IDevID and IAK"),
        (0x81020002, "devid", "FIDO"),
        (0x81030000, "key", "no registered user"),
        (0x81800000, "key", "the platform hierarchy"),
        (0x81FFFFFF, "srk", "the platform hierarchy"),
    ],
)
def test_a_strangers_place_is_refused_by_name_unless_allowed(handle: int, role: str, user: str) -> None:
    with pytest.raises(InputError, match=f"{handles.text(handle)}.*{user}.*0x81000200-0x810002ff.*allow_foreign_range"):
        handles.check_persistent(handle, role)
    handles.check_persistent(handle, role, allowed=True)


@pytest.mark.parametrize("handle", [0x80FFFFFF, 0x82000000, 0x01800010, 0x40000001, 0])
@pytest.mark.parametrize("allowed", [True, False])
def test_what_is_no_persistent_handle_is_refused_even_if_allowed(handle: int, allowed: bool) -> None:
    with pytest.raises(InputError, match="0x81000000-0x81ffffff"):
        handles.check_persistent(handle, "key", allowed)


@pytest.mark.parametrize("index", [0x01800000, 0x01800010, 0x018010FF, 0x01801102, 0x01BFFFFF])
def test_our_nv_indices(index: int) -> None:
    handles.check_nv(index)


@pytest.mark.parametrize(
    ("index", "user"),
    [
        (0x01000000, "the TPM's manufacturer"),
        (0x0102000A, "the TPM's manufacturer"),
        (0x017FFFFF, "the platform's manufacturer"),
        (0x01801100, "snapd"),
        (0x01801101, "snapd"),
        (0x01810001, "snapd"),
        (0x01C00002, "endorsement key certificates"),
        (0x01C00100, "certificate chain"),
        (0x01C07F01, "endorsement credentials"),
        (0x01C08000, "platform certificates"),
        (0x01C10102, "PC client"),
        (0x01C90000, "device identity certificates"),
        (0x01D10200, "NvPCRs"),
        (0x01D10000, "FIDO"),
        (0x01FFFFFF, "no registered user"),
    ],
)
def test_a_strangers_index_is_refused_by_name_unless_allowed(index: int, user: str) -> None:
    with pytest.raises(InputError, match=f"{handles.text(index)}.*{user}.*0x01800000-0x01bfffff.*allow_foreign_range"):
        handles.check_nv(index)
    handles.check_nv(index, allowed=True)


@pytest.mark.parametrize("index", [0x0, 0x2000A, 0x02000000, 0x81000001, 0xFFFFFFFF])
@pytest.mark.parametrize("allowed", [True, False])
def test_what_is_no_nv_index_is_refused_even_if_allowed(index: int, allowed: bool) -> None:
    with pytest.raises(InputError, match="0x01000000-0x01ffffff"):
        handles.check_nv(index, allowed)


def test_ranges_are_ranges_and_the_special_stands_before_the_general() -> None:
    for table, low, high in ((handles.PERSISTENT, 0x81000000, 0x81FFFFFF), (handles.NV, 0x01000000, 0x01FFFFFF)):
        for at, row in enumerate(table):
            assert low <= row.first <= row.last <= high and row.user
            hidden = [earlier for earlier in table[:at] if earlier.first <= row.first and row.last <= earlier.last]
            assert not hidden, f"{row.user} can never be found: {hidden[0].user} holds all of it"
