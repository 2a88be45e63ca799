# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Measured boot: which PCRs are extended, and whether there is a log that says with what."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.tree import Tree
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, event_log

Facts = dict[str, t.Any]
LOG = "/sys/kernel/security/{name}/binary_bios_measurements"
BANKS = ("sha256", "sha1", "sha384")


def pcrs(tree: Tree, name: str) -> dict[str, dict[int, bytes]]:
    """PCR values by bank and index as the kernel gives them (sysfs since Linux 5.12), none where it does not."""
    found: dict[str, dict[int, bytes]] = {}
    for bank in BANKS:
        folder = f"/sys/class/tpm/{name}/pcr-{bank}"
        for index in (one for one in tree.names(folder) if one.isdigit()):
            try:
                found.setdefault(bank, {})[int(index)] = bytes.fromhex(tree.text(f"{folder}/{index}") or "")
            except ValueError:
                continue
    return found


def extended(values: t.Mapping[str, t.Mapping[int, bytes]]) -> dict[str, list[int]]:
    """The PCRs of each bank that hold a measurement: neither all zero nor all one."""
    return {
        bank: sorted(index for index, value in row.items() if value.strip(b"\0") and value.strip(b"\xff")) for bank, row in values.items()
    }


def replay(tree: Tree, path: str | None, values: t.Mapping[str, t.Mapping[int, bytes]]) -> Facts:
    """Whether the firmware's log, replayed, gives these PCR values; C(detail) says where it does not, or why nobody can tell."""
    if path is None:
        return {"replay": "no_log", "detail": None}
    data = tree.data(path)
    if data is None or not any(values.values()):
        return {"replay": "unknown", "detail": "the log cannot be read" if data is None else "the PCRs cannot be read"}
    try:
        found = event_log.compare(event_log.parse(data), values)
    except errors.TpmError as failed:
        return {"replay": "unknown", "detail": failed.message}
    listed = "; ".join(f"{bank} {', '.join(map(str, indices))}" for bank, indices in sorted(found.differs.items()))
    return {"replay": found.state, "detail": listed or None}


def boot(
    tree: Tree, known: t.Sequence[Facts], held: t.Sequence[Facts], values: t.Mapping[str, t.Mapping[int, bytes]] | None = None
) -> Facts:
    """Event log and extended PCRs of the first TPM 2.0; a TPM whose user hangs is not asked, as we would hang with it.

    C(values): the PCRs where they have been read already; each that the kernel is asked for is a command to the TPM.
    """
    name = next((one["name"] for one in known if one["version_major"] != 1), None)
    if name is None:
        return {"event_log": None, "replay": "unknown", "detail": None, "extended": {}}
    path: str | None = LOG.format(name=name)
    if not tree.exists(str(path)):
        path = None
    values = values or ({} if any(one["hung"] for one in held) else pcrs(tree, name))
    return {"event_log": path, **replay(tree, path, values), "extended": extended(values)}


__all__ = ("boot", "extended", "pcrs", "replay")
