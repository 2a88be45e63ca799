# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory of the lab's devices: what a factory's own inventory says, with swtpm in place of /dev/tpmrm0."""

from __future__ import annotations

import json
import shutil
import typing as t

from .device import Device
from .settings import Settings


def write(settings: Settings, devices: t.Sequence[Device]) -> None:
    """Write ``inventory.yml`` and link each device's secrets into ``host_vars``. Values are JSON strings, which YAML reads."""
    lines = [
        "---",
        "# Written by `make demo`. Secrets are not here: host_vars/<device>/ links to each device's own file.",
        "edge:",
        "  vars:",
        "    ansible_connection: local",
        f"    ansible_python_interpreter: {json.dumps(settings.device_python)}",
        f"    ansible_remote_tmp: {json.dumps(str(settings.root / 'ansible' / 'tmp'))}",
        "  hosts:",
    ]
    host_vars = settings.root / "host_vars"
    shutil.rmtree(host_vars, ignore_errors=True)
    for device in devices:
        lines += [
            f"    {device.name}:",
            f"      tpm2_profile_tcti: {json.dumps(device.tcti)}",
            f"      tpm2_profile_serial: {json.dumps(device.serial)}",
            f"      tpm2_profile_dir: {json.dumps(str(device.files))}",
        ]
        (host_vars / device.name).mkdir(parents=True)
        (host_vars / device.name / "secrets.yml").symlink_to(device.secrets)
    settings.inventory.write_text("\n".join(lines) + "\n")
