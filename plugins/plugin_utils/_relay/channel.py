# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A relay that stays: a program on the device whose standard input and output are ours, for the many exchanges of a change.

A TPM's sessions must outlive an exchange, and the kernel's resource manager ends them when its node is closed; and a change takes twenty
commands, for each of which a program would have to be started. The relay ends when this end is closed, by whatever.
"""

from __future__ import annotations

import json
import os
import select
import shlex
import subprocess
import time
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _answer
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import remote

# Seconds: until the program answers for the first time, and for one exchange; a slow TPM makes an RSA key in minutes.
START, PATIENCE = 60.0, 600.0
_ENDING = 5.0
_MARK = "edgefleet-relay-begins"
# Reads the program from its own standard input, and not from its arguments, which everybody on the device sees. What comes before the
# mark (a password for sudo, which did not ask for it) is skipped.
_LOADER = f'import sys\nf=sys.stdin.buffer\nfor l in f:\n if l==b"{_MARK}\\n":exec(f.read(int(f.readline())))'
LOST = (
    "Could not go on with the device: the connection to it {how} in mid-work; see that it is up, and run again: a further run continues where this one "
    "has ended."
)


def command(interpreter: str, environment: str) -> str:
    """The command that a connection has to run. ``environment``: assignments for a shell, or ""."""
    return f"{environment} {interpreter} -c {shlex.quote(_LOADER)}".strip()


class Channel:
    """The relay at the other end of a process. Raises TransportError when it is lost."""

    def __init__(self, arguments: t.Sequence[str] | str, program: str, password: str = "", folder: str | None = None) -> None:
        """Start the process. ``program``: what the relay is to run; ``password``: what is answered if the device asks for one first."""
        shell = isinstance(arguments, str)
        self._process = subprocess.Popen(
            arguments, shell=shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder
        )
        self._input, self._output = t.cast("t.IO[bytes]", self._process.stdin), t.cast("t.IO[bytes]", self._process.stdout)
        self._read = b""
        begin = (f"{password}\n" if password else "") + f"{_MARK}\n{len(program.encode())}\n{program}"
        try:
            self._write(begin.encode())
            deadline = time.monotonic() + START
            # Before the relay's first line there may be others, from a shell's profile or from become.
            while self._line(deadline).strip() != b'{"ready": true}':
                pass
        except errors.TransportError:
            self.close()
            raise

    def ask(self, asked: dict[str, t.Any]) -> t.Mapping[str, t.Any]:
        """One exchange (see ``remote.Carry``)."""
        self._write(json.dumps(asked).encode() + b"\n")
        line = self._line(time.monotonic() + PATIENCE)
        try:
            return _answer.taken(remote.ANSWER, json.loads(line))
        except (ValueError, RecursionError, _answer.MalformedError):
            raise errors.TransportError(LOST.format(how="brought something that the relay does not send"), errors.BROKEN) from None

    def _write(self, data: bytes) -> None:
        try:
            self._input.write(data)
            self._input.flush()
        except OSError:
            raise errors.TransportError(LOST.format(how="ended"), errors.BROKEN) from None

    def _line(self, deadline: float) -> bytes:
        number = self._output.fileno()
        while b"\n" not in self._read:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([number], [], [], left)[0]:
                raise errors.TransportError(LOST.format(how="was silent for too long"), errors.NO_ANSWER)
            piece = os.read(number, 1 << 16)
            if not piece or len(self._read) > _answer.MOST_BYTES:
                raise errors.TransportError(LOST.format(how="ended"), errors.BROKEN)
            self._read += piece
        line, _end, self._read = self._read.partition(b"\n")
        return line

    def close(self) -> None:
        """End the relay, by ending its input, and the process."""
        try:
            self._input.close()
        except OSError:
            pass  # what was still to be written is of no use any more
        try:
            self._process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()


__all__ = ("Channel", "command")
