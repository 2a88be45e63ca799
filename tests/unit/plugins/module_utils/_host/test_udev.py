# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""udev's rules for TPM nodes: which is meant, which has the last word."""

from __future__ import annotations

import pytest
from unit.host import World

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host import udev

BOTH = ["/dev/tpm0", "/dev/tpmrm0"]
RULES = [
    ('KERNEL=="tpm[0-9]*", MODE="0660"', ["/dev/tpm0"], False),
    ('KERNEL=="tpm*", MODE="0666"', BOTH, True),
    ('SUBSYSTEM=="tpm|tpmrm", MODE:="660"', BOTH, False),
    ('SUBSYSTEM=="tpmrm", KERNEL!="tpmrm1", GROUP="app", MODE="0664"', ["/dev/tpmrm0"], True),
    ('ACTION=="add", KERNEL=="tpmrm[0-9]", MODE="0600"', ["/dev/tpmrm0"], False),
    ('SUBSYSTEM=="*", MODE="0777"', BOTH, True),
    ('KERNEL=="tpmrm0", \\\n  MODE="0661"', ["/dev/tpmrm0"], True),
]


@pytest.mark.parametrize(("text", "nodes", "wide"), RULES)
def test_what_a_rule_is_about(world: World, text: str, nodes: list[str], wide: bool) -> None:
    world.remove("/usr/lib/udev/rules.d/60-tpm-udev.rules")
    world.write("/etc/udev/rules.d/70-own.rules", f"# a comment\n\n{text}\n")
    (found,) = udev.rules(world.tree())
    assert (found["nodes"], found["wins"], found["too_wide"], found["line"]) == (nodes, nodes, wide, 3)
    assert found["final"] is (":=" in text)


@pytest.mark.parametrize(
    "text", ['KERNEL=="tty*", MODE="0666"', 'KERNEL=="tpm0", GROUP="app"', '# KERNEL=="tpm0", MODE="0666"', 'MODE="0666"']
)
def test_what_is_no_rule_for_a_tpms_mode(world: World, text: str) -> None:
    world.write("/usr/lib/udev/rules.d/60-tpm-udev.rules", text + "\n")
    assert udev.rules(world.tree()) == []


def wins(world: World) -> dict[str, list[str]]:
    return {f"{one['path']}:{one['line']}": one["wins"] for one in udev.rules(world.tree()) if one["wins"]}


def test_a_later_file_overrides(world: World) -> None:
    world.write("/etc/udev/rules.d/99-local.rules", 'KERNEL=="tpm*", MODE="0666"\n')
    assert wins(world) == {"/etc/udev/rules.d/99-local.rules:1": BOTH}
    world.remove("/etc/udev/rules.d/99-local.rules")
    world.write("/etc/udev/rules.d/50-local.rules", 'KERNEL=="tpm*", MODE="0666"\n')
    assert "/etc/udev/rules.d/50-local.rules:1" not in wins(world)


def test_a_final_assignment_is_not_overridden(world: World) -> None:
    world.write("/etc/udev/rules.d/50-local.rules", 'KERNEL=="tpm*", MODE:="0660"\n')
    world.write("/etc/udev/rules.d/99-local.rules", 'KERNEL=="tpm*", MODE="0666"\n')
    assert wins(world) == {"/etc/udev/rules.d/50-local.rules:1": BOTH}


def test_a_file_of_the_same_name_hides_the_packages(world: World) -> None:
    world.write("/etc/udev/rules.d/60-tpm-udev.rules", 'KERNEL=="tpmrm0", MODE="0666"\n')
    assert wins(world) == {"/etc/udev/rules.d/60-tpm-udev.rules:1": ["/dev/tpmrm0"]}
