# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A raw TPM client for the tests, independent of the product's own (TPM 2.0 library, part 3, sections 22, 9.4 and 30.2)."""

from __future__ import annotations

import socket
import struct

PERSISTENT, NV_INDEX, TRANSIENT, LOADED_SESSION, SAVED_SESSION = 0x81000000, 0x01000000, 0x80000000, 0x02000000, 0x03000000
PT_PERMANENT, PT_LOCKOUT_COUNTER, PT_MAX_AUTH_FAIL, PT_LOCKOUT_INTERVAL, PT_LOCKOUT_RECOVERY = 0x200, 0x20E, 0x20F, 0x210, 0x211
_NO_SESSIONS, _SESSIONS = 0x8001, 0x8002
_EMPTY_PASSWORD = struct.pack(">IIHBH", 9, 0x40000009, 0, 0, 0)


class RawError(Exception):
    """The TPM answered with a response code other than success."""

    def __init__(self, rc: int) -> None:
        super().__init__(f"TPM response code {rc:#x}")
        self.rc = rc


def receive_exactly(sock: socket.socket, size: int) -> bytes:
    """Return `size` bytes, or fewer if the peer closed the connection first."""
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            break
        data += more
    return data


def receive_message(sock: socket.socket) -> bytes:
    """Return one whole TPM command or response; b"" if the peer closed the connection before its end."""
    header = receive_exactly(sock, 10)
    if len(header) < 10:
        return b""
    body = receive_exactly(sock, struct.unpack(">I", header[2:6])[0] - 10)
    return header + body if len(header) + len(body) == struct.unpack(">I", header[2:6])[0] else b""


class RawTpm:
    """One connection to the data port of a swtpm (or of a proxy); a context manager."""

    def __init__(self, port: int, timeout: float = 60.0) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)

    def __enter__(self) -> RawTpm:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._sock.close()

    def transmit(self, command: bytes) -> bytes:
        """Send one command, return the whole response. Raises ConnectionError if there is no response."""
        self._sock.sendall(command)
        response = receive_message(self._sock)
        if not response:
            raise ConnectionError("the TPM closed the connection without a response")
        return response

    def call(self, code: int, body: bytes = b"", tag: int = _NO_SESSIONS) -> bytes:
        """Send command `code`, return the response's parameters. Raises RawError."""
        response = self.transmit(struct.pack(">HII", tag, 10 + len(body), code) + body)
        rc = struct.unpack(">I", response[6:10])[0]
        if rc:
            raise RawError(rc)
        return response[10:]

    def handles(self, first: int) -> list[int]:
        """Return the handles of the range that begins with `first` (TPM2_GetCapability, TPM_CAP_HANDLES)."""
        body = self.call(0x17A, struct.pack(">III", 1, first, 254))
        count = struct.unpack(">I", body[5:9])[0]
        return list(struct.unpack(f">{count}I", body[9 : 9 + 4 * count]))

    def tpm_property(self, which: int) -> int:
        """Return one TPM property (TPM2_GetCapability, TPM_CAP_TPM_PROPERTIES)."""
        body = self.call(0x17A, struct.pack(">III", 6, which, 1))
        found, value = struct.unpack(">II", body[9:17])
        if found != which:
            raise LookupError(f"the TPM has no property {which:#x}")
        return int(value)

    def pcr_event(self, index: int, data: bytes) -> None:
        """Extend PCR `index` with the digest of `data` in every bank (TPM2_PCR_Event)."""
        self.call(0x13C, struct.pack(">I", index) + _EMPTY_PASSWORD + struct.pack(">H", len(data)) + data, tag=_SESSIONS)

    def flush(self, handle: int) -> None:
        """Flush a transient object or a session (TPM2_FlushContext)."""
        self.call(0x165, struct.pack(">I", handle))

    def shutdown(self) -> None:
        """Prepare the TPM for a loss of power (TPM2_Shutdown, TPM_SU_CLEAR)."""
        self.call(0x145, struct.pack(">H", 0))
