# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server for support/warm.py: a Python that has imported what its runs import, and forks for each of them.

This file runs on the Pythons of devices and of controllers, and imports nothing else of the test bed.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import selectors
import signal
import socket
import sys
import threading
import typing as t

REQUEST_BYTES = 1 << 20
Request = dict[str, t.Any]


class Server:
    """A Python that has called `load` and done nothing else; it forks for each request on a socket.

    A request is JSON (`cwd`, `umask`, `environment`, and values for the run) with four descriptors: the child's channel and its standard
    streams. A message on the channel, or its end, kills the child. The child's return code (negative: the signal) is written to the channel.
    If the socket listens, each connection is a channel, and its first message is the request, with only the streams.
    """

    def __init__(self, descriptor: int) -> None:
        self._control = socket.socket(fileno=descriptor)
        self._listens = bool(self._control.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        self._channels: dict[int, socket.socket] = {}
        # A signal writes a byte here, so that none is lost between two calls of select.
        self._woken, self._waker = socket.socketpair()
        self._waiting = selectors.DefaultSelector()

    def serve(self, load: t.Callable[[], None]) -> Request:
        """Serve until the other end is closed, then end this process. In a child, return its request."""
        load()
        # Objects that exist now are shared with all children, so the garbage collector ignores them.
        gc.collect()
        gc.freeze()
        self._waker.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        self._waiting.register(self._control, selectors.EVENT_READ)
        self._waiting.register(self._woken, selectors.EVENT_READ)
        while True:
            for key, _events in self._waiting.select():
                if key.fileobj is self._woken:
                    self._reap()
                elif key.fileobj is not self._control:
                    self._kill(key.data)
                elif request := self._accept():
                    return request

    def _accept(self) -> Request:
        source = self._control.accept()[0] if self._listens else self._control
        request, descriptors, _flags, _address = socket.recv_fds(source, REQUEST_BYTES, 4)
        if self._listens:
            descriptors.insert(0, source.detach())
        if not request and self._listens:
            os.close(descriptors[0])  # the client is gone already
            return {}
        if not request:
            for child in self._channels:
                os.kill(child, signal.SIGKILL)
            # Not SystemExit, because exit handlers that the imports have registered must run only in children.
            os._exit(0)
        child = os.fork()
        if not child:
            return self._begin(json.loads(request), descriptors)
        self._channels[child] = socket.socket(fileno=descriptors[0])
        self._waiting.register(self._channels[child], selectors.EVENT_READ, child)
        for descriptor in descriptors[1:]:
            os.close(descriptor)
        return {}

    def _begin(self, request: Request, descriptors: list[int]) -> Request:
        # In the child: close everything of this server.
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._waiting.close()
        for one in (self._control, self._woken, self._waker, *self._channels.values()):
            one.close()
        for stream, descriptor in enumerate(descriptors[1:]):
            os.dup2(descriptor, stream)
        for descriptor in descriptors:
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["cwd"])
        os.umask(request["umask"])
        return request

    def _kill(self, child: int) -> None:
        # The child is not reaped while its channel is known, so the process id is still its own.
        self._waiting.unregister(self._channels[child])
        os.kill(child, signal.SIGKILL)

    def _reap(self) -> None:
        self._woken.recv(REQUEST_BYTES)
        for child in list(self._channels):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                channel = self._channels.pop(child)
                if channel.fileno() in self._waiting.get_map():
                    self._waiting.unregister(channel)
                try:
                    channel.sendall(str(os.waitstatus_to_exitcode(status)).encode())
                except OSError:
                    pass  # the client does not wait any more
                channel.close()


def run(main: t.Callable[[], None]) -> t.NoReturn:
    """Call `main`, which serves and in a child returns, and end as Python does: status, exit handlers, output; but leave the objects alone.

    Python would visit and free every object that was imported, and so copy most of the memory that a child shares with its server.
    """
    status = 0
    try:
        main()
    except SystemExit as end:
        status = _status(end.code)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            status = status or 120  # as Python has it
    os._exit(status)


def _status(code: object) -> int:
    if code is None or isinstance(code, int):
        return (code or 0) & 0xFF
    print(code, file=sys.stderr)
    return 1


def forget_this_folder() -> None:
    """Remove this folder from the search path, where it would shadow a module of the standard library (`profile`)."""
    sys.path[:] = [path for path in sys.path if path != os.path.dirname(os.path.abspath(__file__))]
