# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Parse attestations of a TPM and their signatures: TPMS_ATTEST (TPM 2.0 Library Part 2, section 10.12) and TPMT_SIGNATURE (section 11.3).

Parsing proves nothing: the caller must check the signature, the nonce and the attested part. The bytes come from a device that may lie, so
the parser refuses missing bytes, left-over bytes and unknown types.
"""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import pcr
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import ReasonedError, TpmError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import Cursor

MAGIC = 0xFF544347  # TPM_GENERATED_VALUE: a restricted key does not sign outside data that begins with it (Part 2, section 6.2)

ST_ATTEST_NV = 0x8014
ST_ATTEST_COMMAND_AUDIT = 0x8015
ST_ATTEST_SESSION_AUDIT = 0x8016
ST_ATTEST_CERTIFY = 0x8017
ST_ATTEST_QUOTE = 0x8018
ST_ATTEST_TIME = 0x8019
ST_ATTEST_CREATION = 0x801A
ST_ATTEST_NV_DIGEST = 0x801C
# Types of attestations, named after the commands that make them (Part 2, section 6.9).
TYPES = {
    ST_ATTEST_NV: "NV_Certify",
    ST_ATTEST_COMMAND_AUDIT: "GetCommandAuditDigest",
    ST_ATTEST_SESSION_AUDIT: "GetSessionAuditDigest",
    ST_ATTEST_CERTIFY: "Certify",
    ST_ATTEST_QUOTE: "Quote",
    ST_ATTEST_TIME: "GetTime",
    ST_ATTEST_CREATION: "CertifyCreation",
    ST_ATTEST_NV_DIGEST: "NV_Certify of a digest",
}

# Values of AttestError.reason.
MALFORMED = "malformed"
NO_MAGIC = "no_magic"
WRONG_TYPE = "wrong_type"


class AttestError(ReasonedError):
    """The bytes are not an attestation, or not of a supported type; ``reason`` is one of the words above."""


class ClockInfo(t.NamedTuple):
    """A TPMS_CLOCK_INFO (Part 2, section 10.11.1). ``clock`` counts the milliseconds for which the TPM has had power.

    The counters are obfuscated unless the signing key is in the endorsement or platform hierarchy (Part 1, section 36.7).
    """

    clock: int
    reset_count: int
    restart_count: int
    safe: bool


class Certified(t.NamedTuple):
    """A TPMS_CERTIFY_INFO: which object is loaded in this TPM."""

    name: bytes
    qualified_name: bytes


class Quoted(t.NamedTuple):
    """A TPMS_QUOTE_INFO: the PCRs in the order of the request, and the digest of their values."""

    selection: tuple[pcr.Selection, ...]
    digest: bytes


class NvCertified(t.NamedTuple):
    """A TPMS_NV_CERTIFY_INFO: ``contents`` are the bytes at ``offset`` in the index whose Name is ``index_name``."""

    index_name: bytes
    offset: int
    contents: bytes


Attested = t.Union[Certified, Quoted, NvCertified]


class Attest(t.NamedTuple):
    """A TPMS_ATTEST. ``signer`` is the signing key's Qualified Name, ``extra_data`` the caller's nonce, ``firmware`` 64 bits."""

    type: int
    signer: bytes
    extra_data: bytes
    clock: ClockInfo
    firmware: int
    attested: Attested


class Signature(t.NamedTuple):
    """A TPMT_SIGNATURE: scheme and hash by TPM_ALG_ID; ``parts`` is the one signature of RSA, or r and s of ECDSA, big-endian."""

    scheme: int
    hash_alg: int
    parts: tuple[bytes, ...]


def type_name(number: int) -> str:
    """The name of the command that makes a type of attestation (TPM_ST_ATTEST), or the type's number in hex if it is unknown."""
    return TYPES.get(number, f"{number:#06x}")


def _certified(cursor: Cursor) -> Certified:
    return Certified(cursor.sized(), cursor.sized())


def _quoted(cursor: Cursor) -> Quoted:
    return Quoted(tuple(pcr.parse(cursor)), cursor.sized())


def _nv_certified(cursor: Cursor) -> NvCertified:
    return NvCertified(cursor.sized(), cursor.u16(), cursor.sized())


_READERS: dict[int, t.Callable[[Cursor], Attested]] = {
    ST_ATTEST_NV: _nv_certified,
    ST_ATTEST_CERTIFY: _certified,
    ST_ATTEST_QUOTE: _quoted,
}


