# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths from a certificate to a trust anchor; each fault by its own sentence."""

from __future__ import annotations

import typing as t

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from support import ek_lab, lab_ca
from support.lab_ca import DAY, NOW

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import chain
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.chain import CertificateError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import certificates
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import path as ways

ROOT = lab_ca.root()
MIDDLE = ROOT.below("Middle")
ISSUING = MIDDLE.below("Issuing")
LEAF = ISSUING.certify("leaf", lab_ca.new_key(), ca=False)
POOL = [ISSUING.certificate, MIDDLE.certificate]


def labels(path: list[x509.Certificate]) -> list[str]:
    return [certificates.label(one) for one in path]


def follow(leaf: x509.Certificate, pool: list[x509.Certificate], anchor: lab_ca.Ca = ROOT) -> list[x509.Certificate]:
    return chain.follow(leaf, pool, [anchor.certificate], NOW, "the certificate")


@pytest.mark.parametrize("pool", [POOL, POOL[::-1], [LEAF, *POOL, ROOT.certificate, LEAF]])
def test_a_path_is_found_in_any_order(pool: list[x509.Certificate]) -> None:
    assert labels(follow(LEAF, pool)) == ["CN=leaf", "CN=Issuing", "CN=Middle", "CN=Lab Root"]


def test_an_anchor_need_not_be_a_root() -> None:
    assert labels(follow(LEAF, POOL, MIDDLE)) == ["CN=leaf", "CN=Issuing", "CN=Middle"]
    assert labels(follow(ROOT.certificate, [])) == ["CN=Lab Root"]


def refused(leaf: x509.Certificate, pool: list[x509.Certificate], anchor: lab_ca.Ca = ROOT) -> CertificateError:
    with pytest.raises(CertificateError) as caught:
        follow(leaf, pool, anchor)
    return caught.value


def test_no_path() -> None:
    told = refused(LEAF, [ISSUING.certificate])
    assert told.reason == "unknown_issuer"
    assert told.message == (
        "Could not accept the certificate: CN=Middle, who issued the certificate of CN=Issuing, is not known; give the CA's certificate and "
        "all intermediate ones, and no others."
    )
    assert refused(LEAF, POOL, lab_ca.root()).reason == "unknown_issuer"
    assert refused(LEAF, [*POOL, ROOT.certificate], lab_ca.root("Other")).reason == "unknown_root"


def test_a_ca_of_the_same_name_is_not_the_same_ca() -> None:
    forged = lab_ca.root().below("Issuing").certify("leaf", lab_ca.new_key(), ca=False)
    assert refused(forged, POOL).reason == "unknown_issuer"


def odd(critical: bool = True) -> dict[str, object]:
    return {"extra": [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"), critical)]}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"not_after": NOW - DAY}, "expired"),
        ({"not_before": NOW + DAY}, "not_yet_valid"),
        ({"ca": False}, "wrong_usage"),
        ({"ca": None}, "wrong_usage"),
        ({"cert_sign": False}, "wrong_usage"),
        (odd(), "wrong_usage"),
        ({"extra": [(x509.NameConstraints([x509.DNSName("a")], None), True)]}, "wrong_usage"),
        ({"extra": [(x509.NameConstraints([x509.DNSName("a")], None), False)]}, "wrong_usage"),
        ({"kind": "rsa_1024"}, "bad_signature"),
    ],
)
def test_a_ca_in_between_that_is_wrong(options: dict[str, object], reason: str) -> None:
    between = ROOT.below("CA", **t.cast("t.Any", options))
    told = refused(between.certify("leaf", lab_ca.new_key(), ca=False), [between.certificate])
    assert (told.reason, "CN=CA" in told.message) == (reason, True), told.message


@pytest.mark.parametrize("kind", ["p192", "rsa_2048_sha1"])
def test_a_signature_that_can_be_forged(kind: str) -> None:
    """What openssl and cryptography let pass: a CA on a short curve, and SHA-1."""
    key = ec.generate_private_key(ec.SECP192R1()) if kind == "p192" else lab_ca.new_key("rsa_2048")
    between = lab_ca.Ca(key, ROOT.certify("CA", key))
    leaf = between.certify("leaf", lab_ca.new_key(), ca=False)
    if kind != "p192":
        leaf = x509.load_der_x509_certificate(ek_lab.as_sha1(certificates.der_of(leaf), key))
    assert refused(leaf, [between.certificate]).reason == "bad_signature"


