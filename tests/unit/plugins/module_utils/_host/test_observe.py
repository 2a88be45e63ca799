# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's facts, from a host of files: each part of the contract with the roles."""

from __future__ import annotations

import json
import typing as t

import pytest
from unit.host import ABRMD, CONFIG_TXT, DEVICE, NOW, SPI_DEVICE, UNIT, World

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host import observe, tree


def test_a_healthy_host(world: World) -> None:
    found = world.observe()
    assert found["os"] == {
        "id": "debian",
        "id_like": [],
        "version_id": "13",
        "name": "Debian GNU/Linux 13 (trixie)",
        "read_only_root": False,
        "packages": "apt",
        "init": "systemd",
        "supported": True,
    }
    assert found["tpm"] == {"state": "ready", "sentence": "/dev/tpm0, /dev/tpmrm0 can be used."}
    (device,) = found["devices"]
    assert (device["name"], device["version_major"], device["driver"], device["bus"]) == ("tpm0", 2, "tpm_tis_spi", "spi")
    assert device["nodes"] == ["/dev/tpm0", "/dev/tpmrm0"]
    assert [(one["path"], one["kind"], one["mode"], one["group"], one["readable"]) for one in found["nodes"]] == [
        ("/dev/tpm0", "char", "0660", "tss", True),
        ("/dev/tpmrm0", "char", "0660", "tss", True),
    ]
    assert found["modules"] == {"needed": ["tpm_tis_spi"], "loaded": ["tpm_tis_core", "tpm_tis_spi"], "builtin": []}
    assert (found["group"]["exists"], found["group"]["members"]) == (True, ["app", "tss"])
    assert found["clock"] == {"time": NOW.isoformat(), "plausible": True}
    assert found["machine"]["model"] == "Acme Edge 1"
    assert found["software"] == {"systemd": "257.9-1", "tpm2-pytss": "2.3.0-1", "tpm2-tss": "4.2.0-1"}
    assert found["tcti"] == {"TPM2TOOLS_TCTI": "device:/dev/tpmrm0"}
    assert found["disk"] == {"free_bytes": {"/var": 1 << 30, "/etc": 1 << 30}}
    assert found["resource_manager"]["in_use"] == "kernel"
    assert found["holders"] == found["leaks"] == []


def test_the_facts_are_plain_json(world: World) -> None:
    world.measured()
    found = world.observe()
    assert json.loads(json.dumps(found)) == found


def test_a_host_of_which_nothing_can_be_read(world: World) -> None:
    found = observe.observe(tree.Tree(world.root / "nothing"), NOW)
    assert set(found) == set(world.observe())
    assert found["tpm"]["state"] == "absent"
    assert found["os"]["supported"] is False
    assert found["kernel_log"] == {"readable": False, "lines": []}


def test_this_host_can_be_observed() -> None:
    found = observe.observe()
    assert found["kernel"]["release"] == tree.Tree().text("/proc/sys/kernel/osrelease")
    assert found["clock"]["plausible"] is True


RELEASES = [
    ("ID=ubuntu\nID_LIKE=debian\n", "apt-get", "apt", True),
    ("ID=raspbian\nID_LIKE=debian\n", "apt-get", "apt", True),
    ("ID=fedora\n", "dnf", "dnf", True),
    ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "dnf", "dnf", True),
    ('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "zypper", "zypper", True),
    ("ID=arch\n", "pacman", "pacman", True),
    ("ID=poky\n", "opkg", "none", False),
    ("ID=alpine\n", "apk", "none", False),
    ("ID='broken\n", "true", "none", False),
]


@pytest.mark.parametrize(("release", "program", "packages", "supported"), RELEASES)
def test_distributions(world: World, release: str, program: str, packages: str, supported: bool) -> None:
    world.remove("/usr/bin/apt-get")
    world.write("/etc/os-release", release)
    world.write(f"/usr/bin/{program}", "")
    found = world.observe()["os"]
    assert (found["packages"], found["supported"]) == (packages, supported)


