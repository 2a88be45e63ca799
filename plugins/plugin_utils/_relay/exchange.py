# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""How the relay gets to a device: as a module of one file, which Ansible finds, fills with its arguments and sends like every other module."""

from __future__ import annotations

import ast
import os
import pathlib

from ansible import constants
from ansible.plugins.loader import module_loader

_NAME = "edgefleet_relay"
# As a module's name: found in the folders that are told to Ansible, and not in a collection.
MODULE = f"ansible.legacy.{_NAME}"
MARKER = "<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>"
# Ansible puts the device's interpreter here.
_SHEBANG = "#!/usr/bin/python\n"


def program() -> str:
    """What is sent to a device, but for the arguments: the program from its first import on, without comments and docstrings."""
    text = pathlib.Path(__file__).with_name("program.py").read_text(encoding="utf-8")
    return _bare(_SHEBANG + text[text.index("\nimport ") + 1 :])


def _bare(text: str) -> str:
    """A program without docstrings, empty lines and lines with nothing but a comment. It has no other text of more than one line."""
    instead: dict[int, str] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            first = node.body[0]
            instead.update(dict.fromkeys(range(first.lineno, (first.end_lineno or 0) + 1), ""))
            if len(node.body) == 1:
                instead[first.lineno] = " " * first.col_offset + "pass"
    lines = [instead.get(number, line) for number, line in enumerate(text.splitlines(), 1)]
    return "".join(f"{line}\n" for line in lines if line.strip() and not line.lstrip().startswith("# "))


def offer() -> None:
    """Write the program into Ansible's folder for the temporary files of this run, and tell Ansible to look for modules there."""
    folder = pathlib.Path(constants.DEFAULT_LOCAL_TMP, "edgefleet-relay")
    folder.mkdir(mode=0o700, exist_ok=True)
    # Workers may do this at the same time.
    aside = folder / f".{os.getpid()}"
    aside.write_text(program(), encoding="utf-8")
    aside.replace(folder / f"{_NAME}.py")
    module_loader.add_directory(str(folder))
    # Found once, before Ansible forks its workers; each of them would search all folders for it again.
    module_loader.find_plugin_with_context(MODULE, ".py")


__all__ = ("MARKER", "MODULE", "offer", "program")
