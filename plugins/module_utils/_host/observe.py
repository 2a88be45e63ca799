# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""All facts of a host that matter to a TPM's user. No TPM is opened, and a missing TPM raises no error."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host import (
    boot,
    config_txt,
    consumers,
    devices,
    holders,
    kernel_log,
    manager,
    software,
    system,
    udev,
)
from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.tree import Tree

Facts = dict[str, t.Any]


def observe(tree: Tree | None = None, now: datetime.datetime | None = None, *, offered: bool = True, measured: bool = True) -> Facts:
    """The facts of the host under the tree's root (default: this host).

    ``offered``: whether to ask the package manager, which may take seconds, if it offers tpm2-abrmd when that is not installed.
    ``measured``: whether to look at measured boot, too; a caller that reads the PCRs from the TPM calls ``boot.boot`` afterwards instead.
    """
    tree = tree or Tree()
    distribution, machine = system.distribution(tree), system.machine(tree)
    log = kernel_log.kernel_log(tree)
    known, seen, there = devices.devices(tree), devices.unbound(tree), devices.nodes(tree)
    resource_manager, bus = manager.resource_manager(tree, distribution["packages"] if offered else "", distribution["init"])
    held = holders.holders(tree, [one["path"] for one in there])
    return {
        "os": distribution,
        "kernel": system.kernel(tree),
        "clock": system.clock(tree, now),
        "machine": machine,
        "config_txt": config_txt.config_txt(tree, machine["config_txt"]),
        "tpm": devices.state(tree, known, seen, there, log["lines"]),
        "devices": known,
        "nodes": there,
        "modules": devices.modules(tree, known, seen),
        "resource_manager": resource_manager,
        "dbus": bus,
        "holders": held,
        "udev_rules": udev.rules(tree),
        "group": system.group(tree),
        **({"boot": boot.boot(tree, known, held)} if measured else {}),
        "kernel_log": log,
        "software": software.software(tree, distribution["packages"]),
        "disk": system.disk(tree),
        "tcti": consumers.consumers(tree),
        "leaks": consumers.leaks(tree),
    }


__all__ = ("observe",)
