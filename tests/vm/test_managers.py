# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both resource managers on a real device: switched to and back, one in the way of the other, and ten users at once."""

from __future__ import annotations

import pytest

from vm import tools
from vm.hammer import PROCESSES, Hammer
from vm.process import Timed, progress
from vm.story import DAY_ZERO, HOST_PLAYBOOK, MEMBER, STRANGER, Story, variables

_OURS = ("/etc/systemd/system/tpm2-abrmd.service", "/etc/dbus-1/system.d/edgefleet-tpm2-abrmd.conf")
_LOADED = ("handles-transient", "handles-loaded-session", "handles-saved-session")


@pytest.fixture(scope="session")
def abrmd(story: Story) -> Story:
    """The host of the story switched to tpm2-abrmd, by two runs: a reset ends the first. Its snapshot is `abrmd`."""
    machine = story.machine
    machine.load("host")
    with Timed(f"{machine.name}: a run that a reset ends"):
        run = story.controller.start(HOST_PLAYBOOK, variables("abrmd"))
        run.until("a half-done switch", lambda event: event["changed"] and event["role"].endswith("resource_manager"))
        machine.reset()
        story.runs["host, to abrmd, ended by a reset"] = run.wait()
    story.run("host, to abrmd", HOST_PLAYBOOK, variables("abrmd"))
    story.look("After the roles, with tpm2-abrmd", tools.ABRMD)
    machine.save("abrmd")
    return story


@pytest.mark.only("bookworm")
def test_a_reset_in_the_middle_of_the_play_is_made_good_by_the_next_run(abrmd: Story) -> None:
    assert abrmd.runs["host, to abrmd, ended by a reset"].status != 0
    assert abrmd.runs["host, to abrmd"].changed


@pytest.mark.only("bookworm")
def test_abrmd_serves_the_group_and_nobody_else(abrmd: Story) -> None:
    machine = abrmd.machine
    machine.load("abrmd")
    daemon = tools.unit(machine, "tpm2-abrmd.service")
    assert (daemon["ActiveState"], daemon["UnitFileState"]) == ("active", "enabled")
    assert machine.out(f"readlink -f /proc/{daemon['MainPID']}/exe") == "/usr/sbin/tpm2-abrmd"
    assert machine.out(f"ls -l /proc/{daemon['MainPID']}/fd | grep -c /dev/tpm0") == "1"
    assert tools.random_as(machine, MEMBER, tools.ABRMD)[0]
    assert not tools.random_as(machine, STRANGER, tools.ABRMD)[0]


@pytest.mark.only("bookworm")
def test_a_held_device_is_busy_and_the_holder_is_named(abrmd: Story) -> None:
    machine = abrmd.machine
    machine.load("abrmd")
    pid = int(tools.unit(machine, "tpm2-abrmd.service")["MainPID"])
    assert "resource busy" in machine.ssh("tpm2_getrandom -T device:/dev/tpm0 --hex 8", check=False).stderr
    host = abrmd.controller.task("tpm2_info", {"gather": ["host"]}).expect_ok().results("tpm2_info")[0]["host"]
    named = {"path": "/dev/tpm0", "pid": pid, "process": "tpm2-abrmd", "unit": "tpm2-abrmd.service"}
    assert [{key: holder[key] for key in named} for holder in host["holders"]] == [named]
    assert host["resource_manager"]["in_use"] == "abrmd"


@pytest.mark.only()
def test_the_switch_is_idempotent_and_back_leaves_nothing(abrmd: Story) -> None:
    machine = abrmd.machine
    machine.load("abrmd")
    assert abrmd.run("host with abrmd, again", HOST_PLAYBOOK, variables("abrmd")).changed == []
    abrmd.run("host, back to kernel", HOST_PLAYBOOK, variables("kernel"))
    assert abrmd.run("host with kernel, again", HOST_PLAYBOOK, variables("kernel")).changed == []
    daemon = tools.unit(machine, "tpm2-abrmd.service")
    assert (daemon["ActiveState"], daemon["LoadState"]) == ("inactive", "masked")
    assert machine.ssh(f"test -e {_OURS[1]}", check=False).returncode == 1
    assert machine.out(f"readlink {_OURS[0]}") == "/dev/null"
    assert "tabrmd" not in machine.out("cat /etc/environment /etc/environment.d/* /etc/systemd/system.conf.d/* 2>/dev/null || true")
    assert tools.random_as(machine, MEMBER, tools.KERNEL_RM)[0]
    # The bus knows nobody who could start it.
    assert not tools.random_as(machine, MEMBER, tools.ABRMD)[0]


@pytest.mark.core
@pytest.mark.only("trixie")
def test_ten_processes_through_the_kernel_while_a_profile_converges(story: Story) -> None:
    story.machine.load("host")
    _converges_under_load(story, "kernel", tools.KERNEL_RM)


@pytest.mark.only("bookworm")
def test_ten_processes_through_abrmd_while_a_profile_converges(abrmd: Story) -> None:
    abrmd.machine.load("abrmd")
    _converges_under_load(abrmd, "abrmd", tools.ABRMD)


def _converges_under_load(story: Story, manager: str, tcti: str) -> None:
    machine = story.machine
    # Somebody else's, which has to be there afterwards.
    machine.ssh(
        f"export TPM2TOOLS_TCTI={tcti}; tpm2_nvdefine -Q 0x1000100 -s 4 -a 'ownerread|ownerwrite' && printf keep | tpm2_nvwrite -Q 0x1000100 -C o -i -"
    )
    before = tools.handles(machine, tcti)

    hammer = Hammer(machine, tcti, MEMBER)
    hammer.start()
    assert hammer.running() == PROCESSES
    # The controller reaches no TPM through tpm2-abrmd.
    execution = "device" if manager == "abrmd" else "controller"
    host = variables(manager) | {"tpm2_profile_tcti": tcti, "tpm2_profile_execution": execution}
    first = story.run(f"day_zero under load, {manager}", DAY_ZERO, host)
    assert hammer.running() == PROCESSES, "the load lasted as long as the run"
    done = hammer.finish()
    progress(f"{machine.name}: {sum(done.rounds)} rounds through {manager}, {sum(done.lost)} lost")

    assert first.changed and not first.failed
    assert len(done.rounds) == PROCESSES and all(done.rounds)
    assert sum(done.lost) == 0, done.errors
    after = tools.handles(machine, tcti)
    assert {kind: after[kind] for kind in _LOADED} == {kind: before[kind] for kind in _LOADED} == {kind: [] for kind in _LOADED}
    assert set(before["handles-nv-index"]) < set(after["handles-nv-index"])
    assert machine.out(f"tpm2_nvread -T {tcti} -C o 0x1000100") == "keep"
    assert story.run(f"day_zero after load, {manager}", DAY_ZERO, host).changed == []
