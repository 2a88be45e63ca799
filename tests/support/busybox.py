# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device that has BusyBox and nothing else: a root file system of its own, reached by a program that takes ssh's place, or by a real SSH server."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import time
import typing as t

from support.ports import PortPair

# Ansible's connection plugin gives ssh the command as the last argument. What follows on standard input is recorded as it comes.
_SSH = r"""#!/bin/sh
for command; do :; done
[ "$command" != ControlPersist ] || exit 0
record=$(mktemp {runs}/XXXXXX)
mkfifo "$record.in"
printf '%s\n' "$command" >"$record"
exec 5<&0
tee -a "$record" <&5 >"$record.in" &
unshare --mount sh -c '
    mount --bind {node} {root}/dev/tpmrm0 && mount --bind /dev/null {root}/dev/null || exit 255
    exec chroot {root} /bin/env -i PATH=/bin HOME=/ /bin/sh -c "$1"' sh "$command" <"$record.in"
code=$?
kill $! 2>/dev/null
rm "$record.in"
exit $code
"""

# By server: its command on the device. Both write to standard error, and stay in the foreground.
SERVERS = {
    "sshd": "/sbin/sshd -D -e -f /etc/ssh/config -p {port}",
    "dropbear": "/sbin/dropbear -F -E -s -r /etc/ssh/dropbear -p 127.0.0.1:{port}",
}
_SSHD = """ListenAddress 127.0.0.1
HostKey /etc/ssh/host
AuthorizedKeysFile /.ssh/authorized_keys
PasswordAuthentication no
UsePAM no
"""
# Whatever ends this program ends all processes of the device: they are in a process namespace of their own.
_DEVICE = """
    mount --bind {node} {root}/dev/tpmrm0 && mount --bind /dev/null {root}/dev/null && mount --bind /dev/urandom {root}/dev/urandom || exit 1
    exec chroot {root} /bin/env -i PATH=/bin {command}
"""
_SECONDS = 30.0
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def applets(folder: pathlib.Path) -> pathlib.Path:
    """BusyBox under the names of its tools, in a new folder for PATH."""
    folder.mkdir(parents=True)
    busybox = shutil.copy(shutil.which("busybox") or "busybox", folder)
    for name in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
        if not (folder / name).exists():
            (folder / name).symlink_to("busybox")
    return folder


def _libraries(program: pathlib.Path | str, root: pathlib.Path) -> None:
    """Copy the libraries that a program needs to their places below `root`."""
    needed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    for library in re.findall(r"(/\S+) \(0x", needed):
        inside = root / library[1:]
        inside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, inside)


class BusyBoxDevice:
    """Its root is `root`, its TPM the one behind `node`, as /dev/tpmrm0. `ssh` is for Ansible's option ssh_executable. It needs root."""

    def __init__(self, folder: pathlib.Path, node: str) -> None:
        self.root, self.ssh, self._runs = folder / "root", folder / "ssh", folder / "runs"
        self._runs.mkdir(parents=True)
        self._folder, self._node = folder, node
        _libraries(applets(self.root / "bin") / "busybox", self.root)
        for name in ("dev", "etc", "var"):
            (self.root / name).mkdir()
        for name in ("null", "urandom", "tpmrm0"):
            (self.root / "dev" / name).touch()
        (self.root / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\ndaemon:x:1:1::/:/bin/false\n")
        (self.root / "etc" / "group").write_text("root:x:0:\ndaemon:x:1:\n")
        self.ssh.write_text(_SSH.format(runs=self._runs, node=node, root=self.root))
        self.ssh.chmod(0o755)

    @property
    def heard(self) -> list[str]:
        """What each start of its shell was given: the command and the standard input."""
        return [path.read_text() for path in sorted(self._runs.iterdir(), key=lambda path: path.stat().st_mtime_ns)]

    @contextlib.contextmanager
    def served(self, server: str) -> t.Iterator[dict[str, t.Any]]:
        """Have a real SSH server of `SERVERS` on the device. Yields how Ansible reaches it, as variables of a host."""
        ports = PortPair()
        key, known = self._folder / "key", self._folder / "known_hosts"
        self._install(server, key)
        inside = _DEVICE.format(node=self._node, root=self.root, command=SERVERS[server].format(port=ports.data))
        log = (self._folder / "log").open("wb")
        process = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", inside], stderr=log)
        try:
            _wait(process, ports.data)
            options = [
                "-i",
                str(key),
                "-o",
                "IdentitiesOnly=yes",
                "-o",
                f"UserKnownHostsFile={known}",
                "-o",
                "StrictHostKeyChecking=accept-new",
            ]
            yield {
                "ansible_connection": "ssh",
                "ansible_host": "127.0.0.1",
                "ansible_port": ports.data,
                "ansible_user": "root",
                "ansible_ssh_common_args": shlex.join(options),
            }
        finally:
            process.kill()
            process.wait()
            log.close()
            ports.release()

    def _install(self, server: str, key: pathlib.Path) -> None:
        """The server and its host key on the device, and a user's key that may log in as root."""
        program = shutil.which(server, path=_PATH) or server
        (self.root / "sbin").mkdir()
        shutil.copy(program, self.root / "sbin")
        _libraries(program, self.root)
        folder, allowed = self.root / "etc" / "ssh", self.root / ".ssh" / "authorized_keys"
        for place in (folder, allowed.parent, self.root / "run" / "sshd"):
            place.mkdir(parents=True, mode=0o700)
        for path in (key, folder / "host"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
        if server == "dropbear":
            subprocess.run(["dropbearkey", "-t", "ed25519", "-f", folder / "dropbear"], check=True, capture_output=True)
        shutil.copy(f"{key}.pub", allowed)
        allowed.chmod(0o600)
        (folder / "config").write_text(_SSHD)
        with (self.root / "etc" / "passwd").open("a") as users:
            users.write("sshd:x:100:100::/run/sshd:/bin/false\n")
        (self.root / "etc" / "shells").write_text("/bin/sh\n")


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError("the SSH server of the device did not start")
