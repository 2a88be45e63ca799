# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The kernel's messages about the TPM, its bus, heat and power (/dev/kmsg: Documentation/ABI/testing/dev-kmsg)."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.tree import REAL, Tree

Facts = dict[str, t.Any]
KEPT = 50
MAX_RECORDS = 20000
WANTED = re.compile(
    r"(?i)\btpm|\btpm_|(spi|i2c)\S*[: ].*(error|fail|time(d )?out|nack|arbitration)|under-?voltage|critical temperature|thermal.*(thrott|shutdown|trip)"
    r"|temperature above threshold"
)
# "priority,sequence,time,flags;message"; a message with a priority of 8 or more does not come from the kernel.
_RECORD = re.compile(r"(\d+),[^;]*;(.*)")


def _records(tree: Tree) -> list[str] | None:
    """All messages that the kernel still has; None if this process may not read them."""
    try:
        number = os.open(tree.path("/dev/kmsg"), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    found: list[str] = []
    try:
        while len(found) < MAX_RECORDS:
            try:
                record = os.read(number, 8192)
            except BrokenPipeError:  # messages were overwritten during the read: the next read continues after them
                continue
            except OSError:
                break
            if not record:
                break
            # A regular file in place of the device (in tests) returns many records at once.
            found += [
                match[2] for match in map(_RECORD.match, record.decode("utf-8", "replace").splitlines()) if match and int(match[1]) < 8
            ]
    finally:
        os.close(number)
    return found


def kernel_log(tree: Tree) -> Facts:
    """The messages that matter for a TPM, the last ``KEPT``."""
    found = _records(tree)
    if found is None:
        text = tree.run(["dmesg", "--notime"] if tree.root == REAL else ["dmesg"])
        found = text.splitlines() if text else None
    lines = [line for line in found or [] if WANTED.search(line)]
    return {"readable": found is not None, "lines": lines[-KEPT:]}


__all__ = ("kernel_log",)
