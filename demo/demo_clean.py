# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""End every software TPM of the demo, each by its own process id, and remove what the demo wrote below DEMO_DIR, nothing else."""

from __future__ import annotations

import os
import pathlib
import shutil
import sys

from lab.device import Device
from lab.settings import root_from_environment

FOLDERS = ("devices", "ca", "factory", "ansible")
FILES = ("lock", "day_zero.log", "day_zero_again.log", "audit.log")


def main() -> int:
    """Stop the demo and remove its folder. Returns 0, also if there is none."""
    root = root_from_environment(os.environ)
    devices_dir = root / "devices"
    if not devices_dir.is_dir():
        return 0
    for folder in sorted(devices_dir.iterdir()):
        Device(folder.name, folder).stop()
    _remove(root)
    print(f"demo: its software TPMs are stopped, and what it kept in {root} is removed")
    return 0


def _remove(root: pathlib.Path) -> None:
    for name in FOLDERS:
        shutil.rmtree(root / name, ignore_errors=True)
    for name in FILES:
        (root / name).unlink(missing_ok=True)
    if not any(root.iterdir()):
        root.rmdir()


if __name__ == "__main__":
    sys.exit(main())
