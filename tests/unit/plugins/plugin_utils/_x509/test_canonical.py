# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates as genuine TPMs carry them, which cryptography refuses: read as copies that say the same, verified as they are; `openssl` judges them too."""

from __future__ import annotations

import pathlib
import random
import subprocess
import typing as t

import pytest
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from support import ek_lab

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import der
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import canonical, certificates
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.lenient import Lenient

KEY = ek_lab.ecc_key().public_key()
ROOT, NUVOTON = ek_lab.root(), ek_lab.nuvoton_root()
AT_384 = ROOT.ek(KEY, digest=hashes.SHA384())
SET, EXTENSION = b"\x31", bytes.fromhex("0603551d")


class Odd(t.NamedTuple):
    """A certificate as a vendor encodes it, its rules, the one in DER that it was made of, and its issuer."""

    whole: bytes
    rules: tuple[str, ...]
    plain: bytes
    issuer: ek_lab.Authority


def odd(change: t.Callable[..., t.Any], rule: str, plain: bytes = ROOT.ek(KEY)) -> Odd:
    return Odd(ek_lab.signed_anew(plain, ROOT.key, change), (rule,), plain, ROOT)


def both(tag: int, parts: ek_lab.Parts) -> ek_lab.Parts:
    return ek_lab.explicit(tag, ek_lab.nulled(tag, parts))


VENDORS = {
    "nuvoton": Odd(
        ek_lab.as_nuvoton(NUVOTON, KEY),
        ("unsorted_set",),
        NUVOTON.ek(KEY, extensions=ek_lab.ek_extensions(KEY, name=ek_lab.NUVOTON_TPM)),
        NUVOTON,
    ),
    "nuvoton root": Odd(NUVOTON.der, ("unsorted_set",), b"", NUVOTON),
    "intel ptt": odd(ek_lab.explicit, "explicit_default"),
    "intel ondie": odd(ek_lab.nulled, "null_parameters"),
    "ondie with sha384": odd(ek_lab.nulled, "null_parameters", AT_384),
    "two at once": Odd(ek_lab.signed_anew(AT_384, ROOT.key, both), ("explicit_default", "null_parameters"), AT_384, ROOT),
}


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> Odd:
    return VENDORS[request.param]


def test_the_library_refuses_it_and_openssl_does_not(vendor: Odd, tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="cannot be read as a certificate"):
        certificates.parse(vendor.whole)
    (tmp_path / "root.pem").write_bytes(ek_lab.pem(vendor.issuer.der))
    (tmp_path / "ek.pem").write_bytes(ek_lab.pem(vendor.whole))
    command = ["openssl", "verify", "-partial_chain", "-no_check_time", "-trusted", "root.pem", "ek.pem"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False).stdout == "ek.pem: OK\n"


def test_it_is_read_and_verified_as_it_is(vendor: Odd) -> None:
    found = certificates.parse_vendor(vendor.whole)
    assert isinstance(found, Lenient) and certificates.overlooked(found) == vendor.rules
    assert certificates.der_of(found) == vendor.whole
    assert certificates.pem([found]).encode() == der.pem("CERTIFICATE", vendor.whole).encode()
    issuer = certificates.parse_vendor(vendor.issuer.der)
    assert certificates.issued(issuer, found)
    assert not certificates.issued(certificates.parse_vendor(ek_lab.nuvoton_root().der), found)


def test_the_copy_says_the_same(vendor: Odd) -> None:
    """As another library reads both, and as the certificate was before a vendor's faults were put into it."""
    made, rules = canonical.copy(vendor.whole)
    assert rules == vendor.rules and canonical.copy(made) == (made, ())
    before, after = (asn1.Certificate.load(one) for one in (vendor.whole, made))
    for field in ("version", "serial_number", "validity", "subject_public_key_info"):
        assert before["tbs_certificate"][field].dump() == after["tbs_certificate"][field].dump()
    for field in ("issuer", "subject"):
        assert before["tbs_certificate"][field].hashable == after["tbs_certificate"][field].hashable
    assert [(one["extn_id"].native, one["critical"].native) for one in before["tbs_certificate"]["extensions"]] == [
        (one["extn_id"].native, one["critical"].native) for one in after["tbs_certificate"]["extensions"]
    ]
    if vendor.plain:
        plain, read = x509.load_der_x509_certificate(vendor.plain), x509.load_der_x509_certificate(made)
        assert (list(read.extensions), read.issuer, read.subject) == (list(plain.extensions), plain.issuer, plain.subject)
        assert read.signature_algorithm_oid == plain.signature_algorithm_oid


