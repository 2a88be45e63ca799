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
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _answer, _text
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import remote

# Seconds: until the program answers for the first time, and for one exchange; a slow TPM makes an RSA key in minutes.
START, PATIENCE = 60.0, 600.0
_ENDING = 5.0
# Bytes that are kept of what the program and those who start it say about errors.
_WORDS = 2000
MARK = "edgefleet-relay-begins"
# Reads the program from its own standard input, and not from its arguments, which everybody on the device sees. What comes before the
# mark (a password for sudo, which did not ask for it) is skipped.
_LOADER = f'import sys\nf=sys.stdin.buffer\nfor l in f:\n if l==b"{MARK}\\n":exec(f.read(int(f.readline())))'
_READY = b'{"ready": true}'
NOT_STARTED = "Could not start the relay on the device: {how}; {cure}."
LOST = (
    "Could not go on with the device: the connection to it {how} in mid-work; see that it is up, and run again: a further run continues where this one "
    "has ended."
)
# What to do about a program that has ended before it was ready, by its exit status: of a shell (POSIX, section 2.8.2), of ssh.
_CURES = {
    126: "set ansible_python_interpreter to {needs} that may be executed",
    127: "set ansible_python_interpreter to {needs}",
    255: "see that Ansible reaches the device (ansible.builtin.ping)",
}
_CURE = "see that the device has {needs}, and that become works there without a terminal (ansible.builtin.ping)"


class Speech(t.NamedTuple):
    """How a relay is started and asked.

    ``command``: what a connection has to run; ``begin``: what that reads after the mark; ``question``: what it reads for one exchange;
    ``answer``: what the line means that it prints then, which raises ValueError; ``needs``: what it needs on the device; ``cures``: what to do if it does
    not start, by the exit status.
    """

    command: str
    begin: str
    question: t.Callable[[dict[str, t.Any]], str]
    answer: t.Callable[[dict[str, t.Any], bytes], t.Any]
    needs: str
    cures: t.Mapping[int, str]


def python(interpreter: str, environment: str, program: str) -> Speech:
    """The relay in Python. ``environment``: assignments for a shell, or ""; ``program``: with its arguments."""
    return Speech(
        f"{environment} {interpreter} -c {shlex.quote(_LOADER)}".strip(),
        f"{len(program.encode())}\n{program}",
        lambda asked: json.dumps(asked) + "\n",
        lambda _asked, line: json.loads(line),
        "a Python 3.6 or newer",
        _CURES,
    )


