# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The public keys of TPM objects as other programs know them, and signatures, each also checked by `openssl`."""

from __future__ import annotations

import hashlib
import json
import pathlib
import struct
import subprocess
import sys
import typing as t

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from support import ek_lab
from support.ek_lab import signed

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attest, keyfile, names, templates
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import DependencyError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import sized
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "fixtures"
OBJECTS: list[dict[str, str]] = json.loads((FIXTURES / "publics.json").read_text())["objects"]


def asymmetric() -> list[names.Public]:
    found = [names.parse_public(bytes.fromhex(one["public"])[2:]) for one in OBJECTS]
    return [one for one in found if one.type in (alg.RSA, alg.ECC)]


def key_area(key: ek_lab.PrivateKey, scheme: int = alg.NULL, digest: int = alg.SHA256) -> names.Public:
    """The public area of an unrestricted signing key."""
    public = key.public_key()
    chosen = templates.NO_SCHEME if scheme == alg.NULL else struct.pack(">HH", scheme, digest)
    if isinstance(public, rsa.RSAPublicKey):
        shape = templates.Shape("rsa", public.key_size, alg.SHA256, 128)
    else:
        shape = templates.Shape("ecc", {256: 3, 384: 4, 521: 5}[public.curve.key_size], alg.SHA256, 128)
    return ek_lab.area(templates.public(shape, templates.IDEVID_ATTRIBUTES, b"", chosen, aes=False), public)


@pytest.mark.parametrize("public", asymmetric(), ids=lambda one: f"{one.algorithm}-{names.scheme_name(one.scheme)}")
def test_keys_of_a_tpm_are_what_openssl_reads_from_their_pem(public: names.Public) -> None:
    pem = keyfile.public_pem(public).encode()
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=pem, capture_output=True, check=True, timeout=60).stdout
    assert _keys.spki(public) == der
    assert _keys.spki_sha256(public) == hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize("curve", ["p256", "p384", "p521"])
