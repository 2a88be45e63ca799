# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Findings on the path to the TPM: device, driver, node, holder, resource manager. One entry for each kind."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.findings import ERROR, WARNING, Kind, Seen, View, seen_in, when
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors


def _seen_in(condition: object, view: View, sentence: str) -> list[Seen]:
    return [seen_in(view.at("place.tcti"), view.at(sentence))] if condition else []


def _state(name: str) -> t.Callable[[View], list[Seen]]:
    """The host's reason for having no TPM (a word), if the TPM was looked for on this host."""

    def look(view: View) -> list[Seen]:
        wanted = view.at("error") is not None and view.by_device
        return _seen_in(wanted and view.at("host.tpm.state") == name, view, "host.tpm.sentence")

    return look


def _tpm12(view: View) -> list[Seen]:
    if view.at("host.tpm.state") == "tpm12" and view.by_device:
        return _seen_in(True, view, "host.tpm.sentence")
    return _seen_in(view.at("error.reason") == "tpm12", view, "error.message")


def _permission(view: View) -> list[Seen]:
    if view.at("host.tpm.state") == "no_permission" and view.by_device:
        return _seen_in(True, view, "host.tpm.sentence")
    return _seen_in(view.failed(errors.PERMISSION), view, "error.message")


def _who(row: t.Mapping[str, t.Any]) -> str:
    return f"{row['process']} (pid {row['pid']}, unit {row['unit'] or 'none'}, state {row['state']})"


def _is_abrmd(row: t.Mapping[str, t.Any]) -> bool:
    return str(row["process"]).startswith("tpm2-abrmd")


def _held_by_abrmd(view: View) -> list[Seen]:
    if not (view.by_device and view.failed(errors.BUSY)):
        return []
    rows = [row for row in view.rows("host.holders") if _is_abrmd(row)]
    # Without full rights (in a container, for example) its open files cannot be seen; then it is enough that it runs.
    unseen = not view.rows("host.holders") and view.at("host.resource_manager.abrmd.active")
    return [Seen(row["path"], f"held by {_who(row)}") for row in rows] or when(unseen, "/dev/tpm0", "tpm2-abrmd runs, and it is busy")


def _held(view: View) -> list[Seen]:
    if not (view.by_device and view.failed(errors.BUSY)) or _held_by_abrmd(view):
        return []
    if not view.rows("host.holders"):
        return [
            Seen(
                view.at("place.tcti"),
                "it is busy, but the holder cannot be seen from here: only root on the host itself sees all processes",
            )
        ]
    return [Seen(row["path"], f"held by {_who(row)}") for row in view.rows("host.holders") if not row["hung"]]


def _silent(view: View) -> list[Seen]:
    return _seen_in(view.by_device and view.failed(errors.NO_ANSWER, errors.BROKEN), view, "error.message")


def _unreachable(view: View) -> list[Seen]:
    """The error of a TCTI that does not name a device of this host, or of a device whose state does not explain the error."""
    kinds = [errors.ABSENT, errors.OTHER, errors.UNSUPPORTED]
    if not view.by_device:
        kinds += [errors.NO_ANSWER, errors.BROKEN, errors.BUSY]
    explained = view.by_device and view.at("host.tpm.state") not in ("ready", None) or _abrmd_is_why(view)
    return _seen_in(view.failed(*kinds) and not explained, view, "error.message")


def _abrmd_is_why(view: View) -> bool:
    """Whether the TPM should be reached through tpm2-abrmd and tpm2-abrmd has a finding of its own."""
    down = view.at("host.dbus.running") is False or _abrmd(view).get("active") is False
    return bool(view.at("place.name") == "tabrmd" and down)


def _dies(view: View) -> bool:
    return "dies" in (_abrmd(view).get("sentence") or "")


def _two(view: View) -> list[Seen]:
    abrmd = view.at("host.resource_manager.abrmd.active")
    through_kernel = view.at("place.resource_manager") == "kernel" and not view.at("error")
    evidence = "tpm2-abrmd runs on /dev/tpm0 while programs use the kernel's /dev/tpmrm0; each swaps objects without knowing of the other"
    return when(abrmd and through_kernel, "/dev/tpm0", evidence)


def _needed_module(view: View) -> list[Seen]:
    there = {*view.rows("host.modules.loaded"), *view.rows("host.modules.builtin")}
    missing = [name for name in view.rows("host.modules.needed") if name not in there]
    none = missing and not any(name in there for name in view.rows("host.modules.needed"))
    return when(none, " or ".join(missing), "the TPM's bus needs it; it is neither loaded nor built in")


def _abrmd(view: View) -> t.Any:
    return view.at("host.resource_manager.abrmd") or {}


_NOT_THERE = "Install the package tpm2-abrmd (role resource_manager does), or take the kernel's resource manager: tcti device:/dev/tpmrm0."

