# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The part of DER that a device needs: read and write elements, convert to PEM, read fields of an X.509 certificate without verifying it
(ITU-T X.690; RFC 7468; RFC 5280).
"""

from __future__ import annotations

import base64
import hashlib
import typing as t

SEQUENCE = 0x30
_VERSION = 0xA0
# Bytes of a hash over an issuer's Name: enough that no two certificate authorities of a bundle share one by accident.
ISSUER_BYTES = 8


class Element(t.NamedTuple):
    """One element: its tag, its content, and all of its bytes (with tag and length)."""

    tag: int
    body: bytes
    whole: bytes


def element(tag: int, *content: bytes) -> bytes:
    """Encode one element, with a definite length."""
    body = b"".join(content)
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def pem(label: str, der: bytes) -> str:
    """DER as PEM (RFC 7468)."""
    text = base64.b64encode(der).decode("ascii")
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def elements(data: bytes) -> t.Iterator[Element]:
    """The consecutive DER elements in ``data``, up to the first one that is malformed or incomplete."""
    at = 0
    while at + 2 <= len(data):
        start, tag, size, at = at, data[at], data[at + 1], at + 2
        if size & 0x80:
            count = size & 0x7F
            size, at = int.from_bytes(data[at : at + count], "big"), at + count
        if at + size > len(data):
            return
        yield Element(tag, data[at : at + size], data[start : at + size])
        at += size


def issuer_hash(certificate: bytes) -> str:
    """The first bytes, in hex, of the SHA-256 of an issuer's DER Name (RFC 5280, section 4.1.2.4); "" if ``data`` holds no certificate.

    Nothing is verified. The hash only tells whether a receiver, who may know the issuer's certificate, has to be sent the chain.
    """
    outer = next(elements(certificate), None)
    signed = next(elements(outer.body), None) if outer and outer.tag == SEQUENCE else None
    fields = [one for one in elements(signed.body) if one.tag != _VERSION] if signed and signed.tag == SEQUENCE else []
    # serialNumber, signature, issuer
    return name_hash(fields[2].whole) if len(fields) > 2 and fields[2].tag == SEQUENCE else ""


def name_hash(name: bytes) -> str:
    """The same hash of a given DER Name."""
    return hashlib.sha256(name).hexdigest()[: 2 * ISSUER_BYTES]


__all__ = ("Element", "SEQUENCE", "element", "elements", "issuer_hash", "name_hash", "pem")
