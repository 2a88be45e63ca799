# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The kernel's view of the TPM: devices, drivers, buses, nodes, modules; and if there is no TPM, why."""

from __future__ import annotations

import os
import re
import stat
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.tree import Tree

Facts = dict[str, t.Any]
CLASS = "/sys/class/tpm"
# ACPI identifiers of TPMs: MSFT0101 is any TPM 2.0, the others name TPM 1.2 (drivers/char/tpm/tpm_tis.c, tpm_crb.c).
ACPI_IDS = re.compile(
    r"^(MSFT0101|PNP0C31|ATM1200|IFX0102|BCM0101|BCM0102|NSC1200|ICO0102|INTC0102|SMO3324|STM0125|STM0176|GOOG0005)", re.I
)
# Names of TPMs in the device tree or the modalias; the last is the UUID of Microsoft's fTPM on the TEE bus (tpm_ftpm_tee.c).
COMPATIBLE = re.compile(r"tpm|slb96|st33|npct|cr50|bc50d971-d4c9-42c4-82cb-343fb7f37896", re.I)
# By bus: the modules that drive a TPM on it, if the driver is not built in.
MODULES = {"spi": ["tpm_tis_spi"], "i2c": ["tpm_tis_i2c"], "acpi": ["tpm_crb", "tpm_tis"], "pnp": ["tpm_tis"], "tee": ["tpm_ftpm_tee"]}
FAILED = re.compile(r"(?i)tpm.*(error|fail|timed? ?out|timeout|unable|not found|no device)|(error|fail).*\btpm")
# Seconds after the start for which a driver may still be working (probe with retries, self-tests, deferred probing).
STARTING = 120.0


def _version(tree: Tree, folder: str) -> int | None:
    told = tree.text(f"{folder}/tpm_version_major")
    if told and told.isdigit():
        return int(told)
    # Kernels before 5.6 do not tell the version; then files that only a TPM 1.2 has do.
    if tree.exists(f"{folder}/device/pcrs") or tree.exists(f"{folder}/caps") or tree.exists(f"{folder}/pcrs"):
        return 1
    return 2 if tree.exists("/sys/class/tpmrm") else None


def devices(tree: Tree) -> list[Facts]:
    """The TPMs that the kernel has registered."""
    listed = []
    for name in (one for one in tree.names(CLASS) if re.fullmatch(r"tpm\d+", one)):
        folder = f"{CLASS}/{name}"
        listed.append(
            {
                "name": name,
                "version_major": _version(tree, folder),
                "driver": tree.base(f"{folder}/device/driver"),
                "module": tree.base(f"{folder}/device/driver/module"),
                "bus": tree.base(f"{folder}/device/subsystem"),
                "nodes": [f"/dev/{node}" for node in (name, name.replace("tpm", "tpmrm")) if tree.exists(f"/dev/{node}")],
            }
        )
    return listed


def unbound(tree: Tree) -> list[Facts]:
    """Devices on a bus whose name is that of a TPM, with or without a driver."""
    found = []
    for bus in ("acpi", "pnp", "platform", "spi", "i2c", "tee"):
        for name in tree.names(f"/sys/bus/{bus}/devices"):
            folder = f"/sys/bus/{bus}/devices/{name}"
            said = (tree.text(f"{folder}/of_node/compatible") or "").replace("\0", ",")
            says = said or tree.text(f"{folder}/modalias") or tree.text(f"{folder}/name") or ""
            # ACPI also lists devices that the firmware has switched off, with status 0.
            if bus == "acpi" and tree.text(f"{folder}/status") == "0":
                continue
            if ACPI_IDS.match(name) or bus in ("spi", "i2c", "platform", "tee") and COMPATIBLE.search(says):
                found.append({"name": name, "bus": bus, "says": says, "driver": tree.base(f"{folder}/driver")})
    if not found and tree.exists("/sys/firmware/acpi/tables/TPM2"):
        found.append({"name": "ACPI table TPM2", "bus": "acpi", "says": "", "driver": None})
    return found


def _named(tree: Tree, file: str, number: int) -> str:
    for line in tree.lines(file):
        parts = line.split(":")
        if len(parts) > 2 and parts[2] == str(number):
            return parts[0]
    return str(number)


