# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Findings on the host: distribution, kernel, clock, disk, board, firmware, consumers, software. One entry for each kind."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.findings import ERROR, INFO, WARNING, Kind, Seen, View, when

FULL, NEARLY_FULL = 16 << 20, 128 << 20
OLD_KERNEL = (5, 4)
# 256 is TPM_RC_INITIALIZE: after it the kernel starts the TPM itself, which is normal.
TPM_FAULT = re.compile(r"(?i)\btpm.*(error|fail|timed? ?out|timeout|unable)")
HARMLESS = re.compile(r"(?i)starting up the TPM manually|TPM error \(256\)|No TPM chip found|bypass")
# The kernel's messages about programs, of any name: one crashed (arch/*/mm/fault.c, arch/*/kernel/traps.c), was killed for want of
# memory (mm/oom_kill.c), dumped core, or was refused something (audit). Messages of systemd, which dmesg shows, too, have its pid in brackets.
PROGRAM = re.compile(
    r"^(\[ *[\d.]+\] *)?((traps: )?\S+\[\d+\][:\s]|Out of memory|Memory cgroup out of memory|oom[-_]|audit\b|process \d+ ?\(|coredump:"
    r"|\S+: Process \d+|(Modules linked in|CPU: \d+|Code: |Comm: ))|\b(segfault|general protection fault|unhandled signal|core ?dump\w*) |\bcomm=\"",
    re.IGNORECASE,
)
BUS_FAULT = re.compile(r"(?i)\b(spi|i2c)\S*[: ].*(error|fail|time(d )?out|nack|arbitration)")
HEAT = re.compile(r"(?i)under-?voltage|critical temperature|temperature above threshold|thermal.*(thrott|shutdown|trip)")
DISCRETE = ("spi", "i2c")


def _lines(pattern: re.Pattern[str], but: re.Pattern[str] | None = None) -> t.Callable[[View], list[Seen]]:
    def look(view: View) -> list[Seen]:
        found = [line for line in view.rows("host.kernel_log.lines") if pattern.search(line) and not PROGRAM.search(line)]
        found = [line for line in found if not (but and but.search(line))]
        return when(found, "kernel log", f"{len(found)} of them, the last: {found[-1]}") if found else []

    return look


def _disk(below: int, least: int) -> t.Callable[[View], list[Seen]]:
    def look(view: View) -> list[Seen]:
        free = view.at("host.disk.free_bytes") or {}
        return [
            Seen(name, f"{number >> 20} MiB are free, or no inodes")
            for name, number in sorted(free.items())
            if number is not None and least <= number < below
        ]

    return look


def _release(view: View) -> tuple[int, ...]:
    numbers = re.match(r"(\d+)\.(\d+)", view.at("host.kernel.release") or "")
    return tuple(int(one) for one in numbers.groups()) if numbers else OLD_KERNEL


def _no_device(view: View) -> bool:
    return bool(view.at("host.machine.raspberry_pi")) and not view.rows("host.devices")


def _tctis(view: View) -> dict[str, str]:
    return dict(view.at("host.tcti") or {})


def _disagreeing(view: View) -> list[Seen]:
    values = _tctis(view)
    if len(set(values.values())) < 2:
        return []
    return [Seen("TCTI of this host", ", ".join(f"{name} says {value}" for name, value in sorted(values.items())))]


def _simulated(view: View) -> list[Seen]:
    kinds = ("swtpm", "mssim", "libtpms")
    return [Seen(name, f"it says {value}") for name, value in sorted(_tctis(view).items()) if value.partition(":")[0] in kinds]


def _buses(view: View) -> list[str]:
    return [str(one.get("bus")) for one in view.rows("host.devices")]


def _overlay_pending(view: View) -> list[Seen]:
    overlays = view.rows("host.config_txt.overlays")
    wanted = _no_device(view) and overlays and view.at("host.tpm.state") == "absent"
    return when(wanted, f"{view.at('host.config_txt.path')}", f"it loads {', '.join(overlays)}, and no bus has the TPM yet")


