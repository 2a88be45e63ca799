# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""EK certificates as they lie in NV, chains as they lie in NV, the names of manufacturers, and what is an EK."""

from __future__ import annotations

import typing as t

import pytest
from cryptography import x509
from support import ek_lab

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import templates
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import certificate, ek, vendors
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.verdict import TrustError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import der

KEY = ek_lab.ecc_key().public_key()
ROOT = ek_lab.root()


def test_what_is_read() -> None:
    der = ROOT.ek(KEY)
    found = certificate.read(der + b"\xff" * 100)
    assert (found.der, found.manufacturer, found.model, found.version) == (der, "id:00001014", "swtpm", "id:20191023")
    assert found.spki == _keys.spki(ek_lab.ek_area("ek_ecc_p256", KEY))


def test_the_header_of_a_tpm_12_is_taken_off() -> None:
    der = ROOT.ek(KEY)
    for inner in (der, b"\x10\x02" + der):
        assert certificate.cut(b"\x10\x01\x00" + len(inner).to_bytes(2, "big") + inner + b"\xff" * 9) == der


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("id:49465800", "IFX"),
        ("IFX", "IFX"),
        ("IFX\0", "IFX"),
        ("ifx", "IFX"),
        ("0x49465800", "IFX"),
        ("ID:53544D20", "STM"),
        ("STM ", "STM"),
        ("STM", "STM"),
        ("id:4E544300", "NTC"),
        ("id:494E5443", "INTC"),
        ("id:414D4400", "AMD"),
        ("id:4D534654", "MSFT"),
        ("id:474F4F47", "GOOG"),
        ("id:4E545A00", "NTZ"),
        ("id:00001014", "IBM"),
        ("id:1014", "IBM"),
        ("IBM", "IBM"),
        ("id:49424D00", "IBM"),
        ("id:58595A00", "58595a00"),
        ("id:58595A20", "58595a00"),
        ("XYZ", "58595a00"),
        ("xyz ", "78797a00"),
        ("id:00000001", "00000001"),
        ("", ""),
        ("id:", "69643a00"),
        ("Infineon", "infineon"),
    ],
)
def test_a_manufacturer_has_one_name(written: str, name: str) -> None:
    assert vendors.normalise(written) == name
    assert vendors.normalise(name) == name


def ders(found: t.Sequence[x509.Certificate]) -> list[bytes]:
    return [one.public_bytes(ek_lab.serialization.Encoding.DER) for one in found]


def test_a_chain_over_several_indices() -> None:
    authorities = [ROOT.sub(f"CA {number}") for number in range(3)]
    wanted = [one.der for one in authorities]
    row = b"".join(wanted)
    for indices in (
        wanted,
        [row],
        [row[:100], row[100:]],
        [row[:700], row[700:900], row[900:]],
        [wanted[0] + b"\xff" * 7, b"".join(wanted[1:])],
    ):
        found, notes = certificate.chain_in(indices)
        assert (ders(found), notes) == (wanted, [])


def test_a_chain_with_garbage_after_it() -> None:
    wanted = [ROOT.sub("CA").der, ROOT.der]
    for garbage in (b"\x30\x82\xff\xff\x01", b"garbage", b"\x30\x03\x02\x01\x05"):
        found, notes = certificate.chain_in([b"".join(wanted) + garbage])
        assert ders(found) == wanted
        assert f"{len(garbage)} bytes are no certificate" in notes[0]


def test_garbage_in_one_index_does_not_hide_the_next() -> None:
    found, notes = certificate.chain_in([b"torn", ROOT.der])
    assert ders(found) == [ROOT.der] and "4 bytes" in notes[0]
    found, _notes = certificate.chain_in([ROOT.sub("CA").der[:-5], ROOT.der])
    assert ROOT.der in ders(found)


def test_a_chain_is_bounded() -> None:
    assert certificate.chain_in([]) == ([], [])
    found, notes = certificate.chain_in([bytes(65537)])
    assert found == [] and "65537 bytes, more than 65536" in notes[0]
    assert certificate.chain_in([b"\x30\x00" * 30000 + ROOT.der])[0] == []
    many = [ROOT.sub(f"CA {number}").der for number in range(certificate.MAX_CHAIN + 3)]
    assert len(certificate.chain_in(many)[0]) == certificate.MAX_CHAIN


@pytest.mark.parametrize(
    ("data", "telling"),
    [
        (b"", "ends within an element"),
        (b"\x30\x82\x01", "malformed|should have"),
        (b"\x30\x81\x05abcde", "length in it is malformed"),
        (b"\x30\x85\0\0\0\0\x01a", "length in it is malformed"),
        (b"\x30\x05abcd", "should have 7 bytes and ends after 6"),
    ],
)
def test_der_that_does_not_fit(data: bytes, telling: str) -> None:
    with pytest.raises(ValueError, match=telling):
        der.element_at(data)


def test_every_truncation_is_a_verdict() -> None:
    der = ROOT.ek(KEY)
    for size in range(1, len(der)):
        with pytest.raises(TrustError):
            certificate.read(der[:size])


def test_every_changed_byte_is_a_verdict_or_a_certificate() -> None:
    """Nothing but TrustError comes out, whatever stands in NV."""
    der = ROOT.ek(ek_lab.rsa_key().public_key())
    refused = 0
    for at in range(len(der)):
        for value in (0x00, 0xFF, der[at] ^ 0x20):
            try:
                certificate.read(der[:at] + bytes([value]) + der[at + 1 :])
            except TrustError as error:
                refused += 1
                assert error.message.isprintable()
    assert refused > 100


def test_a_key_that_is_neither_rsa_nor_ecc() -> None:
    from cryptography.hazmat.primitives.asymmetric import ed25519

    odd = ed25519.Ed25519PrivateKey.generate().public_key()
    der = ROOT.ek(t.cast(t.Any, odd), extensions=ek_lab.ek_extensions(KEY))
    with pytest.raises(TrustError, match="neither RSA nor ECC"):
        certificate.read(der)


def test_ek_templates() -> None:
    names = [name for name, entry in templates.PRIMARIES.items() if entry[0] == "ek"]
    assert len(names) == 8
    for name in names:
        private = ek_lab.ecc_key(name[-4:]) if "_ecc_" in name else ek_lab.rsa_key(int(name[-4:]))
        ek.check_ek(ek_lab.ek_area(name, private.public_key()))


@pytest.mark.parametrize("name", ["srk_ecc_p256", "iak_ecc_p256", "idevid_ecc_p256"])
def test_other_keys_are_no_eks(name: str) -> None:
    with pytest.raises(TrustError, match="no EK template") as caught:
        ek.check_ek(ek_lab.ek_area(name, KEY))
    assert caught.value.reason == "not_an_ek"
