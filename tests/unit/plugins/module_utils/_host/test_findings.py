# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of finding is provoked: from a host of files, read by the code that reads real ones, and from facts of a TPM."""

from __future__ import annotations

import re
import typing as t

import pytest
from unit.host import ABRMD, DEVICE, NOW, PACKAGES, SPI_DEVICE, World

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host import catalogue, findings
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors

Spoil = t.Callable[[World], t.Any]
TABRMD = "tabrmd:bus_name=com.intel.tss2.Tabrmd"
STUB = "/sys/firmware/efi/efivars/StubPcrKernelImage-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
MEASURED_OS = "quiet systemd.tpm2_measured_os=1\n"
WIDE = 'KERNEL=="tpmrm[0-9]*", MODE="0666"\n'
VERDICT = {
    "name": "CVE-1",
    "also": ["X"],
    "object": "chip 1.2",
    "evidence": "listed",
    "means": "bad",
    "remedy": "update it",
    "severity": "error",
}


def tpm(path: str, value: t.Any) -> Spoil:
    """Set a fact of the TPM."""

    def spoil(world: World) -> None:
        *parents, last = path.split(".")
        place = world.tpm
        for name in parents:
            place = place[name]
        place[last] = value

    return spoil


def both(*parts: Spoil) -> Spoil:
    """One after the other."""

    def spoil(world: World) -> None:
        for part in parts:
            part(world)

    return spoil


def fails(kind: str, message: str = "Could not open it: it is so; do that.", rc: int | None = None, reason: str = "") -> Spoil:
    """The TPM cannot be read."""
    return lambda world: world.fail(kind, message, rc, reason)


def log(*lines: str) -> Spoil:
    """The kernel says something."""
    return lambda world: world.write("/dev/kmsg", "".join(f"3,1,1,-;{line}\n" for line in lines))


def asks_abrmd(world: World) -> None:
    """The TPM is to be reached through tpm2-abrmd, and is not."""
    world.tcti = TABRMD
    world.fail("no_answer", "Could not reach tabrmd: no answer; start it.")


def node_gone(world: World) -> None:
    world.remove("/dev/tpm0", "/dev/tpmrm0")
    world.fail("absent")


def driver_gave_up(world: World) -> None:
    world.no_device()
    log("tpm_tis_spi spi0.1: probe with driver tpm_tis_spi failed with error -110", "tpm tpm0: error")(world)


def probing(world: World) -> None:
    world.no_device()
    world.write(f"{SPI_DEVICE}/modalias", "spi:slb9670\n")
    world.write("/proc/uptime", "12.00 20.00\n")


def rights(mode: int) -> Spoil:
    def spoil(world: World) -> None:
        for name in ("/dev/tpm0", "/dev/tpmrm0"):
            world.chmod(name, mode)

    return spoil


def foreign_srk(world: World) -> None:
    world.tpm["persistent_handles"][0].update(attributes=["fixedtpm", "sign"], algorithm="rsa_2048", template=None)


def weak_srk(world: World) -> None:
    world.tpm["persistent_handles"][0]["attributes"].remove("noda")


def own_key(world: World) -> None:
    world.tpm["persistent_handles"].append({"handle": "0x81000210", "algorithm": "rsa_2048", "attributes": ["decrypt"], "template": None})


def other_parent(*attributes: str) -> Spoil:
    row = {"handle": "0x81000005", "algorithm": "rsa_2048", "attributes": list(attributes), "template": None}
    return lambda world: world.tpm["persistent_handles"].append(row)


def index(number: str, *attributes: str) -> Spoil:
    return lambda world: world.tpm["nv_indices"].append({"index": number, "attributes": list(attributes), "size": 8, "type": "ordinary"})


def unmeasured(world: World) -> None:
    for one in world.tpm["pcrs"]:
        one["digest"] = "00" * 32


def verdict(root: str, state: str) -> Spoil:
    return lambda world: world.advisories[root].append({**VERDICT, "verdict": state})


def disk(free: int) -> Spoil:
    """A file system with so many bytes left."""
    return lambda world: setattr(world, "free", free)


