# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Marshalling: commands byte by byte, responses that are whole, torn or lie."""

from __future__ import annotations

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, marshal
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError


def test_integers_and_buffers_are_big_endian() -> None:
    cursor = marshal.Cursor(bytes.fromhex("01 0203 04050607 0003 616263 ff"))
    assert [cursor.u8(), cursor.u16(), cursor.u32(), cursor.sized()] == [1, 0x0203, 0x04050607, b"abc"]
    assert cursor.at() == 12
    assert cursor.rest() == b"\xff"
    assert cursor.rest() == b""


@pytest.mark.parametrize("read", ["u8", "u16", "u32", "sized"])
def test_bytes_that_end_too_early_are_a_tpm_error(read: str) -> None:
    whole = {"u8": b"\1", "u16": b"\1\2", "u32": b"\1\2\3\4", "sized": b"\0\2ab"}[read]
    getattr(marshal.Cursor(whole), read)()
    for size in range(len(whole)):
        with pytest.raises(TpmError, match="ends after"):
            getattr(marshal.Cursor(whole[:size]), read)()


def test_a_command_without_authorisation() -> None:
    # TPM2_GetCapability(TPM_CAP_TPM_PROPERTIES, 0x200, 254), as tpm2-tools sends it.
    made = marshal.command(constants.CC_GET_CAPABILITY, parameters=marshal.capability_request(6, 0x200, 254))
    assert made.hex() == "8001" + "00000016" + "0000017a" + "00000006" + "00000200" + "000000fe"


def test_a_command_with_an_empty_password() -> None:
    made = marshal.command(constants.CC_NV_READ, [0x01800010, 0x01800010], bytes.fromhex("000e0000"), [b""])
    handles, area = "0180001001800010", "00000009" + "40000009" + "0000" + "00" + "0000"
    assert made.hex() == "8002" + f"{len(made):08x}" + "0000014e" + handles + area + "000e0000"


def test_a_response_is_split() -> None:
    assert marshal.response(bytes.fromhex("8001 0000000c 00000000 abcd")) == (0x8001, 0, b"\xab\xcd")
    assert marshal.response(bytes.fromhex("8001 0000000a 0000018b")) == (0x8001, 0x18B, b"")


def test_the_authorisation_area_of_a_response_is_cut_off() -> None:
    body = bytes.fromhex("00000002 abcd 0000 01 0000")
    assert marshal.response(bytes.fromhex("8002") + (10 + len(body)).to_bytes(4, "big") + bytes(4) + body) == (0x8002, 0, b"\xab\xcd")


@pytest.mark.parametrize(
    "torn",
    [
        "",
        "80",
        "8001 0000000a",
        "8001 0000000a 000000",
        "8001 0000000b 00000000",
        "8001 0000000a 00000000 00",
        "8002 0000000e 00000000 00000002",
    ],
)
def test_a_torn_response_is_a_tpm_error(torn: str) -> None:
    with pytest.raises(TpmError):
        marshal.response(bytes.fromhex(torn))


def test_capability_head() -> None:
    more, count, cursor = marshal.capability_head(bytes.fromhex("01 00000006 00000002 aabb"))
    assert (more, count, cursor.rest()) == (True, 2, b"\xaa\xbb")
    assert marshal.capability_head(bytes.fromhex("00 00000006 00000000"))[0] is False


def test_sized() -> None:
    assert marshal.sized(b"abc") == b"\0\3abc"
    assert marshal.Cursor(marshal.sized(b"")).sized() == b""
