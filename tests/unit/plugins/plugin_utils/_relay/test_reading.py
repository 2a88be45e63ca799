# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts read from the controller: what it leaves to the module on the device, and that what waits travels together."""

from __future__ import annotations

import typing as t

import pytest
from unit.soft_device import SoftDevice

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import reading

DEVICE = "device:/dev/tpmrm0"


def test_facts_of_several_subsets_take_one_exchange() -> None:
    device = SoftDevice()
    found = reading.read({"tcti": DEVICE, "gather": ["da_lockout", "pcrs"], "pcrs": [7]}, carry=device.carry)
    assert found.why == "TPM_RC_VALUE" and len(device.asked) == 1, "this TPM of Python has no list of its PCR banks"
    device = SoftDevice()
    found = reading.read({"tcti": DEVICE, "gather": ["da_lockout"]}, carry=device.carry)
    assert found.result is not None and found.why == "" and len(device.asked) == 1
    assert found.result["da_lockout"]["max_tries"] == 32 and found.result["changed"] is False
    assert (found.result["tcti"], found.result["resource_manager"]) == (DEVICE, "kernel")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"gather": ["host"]}, "host"),
        ({"gather": ["identity", "findings"]}, "host"),
        ({"gather": ["nonsense"]}, "options"),
        ({"gather": ["pcrs"], "pcrs": [24]}, "input"),
        ({"tcti": "tabrmd:bus_type=session"}, "tcti"),
    ],
)
def test_what_is_left_to_the_module(options: dict[str, t.Any], why: str) -> None:
    device = SoftDevice()
    found = reading.read({"tcti": DEVICE, **options}, carry=device.carry)
    assert found.result is None and found.why == why and not device.asked
