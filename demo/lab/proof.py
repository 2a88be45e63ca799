# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Independent checks of the line: certificates by OpenSSL, birth records by the commands of docs/birth-record.md, groups by Ansible."""

from __future__ import annotations

import pathlib
import re

from . import playbook, programs
from .device import Device
from .factory import Factory
from .settings import REPO, DemoError, Settings

KINDS = ("iak", "idevid", "ldevid")
_PAGE = REPO / "docs" / "birth-record.md"


def write_commands(factory: Factory) -> pathlib.Path:
    """Write the commands of docs/birth-record.md to a file, unchanged.

    Raises:
        DemoError: the page does not have exactly one block of commands.
    """
    found = re.findall(r"^```bash\n(.*?)^```$", _PAGE.read_text(), re.MULTILINE | re.DOTALL)
    if len(found) != 1:
        raise DemoError(f"Could not find the commands that verify a birth record: {_PAGE} is to have one block of bash, not {len(found)}.")
    path = factory.folder / "verify.sh"
    path.write_text(found[0])
    return path


def verify(factory: Factory, device: Device, commands: pathlib.Path) -> str:
    """Verify an enrolled device's certificates and its birth record; return the result of both as text. Raises DemoError."""
    _verify_certificates(factory, device)
    return f"{', '.join(KINDS)}: OK; birth record {_verify_record(factory, device, commands)}"


def _verify_certificates(factory: Factory, device: Device) -> None:
    """Have ``openssl verify`` check each certificate that the device holds, up to the factory's root.

    Raises:
        DemoError: one does not verify; the sentence has OpenSSL's message.
    """
    for kind in KINDS:
        path = device.files / f"{kind}.cert.pem"
        command = ["openssl", "verify", "-CAfile", factory.root_certificate, "-untrusted", path, path]
        programs.run(f"verify the {kind} certificate of {device.name}", *command)


def _verify_record(factory: Factory, device: Device, commands: pathlib.Path) -> str:
    """Verify the device's birth record offline; return the commands' output.

    Raises:
        DemoError: it is not valid; the sentence says why.
    """
    path = factory.records / f"{device.serial}.birth.json"
    command = ["bash", commands, path, factory.root_certificate]
    said = programs.run(f"verify the birth record of {device.name}", *command)
    if not said.startswith(f"valid: {device.serial}, {device.name}, made "):
        raise DemoError(f"Could not verify the birth record of {device.name}: it is not about {device.serial}, but says: {said.strip()}")
    return said.partition(", signed by")[0].strip()


def groups(settings: Settings) -> dict[str, list[str]]:
    """The groups that the inventory plugin makes from manifest and registry, each with its hosts, by ``ansible-inventory``.

    Raises:
        DemoError: the inventory cannot be read.
    """
    command = [settings.inventory_program, "-i", settings.inventory, "--graph"]
    said = programs.run("read the inventory", *command, environment=playbook.environment(settings))
    found: dict[str, list[str]] = {}
    for line in said.splitlines():
        name = line.rpartition("--")[2].strip()
        if name.startswith("@tpm2_"):
            hosts = found.setdefault(name.removeprefix("@").rstrip(":"), [])
        elif found and not name.startswith("@"):
            hosts.append(name)
    return found
