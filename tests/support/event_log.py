# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Event logs made byte by byte, as a firmware writes them (TCG PC Client Platform Firmware Profile, section 10)."""

from __future__ import annotations

import hashlib
import struct
import typing as t

ALGORITHMS = {"sha1": (0x04, 20), "sha256": (0x0B, 32), "sha384": (0x0C, 48), "sha512": (0x0D, 64)}
NO_ACTION, SEPARATOR, ACTION, IPL, VERSION, DRIVER_CONFIG = 0x03, 0x04, 0x05, 0x0D, 0x08, 0x80000001


def sha1_event(pcr: int, kind: int, data: bytes, digest: bytes | None = None) -> bytes:
    """A TCG_PCClientPCREvent."""
    digest = hashlib.sha1(data).digest() if digest is None else digest
    return struct.pack("<II", pcr, kind) + digest + struct.pack("<I", len(data)) + data


def spec_id(banks: t.Sequence[str], vendor: bytes = b"") -> bytes:
    """The first event of a crypto-agile log."""
    sizes = b"".join(struct.pack("<HH", *ALGORITHMS[bank]) for bank in banks)
    head = b"Spec ID Event03\0" + struct.pack("<IBBBBI", 0, 0, 2, 0, 2, len(banks))
    return sha1_event(0, NO_ACTION, head + sizes + struct.pack("<B", len(vendor)) + vendor, bytes(20))


def event(pcr: int, kind: int, data: bytes, banks: t.Sequence[str], *, zero: bool = False) -> bytes:
    """A TCG_PCR_EVENT2 that measures ``data``; ``zero`` for events that extend nothing."""
    parts = [struct.pack("<III", pcr, kind, len(banks))]
    for bank in banks:
        number, size = ALGORITHMS[bank]
        parts.append(struct.pack("<H", number) + (bytes(size) if zero else hashlib.new(bank, data).digest()))
    return b"".join(parts) + struct.pack("<I", len(data)) + data


def locality(number: int, banks: t.Sequence[str]) -> bytes:
    """The event that says from which locality the TPM was started."""
    return event(0, NO_ACTION, b"StartupLocality\0" + bytes([number]), banks, zero=True)


MEASURED: tuple[tuple[int, int, bytes], ...] = (
    (0, VERSION, b"firmware 1\0"),
    (0, ACTION, b"more firmware"),
    (1, ACTION, b"settings"),
    (7, ACTION, b"secure boot policy"),
    *((pcr, SEPARATOR, bytes(4)) for pcr in range(8)),
    (4, ACTION, b"boot loader"),
    (9, IPL, b"initrd\0"),
    (11, IPL, b"kernel\0"),
)


def agile(
    banks: t.Sequence[str] = ("sha1", "sha256"), *, start: int | None = None, measured: t.Sequence[tuple[int, int, bytes]] = MEASURED
) -> bytes:
    """A whole crypto-agile log."""
    first = [spec_id(banks)] + ([] if start is None else [locality(start, banks)])
    return b"".join(first + [event(pcr, kind, data, banks) for pcr, kind, data in measured])


def legacy(measured: t.Sequence[tuple[int, int, bytes]] = MEASURED) -> bytes:
    """A whole log of SHA-1 digests, as for a TPM 1.2."""
    return b"".join(sha1_event(pcr, kind, data) for pcr, kind, data in measured)


def extended(bank: str, *data: bytes, start: bytes | None = None) -> bytes:
    """The value of a PCR after these measurements, computed independently of the tested code."""
    value = bytes(ALGORITHMS[bank][1]) if start is None else start
    for piece in data:
        value = hashlib.new(bank, value + hashlib.new(bank, piece).digest()).digest()
    return value