@pytest.mark.parametrize(
    ("mounts", "expected"),
    [
        ("/dev/root / squashfs ro,relatime 0 0\n", True),
        ("/dev/a / ext4 rw 0 0\n/dev/b /usr ext4 ro 0 0\n", True),
        ("/dev/a / ext4 ro 0 0\noverlay / overlay rw 0 0\n", False),
        ("/dev/a / ext4 rw 0 0\n/dev/b /boot vfat ro 0 0\n", False),
        ("", False),
    ],
)
def test_read_only_root(world: World, mounts: str, expected: bool) -> None:
    world.write("/proc/self/mounts", mounts)
    assert world.observe()["os"]["read_only_root"] is expected


def init_of(world: World, *files: str, comm: str) -> str:
    world.write("/proc/1/comm", f"{comm}\n")
    for name in files:
        world.write(name, "")
    return t.cast(str, world.observe()["os"]["init"])


def test_init_systems(world: World) -> None:
    world.remove("/run/systemd")
    assert init_of(world, comm="sh") == "other"
    assert init_of(world, "/etc/init.d/rc", comm="init") == "sysv"
    assert init_of(world, "/run/openrc/softlevel", comm="init") == "openrc"


@pytest.mark.parametrize(
    ("release", "expected"), [("4.11.12-v7", False), ("4.12.0", True), ("3.18.140", False), ("10.0.0", True), ("?", False)]
)
def test_since_when_the_kernel_manages(world: World, release: str, expected: bool) -> None:
    world.write("/proc/sys/kernel/osrelease", release)
    assert world.observe()["kernel"]["resource_manager"] is expected


@pytest.mark.parametrize(("year", "expected"), [(1970, False), (2024, False), (2026, True), (2106, False)])
def test_the_clock(world: World, year: int, expected: bool) -> None:
    world.remove("/var/lib/systemd/timesync/clock")
    world.now = NOW.replace(year=year)
    assert world.observe()["clock"]["plausible"] is expected


def test_a_clock_that_went_back(world: World) -> None:
    world.now = NOW.replace(year=2025, month=2)
    assert world.observe()["clock"]["plausible"] is False


def test_no_inode_is_no_room(world: World) -> None:
    world.free_inodes = 0
    assert world.observe()["disk"] == {"free_bytes": {"/var": 0, "/etc": 0}}


# -- ways of having no TPM


def state(world: World) -> tuple[str, str]:
    found = world.observe()["tpm"]
    return found["state"], found["sentence"]


def test_tpm_1_2(world: World) -> None:
    world.write(f"{DEVICE}/tpm_version_major", "1\n")
    assert state(world)[0] == "tpm12"


def test_tpm_1_2_on_a_kernel_that_does_not_tell(world: World) -> None:
    world.remove(f"{DEVICE}/tpm_version_major", "/sys/class/tpmrm")
    world.write(f"{SPI_DEVICE}/caps", "Manufacturer: 0x49465800\n")
    world.write(f"{SPI_DEVICE}/pcrs", "PCR-00: 00\n")
    assert state(world)[0] == "tpm12"


def test_a_device_without_driver_names_the_module(world: World) -> None:
    world.no_device()
    world.write(f"{SPI_DEVICE}/of_node/compatible", b"infineon,slb9670\0tcg,tpm_tis-spi\0")
    found = state(world)
    assert found[0] == "driver_failed" and "load tpm_tis_spi" in found[1] and "spi0.1" in found[1]


def test_a_driver_without_tpm(world: World) -> None:
    world.remove("/sys/class/tpm", "/sys/class/tpmrm", "/dev/tpm0", "/dev/tpmrm0")
    found = state(world)
    assert found[0] == "driver_failed" and "has the driver tpm_tis_spi" in found[1]


