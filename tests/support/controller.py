# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An operator's controller: runs ansible-playbook on an inventory of its own, and reads its output."""

from __future__ import annotations

import atexit
import functools
import json
import os
import pathlib
import subprocess
import tempfile
import typing as t

import pytest
import yaml

from support import places, warm

_FOLDER = pathlib.Path(__file__).parent
RUNNER = str(_FOLDER / "run_playbook.py")
# The two sides of a device's warm Python.
INTERPRETER = (str(_FOLDER / "run_interpreter.py"), str(_FOLDER / "ask_interpreter.py"))
TIMEOUT_SECONDS = 600.0
Host = dict[str, t.Any]


def cores() -> list[dict[str, str]]:
    """The oldest and the newest ansible-core of this machine, as scripts/cores lists them."""
    listed = places.WORK / "cores.json"
    if not listed.exists():
        subprocess.run([str(places.ROOT / "scripts" / "cores")], check=True)
    return t.cast(list[dict[str, str]], json.loads(listed.read_text()))


def each_core(group: str) -> list[t.Any]:
    """Each core as a parameter. All tests of a core's group run on one worker of pytest-xdist, so that slow preparations are made once."""
    return [pytest.param(entry, id=f"core-{entry['core']}", marks=pytest.mark.xdist_group(f"{group}-{entry['core']}")) for entry in cores()]


class Controller:
    """ansible-playbook of one core, with the shipped ansible.cfg, and an inventory of its own.

    Its runs are forked from a Python that has imported Ansible (support/warm.py); with `settings` or `cold` the program is started for each.
    """

    def __init__(self, folder: pathlib.Path, ansible_playbook: str, device_python: str) -> None:
        self.folder, self.program, self._python = folder, ansible_playbook, device_python
        # Ansible settings beside the shipped ones, for tests of these settings.
        self.settings: dict[str, str] = {}
        # A program of a test's own, and one whose time is measured, is started anew.
        self.cold = ansible_playbook not in {entry["ansible_playbook"] for entry in cores()}
        places.python_path()  # this also makes the collection's tree

    def __call__(self, playbook: str, hosts: dict[str, Host], *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook (the collection's by its full name, else a file) over `hosts`."""
        command, environment = self.command(playbook, hosts, arguments)
        if self.cold or self.settings:
            return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS)
        return forked(command, {**environment, "ANSIBLE_HOME": home()})

    @property
    def device_python(self) -> str:
        """The interpreter of its devices."""
        return self._python if self.cold else interpreter(self._python, self.program)

    def start(self, playbook: str, hosts: dict[str, Host], *arguments: str) -> subprocess.Popen[str]:
        """The same, without waiting for its end."""
        command, environment = self.command(playbook, hosts, arguments)
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def command(self, playbook: str, hosts: dict[str, Host], arguments: t.Sequence[str] = ()) -> tuple[list[str], dict[str, str]]:
        """The command and the environment of such a run."""
        inventory = self.folder / "inventory.yml"
        # The controller is also the device, and the test must not install anything on it.
        shared = {"ansible_connection": "local", "ansible_python_interpreter": self.device_python, "tpm2_day_zero_stack": False}
        inventory.write_text(yaml.safe_dump({"edge": {"vars": shared, "hosts": hosts}}))
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "TPM2", "PYTHON"))}
        environment |= {
            "ANSIBLE_CONFIG": str(places.USERS_CFG),
            "ANSIBLE_COLLECTIONS_PATH": str(places.COLLECTIONS),
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            **self.settings,
        }
        return [self.program, "-i", str(inventory), playbook, *arguments], environment


def forked(
    command: t.Sequence[str], environment: dict[str, str], server: warm.Server | None = None, **request: str
) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook or ansible-inventory in a fork of a Python that has imported it with these settings. Raises subprocess.TimeoutExpired."""
    server = server or warm.server(RUNNER, str(pathlib.Path(command[0]).with_name("python")), environment, "ANSIBLE_")
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr, open(os.devnull, encoding="ascii") as stdin:
        streams = [stream.fileno() for stream in (stdin, stdout, stderr)]
        child = server.start(streams, environment, argv=list(command), **request)
        try:
            code = child.wait(TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            raise
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(list(command), code, stdout.read(), stderr.read())


def interpreter(python: str, program: str) -> str:
    """What Ansible takes for a device's interpreter `python`: a warm one with the module_utils of `program`'s core; any but the usual two is as it is."""
    if python not in map(str, places.device_pythons()):
        return python
    return warm.interpreter(*INTERPRETER, python, places.python_path(pathlib.Path(program).parents[1])).python


@functools.cache
def home() -> str:
    """Ansible's own folder, for all runs of this process: it is a setting, and so a server's."""
    folder = tempfile.TemporaryDirectory(prefix="edgefleet-ansible-")
    atexit.register(folder.cleanup)
    return folder.name


def said(done: subprocess.CompletedProcess[str]) -> str:
    """A run's output on one line, so that wrapped text can be searched."""
    return " ".join(f"exit status {done.returncode} {done.stdout} {done.stderr}".split())


def totals(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, int]]:
    """The play recap, by host."""
    # The last recap, because these words may also occur in the output of a task.
    _before, found, after = done.stdout.rpartition("\nPLAY RECAP")
    lines = after.splitlines()[1:] if found else []
    rows = [line.partition(":") for line in lines if ":" in line]
    return {
        host.strip(): {key: int(value) for key, _equals, value in (one.partition("=") for one in counts.split())}
        for host, _colon, counts in rows
    }