class Channel:
    """The relay at the other end of a process. Raises TransportError when it is lost, or sends what no relay sends."""

    def __init__(self, arguments: t.Sequence[str] | str, speech: Speech, password: str = "", folder: str | None = None) -> None:
        """Start the process. ``speech``: that of the relay it starts; ``password``: what is answered if the device asks for one first."""
        shell, pipe = isinstance(arguments, str), subprocess.PIPE
        try:
            self._process = subprocess.Popen(arguments, shell=shell, stdin=pipe, stdout=pipe, stderr=pipe, cwd=folder, bufsize=0)
        except OSError as error:
            how, cure = f"this controller could not start a program ({error.strerror})", "mend this on the controller, then run again"
            raise errors.TransportError(NOT_STARTED.format(how=how, cure=cure), errors.BROKEN, reason="no_relay") from None
        self._input, self._output, self._errors = (
            t.cast("t.IO[bytes]", one).fileno() for one in (self._process.stdin, self._process.stdout, self._process.stderr)
        )
        # A device that reads nothing must not stop us.
        os.set_blocking(self._input, False)
        self._read, self._said = bytearray(), b""
        self._started = self._closed = False
        self._speech = speech
        begin = (f"{password}\n" if password else "") + f"{MARK}\n{speech.begin}"
        deadline = time.monotonic() + START
        try:
            self._write(begin.encode(), deadline)
            # Before the relay's first line there may be others, from a shell's profile or from become.
            while self._line(deadline).strip() != _READY:
                pass
        except BaseException:
            self.close()
            raise
        self._started = True

    def ask(self, asked: dict[str, t.Any]) -> t.Mapping[str, t.Any]:
        """One exchange (see ``remote.Carry``). Raises TransportError; after that, the relay has been ended."""
        deadline = time.monotonic() + PATIENCE
        self._check_silent()
        self._write(self._speech.question(asked).encode("utf-8", "surrogateescape"), deadline)
        line = self._line(deadline)
        self._check_silent()
        try:
            return _answer.taken(remote.ANSWER, self._speech.answer(asked, line))
        except (ValueError, RecursionError, _answer.MalformedError):
            raise self._malformed("it is not of the kind that was asked for") from None

    def _check_silent(self) -> None:
        """Raises TransportError if there is an answer that nobody asked for, which would be taken for the next one."""
        if self._closed:
            raise self._lost("ended")
        ready = self._wait(0, self._output)
        if self._read or (ready and os.read(self._output, 1)):
            raise self._malformed("it came without being asked for")

    def _write(self, data: bytes, deadline: float) -> None:
        left = memoryview(data)
        while left:
            self._await(self._input, deadline)
            try:
                left = left[os.write(self._input, left) :]
            except BlockingIOError:
                continue  # more was to be written than fits
            except OSError:
                raise self._lost("ended") from None

    def _line(self, deadline: float) -> bytes:
        searched = 0
        while (end := self._read.find(b"\n", searched)) < 0:
            searched = len(self._read)
            if searched > _answer.MOST_BYTES:
                raise self._malformed("it is too long")
            self._await(self._output, deadline)
            piece = os.read(self._output, 1 << 16)
            if not piece:
                raise self._lost("ended")
            self._read += piece
        line = bytes(self._read[:end])
        del self._read[: end + 1]
        return line

    def _await(self, descriptor: int, deadline: float) -> None:
        left = deadline - time.monotonic()
        # Time is also up for a device that never stops to send.
        if left <= 0 or not self._wait(left, descriptor):
            raise self._lost("was silent for too long", errors.NO_ANSWER)

    def _wait(self, seconds: float, descriptor: int) -> bool:
        """Wait until something can be read or written, and keep what is said about errors meanwhile. Returns False if it takes too long."""
        until = time.monotonic() + seconds
        while True:
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT if descriptor == self._input else select.POLLIN)
            if self._errors >= 0:
                poll.register(self._errors, select.POLLIN)
            ready = dict(poll.poll(max(0.0, until - time.monotonic()) * 1000))
            if ready.pop(self._errors, 0):
                self._listen()
            if ready or time.monotonic() >= until:
                return bool(ready)

    def _listen(self) -> None:
        piece = os.read(self._errors, 1 << 16)
        self._said = (self._said + piece)[-_WORDS:]
        if not piece:
            self._errors = -1  # there will be no more, and its end would wake us all the time

    def _lost(self, how: str, kind: str = errors.BROKEN) -> errors.TransportError:
        status = self.close()
        # Only the last line, which says what went wrong, and not where.
        lines = self._said.decode(errors="replace").split("\n")
        said = next((f" ('{_text.shown(line.strip(), 160)}')" for line in reversed(lines) if line.strip()), "")
        if self._started:
            return errors.TransportError(LOST.format(how=how + said), kind)
        if kind == errors.BROKEN:
            how = f"it ended with the exit status {status} before it was ready"
        else:
            how = f"it was not ready within {START:.0f} s"
        cure = self._speech.cures.get(status, _CURE).format(needs=self._speech.needs)
        return errors.TransportError(NOT_STARTED.format(how=how + said, cure=cure), kind, reason="no_relay")

    def _malformed(self, how: str) -> errors.TransportError:
        self.close()
        return malformed(how)

    def close(self) -> int:
        """End the relay, by ending its input, and the process. Returns its exit status."""
        if not self._closed:
            self._closed = True
            for stream in (self._process.stdin, self._process.stdout):
                t.cast("t.IO[bytes]", stream).close()
            until = time.monotonic() + _ENDING
            while self._process.poll() is None and time.monotonic() < until:
                self._hear(0.02)
            if self._process.poll() is None:
                self._process.kill()
            while self._hear(0) and time.monotonic() < until:
                pass
            t.cast("t.IO[bytes]", self._process.stderr).close()
        return self._process.wait()

    def _hear(self, seconds: float) -> bool:
        """Listen for so long. Returns whether anything was said."""
        if self._errors < 0:
            time.sleep(seconds)
            return False
        poll = select.poll()
        poll.register(self._errors, select.POLLIN)
        heard = bool(poll.poll(seconds * 1000))
        if heard:
            self._listen()
        return heard


def malformed(how: str) -> errors.TransportError:
    """The error for something that the relay never sends. ``how``: a clause."""
    return errors.TransportError(
        f"Could not take an answer of the relay on the device: {how}; nothing of it was believed; see whether the device is what it says it is, "
        "and whether something on it prints more than it is asked for.",
        errors.BROKEN,
        reason="malformed_answer",
    )


__all__ = ("MARK", "Channel", "Speech", "malformed", "python")