KINDS: tuple[Kind, ...] = (
    Kind(
        "clock_implausible",
        ERROR,
        "Set the clock and keep it right (systemd-timesyncd, chrony, an RTC): certificates and logs depend on it.",
        lambda v: when(v.at("host.clock.plausible") is False, "clock", f"it says {v.at('host.clock.time')}"),
    ),
    Kind("disk_full", ERROR, "Free space: key files and packages are written there.", _disk(FULL, 0)),
    Kind("disk_nearly_full", WARNING, "Free space before packages and key files are written there.", _disk(NEARLY_FULL, FULL)),
    Kind(
        "read_only_root",
        WARNING,
        "Put the packages, the group tss and the udev rule into the image (Yocto: packagegroup-security-tpm2); the roles only check here.",
        lambda v: when(v.at("host.os.read_only_root"), "/", "the root file system is read-only, so nothing can be installed"),
    ),
    Kind(
        "unsupported_distribution",
        WARNING,
        "Install tpm2-tss, tpm2-tools and tpm2-pytss yourself; the roles then work with them.",
        lambda v: when(
            v.at("host.os.supported") is False,
            f"{v.at('host.os.name')}",
            f"the roles know no packages for it (package manager: {v.at('host.os.packages')})",
        ),
    ),
    Kind(
        "kernel_old",
        WARNING,
        "Update the kernel: before 5.4 a response can only be read in one piece, and the drivers for SPI and I2C TPMs lack fixes.",
        lambda v: when(_release(v) < OLD_KERNEL, f"kernel {v.at('host.kernel.release')}", "it is older than 5.4"),
    ),
    Kind(
        "kernel_traffic_in_clear",
        INFO,
        "Use a kernel with CONFIG_TCG_TPM2_HMAC if somebody could listen on the wires; what this collection sends is encrypted in any case.",
        lambda v: when(
            v.at("host.kernel.encrypted_sessions") is False and any(bus in DISCRETE for bus in _buses(v)),
            "kernel",
            "its own commands (random numbers, trusted keys, PCRs) cross the bus unencrypted",
        ),
    ),
    Kind(
        "secure_boot_off",
        INFO,
        "Switch Secure Boot on if the boot chain is signed: without it PCR 7 says little.",
        lambda v: when(v.at("host.kernel.secure_boot") is False, "UEFI", "Secure Boot is off"),
    ),
    Kind(
        "suspend_with_tpm",
        WARNING,
        "Mask sleep.target on an unattended device: the firmware may resume with PCRs reset (CVE-2018-6622) or the TPM not started.",
        lambda v: when(
            v.at("host.machine.suspends") and v.rows("host.devices") and not v.at("host.machine.container"),
            "suspend to RAM",
            "the kernel offers it and nothing prevents it",
        ),
    ),
    Kind(
        "tpm_is_the_hwrng",
        INFO,
        "Nothing if it is quick enough; otherwise give the kernel another source: each read is a TPM command, for which other programs wait.",
        lambda v: when(
            str(v.at("host.machine.hwrng") or "").startswith("tpm"),
            "hwrng",
            f"the kernel's hardware random source is {v.at('host.machine.hwrng')}",
        ),
    ),
    Kind(
        "config_txt_missing",
        WARNING,
        "Mount the boot partition (/boot/firmware): the TPM's overlay is written there.",
        lambda v: when(_no_device(v) and v.at("host.machine.config_txt") is None, "config.txt", "neither /boot/firmware nor /boot has one"),
    ),
    Kind(
        "config_txt_read_only",
        WARNING,
        "Remount the boot partition read-write, or set the overlay in the image.",
        lambda v: when(
            v.at("host.config_txt.read_only") and v.at("host.config_txt.path"), f"{v.at('host.config_txt.path')}", "it cannot be written"
        ),
    ),
    Kind(
        "config_txt_contradiction",
        ERROR,
        "Remove the line that contradicts the overlay, then reboot.",
        lambda v: [Seen(f"{v.at('host.config_txt.path')}", one) for one in v.rows("host.config_txt.contradictions")],
    ),
    Kind(
        "overlay_missing",
        ERROR,
        "Add the overlay of the fitted chip, for example dtoverlay=tpm-slb9670 (tpm_stack_overlay does), then reboot.",
        lambda v: when(
            _no_device(v) and v.at("host.config_txt.path") and not v.rows("host.config_txt.overlays"),
            f"{v.at('host.config_txt.path')}",
            "it loads no TPM overlay, and this board finds no TPM by itself",
        ),
    ),
    Kind(
        "overlay_without_tpm",
        ERROR,
        "Reboot if the overlay is new; otherwise check that the chip is fitted, and that it is the chip of that overlay.",
        _overlay_pending,
    ),
    Kind(
        "tcti_unset",
        INFO,
        "Let role tpm_stack write it: without it, libraries search for a TPM and may choose a simulator.",
        lambda v: when(v.at("host.tcti") == {}, "TCTI of this host", "no configuration file tells programs where the TPM is"),
    ),
    Kind("tcti_disagrees", WARNING, "Tell all of them the same: role tpm_stack writes it once.", _disagreeing),
    Kind("tcti_simulator", WARNING, "Point it at the real TPM: everybody can read what a simulator keeps.", _simulated),
    Kind(
        "secret_in_environment",
        ERROR,
        "Remove it: every process of the host inherits it, and all users can read its file.",
        lambda v: [Seen(one["path"], f"it sets {one['variable']}") for one in v.rows("host.leaks") if one["kind"] == "secret"],
    ),
    Kind(
        "tss_log_shows_commands",
        ERROR,
        "Remove it: at debug and trace the TSS writes whole commands, including secrets, into logs.",
        lambda v: [Seen(one["path"], "it sets TSS2_LOG to debug or trace") for one in v.rows("host.leaks") if one["kind"] == "log"],
    ),
    Kind(
        "kernel_reports_tpm_faults",
        WARNING,
        "Look at power, wiring and firmware of the TPM; if it goes on, replace it.",
        _lines(TPM_FAULT, HARMLESS),
    ),
    Kind("kernel_reports_bus_faults", WARNING, "Look at wiring, clock rate and pull-ups of the bus that the TPM is on.", _lines(BUS_FAULT)),
    Kind(
        "heat_or_low_voltage",
        WARNING,
        "Look at cooling and power supply: outside its range, a TPM may fail with any kind of error.",
        _lines(HEAT),
    ),
    Kind(
        "kernel_log_unreadable",
        INFO,
        "Run with become to see what the driver says.",
        lambda v: when(v.at("host.kernel_log.readable") is False, "kernel log", "it could not be read, so faults in it are unknown"),
    ),
    Kind(
        "pytss_missing",
        INFO,
        "Install python3-tpm2-pytss (role tpm_stack does) if tasks change the TPM with execution: device; the controller needs none on the device.",
        lambda v: when(
            v.at("host.software") is not None and "tpm2-pytss" not in v.at("host.software"), "tpm2-pytss", "it is not installed"
        ),
    ),
)

__all__ = ("KINDS",)
