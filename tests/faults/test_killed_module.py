# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process of the module, or of the controller, is killed between any two TPM commands of a first run; a re-run finishes the job (design law 6)."""

from __future__ import annotations

import typing as t

import pytest
from support import faults
from support.tools import leftovers

MakeDevice = t.Callable[..., faults.Device]
Clean = t.Callable[[str, str], faults.CleanRun]


@pytest.mark.parametrize("variant", ["reference", "hardened"])
def test_every_position_is_tried(clean: Clean, device_python: str, variant: str) -> None:
    found = clean(variant, device_python)
    assert 10 < found.count <= faults.POSITIONS[variant] <= faults.POSITIONS["controller"]
    if variant == "hardened":
        assert min(found.writes) > faults.FIRST_CHANGE and found.codes[faults.FIRST_CHANGE] == "TPM2_CreatePrimary"


@pytest.mark.parametrize(("variant", "position"), faults.ONE_OF_TWO)
def test_killed_before_a_command(new_device: MakeDevice, clean: Clean, python_of: dict[str, str], variant: str, position: int) -> None:
    _kill_and_run_again(new_device(variant, python_of[variant]), clean(variant, python_of[variant]), position, "before")


@pytest.mark.parametrize(("variant", "position"), faults.OTHER_OF_TWO)
def test_killed_after_a_command(new_device: MakeDevice, clean: Clean, other_python_of: dict[str, str], variant: str, position: int) -> None:
    _kill_and_run_again(new_device(variant, other_python_of[variant]), clean(variant, other_python_of[variant]), position, "after")


def _kill_and_run_again(device: faults.Device, clean: faults.CleanRun, position: int, when: t.Literal["before", "after"]) -> None:
    counter = faults.counter_now(device)
    killed = device.killed_run(position, when)
    if position < clean.count:
        assert killed.rc == -9
        assert device.proxy.codes() == list(clean.codes[: position + 1])
        assert device.proxy.records[-1].forwarded == (when == "after")
    else:
        killed.expect_ok()
    generated = len(device.proxy.key_generations())
    faults.assert_converges(device, clean, generated=generated, loaded=faults.loaded_now(device))
    assert faults.counter_now(device) == counter


def test_killed_again_and_again(new_device: MakeDevice, clean: Clean, device_python: str) -> None:
    """On a TPM without resource manager what killed runs leave loaded adds up; the next run copes with a full TPM."""
    expected = clean("reference", device_python)
    device = new_device("reference", device_python)
    for position in range(expected.count):
        device.proxy.reset()
        device.killed_run(position, "before")
    device.proxy.reset()
    device.run().expect_ok()
    state = device.state()
    assert state == expected.state
    assert len(leftovers(device.swtpm)) <= 6
    faults.assert_nothing_to_do(device)
