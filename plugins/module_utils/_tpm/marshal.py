# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Marshal and unmarshal the structures that reads need (TPM 2.0 Library Part 2 and Part 3): big-endian integers, sized buffers.

All functions raise ``errors.TpmError`` if the bytes end too early or do not fit, never an IndexError.
"""

from __future__ import annotations

import struct
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError

ST_NO_SESSIONS = 0x8001
ST_SESSIONS = 0x8002
# A TPM 1.2 answers any TPM 2.0 command with this tag (TPM_TAG_RSP_COMMAND).
TAG_TPM12 = 0x00C4
RS_PW = 0x40000009


class Cursor:
    """Reads big-endian integers and TPM2B buffers one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes. Raises TpmError if fewer are left."""
        end = self._at + size
        if end > len(self._data):
            raise TpmError(
                f"Could not read what the TPM answered: a structure ends after {len(self._data)} bytes where {end} were expected; "
                "see that tcti names a TPM 2.0, and look at dmesg for its bus."
            )
        piece = self._data[self._at : end]
        self._at = end
        return piece

    def u8(self) -> int:
        """One unsigned byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """A UINT16."""
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        """A UINT32."""
        return int.from_bytes(self.take(4), "big")

    def sized(self) -> bytes:
        """The content of a TPM2B: a UINT16 size and that many bytes."""
        return self.take(self.u16())

    def at(self) -> int:
        """How many bytes have been read."""
        return self._at

    def rest(self) -> bytes:
        """Read and return all bytes that are left."""
        return self.take(len(self._data) - self._at)


def sized(data: bytes) -> bytes:
    """A TPM2B around ``data``."""
    return struct.pack(">H", len(data)) + data


def command(code: int, handles: t.Sequence[int] = (), parameters: bytes = b"", passwords: t.Sequence[bytes] = ()) -> bytes:
    """A whole command (Part 1, section 18). ``passwords``: one password for each handle that needs an authorisation."""
    area = b"".join(struct.pack(">IHBH", RS_PW, 0, 0, len(value)) + value for value in passwords)
    body = b"".join(struct.pack(">I", handle) for handle in handles)
    if area:
        body += struct.pack(">I", len(area)) + area
    body += parameters
    return struct.pack(">HII", ST_SESSIONS if area else ST_NO_SESSIONS, 10 + len(body), code) + body


def flush_context(handle: int) -> bytes:
    """TPM2_FlushContext (Part 3, section 28.4) of a loaded object or session."""
    return command(constants.CC_FLUSH_CONTEXT, parameters=struct.pack(">I", handle))


def response(data: bytes) -> tuple[int, int, bytes]:
    """Split a response into tag, response code and parameters (the authorisation area is cut off). Raises TpmError."""
    head = Cursor(data)
    tag, size, code = head.u16(), head.u32(), head.u32()
    if size != len(data):
        raise TpmError(
            f"Could not read what the TPM answered: it says {size} bytes but has {len(data)}; "
            "see that tcti names a TPM 2.0, and look at dmesg for its bus."
        )
    body = head.rest()
    if tag == ST_SESSIONS and code == 0:
        inner = Cursor(body)
        body = inner.take(inner.u32())
    return tag, code, body


def capability_request(capability: int, first: int, count: int) -> bytes:
    """Parameters of TPM2_GetCapability (Part 3, section 30.2)."""
    return struct.pack(">III", capability, first, count)


def capability_head(body: bytes) -> tuple[bool, int, Cursor]:
    """From a TPM2_GetCapability response: whether more data follow, the number of items in it, and a cursor at the first item."""
    cursor = Cursor(body)
    more = cursor.u8() != 0
    cursor.u32()
    return more, cursor.u32(), cursor


__all__ = ("Cursor", "capability_head", "capability_request", "command", "response", "sized")
