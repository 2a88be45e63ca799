# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of an attacker between the module and its TPM, who knows the protocol and has no key."""

from __future__ import annotations

import os
import struct

from support.commands import Record

# The number of handles before the authorisation area (TPM 2.0 Library Part 3). These commands' responses have no handle and no parameter.
HANDLES = {
    "TPM2_EvictControl": 2,
    "TPM2_NV_DefineSpace": 1,
    "TPM2_NV_UndefineSpace": 2,
    "TPM2_NV_Write": 2,
    "TPM2_NV_Increment": 2,
    "TPM2_DictionaryAttackParameters": 1,
    "TPM2_DictionaryAttackLockReset": 1,
    "TPM2_HierarchyChangeAuth": 1,
    "TPM2_HierarchyControl": 1,
    "TPM2_ClearControl": 1,
    "TPM2_SetPrimaryPolicy": 1,
}
PASSWORD = 0x40000009


def sessions(record: Record, handles: int) -> list[tuple[int, int]]:
    """The sessions of a command, each with its handle and attributes."""
    at, found = 10 + 4 * handles, []
    end = at + 4 + struct.unpack(">I", record.request[at : at + 4])[0]
    at += 4
    while at < end:
        handle, size = struct.unpack(">IH", record.request[at : at + 6])
        attributes = record.request[at + 6 + size]
        at += 9 + size + struct.unpack(">H", record.request[at + 7 + size : at + 9 + size])[0]
        found.append((handle, attributes))
    return found


def answered(record: Record, handles: int, parameters: bytes = b"") -> bytes:
    """A successful response with these parameters, and for every session an invented nonce and HMAC of the right size."""
    area = b""
    for handle, attributes in sessions(record, handles):
        some = b"" if handle == PASSWORD else os.urandom(32)
        area += struct.pack(">H", len(some)) + some + bytes([attributes]) + struct.pack(">H", len(some)) + some[::-1]
    body = struct.pack(">I", len(parameters)) + parameters + area
    return struct.pack(">HII", 0x8002, 10 + len(body), 0) + body


def success(record: Record) -> bytes:
    """A successful response to a command that was not carried out."""
    return answered(record, HANDLES[record.name])


def session_started(_record: Record) -> bytes:
    """A successful response with the handle of a session that does not exist in the TPM."""
    return struct.pack(">HIIIH", 0x8001, 48, 0, 0x02000000, 32) + os.urandom(32)
