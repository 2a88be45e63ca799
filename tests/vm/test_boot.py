# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens around a boot: firmware that leaves the platform hierarchy open, a reset in the first run, a TPM that comes late."""

from __future__ import annotations

import typing as t

import pytest

from vm import images, tools
from vm.controller import Controller
from vm.machine import Machine, direct
from vm.process import Timed
from vm.story import DAY_ZERO, HOST_PLAYBOOK, MEMBER, Story, variables

_LOCK = "edgefleet-platform-hierarchy.service"


@pytest.fixture
def open_board(story: Story) -> t.Iterator[Story]:
    """The host of the story after a boot by firmware that knows no TPM."""
    machine = story.machine
    machine.load("host")
    machine.shut_down()
    usual, machine.firmware = machine.firmware, direct(machine.disk, knows_tpm=False)
    machine.start()
    yield story
    machine.power_off()
    machine.firmware = usual


@pytest.mark.only("trixie")
def test_an_open_platform_hierarchy_is_closed_before_anybody_uses_the_tpm(open_board: Story) -> None:
    _closed_first(open_board, "kernel", tools.KERNEL_RM)


@pytest.mark.only()
def test_an_open_platform_hierarchy_is_closed_before_tpm2_abrmd_uses_the_tpm(open_board: Story) -> None:
    _closed_first(open_board, "abrmd", tools.ABRMD, "tpm2-abrmd.service")
    assert open_board.run("host, open board, again", HOST_PLAYBOOK, variables("abrmd")).changed == []


def _closed_first(board: Story, manager: str, tcti: str, *users: str) -> None:
    machine = board.machine
    assert tools.platform_hierarchy(machine) == {"enabled": 1, "opens": 1}
    board.run("host, open board", HOST_PLAYBOOK, variables(manager))
    assert tools.platform_hierarchy(machine, tcti)["enabled"] == 0
    machine.reboot()
    assert tools.platform_hierarchy(machine, tcti) == {"enabled": 0, "opens": 0}
    lock = tools.unit(machine, _LOCK, "Result", "ExecMainStatus", "ExecMainExitTimestampMonotonic", "Before")
    assert (lock["Result"], lock["ExecMainStatus"]) == ("success", "0")
    assert "tpm2-abrmd.service" in lock["Before"].split()
    closed = int(lock["ExecMainExitTimestampMonotonic"])
    for name in ("ssh.service", "basic.target", "dbus.service", *users):
        began = tools.unit(machine, name, "InactiveExitTimestampMonotonic")
        assert closed < int(began["InactiveExitTimestampMonotonic"]), name


@pytest.mark.only()
def test_a_reset_in_the_middle_of_the_first_run(story: Story) -> None:
    machine = story.machine
    machine.load("bare")
    machine.ssh(f"useradd --create-home {MEMBER}; sync")
    with Timed(f"{machine.name}: a run that a reset ends"):
        run = story.controller.start(HOST_PLAYBOOK, variables("kernel"))
        run.until("the packages", lambda event: event["changed"] and "ackages" in event["task"])
        machine.reset()
        assert run.wait().status != 0, "the run noticed"
    assert story.run("host, after a reset", HOST_PLAYBOOK, variables("kernel")).changed
    assert story.run("host, after a reset, again", HOST_PLAYBOOK, variables("kernel")).changed == []
    assert tools.random_as(machine, MEMBER, tools.KERNEL_RM)[0]
    assert story.run("day_zero, after a reset", DAY_ZERO, variables("kernel")).changed


@pytest.fixture(scope="module")
def late_board(suite: str) -> t.Iterator[Machine]:
    """A machine without a TPM; one made of a driver of the kernel can appear in it later."""
    with images.with_packages(suite, f"{suite}-late", direct(images.disk(suite), tpm=None)) as machine:
        # The daemon of the distribution's package waits for a TPM for a minute and a half; nobody waits for the daemon.
        machine.start(settled=False)
        machine.ssh(f"useradd --create-home {MEMBER}")
        yield machine


@pytest.mark.xdist_group("late")
@pytest.mark.only()
def test_no_tpm_at_all_is_said_in_one_sentence(late_board: Machine) -> None:
    machine = late_board
    controller = Controller(machine, machine.folder / "ansible-none")
    done = controller.run(HOST_PLAYBOOK, variables("kernel") | {"tpm_stack_wait": 0})
    assert done.status != 0
    (sentence,) = done.failed
    assert "Could not find a TPM: " in sentence
    assert "Traceback" not in done.text


@pytest.mark.xdist_group("late")
@pytest.mark.only("bookworm")
def test_a_tpm_that_appears_late(late_board: Machine) -> None:
    machine = late_board
    controller = Controller(machine, machine.folder / "ansible")
    assert machine.out("ls /dev/tpm* 2>/dev/null | wc -l") == "0"
    with Timed(f"{machine.name}: a run that waits for its TPM"):
        run = controller.start(HOST_PLAYBOOK, variables("kernel") | {"tpm_stack_wait": 1200, "platform_hierarchy_state": "absent"})
        run.until("the wait", lambda event: event["status"] == "retry")
        machine.ssh("mkdir -p /run/late-tpm && modprobe tpm_vtpm_proxy")
        machine.ssh("swtpm chardev --vtpm-proxy --tpm2 --tpmstate dir=/run/late-tpm --flags startup-clear --daemon")
        done = run.wait()
    done.expect_ok()
    assert tools.node(machine, "/dev/tpmrm0") == "tss:tss 660"
    assert tools.random_as(machine, MEMBER, tools.KERNEL_RM)[0]
