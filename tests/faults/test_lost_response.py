# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A response is lost after the TPM acted: never a second object, never an auth value that nobody knows."""

from __future__ import annotations

import typing as t

import pytest
from support import faults
from support.state import auth_opens

MakeDevice = t.Callable[..., faults.Device]
Clean = t.Callable[[str, str], faults.CleanRun]


@pytest.mark.parametrize(("variant", "position"), faults.EVERY_POSITION)
def test_lost_response(new_device: MakeDevice, clean: Clean, python_of: dict[str, str], variant: str, position: int) -> None:
    expected, device = clean(variant, python_of[variant]), new_device(variant, python_of[variant])
    counter = faults.counter_now(device)
    device.proxy.drop_response(position)
    result = device.run()
    assert len(device.proxy.writes()) == len({record.request for record in device.proxy.writes()}), "a write was sent twice"
    if position in expected.writes:
        faults.assert_one_sentence(result.expect_failed())
        assert device.proxy.records[position].acted
    elif not result.ok:
        faults.assert_one_sentence(result.expect_failed())
    loaded = faults.loaded_now(device)
    # Nobody but the lost response knew the handle of what it loaded; whatever else was loaded is flushed.
    lost = device.proxy.records[position] if position < expected.count else None
    assert len(loaded) <= int(lost is not None and lost.leaves_something_loaded)
    faults.assert_converges(device, expected, generated=len(device.proxy.key_generations()), loaded=loaded)
    assert faults.counter_now(device) == counter
    if variant != "reference":
        assert all(auth_opens(device.swtpm, name, auth) for name, auth in faults.AUTHS.items())  # type: ignore[arg-type]


@pytest.mark.parametrize("position", range(faults.POSITIONS["reference"]))
def test_lost_request(new_device: MakeDevice, clean: Clean, venv_python: str, position: int) -> None:
    expected, device = clean("reference", venv_python), new_device("reference", venv_python)
    counter = faults.counter_now(device)
    device.proxy.drop_request(position)
    result = device.run()
    if not result.ok:
        faults.assert_one_sentence(result.expect_failed())
    assert faults.loaded_now(device) == frozenset()
    faults.assert_converges(device, expected, generated=len(device.proxy.key_generations()))
    assert faults.counter_now(device) == counter