def test_coordinates_without_their_leading_zeros(curve: str) -> None:
    key = next(key for key in iter(lambda: ek_lab.ecc_key(curve), None) if _short(key))
    public = key_area(key)
    point = key.public_key().public_numbers()
    short = b"".join(sized(one.to_bytes((one.bit_length() + 7) // 8, "big")) for one in (point.x, point.y))
    assert len(short) < len(public.unique)
    bare = names.parse_public(public.raw[: -len(public.unique)] + short)
    assert _keys.spki(bare) == _keys.spki(public)
    assert _keys.public_key(bare).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    ) == _keys.spki_of(key.public_key())


def _short(key: ec.EllipticCurvePrivateKey) -> bool:
    return key.public_key().public_numbers().x.bit_length() <= key.curve.key_size // 8 * 8 - 8


def test_an_exponent_of_zero_is_the_usual_one() -> None:
    public = key_area(ek_lab.rsa_key())
    assert public.detail[2:] == bytes(4)
    written = names.parse_public(public.raw.replace(b"\x08\x00\0\0\0\0", b"\x08\x00\0\x01\0\x01", 1))
    assert _keys.spki(written) == _keys.spki(public) == _keys.spki_of(ek_lab.rsa_key().public_key())


def _impossible() -> dict[str, tuple[names.Public, str]]:
    ecc, rsa_ = key_area(ek_lab.ecc_key()), key_area(ek_lab.rsa_key())
    odd = ecc.unique[:-1] + bytes([ecc.unique[-1] ^ 1])
    return {
        "off the curve": (ecc._replace(unique=odd), "no such key"),
        "infinity": (ecc._replace(unique=bytes(4)), "no such key"),
        "beyond the field": (ecc._replace(unique=sized(b"\xff" * 40) * 2), "no such key"),
        "short modulus": (rsa_._replace(unique=sized(rsa_.unique[2:130])), "modulus has 1024 bits, not 2048"),
        "no modulus": (templates.primary("ek_ecc_p256"), "no such key"),
        "even exponent": (rsa_._replace(detail=b"\x08\0\0\0\0\x04"), "no such key"),
        "keyedhash": (names.parse_public(bytes.fromhex(OBJECTS[10]["public"])[2:]), "neither RSA nor ECC"),
        "another curve": (ecc._replace(detail=b"\0\x20\0\x10"), "neither RSA nor ECC"),
    }


@pytest.mark.parametrize("case", list(_impossible()))
def test_a_key_that_cannot_be(case: str) -> None:
    public, telling = _impossible()[case]
    with pytest.raises(_keys.KeyMaterialError, match=telling):
        _keys.public_key(public)


MADE = [
    ("rsassa", lambda: (ek_lab.rsa_key(), alg.RSASSA, alg.SHA256)),
    ("rsapss", lambda: (ek_lab.rsa_key(), alg.RSAPSS, alg.SHA256)),
    ("rsapss-384", lambda: (ek_lab.rsa_key(3072), alg.RSAPSS, alg.SHA384)),
    ("p256", lambda: (ek_lab.ecc_key(), alg.ECDSA, alg.SHA256)),
    ("p384", lambda: (ek_lab.ecc_key("p384"), alg.ECDSA, alg.SHA384)),
    ("p521", lambda: (ek_lab.ecc_key("p521"), alg.ECDSA, alg.SHA384)),
]


@pytest.mark.parametrize("make", [one[1] for one in MADE], ids=[one[0] for one in MADE])
@pytest.mark.parametrize("own_scheme", [True, False])
def test_a_signature(make: t.Callable[[], tuple[t.Any, int, int]], own_scheme: bool, tmp_path: pathlib.Path) -> None:
    key, scheme, digest = make()
    public = key_area(key, scheme if own_scheme else alg.NULL, digest)
    signature = signed(key, b"data", scheme, digest)
    assert _keys.verify(public, signature, b"data") == attest.parse_signature(signature)
    for bad in (signature[:-1] + bytes([signature[-1] ^ 1]), signed(key, b"date", scheme, digest)):
        with pytest.raises(_keys.SignatureError, match="not the .* key's over these bytes"):
            _keys.verify(public, bad, b"data")
    _check_with_openssl(key, signature, scheme, digest, tmp_path)


def _check_with_openssl(key: t.Any, signature: bytes, scheme: int, digest: int, folder: pathlib.Path) -> None:
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for name, data in (("pem", pem), ("sig", _keys.openssl_signature(signature)), ("data", b"data")):
        (folder / name).write_bytes(data)
    options = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:auto"] if scheme == alg.RSAPSS else []
    command = ["openssl", "dgst", f"-{alg.HASHES[digest]}", "-verify", "pem", *options, "-signature", "sig", "data"]
    assert subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=60).stdout == b"Verified OK\n"


def test_the_longest_salt_is_accepted_too() -> None:
    key = ek_lab.rsa_key()
    _keys.verify(key_area(key, alg.RSAPSS), signed(key, b"data", alg.RSAPSS, salt=padding.PSS.MAX_LENGTH), b"data")


def test_another_key_of_the_same_kind() -> None:
    key = ek_lab.ecc_key()
    with pytest.raises(_keys.SignatureError, match="not the ecc_p256 key's"):
        _keys.verify(key_area(ek_lab.ecc_key()), signed(key, b"data", alg.ECDSA), b"data")


@pytest.mark.parametrize(
    ("own", "used", "telling"),
    [
        ((alg.RSASSA, alg.SHA256), (alg.RSAPSS, alg.SHA256), "made with rsapss-sha256, but the rsa_2048 key signs with rsassa-sha256"),
        ((alg.RSASSA, alg.SHA256), (alg.RSASSA, alg.SHA384), "made with rsassa-sha384, but the rsa_2048 key signs with rsassa-sha256"),
        ((alg.RSASSA, alg.SHA384), (alg.RSASSA, alg.SHA256), "made with rsassa-sha256, but the rsa_2048 key signs with rsassa-sha384"),
        ((alg.NULL, 0), (alg.RSASSA, alg.SHA1), "its hash is sha1"),
        ((alg.RSASSA, alg.SHA1), (alg.RSASSA, alg.SHA1), "its hash is sha1"),
    ],
)
def test_another_scheme_or_hash_than_the_keys(own: tuple[int, int], used: tuple[int, int], telling: str) -> None:
    key = ek_lab.rsa_key()
    with pytest.raises(_keys.SignatureError, match=telling):
        _keys.verify(key_area(key, *own), signed(key, b"data", *used), b"data")


def test_a_signature_of_another_type_of_key() -> None:
    key = ek_lab.ecc_key()
    with pytest.raises(_keys.SignatureError, match="made with ecdsa-sha256, but the rsa_2048 key signs with null"):
        _keys.verify(key_area(ek_lab.rsa_key()), signed(key, b"data", alg.ECDSA), b"data")
    with pytest.raises(_keys.SignatureError, match="made with rsassa-sha256, but the ecc_p256 key"):
        _keys.verify(key_area(key), signed(ek_lab.rsa_key(), b"data", alg.RSASSA), b"data")


@pytest.mark.parametrize("part", [b"", b"\0", b"\xff" * 40])
def test_an_ecdsa_signature_of_nothing(part: bytes) -> None:
    with pytest.raises(_keys.SignatureError):
        _keys.verify(key_area(ek_lab.ecc_key()), struct.pack(">HH", alg.ECDSA, alg.SHA256) + sized(part) * 2, b"data")


@pytest.mark.parametrize("raw", [b"", b"\x00\x18", struct.pack(">HH", alg.HMAC, alg.SHA256) + bytes(32)])
def test_what_is_no_signature(raw: bytes) -> None:
    with pytest.raises(_keys.SignatureError, match="Could not read a signature"):
        _keys.verify(key_area(ek_lab.ecc_key()), raw, b"data")


def test_without_the_library_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_keys, "IMPORT_ERROR", ImportError("No module named 'cryptography'"))
    with pytest.raises(DependencyError, match="cryptography >= 42 is needed on the controller, none is installed"):
        _keys.spki(key_area(ek_lab.ecc_key()))


def test_a_library_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptography.__version__", "38.0.4")
    with pytest.raises(DependencyError, match="38.0.4 is installed"):
        _keys.require()


def test_every_file_can_be_imported_without_the_library() -> None:
    folder = pathlib.Path(str(_keys.__file__)).parent
    names_ = [f"{part}.{one.stem}" for part in ("_trust", "_evidence") for one in sorted((folder / part).glob("*.py"))] + ["_keys"]
    program = "import importlib, sys; sys.modules['cryptography'] = None\n"
    program += f"for one in {names_}: importlib.import_module('ansible_collections.edgefleet.tpm2.plugins.plugin_utils.' + one)\n"
    collections = str(folder.parents[4])
    subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": collections}, check=True, timeout=60)
