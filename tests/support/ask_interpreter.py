# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ask_interpreter.py SOCKET PYTHON ARGUMENTS...``: what Ansible starts in place of the interpreter PYTHON, which is warm and listens (support/warm.py).

As an interpreter does, it runs the program on its standard input, or in the file that the first argument names. With any other argument, with an
environment that is the interpreter's own business, and as another user it becomes that interpreter.
"""

from __future__ import annotations

import array
import json
import os
import signal
import socket
import sys


def main() -> None:
    """Pass streams, folder, environment and arguments to the warm Python, and end with the run's exit status."""
    place, python, *arguments = sys.argv[1:]
    other = os.stat(place).st_uid != os.geteuid() or any(name.startswith("PYTHON") for name in os.environ)
    if other or (arguments and not os.path.isfile(arguments[0])):
        os.execv(python, [python, *arguments])
    os.umask(umask := os.umask(0))
    request = {"cwd": os.getcwd(), "umask": umask, "environment": dict(os.environ), "argv": arguments}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.connect(place)
        server.sendmsg([json.dumps(request).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
        code = int(server.recv(16) or b"70")
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main()
