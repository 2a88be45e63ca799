# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DER, against asn1crypto, the standard library's PEM and cryptography's view of the same certificates."""

from __future__ import annotations

import hashlib
import ssl

import pytest
from asn1crypto import core, parser
from cryptography import x509
from support import ek_lab

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import der

SIZES = (0, 1, 127, 128, 255, 256, 65535, 65536)


@pytest.fixture(scope="module")
def certificate() -> x509.Certificate:
    """An EK certificate whose issuer is another than its subject."""
    vendor = ek_lab.root("Lab TPM Root").sub("Lab TPM CA 7")
    return x509.load_der_x509_certificate(vendor.ek(ek_lab.ecc_key().public_key()))


def _bytes(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(ek_lab.serialization.Encoding.DER)


@pytest.mark.parametrize("size", SIZES)
def test_an_element_is_written_as_others_write_it(size: int) -> None:
    assert der.element(0x04, bytes(size)) == core.OctetString(bytes(size)).dump()


def test_an_element_of_several_parts() -> None:
    whole = der.element(der.SEQUENCE, der.element(0x02, b"\x05"), der.element(0x04, b"abc"))
    assert whole == bytes.fromhex("3008 020105 0403616263")


@pytest.mark.parametrize("size", SIZES)
def test_elements_are_read_as_others_read_them(size: int) -> None:
    first, second = core.OctetString(b"\x07" * size).dump(), core.Integer(-3).dump()
    found = list(der.elements(first + second))
    assert [one.whole for one in found] == [first, second]
    for one in found:
        _class, _method, _tag, _head, body, _rest = parser.parse(one.whole)
        assert one.body == body
    assert [one.tag for one in found] == [0x04, 0x02]


@pytest.mark.parametrize("cut", range(8))
def test_what_does_not_fit_ends_the_reading(cut: int) -> None:
    whole = core.Integer(1).dump()
    torn = core.OctetString(bytes(300)).dump()[: cut + 1]
    assert [one.whole for one in der.elements(whole + torn)] == [whole]


def test_nothing_has_no_elements() -> None:
    assert list(der.elements(b"")) == []


def test_pem_is_that_of_the_standard_library(certificate: x509.Certificate) -> None:
    raw = _bytes(certificate)
    assert der.pem("CERTIFICATE", raw) == ssl.DER_cert_to_PEM_cert(raw)
    assert ssl.PEM_cert_to_DER_cert(der.pem("CERTIFICATE", raw)) == raw


def test_the_hash_is_that_of_the_issuers_name(certificate: x509.Certificate) -> None:
    found = der.issuer_hash(_bytes(certificate))
    assert found == hashlib.sha256(certificate.issuer.public_bytes()).hexdigest()[:16]
    assert found == der.name_hash(certificate.issuer.public_bytes()) != der.name_hash(certificate.subject.public_bytes())
    # What NV has behind the certificate does not count.
    assert der.issuer_hash(_bytes(certificate) + b"\xff" * 40) == found


def test_the_hash_of_a_certificate_of_version_1() -> None:
    # It has no version field, so that its issuer stands one place earlier.
    name = ek_lab.common_name("A very old CA").public_bytes()
    fields = [der.element(0x02, b"\x01"), der.element(der.SEQUENCE, der.element(0x06, b"\x2a\x03")), name]
    old = der.element(der.SEQUENCE, der.element(der.SEQUENCE, *fields, der.element(der.SEQUENCE)))
    assert der.issuer_hash(old) == der.name_hash(name)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\xff" * 600,
        bytes(600),
        b"no certificate at all",
        der.element(der.SEQUENCE),
        der.element(der.SEQUENCE, der.element(0x04, b"no sequence")),
        der.element(der.SEQUENCE, der.element(der.SEQUENCE, der.element(0x02, b"\x01"), der.element(der.SEQUENCE))),
        der.element(der.SEQUENCE, der.element(der.SEQUENCE, *[der.element(0x02, b"\x01")] * 3)),
    ],
)
def test_what_is_no_certificate_has_no_issuer(data: bytes) -> None:
    assert der.issuer_hash(data) == ""


def test_a_torn_certificate_has_no_issuer(certificate: x509.Certificate) -> None:
    assert der.issuer_hash(_bytes(certificate)[:-1]) == ""
