# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Four TPM commands over swtpm's socket, which on a real device firmware sends. See TPM 2.0 library, part 3."""

from __future__ import annotations

import hashlib
import secrets
import socket
import struct
import typing as t

from .settings import DemoError

TIMEOUT_SECONDS = 20.0
_PCR = 7
_EMPTY_PASSWORD = struct.pack(">IIHBH", 9, 0x40000009, 0, 0, 0)  # authorizationSize, TPM_RS_PW
_PLATFORM = 0x4000000C
_BAD_AUTH = 0x9A2  # TPM_RC_BAD_AUTH of the first session
_SELECT_PCR = struct.pack(">HB3s", 0x000B, 3, (1 << _PCR).to_bytes(3, "little"))  # sha256, TPMS_PCR_SELECTION
# Every lab device "booted" the same software, so they all measure the same value into PCR 7.
BOOT_MEASUREMENT = hashlib.sha256(b"edgefleet demo: stand-in for measured boot").digest()


def transmit(port: int, command: bytes, *, allowed: t.Container[int] = (0,)) -> bytes:
    """Send one command to the swtpm at a loopback port and return the response's body. ``allowed`` are the response codes to accept.

    Raises:
        DemoError: the TPM does not answer, or refuses.
    """
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as link:
            link.sendall(command)
            head = _receive(link, 10)
            _tag, size, code = struct.unpack(">HII", head)
            body = _receive(link, size - 10)
    except OSError as exc:
        raise DemoError(f"The software TPM at port {port} does not answer ({exc}): run `demo/clean`, then `make demo`.") from exc
    if code not in allowed:
        raise DemoError(f"The software TPM at port {port} answered {code:#x} to the demo's start-up: run `demo/clean`, then `make demo`.")
    return body


def measure_boot(port: int) -> None:
    """Extend PCR 7 once after each start. A PCR of zeros means that nothing was measured, and we refuse to seal to that."""
    body = transmit(port, struct.pack(">HIII", 0x8001, 14 + len(_SELECT_PCR), 0x0000017E, 1) + _SELECT_PCR)  # PCR_Read
    if any(body[-32:]):
        return
    digests = struct.pack(">IH", 1, 0x000B) + BOOT_MEASUREMENT
    tail = struct.pack(">I", _PCR) + _EMPTY_PASSWORD + digests
    transmit(port, struct.pack(">HII", 0x8002, 10 + len(tail), 0x00000182) + tail)  # PCR_Extend


def close_platform(port: int) -> None:
    """Set the platform hierarchy's auth to a random value that is not kept (TPM2_HierarchyChangeAuth), unless this was done since power on."""
    auth = secrets.token_bytes(32)
    tail = struct.pack(">I", _PLATFORM) + _EMPTY_PASSWORD + struct.pack(">H", len(auth)) + auth
    transmit(port, struct.pack(">HII", 0x8002, 10 + len(tail), 0x00000129) + tail, allowed=(0, _BAD_AUTH))


def shut_down(port: int) -> None:
    """TPM2_Shutdown(CLEAR), as an operating system sends before it powers off."""
    transmit(port, struct.pack(">HIIH", 0x8001, 12, 0x00000145, 0))


def _receive(link: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = link.recv(count - len(data))
        if not piece:
            raise OSError("the connection was closed")
        data += piece
    return data
