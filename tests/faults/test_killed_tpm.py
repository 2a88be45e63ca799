# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The TPM loses power at any command of a first run: one clear sentence; with power back, a re-run finishes the job."""

from __future__ import annotations

import typing as t

import pytest
from support import faults
from support.commands import Record
from support.proxy import Drop

MakeDevice = t.Callable[..., faults.Device]
Clean = t.Callable[[str, str], faults.CleanRun]


def _cut_power(device: faults.Device) -> t.Callable[[Record], None]:
    def cut(_record: Record) -> None:
        device.swtpm.kill()
        raise Drop

    return cut


@pytest.mark.parametrize(("variant", "position"), faults.ONE_OF_TWO)
def test_power_cut_before_a_command(new_device: MakeDevice, clean: Clean, python_of: dict[str, str], variant: str, position: int) -> None:
    device = new_device(variant, python_of[variant])
    device.proxy.before(position, _cut_power(device))
    _restart_and_run_again(device, clean(variant, python_of[variant]), position)


@pytest.mark.parametrize(("variant", "position"), faults.OTHER_OF_TWO)
def test_power_cut_after_a_command(
    new_device: MakeDevice, clean: Clean, other_python_of: dict[str, str], variant: str, position: int
) -> None:
    device = new_device(variant, other_python_of[variant])
    device.proxy.after(position, _cut_power(device))
    _restart_and_run_again(device, clean(variant, other_python_of[variant]), position)


def _restart_and_run_again(device: faults.Device, clean: faults.CleanRun, position: int) -> None:
    counter = faults.counter_now(device)
    result = device.run()
    if result.ok:
        # Only what came after the last change was lost: the run has done its work, and says so.
        assert position > max(clean.writes)
        assert result.changed
    else:
        faults.assert_one_sentence(result.expect_failed())
    if position < clean.count:
        assert not device.swtpm.running
        device.swtpm.restart()
    faults.assert_converges(device, clean, generated=len(device.proxy.key_generations()))
    assert faults.counter_now(device) == counter