KINDS: tuple[Kind, ...] = (
    Kind(
        "tpm_absent",
        ERROR,
        "Switch the TPM on in the firmware, or fit one and load its overlay; then look at /sys/class/tpm.",
        _state("absent"),
    ),
    Kind("tpm_is_1_2", ERROR, "Switch it to TPM 2.0 in the firmware where it can be both, or fit a TPM 2.0.", _tpm12),
    Kind(
        "driver_failed",
        ERROR,
        "Read what the kernel log says of the TPM, then check power, wiring, overlay, chip select and firmware.",
        _state("driver_failed"),
    ),
    Kind(
        "tpm_starting",
        ERROR,
        "Wait until the driver is done and run again; order units that need the TPM after dev-tpmrm0.device.",
        _state("starting"),
    ),
    Kind("node_missing", ERROR, "Start udev or mount devtmpfs; give a container the nodes with --device.", _state("node_missing")),
    Kind(
        "node_is_no_device",
        ERROR,
        "Remove the file that is in the node's place and run udevadm trigger --subsystem-match=tpm.",
        lambda v: [
            Seen(one["path"], "it is not a character device") for one in v.rows("host.nodes") if one["exists"] and one["kind"] != "char"
        ],
    ),
    Kind("no_permission", ERROR, "Run with become, or put the user into the group tss and let it log in again.", _permission),
    Kind(
        "held_by_abrmd",
        ERROR,
        "Use tcti tabrmd:bus_name=com.intel.tss2.Tabrmd, or stop and mask tpm2-abrmd (tpm2_resource_manager: kernel).",
        _held_by_abrmd,
    ),
    Kind("held_by_process", ERROR, "Stop that process, or let it use the resource manager /dev/tpmrm0, which serves many at once.", _held),
    Kind(
        "held_by_hung_process",
        ERROR,
        "Kill the process if it is only stopped; if it waits in the kernel (state D), reboot and look at the TPM's bus.",
        lambda v: [Seen(row["path"], f"held by {_who(row)}, which hangs") for row in v.rows("host.holders") if row["hung"]],
    ),
    Kind(
        "tpm_silent", ERROR, "Look at the kernel log; power-cycle the machine; if it stays silent, the TPM or its bus is broken.", _silent
    ),
    Kind(
        "not_a_tpm",
        ERROR,
        "Name the tcti of a TPM 2.0, for example device:/dev/tpmrm0.",
        lambda v: _seen_in(v.failed(errors.NOT_A_TPM) and not _tpm12(v), v, "error.message"),
    ),
    Kind(
        "tpm_unreachable",
        ERROR,
        "Check the tcti, start the program that serves it, and install the TCTI library that it needs.",
        _unreachable,
    ),
    Kind(
        "no_resource_manager",
        WARNING,
        "Use /dev/tpmrm0 (kernel 4.12 or later) or tpm2-abrmd; without one, a second program fails with busy or out of memory.",
        lambda v: when(v.by_device and v.at("place.resource_manager") == "none", v.at("place.tcti"), "no resource manager is on this path"),
    ),
    Kind(
        "kernel_without_resource_manager",
        ERROR,
        "Use a kernel of 4.12 or later, or tpm2_resource_manager: abrmd.",
        lambda v: when(
            v.at("host.kernel.resource_manager") is False and not v.asks_abrmd,
            f"kernel {v.at('host.kernel.release')}",
            "it is older than 4.12 and has no resource manager for TPMs",
        ),
    ),
    Kind("two_resource_managers", WARNING, "Choose one: tpm2_resource_manager: kernel stops and masks tpm2-abrmd.", _two),
    Kind(
        "abrmd_not_packaged",
        ERROR,
        "Use tpm2_resource_manager: kernel, which needs no package.",
        lambda v: when(
            v.asks_abrmd and not _abrmd(v).get("installed") and _abrmd(v).get("packaged") is False, "tpm2-abrmd", "no package source has it"
        ),
    ),
    Kind(
        "abrmd_missing",
        ERROR,
        _NOT_THERE,
        lambda v: when(
            v.asks_abrmd and not _abrmd(v).get("installed") and _abrmd(v).get("packaged") is not False, "tpm2-abrmd", "it is not installed"
        ),
    ),
    Kind(
        "dbus_down",
        ERROR,
        "Start the system bus (systemctl start dbus) and look at journalctl -u dbus.",
        lambda v: when(
            v.asks_abrmd and v.at("host.dbus.running") is False, "D-Bus", "the system bus, which tpm2-abrmd needs, accepts no connection"
        ),
    ),
    Kind(
        "abrmd_dies",
        ERROR,
        "Read journalctl -u tpm2-abrmd; usually another process holds /dev/tpm0, or the TCTI in its unit is wrong.",
        lambda v: [seen_in("tpm2-abrmd", _abrmd(v)["sentence"])] if _dies(v) else [],
    ),
    Kind(
        "abrmd_not_running",
        ERROR,
        "Start it (systemctl enable --now tpm2-abrmd), or run role resource_manager.",
        lambda v: (
            [Seen("tpm2-abrmd", str(_abrmd(v).get("sentence") or "it does not run").rstrip("."))]
            if v.asks_abrmd and _abrmd(v).get("installed") and not _abrmd(v).get("active") and not _dies(v) and v.at("host.dbus.running")
            else []
        ),
    ),
    Kind(
        "abrmd_not_on_bus",
        ERROR,
        "Look at its D-Bus policy (/usr/share/dbus-1/system.d/tpm2-abrmd.conf) and restart it.",
        lambda v: when(
            _abrmd(v).get("active") and _abrmd(v).get("on_bus") is False, "tpm2-abrmd", "it runs, but its name is not on the bus"
        ),
    ),
    Kind(
        "abrmd_will_start",
        WARNING,
        "Mask it if the kernel's resource manager is used (tpm2_resource_manager: kernel does).",
        lambda v: when(
            _abrmd(v).get("enabled") and not _abrmd(v).get("active") and not v.asks_abrmd,
            "tpm2-abrmd",
            "no program uses it, but it is enabled: at the next start it takes /dev/tpm0",
        ),
    ),
    Kind("driver_module_missing", WARNING, "Load it (modprobe) and have it loaded at boot: role tpm_stack does.", _needed_module),
)

__all__ = ("KINDS",)
