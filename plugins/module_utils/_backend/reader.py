# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Reads over a raw transport, using only the standard library: all that a run needs which changes nothing.

No command here opens a session, loads an object or changes anything (TPM 2.0 Library Part 3, sections 12.4, 22.4, 30.2, 31.6, 31.13).
"""

from __future__ import annotations

import contextlib
import struct
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import backoff
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, errors, handles, marshal, names, nv, pcr
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import tcti
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport.opener import open_transport

MAX_COUNT = 254
MOST_PCRS = 8
# No TPM has nearly as many handles, properties or algorithms.
MOST_ITEMS = 4096


class Transmitter(t.Protocol):
    """The part of a transport that the reader needs; see ``_transport``."""

    def transmit(self, command: bytes) -> bytes:
        """Send one command, return its response."""


class Reader:
    """Facts of a TPM, one command each. Every method raises TransportError or TpmResponseError.

    ``alone``: there is no resource manager, so that no other program can be using the TPM. If a read then fails because the TPM has no room
    (even a read needs some), the objects and sessions that other programs have left loaded are flushed, and ``flushed`` gets a note for the user.
    """

    def __init__(self, transport: Transmitter, alone: bool = False) -> None:
        self._transport = transport
        self._alone = alone
        self.flushed: list[str] = []
        self._properties: dict[int, dict[int, int]] = {}

    def fetch(self) -> None:
        """Nothing: no read has waited."""

    def _once(self, command: bytes) -> tuple[int, bytes]:
        tag, code, body = marshal.response(self._transport.transmit(command))
        if tag == marshal.TAG_TPM12:
            raise errors.TransportError(
                "Could not use this TPM: it answers as a TPM 1.2; switch it to TPM 2.0 in the firmware where it can, or use another device.",
                errors.NOT_A_TPM,
                reason="tpm12",
            )
        return code, body

    def _send(self, command: bytes) -> tuple[int, bytes]:
        code, body = backoff.repeat(lambda: self._once(command))
        if self._alone and errors.is_rc(code, errors.RC_OBJECT_MEMORY, errors.RC_SESSION_MEMORY) and self._make_room():
            code, body = backoff.repeat(lambda: self._once(command))
        return code, body

    def _make_room(self) -> bool:
        """Flush all transient objects and loaded sessions. Returns whether there were any."""
        left = [handle for first in (handles.FIRST_TRANSIENT, handles.LOADED_SESSION) for handle in self.handles(first)]
        for handle in left:
            self._once(marshal.flush_context(handle))
        if left:
            self.flushed.append(errors.flushed(left))
        return bool(left)

    def _ask(self, attempt: str, obj: str, command: bytes) -> bytes:
        code, body = self._send(command)
        if code:
            raise errors.from_rc(attempt, obj, code)
        return body

    def capability(self, capability: int, first: int, item: t.Callable[[marshal.Cursor], tuple[int, t.Any]]) -> dict[int, t.Any]:
        """A whole TPM2_GetCapability list as a dict: ``item`` reads one entry and returns its key, by which the TPM orders the list, and its value."""
        found: dict[int, t.Any] = {}
        more, start = True, first
        while more:
            command = marshal.command(constants.CC_GET_CAPABILITY, parameters=marshal.capability_request(capability, start, MAX_COUNT))
            more, count, cursor = marshal.capability_head(self._ask("read", f"the TPM's capability {capability}", command))
            known = len(found)
            if known > MOST_ITEMS:
                raise errors.TpmError(
                    f"Could not read the TPM's capability {capability}: its list does not end; see that tcti names a TPM 2.0, and whether the device "
                    "is what it says it is."
                )
            found.update(item(cursor) for _each in range(count))
            # A TPM that repeats the same entries must not keep this loop running for ever; after the largest number there can be no other.
            more = more and len(found) > known and max(found) < 0xFFFFFFFF
            start = max(found) + 1 if found else first
        return found

    def properties(self, group: int = constants.PT_VAR) -> dict[int, int]:
        """The TPM properties (TPM_PT) of a group, by number. They are read once."""
        if group not in self._properties:
            found = self.capability(constants.CAP_TPM_PROPERTIES, group, lambda c: (c.u32(), c.u32()))
            self._properties[group] = {number: value for number, value in found.items() if number & ~0xFF == group}
        return self._properties[group]

    def handles(self, first: int) -> list[int]:
        """All handles from ``first`` on that are of its type (top byte)."""
        found = self.capability(constants.CAP_HANDLES, first, lambda c: (c.u32(), None))
        return [handle for handle in found if handle >> 24 == first >> 24]

    def banks(self) -> list[pcr.Selection]:
        """The allocated PCR banks."""
        command = marshal.command(constants.CC_GET_CAPABILITY, parameters=marshal.capability_request(constants.CAP_PCRS, 0, 1))
        cursor = marshal.Cursor(self._ask("read", "the TPM's PCR banks", command))
        cursor.take(5)
        return [bank for bank in pcr.parse(cursor) if bank.indices]

    def numbers(self, capability: int, width: int) -> list[int]:
        """Algorithms (width 6: identifier and attributes), curves (width 2) or commands (width 4) as numbers."""
        size = 2 if width != 4 else 4
        read = {2: lambda c: (c.u16(), None), 4: lambda c: (c.u32() & 0xFFFF, None), 6: lambda c: (c.u16(), c.u32())}[width]
        return sorted(self.capability(capability, 0 if size == 2 else 0x11F, t.cast("t.Any", read)))

    def auth_policy(self, hierarchy: int) -> bytes | None:
        """The policy digest of a hierarchy (b"": no policy), or None if the TPM cannot tell it (before revision 1.38)."""
        command = marshal.command(
            constants.CC_GET_CAPABILITY, parameters=marshal.capability_request(constants.CAP_AUTH_POLICIES, hierarchy, 1)
        )
        code, body = self._send(command)
        if errors.is_rc(code, errors.RC_VALUE):
            return None
        if code:
            raise errors.from_rc("read the policy of", f"the {handles.HIERARCHY_NAMES[hierarchy]} hierarchy", code)
        _more, count, cursor = marshal.capability_head(body)
        if not count or cursor.u32() != hierarchy:
            return None
        cursor.u16()
        return cursor.rest()

    def read_public(self, handle: int) -> tuple[names.Public, bytes] | None:
        """The public area and Qualified Name of a loaded or persistent object; None if there is no such object."""
        code, body = self._send(marshal.command(constants.CC_READ_PUBLIC, [handle]))
        # 0x18B (HANDLE) is the normal answer for a handle without an object; some chips answer 0x184 (VALUE).
        if errors.is_rc(code, errors.RC_HANDLE, errors.RC_VALUE):
            return None
        if code:
            raise errors.from_rc("read the public area of", handles.text(handle), code)
        cursor = marshal.Cursor(body)
        public, _name, qualified = names.parse_public(cursor.sized()), cursor.sized(), cursor.sized()
        return public, qualified

    def nv_read_public(self, index: int) -> nv.NvPublic | None:
        """The definition of an NV index; None if there is no such index."""
        code, body = self._send(marshal.command(constants.CC_NV_READ_PUBLIC, [index]))
        if errors.is_rc(code, errors.RC_HANDLE, errors.RC_VALUE):
            return None
        if code:
            raise errors.from_rc("read the public area of", f"NV index {handles.text(index)}", code)
        return nv.parse(marshal.Cursor(body).sized())

    def nv_read(self, index: int, size: int, authority: int) -> bytes:
        """``size`` bytes of an NV index, read with the empty auth of ``authority``: the index itself or TPM_RH_OWNER."""
        limit = nv.SAFE_SIZE
        if size > nv.SAFE_SIZE:
            limit = self.properties(constants.PT_FIXED).get(constants.PT_NV_BUFFER_MAX) or nv.SAFE_SIZE
        found = b""
        while len(found) < size:
            piece = struct.pack(">HH", min(limit, size - len(found)), len(found))
            command = marshal.command(constants.CC_NV_READ, [authority, index], piece, [b""])
            got = marshal.Cursor(self._ask("read", f"NV index {handles.text(index)}", command)).sized()
            if not got:
                raise errors.TpmError(
                    f"Could not read NV index {handles.text(index)}: the TPM returned only {len(found)} of {size} bytes; run again, "
                    "and if that does not help, look for a firmware update."
                )
            found += got
        return found

    def pcr_read(self, chosen: t.Sequence[pcr.Selection]) -> dict[str, dict[int, bytes]]:
        """The values of PCRs by bank and index; banks that are not allocated are missing."""
        found: dict[str, dict[int, bytes]] = {one.bank: {} for one in chosen}
        for piece in pieces(chosen):
            self._read_piece(piece, found)
        return found

    def _read_piece(self, chosen: t.Sequence[pcr.Selection], found: dict[str, dict[int, bytes]]) -> None:
        left = list(chosen)
        while left:
            body = self._ask("read", "the PCRs", marshal.command(constants.CC_PCR_READ, parameters=pcr.marshal(left)))
            cursor = marshal.Cursor(body)
            cursor.u32()
            got = [(one.bank, index) for one in pcr.parse(cursor) for index in one.indices]
            digests = [cursor.sized() for _each in range(cursor.u32())]
            for (bank, index), value in zip(got, digests):
                found.setdefault(bank, {})[index] = value
            asked, left = left, _remaining(left, found)
            if left == asked:  # the PCRs that are left belong to banks that are not allocated
                break

    def platform_auth_is_empty(self) -> bool | None:
        """Whether the platform hierarchy accepts an empty auth; None if it is disabled. Changes nothing.

        It is tried with TPM2_ClockRateAdjust by zero (Part 3, section 29.3), which needs platform auth. A wrong platform auth is not counted.
        """
        code, _body = self._send(marshal.command(constants.CC_CLOCK_RATE_ADJUST, [handles.RH_PLATFORM], b"\0", [b""]))
        if code and not errors.is_rc(code, errors.RC_BAD_AUTH, errors.RC_HIERARCHY, errors.RC_AUTH_UNAVAILABLE):
            raise errors.from_rc("look at", "the platform hierarchy", code)
        return None if errors.is_rc(code, errors.RC_HIERARCHY) else code == 0

    def test_result(self) -> int:
        """The result of the TPM's self-test (TPM2_GetTestResult, Part 3, section 10.4): 0: passed; RC_FAILURE: failed; other codes: not finished."""
        cursor = marshal.Cursor(self._ask("read the self-test of", "the TPM", marshal.command(constants.CC_GET_TEST_RESULT)))
        cursor.sized()
        return cursor.u32()


