# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The view from outside: what tpm2-tools, systemd and the kernel of a machine say."""

from __future__ import annotations

import re

from vm.machine import Machine

KERNEL_RM = "device:/dev/tpmrm0"
ABRMD = "tabrmd:bus_name=com.intel.tss2.Tabrmd"
EVENT_LOG = "/sys/kernel/security/tpm0/binary_bios_measurements"
HANDLES = ("handles-transient", "handles-loaded-session", "handles-saved-session", "handles-persistent", "handles-nv-index")


def _values(text: str, bank: str) -> dict[int, str]:
    part = re.search(rf"^ *{bank}:\n((?: +\d+ *: 0x[0-9A-Fa-f]+\n?)+)", text, re.MULTILINE)
    return {int(index): value.lower() for index, value in re.findall(r"(\d+) *: 0x([0-9A-Fa-f]+)", part.group(1) if part else "")}


def pcrs(machine: Machine, tcti: str = KERNEL_RM, bank: str = "sha256") -> dict[int, str]:
    """The PCRs as tpm2_pcrread prints them, lowercase hex by index."""
    return _values(machine.out(f"tpm2_pcrread -T {tcti} {bank}") + "\n", bank)


def replayed(machine: Machine, bank: str = "sha256") -> dict[int, str]:
    """The PCRs that the firmware's event log comes to, as tpm2_eventlog computes them."""
    return _values(machine.out(f"tpm2_eventlog {EVENT_LOG}").rpartition("\npcrs:")[2] + "\n", bank)


def handles(machine: Machine, tcti: str) -> dict[str, list[str]]:
    """What the TPM holds, by kind, as tpm2_getcap lists it."""
    words = " ".join(HANDLES)
    said = machine.out(f"for kind in {words}; do echo $kind; tpm2_getcap -T {tcti} $kind; done")
    found: dict[str, list[str]] = {}
    kind = ""
    for line in said.splitlines():
        if line in HANDLES:
            kind = line
            found[kind] = []
        elif line.strip():
            found[kind].append(line.strip(" -"))
    return found


def platform_hierarchy(machine: Machine, tcti: str = KERNEL_RM) -> dict[str, int]:
    """Whether the platform hierarchy is enabled (phEnable), and whether it lets in who gives no auth (its auth is set to empty again)."""
    said = machine.out(f"tpm2_getcap -T {tcti} properties-variable")
    enabled = re.search(r"phEnable:\s+(\d)", said)
    assert enabled is not None, said
    opens = machine.ssh(f"tpm2_changeauth -T {tcti} -c platform ''", check=False).returncode == 0
    return {"enabled": int(enabled.group(1)), "opens": int(opens)}


def node(machine: Machine, path: str) -> str:
    """A node's owner, group and mode, as stat prints them: `tss:tss 660`."""
    return machine.out(f"stat -c '%U:%G %a' {path}")


def random_as(machine: Machine, user: str, tcti: str) -> tuple[bool, str]:
    """Whether a user gets eight random bytes, and what the program says."""
    done = machine.ssh(f"tpm2_getrandom -T {tcti} --hex 8", user=user, check=False)
    got = done.returncode == 0 and re.fullmatch(r"[0-9a-f]{16}", done.stdout.strip()) is not None
    return got, (done.stdout + done.stderr).strip()


def unit(machine: Machine, name: str, *properties: str) -> dict[str, str]:
    """Properties of a unit as systemctl shows them."""
    wanted = properties or ("LoadState", "ActiveState", "SubState", "UnitFileState", "MainPID")
    said = machine.out(f"systemctl show {name} " + " ".join(f"-p {one}" for one in wanted))
    return dict(line.split("=", 1) for line in said.splitlines())
