# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the demo in a folder of its own, and reads its factory's files."""

from __future__ import annotations

import base64
import dataclasses
import os
import pathlib
import sqlite3
import subprocess
import sys
import typing as t

import yaml

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._escrow import HIERARCHIES, Escrow
from support import controller, places
from support.profile import EK
from support.tools import Tools

sys.path.insert(0, str(places.ROOT / "demo"))
from lab.device import IMPOSTOR, PINNED, Device
from lab.factory import Factory

USUAL = ("edge-01", "edge-02")
ENROLLED = (*USUAL, PINNED)
NAMES = (*ENROLLED, IMPOSTOR)


@dataclasses.dataclass
class Lab:
    """A demo with two usual devices in its own folder. Its first run is exactly what users start; later ones use a warm Python for the devices."""

    root: pathlib.Path
    ansible_playbook: str
    first: subprocess.CompletedProcess[str] | None = None

    def _environment(self) -> dict[str, str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "TPM2", "PYTHON"))}
        if self.first:
            environment["DEMO_PYTHON"] = controller.interpreter(str(places.venv() / "bin" / "python"), self.ansible_playbook)
        return environment | {"DEMO_DIR": str(self.root), "DEVICES": "2", "EDGEFLEET_ANSIBLE_PLAYBOOK": self.ansible_playbook}

    def demo(self, program: str = "run", *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run demo/run or demo/clean to its end."""
        command = [str(places.ROOT / "demo" / program), *arguments]
        return subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=False, timeout=600)

    def playbook(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the collection on the lab's inventory, as an operator would."""
        environment = self._environment() | {
            "ANSIBLE_CONFIG": str(places.USERS_CFG),
            "ANSIBLE_COLLECTIONS_PATH": str(places.COLLECTIONS),
            "ANSIBLE_HOME": str(self.root / "ansible"),
        }
        inventory = str(self.factory.folder / "factory.tpm2_registry.yml")
        return controller.forked([self.ansible_playbook, "-i", inventory, f"edgefleet.tpm2.{name}", *arguments], environment)

    @property
    def factory(self) -> Factory:
        return Factory(self.root / "factory")

    def device(self, name: str) -> Device:
        """One device of the lab."""
        return Device(name, self.root / "devices" / name)

    def tools(self, name: str = "edge-01") -> Tools:
        """tpm2-tools on one device's TPM."""
        return Tools(self.device(name).tcti)

    def telemetry_key(self, name: str = "edge-01") -> bytes:
        """The device's telemetry key, from its vault file."""
        return base64.b64decode(yaml.safe_load(self.device(name).secrets.read_text())["tpm2_profile_telemetry_key"])

    def vault(self) -> dict[str, str]:
        """The factory's secrets."""
        return t.cast("dict[str, str]", yaml.safe_load(self.factory.vault.read_text()))

    def auths(self, name: str = "edge-01") -> dict[str, str]:
        """The auth values of a device, derived again from the master secret."""
        master = self.vault()["vault_fleet_master"].encode()
        return Escrow(None, master=master).many(self.tools(name).readpublic(EK).name, HIERARCHIES, 1)

    def registry(self, query: str) -> list[tuple[t.Any, ...]]:
        """The result of a query to the registry's file, by SQLite itself."""
        connection = sqlite3.connect(f"file:{self.factory.registry}?mode=ro", uri=True)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()
