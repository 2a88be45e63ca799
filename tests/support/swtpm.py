# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One software TPM on loopback, as its own process: started, stopped, killed (a power cut), restarted, copied."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import time

from support.ports import PortPair
from support.raw import RawTpm, receive_exactly

_CMD_GET_CAPABILITY, _CMD_SHUTDOWN = 1, 3
_START_SECONDS, _STOP_SECONDS = 30.0, 5.0
MEASURED_BOOT = "edgefleet test firmware"


class Swtpm:
    """A swtpm whose state lives in `state_dir`; it keeps its ports for life."""

    def __init__(self, state_dir: str | os.PathLike[str], *, log_level: int = 0) -> None:
        self.state_dir = pathlib.Path(state_dir).absolute()
        self.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.log = self.state_dir.with_name(self.state_dir.name + ".log")
        self._output = self.state_dir.with_name(self.state_dir.name + ".out")
        self._log_level = log_level
        self.ports = PortPair()
        self._process: subprocess.Popen[bytes] | None = None
        self._extended: list[tuple[int, str]] = []

    def __enter__(self) -> Swtpm:
        if not self.running:
            self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def tcti(self) -> str:
        """The TCTI string for tpm2-tools, tpm2-pytss and the modules."""
        return self.ports.tcti

    @property
    def pid(self) -> int | None:
        """The process id, None while it is not running."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Swtpm:
        """Power on (TPM2_Startup(CLEAR) is done by swtpm itself) and wait until it answers.

        If another program has taken a port in the meantime, another pair is used, but only on the first start.
        """
        if self.running:
            raise RuntimeError("this swtpm is running already")
        first = self._process is None
        for _attempt in range(5 if first else 1):
            if self._start_once():
                return self
            if first:
                self.ports.release()
                self.ports = PortPair()
        raise RuntimeError(f"swtpm did not start: {self._output.read_text(errors='replace')}")

    def _start_once(self) -> bool:
        command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.state_dir},mode=0600"]
        command += ["--server", f"type=tcp,bindaddr=127.0.0.1,port={self.ports.data}"]
        command += ["--ctrl", f"type=tcp,bindaddr=127.0.0.1,port={self.ports.control}"]
        command += ["--flags", "not-need-init,startup-clear"]
        if self._log_level:
            command += ["--log", f"file={self.log},level={self._log_level}"]
        with self._output.open("ab") as output:
            try:
                self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            except FileNotFoundError:
                raise RuntimeError("swtpm is not installed: run `apt-get install swtpm swtpm-tools`") from None
        return self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> bool:
        deadline = time.monotonic() + _START_SECONDS
        while self.running and time.monotonic() < deadline:
            try:
                # Asked on the control port, because a TPM command would be counted.
                if len(self._control(_CMD_GET_CAPABILITY, 8)) == 8:
                    return True
            except OSError:
                time.sleep(0.005)
        if self.running:
            self.kill()
        return False

    def _control(self, command: int, size: int) -> bytes:
        with socket.create_connection(("127.0.0.1", self.ports.control), timeout=_STOP_SECONDS) as sock:
            sock.sendall(struct.pack(">I", command))
            return receive_exactly(sock, size)

    def raw(self) -> RawTpm:
        """Return a new raw connection (use it in a `with`: swtpm serves one data connection at a time)."""
        return RawTpm(self.ports.data)

    def extend_pcr(self, index: int = 7, text: str = MEASURED_BOOT) -> None:
        """Stand in for measured boot: extend PCR `index` of every bank with the digest of `text`."""
        with self.raw() as tpm:
            tpm.pcr_event(index, text.encode())
        self._extended.append((index, text))

    def stop(self) -> None:
        """Orderly power off: TPM2_Shutdown(CLEAR), then the end of the process."""
        if self._process is None:
            return
        if self.running:
            try:
                with RawTpm(self.ports.data, timeout=_STOP_SECONDS) as tpm:
                    tpm.shutdown()
                self._control(_CMD_SHUTDOWN, 4)
                self._process.wait(_STOP_SECONDS)
            except (OSError, subprocess.TimeoutExpired):
                self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Cut the power: SIGKILL to only this process."""
        if self._process is not None:
            if self._process.poll() is None:
                os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def restart(self, *, measured_boot: bool = True) -> Swtpm:
        """Power on again with the same state and ports; if it still runs, after an orderly stop.

        PCRs start at zero again; with `measured_boot` the extends done so far are repeated, as firmware does at each boot.
        """
        if self.running:
            self.stop()
        self.start()
        if measured_boot:
            repeated, self._extended = self._extended, []
            for index, text in repeated:
                self.extend_pcr(index, text)
        return self

    def snapshot(self, target: str | os.PathLike[str]) -> pathlib.Path:
        """Copy the state folder to `target` as it is on disk now (orderly only after `stop`)."""
        copy_state(self.state_dir, target)
        return pathlib.Path(target)

    def restore(self, source: str | os.PathLike[str], *, measured_boot: bool = True) -> Swtpm:
        """Take the state of `source` and power on with it."""
        self.kill()
        copy_state(source, self.state_dir)
        return self.restart(measured_boot=measured_boot)

    def close(self) -> None:
        """End the process and give the ports back; the state folder stays."""
        self.kill()
        self.ports.release()


def copy_state(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Make `target` a copy of the state folder `source`, without swtpm's lock file."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(".lock", "*.pid"))
