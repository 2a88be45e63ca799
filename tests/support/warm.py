# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of modules and of ansible-playbook in processes that are forked from a warm Python: all that they do, without importing for each run.

One server per interpreter and per process of pytest (forks.py, run_module.py and run_playbook.py are its other side); it ends with that process.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import socket
import subprocess
import tempfile
import threading
import typing as t


class Child:
    """A forked run under way; like a Popen, as far as that is needed."""

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
            raise subprocess.TimeoutExpired("a forked run", timeout or 0)
        # Looked at, not taken: two threads may wait, the test's own and the proxy's that kills.
        code = self._channel.recv(16, socket.MSG_PEEK)
        if not code:
            raise RuntimeError("the server of forks ended: its own output says why")
        return int(code)

    def kill(self) -> None:
        """SIGKILL to it alone; `wait` returns when it is gone."""
        try:
            self._channel.send(b"k")
        except BrokenPipeError:
            pass  # it has ended


class Server:
    """A warm Python; `start` forks it. Raises RuntimeError in a wait where it cannot import what its runs need."""

    def __init__(self, runner: str, python: str, environment: dict[str, str]) -> None:
        self._control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [python, runner, "--serve", str(other.fileno())]
        with other:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, pass_fds=[other.fileno()])
        atexit.register(self.close)

    def start(self, streams: t.Sequence[int], environment: dict[str, str], **run: t.Any) -> Child:
        """Fork a child for `run` with standard input, output and error as given, in this process's folder and with its umask."""
        request = {"cwd": os.getcwd(), "umask": _umask(), "environment": environment, **run}
        mine, other = socket.socketpair()
        with other:
            socket.send_fds(self._control, [json.dumps(request).encode()], [other.fileno(), *streams])
        return Child(mine)

    def close(self) -> None:
        """End it, and what it has forked."""
        self._control.close()
        self._process.wait()


class Interpreter:
    """A warm Python that is started like one: `python` is a file that Ansible can take for a device's interpreter."""

    def __init__(self, runner: str, asks: str, python: str, path: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="edgefleet-python-")
        os.chmod(self._folder.name, 0o755)
        place = os.path.join(self._folder.name, "socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
            listening.bind(place)
            listening.listen(128)
            command = [python, runner, "--serve", str(listening.fileno()), path]
            environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")} | {"PYTHONPATH": path}
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, pass_fds=[listening.fileno()])
        self.python = os.path.join(self._folder.name, "python3")
        with open(self.python, "w", encoding="ascii") as file:
            file.write(f'#!/bin/sh\nexec /usr/bin/python3 -I -S {asks} {place} {python} "$@"\n')
        os.chmod(self.python, 0o755)
        atexit.register(self.close)

    def close(self) -> None:
        """End it. What it has forked ends by itself."""
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()


def _umask() -> int:
    # There is no other way to ask but for Linux' own.
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1], 8) for line in status if line.startswith("Umask:"))


_STARTING = threading.Lock()


def server(runner: str, python: str, environment: dict[str, str], *settings: str) -> Server:
    """The server of this interpreter, started when it is first asked for; PYTHON… of `environment` is its own, and what `settings` name.

    Whoever has forked since, and perhaps become another user, gets one of his own: its children are what he is.
    """
    with _STARTING:
        given = tuple(sorted(item for item in environment.items() if item[0].startswith(("PYTHON", *settings))))
        return _server(runner, python, given, ("PYTHON", *settings), (os.getpid(), *os.getresuid(), *os.getresgid(), *os.getgroups()))


@functools.cache
def _server(runner: str, python: str, given: tuple[tuple[str, str], ...], own: tuple[str, ...], _who: tuple[int, ...]) -> Server:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(own)}
    return Server(runner, python, {**environment, **dict(given)})


@functools.cache
def interpreter(runner: str, asks: str, python: str, path: str) -> Interpreter:
    """The warm Python in place of `python`, with what is on the search path `path` imported."""
    return Interpreter(runner, asks, python, path)
