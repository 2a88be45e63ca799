# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules in processes that are forked from a warm Python: all that a module does, without starting an interpreter and importing for each run.

One server per interpreter and per process of pytest (run_module.py has its other side); it ends with that process.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import socket
import subprocess
import threading
import typing as t


class Child:
    """A forked module under way; like a Popen, as far as that is needed."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def poll(self) -> int | None:
        """Its return code, None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Its return code, negative where a signal ended it. Raises subprocess.TimeoutExpired."""
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        if not poll.poll(None if timeout is None else timeout * 1000):
            raise subprocess.TimeoutExpired("a module", timeout or 0)
        # Looked at, not taken: two threads may wait, the test's own and the proxy's that kills.
        code = self._channel.recv(16, socket.MSG_PEEK)
        if not code:
            raise RuntimeError("the server of modules ended: its own output says why")
        return int(code)

    def kill(self) -> None:
        """SIGKILL to it alone; `wait` returns when it is gone."""
        try:
            self._channel.send(b"k")
        except BrokenPipeError:
            pass  # it has ended


class Server:
    """A warm Python; `start` forks it. Raises RuntimeError in a wait where it cannot import what modules need."""

    def __init__(self, runner: str, python: str, environment: dict[str, str]) -> None:
        self._control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [python, runner, "--serve", str(other.fileno())]
        with other:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, pass_fds=[other.fileno()])
        atexit.register(self.close)

    def start(self, module: str, streams: t.Sequence[int], environment: dict[str, str], bounds: t.Mapping[str, float]) -> Child:
        """Fork a child that runs `module` with standard input, output and error as given, in this process's folder and with its umask."""
        request = {"module": module, "cwd": os.getcwd(), "umask": _umask(), "environment": environment, "bounds": dict(bounds)}
        mine, other = socket.socketpair()
        with other:
            socket.send_fds(self._control, [json.dumps(request).encode()], [other.fileno(), *streams])
        return Child(mine)

    def close(self) -> None:
        """End it, and what it has forked."""
        self._control.close()
        self._process.wait()


def _umask() -> int:
    # There is no other way to ask but for Linux' own.
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1], 8) for line in status if line.startswith("Umask:"))


_STARTING = threading.Lock()


def server(runner: str, python: str, environment: dict[str, str]) -> Server:
    """The server of this interpreter, started when it is first asked for; its search path is that of `environment`.

    Whoever has forked since, and perhaps become another user, gets one of his own: its children are what he is.
    """
    with _STARTING:
        settings = tuple(sorted(item for item in environment.items() if item[0].startswith("PYTHON")))
        return _server(runner, python, settings, (os.getpid(), *os.getresuid(), *os.getresgid(), *os.getgroups()))


@functools.cache
def _server(runner: str, python: str, settings: tuple[tuple[str, str], ...], _who: tuple[int, ...]) -> Server:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return Server(runner, python, {**environment, **dict(settings)})