RIGHT = {
    "root": ROOT.der,
    "ek": ROOT.ek(KEY),
    "p384": AT_384,
    "infineon": ek_lab.as_infineon(ROOT.ek(ek_lab.rsa_key().public_key()), ROOT.key),
}


@pytest.mark.parametrize("data", RIGHT.values(), ids=RIGHT)
def test_what_is_right_is_left_as_it_is(data: bytes) -> None:
    assert canonical.copy(data) == (data, ())
    assert isinstance(certificates.parse_vendor(data), x509.Certificate)


def test_a_signature_is_verified_over_the_original() -> None:
    """The signature of the certificate in DER does not fit the odd one, nor the other way round, though both say the same."""
    vendor = VENDORS["nuvoton"]
    issuer = certificates.parse_vendor(NUVOTON.der)
    right = [one.whole for one in der.elements(next(der.elements(vendor.plain)).body)]
    odd_one = [one.whole for one in der.elements(next(der.elements(vendor.whole)).body)]
    swapped = der.element(der.SEQUENCE, *odd_one[:2], right[2])
    assert not certificates.issued(issuer, certificates.parse_vendor(swapped))
    mended = x509.load_der_x509_certificate(canonical.copy(vendor.whole)[0])
    assert not certificates.issued(
        x509.load_der_x509_certificate(NUVOTON.certificate.public_bytes(ek_lab.serialization.Encoding.DER)), mended
    )


def test_an_issuer_must_be_written_as_the_subject_of_the_ca() -> None:
    """A child whose issuer is sorted is not below a root whose subject is not, and an odd child not below a sorted root."""
    sorted_root = x509.load_der_x509_certificate(NUVOTON.certificate.public_bytes(ek_lab.serialization.Encoding.DER))
    assert not certificates.issued(certificates.parse_vendor(NUVOTON.der), certificates.parse_vendor(NUVOTON.ek(KEY)))
    assert not certificates.issued(sorted_root, certificates.parse_vendor(VENDORS["nuvoton"].whole))
    assert certificates.issued(sorted_root, certificates.parse_vendor(NUVOTON.ek(KEY)))


def test_a_name_may_be_another_type_of_string_in_its_own_certificate() -> None:
    """PrintableString there and UTF8String here, of the same text; another text, case or order, or another type, is another name."""
    plain = ROOT.certificate.subject.public_bytes()
    typed = next(der.elements(ek_lab.rewritten(plain, ek_lab.printable))).whole
    assert typed != plain and canonical.same_name(plain, typed) and canonical.same_name(typed, plain)
    for other in (plain.replace(b"\x0c", b"\x14"), plain.replace(b"Lab", b"lAb"), plain.replace(b"Lab TPM", b"LabTPM "), plain[:-1], b""):
        assert not canonical.same_name(plain, other) and not canonical.same_name(typed, other)
    root = certificates.parse_vendor(ek_lab.signed_anew(ROOT.der, ROOT.key, ek_lab.printable))
    assert certificates.issued(root, certificates.parse_vendor(ROOT.ek(KEY)))
    forged = ek_lab.root()
    assert not certificates.issued(root, certificates.parse_vendor(forged.ek(KEY)))
    rows = canonical.fields(NUVOTON.der).subject, canonical.fields(canonical.copy(NUVOTON.der)[0]).subject
    assert not canonical.same_name(*rows)


def twice(tag: int, parts: ek_lab.Parts) -> ek_lab.Parts:
    """A set that has an organization twice, out of order: a reader of the first and one of the sorted first read two."""
    another = der.element(der.SEQUENCE, bytes.fromhex("060355040a"), b"\x13\x01A")
    return [parts[-1], *parts[:-1], another] if tag == 0x31 and len(parts) == 3 else parts


def strange(tag: int, parts: ek_lab.Parts) -> ek_lab.Parts:
    """A TRUE that is none of DER's."""
    return [one if one != b"\x01\x01\xff" else b"\x01\x01\x01" for one in ek_lab.unsorted(tag, parts)]


def one_algorithm(tag: int, parts: ek_lab.Parts) -> ek_lab.Parts:
    """A NULL in the signed algorithm alone."""
    return [*parts[:2], der.element(der.SEQUENCE, parts[2][2:], b"\x05\x00"), *parts[3:]] if len(parts) > 6 else parts


