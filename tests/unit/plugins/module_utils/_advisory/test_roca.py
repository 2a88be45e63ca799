# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ROCA fingerprint: keys made as the faulty library made them bear it, keys of OpenSSL and all near misses do not."""

from __future__ import annotations

import math
import pathlib
import random
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from ansible_collections.edgefleet.tpm2.plugins.module_utils._advisory import roca
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError

# How many of the first primes make up M, by the size of the modulus (CCS 2017, section 2.1).
PRIMORIALS = {512: 39, 1024: 71, 2048: 126}
# The order of 65537 modulo each prime, as the published detectors (crocs-muni/roca and its ports) have it.
ORDERS = {11: 2, 13: 6, 17: 8, 19: 9, 37: 3, 53: 26, 61: 20, 71: 35, 73: 24, 79: 13, 97: 6}
ORDERS |= {103: 51, 107: 53, 109: 54, 127: 42, 151: 50, 157: 78}


def is_prime(number: int) -> bool:
    """Miller and Rabin's test with the first primes as bases: enough for numbers that nobody chose to deceive it."""
    if any(number % small == 0 for small in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29)):
        return False
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7, 11, 13, 17, 19):
        power = pow(base, odd, number)
        if power not in (1, number - 1) and all((power := power * power % number) != number - 1 for _each in range(twos - 1)):
            return False
    return True


def first_primes(count: int) -> list[int]:
    found = [number for number in range(2, 2000) if all(number % small for small in range(2, math.isqrt(number) + 1))]
    return found[:count]