@pytest.mark.parametrize(
    ("options", "reason"), [({"not_after": NOW - DAY}, "expired"), ({"not_before": NOW + DAY}, "not_yet_valid"), (odd(), "wrong_usage")]
)
def test_a_leaf_that_is_wrong(options: dict[str, object], reason: str) -> None:
    leaf = ROOT.certify("leaf", lab_ca.new_key(), ca=False, **options)
    assert refused(leaf, []).reason == reason
    itself = lab_ca.root("Lone", **t.cast("t.Any", options))
    assert refused(itself.certificate, [], itself).reason == reason


def test_the_path_length_holds() -> None:
    top = lab_ca.root("Top", path_length=1)
    first = top.below("First")
    second = first.below("Second")
    right = first.certify("leaf", lab_ca.new_key(), ca=False)
    assert len(chain.follow(right, [first.certificate], [top.certificate], NOW, "it")) == 3
    wrong = second.certify("leaf", lab_ca.new_key(), ca=False)
    told = refused(wrong, [second.certificate, first.certificate], top)
    assert told.reason == "wrong_usage" and "CN=Top may have 1 CAs below it, but there are 2" in told.message


def test_a_chain_that_never_ends_is_given_up() -> None:
    cas = [ROOT]
    for number in range(ways.MAX_DEPTH + 2):
        cas.append(cas[-1].below(f"CA {number}"))
    leaf = cas[-1].certify("leaf", lab_ca.new_key(), ca=False)
    assert "longer than 8 certificates" in refused(leaf, [one.certificate for one in cas[1:]]).message


def test_cas_that_issued_one_another_are_no_endless_loop() -> None:
    one, other = lab_ca.root("One"), lab_ca.root("Other")
    crossed = [lab_ca.certify("One", one.key, issuer=other), lab_ca.certify("Other", other.key, issuer=one)]
    leaf = one.certify("leaf", lab_ca.new_key(), ca=False)
    assert refused(leaf, crossed).reason == "unknown_issuer"
    assert len(chain.follow(leaf, crossed, [other.certificate], NOW, "it")) == 3


def test_a_maze_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty CAs of one key under two names that all issue one another, millions of ways: the tries are counted, not the clock."""
    maze = lab_ca.root("North")
    south = lab_ca.Ca(maze.key, lab_ca.certify("South", maze.key, issuer=None))
    pool = [lab_ca.certify(name, maze.key, issuer=above) for name, above in (("South", maze), ("North", south)) for _each in range(10)]
    tries = []
    genuine = ways.bad_signature
    monkeypatch.setattr(ways, "bad_signature", lambda *pair: tries.append(pair) or genuine(*pair))
    leaf = maze.certify("leaf", lab_ca.new_key(), ca=False)
    assert refused(leaf, pool).reason == "unknown_issuer"
    assert len(tries) == ways.MAX_STEPS
    tries.clear()
    assert follow(leaf, pool, maze) == [leaf, maze.certificate] and len(tries) == 1


def test_certificates_of_other_names_are_no_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "MAX_STEPS", 3)
    others = [lab_ca.root(f"Other {number}").certificate for number in range(10)]
    assert len(follow(LEAF, [*others, *POOL, *POOL])) == 4


def test_a_text_that_cannot_be_encoded() -> None:
    with pytest.raises(CertificateError, match="Could not read it: it holds no well-formed certificate"):
        chain.load("\ud800", "it")


def test_der_and_pem_are_read() -> None:
    der = LEAF.public_bytes(lab_ca.serialization.Encoding.DER)
    assert chain.load(der, "it") == chain.load(lab_ca.pem(LEAF), "it") == [LEAF]


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_torn_certificate(cut: int) -> None:
    with pytest.raises(CertificateError, match="Could not read it: it holds no well-formed certificate"):
        chain.load(LEAF.public_bytes(lab_ca.serialization.Encoding.DER)[:-cut], "it")


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_a_certificate_with_any_byte_altered_is_refused_in_one_sentence() -> None:
    der = LEAF.public_bytes(lab_ca.serialization.Encoding.DER)
    for at in range(len(der)):
        for bit in (0x01, 0x20, 0x80):
            with pytest.raises(CertificateError, match="Could not"):
                (altered,) = chain.load(der[:at] + bytes([der[at] ^ bit]) + der[at + 1 :], "it")
                follow(altered, POOL)
