# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Findings on who may use the TPM: nodes, udev's rules, the group tss. One entry for each kind."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.findings import ERROR, INFO, WARNING, Kind, Seen, when

KINDS: tuple[Kind, ...] = (
    Kind(
        "wide_open_node",
        ERROR,
        "Set the mode to 0660 by a udev rule that has the last word: role tpm_stack does.",
        lambda v: [
            Seen(one["path"], f"mode {one['mode']}: users outside owner and group may use the TPM")
            for one in v.rows("host.nodes")
            if one["exists"] and one["kind"] == "char" and int(one["mode"], 8) & 0o7
        ],
    ),
    Kind(
        "udev_rule_too_wide",
        ERROR,
        "Remove the rule or narrow it to 0660: role tpm_stack does.",
        lambda v: [
            Seen(f"{row['path']}:{row['line']}", f"it sets mode {row['mode']} on {' and '.join(row['wins'])} and has the last word")
            for row in v.rows("host.udev_rules")
            if row["too_wide"] and row["wins"]
        ],
    ),
    Kind(
        "udev_rule_too_wide_overruled",
        INFO,
        "Remove it, so that it does not take effect when the other rule is removed.",
        lambda v: [
            Seen(f"{row['path']}:{row['line']}", f"it sets mode {row['mode']}; a later rule overrules it")
            for row in v.rows("host.udev_rules")
            if row["too_wide"] and not row["wins"]
        ],
    ),
    Kind(
        "udev_rule_missing",
        WARNING,
        "Install tpm-udev (or tpm2-tss's rules), or run role tpm_stack.",
        lambda v: when(
            v.rows("host.devices") and not v.rows("host.udev_rules"),
            "/dev/tpmrm0",
            "no udev rule gives it to a group, so only root may use it",
        ),
    ),
    Kind(
        "tss_group_missing",
        WARNING,
        "Create the system group tss (package tpm-udev does), or run role tpm_stack.",
        lambda v: when(v.at("host.group.exists") is False, "group tss", "it does not exist, so the nodes can belong to root only"),
    ),
    Kind(
        "tss_group_empty",
        INFO,
        "Name the users that need the TPM in tpm_stack_users; leave it empty if only root uses the TPM.",
        lambda v: when(
            v.at("host.group.exists") and not set(v.rows("host.group.members")) - {"tss"}, "group tss", "no user except tss is in it"
        ),
    ),
    Kind(
        "node_not_for_tss",
        INFO,
        "Run role tpm_stack, or udevadm trigger --subsystem-match=tpmrm if the rule exists already.",
        lambda v: [
            Seen(one["path"], f"it belongs to {one['owner']}:{one['group']}, so the group tss cannot use it")
            for one in v.rows("host.nodes")
            if one["exists"] and one["path"] == "/dev/tpmrm0" and "tss" not in (one["owner"], one["group"]) and v.at("host.group.exists")
        ],
    ),
)

__all__ = ("KINDS",)
