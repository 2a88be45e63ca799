# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""UEFI: measured boot, Secure Boot as an enforced pair, and a secret sealed to the boot path."""

from __future__ import annotations

import base64
import pathlib
import typing as t

import pytest

from vm import images, tools, uefi
from vm.controller import Controller
from vm.machine import Machine
from vm.process import progress, wait_until

pytestmark = [pytest.mark.xdist_group("uefi"), pytest.mark.core]
SUITE = "bookworm"
BLOB = "/var/lib/edgefleet-tpm2/vm.pem"
SECRET = base64.b64encode(b"opens on this boot path only").decode()
PCR7 = {"bank": "sha256", "indices": [7]}
FIRMWARE_PCRS = range(8)


@pytest.fixture(scope="module")
def unsigned(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A unified kernel image that nobody has signed; `sign` makes its signed twin."""
    disk = images.disk(SUITE)
    return uefi.unified_kernel_image(disk, tmp_path_factory.mktemp("uki"))


@pytest.fixture(scope="module")
def signed(unsigned: pathlib.Path) -> pathlib.Path:
    """The EFI system partition with the signed one."""
    return uefi.system_partition(uefi.sign(unsigned))


@pytest.fixture(scope="module")
def machine(signed: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Machine]:
    """A machine that has booted the signed image under Secure Boot; its TPM is blank."""
    firmware = uefi.firmware(signed, tmp_path_factory.mktemp("secure"), secure_boot=True)
    with images.with_packages(SUITE, "uefi", firmware) as vm:
        vm.start()
        yield vm


@pytest.fixture(scope="module")
def controller(machine: Machine) -> Controller:
    """Ansible for it."""
    return Controller(machine, machine.folder / "ansible")


def test_the_signed_kernel_boots_and_secure_boot_is_enforced(machine: Machine) -> None:
    assert "secureboot: Secure boot enabled" in machine.out("dmesg")
    assert "[integrity]" in machine.out("cat /sys/kernel/security/lockdown")


def test_the_unsigned_kernel_is_refused(unsigned: pathlib.Path, machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert machine.boot_id(), "the signed one of the pair runs: it is the signature that makes the difference"
    firmware = uefi.firmware(uefi.system_partition(unsigned), tmp_path_factory.mktemp("refused"), secure_boot=True)
    with images.with_packages(SUITE, "uefi-unsigned", firmware) as refused:
        refused.power_on()
        wait_until("the firmware's verdict", lambda: "No bootable option" in refused.serial.read_text(errors="replace"), seconds=600)
        said = refused.serial.read_text(errors="replace")
    progress("uefi-unsigned: refused by the firmware")
    assert "Access Denied" in said
    assert "Linux version" not in said


def test_the_firmware_has_measured_what_it_booted(machine: Machine) -> None:
    values = tools.pcrs(machine)
    assert all(set(values[index]) != {"0"} for index in FIRMWARE_PCRS)
    replayed = tools.replayed(machine)
    assert {index: replayed[index] for index in FIRMWARE_PCRS} == {index: values[index] for index in FIRMWARE_PCRS}


def test_tpm2_info_finds_the_boot_measured(controller: Controller) -> None:
    host = controller.task("tpm2_info", {"gather": ["host"]}).expect_ok().results("tpm2_info")[0]["host"]
    assert host["machine"]["uefi"] is True
    assert host["kernel"]["secure_boot"] is True
    assert host["kernel"]["lockdown"] == "integrity"
    assert host["boot"]["event_log"] == tools.EVENT_LOG
    assert host["boot"]["replay"] == "matches", host["boot"]
    assert set(FIRMWARE_PCRS) <= set(host["boot"]["extended"]["sha256"])
    assert host["tpm"]["state"] == "ready"


def test_a_blob_sealed_to_pcr_7_opens_after_a_reboot(controller: Controller) -> None:
    srk = {"template": "srk_ecc_p256", "handle": "0x81000001"}
    blob = {"path": BLOB, "parent": "0x81000001", "content_b64": SECRET, "pcrs": PCR7}
    controller.task("tpm2_profile", {"resources": [{"primary_key": srk}, {"sealed_blob": blob}]}).expect_ok()
    controller.machine.reboot()
    opened = controller.task("tpm2_unseal", {"path": BLOB, "pcrs": PCR7}).expect_ok()
    assert opened.results("tpm2_unseal")[0]["content_b64"] == SECRET


def test_on_another_boot_path_it_stays_closed_and_says_why(
    controller: Controller, signed: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    machine = controller.machine
    before = tools.pcrs(machine)[7]
    machine.shut_down()
    # The same TPM, disk and kernel; firmware that does not verify it.
    machine.firmware = uefi.firmware(signed, tmp_path_factory.mktemp("open"), secure_boot=False)
    machine.start()
    assert tools.pcrs(machine)[7] != before
    refused = controller.task("tpm2_unseal", {"path": BLOB, "pcrs": PCR7})
    assert refused.status != 0
    (sentence,) = refused.failed
    assert sentence.startswith("Could not ")
    assert "the PCRs have changed since it was sealed" in sentence
    assert SECRET not in refused.text
