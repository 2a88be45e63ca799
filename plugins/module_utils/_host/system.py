# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The machine under the TPM: distribution, init, kernel, clock, board, disk, group tss."""

from __future__ import annotations

import datetime
import os
import re
import shlex
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.tree import Tree

Facts = dict[str, t.Any]
SUPPORTED = {"debian", "ubuntu", "fedora", "rhel", "centos", "suse", "opensuse", "sles", "arch", "archlinux"}
MANAGERS = (("apt", "apt-get"), ("dnf", "dnf"), ("dnf", "dnf5"), ("dnf", "microdnf"), ("zypper", "zypper"), ("pacman", "pacman"))
SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
# The day on which this was written: a device that runs this code cannot have an earlier date.
EARLIEST = datetime.datetime(2025, 1, 1, tzinfo=datetime.timezone.utc)
LATEST_YEAR = 2100
DAY = datetime.timedelta(days=1)
# The first kernel with a resource manager of its own (Linux 4.12, drivers/char/tpm/tpm2-space.c).
RESOURCE_MANAGER_SINCE = (4, 12)


def _release_file(tree: Tree) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in tree.lines("/etc/os-release") or tree.lines("/usr/lib/os-release"):
        name, equals, value = line.partition("=")
        if equals and not name.startswith("#"):
            try:
                found[name.strip()] = " ".join(shlex.split(value))
            except ValueError:
                found[name.strip()] = value.strip()
    return found


def read_only(tree: Tree, folder: str) -> bool:
    """Whether the file system that holds ``folder`` is mounted read-only."""
    best, options = "", ""
    for line in tree.lines("/proc/self/mounts") or tree.lines("/proc/mounts"):
        parts = line.split()
        # A later mount hides an earlier one at the same place.
        if len(parts) > 3 and len(parts[1]) >= len(best) and (folder + "/").startswith(parts[1].rstrip("/") + "/"):
            best, options = parts[1], parts[3]
    return "ro" in options.split(",")


def _init(tree: Tree) -> str:
    if tree.exists("/run/systemd/system"):
        return "systemd"
    if tree.exists("/run/openrc"):
        return "openrc"
    return "sysv" if tree.text("/proc/1/comm") == "init" and tree.exists("/etc/init.d") else "other"


def distribution(tree: Tree) -> Facts:
    """Distribution, its package manager and init, and whether its root file system can be changed."""
    found = _release_file(tree)
    like = found.get("ID_LIKE", "").split()
    manager = next((name for name, program in MANAGERS if tree.exists(f"/usr/bin/{program}") or tree.exists(f"/bin/{program}")), "none")
    own = found.get("ID", "")
    return {
        "id": own,
        "id_like": like,
        "version_id": found.get("VERSION_ID", ""),
        "name": found.get("PRETTY_NAME", "") or found.get("NAME", "") or own or "unknown",
        "read_only_root": read_only(tree, "/") or read_only(tree, "/usr"),
        "packages": manager,
        "init": _init(tree),
        # openSUSE's ids include the edition: opensuse-leap, opensuse-tumbleweed.
        "supported": manager != "none" and any(one.partition("-")[0] in SUPPORTED for one in (own, *like)),
    }


def _version(release: str) -> tuple[int, int]:
    numbers = re.match(r"(\d+)\.(\d+)", release)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)


def secure_boot(tree: Tree) -> bool | None:
    """Whether UEFI Secure Boot is on (four bytes of attributes, then one of value); None if nothing tells."""
    found = tree.data(SECURE_BOOT)
    return bool(found[4]) if found and len(found) > 4 else None


def _kernel_option(tree: Tree, release: str, option: str) -> bool | None:
    lines = tree.lines(f"/boot/config-{release}") or tree.lines(f"/lib/modules/{release}/config")
    return None if not lines else any(line.startswith(f"{option}=") and line[-1] in "ym" for line in lines)


