# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run from the controller where the TPM has nothing to do: mode, owner and group of files, and what is returned."""

from __future__ import annotations

import errno
import typing as t

import pytest
from unit.soft_device import FOLDER, KEY, OPTIONS, SoftDevice

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import changes, live, remote

BLOB: dict[str, t.Any] = {
    "tcti": "device:/dev/tpmrm0",
    "path": f"{FOLDER}/telemetry.key.pem",
    "content_b64": KEY,
    "pcrs": {"indices": [7]},
}


def make(device: SoftDevice, module: str, options: dict[str, t.Any], *, check: bool = False) -> dict[str, t.Any]:
    reached = live.Live(remote.Remote(options["tcti"], device.carry), device.carry)
    return changes.make(module, options, check=check, diff=False, device=reached)


def owning(error: int, only: bool | None = None) -> SoftDevice:
    """A device that answers what is asked of owners and modes with an error; `only` where a file is given, or where none is."""

    def lie(asked: dict[str, t.Any], told: dict[str, t.Any]) -> dict[str, t.Any]:
        for number, step in enumerate(asked["steps"]):
            if step[0] == "own" and only in (None, step[1] is not None):
                told["answers"][number] = {"error": error, "folder": "/"}
        return told

    return SoftDevice(lie)


def owned(device: SoftDevice) -> list[list[t.Any]]:
    return [step[1:] for asked in device.asked for step in asked["steps"] if step[0] == "own" and step[1] is not None]


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ({"mode": "0640"}, [0o640, None, None]),
        ({"mode": "u=rw,g=r"}, [0o640, None, None]),
        ({"owner": "nobody", "group": "65534"}, [None, "nobody", "65534"]),
    ],
)
def test_a_file_gets_its_mode_and_owner(wanted: dict[str, str], given: list[t.Any]) -> None:
    device = SoftDevice()
    assert make(device, "tpm2_sealed_blob", {**BLOB, **wanted})["changed"] is True
    assert owned(device) == [[BLOB["path"], *given]]
    device = SoftDevice()
    assert make(device, "tpm2_sealed_blob", {**BLOB, **wanted}, check=True)["changed"] is True
    assert owned(device) == []


def test_what_a_file_cannot_be_given() -> None:
    found = make(owning(errno.ENOENT, only=False), "tpm2_sealed_blob", {**BLOB, "owner": "nobody-here"})
    assert found["failed"] and found["reason"] == "input" and "there is no owner nobody-here on the device" in found["msg"]
    for number in ("4294967295", "9" * 5000):
        device = SoftDevice()
        found = make(device, "tpm2_sealed_blob", {**BLOB, "group": number})
        assert found["failed"] and found["reason"] == "input" and f"there is no group {number} on the device" in found["msg"]
        assert not owned(device)
    found = make(owning(errno.EPERM, only=True), "tpm2_sealed_blob", {**BLOB, "owner": "nobody"})
    assert found["failed"] and found["reason"] == "file" and "the device refuses (Operation not permitted)" in found["msg"]
    found = make(SoftDevice(), "tpm2_sealed_blob", {**BLOB, "mode": "4755"})
    assert found["failed"] and found["reason"] == "input" and "mode '4755'" in found["msg"]


def test_a_profile_as_it_is() -> None:
    found = make(SoftDevice(), "tpm2_profile", {**OPTIONS, "return_reads": True})
    assert not found["changed"] and found["steps"] == [] and found["reads"]["public"]
