# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that have the reference profile, an inventory of them, and a playbook run over it that is timed and checked."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import time
import typing as t

from support import module, places, profile
from support.swtpm import Swtpm, copy_state

TELEMETRY_KEY = base64.b64encode(profile.TELEMETRY_KEY).decode()
HERE = pathlib.Path(__file__).parent
_RECAP = re.compile(r"^(\S+)\s+:\s+ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)\s+skipped=(\d+)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Variant:
    """A playbook, and how many of its tasks must run, be skipped and change something for each device; None is any number."""

    name: str
    title: str
    ok: int | None
    skipped: int | None = 0
    changed: int | None = 0
    # For those that share a playbook.
    file: str = ""
    arguments: tuple[str, ...] = ()

    @property
    def playbook(self) -> str:
        """The playbook's file, or its full name."""
        return self.file if self.file.count(".") > 1 else str(HERE / f"{self.file or self.name}.yml")

    def fits(self, found: t.Sequence[tuple[int, ...]], devices: int) -> bool:
        """Whether the numbers of each device in a play's recap are these."""
        expected = (self.ok, self.changed, 0, 0, self.skipped)
        whole = len(found) == (0 if self.ok == 0 else devices)
        return whole and all(wanted in (None, number) for row in found for wanted, number in zip(expected, row, strict=True))


@dataclasses.dataclass(frozen=True)
class Sample:
    """One run: wall time and CPU time (user and system, of ansible-playbook and all its descendants) in seconds."""

    wall: float
    cpu: float


class Fleet:
    """Software TPMs that all have the reference profile: one is provisioned, the others are copies of it."""

    def __init__(self, folder: pathlib.Path, count: int) -> None:
        self.folder = folder
        self.devices: list[Swtpm] = []
        self._name = ""
        try:
            self._provision()
            for number in range(1, count):
                self._copy(number)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the TPMs."""
        for device in self.devices:
            device.close()

    def _start(self, number: int) -> Swtpm:
        tpm = Swtpm(self.folder / f"tpm{number}")
        self.devices.append(tpm)
        tpm.start().extend_pcr(7)
        return tpm

    def _files(self, number: int) -> pathlib.Path:
        return self.folder / f"files{number}"

    def _provision(self) -> None:
        self._files(0).mkdir()
        tpm = self._start(0)
        resources = profile.reference(profile.SERIAL, TELEMETRY_KEY, self._files(0))
        result = module.run("tpm2_profile", {"tcti": tpm.tcti, "resources": resources}, python=python()).expect_ok()
        self._name = next(one["name"] for one in result["resources"] if one["object"] == f"{profile.MQTT_KEY:#010x}")
        # What is copied must be on the disk.
        tpm.restart()

    def _copy(self, number: int) -> None:
        shutil.copytree(self._files(0), self._files(number))
        copy_state(self.devices[0].state_dir, self.folder / f"tpm{number}")
        self._start(number)

    def play(self, variant: Variant, tctis: t.Sequence[str] | None = None, **variables: str) -> Sample:
        """Run a playbook over all devices, or over the first ones through these TCTIs, which something in front of them has."""
        tctis = tctis or [device.tcti for device in self.devices]
        hosts = {
            f"device{number}": {**device_variables(tcti, self._files(number), self._name), **variables} for number, tcti in enumerate(tctis)
        }
        return play(variant, hosts, self.folder)


def device_variables(tcti: str, files: pathlib.Path, mqtt_name: str = "") -> dict[str, str]:
    """What the playbooks need to know of a device."""
    return {
        "ansible_connection": "local",
        "ansible_python_interpreter": python(),
        "tcti": tcti,
        "tpm2_device_dir": str(files),
        "tpm2_serial": profile.SERIAL,
        "tpm2_telemetry_key": TELEMETRY_KEY,
        "tpm2_mqtt_name": mqtt_name,
    }


Watch = t.Callable[[int], t.ContextManager[object]]


def play(
    variant: Variant,
    hosts: t.Mapping[str, dict[str, t.Any]],
    folder: pathlib.Path,
    settings: t.Mapping[str, str] | None = None,
    watch: Watch = contextlib.nullcontext,
) -> Sample:
    """Run a playbook over `hosts`. Raises AssertionError where it did not run, skip and change as many tasks as `variant` says.

    `settings`: more variables of the environment. `watch`: entered with the process id while it runs.
    """
    inventory = folder / "inventory.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
    command = [str(places.venv() / "bin/ansible-playbook"), "-i", str(inventory), variant.playbook, *variant.arguments]
    environment = {**_environment(folder), **(settings or {})}
    with (folder / "output").open("w+b") as output:
        began = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)
        with watch(process.pid):
            _pid, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    found = [tuple(int(number) for number in match[1:]) for match in _RECAP.findall(text)]
    if process.returncode != 0 or not variant.fits(found, len(hosts)):
        raise AssertionError(f"{variant.playbook} did not end as {variant}:\n{text[-4000:]}")
    return Sample(wall, usage.ru_utime + usage.ru_stime)


def _environment(folder: pathlib.Path) -> dict[str, str]:
    dropped = ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "TPM2TOOLS_TCTI")
    kept = {key: value for key, value in os.environ.items() if key not in dropped and not key.startswith("ANSIBLE_")}
    return {
        **kept,
        "ANSIBLE_CONFIG": str(places.USERS_CFG),
        "ANSIBLE_FORKS": "10",
        "ANSIBLE_COLLECTIONS_PATH": str(places.COLLECTIONS),
        "ANSIBLE_HOME": str(folder / "ansible"),
    }


@functools.cache
def python() -> str:
    """The devices' Python."""
    return places.require_python("venv")
