# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible as an operator runs it: ansible-playbook, the shipped ansible.cfg, SSH. What ran is recorded."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import time
import typing as t

import yaml
from support import places

from vm.machine import Machine
from vm.process import Timed, wait_until

CALLBACKS = pathlib.Path(__file__).parent / "callback"
SERIAL = "EF-2026-0001"
TELEMETRY_KEY = "S2V5LW9mLXRoZS10ZXN0cy0zMi1ieXRlcy1sb25nLi4="
# What day_zero needs to know about a device; host.yml has set its stack up before.
DEVICE = {"tpm2_profile_serial": SERIAL, "tpm2_profile_telemetry_key": TELEMETRY_KEY, "tpm2_day_zero_stack": False}
Event = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run of Ansible did to one machine."""

    status: int
    text: str
    events: list[Event]
    seconds: float

    @property
    def executed(self) -> list[Event]:
        """The tasks that were executed: all but the skipped ones; one that is tried again counts once."""
        return [event for event in self.events if event["status"] not in ("skipped", "retry")]

    @property
    def changed(self) -> list[str]:
        """The names of the tasks that changed something."""
        return [event["task"] for event in self.events if event["changed"]]

    @property
    def failed(self) -> list[str]:
        """What the failed tasks said."""
        return [str(event["result"].get("msg")) for event in self.events if event["status"] in ("failed", "unreachable")]

    def results(self, action: str) -> list[Event]:
        """The results of one module of the collection, in order."""
        return [event["result"] for event in self.executed if event["action"] == f"edgefleet.tpm2.{action}"]

    def expect_ok(self) -> Run:
        """Return itself; raises AssertionError with all that was said where it failed."""
        assert self.status == 0, f"exit status {self.status}\n{self.text[-6000:]}"
        return self


class Background:
    """A run that goes on by itself."""

    def __init__(self, process: subprocess.Popen[str], folder: pathlib.Path) -> None:
        self.process, self.folder = process, folder
        self._begun = time.monotonic()

    def events(self) -> list[Event]:
        """What it has recorded so far."""
        record = self.folder / "record"
        return [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []

    def until(self, what: str, condition: t.Callable[[Event], bool]) -> None:
        """Wait for a result that fulfils a condition."""
        wait_until(what, lambda: any(condition(event) for event in self.events()), alive=self.process)

    def wait(self, seconds: float = 1800) -> Run:
        """Wait for its end and return what it did."""
        self.process.wait(seconds)
        return Run(self.process.returncode, (self.folder / "output").read_text(), self.events(), time.monotonic() - self._begun)


class Controller:
    """ansible-playbook for one machine."""

    def __init__(self, machine: Machine, folder: pathlib.Path) -> None:
        self.machine, self._folder = machine, folder
        self._runs = 0

    def start(self, playbook: str | list[Event], variables: Event | None = None, *arguments: str) -> Background:
        """Start a playbook: the collection's by its full name, or plays. `variables` are those of the host."""
        self._runs += 1
        folder = self._folder / f"run-{self._runs:02}"
        folder.mkdir(parents=True)
        host = {**self.machine.inventory(), **(variables or {})}
        (folder / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": {self.machine.name: host}}}))
        if isinstance(playbook, list):
            (folder / "play.yml").write_text(yaml.safe_dump(playbook, sort_keys=False))
            playbook = str(folder / "play.yml")
        program = places.venv() / "bin" / "ansible-playbook"
        command = [str(program), "-i", str(folder / "inventory.yml"), playbook, *arguments]
        with (folder / "output").open("w") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, text=True, env=self._environment(folder)
            )
        return Background(process, folder)

    def run(self, playbook: str | list[Event], variables: Event | None = None, *arguments: str) -> Run:
        """Run a playbook to its end."""
        name = playbook if isinstance(playbook, str) else playbook[0].get("name", "play")
        with (
            Timed(f"{self.machine.name}: {name} {' '.join(arguments)}".rstrip()),
            self._ended(self.start(playbook, variables, *arguments)) as run,
        ):
            return run.wait()

    @staticmethod
    @contextlib.contextmanager
    def _ended(run: Background) -> t.Iterator[Background]:
        try:
            yield run
        finally:
            if run.process.poll() is None:
                run.process.kill()
                run.process.wait()

    def task(self, module: str, arguments: Event, *options: str) -> Run:
        """Run one module of the collection."""
        play = {"name": module, "hosts": "all", "gather_facts": False, "tasks": [{"name": module, f"edgefleet.tpm2.{module}": arguments}]}
        return self.run([play], None, *options)

    def _environment(self, folder: pathlib.Path) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "TPM2", "PYTHON"))}
        return kept | {
            "ANSIBLE_CONFIG": str(places.USERS_CFG),
            "ANSIBLE_COLLECTIONS_PATH": str(places.COLLECTIONS),
            "ANSIBLE_HOME": str(self._folder / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
            "ANSIBLE_CALLBACKS_ENABLED": "vm_record",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.machine.connections),
            # An emulated processor takes its time.
            "ANSIBLE_TIMEOUT": "120",
            "VM_RECORD": str(folder / "record"),
        }
