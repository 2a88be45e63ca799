# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The fingerprint of RSA keys that Infineon's faulty library has made (ROCA, CVE-2017-15361).

Nemec, Sys, Svenda, Klinec, Matyas: 'The Return of Coppersmith's Attack', CCS 2017, section 2. Such a prime is ``k*M + 65537**a mod M``,
where M is the product of the first primes; so the modulus too is a power of 65537 modulo every small prime. For an
ordinary modulus this holds for all the primes below with a chance of about 2**-28.
"""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import der
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError

GENERATOR = 65537
# The primes up to 157 modulo which 65537 has few powers; testing the other primes would add next to nothing.
PRIMES = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
MIN_BITS = 508  # the product of two primes of 256 bits may be a little short of 512
MAX_BITS = 16384
_BITS, _INTEGER = 0x03, 0x02
_PKCS1 = bytes.fromhex("06092a864886f70d0101")  # the object identifier 1.2.840.113549.1.1 without its last number
_MAX_DEPTH = 4


def powers(prime: int) -> frozenset[int]:
    """The subgroup that 65537 generates modulo ``prime``."""
    found, power = set(), 1
    while power not in found:
        found.add(power)
        power = power * GENERATOR % prime
    return frozenset(found)


_POWERS = {prime: powers(prime) for prime in PRIMES}


def fingerprinted(modulus: int | bytes) -> bool:
    """Whether an RSA modulus (a number, or big-endian bytes) has the fingerprint: then its key can be factored.

    Raises InputError for a number that cannot be an RSA modulus: below 508 bits, above 16384 bits, or even.
    """
    number = int.from_bytes(modulus, "big") if isinstance(modulus, (bytes, bytearray)) else modulus
    if number < 0 or not MIN_BITS <= number.bit_length() <= MAX_BITS or number % 2 == 0:
        raise InputError(
            f"Could not test an RSA key for the ROCA fingerprint: its modulus has {number.bit_length()} bits, or is even or negative; "
            "give the modulus of an RSA public key."
        )
    return all(number % prime in members for prime, members in _POWERS.items())


def weakness(modulus: int, least: int) -> str:
    """Why an RSA key with this modulus protects nothing, as a clause; "" where nothing is wrong with it. The modulus may be any number that a device sent.

    ``least`` is the number of bits that it must have, 508 or more. A number that cannot be an RSA modulus counts as weak, too.
    """
    bits = modulus.bit_length()
    if modulus < 0 or bits < least:
        return f"has {bits} bits, fewer than {least}"
    if bits > MAX_BITS:
        return f"has {bits} bits, more than {MAX_BITS}"
    if modulus % 2 == 0:
        return "has an even modulus, so it is not an RSA key"
    return "bears the ROCA fingerprint (CVE-2017-15361), so it can be factored" if fingerprinted(modulus) else ""


def modulus_in(data: bytes) -> int | None:
    """The modulus of the RSA public key in a DER certificate (as an EK's in NV) or SubjectPublicKeyInfo; None if there is none.

    What follows the structure is ignored: NV indices are often longer than the certificate in them. Infineon's own EK certificates
    name the key's algorithm RSAES-OAEP, so any algorithm of PKCS #1 is accepted (RFC 5280, section 4.1; RFC 4055).
    """
    left = [(data, 0)]
    while left:
        body, depth = left.pop()
        children = list(der.elements(body))
        if [one.tag for one in children] == [der.SEQUENCE, _BITS] and children[0].body.startswith(_PKCS1):
            inner = [one.body for one in der.elements(children[1].body[1:]) if one.tag == der.SEQUENCE]
            key = [one.body for sequence in inner for one in der.elements(sequence) if one.tag == _INTEGER]
            return int.from_bytes(key[0], "big") if len(key) == 2 else None
        left += [(one.body, depth + 1) for one in children if one.tag == der.SEQUENCE and depth < _MAX_DEPTH]
    return None


__all__ = ("GENERATOR", "PRIMES", "fingerprinted", "modulus_in", "powers", "weakness")