def test_a_firmware_table_without_tpm(world: World) -> None:
    world.no_device()
    world.write("/sys/firmware/acpi/tables/TPM2", b"TPM2")
    found = state(world)
    assert found[0] == "driver_failed" and "load tpm_crb or tpm_tis" in found[1]


def test_acpi_devices_are_known_by_their_identifier(world: World) -> None:
    world.no_device()
    world.write("/sys/bus/acpi/devices/MSFT0101:00/hid", "MSFT0101")
    world.write("/sys/bus/acpi/devices/PNP0C0A:00/hid", "PNP0C0A")
    assert "MSFT0101:00 is on bus acpi" in state(world)[1]


def test_a_tpm_that_the_firmware_has_switched_off_is_absent(world: World) -> None:
    world.no_device()
    world.write("/sys/bus/acpi/devices/MSFT0101:00/status", "0\n")
    assert state(world)[0] == "absent"
    world.write("/sys/bus/acpi/devices/MSFT0101:00/status", "15\n")
    assert state(world)[0] == "driver_failed"


def test_a_firmware_tpm_in_the_trusted_world_is_known_by_its_uuid(world: World) -> None:
    world.no_device()
    world.write("/sys/bus/tee/devices/optee-ta-1/modalias", "tee:bc50d971-d4c9-42c4-82cb-343fb7f37896\n")
    assert "load tpm_ftpm_tee" in state(world)[1]


def test_the_kernel_says_why(world: World) -> None:
    world.no_device()
    world.write("/dev/kmsg", "3,9,9,-;tpm_tis MSFT0101:00: probe with driver tpm_tis failed with error -1\n")
    assert state(world) == (
        "driver_failed",
        "The driver gave up on the TPM, the kernel says 'tpm_tis MSFT0101:00: probe with driver tpm_tis failed with error -1'; "
        "look at power, wiring, overlay and firmware.",
    )


def test_no_tpm_at_all_is_not_a_driver_that_failed(world: World) -> None:
    world.no_device()
    world.write("/dev/kmsg", "5,9,9,-;ima: No TPM chip found, activating TPM-bypass!\n30,9,9,-;systemd[1]: TPM2 setup failed\n")
    assert state(world)[0] == "absent"


def test_a_node_that_is_missing(world: World) -> None:
    world.remove("/dev/tpm0", "/dev/tpmrm0")
    assert state(world)[0] == "node_missing"


def test_a_dangling_node_is_missing(world: World) -> None:
    world.remove("/dev/tpm0")
    world.link("/dev/tpmrm0", "/nowhere")
    assert state(world)[0] == "node_missing"