def pieces(chosen: t.Sequence[pcr.Selection]) -> list[list[pcr.Selection]]:
    """The PCRs in as many parts as a TPM returns at once (TPML_DIGEST, Part 2, section 10.9.6)."""
    every = [(one.bank, index) for one in chosen for index in one.indices]
    parts = [every[at : at + MOST_PCRS] for at in range(0, len(every), MOST_PCRS)]
    return [
        [pcr.Selection(bank, tuple(index for of, index in part if of == bank)) for bank in dict.fromkeys(bank for bank, _index in part)]
        for part in parts
    ]


def _remaining(asked: t.Sequence[pcr.Selection], found: t.Mapping[str, t.Mapping[int, bytes]]) -> list[pcr.Selection]:
    left = [pcr.Selection(one.bank, tuple(index for index in one.indices if index not in found[one.bank])) for one in asked]
    return [one for one in left if one.indices]


@contextlib.contextmanager
def connect(place: tcti.Tcti, known: t.Mapping[bytes, bytes] | None = None) -> t.Iterator[Reader]:
    """A reader of the TPM at ``place``. Its connection ends with the block, because swtpm and /dev/tpm0 accept one client at a time.

    ``known``: responses that have been read a moment ago, by command.
    """
    connection: tcti.Transport
    if known:
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import replay

        connection = replay.Replay(place, known)
    else:
        connection = open_transport(place)
    try:
        yield Reader(connection, place.alone)
    finally:
        connection.close()


__all__ = ("Reader", "Transmitter", "connect", "pieces")