def systemd(version: str) -> Spoil:
    """Another systemd is installed."""
    packages = PACKAGES.replace("257.9-1", version)
    return lambda world: world.programs.update({"dpkg-query": packages})


PROVOKE: dict[str, Spoil] = {
    # the way to the TPM
    "tpm_absent": World.no_device,
    "tpm_is_1_2": both(lambda w: w.write(f"{DEVICE}/tpm_version_major", "1\n"), fails(errors.NOT_A_TPM, reason="tpm12")),
    "driver_failed": driver_gave_up,
    "tpm_starting": probing,
    "node_missing": node_gone,
    "node_is_no_device": lambda w: w.write("/dev/tpmrm0", "not a device"),
    "no_permission": fails(errors.PERMISSION, "Could not open /dev/tpmrm0: no permission; run with become."),
    "held_by_abrmd": both(lambda w: w.process(77, "tpm2-abrmd", "/dev/tpm0", unit=ABRMD), fails(errors.BUSY)),
    "held_by_process": both(lambda w: w.process(78, "collectd", "/dev/tpm0", unit="collectd.service"), fails(errors.BUSY)),
    "held_by_hung_process": lambda w: w.process(79, "tpm2_sign", "/dev/tpm0", state="D"),
    "tpm_silent": fails(errors.NO_ANSWER),
    "not_a_tpm": fails(errors.NOT_A_TPM),
    "tpm_unreachable": both(fails(errors.UNSUPPORTED), lambda w: setattr(w, "tcti", "pcap:x")),
    "no_resource_manager": lambda w: setattr(w, "tcti", "device:/dev/tpm0"),
    "kernel_without_resource_manager": lambda w: w.write("/proc/sys/kernel/osrelease", "4.9.0-19-arm64\n"),
    "two_resource_managers": both(World.bus, lambda w: w.abrmd(owner=True, ActiveState="active")),
    "abrmd_not_packaged": both(asks_abrmd, lambda w: w.programs.update({"apt-cache": "N: Unable to locate package tpm2-abrmd\n"})),
    "abrmd_missing": asks_abrmd,
    "dbus_down": both(asks_abrmd, World.abrmd),
    "abrmd_dies": both(asks_abrmd, World.bus, lambda w: w.abrmd(ActiveState="failed", Result="exit-code", ExecMainStatus="1")),
    "abrmd_not_running": both(asks_abrmd, World.bus, World.abrmd),
    "abrmd_not_on_bus": both(asks_abrmd, World.bus, lambda w: w.abrmd(ActiveState="active")),
    "abrmd_will_start": both(World.bus, lambda w: w.abrmd(UnitFileState="enabled")),
    "driver_module_missing": lambda w: w.write("/proc/modules", "spi_bcm2835 24576 0 - Live 0x0\n"),
    "wide_open_node": rights(0o666),
    "udev_rule_too_wide": lambda w: w.write("/etc/udev/rules.d/99-tpm.rules", WIDE),
    "udev_rule_too_wide_overruled": lambda w: w.write("/etc/udev/rules.d/10-tpm.rules", WIDE),
    "udev_rule_missing": lambda w: w.remove("/usr/lib/udev/rules.d/60-tpm-udev.rules"),
    "tss_group_missing": lambda w: w.write("/etc/group", "root:x:0:\n"),
    "tss_group_empty": lambda w: w.write("/etc/group", "tss:x:64000:\n"),
    "node_not_for_tss": both(
        lambda w: w.write("/etc/group", "tss:x:64000:app\n"), lambda w: w.write("/etc/passwd", "app:x:1000:1000::/:\n")
    ),
    # the TPM
    "failure_mode": tpm("condition.test_result", errors.RC_FAILURE),
    "field_upgrade_mode": fails("response", "Could not read the TPM: TPM_RC_UPGRADE; finish.", 0x12D),
    "not_started": fails("response", "Could not read the TPM: TPM_RC_INITIALIZE; start.", errors.RC_INITIALIZE),
    "reading_failed": fails("response", "Could not read the TPM: TPM_RC_VALUE; look.", 0x84),
    "simulator_in_use": tpm("model", "SW TPM"),
    "in_lockout": both(tpm("da_lockout.in_lockout", True), tpm("da_lockout.counter", 32)),
    "lockout_counter_high": tpm("da_lockout.counter", 16),
    "few_tries": tpm("da_lockout.max_tries", 3),
    "no_lockout_protection": tpm("da_lockout.recovery_time", 0),
    "owner_auth_empty": tpm("hierarchies.owner.auth_set", False),
    "lockout_auth_empty": tpm("hierarchies.lockout.auth_set", False),
    "platform_hierarchy_open": tpm("hierarchies.platform.auth_set", False),
    "owner_hierarchy_disabled": tpm("hierarchies.owner.enabled", False),
    "endorsement_hierarchy_disabled": tpm("hierarchies.endorsement.enabled", False),
    "platform_nv_disabled": tpm("condition.platform_nv", False),
    "clear_disabled": tpm("hierarchies.lockout.clear_disabled", True),
    "unclean_shutdown": tpm("condition.orderly", False),
    # what it keeps
    "foreign_object_at_srk_handle": foreign_srk,
    "srk_counts_for_lockout": weak_srk,
    "srk_of_another_template": lambda w: w.tpm["persistent_handles"][0].update(template=None),
    "key_counts_for_lockout": own_key,
    "parent_counts_for_lockout": other_parent("fixedtpm", "fixedparent", "userwithauth", "restricted", "decrypt"),
    "index_counts_for_lockout": index("0x01800020", "authread", "authwrite"),
    "serial_index_taken": index("0x01800010", "authread", "authwrite", "no_da"),
    "persistent_slots_few": tpm("capacity.persistent_slots_left", 1),
    "nv_counters_used_up": tpm("capacity.nv_counters_left", 0),
    "sessions_used_up": tpm("capacity.sessions_left", 2),
    "sha256_bank_missing": tpm("pcr_banks", ["sha1"]),
    "sha1_bank_allocated": tpm("pcr_banks", ["sha1", "sha256"]),
    "pcrs_unmeasured": unmeasured,
    "ecc_missing": tpm("curves", []),
    "policy_authorize_nv_missing": tpm("commands", ["0x144"]),
    "ek_certificate_missing": tpm("nv_indices", []),
    "roca_key": lambda w: w.advisories["roca"].append("0x81000210"),
    "firmware_fault": verdict("firmware", "affected"),
    "firmware_unknown": verdict("firmware", "unknown"),
    "software_fault": verdict("software", "affected"),
    "software_unknown": verdict("software", "unknown"),
    # the host
    "clock_implausible": lambda w: setattr(w, "now", NOW.replace(year=1970)),
    "disk_full": disk(1 << 20),
    "disk_nearly_full": disk(100 << 20),
    "read_only_root": lambda w: w.write("/proc/self/mounts", "/dev/root / squashfs ro,relatime 0 0\n"),
    "unsupported_distribution": both(
        lambda w: w.write("/etc/os-release", 'ID=poky\nVERSION_ID=5.0\nPRETTY_NAME="Poky 5.0"\n'), lambda w: w.remove("/usr/bin/apt-get")
    ),
    "kernel_old": lambda w: w.write("/proc/sys/kernel/osrelease", "4.19.0-27-arm64\n"),
    "kernel_traffic_in_clear": lambda w: w.write("/boot/config-6.12.48-amd64", "# CONFIG_TCG_TPM2_HMAC is not set\nCONFIG_TCG_TPM=y\n"),
    "secure_boot_off": lambda w: w.write(
        "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", b"\x06\x00\x00\x00\x00"
    ),
    "suspend_with_tpm": lambda w: w.write("/sys/power/state", "freeze mem\n"),
    "tpm_is_the_hwrng": lambda w: w.write("/sys/class/misc/hw_random/rng_current", "tpm-rng-0\n"),
    "config_txt_missing": lambda w: w.pi(None),
    "config_txt_read_only": both(
        lambda w: w.pi("dtoverlay=tpm-slb9670\n"),
        lambda w: w.write("/proc/self/mounts", "/dev/a / ext4 rw 0 0\n/dev/b /boot/firmware vfat ro 0 0\n"),
    ),
    "config_txt_contradiction": lambda w: w.pi("dtoverlay=tpm-slb9670\ndtparam=spi=off\n"),
    "overlay_missing": lambda w: w.pi("# dtoverlay=tpm-slb9670\n"),
    "overlay_without_tpm": lambda w: w.pi("dtoverlay=tpm-slb9670\n"),
    "tcti_unset": lambda w: w.remove("/etc/systemd/system.conf.d/edgefleet-tpm2.conf"),
    "tcti_disagrees": lambda w: w.write("/etc/tpm2-tss/fapi-config.json", '{"tcti": "device:/dev/tpm0"}'),
    "tcti_simulator": lambda w: w.write("/etc/environment", "TPM2_PKCS11_TCTI=swtpm:port=2321\n"),
    "secret_in_environment": lambda w: w.write("/etc/environment", "TPM2_PKCS11_OWNER_AUTH=do-not-show\n"),
    "tss_log_shows_commands": lambda w: w.write("/etc/profile.d/tss.sh", "export TSS2_LOG=all+trace\n"),
    "kernel_reports_tpm_faults": log("tpm tpm0: Operation Timed out", "tpm tpm0: A TPM error (257) occurred attempting a pcr read"),
    "kernel_reports_bus_faults": log("spi_master spi0: spi0.1: failed to transfer one message from queue"),
    "heat_or_low_voltage": log("hwmon hwmon1: Undervoltage detected!", "rpi: Under-voltage detected! (0x00050005)"),
    "kernel_log_unreadable": lambda w: w.remove("/dev/kmsg"),
    "event_log_missing": lambda w: w.write("/sys/firmware/efi/systab", ""),
    "event_log_differs": lambda w: w.measured(wrong=True),
    "event_log_not_checked": lambda w: w.write("/sys/kernel/security/tpm0/binary_bios_measurements", b"no log"),
    "os_separator_measured": lambda w: w.measured(separated=True),
    "os_separator_to_come": lambda w: w.write(STUB, b"\x06\0\0\x001\x001\0"),
    "pytss_missing": lambda w: w.programs.update({"dpkg-query": "systemd\t257.9-1\tinstalled\n"}),
}
KINDS = {kind.name: kind for kind in catalogue.KINDS}


