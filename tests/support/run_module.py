# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run modules of the collection in this Python, without AnsiballZ: ``run_module.py MODULE``, arguments as JSON on standard input.

Never in argv: arguments hold secrets. ``run_module.py --serve FD`` imports what modules import, and forks for each module (support/warm.py asks).
This file runs on the device's Python and imports nothing else of the test bed.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys

COLLECTION = "ansible_collections.edgefleet.tpm2.plugins"
REQUEST_BYTES = 1 << 20


def main() -> None:
    """Hand the arguments to AnsibleModule as the wrapper of ansible-core would, and run the module as `__main__`."""
    # This folder would shadow modules of the standard library for the module under test (`profile`).
    sys.path[:] = [path for path in sys.path if path != os.path.dirname(os.path.abspath(__file__))]
    module = Server(int(sys.argv[2])).serve() if sys.argv[1] == "--serve" else sys.argv[1]
    arguments = json.load(sys.stdin)
    from ansible.module_utils import basic

    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    if hasattr(basic, "_ANSIBLE_PROFILE"):
        basic._ANSIBLE_PROFILE = "legacy"
    sys.argv = [module]
    runpy.run_module(f"{COLLECTION}.modules.{module}", run_name="__main__")


class Server:
    """A Python that has imported all that modules import, and has done nothing else; it forks for each request on a socket.

    A request is JSON (`module`, `cwd`, `umask`, `environment`, `bounds`) with four descriptors: the channel of this child, and its standard
    streams. `bounds` are values of names in module_utils that this child has in place of the shipped ones.
    What is read from a channel, also its end, kills the child; its return code (negative: the signal) is written there.
    """

    def __init__(self, descriptor: int) -> None:
        self._control = socket.socket(fileno=descriptor)
        self._channels: dict[int, socket.socket] = {}
        # A signal that comes between two looks is not lost: it leaves a byte here.
        self._woken, self._waker = socket.socketpair()
        self._waiting = selectors.DefaultSelector()

    def serve(self) -> str:
        """Serve until the other end is closed, and end this process; a child returns with the name of its module, as if just started."""
        load()
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
                elif module := self._accept():
                    return module

    def _accept(self) -> str:
        request, descriptors, _flags, _address = socket.recv_fds(self._control, REQUEST_BYTES, 4)
        if not request:
            for child in self._channels:
                os.kill(child, signal.SIGKILL)
            raise SystemExit
        child = os.fork()
        if not child:
            return self._begin(json.loads(request), descriptors)
        self._channels[child] = socket.socket(fileno=descriptors[0])
        self._waiting.register(self._channels[child], selectors.EVENT_READ, child)
        for descriptor in descriptors[1:]:
            os.close(descriptor)
        return ""

    def _begin(self, request: dict[str, object], descriptors: list[int]) -> str:
        # The child: nothing of this server may be left in it.
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
        os.environ.update(request["environment"])  # type: ignore[call-overload]
        os.chdir(str(request["cwd"]))
        os.umask(int(str(request["umask"])))
        for place, value in request["bounds"].items():  # type: ignore[attr-defined]
            name, _dot, bound = place.rpartition(".")
            utility = importlib.import_module(f"{COLLECTION}.module_utils.{name}")
            getattr(utility, bound)  # a misspelt one is an error
            setattr(utility, bound, value)
        return str(request["module"])

    def _kill(self, child: int) -> None:
        # It is not reaped as long as its channel is known, so the number is its own.
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
                    pass  # nobody waits for it any more
                channel.close()


def load() -> None:
    """Import what modules import, the modules themselves aside; what this leaves is alike for all children and is no garbage."""
    for name in ("ansible.module_utils.basic", "ansible.module_utils.common.text.converters", "tpm2_pytss", "grp", "pwd"):
        importlib.import_module(name)
    package = importlib.import_module(f"{COLLECTION}.module_utils")
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(found.name)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main()