def faulty_prime(bits: int, primorial: int, source: random.Random) -> int:
    """A prime k * M + (65537 ** a mod M) of this size, as RSALib made them."""
    while True:
        start = pow(65537, source.randrange(1 << 64), primorial)
        number = source.randrange((1 << bits - 1) // primorial, (1 << bits) // primorial) * primorial + start
        if number.bit_length() == bits and is_prime(number):
            return number


@pytest.mark.parametrize("bits", PRIMORIALS)
def test_a_faulty_key_is_found(bits: int) -> None:
    source = random.Random(bits)
    primorial = math.prod(first_primes(PRIMORIALS[bits]))
    modulus = faulty_prime(bits // 2, primorial, source) * faulty_prime(bits // 2, primorial, source)
    assert abs(modulus.bit_length() - bits) <= 1
    assert roca.fingerprinted(modulus)
    assert roca.fingerprinted(modulus.to_bytes(bits // 8, "big"))
    # A TPM2B may carry leading zeros.
    assert roca.fingerprinted(bytes(3) + modulus.to_bytes(bits // 8, "big"))


def test_one_faulty_prime_alone_is_not_the_fingerprint() -> None:
    source = random.Random(1)
    primorial = math.prod(first_primes(39))
    sound = next(number for number in iter(lambda: source.getrandbits(256) | 1 << 255 | 1, 0) if is_prime(number))
    assert not roca.fingerprinted(faulty_prime(256, primorial, source) * sound)


@pytest.mark.parametrize("prime", roca.PRIMES)
def test_one_remainder_outside_is_enough_to_clear_a_key(prime: int) -> None:
    """A number that is a power of 65537 modulo every prime of the list but one."""
    product = 2 * math.prod(roca.PRIMES)
    outside = next(number for number in range(1, prime) if number not in roca.powers(prime))
    rest = product // prime
    number = (pow(65537, 5, rest) * prime * pow(prime, -1, rest) + outside * rest * pow(rest, -1, prime)) % product
    shifted = number + product * (1 << 1024)
    assert shifted % 2 == 1 and not roca.fingerprinted(shifted)
    # The same with a remainder that is a power there too.
    inside = (pow(65537, 5, rest) * prime * pow(prime, -1, rest) + 65537 % prime * rest * pow(rest, -1, prime)) % product
    assert roca.fingerprinted(inside + product * (1 << 1024))


def test_keys_of_openssl_do_not_bear_it() -> None:
    for _each in range(20):
        assert not roca.fingerprinted(rsa.generate_private_key(65537, 1024).public_key().public_numbers().n)


def test_numbers_at_random_do_not_bear_it() -> None:
    source = random.Random(2)
    assert not any(roca.fingerprinted(source.getrandbits(2048) | 1 << 2047 | 1) for _each in range(20000))


def test_the_powers_are_those_of_the_published_table() -> None:
    assert {prime: len(roca.powers(prime)) for prime in roca.PRIMES} == ORDERS
    for prime in roca.PRIMES:
        assert roca.powers(prime) == {number for number in range(1, prime) if pow(number, ORDERS[prime], prime) == 1}
    assert math.prod(ORDERS[prime] / (prime - 1) for prime in ORDERS) < 2**-27


NONE = {
    "zero": 0,
    "one": 1,
    "negative": 1 - (1 << 1024),
    "even": 1 << 2048,
    "short": (1 << 507) - 1,
    "long": 1 << 16384 | 1,
    "no bytes": b"",
    "zero bytes": bytes(256),
    "even bytes": b"\xff" * 63 + b"\xfe",
}


@pytest.mark.parametrize("modulus", NONE.values(), ids=NONE)
def test_what_is_no_modulus_is_refused(modulus: int | bytes) -> None:
    with pytest.raises(InputError, match="^Could not test an RSA key for the ROCA fingerprint: .*; give the modulus"):
        roca.fingerprinted(modulus)


WEAK = {
    "zero": (0, "has 0 bits, fewer than 2048"),
    "negative": (1 - (1 << 2048), "has 2048 bits, fewer than 2048"),
    "short": ((1 << 2047) - 1, "has 2047 bits, fewer than 2048"),
    "long": (1 << 16384 | 1, "has 16385 bits, more than 16384"),
    "long and even": (1 << 65535, "has 65536 bits, more than 16384"),
    "even": (1 << 2047, "has an even modulus, so it is not an RSA key"),
    "faulty": (pow(65537, 5, 2 * math.prod(roca.PRIMES)) + 2 * math.prod(roca.PRIMES) * (1 << 2048), "bears the ROCA fingerprint"),
}


@pytest.mark.parametrize(("modulus", "told"), WEAK.values(), ids=WEAK)
def test_a_modulus_that_protects_nothing(modulus: int, told: str) -> None:
    assert roca.weakness(modulus, 2048).startswith(told)


@pytest.mark.parametrize("bits", [2048, 3072, 16384])
def test_a_modulus_that_nothing_is_known_against(bits: int) -> None:
    assert roca.weakness(1 << bits - 1 | 1, 2048) == ""


@pytest.mark.parametrize("bits", [508, 512, 16384])
def test_the_shortest_and_the_longest_modulus_are_tested(bits: int) -> None:
    assert not roca.fingerprinted(1 << bits - 1 | 1)


def certificate(folder: pathlib.Path, *options: str) -> bytes:
    """A self-signed certificate that the openssl program makes, as DER."""
    command = ["openssl", "req", "-x509", "-subj", "/CN=a TPM", "-nodes", "-keyout", str(folder / "key"), "-outform", "DER", *options]
    return subprocess.run(command, check=True, capture_output=True, timeout=120).stdout


def test_the_modulus_in_a_certificate(tmp_path: pathlib.Path) -> None:
    der = certificate(tmp_path, "-newkey", "rsa:2048", "-addext", "subjectAltName=DNS:x")
    said = subprocess.run(
        ["openssl", "x509", "-inform", "DER", "-noout", "-modulus"], input=der, check=True, capture_output=True, timeout=60
    )
    modulus = int(said.stdout.decode().strip().removeprefix("Modulus="), 16)
    assert roca.modulus_in(der) == modulus
    # As an NV index holds it: longer than the certificate.
    assert roca.modulus_in(der + bytes(300)) == modulus
    assert roca.modulus_in(der + b"\xff" * 300) == modulus
    # As Infineon's EK certificates name the algorithm: RSAES-OAEP.
    oaep = der.replace(bytes.fromhex("300d06092a864886f70d0101010500"), bytes.fromhex("300d06092a864886f70d0101070500"))
    assert oaep != der and roca.modulus_in(oaep) == modulus
    public = subprocess.run(
        ["openssl", "x509", "-inform", "DER", "-noout", "-pubkey"], input=der, check=True, capture_output=True, timeout=60
    ).stdout
    spki = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "DER"], input=public, check=True, capture_output=True, timeout=60
    ).stdout
    assert roca.modulus_in(spki) == modulus


def test_bytes_without_an_rsa_key_have_no_modulus(tmp_path: pathlib.Path) -> None:
    der = certificate(tmp_path, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    for data in (der, b"", b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80" * 5000, bytes(2000), b"\xff" * 2000):
        assert roca.modulus_in(data) is None


def test_a_certificate_that_is_cut_or_changed_gives_a_number_or_none(tmp_path: pathlib.Path) -> None:
    der = certificate(tmp_path, "-newkey", "rsa:1024")
    whole = roca.modulus_in(der)
    for at in range(len(der)):
        assert roca.modulus_in(der[:at]) is None
        changed = roca.modulus_in(der[:at] + bytes([der[at] ^ 0x81]) + der[at + 1 :])
        assert changed is None or changed >= 0
    assert whole is not None
