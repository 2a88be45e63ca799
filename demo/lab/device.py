# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One lab device: a folder with its TPM state, and the swtpm process that serves it."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import pathlib
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import typing as t

from . import authority, programs, tpm
from .settings import DemoError

_START_ATTEMPTS = 8
_STOP_SECONDS = 10.0
# Every line has these two devices beside the usual ones: one whose EK the manifest pins, and an impostor.
PINNED = "edge-pinned"
IMPOSTOR = "edge-impostor"
_EK = "0x81010001"


@dataclasses.dataclass(frozen=True)
class Device:
    """A device: its name and its folder, which has everything else, so that the next `make demo` can continue."""

    name: str
    folder: pathlib.Path

    @property
    def serial(self) -> str:
        """The serial number on the device's label; "" before it has one."""
        return self._read("serial")

    @property
    def pin(self) -> str:
        """The SHA-256 of its EK, from the board test, if the manifest pins it; else ""."""
        return self._read("ek_sha256")

    @property
    def is_certified(self) -> bool:
        """Whether its TPM has EK certificates, its own or another TPM's."""
        return self.name != PINNED

    @property
    def is_impostor(self) -> bool:
        return self.name == IMPOSTOR

    @property
    def files(self) -> pathlib.Path:
        """The lab's replacement for /var/lib/edgefleet-tpm2 on the device."""
        return self.folder / "files"

    @property
    def secrets(self) -> pathlib.Path:
        return self.folder / "secrets.yml"

    @property
    def state(self) -> pathlib.Path:
        return self.folder / "tpm"

    @property
    def port(self) -> int:
        """The recorded port of swtpm's data channel (its control channel is the next one).

        Raises:
            DemoError: the device was never started.
        """
        try:
            return int((self.folder / "port").read_text())
        except (OSError, ValueError) as exc:
            raise DemoError(f"{self.name} has no recorded port: run `make demo`.") from exc

    @property
    def tcti(self) -> str:
        return f"swtpm:host=127.0.0.1,port={self.port}"

    def label(self, printer: t.Callable[[], str]) -> None:
        """Give the device the printer's next serial number, if it has none."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.serial:
            (self.folder / "serial").write_text(f"{printer()}\n")

    def make(self, setup_conf: pathlib.Path) -> bool:
        """Make the device's missing files; return whether its TPM is new."""
        self.files.mkdir(parents=True, exist_ok=True)
        if not self.secrets.exists():
            key = base64.b64encode(secrets.token_bytes(32)).decode()
            text = "---\n# Stands for a file that you encrypt with ansible-vault.\ntpm2_profile_telemetry_key: " + key + "\n"
            with open(os.open(self.secrets, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
                out.write(text)
        if self.state.exists():
            return False
        authority.manufacture(setup_conf=setup_conf, name=self.name, tpm_dir=self.state, certified=self.is_certified)
        return True

    def pid(self) -> int | None:
        """The process id of this device's swtpm, or None. A pid file may be left from before a reboot and name another process."""
        try:
            pid = int((self.folder / "swtpm.pid").read_text())
        except (OSError, ValueError):
            return None
        return pid if self._is_served_by(pid) else None

    def start(self) -> None:
        """Power the device on if it is off; measure its boot and close the platform hierarchy, as firmware does.

        Raises:
            DemoError: swtpm does not start.
        """
        if self.pid() is None:
            self._launch()
        tpm.measure_boot(self.port)
        tpm.close_platform(self.port)

    def test_board(self) -> None:
        """The factory's test of a new board: it writes down the hash of an EK that has no certificate.

        Raises:
            DemoError: tpm2_readpublic failed.
        """
        if self.is_certified or self.pin:
            return
        with tempfile.TemporaryDirectory() as folder:
            key = pathlib.Path(folder, "ek.der")  # SubjectPublicKeyInfo
            programs.run(f"read the EK of {self.name}", "tpm2_readpublic", "-T", self.tcti, "-c", _EK, "-f", "der", "-o", key)
            (self.folder / "ek_sha256").write_text(f"{hashlib.sha256(key.read_bytes()).hexdigest()}\n")

    def stop(self) -> None:
        """Power the device off: end only this device's process."""
        pid = self.pid()
        if pid is None:
            return
        try:
            tpm.shut_down(self.port)
        except DemoError:
            pass  # the TPM hangs; it is killed below
        for kind in (signal.SIGTERM, signal.SIGKILL):
            if self._is_served_by(pid):
                os.kill(pid, kind)
            deadline = time.monotonic() + _STOP_SECONDS
            while self._is_served_by(pid) and time.monotonic() < deadline:
                time.sleep(0.02)
        (self.folder / "swtpm.pid").unlink(missing_ok=True)

    def remove(self) -> None:
        """Stop the device and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text().strip() if path.exists() else ""

    def _is_served_by(self, pid: int) -> bool:
        try:
            arguments = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            return False
        return f"dir={self.state},mode=0600" in arguments

    def _launch(self) -> None:
        recorded = self.folder / "port"
        last = ""
        for _attempt in range(_START_ATTEMPTS):
            port = int(recorded.read_text()) if recorded.exists() else 0
            if not _is_free(port):
                port = _choose_port()
                recorded.write_text(f"{port}\n")
            done = subprocess.run(self._command(port), capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return
            last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise DemoError(f"swtpm of {self.name} does not start ({last}): run `demo/clean`, then `make demo`.")

    def _command(self, port: int) -> list[str]:
        address = "type=tcp,bindaddr=127.0.0.1,port="
        return [
            *("swtpm", "socket", "--tpm2", "--daemon", "--tpmstate", f"dir={self.state},mode=0600"),
            *("--server", f"{address}{port}", "--ctrl", f"{address}{port + 1}", "--flags", "not-need-init,startup-clear"),
            *("--pid", f"file={self.folder / 'swtpm.pid'}", "--log", f"file={self.folder / 'swtpm.log'},level=1"),
        ]


def _is_free(port: int) -> bool:
    if port <= 0:
        return False
    for number in (port, port + 1):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", number))
            except OSError:
                return False
    return True


def _choose_port() -> int:
    """A free pair below the kernel's ephemeral range. Random, so that demos in several checkouts rarely choose the same."""
    for port in random.sample(range(20000, 32000, 2), 500):
        if _is_free(port):
            return port
    raise DemoError("No two neighbouring loopback ports are free between 20000 and 32000: end some servers, then `make demo`.")
