# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths from a certificate to a trust anchor; each fault by its own sentence."""

from __future__ import annotations

import pytest
from cryptography import x509
from support import lab_ca
from support.lab_ca import DAY, NOW

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import chain
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.chain import CertificateError

ROOT = lab_ca.root()
MIDDLE = ROOT.below("Middle")
ISSUING = MIDDLE.below("Issuing")
LEAF = ISSUING.certify("leaf", lab_ca.new_key(), ca=False)
POOL = [ISSUING.certificate, MIDDLE.certificate]


def labels(path: list[x509.Certificate]) -> list[str]:
    return [chain.label(one) for one in path]


def follow(leaf: x509.Certificate, pool: list[x509.Certificate], anchor: lab_ca.Ca = ROOT) -> list[x509.Certificate]:
    return chain.follow(leaf, pool, [anchor.certificate], NOW, "the certificate")


@pytest.mark.parametrize("pool", [POOL, POOL[::-1], [LEAF, *POOL, ROOT.certificate, LEAF]])
def test_a_path_is_found_in_any_order(pool: list[x509.Certificate]) -> None:
    assert labels(follow(LEAF, pool)) == ["CN=leaf", "CN=Issuing", "CN=Middle", "CN=Lab Root"]


def test_an_anchor_need_not_be_a_root() -> None:
    assert labels(follow(LEAF, POOL, MIDDLE)) == ["CN=leaf", "CN=Issuing", "CN=Middle"]
    assert labels(follow(ROOT.certificate, [])) == ["CN=Lab Root"]


def test_no_path() -> None:
    with pytest.raises(CertificateError, match=r"no CA that is trusted here issued it, nor what issued it \(CN=Issuing\)"):
        follow(LEAF, [ISSUING.certificate])
    with pytest.raises(CertificateError, match="no CA that is trusted here"):
        follow(LEAF, POOL, lab_ca.root())


def test_a_ca_of_the_same_name_is_not_the_same_ca() -> None:
    forged = lab_ca.root().below("Issuing")
    with pytest.raises(CertificateError, match="no CA that is trusted here"):
        follow(forged.certify("leaf", lab_ca.new_key(), ca=False), POOL)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"not_after": NOW - DAY}, "of CN=CA, which issued it, it expired on 2026-05-31T12:00:00Z"),
        ({"not_before": NOW + DAY}, "of CN=CA, which issued it, it is not valid before"),
        ({"ca": False}, "of CN=CA, which issued it, its basicConstraints do not say CA:TRUE"),
        ({"cert_sign": False}, "of CN=CA, which issued it, its keyUsage lacks keyCertSign"),
        ({"extra": [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"), True)]}, "critical extension 1.2.3.4"),
        ({"extra": [(x509.NameConstraints([x509.DNSName("a")], None), True)]}, "critical extension 2.5.29.30"),
    ],
)
def test_a_ca_in_between_that_is_wrong(options: dict[str, object], told: str) -> None:
    between = ROOT.below("CA", **options)
    with pytest.raises(CertificateError, match=told):
        follow(between.certify("leaf", lab_ca.new_key(), ca=False), [between.certificate])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"not_after": NOW - DAY}, "Could not accept the certificate: it expired on"),
        ({"not_before": NOW + DAY}, "Could not accept the certificate: it is not valid before"),
        ({"extra": [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"), True)]}, "critical extension 1.2.3.4"),
    ],
)
def test_a_leaf_that_is_wrong(options: dict[str, object], told: str) -> None:
    with pytest.raises(CertificateError, match=told):
        follow(ROOT.certify("leaf", lab_ca.new_key(), ca=False, **options), [])


def test_the_path_length_holds() -> None:
    top = lab_ca.root("Top", path_length=1)
    first = top.below("First")
    second = first.below("Second")
    right = first.certify("leaf", lab_ca.new_key(), ca=False)
    assert len(chain.follow(right, [first.certificate], [top.certificate], NOW, "it")) == 3
    wrong = second.certify("leaf", lab_ca.new_key(), ca=False)
    with pytest.raises(CertificateError, match="of CN=Top, which issued it, its path length constraint of 1 is exceeded"):
        chain.follow(wrong, [second.certificate, first.certificate], [top.certificate], NOW, "it")


def test_a_chain_that_never_ends_is_given_up() -> None:
    cas = [ROOT]
    for number in range(chain.MAX_DEPTH + 2):
        cas.append(cas[-1].below(f"CA {number}"))
    leaf = cas[-1].certify("leaf", lab_ca.new_key(), ca=False)
    with pytest.raises(CertificateError, match="longer than 8 certificates"):
        follow(leaf, [one.certificate for one in cas[1:]])


def test_cas_that_issued_one_another_are_no_endless_loop() -> None:
    one, other = lab_ca.root("One"), lab_ca.root("Other")
    crossed = [lab_ca.certify("One", one.key, issuer=other), lab_ca.certify("Other", other.key, issuer=one)]
    leaf = one.certify("leaf", lab_ca.new_key(), ca=False)
    with pytest.raises(CertificateError, match="no CA that is trusted here"):
        follow(leaf, crossed)
    assert len(chain.follow(leaf, crossed, [other.certificate], NOW, "it")) == 3


def test_a_maze_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty CAs of one key and one name that all issue one another, millions of ways: the tries are counted, not the clock."""
    maze = lab_ca.root("Maze")
    pool = [lab_ca.certify("Maze", maze.key, issuer=maze) for _each in range(20)]
    tries = []
    genuine = chain.issued
    monkeypatch.setattr(chain, "issued", lambda *pair: tries.append(pair) or genuine(*pair))
    leaf = maze.certify("leaf", lab_ca.new_key(), ca=False)
    with pytest.raises(
        CertificateError, match="Could not accept the certificate: more than 256 ways lead up from it; give no CA but those"
    ):
        follow(leaf, pool)
    assert len(tries) == chain.MAX_STEPS
    tries.clear()
    assert follow(leaf, pool, maze) == [leaf, maze.certificate] and len(tries) == 1


def test_certificates_of_other_names_are_no_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "MAX_STEPS", 3)
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
