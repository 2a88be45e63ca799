# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hardened device on a line with a registry, an escrow and an LDevID: new, or in the state of an earlier scene; honest, or an attacker's."""

from __future__ import annotations

import base64
import pathlib
import shutil
import subprocess
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._escrow import Escrow
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry
from support import hostile, profile, secrets
from support.controller import Controller, interpreter
from support.factory import Line, Unit, Vendor
from support.state import auth_opens, end_state
from support.swtpm import copy_state
from support.tools import Tools, as_text

HOST = "edge-01"
MASTER = base64.b64encode(bytes.fromhex(secrets.made_up("master of the scene", 64))).decode()
KEY = base64.b64encode(profile.TELEMETRY_KEY).decode()
Done = subprocess.CompletedProcess[str]


class Scene:
    """One device and its controller; a context manager. `past` is the folder of a scene that has ended."""

    def __init__(self, folder: pathlib.Path, vendor: Vendor, program: str, python: str, past: pathlib.Path | None = None) -> None:
        folder.mkdir()
        self.folder, self._python = folder, interpreter(python, program)
        self.line = Line(folder / "line", vendor, Controller(folder / "desk", program, python))
        self.line.controller.folder.mkdir()
        if past:
            _again(self.line, past)
        self.unit: Unit = self.line.put(HOST, state=past and past / "tpm")
        if past:
            shutil.copytree(past / "files", self.unit.folder, dirs_exist_ok=True)
        Tools(self.unit.swtpm.tcti).close_platform()
        self.rogue: hostile.HostileDevice | None = None
        self.variables: hostile.Json = {
            "tpm2_become": False,
            "tpm2_profile_hardened": True,
            "tpm2_profile_telemetry_key": KEY,
            "tpm2_identity_escrow": {"mode": "derived", "master": MASTER},
            "tpm2_identity_ldevid": {"lifetime": 30, "renew_before": 10},
        }

    def __enter__(self) -> Scene:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.line.close()

    def belongs_to(self, *ways: str, **options: t.Any) -> hostile.HostileDevice:
        """From now on the device's Python is the attacker's; `options` are those of Rogue."""
        self.rogue = hostile.HostileDevice(self.folder / "rogue", self._python, *ways, **options)
        return self.rogue

    def play(self, playbook: str, *arguments: str, **variables: t.Any) -> Done:
        """Run a playbook of the collection on the device."""
        return self.line.controller(f"edgefleet.tpm2.{playbook}", {HOST: self.host(**variables)}, "-e", "tpm2_hosts=all", *arguments)

    def host(self, **variables: t.Any) -> hostile.Json:
        """The variables of the device."""
        python = {"ansible_python_interpreter": self.rogue.python} if self.rogue else {}
        return {**self.line.variables, **self.unit.host, **self.variables, **python, **variables}

    def looks(self) -> hostile.Json:
        """Everything that two scenes are compared by: the state of the device, its registry and its controller."""
        found = end_state(self.unit.swtpm, self.unit.folder)
        return {**found, **hostile.registry(self.line.registry), "controller": self._left()}

    def auth_opens(self, hierarchy: t.Literal["owner", "endorsement", "lockout"], generation: int) -> bool:
        """Whether the hierarchy has the auth value of that generation."""
        return auth_opens(self.unit.swtpm, hierarchy, as_text(self.auth(hierarchy, generation)))

    def auth(self, hierarchy: str, generation: int) -> str:
        """The auth value of that generation, as the escrow derives it."""
        with open_registry(self.line.registry, create=False) as registry:
            device = registry.find(serial=self.unit.serial)
            assert device is not None
            return Escrow(registry, mode="derived", master=MASTER.encode(), create=False).auths(device, generation=generation)[hierarchy]

    def _left(self) -> list[str]:
        """The files of the controller: registry, records, pages."""
        files = [path for top in (self.line.folder, self.line.controller.folder) for path in top.rglob("*") if path.is_file()]
        names = {str(path.relative_to(self.folder)) for path in files}
        return sorted(
            name for name in names if not name.startswith((f"line/{HOST}/", "desk/ansible/", "desk/cache/", "desk/inventory.yml"))
        )

    def keep(self, folder: pathlib.Path) -> pathlib.Path:
        """End the device, and keep its files in a folder, as the past of other scenes."""
        self.unit.swtpm.stop()
        copy_state(self.unit.swtpm.state_dir, folder / "tpm")
        shutil.copytree(self.unit.folder, folder / "files")
        shutil.copytree(self.line.records, folder / "records")
        shutil.copytree(self.line.ca.folder, folder / "ca")
        shutil.copy(self.line.registry, folder / "registry.sqlite")
        return folder


def _again(line: Line, past: pathlib.Path) -> None:
    """Registry, birth records and CA of the past."""
    shutil.copy(past / "registry.sqlite", line.registry)
    shutil.copytree(past / "records", line.records)
    shutil.copytree(past / "ca", line.ca.folder, dirs_exist_ok=True)