def _clock(cursor: Cursor) -> ClockInfo:
    clock, resets, restarts, safe = int.from_bytes(cursor.take(8), "big"), cursor.u32(), cursor.u32(), cursor.u8()
    if safe > 1:  # TPMI_YES_NO
        raise AttestError(
            f"Could not read an attestation: its clock is neither safe nor unsafe but {safe}; take a new one from the TPM.", MALFORMED
        )
    return ClockInfo(clock, resets, restarts, safe == 1)


def _read(raw: bytes) -> Attest:
    cursor = Cursor(raw)
    magic, kind = cursor.u32(), cursor.u16()
    if magic != MAGIC:
        raise AttestError(
            f"Could not accept an attestation: it begins with {magic:#010x}, not with the magic number of data that a TPM has made; "
            "take a new one from the TPM, and look into who sent this one.",
            NO_MAGIC,
        )
    if kind not in _READERS:
        raise AttestError(
            f"Could not accept an attestation: it is of the type {type_name(kind)}, not Certify, Quote or NV_Certify; "
            "ask the TPM for one of those.",
            WRONG_TYPE,
        )
    head = cursor.sized(), cursor.sized(), _clock(cursor), int.from_bytes(cursor.take(8), "big")
    found = Attest(kind, *head, _READERS[kind](cursor))
    if cursor.at() != len(raw):
        raise AttestError(
            f"Could not read an attestation: it is followed by {len(raw) - cursor.at()} bytes that do not belong to it; "
            "take a new one from the TPM.",
            MALFORMED,
        )
    return found


def parse_attest(raw: bytes) -> Attest:
    """Parse a marshalled TPMS_ATTEST of type Certify, Quote or NV_Certify. No bytes may be left over.

    Raises AttestError: its ``reason`` is ``malformed``, ``no_magic`` or ``wrong_type``.
    """
    try:
        return _read(raw)
    except AttestError:
        raise
    except TpmError:
        raise AttestError(
            f"Could not read an attestation: it ends within a field, after {len(raw)} bytes; take a new one from the TPM.", MALFORMED
        ) from None


def parse_signature(raw: bytes) -> Signature:
    """Parse a marshalled TPMT_SIGNATURE (RSASSA, RSAPSS or ECDSA). No bytes may be left over. Raises AttestError (``malformed``)."""
    cursor = Cursor(raw)
    try:
        scheme = cursor.u16()
        if scheme not in (alg.RSASSA, alg.RSAPSS, alg.ECDSA):
            raise AttestError(
                f"Could not read a signature: its scheme is {alg.alg_name(scheme)}, not rsassa, rsapss or ecdsa; "
                "use a key with one of those.",
                MALFORMED,
            )
        hash_alg = cursor.u16()
        found = Signature(scheme, hash_alg, tuple(cursor.sized() for _each in range(2 if scheme == alg.ECDSA else 1)))
    except AttestError:
        raise
    except TpmError:
        raise AttestError(
            f"Could not read a signature: it ends within a field, after {len(raw)} bytes; take a new one from the TPM.", MALFORMED
        ) from None
    if cursor.at() != len(raw):
        raise AttestError(
            f"Could not read a signature: it is followed by {len(raw) - cursor.at()} bytes that do not belong to it; take a new one from the TPM.",
            MALFORMED,
        )
    return found


def firmware_number(text: str) -> int:
    """The number (64 bits) that an attestation carries for a firmware version in the form of ``tpm2_info``: ``v1>>16.v1&0xffff.v2>>16.v2&0xffff``.

    Raises TpmError for other text.
    """
    parts = text.split(".")
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() and len(part) <= 5 and int(part) <= 0xFFFF for part in parts):
        raise TpmError(
            f"Could not read the firmware version '{text}': it is not four numbers up to 65535 with dots; take it from tpm2_info."
        )
    number = 0
    for part in parts:
        number = number << 16 | int(part)
    return number


def firmware_text(number: int) -> str:
    """The inverse of ``firmware_number``."""
    return ".".join(str(number >> shift & 0xFFFF) for shift in (48, 32, 16, 0))


__all__ = (
    "Attest",
    "AttestError",
    "Certified",
    "ClockInfo",
    "NvCertified",
    "Quoted",
    "Signature",
    "firmware_number",
    "firmware_text",
    "parse_attest",
    "parse_signature",
    "type_name",
)
