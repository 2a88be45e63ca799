# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes Ansible's input: the factory's manifest, an inventory source that joins it with the registry, and variables."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import pathlib
import shutil
import typing as t

from . import authority
from .device import Device
from .factory import Factory
from .settings import DemoError, Settings

_WRITTEN = "---\n# Written by `make demo`.\n"
# Without variables of their own, the hosts' modules would use the TPM of the machine on which the demo runs.
_NO_TPM = "swtpm:host=127.0.0.1,port=1"


def write(settings: Settings, factory: Factory, devices: t.Sequence[Device]) -> None:
    """Write all files of the inventory for these devices.

    Raises:
        DemoError: the vendor's CA certificates are missing.
    """
    try:
        vendor = authority.bundle(settings.root)
    except OSError as exc:
        raise DemoError(f"The certificates of the TPM vendor are gone ({exc}): run `demo/clean`, then `make demo`.") from exc
    _replace(factory.bundle, vendor)
    _replace(
        settings.inventory,
        f"{_WRITTEN}plugin: edgefleet.tpm2.registry\nmanifest: {factory.manifest.name}\nregistry: {factory.registry.name}\nunlisted: false\n",
    )
    with open(_unfinished(factory.manifest), "w", encoding="ascii", newline="") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(["serial", "host", "ek_sha256", "site", "model"])
        rows.writerows([device.serial, device.name, device.pin, "lab", "EF-100"] for device in devices)
    _unfinished(factory.manifest).rename(factory.manifest)
    _write_group(settings, factory, vendor)
    host_vars = factory.folder / "host_vars"
    shutil.rmtree(host_vars, ignore_errors=True)
    for device in devices:
        (host_vars / device.name).mkdir(parents=True)
        (host_vars / device.name / "secrets.yml").symlink_to(device.secrets)
        _write_variables(host_vars / device.name / "device.yml", {"tpm2_profile_tcti": device.tcti, "tpm2_profile_dir": str(device.files)})


def _write_group(settings: Settings, factory: Factory, vendor: str) -> None:
    """The variables of the whole line. The secrets are in vault.yml, beside this file."""
    variables: dict[str, t.Any] = {
        "ansible_connection": "local",
        "ansible_python_interpreter": settings.device_python,
        "ansible_remote_tmp": str(settings.root / "ansible" / "tmp"),
        "tpm2_day_zero_stack": False,  # the device is this machine, whose TPM stack the demo must not change
        "tpm2_profile_tcti": _NO_TPM,
        "tpm2_profile_hardened": True,
        "tpm2_identity_registry": str(factory.registry),
        "tpm2_identity_new_registry": True,  # the demo begins without a registry
        "tpm2_identity_trust": {"bundle": str(factory.bundle), "sha256": hashlib.sha256(vendor.encode()).hexdigest()},
        "tpm2_identity_authority": {
            "certificate": str(factory.ca_certificate),
            "chain": str(factory.root_certificate),
            "key": str(factory.ca_key),
            "password": "{{ vault_ca_password }}",
        },
        "tpm2_identity_organization": "edgefleet lab",
        "tpm2_identity_ldevid": {"lifetime": 90, "renew_before": 30},
        "tpm2_identity_record_dir": str(factory.records),
        "tpm2_identity_escrow": {"mode": "derived", "master": "{{ vault_fleet_master }}"},
    }
    _write_variables(factory.vault.with_name("line.yml"), variables)


def _write_variables(path: pathlib.Path, variables: t.Mapping[str, t.Any]) -> None:
    """The text of a file of variables. The values are JSON, which is valid YAML."""
    _replace(path, _WRITTEN + "".join(f"{name}: {json.dumps(value)}\n" for name, value in variables.items()))


def _replace(path: pathlib.Path, text: str) -> None:
    _unfinished(path).write_text(text)
    os.replace(_unfinished(path), path)


def _unfinished(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(f".{path.name}.unfinished")