def test_a_healthy_device_has_no_finding(world: World) -> None:
    assert world.findings() == []


def test_every_kind_is_provoked_and_stands_once() -> None:
    assert set(PROVOKE) == set(KINDS)
    assert len(KINDS) == len(catalogue.KINDS) >= 40


@pytest.mark.parametrize("name", sorted(PROVOKE))
def test_the_kind_is_found(world: World, name: str) -> None:
    PROVOKE[name](world)
    found = {one["name"]: one for one in world.findings()}
    assert name in found, sorted(found)
    assert found[name]["severity"] in findings.SEVERITIES
    for part in ("object", "evidence", "remedy"):
        assert found[name][part] and "None" not in found[name][part], found[name]
    assert found[name]["remedy"].endswith(".")


# Almost: just on the good side of what the kind is about.
ALMOST: list[tuple[str, Spoil]] = [
    ("lockout_counter_high", tpm("da_lockout.counter", 15)),
    ("few_tries", tpm("da_lockout.max_tries", 10)),
    ("persistent_slots_few", tpm("capacity.persistent_slots_left", 3)),
    ("persistent_slots_few", tpm("capacity.persistent_slots_left", None)),
    ("nv_counters_used_up", both(tpm("capacity.nv_counters_left", 0), tpm("condition.nv_counters_max", 0))),
    ("sessions_used_up", tpm("capacity.sessions_left", 5)),
    ("platform_hierarchy_open", both(tpm("hierarchies.platform.auth_set", None), tpm("hierarchies.platform.enabled", False))),
    ("index_counts_for_lockout", index("0x01c00100", "authread")),
    ("key_counts_for_lockout", lambda w: w.tpm["persistent_handles"].append({**w.tpm["persistent_handles"][0], "handle": "0x81000210"})),
    ("parent_counts_for_lockout", other_parent("fixedtpm", "fixedparent", "userwithauth", "noda", "restricted", "decrypt")),
    ("parent_counts_for_lockout", other_parent("fixedtpm", "fixedparent", "adminwithpolicy", "restricted", "decrypt")),
    ("disk_nearly_full", disk(128 << 20)),
    ("kernel_old", lambda w: w.write("/proc/sys/kernel/osrelease", "5.4.0\n")),
    ("wide_open_node", rights(0o600)),
    ("udev_rule_too_wide", lambda w: w.write("/etc/udev/rules.d/99-tpm.rules", WIDE.replace("0666", "0660"))),
    ("tcti_disagrees", lambda w: w.write("/etc/tpm2-tss/fapi-config.json", '{"tcti": "device:/dev/tpmrm0"}')),
    ("held_by_hung_process", lambda w: w.process(79, "tpm2_sign", "/dev/tpm0", state="R")),
    ("abrmd_will_start", lambda w: w.abrmd(UnitFileState="masked", LoadState="masked")),
    ("secure_boot_off", lambda w: w.write("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", b"\x06\0\0\0\x01")),
    ("event_log_differs", World.measured),
    ("event_log_missing", both(lambda w: w.write("/run/.containerenv", ""), lambda w: w.write("/sys/firmware/efi/systab", ""))),
    ("event_log_differs", lambda w: w.measured(separated=True)),
    ("os_separator_measured", World.measured),
    ("os_separator_to_come", both(lambda w: w.write(STUB, b"\x06\0\0\0"), lambda w: w.measured(separated=True))),
    ("os_separator_to_come", lambda w: w.write("/proc/cmdline", "quiet\n")),
    ("os_separator_to_come", both(lambda w: w.write(STUB, b"\x06"), lambda w: w.write("/proc/cmdline", "x systemd.tpm2_measured_os=0\n"))),
    ("os_separator_to_come", both(lambda w: w.write("/proc/cmdline", MEASURED_OS), systemd("261.3-1"))),
    ("pcrs_unmeasured", tpm("pcrs", [])),
    ("failure_mode", tpm("condition.test_result", 0x153)),
    ("tss_log_shows_commands", lambda w: w.write("/etc/profile.d/tss.sh", "export TSS2_LOG=all+error\n")),
    ("secret_in_environment", lambda w: w.write("/etc/environment", "# TPM2_PKCS11_OWNER_AUTH=x\nTPM2_PKCS11_OWNER_AUTH=\n")),
    ("kernel_without_resource_manager", lambda w: w.write("/proc/sys/kernel/osrelease", "4.12.0\n")),
]


