# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Algorithm identifiers (TCG Algorithm Registry; TPM 2.0 Library Part 2, section 6.3) and curves (section 6.4)."""

from __future__ import annotations

import hashlib

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError

RSA = 0x0001
SHA1 = 0x0004
HMAC = 0x0005
AES = 0x0006
KEYEDHASH = 0x0008
XOR = 0x000A
SHA256 = 0x000B
SHA384 = 0x000C
SHA512 = 0x000D
NULL = 0x0010
RSASSA = 0x0014
RSAES = 0x0015
RSAPSS = 0x0016
OAEP = 0x0017
ECDSA = 0x0018
ECDAA = 0x001A
ECC = 0x0023
SYMCIPHER = 0x0025
CFB = 0x0043
MLKEM = 0x00A0
MLDSA = 0x00A1
HASH_MLDSA = 0x00A2

NAMES = {
    RSA: "rsa",
    0x0003: "tdes",
    SHA1: "sha1",
    HMAC: "hmac",
    AES: "aes",
    0x0007: "mgf1",
    KEYEDHASH: "keyedhash",
    XOR: "xor",
    SHA256: "sha256",
    SHA384: "sha384",
    SHA512: "sha512",
    NULL: "null",
    0x0012: "sm3_256",
    0x0013: "sm4",
    RSASSA: "rsassa",
    RSAES: "rsaes",
    RSAPSS: "rsapss",
    OAEP: "oaep",
    ECDSA: "ecdsa",
    0x0019: "ecdh",
    ECDAA: "ecdaa",
    0x001B: "sm2",
    0x001C: "ecschnorr",
    0x001D: "ecmqv",
    0x0020: "kdf1_sp800_56a",
    0x0021: "kdf2",
    0x0022: "kdf1_sp800_108",
    ECC: "ecc",
    SYMCIPHER: "symcipher",
    0x0026: "camellia",
    0x0027: "sha3_256",
    0x0028: "sha3_384",
    0x0029: "sha3_512",
    0x003F: "cmac",
    0x0040: "ctr",
    0x0041: "ofb",
    0x0042: "cbc",
    CFB: "cfb",
    0x0044: "ecb",
    MLKEM: "mlkem",
    MLDSA: "mldsa",
    HASH_MLDSA: "hash_mldsa",
}
IDS = {name: number for number, name in NAMES.items()}

CURVE_NAMES = {
    0x0001: "ecc_p192",
    0x0002: "ecc_p224",
    0x0003: "ecc_p256",
    0x0004: "ecc_p384",
    0x0005: "ecc_p521",
    0x0010: "ecc_bn_p256",
    0x0011: "ecc_bn_p638",
    0x0020: "ecc_sm2_p256",
}
CURVES = {name: number for number, name in CURVE_NAMES.items()}

HASHES = {SHA1: "sha1", SHA256: "sha256", SHA384: "sha384", SHA512: "sha512", 0x0027: "sha3_256", 0x0028: "sha3_384", 0x0029: "sha3_512"}


def alg_name(number: int) -> str:
    """Name of a TPM_ALG_ID in lower case, or its number in hex if it is unknown."""
    return NAMES.get(number, f"{number:#06x}")


def digest(alg: int, data: bytes) -> bytes:
    """Hash ``data`` with the TPM_ALG_ID ``alg``.

    Raises KeyError for an algorithm that is not one of the hashes that this collection computes.
    """
    return hashlib.new(HASHES[alg], data).digest()


def digest_size(alg: int) -> int:
    """Size in bytes of a digest of the TPM_ALG_ID ``alg``. Raises KeyError as ``digest`` does."""
    return hashlib.new(HASHES[alg]).digest_size


def hash_to_sign(digest: bytes) -> int:
    """The hash (of the SHA-2 family) of a digest to be signed, judged by its length. Raises InputError for other lengths."""
    found = {32: SHA256, 48: SHA384, 64: SHA512}.get(len(digest))
    if found is None:
        raise InputError(
            f"Could not sign a digest of {len(digest)} bytes: no supported hash has that length; give a digest of SHA-256, 384 or 512."
        )
    return found


__all__ = ("CURVES", "CURVE_NAMES", "HASHES", "IDS", "NAMES", "alg_name", "digest", "digest_size", "hash_to_sign")
