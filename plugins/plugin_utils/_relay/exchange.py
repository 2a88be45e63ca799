# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""How the relay gets to a device: as a module of one file, which Ansible finds, fills with its arguments and sends like every other module."""

from __future__ import annotations

import pathlib

from ansible import constants
from ansible.plugins.loader import module_loader

_NAME = "edgefleet_relay"
# As a module's name: found in the folders that are told to Ansible, and not in a collection.
MODULE = f"ansible.legacy.{_NAME}"
# Ansible puts the device's interpreter here.
_SHEBANG = "#!/usr/bin/python\n"


def program() -> str:
    """What is sent to a device, but for the arguments: the program from its first import on."""
    text = pathlib.Path(__file__).with_name("program.py").read_text(encoding="utf-8")
    return _SHEBANG + text[text.index("\nimport ") + 1 :]


def offer() -> None:
    """Write the program into Ansible's folder for the temporary files of this run, and tell Ansible to look for modules there."""
    folder = pathlib.Path(constants.DEFAULT_LOCAL_TMP, "edgefleet-relay")
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / f"{_NAME}.py").write_text(program(), encoding="utf-8")
    module_loader.add_directory(str(folder))


__all__ = ("MODULE", "offer", "program")