@pytest.mark.parametrize(("name", "spoil"), ALMOST, ids=[name for name, _spoil in ALMOST])
def test_almost_is_not(world: World, name: str, spoil: Spoil) -> None:
    spoil(world)
    assert name not in {one["name"] for one in world.findings()}


@pytest.mark.parametrize("kind", catalogue.KINDS, ids=lambda kind: kind.name)
def test_a_kind_is_whole(kind: findings.Kind) -> None:
    assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)+", kind.name)
    assert kind.severity in findings.SEVERITIES
    assert kind.remedy[0].isupper() and kind.remedy.endswith(".") and len(kind.remedy) > 20


@pytest.mark.parametrize("kind", catalogue.KINDS, ids=lambda kind: kind.name)
def test_what_nobody_can_tell_is_no_finding(kind: findings.Kind) -> None:
    assert list(kind.look(findings.View({"host": {}, "tpm": {}, "error": None, "place": {}, "advisories": {}}))) == []


@pytest.mark.parametrize(
    "kind", [getattr(errors, name) for name in ("ABSENT", "PERMISSION", "BUSY", "NO_ANSWER", "BROKEN", "NOT_A_TPM", "UNSUPPORTED", "OTHER")]
)
@pytest.mark.parametrize("tcti", ["device:/dev/tpmrm0", "swtpm:port=1", TABRMD])
def test_a_tpm_that_cannot_be_read_is_always_an_error(world: World, kind: str, tcti: str) -> None:
    world.tcti = tcti
    world.fail(kind)
    assert [one for one in world.findings() if one["severity"] == "error"]