def test_what_may_not_be_opened(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._host import devices

    # Root may open everything: the kernel's answer to another user.
    monkeypatch.setattr(devices.os, "access", lambda *_arguments: False)
    found = state(world)
    assert found[0] == "no_permission" and "/dev/tpmrm0 is tss:tss 0660, not for this user" in found[1]


def test_a_container_has_a_node_and_no_class(world: World) -> None:
    world.remove("/sys/class/tpm", "/sys/class/tpmrm", "/sys/bus/spi")
    world.write("/proc/1/environ", b"PATH=/bin\0container=podman\0")
    found = world.observe()
    assert (found["tpm"]["state"], found["machine"]["container"]) == ("ready", True)


# -- who has it open


def test_holders(world: World) -> None:
    world.process(101, "tpm2-abrmd", "/dev/tpm0", unit=ABRMD)
    world.process(102, "a (b) c", "/dev/tpmrm0", state="T")
    world.process(103, "innocent", "/dev/null")
    assert world.observe()["holders"] == [
        {"path": "/dev/tpm0", "pid": 101, "process": "tpm2-abrmd", "unit": ABRMD, "state": "S", "hung": False},
        {"path": "/dev/tpmrm0", "pid": 102, "process": "a (b) c", "unit": None, "state": "T", "hung": True},
    ]


def test_a_node_that_is_a_link_is_held_by_who_has_its_target(world: World) -> None:
    world.process(104, "swtpm", str((world.root / "dev/tpm0").resolve()))
    assert [(one["path"], one["pid"]) for one in world.observe()["holders"]] == [("/dev/tpm0", 104)]


# -- tpm2-abrmd


def abrmd(world: World) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", world.observe()["resource_manager"]["abrmd"])


def test_abrmd_is_not_there(world: World) -> None:
    found = abrmd(world)
    assert (found["installed"], found["packaged"], found["unit"], found["sentence"]) == (False, True, None, None)


def test_abrmd_serves(world: World) -> None:
    world.bus()
    world.abrmd(owner=True, ActiveState="active", UnitFileState="enabled")
    found = abrmd(world)
    assert found["installed"] and found["packaged"] and found["active"] and found["enabled"] and found["on_bus"]
    assert (found["unit"], found["sentence"], found["masked"]) == (UNIT, None, False)
    assert world.observe()["resource_manager"]["in_use"] == "abrmd"


def test_abrmd_waits_for_a_device_that_never_comes(world: World) -> None:
    world.bus()
    world.abrmd(ActiveState="activating", SubState="start-pre")
    assert "still starting (start-pre)" in abrmd(world)["sentence"]


def test_abrmd_that_is_started_again_and_again_dies(world: World) -> None:
    world.bus()
    world.abrmd(ActiveState="activating", SubState="auto-restart", Result="exit-code", ExecMainStatus="1", NRestarts="5")
    found = abrmd(world)
    assert "starts and dies (exit-code, status 1)" in found["sentence"]
    assert found["restarts"] == 5


def test_abrmd_is_masked(world: World) -> None:
    world.bus()
    world.abrmd(LoadState="masked")
    world.link(f"/etc/systemd/system/{ABRMD}", "/dev/null")
    found = abrmd(world)
    assert found["masked"] and "masked" in found["sentence"]


def test_without_a_bus_abrmd_is_not_reached(world: World) -> None:
    world.abrmd(ActiveState="active")
    assert "D-Bus takes no connection" in abrmd(world)["sentence"]


def test_nobody_can_say_whether_it_is_packaged(world: World) -> None:
    world.programs["apt-cache"] = None
    assert abrmd(world)["packaged"] is None


def test_the_package_manager_is_asked_only_if_somebody_wants_to_know(world: World) -> None:
    found = observe.observe(world.tree(), NOW, offered=False)
    assert found["resource_manager"]["abrmd"]["packaged"] is None


# -- config.txt


def contradictions(world: World, text: str) -> list[str]:
    world.pi(text)
    return t.cast("list[str]", world.observe()["config_txt"]["contradictions"])


def test_config_txt_in_its_two_places(world: World) -> None:
    world.pi(None)
    assert world.observe()["machine"]["config_txt"] is None
    world.write("/boot/config.txt", "dtoverlay=tpm-slb9670\n")
    assert world.observe()["machine"]["config_txt"] == "/boot/config.txt"
    world.write(CONFIG_TXT, "dtoverlay=tpm-slb9673,addr=0x2e # ours\n")
    found = world.observe()["config_txt"]
    assert (found["path"], found["overlays"], found["read_only"]) == (CONFIG_TXT, ["tpm-slb9673,addr=0x2e"], False)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("dtoverlay=tpm-slb9670\ndtoverlay=tpm-slb9673\n", "more than one"),
        ("dtparam=spi=off\ndtoverlay=tpm-slb9670\n", "dtparam=spi=off"),
        ("dtoverlay=spi0-1cs\ndtoverlay=tpm-slb9670\n", "CE1"),
        ("[pi5]\ndtoverlay=tpm-slb9670\n", "[pi5]"),
    ],
)
def test_contradictions(world: World, text: str, part: str) -> None:
    (found,) = contradictions(world, text)
    assert part in found


def test_what_does_not_contradict(world: World) -> None:
    assert contradictions(world, "dtparam=spi=on\n[pi5]\ndtoverlay=vc4\n[all]\ndtoverlay=tpm-slb9670\n#dtoverlay=tpm-slb9673\n") == []


