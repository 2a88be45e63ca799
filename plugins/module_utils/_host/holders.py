# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Who has a TPM node open: process, unit and state, from /proc."""

from __future__ import annotations

import os
import re
import time
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.tree import Tree

Facts = dict[str, t.Any]
# D: waits in the kernel and accepts no signal. T, t: stopped. Such a process does not close the node by itself.
STUCK = "DTt"
LOOKS, BETWEEN = 3, 0.1


def _unit(tree: Tree, pid: str) -> str | None:
    for line in tree.lines(f"/proc/{pid}/cgroup"):
        for part in reversed(line.rpartition(":")[2].split("/")):
            if part.endswith((".service", ".scope")):
                return part
    return None


def _state(tree: Tree, pid: str) -> str:
    # The name in brackets may hold blanks and brackets itself.
    return (tree.text(f"/proc/{pid}/stat") or "").rpartition(")")[2].strip()[:1] or "?"


def _hung(tree: Tree, pid: str, state: str) -> bool:
    """Whether the process is stuck for good. A process that waits for a command to end is in state D, too, but leaves it soon."""
    for _look in range(LOOKS - 1):
        if state not in STUCK:
            return False
        time.sleep(BETWEEN)
        state = _state(tree, pid)
    return state in STUCK


def holders(tree: Tree, nodes: t.Sequence[str]) -> list[Facts]:
    """Each open TPM node with its holder, except this process. Processes that this user may not inspect are missing; root sees all."""
    # A node may be a link (as in some containers); a process has opened its target.
    real = {os.path.realpath(tree.path(node)): node for node in nodes}
    real.update({node: node for node in nodes})
    listed: list[Facts] = []
    for pid in (name for name in tree.names("/proc") if name.isdigit() and int(name) != os.getpid()):
        held = {tree.target(f"/proc/{pid}/fd/{number}") or "" for number in tree.names(f"/proc/{pid}/fd")}
        for target in sorted(held):
            if target in real or re.fullmatch(r"/dev/tpm(rm)?\d+", target):
                state = _state(tree, pid)
                row = {"path": real.get(target, target), "pid": int(pid), "process": tree.text(f"/proc/{pid}/comm") or "unknown"}
                listed.append({**row, "unit": _unit(tree, pid), "state": state, "hung": _hung(tree, pid, state)})
    return listed


__all__ = ("holders",)
