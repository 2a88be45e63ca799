# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PKCS#10 in two steps, as for a key that never leaves its TPM."""

from __future__ import annotations

import base64
import pathlib
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from support import lab_ca

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import keys, profile, request
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.keys import KeyTypeError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.request import RequestError

SUBJECT = profile.DeviceSubject("SN-0001", b"49424D00:AB12:01", organization="Edge Fleet")
KINDS = ["ecc_p256", "ecc_p384", "ecc_p521", "rsa_2048"]


def make(key: lab_ca.Key, subject: profile.DeviceSubject = SUBJECT) -> str:
    to_sign = request.to_be_signed(lab_ca.public_pem(key), subject)
    return request.assemble(to_sign, keys.sign(key, to_sign, keys.hash_for(key.public_key())))


def raw(pem: str) -> bytes:
    return base64.b64decode("".join(pem.splitlines()[1:-1]))


@pytest.mark.parametrize("kind", KINDS)
def test_openssl_accepts_it(tmp_path: pathlib.Path, kind: str) -> None:
    key = lab_ca.new_key(kind)
    path = tmp_path / "device.csr"
    path.write_text(make(key))
    done = subprocess.run(
        ["openssl", "req", "-verify", "-in", path, "-noout", "-subject", "-text"], capture_output=True, text=True, check=True
    )
    assert "verify OK" in done.stderr + done.stdout
    assert "subject=O = Edge Fleet, CN = SN-0001, serialNumber = SN-0001" in done.stdout
    assert "X509v3 Subject Alternative Name" in done.stdout
    public = subprocess.run(["openssl", "req", "-in", path, "-noout", "-pubkey"], capture_output=True, text=True, check=True).stdout
    assert public == lab_ca.public_pem(key)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_read_back(kind: str) -> None:
    key = lab_ca.new_key(kind)
    pem = make(key)
    found = request.verify(pem, public_key=lab_ca.public_pem(key), serial="SN-0001")
    assert found.serial == "SN-0001" and found.pem == pem and found == request.verify(raw(pem))
    assert keys.to_pem(found.public_key) == lab_ca.public_pem(key)


def test_what_is_signed_does_not_change_with_the_signature() -> None:
    key = lab_ca.new_key()
    assert request.to_be_signed(key.public_key(), SUBJECT) == request.to_be_signed(lab_ca.public_pem(key), SUBJECT)
    assert request.digest_name(key.public_key()) == "sha256"
    assert request.digest_name(lab_ca.public_pem(lab_ca.new_key("ecc_p384"))) == "sha384"


def test_one_altered_byte_anywhere_is_noticed() -> None:
    key = lab_ca.new_key()
    der = raw(make(key))
    for at in range(len(der)):
        with pytest.raises((RequestError, KeyTypeError), match="Could not"):
            request.verify(der[:at] + bytes([der[at] ^ 1]) + der[at + 1 :], public_key=key.public_key(), serial="SN-0001")


def test_another_subject_under_the_same_signature() -> None:
    key = lab_ca.new_key()
    der = raw(make(key))
    with pytest.raises(RequestError, match="its signature is not that of its key over its content; it was altered"):
        request.verify(der.replace(b"SN-0001", b"SN-0002"))


def test_a_signature_by_another_key() -> None:
    to_sign = request.to_be_signed(lab_ca.new_key().public_key(), SUBJECT)
    with pytest.raises(RequestError, match="its signature is not that of its key"):
        request.verify(request.assemble(to_sign, keys.sign(lab_ca.new_key(), to_sign, hashes.SHA256())))


def test_a_request_for_another_key() -> None:
    with pytest.raises(RequestError, match="the certificate request of SN-0001: it is for another key"):
        request.verify(make(lab_ca.new_key()), public_key=lab_ca.public_pem(lab_ca.new_key()), serial="SN-0001")


def test_a_request_of_another_device() -> None:
    key = lab_ca.new_key()
    with pytest.raises(RequestError, match="the serial number in it is SN-0002; make it anew for this device"):
        request.verify(make(key, SUBJECT._replace(serial="SN-0002")), serial="SN-0001")
    nameless = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")]))
    with pytest.raises(RequestError, match="the serial number in it is missing"):
        request.verify(nameless.sign(key, hashes.SHA256()).public_bytes(lab_ca.serialization.Encoding.PEM), serial="SN-0001")


@pytest.mark.parametrize(
    "data", ["", "text", b"\x30\x00", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"]
)
def test_no_request(data: str | bytes) -> None:
    with pytest.raises(RequestError, match="no well-formed PKCS#10 request"):
        request.verify(data)


def test_every_truncation_is_noticed() -> None:
    der = raw(make(lab_ca.new_key()))
    for size in range(len(der)):
        with pytest.raises(RequestError, match="no well-formed PKCS#10 request"):
            request.verify(der[:size])


def test_a_weak_key() -> None:
    key = lab_ca.new_key("rsa_1024")
    weak = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    with pytest.raises(KeyTypeError, match="the key of the certificate request: it is RSA of 1024 bits"):
        request.verify(weak.public_bytes(lab_ca.serialization.Encoding.PEM))
    with pytest.raises(KeyTypeError, match="RSA of 1024 bits"):
        request.to_be_signed(lab_ca.public_pem(key), SUBJECT)


def test_a_subject_that_does_not_fit() -> None:
    with pytest.raises(InputError, match="X.520 allows"):
        request.to_be_signed(lab_ca.new_key().public_key(), SUBJECT._replace(serial="SN#1"))


def test_what_was_signed_is_no_request() -> None:
    with pytest.raises(RequestError, match="no CertificationRequestInfo"):
        request.assemble(b"\x30\x03\x02\x01\x00", b"signature")
