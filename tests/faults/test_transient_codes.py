# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Response codes that pass: the run waits, a bounded time, and sends nothing twice that the TPM has done."""

from __future__ import annotations

import typing as t

import pytest
from support import faults
from support.proxy import FOREVER
from support.tools import leftovers

MakeDevice = t.Callable[..., faults.Device]
Clean = t.Callable[[str, str], faults.CleanRun]

PASSING = {"TPM_RC_RETRY": 0x922, "TPM_RC_YIELDED": 0x908, "TPM_RC_TESTING": 0x90A, "TPM_RC_NV_RATE": 0x920, "TPM_RC_NV_UNAVAILABLE": 0x923}
READS = ("TPM2_GetCapability", "TPM2_ReadPublic", "TPM2_NV_ReadPublic")
CHANGES = (
    "TPM2_CreatePrimary",
    "TPM2_StartAuthSession",
    "TPM2_Create",
    "TPM2_Load",
    "TPM2_EvictControl",
    "TPM2_NV_DefineSpace",
    "TPM2_NV_Write",
    "TPM2_DictionaryAttackParameters",
    "TPM2_HierarchyChangeAuth",
    "TPM2_FlushContext",
)


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("code", PASSING)
def test_passing_code_at_reads_and_writes(new_device: MakeDevice, clean: Clean, device_python: str, code: str, times: int) -> None:
    expected, device = clean("hardened", device_python), new_device("hardened", device_python)
    injected = [name for name in READS + CHANGES if name in expected.codes]
    for name in injected:
        device.proxy.inject_rc(PASSING[code], code=name, times=times)
    device.run().expect_ok()
    assert sum(record.injected for record in device.proxy.records) == len(injected) * times
    acted = [record.name for record in device.proxy.records if record.forwarded]
    assert acted == list(expected.codes), "the TPM did more, or less, than in a run without the code"
    assert leftovers(device.swtpm) == []
    assert device.state() == expected.state
    faults.assert_nothing_to_do(device)


@pytest.mark.parametrize(
    ("code", "command"),
    [("TPM_RC_RETRY", "TPM2_GetCapability"), ("TPM_RC_NV_RATE", "TPM2_NV_Write"), ("TPM_RC_NV_UNAVAILABLE", "TPM2_EvictControl")],
)
def test_code_that_does_not_pass_is_reported(new_device: MakeDevice, clean: Clean, system_python: str, code: str, command: str) -> None:
    device = new_device("reference", system_python)
    device.proxy.inject_rc(PASSING[code], code=command, times=FOREVER)
    # The shipped bound is 20 seconds (tests/unit/plugins/module_utils/_backend/test_backoff.py).
    message = device.run(bounds={"_backend.backoff.TOTAL_WAIT": 2}).expect_failed()
    faults.assert_one_sentence(message)
    assert code in message
    assert leftovers(device.swtpm) == []
    # Bounded, and not a busy loop: the waits between the answers grow. The TSS itself resends a few times at once.
    assert 5 < sum(record.injected for record in device.proxy.records) < 200
    faults.assert_converges(device, clean("reference", system_python), generated=len(device.proxy.key_generations()))


@pytest.mark.parametrize("code", PASSING)
def test_passing_code_costs_a_no_op_nothing_else(new_device: MakeDevice, system_python: str, code: str) -> None:
    device = new_device("reference", system_python)
    device.run().expect_ok()
    device.proxy.reset()
    device.proxy.inject_rc(PASSING[code], at=1, times=2)
    assert not device.run().expect_ok()["changed"]
    assert device.proxy.writes() == device.proxy.sessions() == []
    assert sum(record.forwarded for record in device.proxy.records) <= faults.NO_OP_COMMANDS