# -- consumers, kernel log, boot


def test_consumers_in_their_files(world: World) -> None:
    world.write("/etc/profile.d/tpm.sh", "# TPM2TOOLS_TCTI=swtpm:\nexport TPM2OPENSSL_TCTI='device:/dev/tpm0'\n")
    world.write("/etc/tpm2-tss/fapi-config.json", '{"tcti": "tabrmd:"}')
    assert world.observe()["tcti"] == {"TPM2TOOLS_TCTI": "device:/dev/tpmrm0", "TPM2OPENSSL_TCTI": "device:/dev/tpm0", "fapi": "tabrmd:"}


@pytest.mark.parametrize("text", ['{"tcti": ""}', "[]", "{", '{"tcti": 5}'])
def test_a_fapi_configuration_that_says_nothing(world: World, text: str) -> None:
    world.write("/etc/tpm2-tss/fapi-config.json", text)
    assert "fapi" not in world.observe()["tcti"]


def test_what_the_kernel_says(world: World) -> None:
    world.write(
        "/dev/kmsg",
        "6,1,1,-;usb 1-1: new device\n3,2,2,-;i2c_designware 0000:00: controller timed out\n SUBSYSTEM=i2c\n"
        "30,3,3,-;systemd[1]: tpm2.target\n4,4,4,-;CPU0: Core temperature above threshold, cpu clock throttled\n",
    )
    assert world.observe()["kernel_log"]["lines"] == [
        "i2c_designware 0000:00: controller timed out",
        "CPU0: Core temperature above threshold, cpu clock throttled",
    ]


def test_measured_boot(world: World) -> None:
    world.measured()
    found = world.observe()["boot"]
    assert found["replay"] == "matches"
    assert found["extended"] == {"sha256": [0, 1, 2, 3, 4, 5, 6, 7, 9, 11]}
    world.measured(wrong=True)
    found = world.observe()["boot"]
    assert (found["replay"], found["detail"]) == ("differs", "sha256 4")


def test_a_hung_tpm_is_not_asked_for_its_pcrs(world: World) -> None:
    world.measured()
    world.process(105, "stuck", "/dev/tpm0", state="D")
    assert world.observe()["boot"]["extended"] == {}


def test_packages_of_rpm_and_pacman(world: World) -> None:
    world.remove("/usr/bin/apt-get")
    world.write("/usr/bin/dnf", "")
    world.programs["rpm"] = "tpm2-tss\t4.1.3-6.fc42\tinstalled\ntpm2-tools\t5.7-3.fc42\tinstalled\n"
    assert world.observe()["software"] == {"tpm2-tss": "4.1.3-6.fc42", "tpm2-tools": "5.7-3.fc42"}
    world.remove("/usr/bin/dnf")
    world.write("/usr/bin/pacman", "")
    world.programs["pacman"] = "tpm2-tss 4.1.3-1\nbash 5.3-1\n"
    assert world.observe()["software"] == {"tpm2-tss": "4.1.3-1"}


def test_packages_that_are_not_installed(world: World) -> None:
    world.programs["dpkg-query"] = "tpm2-tools\t5.7-1\tconfig-files\nlibtss2-esys-3.0.2-0\t\tnot-installed\n"
    assert world.observe()["software"] == {}


def test_a_processor_is_told_by_family_and_model(world: World) -> None:
    world.write("/proc/cpuinfo", "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 80\nmodel name\t: AMD\n\nprocessor\t: 1\n")
    assert world.observe()["machine"]["cpu"] == [25, 80]


def test_suspend_that_is_masked(world: World) -> None:
    world.write("/sys/power/state", "freeze mem disk\n")
    assert world.observe()["machine"]["suspends"] is True
    world.link("/etc/systemd/system/sleep.target", "/dev/null")
    assert world.observe()["machine"]["suspends"] is False