CAUSES = {
    "abrmd_missing": both(asks_abrmd, World.bus),
    "dbus_down": PROVOKE["dbus_down"],
    "abrmd_dies": PROVOKE["abrmd_dies"],
    "abrmd_not_running": PROVOKE["abrmd_not_running"],
    "held_by_abrmd": PROVOKE["held_by_abrmd"],
    "held_by_process": PROVOKE["held_by_process"],
    "tpm_absent": PROVOKE["tpm_absent"],
    "driver_failed": PROVOKE["driver_failed"],
    "node_missing": PROVOKE["node_missing"],
    "no_permission": PROVOKE["no_permission"],
    "tpm_is_1_2": PROVOKE["tpm_is_1_2"],
}


@pytest.mark.parametrize("name", CAUSES)
def test_one_cause_is_one_error(world: World, name: str) -> None:
    CAUSES[name](world)
    assert [one["name"] for one in world.findings() if one["severity"] == "error"] == [name]


def test_abrmd_whose_files_cannot_be_seen(world: World) -> None:
    world.bus()
    world.abrmd(owner=True, ActiveState="active")
    world.fail(errors.BUSY)
    assert [one["name"] for one in world.findings() if one["severity"] == "error"] == ["held_by_abrmd"]


def test_who_holds_it_may_be_out_of_sight(world: World) -> None:
    world.fail(errors.BUSY)
    (found,) = (one for one in world.findings() if one["severity"] == "error")
    assert found["name"] == "held_by_process" and "cannot be seen" in found["evidence"]


