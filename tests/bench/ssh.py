# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An sshd on loopback with keys of its own: an address for each device, and nothing of it is seen outside."""

from __future__ import annotations

import getpass
import os
import pathlib
import shutil
import socket
import subprocess
import time
import typing as t

from support.ports import PortPair

_SECONDS = 30.0
_CONFIG = """Port {port}
{addresses}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
UseDNS no
PasswordAuthentication no
PermitRootLogin prohibit-password
MaxStartups 200
MaxSessions 100
"""


class Sshd:
    """The server, for so many devices; a context manager. ``folder`` is to be short: it holds ssh's sockets."""

    def __init__(self, folder: pathlib.Path, devices: int) -> None:
        self.folder, self._ports = folder, PortPair()
        self.addresses = [f"127.0.1.{number + 1}" for number in range(devices)]
        folder.mkdir(parents=True, mode=0o700)
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
        listed = "\n".join(f"ListenAddress {one}" for one in self.addresses)
        (folder / "config").write_text(_CONFIG.format(port=self._ports.data, addresses=listed, folder=folder))
        key = " ".join((folder / "host.pub").read_text().split()[:2])
        (folder / "known").write_text("".join(f"[{one}]:{self._ports.data} {key}\n" for one in self.addresses))
        program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ["PATH"])
        if program is None:
            raise RuntimeError("sshd is not installed: run `apt-get install openssh-server`")
        if os.geteuid() == 0:
            # The folder without which sshd does not start as root; the system's service makes it.
            pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._process = subprocess.Popen([program, "-D", "-E", str(folder / "log"), "-f", str(folder / "config")], stdin=subprocess.DEVNULL)
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + _SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection((self.addresses[-1], self._ports.data), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        self._process.kill()
        raise RuntimeError(f"sshd did not start: {(self.folder / 'log').read_text()}")

    def __enter__(self) -> Sshd:
        return self

    def __exit__(self, *_exc: object) -> None:
        """End the connections that ssh keeps open, and the server."""
        for path in (self.folder / "open").glob("*"):
            subprocess.run(["ssh", "-o", f"ControlPath={path}", "-O", "exit", "device"], capture_output=True, check=False)
        self._process.terminate()
        self._process.wait()
        self._ports.release()

    @property
    def settings(self) -> dict[str, str]:
        """Variables of the environment of ansible-playbook: where ssh keeps its connections open."""
        return {"ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "open"), "ANSIBLE_PIPELINING": "true"}

    def host(self, number: int) -> dict[str, t.Any]:
        """A device's variables."""
        return {
            "ansible_connection": "ssh",
            "ansible_host": self.addresses[number],
            "ansible_port": self._ports.data,
            "ansible_user": getpass.getuser(),
            "ansible_ssh_private_key_file": str(self.folder / "user"),
            "ansible_ssh_common_args": f"-F none -o IdentitiesOnly=yes -o UserKnownHostsFile={self.folder}/known",
        }


__all__ = ("Sshd",)
