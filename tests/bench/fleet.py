# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that have the reference profile, an inventory of them, and a playbook run over it that is timed and checked."""

from __future__ import annotations

import base64
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
    """A playbook, and how many of its tasks must run, be skipped and change something for each device."""

    name: str
    title: str
    ok: int
    skipped: int = 0
    changed: int = 0

    @property
    def playbook(self) -> pathlib.Path:
        """The playbook's file."""
        return HERE / f"{self.name}.yml"


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
        result = module.run("tpm2_profile", {"tcti": tpm.tcti, "resources": resources}, python=_python()).expect_ok()
        self._name = next(one["name"] for one in result["resources"] if one["object"] == f"{profile.MQTT_KEY:#010x}")
        # What is copied must be on the disk.
        tpm.restart()

    def _copy(self, number: int) -> None:
        shutil.copytree(self._files(0), self._files(number))
        copy_state(self.devices[0].state_dir, self.folder / f"tpm{number}")
        self._start(number)

    def play(self, variant: Variant, tctis: t.Sequence[str] | None = None) -> Sample:
        """Run a playbook over all devices, or over the first ones through these TCTIs, which something in front of them has."""
        tctis = tctis or [device.tcti for device in self.devices]
        hosts = {f"device{number}": device_variables(tcti, self._files(number), self._name) for number, tcti in enumerate(tctis)}
        return play(variant, hosts, self.folder)


def device_variables(tcti: str, files: pathlib.Path, mqtt_name: str = "") -> dict[str, str]:
    """What the playbooks need to know of a device."""
    return {
        "ansible_connection": "local",
        "ansible_python_interpreter": _python(),
        "tcti": tcti,
        "tpm2_device_dir": str(files),
        "tpm2_serial": profile.SERIAL,
        "tpm2_telemetry_key": TELEMETRY_KEY,
        "tpm2_mqtt_name": mqtt_name,
    }


def play(variant: Variant, hosts: t.Mapping[str, dict[str, str]], folder: pathlib.Path) -> Sample:
    """Run a playbook over `hosts`. Raises AssertionError where it did not run, skip and change as many tasks as `variant` says."""
    inventory = folder / "inventory.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
    command = [str(places.venv() / "bin/ansible-playbook"), "-i", str(inventory), str(variant.playbook)]
    with (folder / "output").open("w+b") as output:
        began = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=_environment(folder))
        _pid, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    found = [tuple(int(number) for number in match[1:]) for match in _RECAP.findall(text)]
    expected = [(variant.ok, variant.changed, 0, 0, variant.skipped)] * (len(hosts) if variant.ok else 0)
    if process.returncode != 0 or found != expected:
        raise AssertionError(f"{variant.playbook.name} did not end as {variant}:\n{text[-4000:]}")
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
def _python() -> str:
    return places.require_python("venv")