def test_the_gravest_comes_first(world: World) -> None:
    for name in ("owner_auth_empty", "few_tries", "owner_hierarchy_disabled"):
        PROVOKE[name](world)
    assert [one["severity"] for one in world.findings()] == ["error", "warning", "info"]


def test_a_known_fault_keeps_its_rules_severity_and_remedy(world: World) -> None:
    PROVOKE["firmware_fault"](world)
    (found,) = world.findings()
    assert (found["severity"], found["remedy"], found["object"]) == ("error", "Update it.", "chip 1.2")


def test_no_value_of_a_secret_is_shown(world: World) -> None:
    PROVOKE["secret_in_environment"](world)
    assert "do-not-show" not in str(world.findings()) + str(world.observe())


def test_a_sentence_is_told_in_two_halves(world: World) -> None:
    world.no_device()
    found = next(one for one in world.findings() if one["name"] == "tpm_absent")
    assert "switch it on" not in found["evidence"]
    assert found["remedy"].startswith("Switch it on in the firmware")


def test_harmless_lines_of_the_kernel_are_no_faults(world: World) -> None:
    log("tpm tpm0: A TPM error (256) occurred attempting the self test", "tpm tpm0: starting up the TPM manually")(world)
    assert world.findings() == []


@pytest.mark.parametrize(
    "line",
    [
        "tpm2_getcap[812]: segfault at 10 ip 00007f3e1c2d5a41 sp 00007ffd2f8a3c10 error 4 in libtss2-tcti-device.so.0.0.0[7f3e1c2d5000+2000]",
        "traps: tpm2-abrmd[77] general protection fault ip:7f21 sp:7ffe error:0 in libtss2-sys.so.1[7f21]",
        "traps: tpm2_unseal[9] trap invalid opcode ip:55d1 sp:7ffc error:0 in tpm2[55d1]",
        "Out of memory: Killed process 812 (tpm2_nvread) total-vm:1000kB, error 0",
        'audit: type=1701 audit(1790000000.1:55): auid=0 uid=59 pid=812 comm="tpm2_getcap" exe="/usr/bin/tpm2" sig=11 res=failed',
        "systemd[1]: tpm2-abrmd.service: Failed with result 'exit-code'.",
        "[   12.345678] spi-config[33]: segfault at 0 ip 0000 sp 0000 error 6 in spi-config[5000+1000]",
    ],
)
def test_a_program_that_crashed_is_no_fault_of_the_tpm(world: World, line: str) -> None:
    log(line)(world)
    assert not {"kernel_reports_tpm_faults", "kernel_reports_bus_faults"} & {one["name"] for one in world.findings()}
    # The same line beside a true one does not hide it.
    log("tpm tpm0: Operation Timed out", line)(world)
    assert "kernel_reports_tpm_faults" in [one["name"] for one in world.findings()]