def node(tree: Tree, path: str) -> Facts:
    """A device node with its rights; ``readable`` is whether this process may use it."""
    empty: Facts = {"path": path, "exists": False, "kind": None, "mode": None, "owner": None, "group": None, "readable": False}
    try:
        state = os.stat(tree.path(path))
    except OSError:
        return empty
    return {
        "path": path,
        "exists": True,
        "kind": "char" if stat.S_ISCHR(state.st_mode) else "other",
        "mode": f"{stat.S_IMODE(state.st_mode):04o}",
        "owner": _named(tree, "/etc/passwd", state.st_uid),
        "group": _named(tree, "/etc/group", state.st_gid),
        "readable": os.access(tree.path(path), os.R_OK | os.W_OK),
    }


def nodes(tree: Tree) -> list[Facts]:
    """/dev/tpm0 and /dev/tpmrm0, even if they do not exist, and all other TPM nodes."""
    there = {f"/dev/{name}" for name in tree.names("/dev") if re.fullmatch(r"tpm(rm)?\d+", name)}
    return [node(tree, path) for path in sorted(there | {"/dev/tpm0", "/dev/tpmrm0"})]


def modules(tree: Tree, known: t.Sequence[Facts], seen: t.Sequence[Facts]) -> Facts:
    """Which modules the TPM here needs, and which the kernel has, loaded or built in."""
    loaded = sorted({line.split(" ")[0] for line in tree.lines("/proc/modules") if line.startswith("tpm")})
    release = tree.text("/proc/sys/kernel/osrelease") or ""
    listed = [os.path.basename(line) for line in tree.lines(f"/lib/modules/{release}/modules.builtin") if "/char/tpm/" in line]
    builtin = {name.partition(".")[0].replace("-", "_") for name in listed}
    builtin |= {name for name in tree.names("/sys/module") if name.startswith("tpm") and name not in loaded}
    needed = {one["module"] or one["driver"] for one in known if one["driver"]}
    if not known:
        needed = {name for one in seen for name in MODULES.get(one["bus"], [])}
    return {"needed": sorted(filter(None, needed)), "loaded": loaded, "builtin": sorted(builtin)}


def _uptime(tree: Tree) -> float:
    try:
        return float((tree.text("/proc/uptime") or "").split(" ")[0])
    except ValueError:
        return STARTING


def _no_class(tree: Tree, seen: t.Sequence[Facts], log: t.Sequence[str]) -> Facts:
    """A word and a sentence about why the kernel has no TPM; called only if it has none."""
    complaint = next((line for line in reversed(log) if FAILED.search(line)), None)
    if not seen and not complaint:
        return _state("absent", "The kernel has no TPM and no bus names one; switch it on in the firmware, or fit one and its overlay.")
    if not complaint and seen and _uptime(tree) < STARTING:
        return _state("starting", f"{seen[0]['name']} is on bus {seen[0]['bus']} and its driver has not finished yet; wait and look again.")
    if complaint:
        return _state(
            "driver_failed", f"The driver gave up on the TPM, the kernel says '{complaint}'; look at power, wiring, overlay and firmware."
        )
    modules_text = " or ".join(MODULES.get(seen[0]["bus"], ["its driver"]))
    if seen[0]["driver"]:
        where = f"{seen[0]['name']} on bus {seen[0]['bus']} has the driver {seen[0]['driver']}"
        return _state("driver_failed", f"{where} but there is no TPM; look at dmesg for what the driver says.")
    return _state(
        "driver_failed",
        f"{seen[0]['name']} is on bus {seen[0]['bus']} and no driver is bound to it; load {modules_text}, then look at dmesg.",
    )


def _state(name: str, sentence: str) -> Facts:
    return {"state": name, "sentence": sentence}


def state(tree: Tree, known: t.Sequence[Facts], seen: t.Sequence[Facts], there: t.Sequence[Facts], log: t.Sequence[str]) -> Facts:
    """One word for the state of the TPM on this host, and one sentence about what to look at next."""
    usable = [one for one in there if one["exists"] and one["kind"] == "char"]
    second = [one for one in known if one["version_major"] != 1]
    if known and not second:
        return _state("tpm12", f"{known[0]['name']} is a TPM 1.2, which this collection does not serve; switch it to 2.0 in the firmware.")
    if not usable and not known:
        return _no_class(tree, seen, log)
    if not usable:
        sentence = (
            f"The kernel has {second[0]['name']} but /dev has no node for it; look at udev, devtmpfs, or what the container is given."
        )
        return _state("node_missing", sentence)
    if not any(one["readable"] for one in usable):
        one = usable[-1]
        sentence = f"{one['path']} is {one['owner']}:{one['group']} {one['mode']}, not for this user; run with become or join the group."
        return _state("no_permission", sentence)
    return _state("ready", f"{', '.join(one['path'] for one in usable if one['readable'])} can be used.")


__all__ = ("devices", "modules", "node", "nodes", "state", "unbound")
