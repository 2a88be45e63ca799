# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Which resource manager swaps the TPM's sessions and objects (the kernel or tpm2-abrmd), and why tpm2-abrmd does not serve."""

from __future__ import annotations

import re
import socket
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.tree import Tree

Facts = dict[str, t.Any]
UNIT = "tpm2-abrmd.service"
NAME = "com.intel.tss2.Tabrmd"
BUS = "/run/dbus/system_bus_socket"
BINARIES = ("/usr/sbin/tpm2-abrmd", "/usr/bin/tpm2-abrmd", "/usr/local/sbin/tpm2-abrmd", "/sbin/tpm2-abrmd")
UNIT_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
ASKED = "Id,LoadState,ActiveState,SubState,UnitFileState,FragmentPath,DropInPaths,Result,ExecMainCode,ExecMainStatus,NRestarts"


def bus_runs(tree: Tree) -> bool:
    """Whether the system bus accepts a connection."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(5)
            connection.connect(str(tree.path(BUS)))
    except OSError:
        return False
    return True


def _shown(tree: Tree, systemd: bool) -> dict[str, str]:
    text = tree.run(["systemctl", "show", UNIT, f"--property={ASKED}"]) if systemd else None
    return dict(line.split("=", 1) for line in (text or "").splitlines() if "=" in line)


def _packaged(tree: Tree, packages: str) -> bool | None:
    """Whether the distribution offers the package; None if asking would need a network, or if there is no package manager to ask."""
    if packages != "apt":
        return None
    text = tree.run(["apt-cache", "policy", "tpm2-abrmd"])
    return None if text is None else bool(re.search(r"Candidate: (?!\(none\))", text))


def _sentence(found: Facts, shown: t.Mapping[str, str], bus: bool) -> str | None:
    """Why an installed tpm2-abrmd does not serve."""
    if not found["installed"] or found["active"] and found["on_bus"]:
        return None
    if not bus:
        return "The system D-Bus takes no connection, and tpm2-abrmd can only be reached through it; start dbus."
    if found["masked"]:
        return "tpm2-abrmd is masked, so that nothing starts it."
    if found["active"]:
        return f"tpm2-abrmd runs and its name {NAME} is not on the bus; look at journalctl -u {UNIT}."
    if shown.get("ActiveState") == "failed" or shown.get("Result", "success") != "success":
        code = f"{shown.get('Result')}, status {shown.get('ExecMainStatus')}"
        return f"tpm2-abrmd starts and dies ({code}); look at journalctl -u {UNIT}."
    if shown.get("ActiveState") == "activating":
        return f"tpm2-abrmd is still starting ({shown.get('SubState')}); it waits for what its unit wants, look at systemctl list-jobs."
    return "tpm2-abrmd is installed and not running."


def abrmd(tree: Tree, packages: str, systemd: bool, bus: bool) -> Facts:
    """The daemon's state, with a sentence about why it does not serve."""
    installed = any(tree.exists(name) for name in BINARIES)
    unit = next((f"{folder}/{UNIT}" for folder in UNIT_FOLDERS if tree.exists(f"{folder}/{UNIT}")), None)
    shown = _shown(tree, systemd) if installed or unit else {}
    owner = None
    if bus and installed:
        path = "/org/freedesktop/DBus"
        owner = tree.run(["busctl", "call", "org.freedesktop.DBus", path, "org.freedesktop.DBus", "NameHasOwner", "s", NAME])
    found: Facts = {
        "installed": installed,
        "packaged": True if installed and tree.exists("/var/lib/dpkg/info/tpm2-abrmd.list") else _packaged(tree, packages),
        "unit": shown.get("FragmentPath") or unit,
        "active": shown.get("ActiveState") == "active",
        "enabled": shown.get("UnitFileState", "").startswith("enabled"),
        "masked": shown.get("LoadState") == "masked" or tree.target(f"/etc/systemd/system/{UNIT}") == "/dev/null",
        "on_bus": (owner or "").strip() == "b true",
        "drop_ins": shown.get("DropInPaths", "").split(),
        "restarts": int(shown.get("NRestarts") or 0),
    }
    return {**found, "sentence": _sentence(found, shown, bus)}


def resource_manager(tree: Tree, packages: str, init: str) -> tuple[Facts, Facts]:
    """The resource manager, and the bus."""
    bus = bus_runs(tree)
    daemon = abrmd(tree, packages, init == "systemd", bus)
    kernel = tree.exists("/dev/tpmrm0") or bool(tree.names("/sys/class/tpmrm"))
    in_use = "abrmd" if daemon["active"] or daemon["on_bus"] else "kernel" if kernel else "none"
    return {"in_use": in_use, "kernel": kernel, "abrmd": daemon}, {"running": bus}


__all__ = ("NAME", "UNIT", "bus_runs", "resource_manager")
