# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's playbook works as printed, and its table of what is supported is what the code does."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess

from docs.documents import ROOT, blocks
from support import places
from support.swtpm import Swtpm
from support.tools import Tools

README = ROOT / "README.md"
_ROW = re.compile(r"^\| ([^|]*\(\d+\)) \| (full|partial|none) \|(.*)\|$", re.MULTILINE)
_COMMAND = re.compile(r"\b(?:NV_)?[A-Z][a-z]+(?:[A-Z]\w*)|\bPCR_Read\b|\bNV_\w+|\b(?:Create|Load|Unseal|Certify|Quote|Sign)\b")
# Methods of tpm2-pytss that send no command of their own name, and names that are no commands.
_NO_COMMAND = {"close", "ctx", "tr_set_auth", "tr_get_name", "trsess_set_attributes", "trsess_get_attributes"}


def test_the_playbook_works_as_printed(swtpm: Swtpm, tools: Tools, tmp_path: pathlib.Path, system_python: str) -> None:
    (playbook,) = [block for block in blocks(README, "yaml") if block.is_playbook]
    assert len(playbook.text.splitlines()) == 10
    (tmp_path / "site.yml").write_text(playbook.text)
    (tmp_path / "inventory").write_text(f"edge-01 ansible_connection=local ansible_python_interpreter={system_python}\n")

    assert "changed=1" in play(swtpm, tmp_path)
    assert "changed=0" in play(swtpm, tmp_path)
    # Written for good: the guide's own indices are left for those who go on with it on the same device.
    (index,) = re.findall(r"0x018\w+", playbook.text)
    assert index not in (ROOT / "docs/first-fleet.md").read_text()
    assert tools.nvread(int(index, 16)) == b"edge-01"
    assert tools.da() == (32, 600, 86400)
    assert tools.handles() == [0x81000001]


def play(swtpm: Swtpm, folder: pathlib.Path) -> str:
    """Run the playbook on a device that finds its TPM by itself; return the recap."""
    places.python_path()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_") and key != "PYTHONPATH"}
    environment |= {
        "ANSIBLE_COLLECTIONS_PATH": str(places.COLLECTIONS),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "TPM2TOOLS_TCTI": swtpm.tcti,
    }
    command = [str(places.venv() / "bin/ansible-playbook"), "-i", "inventory", "site.yml"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(line for line in done.stdout.splitlines() if line.startswith("edge-01 "))


def plain(name: str) -> str:
    """A command's name as both Part 3 and Python write it."""
    return name.replace("_", "").lower()


def commands_of_the_code() -> set[str]:
    """The TPM commands that the reader and the TSS backend send."""
    utils = ROOT / "plugins/module_utils"
    backend = [*(utils / "_backend").glob("*.py"), utils / "_host/access.py"]
    text = "\n".join(path.read_text() for path in backend)
    called = set(re.findall(r"\b(?:self\._e|esapi|e)\.([a-z]\w+)\(", text)) - _NO_COMMAND
    called = {name for name in called if not name.startswith(("tr_", "trsess_"))}
    raw = set(re.findall(r"\bconstants\.CC_(\w+)", text))
    return {plain(name) for name in called | raw | set(re.findall(r"lib\.Esys_([A-Z]\w+)\(", text)) if not name.startswith("TR_")}


def rows() -> list[tuple[str, str, set[str]]]:
    """The table: group, support, the commands that it names."""
    found = []
    for group, support, commands in _ROW.findall(README.read_text()):
        # What follows is about kinds of sessions and indices, or done in software, not about commands.
        commands = commands.partition(": HMAC")[0].partition(". ")[0]
        found.append((group, support, set(_COMMAND.findall(commands))))
    return found


def test_every_group_of_the_specification_is_there() -> None:
    assert [int(group.rpartition("(")[2].rstrip(")")) for group, _support, _commands in rows()] == list(range(9, 32))


def test_the_commands_are_those_that_the_code_sends() -> None:
    named = {plain(command) for _group, _support, commands in rows() for command in commands}
    assert named == commands_of_the_code()


def test_support_is_full_partial_or_none_as_the_commands_say() -> None:
    assert [group for group, support, commands in rows() if support != "none" and not commands] == []
    assert [group for group, support, commands in rows() if support == "none" and commands and "clocks" not in group] == []
