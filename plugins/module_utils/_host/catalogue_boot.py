# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Findings on measured boot: the firmware's event log, and what systemd extends after it. One entry for each kind."""

from __future__ import annotations

import re

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.findings import ERROR, INFO, WARNING, Kind, Seen, View, when

# The first version of systemd with systemd-pcrosseparator.service.
SEPARATES = 261


def _systemd(view: View) -> int:
    """The version of systemd; 0 if it is not known."""
    found = re.match(r"(?:\d+:)?(\d+)", str((view.at("host.software") or {}).get("systemd", "")))
    return int(found[1]) if found else 0


def _separated(view: View) -> list[Seen]:
    rows = sorted((view.at("host.boot.separated") or {}).items())
    named = "; ".join(f"{bank} {', '.join(map(str, indices))}" for bank, indices in rows)
    return when(named, f"PCRs ({named})", "systemd has extended its separator (os-separator) into them, after the firmware's measurements")


def _separator_to_come(view: View) -> list[Seen]:
    version = _systemd(view)
    if not version or not view.at("host.boot.measured_os") or view.at("host.boot.separated"):
        return []
    if version < SEPARATES:
        return [
            Seen(
                "PCRs 0 to 7, 9, 12 to 14",
                f"this is systemd {version}; from {SEPARATES} on, it extends a separator into them in the initrd",
            )
        ]
    if view.at("host.boot.separated") is None:
        return []
    return [
        Seen("PCRs 0 to 7, 9, 12 to 14", f"this is systemd {version}, and the initrd that was booted has not yet extended its separator")
    ]


KINDS: tuple[Kind, ...] = (
    Kind(
        "event_log_missing",
        WARNING,
        "Switch measured boot on in the firmware; check that the kernel mounts securityfs and has CONFIG_TCG_TPM.",
        lambda v: when(
            v.at("host.machine.uefi")
            and v.rows("host.devices")
            and v.at("host.boot.event_log") is None
            and not v.at("host.machine.container"),
            "event log",
            "the machine boots by UEFI, but its firmware passes no log to the kernel",
        ),
    ),
    Kind(
        "event_log_differs",
        ERROR,
        "Do not trust the log: find out what extends those PCRs, and update the firmware.",
        lambda v: when(
            v.at("host.boot.replay") == "differs",
            "event log",
            f"replayed, it does not give the PCRs: {v.at('host.boot.detail') or 'see host.boot'}",
        ),
    ),
    Kind(
        "event_log_not_checked",
        INFO,
        "Run with become, so that the log and the PCRs can be read.",
        lambda v: when(
            v.at("host.boot.event_log") and v.at("host.boot.replay") == "unknown", "event log", "there is one, but it could not be replayed"
        ),
    ),
    Kind(
        "os_separator_measured",
        INFO,
        "Seal in the running system, as this collection does; seal again what was sealed under an older systemd or to predicted values.",
        _separated,
    ),
    Kind(
        "os_separator_to_come",
        WARNING,
        "Seal to a signed policy (authorize), or seal again right after that update: until then, secrets sealed to these PCRs cannot be opened.",
        _separator_to_come,
    ),
)

__all__ = ("KINDS",)
