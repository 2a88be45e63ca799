# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Findings on the TPM itself: its state, its hierarchies, its locks. One entry for each kind."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.findings import ERROR, INFO, WARNING, Kind, Seen, View, seen_in, when
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors

RC_UPGRADE = 0x12D
FEW_TRIES = 10
SIMULATORS = ("swtpm", "mssim", "libtpms")


def _disabled(name: str) -> t.Callable[[View], list[Seen]]:
    return lambda view: when(
        view.at(f"tpm.hierarchies.{name}.enabled") is False, f"{name} hierarchy", "it is disabled until the next start"
    )


def _no_auth(name: str) -> t.Callable[[View], list[Seen]]:
    return lambda view: when(view.at(f"tpm.hierarchies.{name}.auth_set") is False, f"{name} hierarchy", "its auth is empty")


def _tries(view: View) -> tuple[int, int]:
    """Failed tries, and how many the TPM allows."""
    return view.number("tpm.da_lockout.counter"), view.number("tpm.da_lockout.max_tries", 1 << 31)


def _simulator(view: View) -> list[Seen]:
    program = str(view.at("tpm.model") or "").partition(" ")[0] == "SW"
    return when(view.at("tpm.family") and (view.at("place.name") in SIMULATORS or program), view.at("place.tcti"), "this TPM is a program")


KINDS: tuple[Kind, ...] = (
    Kind(
        "failure_mode",
        ERROR,
        "Power-cycle the machine; if the self-test fails again, replace the TPM.",
        lambda v: when(
            v.rc(errors.RC_FAILURE) or v.at("tpm.condition.test_result") == errors.RC_FAILURE,
            "TPM",
            str(v.at("error.message") or "it reports that its self-test failed (TPM_RC_FAILURE)").rstrip("."),
        ),
    ),
    Kind(
        "field_upgrade_mode",
        ERROR,
        "Finish the firmware update with the vendor's tool.",
        lambda v: [seen_in("TPM", v.at("error.message"))] if v.rc(RC_UPGRADE) else [],
    ),
    Kind(
        "not_started",
        ERROR,
        "Let firmware or kernel start it (TPM2_Startup): reboot, and read the kernel log.",
        lambda v: when(v.rc(errors.RC_INITIALIZE), "TPM", "it has not received TPM2_Startup"),
    ),
    Kind(
        "reading_failed",
        ERROR,
        "Look at the kernel log, then run again.",
        lambda v: (
            [seen_in(v.at("place.tcti"), v.at("error.message"))]
            if v.failed("response") and not v.rc(errors.RC_FAILURE, RC_UPGRADE, errors.RC_INITIALIZE)
            else []
        ),
    ),
    Kind(
        "simulator_in_use",
        WARNING,
        "Nothing in a test or a virtual machine; otherwise name the real TPM's tcti: a simulator keeps its secrets in a file.",
        _simulator,
    ),
    Kind(
        "in_lockout",
        ERROR,
        "Wait for recovery_time, or reset it with the lockout auth (tpm2_da_lockout reset); find out which program tries.",
        lambda v: when(
            v.at("tpm.da_lockout.in_lockout"),
            "dictionary attack lockout",
            f"{_tries(v)[0]} failed tries of {_tries(v)[1]}; one is forgotten every {v.at('tpm.da_lockout.recovery_time')} s",
        ),
    ),
    Kind(
        "lockout_counter_high",
        WARNING,
        "Find out which program tries (a power cut after the use of such an auth counts, too), then reset it with the lockout auth.",
        lambda v: when(
            0 < _tries(v)[1] <= 2 * _tries(v)[0] and not v.at("tpm.da_lockout.in_lockout"),
            "dictionary attack lockout",
            f"{_tries(v)[0]} of {_tries(v)[1]} tries are used up",
        ),
    ),
    Kind(
        "few_tries",
        WARNING,
        "Allow 32 tries, 600 s and 86400 s (tpm2_da_lockout): with fewer, some power cuts lock a device in the field.",
        lambda v: when(
            0 < _tries(v)[1] < FEW_TRIES and v.number("tpm.da_lockout.recovery_time"),
            "dictionary attack lockout",
            f"only {_tries(v)[1]} tries are allowed",
        ),
    ),
    Kind(
        "no_lockout_protection",
        WARNING,
        "Set recovery_time with tpm2_da_lockout: without it, auth values can be guessed without limit.",
        lambda v: when(
            v.at("tpm.da_lockout.recovery_time") == 0,
            "dictionary attack lockout",
            "recovery_time is 0, so failed tries are forgotten at once",
        ),
    ),
    Kind(
        "owner_auth_empty",
        INFO,
        "Set it if no program on the host (systemd, clevis) needs it empty; the hardened profile does.",
        _no_auth("owner"),
    ),
    Kind(
        "lockout_auth_empty",
        WARNING,
        "Escrow a value, then set it: without it anybody who reaches the TPM can clear it.",
        _no_auth("lockout"),
    ),
    Kind(
        "platform_hierarchy_open",
        WARNING,
        "Run role platform_hierarchy, which closes it at each start: this firmware leaves it open to everybody who reaches the TPM.",
        lambda v: when(
            v.at("tpm.hierarchies.platform.auth_set") is False and v.at("tpm.hierarchies.platform.enabled") is not False,
            "platform hierarchy",
            "it takes an empty auth",
        ),
    ),
    Kind("owner_hierarchy_disabled", ERROR, "Enable it in the firmware settings and reboot.", _disabled("owner")),
    Kind("endorsement_hierarchy_disabled", ERROR, "Enable it in the firmware settings and reboot.", _disabled("endorsement")),
    Kind(
        "platform_nv_disabled",
        INFO,
        "Nothing, if no program needs the platform's NV indices; they come back at the next start.",
        lambda v: when(v.at("tpm.condition.platform_nv") is False, "platform NV", "it is disabled until the next start"),
    ),
    Kind(
        "clear_disabled",
        INFO,
        "Nothing; to refurbish the device, clear the TPM from the firmware's menu.",
        lambda v: when(
            v.at("tpm.hierarchies.lockout.clear_disabled"), "TPM2_Clear", "it is disabled, so the lockout auth cannot clear the TPM"
        ),
    ),
    Kind(
        "unclean_shutdown",
        INFO,
        "Nothing if it happened once; if it repeats, look for power cuts: each may count as a failed try.",
        lambda v: when(v.at("tpm.condition.orderly") is False, "TPM", "it was not shut down before the last start"),
    ),
)

__all__ = ("KINDS",)
