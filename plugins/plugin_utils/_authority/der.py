# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The few pieces of DER that cryptography does not make (ITU-T X.690): what stands around a signature, and otherName values."""

from __future__ import annotations

import base64

BIT_STRING, OCTET_STRING, OID, SEQUENCE = 0x03, 0x04, 0x06, 0x30


def element(tag: int, *content: bytes) -> bytes:
    """One element in definite form."""
    body = b"".join(content)
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


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


def check_signature_octets(whole: bytes, signature: bytes) -> None:
    """Raise ValueError where the BIT STRING at the end of a certificate or request has unused bits, which cryptography lets pass.

    A signature is whole octets, so that there would be two encodings of one certificate (X.690, section 11.2).
    """
    if not whole.endswith(b"\0" + signature):
        raise ValueError("the signature has unused bits")


def pem(label: str, der: bytes) -> str:
    """DER as PEM (RFC 7468)."""
    text = base64.b64encode(der).decode("ascii")
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


__all__ = ("BIT_STRING", "OCTET_STRING", "OID", "SEQUENCE", "check_signature_octets", "element", "oid", "pem")
