# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a playbook of the collection over the lab and follows it, result by result."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import subprocess
import typing as t

from .settings import REPO, DemoError, Settings

Event = dict[str, t.Any]
PROFILE = "edgefleet.tpm2.tpm2_profile"
ENROLL = "edgefleet.tpm2.tpm2_enroll"


@dataclasses.dataclass
class Run:
    """What one playbook run did.

    Attributes:
        exit_status: that of ansible-playbook.
        log: its whole output.
        profiles: per device, the results of tpm2_profile in their order.
        enrolments: per device, the last result of tpm2_enroll.
        failures: per device, the message of the failed task.
        totals: per device, Ansible's own counts (ok, changed, failures, unreachable, ...).
    """

    exit_status: int = -1
    log: pathlib.Path = pathlib.Path()
    profiles: dict[str, list[Event]] = dataclasses.field(default_factory=dict)
    enrolments: dict[str, Event] = dataclasses.field(default_factory=dict)
    failures: dict[str, str] = dataclasses.field(default_factory=dict)
    totals: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)

    def changed(self, name: str) -> int:
        """How many task results of a device were `changed`."""
        return self.totals.get(name, {}).get("changed", 0)

    def take(self, event: Event) -> None:
        """Add one line of the event stream."""
        host = event["host"]
        if event["event"] == "totals":
            self.totals[host] = {key: value for key, value in event.items() if isinstance(value, int)}
            return
        if event["result"] and event["action"] == PROFILE:
            self.profiles.setdefault(host, []).append(event["result"])
        elif event["result"] and event["action"] == ENROLL:
            self.enrolments[host] = event["result"]
        if event["status"] in ("failed", "unreachable"):
            self.failures[host] = event["msg"].removeprefix(f"{host}: ")


def command(settings: Settings, playbook: str, hosts: str = "all") -> list[str]:
    """The command that runs a playbook of the collection over these hosts of the lab, in the environment of `environment`."""
    # With --diff, because the report shows the TPM's contents from the diff of the audit.
    return [settings.playbook_program, "-i", str(settings.inventory), f"edgefleet.tpm2.{playbook}", "--limit", hosts, "--diff"]


def run(settings: Settings, playbook: str, *, hosts: str = "all", label: str, on_event: t.Callable[[Event], None]) -> Run:
    """Run a playbook of the collection; call ``on_event`` while it runs. Ansible's own output goes to ``<label>.log``.

    Raises:
        DemoError: ansible-playbook does not start.
    """
    read_end, write_end = os.pipe()
    log = settings.root / f"{label}.log"
    words = command(settings, playbook, hosts)
    env = {**environment(settings), **_events(write_end)}
    with open(log, "w", encoding="utf-8") as out:
        try:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, pass_fds=(write_end,), env=env)
        except OSError as exc:
            raise DemoError(f"{words[0]} does not run ({exc.strerror}): run `scripts/setup demo`.") from exc
    os.close(write_end)
    result = Run(log=log)
    with os.fdopen(read_end, encoding="utf-8") as events:
        for line in events:
            event = json.loads(line)
            result.take(event)
            on_event(event)
    result.exit_status = process.wait()
    return result


def environment(settings: Settings) -> dict[str, str]:
    """The caller's environment, without Ansible settings that would change the demo's output."""
    found = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "TPM2TOOLS_", "EDGEFLEET_TPM2_"))}
    return {**found, **chosen(settings), "ANSIBLE_HOME": str(settings.root / "ansible"), "ANSIBLE_NOCOLOR": "1"}


def chosen(settings: Settings) -> dict[str, str]:
    """The variables that a user has to set to run the same commands: the users' ansible.cfg, and the checkout's collection."""
    return {"ANSIBLE_CONFIG": str(REPO / "docs/ansible.cfg"), "ANSIBLE_COLLECTIONS_PATH": str(settings.collections)}


def _events(pipe: int) -> dict[str, str]:
    """The variables that make the demo's callback write to a pipe."""
    folder = str(REPO / "demo" / "callback_plugins")
    return {"ANSIBLE_CALLBACK_PLUGINS": folder, "ANSIBLE_CALLBACKS_ENABLED": "edgefleet_events", "EDGEFLEET_EVENTS_FD": str(pipe)}
