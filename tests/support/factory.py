# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A factory for tests: a TPM vendor that certifies software TPMs (swtpm_setup and swtpm_localca), the factory's own CA, a registry, a line of devices."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import pathlib
import shutil
import subprocess
import sys
import typing as t

from support import lab_ca, places
from support.controller import Controller
from support.swtpm import Swtpm, copy_state

sys.path.insert(0, str(places.ROOT / "demo"))
from lab import authority

Options = dict[str, t.Any]
PCRS = {"bank": "sha256", "indices": [0, 1, 2, 3, 4, 5, 6, 7]}


class Vendor:
    """A maker of TPMs: `make(name)` returns the state folder of a new TPM with an EK certificate, made once for all workers of a session."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def make(self, name: str) -> pathlib.Path:
        """The state of the TPM of that name; copy it before use."""
        state = self.folder / "states" / name
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not state.exists():
                authority.manufacture(setup_conf=authority.prepare(self.folder), name=name, tpm_dir=state)
        return state

    @property
    def bundle(self) -> pathlib.Path:
        """The PEM file with the vendor's CA certificates, root and issuer; it exists once a TPM has been made."""
        ca, path = self.folder / "ca" / "state", self.folder / "bundle.pem"
        if not path.exists():
            aside = path.with_suffix(f".{id(self)}")
            aside.write_bytes((ca / "issuercert.pem").read_bytes() + (ca / "swtpm-localca-rootca-cert.pem").read_bytes())
            aside.replace(path)
        return path

    @property
    def trust(self) -> Options:
        """The option `trust` with which this vendor is trusted."""
        return {"bundle": str(self.bundle), "sha256": hashlib.sha256(self.bundle.read_bytes()).hexdigest()}


@dataclasses.dataclass
class Unit:
    """One device on the line: its TPM, its folder for files, its name and serial number."""

    swtpm: Swtpm
    folder: pathlib.Path
    name: str
    serial: str

    @property
    def host(self) -> Options:
        """Its variables in an inventory."""
        return {"tpm2_profile_tcti": self.swtpm.tcti, "tpm2_profile_serial": self.serial, "tpm2_profile_dir": str(self.folder)}


class Line:
    """A factory line in a folder: a CA below a root, a registry, birth records; devices are put on it with `put`."""

    def __init__(self, folder: pathlib.Path, vendor: Vendor, controller: Controller, registry: str | None = None) -> None:
        self.folder, self.vendor, self.controller = folder, vendor, controller
        self.ca = lab_ca.write(folder / "ca")
        self.registry = registry or str(folder / "registry.sqlite")
        self.records = folder / "records"
        self.units: dict[str, Unit] = {}

    def put(self, name: str, *, serial: str | None = None, state: pathlib.Path | None = None, measured_boot: bool = True) -> Unit:
        """Put a device on the line: its own TPM of the vendor, or the one in `state`."""
        folder = self.folder / name
        (folder / "files").mkdir(parents=True)
        tpm = Swtpm(folder / "tpm")
        copy_state(state or self.vendor.make(name), tpm.state_dir)
        tpm.start()
        if measured_boot:
            tpm.extend_pcr(7)
        unit = Unit(tpm, folder / "files", name, serial or f"EF-{name.upper()}")
        self.units[name] = unit
        return unit

    @property
    def variables(self) -> Options:
        """The line's variables, for every host."""
        return {
            "tpm2_day_zero_stack": False,
            "tpm2_identity_registry": self.registry,
            "tpm2_identity_new_registry": True,
            "tpm2_identity_trust": self.vendor.trust,
            "tpm2_identity_authority": self.ca.options,
            "tpm2_identity_record_dir": str(self.records),
        }

    def play(self, playbook: str, *arguments: str, **variables: t.Any) -> subprocess.CompletedProcess[str]:
        """Run a playbook over all devices; `variables` go over the line's."""
        shared = {**self.variables, **variables}
        return self.controller(playbook, {name: {**shared, **unit.host} for name, unit in self.units.items()}, *arguments)

    def close(self) -> None:
        """End the TPMs."""
        for unit in self.units.values():
            unit.swtpm.close()
            shutil.rmtree(unit.swtpm.state_dir, ignore_errors=True)
