# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy-on-write view of this machine, in namespaces of its own: roles may change /etc in it, and everything is discarded at its end."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import typing as t

import yaml

from support import controller, warm
from support.places import COLLECTIONS, ROOT, SYSTEM_PYTHON, USERS_CFG, WORK, python_path, venv

_SETUP = """
set -e
mount --make-rprivate /
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
shift_root=$1; shift
root=$shift_root/root
mkdir -p "$root$ROOT"
mount --rbind "$ROOT" "$root$ROOT"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount -t tmpfs none "$root/run"
for package; do
    dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$root"
done
# Its name is what tells a SysV init from others.
cp /bin/sleep "$shift_root/init"
echo ready
exec "$shift_root/init" infinity
"""


class Sandbox:
    """A context manager; `packages` (.deb files) are unpacked in it, `folders` are made. It needs root."""

    def __init__(self, mount_point: pathlib.Path, *, packages: t.Sequence[pathlib.Path] = (), folders: t.Sequence[str] = ()) -> None:
        mount_point.mkdir()
        self._root = f"{mount_point}/root"
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _SETUP, "sh", str(mount_point), *map(str, packages)]
        self._holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "ROOT": str(ROOT)})
        self._folders = folders
        self._servers: tuple[warm.Server, warm.Interpreter] | None = None

    def __enter__(self) -> Sandbox:
        if not self._holder.stdout or self._holder.stdout.readline() != "ready\n":
            raise RuntimeError("the sandbox did not start: it needs root, mount namespaces and overlayfs")
        (child,) = pathlib.Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text().split()
        self._enter = ["nsenter", f"--target={child}", "--mount", "--pid", "chroot", self._root]
        for folder in self._folders:
            self.run("mkdir", "-p", folder)
        return self

    def __exit__(self, *_exc: object) -> None:
        for server in self._servers or ():
            server.close()
        self._holder.kill()
        self._holder.wait()

    def run(self, *command: str, check: bool = True, **options: t.Any) -> subprocess.CompletedProcess[str]:
        """Run a command in it; its output is captured."""
        done = subprocess.run([*self._enter, *command], capture_output=True, text=True, timeout=180, check=False, **options)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def read(self, path: str) -> str:
        """The text of a file in it."""
        return self.run("cat", path).stdout

    def exists(self, path: str) -> bool:
        """Whether it has `path`."""
        return self.run("test", "-e", path, check=False).returncode == 0

    def play(self, role: str, *, check: bool = False, **variables: t.Any) -> Play:
        """Run a role of the collection in it, on itself."""
        tasks: list[dict[str, t.Any]] = [{"name": "Role", "ansible.builtin.import_role": {"name": f"edgefleet.tpm2.{role}"}}]
        book = yaml.safe_dump([{"name": "Play", "hosts": "all", "gather_facts": False, "tasks": tasks}])
        self.run("sh", "-c", 'printf "%s" "$1" >/tmp/play.yml', "sh", book)
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON"))}
        environment |= {
            "ANSIBLE_CONFIG": str(USERS_CFG),
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "demo" / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "edgefleet_events",
            "ANSIBLE_NOCOLOR": "1",
        }
        playbooks, python = self._warm(environment)
        command = [str(venv() / "bin" / "ansible-playbook"), "--inventory", "localhost,", "--connection", "local"]
        command += ["--extra-vars", json.dumps({**variables, "ansible_python_interpreter": python.python})]
        command += ["--check"] if check else []
        done = controller.forked([*command, "/tmp/play.yml"], environment, playbooks, cwd="/tmp", events="/tmp/events")
        return Play(done, [json.loads(line) for line in self.read("/tmp/events").splitlines()])

    def _warm(self, environment: dict[str, str]) -> tuple[warm.Server, warm.Interpreter]:
        # Both are in here, so that what they see is this copy of the machine.
        if self._servers is None:
            playbooks = warm.Server(controller.RUNNER, str(venv() / "bin" / "python"), environment, self._enter)
            python = warm.Interpreter(*controller.INTERPRETER, str(SYSTEM_PYTHON), python_path(), self._enter, WORK)
            self._servers = playbooks, python
        return self._servers


class Play:
    """What a play did: the names of the tasks that ran (`tasks`), of those that changed something, and the message of the one that failed."""

    def __init__(self, done: subprocess.CompletedProcess[str], events: list[dict[str, t.Any]]) -> None:
        self.rc, self.output = done.returncode, done.stdout + done.stderr
        ran = [event for event in events if event["event"] == "task" and event["status"] != "skipped"]
        self.tasks = [event["name"].rpartition(" : ")[2] for event in ran]
        self.changed = [event["name"].rpartition(" : ")[2] for event in ran if event["status"] == "changed"]
        self.failure = next((event["msg"] for event in ran if event["status"] == "failed"), "")

    def expect_ok(self) -> Play:
        """Return itself; raises AssertionError with the output if the play failed."""
        if self.rc:
            raise AssertionError(f"the play failed: {self.failure}\n{self.output}")
        return self

    def expect_failed(self) -> str:
        """The message of the failed task; raises AssertionError if none failed."""
        if not self.rc or not self.failure or "Traceback" in self.output:
            raise AssertionError(f"no clean failure\n{self.output}")
        return self.failure
