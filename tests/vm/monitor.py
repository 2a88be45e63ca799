# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's monitor over its UNIX socket: a line is sent, what comes up to the next prompt is the answer."""

from __future__ import annotations

import pathlib
import re
import socket
import subprocess

from vm.process import wait_until

_PROMPT = b"(qemu) "
_ANSWER_SECONDS = 300.0


class Monitor:
    """The monitor of one QEMU process."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._socket: socket.socket | None = None

    def connect(self, qemu: subprocess.Popen[bytes]) -> None:
        """Wait for the monitor of a process that has just been started. Raises RuntimeError where it has ended."""
        wait_until("QEMU's monitor", self._try, alive=qemu, seconds=120)

    def _try(self) -> bool:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(_ANSWER_SECONDS)
        try:
            sock.connect(str(self.path))
        except OSError:
            sock.close()
            return False
        self._socket = sock
        self._read()
        return True

    def _read(self) -> str:
        assert self._socket is not None
        received = b""
        while not received.endswith(_PROMPT):
            piece = self._socket.recv(65536)
            if not piece:
                raise RuntimeError("QEMU closed its monitor")
            received += piece
        return received.decode(errors="replace")

    def command(self, line: str) -> str:
        """Send a command and return what it says. Raises RuntimeError with its error, if it says one."""
        if self._socket is None:
            raise RuntimeError(f"the machine is off: {line}")
        self._socket.sendall(line.encode() + b"\n")
        # The line comes back first, with the escapes of an editor of lines.
        said = re.sub(r"\x1b\[[0-9;]*[A-Z]", "", self._read()).removesuffix(_PROMPT.decode())
        said = said.partition("\n")[2].strip()
        if re.match(r"(?i)error|unknown command", said) or "does not have the requested snapshot" in said:
            raise RuntimeError(f"QEMU's monitor, {line}: {said}")
        return said

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
