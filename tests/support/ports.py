# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of adjacent loopback ports, reserved across processes, so that parallel test workers never meet."""

from __future__ import annotations

import pathlib
import random
import socket

_FIRST_PORT = 10240
_EPHEMERAL = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")


def _end_port() -> int:
    # Below the ephemeral range, so that no client's port can occupy a TPM's port while that TPM restarts.
    low = int(_EPHEMERAL.read_text().split()[0]) if _EPHEMERAL.exists() else 32768
    return low if low > _FIRST_PORT + 1000 else 65536


def _is_free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class PortPair:
    """Data port `data` and control port `data` + 1 (tss's tcti-swtpm takes the next port for control).

    The reservation is an abstract UNIX socket, which the kernel removes when this process ends in any way.
    """

    def __init__(self) -> None:
        for _attempt in range(500):
            port = random.randrange(_FIRST_PORT, _end_port() - 1, 2)
            lock = socket.socket(socket.AF_UNIX)
            try:
                lock.bind(f"\0edgefleet-tpm2-ports-{port}")
            except OSError:
                lock.close()
                continue
            if _is_free(port) and _is_free(port + 1):
                self.data, self.control, self._lock = port, port + 1, lock
                return
            lock.close()
        raise RuntimeError("no two adjacent free ports on 127.0.0.1 after 500 attempts")

    def release(self) -> None:
        """Give the pair back."""
        self._lock.close()

    @property
    def tcti(self) -> str:
        """The pair as a TCTI configuration string."""
        return f"swtpm:host=127.0.0.1,port={self.data}"
