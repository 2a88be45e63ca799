# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device that has BusyBox and nothing else: a root file system of its own, reached by a program that takes ssh's place."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess

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


def applets(folder: pathlib.Path) -> pathlib.Path:
    """BusyBox under the names of its tools, in a new folder for PATH."""
    folder.mkdir(parents=True)
    busybox = shutil.copy(shutil.which("busybox") or "busybox", folder)
    for name in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
        if not (folder / name).exists():
            (folder / name).symlink_to("busybox")
    return folder


class BusyBoxDevice:
    """Its root is `root`, its TPM the one behind `node`, as /dev/tpmrm0. `ssh` is for Ansible's option ssh_executable. It needs root."""

    def __init__(self, folder: pathlib.Path, node: str) -> None:
        self.root, self.ssh, self._runs = folder / "root", folder / "ssh", folder / "runs"
        self._runs.mkdir(parents=True)
        libraries = subprocess.run(["ldd", applets(self.root / "bin") / "busybox"], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(/\S+) \(0x", libraries):
            inside = self.root / library[1:]
            inside.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, inside)
        for name in ("dev", "etc", "var"):
            (self.root / name).mkdir()
        for name in ("null", "tpmrm0"):
            (self.root / "dev" / name).touch()
        (self.root / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\ndaemon:x:1:1::/:/bin/false\n")
        (self.root / "etc" / "group").write_text("root:x:0:\ndaemon:x:1:\n")
        self.ssh.write_text(_SSH.format(runs=self._runs, node=node, root=self.root))
        self.ssh.chmod(0o755)

    @property
    def heard(self) -> list[str]:
        """What each start of its shell was given: the command and the standard input."""
        return [path.read_text() for path in sorted(self._runs.iterdir(), key=lambda path: path.stat().st_mtime_ns)]
