# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs modules and ansible-playbook in processes that are forked from a warm Python, so that a run need not import everything again.

One server per interpreter and per process of pytest (forks.py, run_module.py and run_playbook.py are its other side); it ends with that process.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import pathlib
import select
import socket
import subprocess
import tempfile
import threading
import typing as t


class Child:
    """A running fork, with the few methods of Popen that we need."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def poll(self) -> int | None:
        """The return code, None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its return code, negative if a signal ended it. Raises subprocess.TimeoutExpired."""
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        if not poll.poll(None if timeout is None else timeout * 1000):
            raise subprocess.TimeoutExpired("a forked run", timeout or 0)
        # The data are only peeked at, because two threads may wait: the test's, and the proxy's, which kills.
        code = self._channel.recv(16, socket.MSG_PEEK)
        if not code:
            raise RuntimeError("the server of forks ended: its own output says why")
        return int(code)

    def kill(self) -> None:
        """SIGKILL to only this process; `wait` returns when it is gone."""
        try:
            self._channel.send(b"k")
        except BrokenPipeError:
            pass  # it has ended


class Server:
    """A warm Python; `start` forks it. `wait` raises RuntimeError if it cannot import what its runs need. `enter` is a command that starts it elsewhere."""

    def __init__(self, runner: str, python: str, environment: dict[str, str], enter: t.Sequence[str] = ()) -> None:
        self._control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [*enter, python, runner, "--serve", str(other.fileno())]
        with other:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, pass_fds=[other.fileno()])
        atexit.register(self.close)

    def start(self, streams: t.Sequence[int], environment: dict[str, str], **run: t.Any) -> Child:
        """Fork a child for `run` with the given standard streams, in this process's folder and with its umask."""
        request = {"cwd": os.getcwd(), "umask": _umask(), "environment": environment, **run}
        mine, other = socket.socketpair()
        with other:
            socket.send_fds(self._control, [json.dumps(request).encode()], [other.fileno(), *streams])
        return Child(mine)

    def close(self) -> None:
        """End it and its children."""
        self._control.close()
        self._process.wait()


class Interpreter:
    """A warm Python that Ansible can start: `python` is a file for ansible_python_interpreter.

    `enter` is a command that starts it elsewhere, `parent` a folder that is the same there.
    """

    def __init__(
        self, runner: str, asks: str, python: str, path: str, enter: t.Sequence[str] = (), parent: pathlib.Path | None = None
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="edgefleet-python-", dir=parent)
        os.chmod(self._folder.name, 0o755)
        place = os.path.join(self._folder.name, "socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
            listening.bind(place)
            listening.listen(128)
            command = [*enter, python, runner, "--serve", str(listening.fileno()), path]
            environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")} | {"PYTHONPATH": path}
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, pass_fds=[listening.fileno()])
        self.python = os.path.join(self._folder.name, "python3")
        with open(self.python, "w", encoding="ascii") as file:
            file.write(f'#!/bin/sh\nexec /usr/bin/python3 -I -S {asks} {place} {python} "$@"\n')
        os.chmod(self.python, 0o755)
        atexit.register(self.close)

    def close(self) -> None:
        """End it. Its children end by themselves."""
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()


def _umask() -> int:
    # Linux has the only way to ask for this.
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1], 8) for line in status if line.startswith("Umask:"))


_STARTING = threading.Lock()


def server(runner: str, python: str, environment: dict[str, str], *settings: str) -> Server:
    """The server of this interpreter, started on first use. It gets the PYTHON… variables of `environment`, and those that `settings` name.

    A process that has forked since, and perhaps changed its user, gets a server of its own, whose children have the same user.
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
