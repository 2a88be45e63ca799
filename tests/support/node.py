# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A software TPM behind a device node with an owner and a mode: a pseudo terminal whose other end swtpm serves."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import time
import tty

from support.tools import Tools

_START_SECONDS = 30.0


class NodeTpm:
    """A swtpm behind the device node `path`, at first with mode 0600 of root; a context manager. If the state folder is new, a TPM is made in it."""

    def __init__(self, state_dir: pathlib.Path) -> None:
        self._state_dir = state_dir
        state_dir.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        # We keep the node open, because swtpm ends when its last client closes it.
        self._leader, self._follower = os.openpty()
        tty.setraw(self._follower)
        self.path = os.ttyname(self._follower)
        os.chmod(self.path, 0o600)

    def __enter__(self) -> NodeTpm:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()
        os.close(self._leader)
        os.close(self._follower)

    @property
    def tcti(self) -> str:
        """The TCTI string."""
        return f"device:{self.path}"

    @property
    def tools(self) -> Tools:
        """tpm2-tools on this node."""
        return Tools(self.tcti)

    def start(self) -> NodeTpm:
        """Power on; if it ran before, a power cycle."""
        command = ["swtpm", "chardev", "--tpm2", "--fd", str(self._leader), "--tpmstate", f"dir={self._state_dir}"]
        self._process = subprocess.Popen([*command, "--flags", "not-need-init,startup-clear"], pass_fds=[self._leader])
        deadline = time.monotonic() + _START_SECONDS
        while subprocess.run(["tpm2_getrandom", "-T", self.tcti, "4"], capture_output=True, timeout=_START_SECONDS, check=False).returncode:
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError("swtpm did not start behind its node")
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """Power off."""
        if self._process is not None:
            self.resume()
            self._process.terminate()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """From now on the TPM does not answer."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """The end of `hang`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def give(self, mode: int, group: int = 0) -> None:
        """Set the node's mode and group."""
        os.chown(self.path, 0, group)
        os.chmod(self.path, mode)
