# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TCP proxy in front of a swtpm: records every TPM command and injects faults at an exact position.

Positions count from 0 at the last `reset()`, over every command a client sends (also those that are answered here or dropped).
"""

from __future__ import annotations

import dataclasses
import socket
import struct
import threading
import time
import typing as t

from support.commands import CODES, LOADS, Record
from support.ports import PortPair
from support.raw import receive_message
from support.swtpm import Swtpm

FOREVER = 1 << 60
_POLL_SECONDS = 0.05
_FORWARD_SECONDS = 120.0


@dataclasses.dataclass
class _Rule:
    kind: t.Literal["rc", "drop_request", "drop_response", "before", "after", "answer"]
    at: int | None
    code: int | None
    times: int
    rc: int = 0
    callback: t.Callable[[Record], object] | None = None
    made: t.Callable[[Record], bytes] | None = None

    def takes(self, record: Record) -> bool:
        """Whether it applies to this command; counts it down if so."""
        if self.times <= 0 or self.at not in (None, record.index) or self.code not in (None, record.code):
            return False
        self.times -= 1
        return True


class Drop(Exception):
    """Raised by a `before` callback: do not forward this command, close the connection. By an `after` callback: do not answer."""


class Proxy:
    """Listens on its own pair of ports in front of `swtpm`; a context manager. One client at a time, like swtpm itself."""

    def __init__(self, swtpm: Swtpm) -> None:
        self.swtpm = swtpm
        self.delay = 0.0
        self.records: list[Record] = []
        self.connections = 0
        self.errors: list[Exception] = []
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self.ports, self._data, self._control = _listen()
        self._threads = [
            threading.Thread(target=self._accept, args=(self._data, self._serve_data), daemon=True),
            threading.Thread(target=self._accept, args=(self._control, self._serve_control), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def tcti(self) -> str:
        """The TCTI string of the proxy."""
        return self.ports.tcti

    def close(self) -> None:
        """Stop serving and give the ports back; the swtpm behind it goes on. Raises what a callback raised."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._data.close()
        self._control.close()
        self.ports.release()
        if self.errors:
            raise self.errors[0]

    # Records

    def reset(self) -> None:
        """Forget records and rules; positions count from 0 again."""
        with self._lock:
            self.records, self._rules, self.connections, self.delay = [], [], 0, 0.0

    def count(self) -> int:
        """Number of TPM commands since the last reset."""
        return len(self.records)

    def codes(self) -> list[str]:
        """The commands' names in order."""
        return [record.name for record in self.records]

    def writes(self) -> list[Record]:
        """The commands that change what survives a power cycle, or a PCR."""
        return [record for record in self.records if record.is_write]

    def sessions(self) -> list[Record]:
        """The commands that start a session."""
        return [record for record in self.records if record.name == "TPM2_StartAuthSession"]

    def loads(self) -> list[Record]:
        """The commands that leave a transient object."""
        return [record for record in self.records if record.name in LOADS]

    def key_generations(self) -> list[Record]:
        """The commands with which the TPM made an asymmetric key."""
        return [record for record in self.records if record.is_key_generation and record.acted]

    def wire(self) -> bytes:
        """All bytes of all requests and responses, one after another with a separator."""
        return b"\0--\0".join(part for record in self.records for part in (record.request, record.response))

    # Faults

    def inject_rc(self, rc: int, *, at: int | None = None, code: int | str | None = None, times: int = 1) -> None:
        """Answer with `rc` instead of asking the TPM, `times` times, at position `at` and/or for the command `code` (number or name).

        With `at`, the position is that of the first answer: a resent command has a new position, so later answers go to the next
        commands with the same code.
        """
        if at is None:
            self._add("rc", None, code, times, rc=rc)
            return
        self._add("rc", at, code, 1, rc=rc, callback=lambda record: self._add("rc", None, record.code, times - 1, rc=rc))

    def drop_request(self, at: int | None = None, *, code: int | str | None = None, times: int = 1) -> None:
        """Close the connection instead of forwarding the command: the TPM never sees it."""
        self._add("drop_request", at, code, times)

    def drop_response(self, at: int | None = None, *, code: int | str | None = None, times: int = 1) -> None:
        """Let the TPM act, then close the connection without its response."""
        self._add("drop_response", at, code, times)

    def before(self, at: int | None, callback: t.Callable[[Record], object], *, code: int | str | None = None) -> None:
        """Hold the command, run `callback`, then forward it (unless the callback raises `Drop`)."""
        self._add("before", at, code, 1, callback=callback)

    def after(self, at: int | None, callback: t.Callable[[Record], object], *, code: int | str | None = None) -> None:
        """Let the TPM act, hold the response, run `callback`, then hand the response on (unless the callback raises `Drop`)."""
        self._add("after", at, code, 1, callback=callback)

    def answer(self, at: int | None, made: t.Callable[[Record], bytes], *, code: int | str | None = None, times: int = 1) -> None:
        """Answer with what `made` returns; if that is empty, ask the TPM."""
        self._add("answer", at, code, times, made=made)

    def _add(self, kind: t.Any, at: int | None, code: int | str | None, times: int, **rest: t.Any) -> None:
        number = CODES[code] if isinstance(code, str) else code
        with self._lock:
            self._rules.append(_Rule(kind, at, number, times, **rest))

    def _matching(self, record: Record, *kinds: str) -> list[_Rule]:
        with self._lock:
            return [rule for rule in self._rules if rule.kind in kinds and rule.takes(record)]

    # Serving

    def _accept(self, listener: socket.socket, serve: t.Callable[[socket.socket], None]) -> None:
        while not self._stopping.is_set():
            try:
                client, _address = listener.accept()
            except TimeoutError:
                continue
            with client:
                client.settimeout(_POLL_SECONDS)
                try:
                    serve(client)
                except OSError:
                    pass  # the reset connection of a client that was killed, which the tests do on purpose
                except Exception as error:  # a callback's failed assertion must reach the test, not end this thread
                    self.errors.append(error)

    def _wait_for_data(self, client: socket.socket) -> bool:
        """True when bytes are waiting; False when the client has gone or the proxy stops."""
        while not self._stopping.is_set():
            try:
                return client.recv(1, socket.MSG_PEEK) != b""
            except TimeoutError:
                continue
        return False

    def _serve_control(self, client: socket.socket) -> None:
        while self._wait_for_data(client):
            request = client.recv(65536)
            with _connect(self.swtpm.ports.control) as upstream:
                upstream.sendall(request)
                response = upstream.recv(65536)
            if not response:
                return
            client.sendall(response)

    def _serve_data(self, client: socket.socket) -> None:
        self.connections += 1
        upstream: socket.socket | None = None
        try:
            while self._wait_for_data(client):
                client.settimeout(_FORWARD_SECONDS)
                request = receive_message(client)
                client.settimeout(_POLL_SECONDS)
                if not request:
                    return
                with self._lock:
                    record = Record(len(self.records), request)
                    self.records.append(record)
                try:
                    if self._answer_here(record):
                        record.injected = True
                    else:
                        upstream = upstream or _connect(self.swtpm.ports.data)
                        self._forward(record, upstream)
                except Drop:
                    return
                if not record.response:
                    return
                record.answered = True
                client.sendall(record.response)
        finally:
            if upstream is not None:
                upstream.close()

    def _answer_here(self, record: Record) -> bool:
        """Apply the rules before the TPM is asked; return whether one of them made the response. Raises Drop."""
        if self.delay:
            time.sleep(self.delay)
        for rule in self._matching(record, "before"):
            if rule.callback is not None:
                rule.callback(record)
        if self._matching(record, "drop_request"):
            raise Drop
        for rule in self._matching(record, "rc")[:1]:
            record.response = struct.pack(">HII", 0x8001, 10, rule.rc)
            if rule.callback is not None:
                rule.callback(record)
        for rule in self._matching(record, "answer"):
            if rule.made is not None:
                record.response = rule.made(record)
        return bool(record.response)

    def _forward(self, record: Record, upstream: socket.socket) -> None:
        """Let the TPM act, then apply the rules for after that. Raises Drop, OSError."""
        upstream.sendall(record.request)
        record.forwarded = True
        record.response = receive_message(upstream)
        for rule in self._matching(record, "after"):
            if rule.callback is not None:
                rule.callback(record)
        if self._matching(record, "drop_response"):
            raise Drop


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=_FORWARD_SECONDS)


def _listen() -> tuple[PortPair, socket.socket, socket.socket]:
    for _attempt in range(20):
        ports, sockets = PortPair(), []
        try:
            for port in (ports.data, ports.control):
                sock = socket.socket()
                sockets.append(sock)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(("127.0.0.1", port))
                sock.listen(16)
                sock.settimeout(_POLL_SECONDS)
        except OSError:
            for sock in sockets:
                sock.close()
            ports.release()
            continue
        return ports, sockets[0], sockets[1]
    raise RuntimeError("no ports for the proxy after 20 attempts")
