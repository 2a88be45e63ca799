# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's section Install in a bare container, from a clone and from a tarball: it ends with a preflight of a device from another folder."""

from __future__ import annotations

from guide.lab import Lab
from guide.page import Block, blocks
from guide.reader import Reader, recap

README, GUIDE = "README.md", "docs/first-fleet.md"
CLONE, TARBALL, LIBRARY = "git clone ", "ansible-galaxy collection build ", "pip install "
FOLDER, PREFLIGHT = "mkdir -p ~/my-fleet", "ansible-playbook -i inventory.yml edgefleet.tpm2.preflight"


def section(title: str) -> list[Block]:
    """The blocks of a section of the README."""
    return [block for block in blocks(README) if block.section == title]


def test_install(lab: Lab) -> None:
    lab.device("edge-01", "192.0.2.11", "bookworm")
    lab.device("edge-02", "192.0.2.12", "trixie")
    reader = Reader(lab, README)
    inventory, keys = (block for block in blocks(GUIDE) if block.section == "2. The inventory")
    by_line = {block.text.splitlines()[0]: block for block in section("Install")}
    clone, tarball, library, folder, preflight = (
        next(block for line, block in by_line.items() if line.startswith(begin)) for begin in (CLONE, TARBALL, LIBRARY, FOLDER, PREFLIGHT)
    )
    for install in (clone, tarball):
        reader.terminal.run("cd; rm -rf ~/.ansible ~/my-fleet")
        for block in (install, library, folder, inventory, keys, preflight):
            said = reader.execute(block)
        recap(said, "edge-01", "edge-02")
        assert "skipping" not in said and "[WARNING]" not in said
        assert "# edge-01" in reader.there("cat tpm2-reports/edge-01.md")


def test_requirements(lab: Lab) -> None:
    reader = Reader(lab, README)
    for block in section("Install"):
        if block.file == "requirements.yml":
            reader.execute(block)
            assert "edgefleet.tpm2:0.1.0 was installed successfully" in reader.terminal.run(
                "ansible-galaxy collection install -r requirements.yml"
            )
