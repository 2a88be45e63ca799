# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The few pieces of DER that cryptography does not make (ITU-T X.690): the structure around a signature, and otherName values."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.der import SEQUENCE, element, pem

BIT_STRING, OCTET_STRING, OID = 0x03, 0x04, 0x06


def oid(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER."""
    first, second, *others = (int(arc) for arc in dotted.split("."))
    body = b""
    for arc in (40 * first + second, *others):
        piece = [arc & 0x7F]
        while arc := arc >> 7:
            piece.append(0x80 | arc & 0x7F)
        body += bytes(reversed(piece))
    return element(OID, body)


def element_at(data: bytes, at: int = 0) -> tuple[int, int, int]:
    """The DER element at offset ``at`` (X.690): its tag, and the offsets of its content and of the byte after it. Raises ValueError."""
    if at + 2 > len(data):
        raise ValueError("it ends within an element")
    tag, size, start = data[at], data[at + 1], at + 2
    if size & 0x80:
        count = size & 0x7F
        size, start = int.from_bytes(data[start : start + count], "big"), start + count
        if not 1 <= count <= 4 or size < 0x80:
            raise ValueError("a length in it is malformed")
    if start + size > len(data):
        raise ValueError(f"it should have {start + size - at} bytes and ends after {len(data) - at}")
    return tag, start, start + size


def check_signature_octets(whole: bytes, signature: bytes) -> None:
    """Raise ValueError if the BIT STRING at the end of a certificate or request has unused bits, which cryptography accepts.

    A signature is whole octets; with unused bits, one certificate would have two encodings (X.690, section 11.2).
    """
    if not whole.endswith(b"\0" + signature):
        raise ValueError("the signature has unused bits")


__all__ = ("BIT_STRING", "OCTET_STRING", "OID", "SEQUENCE", "check_signature_octets", "element", "element_at", "oid", "pem")
