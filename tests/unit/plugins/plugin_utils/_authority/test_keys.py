# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening private keys, and which keys are strong enough."""

from __future__ import annotations

import pathlib
import subprocess
import traceback

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from support import lab_ca

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import DependencyError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.keys import AuthorityError, KeyTypeError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import deps

WRONG = "wrong-and-secret"


def write(path: pathlib.Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


@pytest.mark.parametrize("kind", ["ecc_p256", "ecc_p384", "rsa_2048"])
def test_a_protected_key_opens(tmp_path: pathlib.Path, kind: str) -> None:
    key = lab_ca.new_key(kind)
    path = write(tmp_path / "key.pem", lab_ca.private_pem(key))
    opened = keys.load_private_key(path, lab_ca.PASSWORD)
    assert keys.to_pem(opened.public_key()) == lab_ca.public_pem(key)


@pytest.mark.parametrize("cipher", ["-aes256", "-des3"])
@pytest.mark.parametrize("form", ["-traditional", ""])
def test_keys_that_openssl_protects_open(tmp_path: pathlib.Path, cipher: str, form: str) -> None:
    path = tmp_path / "key.pem"
    plain = lab_ca.private_pem(lab_ca.new_key(), None)
    command = ["openssl", "pkey", cipher, *([form] if form else []), "-passout", f"pass:{lab_ca.PASSWORD}", "-out", str(path)]
    subprocess.run(command, input=plain, check=True)
    assert keys.load_private_key(str(path), lab_ca.PASSWORD).key_size == 256


def test_the_password_is_wrong_and_is_not_told(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "key.pem", lab_ca.private_pem(lab_ca.new_key()))
    with pytest.raises(AuthorityError, match="the password is wrong") as caught:
        keys.load_private_key(path, WRONG)
    assert WRONG not in "".join(traceback.format_exception(caught.value))


def test_no_password_is_given(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "key.pem", lab_ca.private_pem(lab_ca.new_key()))
    with pytest.raises(AuthorityError, match="protected by a password and none is given"):
        keys.load_private_key(path, None)


def test_an_unprotected_key_is_refused_unless_it_is_allowed(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "key.pem", lab_ca.private_pem(lab_ca.new_key(), None))
    for password in (None, lab_ca.PASSWORD):
        with pytest.raises(AuthorityError, match="not protected by a password"):
            keys.load_private_key(path, password)
    assert keys.load_private_key(path, None, allow_unencrypted=True).key_size == 256


@pytest.mark.parametrize("data", [b"", b"nothing of the kind\n", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_no_key(tmp_path: pathlib.Path, data: bytes) -> None:
    with pytest.raises(AuthorityError, match="no private key in PEM form"):
        keys.load_private_key(write(tmp_path / "key.pem", data), lab_ca.PASSWORD)


def test_a_public_key_is_no_private_key(tmp_path: pathlib.Path) -> None:
    with pytest.raises(AuthorityError, match="no private key in PEM form"):
        keys.load_private_key(write(tmp_path / "key.pem", lab_ca.public_pem(lab_ca.new_key()).encode()), None)


def test_no_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(AuthorityError, match="No such file"):
        keys.load_private_key(str(tmp_path / "absent.pem"), None)
    with pytest.raises(AuthorityError, match="Is a directory"):
        keys.load_private_key(str(tmp_path), None)


@pytest.mark.parametrize(("kind", "told"), [("rsa_1024", "RSA of 1024 bits"), ("ecc_k256", "ECC secp256k1"), ("ecc_p521", "ECC secp521r1")])
def test_a_key_with_which_no_ca_signs(tmp_path: pathlib.Path, kind: str, told: str) -> None:
    path = write(tmp_path / "key.pem", lab_ca.private_pem(lab_ca.new_key(kind)))
    with pytest.raises(KeyTypeError, match=f"to sign: it is {told}"):
        keys.load_private_key(path, lab_ca.PASSWORD)


@pytest.mark.parametrize(("kind", "told"), [("rsa_1024", "RSA of 1024 bits"), ("ecc_k256", "ECC secp256k1")])
def test_a_device_key_that_is_too_weak(kind: str, told: str) -> None:
    with pytest.raises(KeyTypeError, match=told):
        keys.public_key(lab_ca.public_pem(lab_ca.new_key(kind)), "the key")


def test_a_device_key_of_another_type() -> None:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(KeyTypeError, match="Ed25519PublicKey"):
        keys.public_key(der, "the key")


@pytest.mark.parametrize("data", ["", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", b"\x30\x00", "\ud800"])
def test_no_public_key(data: str | bytes) -> None:
    with pytest.raises(KeyTypeError, match="no public key in PEM or DER form"):
        keys.public_key(data, "the key")


@pytest.mark.parametrize(("kind", "name"), [("ecc_p256", "sha256"), ("ecc_p384", "sha384"), ("ecc_p521", "sha512"), ("rsa_2048", "sha256")])
def test_signatures_and_their_hash(kind: str, name: str) -> None:
    key = lab_ca.new_key(kind)
    algorithm = keys.hash_for(key.public_key())
    assert algorithm.name == name
    signature = keys.sign(key, b"data", algorithm)
    assert keys.is_signed(key.public_key(), signature, b"data", algorithm)
    assert not keys.is_signed(key.public_key(), signature, b"date", algorithm)
    assert not keys.is_signed(lab_ca.new_key(kind).public_key(), signature, b"data", algorithm)
    assert not keys.is_signed(key.public_key(), b"\x30\x03junk", b"data", hashes.SHA256())


def test_cryptography_is_missing_or_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    deps.require("test")
    monkeypatch.setattr(deps.cryptography, "__version__", "41.0.7")
    with pytest.raises(DependencyError, match=r"Could not test: .*cryptography 42 or newer \(its version is 41.0.7\)"):
        deps.require("test")
    monkeypatch.setattr(deps, "IMPORT_ERROR", ImportError("No module named 'cryptography'"))
    with pytest.raises(DependencyError, match="No module named 'cryptography'"):
        deps.require("test")