def critical_twice(tag: int, parts: ek_lab.Parts) -> ek_lab.Parts:
    """An extension that says FALSE and then TRUE: who leaves out the FALSE reads another one than who reads the first."""
    return [parts[0], b"\x01\x01\x00", *parts[1:]] if parts and parts[0].startswith(EXTENSION) and len(parts) == 3 else parts


def other_parameters(tag: int, parts: ek_lab.Parts) -> ek_lab.Parts:
    """Parameters other than NULL after ECDSA."""
    return [*parts, b"\x04\x00"] if tag == der.SEQUENCE and len(parts) == 1 and parts[0][2:] in ek_lab.DIGESTS else parts


def a_ca_twice(tag: int, parts: ek_lab.Parts) -> ek_lab.Parts:
    """BasicConstraints that say FALSE and then TRUE."""
    return [*parts[:-1], bytes.fromhex("040830060101000101ff")] if parts[:1] == [ek_lab.BASIC] else parts


@pytest.mark.parametrize("change", [twice, strange, critical_twice, a_ca_twice, other_parameters])
def test_no_other_fault_is_overlooked(change: t.Callable[..., t.Any]) -> None:
    made = ek_lab.signed_anew(VENDORS["nuvoton"].plain if change is not other_parameters else AT_384, NUVOTON.key, change)
    assert made not in (VENDORS["nuvoton"].plain, VENDORS["nuvoton"].whole)
    with pytest.raises(ValueError):
        certificates.parse_vendor(made)


def test_two_algorithms_are_no_signature() -> None:
    whole = ek_lab.signed_anew(ROOT.ek(KEY), ROOT.key, one_algorithm)
    with_null = certificates.parse_vendor(whole)
    assert certificates.overlooked(with_null) == ("null_parameters",)
    assert not certificates.issued(certificates.parse_vendor(ROOT.der), with_null)


def longer(data: bytes) -> t.Iterator[bytes]:
    """The same elements with lengths that are not the shortest, or without an end."""
    signed = list(der.elements(data))[0].body
    yield b"\x30\x83" + len(signed).to_bytes(3, "big") + signed
    yield b"\x30\x80" + signed + b"\0\0"
    yield data + b"\0"
    yield data[:-1]


def test_lengths_have_one_form() -> None:
    for one in longer(VENDORS["nuvoton"].whole):
        with pytest.raises(ValueError):
            canonical.copy(one)
        with pytest.raises(ValueError):
            certificates.parse_vendor(one)


def test_what_is_told_of_one_that_cannot_be_read() -> None:
    assert canonical.subject_texts(b"nonsense") == []
    told = {"Lab Like Nuvoton Root 2111", "Lab Technology Corporation", "TW"}
    assert {text for _kind, text in canonical.subject_texts(NUVOTON.der)} == told


ROUNDS = 1500


def _flipped(data: bytes, dice: random.Random) -> bytes:
    made = bytearray(data)
    for _each in range(dice.randint(1, 3)):
        at = dice.randrange(len(made))
        if dice.random() < 0.7:
            made[at] = dice.choice((0x00, 0x01, 0x05, 0x30, 0x31, 0x80, 0x81, 0xFF, made[at] ^ 1 << dice.randrange(8)))
        else:
            made[at:at] = dice.choice((b"\x05\x00", b"\x01\x01\x00", b"\x01\x01\xff", b"\x31\x00", b"\x30\x00", made[at : at + 8]))
    return bytes(made)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("name", VENDORS)
def test_no_spoilt_one_is_believed(name: str) -> None:
    """Whatever a bit becomes: what is read is the original's own, and the signature holds only over the very bytes that were signed."""
    whole, dice, read = VENDORS[name].whole, random.Random(name), 0
    issuer = certificates.parse_vendor(VENDORS[name].issuer.der)
    for _round in range(ROUNDS):
        data = _flipped(whole, dice)
        if data == whole:
            continue
        try:
            found = certificates.parse_vendor(data)
        except ValueError:
            continue
        read += 1
        written = canonical.fields(data)
        assert certificates.der_of(found) == data
        assert found.serial_number == int.from_bytes(next(der.elements(written.serial_number)).body, "big", signed=True)
        assert not certificates.issued(issuer, found) or written.tbs == canonical.fields(whole).tbs, data.hex()
    assert read > 20
