# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Measured boot: which PCRs are extended, and whether there is a log of what they were extended with."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.tree import Tree
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, event_log

Facts = dict[str, t.Any]
LOG = "/sys/kernel/security/{name}/binary_bios_measurements"
BANKS = ("sha256", "sha1", "sha384")
STUB_MEASURED = "/sys/firmware/efi/efivars/StubPcrKernelImage-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
# The words that systemd's parse_boolean accepts; an option without a value is true.
TRUE = ("", "1", "yes", "y", "true", "t", "on")


def pcrs(tree: Tree, name: str) -> dict[str, dict[int, bytes]]:
    """PCR values by bank and index as the kernel shows them (sysfs since Linux 5.12); empty if it does not."""
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
    """Whether replaying the firmware's log gives these PCR values; ``detail`` says where it does not, or why that is not known.

    ``separated``: the PCRs, by bank, whose value is the log's value extended with systemd's separator; None if that is not known.
    """
    if path is None:
        return {"replay": "no_log", "detail": None, "separated": None}
    data = tree.data(path)
    if data is None or not any(values.values()):
        return {"replay": "unknown", "detail": "the log cannot be read" if data is None else "the PCRs cannot be read", "separated": None}
    try:
        found = event_log.compare(event_log.parse(data), values)
    except errors.TpmError as failed:
        return {"replay": "unknown", "detail": failed.message, "separated": None}
    listed = "; ".join(f"{bank} {', '.join(map(str, indices))}" for bank, indices in sorted(found.differs.items()))
    separated = None if found.state == event_log.UNKNOWN else dict(found.separated)
    return {"replay": found.state, "detail": listed or None, "separated": separated}


def measured_os(tree: Tree) -> bool | None:
    """Whether systemd measures the system beyond the firmware (systemd.unit(5), ConditionSecurity=measured-os); None if that is not known.

    The kernel's command line says so; or else a variable shows that systemd-stub has measured the kernel (systemd-stub(7)).
    """
    line = tree.text("/proc/cmdline")
    given = re.findall(r"(?:^|\s)(?:rd\.)?systemd\.tpm2_measured_os(?:=(\S*))?(?=\s|$)", line or "")
    if given:
        return given[-1].lower() in TRUE
    return True if tree.exists(STUB_MEASURED) else None if line is None else False


def boot(
    tree: Tree, known: t.Sequence[Facts], held: t.Sequence[Facts], values: t.Mapping[str, t.Mapping[int, bytes]] | None = None
) -> Facts:
    """Event log and extended PCRs of the first TPM 2.0. A TPM that is held by a hanging process is not asked, because this process would hang, too.

    ``values``: the PCR values, if they have been read already; otherwise the kernel sends one TPM command for each value.
    """
    name = next((one["name"] for one in known if one["version_major"] != 1), None)
    measures = measured_os(tree)
    if name is None:
        return {"event_log": None, "replay": "unknown", "detail": None, "separated": None, "extended": {}, "measured_os": measures}
    path: str | None = LOG.format(name=name)
    if not tree.exists(str(path)):
        path = None
    values = values or ({} if any(one["hung"] for one in held) else pcrs(tree, name))
    return {"event_log": path, **replay(tree, path, values), "extended": extended(values), "measured_os": measures}


__all__ = ("boot", "extended", "measured_os", "pcrs", "replay")
