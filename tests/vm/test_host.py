# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bare Debian host with a real TPM driver: the roles and day_zero over SSH, seen from outside."""

from __future__ import annotations

import pytest

from vm import tools
from vm.story import BOUNDED, HOST_PLAYBOOK, MEMBER, STRANGER, Story, variables

pytestmark = pytest.mark.core


def test_a_bare_host_has_nodes_for_root_alone(story: Story) -> None:
    assert story.nodes == {"/dev/tpm0": "root:root 600", "/dev/tpmrm0": "root:root 600"}


def test_preflight_is_one_task_on_the_device(story: Story) -> None:
    for name in ("preflight, bare host", "preflight"):
        ran = [event["task"] for event in story.runs[name].executed if event["action"].startswith("edgefleet.tpm2.")]
        assert ran == ["Examine host and TPM"]
        assert not story.runs[name].changed


def test_the_roles_set_the_host_up(story: Story) -> None:
    machine = story.machine
    machine.load("host")
    assert tools.node(machine, "/dev/tpm0") == "tss:root 660"
    assert tools.node(machine, "/dev/tpmrm0") == "tss:tss 660"
    assert MEMBER in machine.out("getent group tss").rpartition(":")[2].split(",")
    assert tools.random_as(machine, MEMBER, tools.KERNEL_RM)[0]
    refused, said = tools.random_as(machine, STRANGER, tools.KERNEL_RM)
    assert not refused
    assert "Permission denied" in said
    # Who names no TCTI gets the host's, in a login shell.
    assert len(machine.out(f"su - {MEMBER} -c 'tpm2_getrandom --hex 8'")) == 16


def test_abrmd_is_not_there_or_masked(story: Story) -> None:
    story.machine.load("host")
    daemon = tools.unit(story.machine, "tpm2-abrmd.service")
    assert daemon["ActiveState"] == "inactive"
    assert daemon["LoadState"] in ("masked", "not-found")


def test_a_host_that_is_right_changes_nothing_in_few_tasks(story: Story) -> None:
    second = story.runs["host, second run"]
    assert second.changed == []
    assert set(BOUNDED) < {event["role"] for event in second.executed}
    executed = [event["task"] for event in second.executed if event["role"] in BOUNDED]
    assert len(executed) <= 12, executed


def test_day_zero_provisions_it(story: Story) -> None:
    assert story.runs["day_zero, first run"].changed
    assert story.runs["day_zero, second run"].changed == []
    story.machine.load("provisioned")
    held = tools.handles(story.machine, tools.KERNEL_RM)
    assert {"0x81000001", "0x81000210", "0x81010001", "0x81020001"} <= {handle.lower() for handle in held["handles-persistent"]}
    assert "0x1800010" in " ".join(held["handles-nv-index"]).lower()


def test_firmware_that_closes_the_platform_hierarchy_is_left_alone(story: Story) -> None:
    machine = story.machine
    machine.load("host")
    assert tools.platform_hierarchy(machine) == {"enabled": 1, "opens": 0}
    assert tools.unit(machine, "edgefleet-platform-hierarchy.service")["LoadState"] == "not-found"


@pytest.mark.only()
def test_a_dry_run_on_a_host_that_is_right_says_so(story: Story) -> None:
    story.machine.load("provisioned")
    assert story.controller.run(HOST_PLAYBOOK, variables("kernel"), "--check").expect_ok().changed == []
