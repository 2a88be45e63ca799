# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The system's log, /dev/log, as a device has it: read by the test, in a mount namespace of the test's own."""

from __future__ import annotations

import os
import pathlib
import socket
import tempfile
import threading

_SETUP = """
set -e
mount --make-rprivate /
mount --rbind /dev "$1/dev"
mount -t tmpfs none /dev
for one in "$1"/dev/*; do
    ln -s "$one" /dev/
done
ln -sfn "$1/log" /dev/log
shift
exec "$@"
"""


class Syslog(threading.Thread):
    """A context manager that records what programs log that were started with `command`; it needs root, but no syslog daemon."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        # A socket's path may have only 108 bytes, and pytest's folders can be longer.
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="syslog-"))
        (self._folder / "dev").mkdir()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._folder / "log"))
        self._heard: list[bytes] = []

    def command(self, *command: str) -> list[str]:
        """The command with its own /dev, where `log` is this one."""
        return ["unshare", "--mount", "sh", "-c", _SETUP, "sh", str(self._folder), *command]

    @property
    def text(self) -> str:
        """All that was logged, byte by byte; complete once the context has ended."""
        return b"\n".join(self._heard).decode("latin-1")

    def run(self) -> None:
        while True:
            message = self._socket.recv(1 << 20)
            if not message:
                return
            self._heard.append(message)

    def __enter__(self) -> Syslog:
        os.chmod(self._folder, 0o755)
        os.chmod(self._folder / "log", 0o666)
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        # Datagrams are read in their order, so this one is the last.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", str(self._folder / "log"))
        self.join()
        self._socket.close()
        (self._folder / "log").unlink()
        (self._folder / "dev").rmdir()
        self._folder.rmdir()