def kernel(tree: Tree) -> Facts:
    """The kernel's release, and what it supports for a TPM."""
    release = tree.text("/proc/sys/kernel/osrelease") or ""
    marked = re.search(r"\[(\w+)\]", tree.text("/sys/kernel/security/lockdown") or "")
    # The kernel shows the Name of its null key if it encrypts its own traffic (Documentation/security/tpm/tpm-security.rst).
    sessions = True if tree.exists("/sys/class/tpm/tpm0/null_name") else _kernel_option(tree, release, "CONFIG_TCG_TPM2_HMAC")
    return {
        "release": release,
        "resource_manager": _version(release) >= RESOURCE_MANAGER_SINCE,
        "lockdown": marked[1] if marked else None,
        "secure_boot": secure_boot(tree),
        "encrypted_sessions": sessions,
    }


def clock(tree: Tree, now: datetime.datetime | None = None) -> Facts:
    """The time, and whether it is plausible: not before this code was written, and not before the time that the host itself last saved."""
    now = now or datetime.datetime.now(datetime.timezone.utc)
    plausible = EARLIEST <= now and now.year < LATEST_YEAR
    try:
        written = os.stat(tree.path("/var/lib/systemd/timesync/clock")).st_mtime
        plausible = plausible and now > datetime.datetime.fromtimestamp(written, datetime.timezone.utc) - DAY
    except (OSError, OverflowError, ValueError):
        pass
    return {"time": now.replace(microsecond=0).isoformat(), "plausible": plausible}


def _model(tree: Tree) -> str:
    board = tree.text("/sys/firmware/devicetree/base/model") or tree.text("/proc/device-tree/model")
    if board:
        return board
    vendor, product = tree.text("/sys/class/dmi/id/sys_vendor"), tree.text("/sys/class/dmi/id/product_name")
    return " ".join(part for part in (vendor, product) if part) or "unknown"


def cpu(tree: Tree) -> list[int] | None:
    """Family and model of an x86 processor; None for other processors."""
    found = dict(re.findall(r"(?m)^(cpu family|model)\s*:\s*(\d+)$", tree.text("/proc/cpuinfo") or ""))
    return [int(found["cpu family"]), int(found["model"])] if len(found) == 2 else None


def suspends(tree: Tree) -> bool | None:
    """Whether the machine can suspend to RAM and nothing prevents it; None if the kernel does not tell."""
    states = tree.text("/sys/power/state")
    if states is None:
        return None
    masked = any(tree.target(f"/etc/systemd/system/{name}") == "/dev/null" for name in ("sleep.target", "suspend.target"))
    return "mem" in states.split() and not masked


def machine(tree: Tree) -> Facts:
    """The board, and how it boots."""
    model = _model(tree)
    inside = any(tree.exists(name) for name in ("/run/systemd/container", "/run/.containerenv", "/.dockerenv"))
    return {
        "model": model,
        "uefi": tree.exists("/sys/firmware/efi"),
        "raspberry_pi": "Raspberry Pi" in model,
        "config_txt": next((name for name in ("/boot/firmware/config.txt", "/boot/config.txt") if tree.exists(name)), None),
        "cpu": cpu(tree),
        "suspends": suspends(tree),
        "hwrng": tree.text("/sys/class/misc/hw_random/rng_current") or None,
        "container": inside or b"container=" in (tree.data("/proc/1/environ") or b""),
    }


def disk(tree: Tree) -> Facts:
    """Free bytes in the folders in which roles write; 0 also if no inodes are left."""
    found: Facts = {}
    for folder in ("/var", "/etc"):
        try:
            state = os.statvfs(tree.path(folder))
        except OSError:
            found[folder] = None
        else:
            found[folder] = 0 if state.f_files and not state.f_favail else state.f_bavail * state.f_frsize
    return {"free_bytes": found}


def group(tree: Tree, name: str = "tss") -> Facts:
    """The group that may use the TPM, and its members, including users with it as their primary group."""
    rows = [line.split(":") for line in tree.lines("/etc/group")]
    row = next((one for one in rows if one[0] == name and len(one) >= 4), None)
    if row is None:
        return {"name": name, "exists": False, "gid": None, "members": []}
    users = [line.split(":") for line in tree.lines("/etc/passwd")]
    primary = [user[0] for user in users if len(user) > 3 and user[3] == row[2]]
    return {"name": name, "exists": True, "gid": int(row[2]), "members": sorted({*filter(None, row[3].split(",")), *primary})}


__all__ = ("clock", "disk", "distribution", "group", "kernel", "machine", "read_only", "secure_boot")
