# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MakeCredential undone by an independent reading of the specification, with cryptography's own key derivation; and the challenge."""

from __future__ import annotations

import copy
import hashlib
import hmac
import pickle
import typing as t

import pytest
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode
from support import ek_lab

from ansible_collections.edgefleet.tpm2.plugins.module_utils._protocol import activation
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names, templates
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import Cursor, sized
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence import credentials
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence.credentials import ActivationError, Challenge, Credential

NAME = b"\x00\x0b" + hashlib.sha256(b"an AK").digest()
EKS = ["ek_rsa_2048", "ek_rsa_3072", "ek_rsa_4096", "ek_ecc_p256", "ek_ecc_p384", "ek_ecc_p521"]
DIGESTS: dict[int, t.Any] = {alg.SHA256: hashes.SHA256(), alg.SHA384: hashes.SHA384(), alg.SHA512: hashes.SHA512()}


def key_for(template: str) -> ek_lab.PrivateKey:
    return ek_lab.ecc_key(template[-4:]) if "_ecc_" in template else ek_lab.rsa_key(int(template[-4:]))


def _seed(ek: names.Public, key: ek_lab.PrivateKey, encrypted: bytes) -> bytes:
    digest = DIGESTS[ek.name_alg]
    if isinstance(key, rsa.RSAPrivateKey):
        return key.decrypt(encrypted, padding.OAEP(padding.MGF1(digest), digest, b"IDENTITY\0"))
    cursor = Cursor(encrypted)
    x, y = cursor.sized(), cursor.sized()
    assert cursor.rest() == b"" and len(x) == len(y) == (key.curve.key_size + 7) // 8
    point = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), key.curve).public_key()
    own = key.public_key().public_numbers().x.to_bytes(len(x), "big")
    info = b"IDENTITY\0" + x + own
    return ConcatKDFHash(digest, digest.digest_size, info).derive(key.exchange(ec.ECDH(), point))


def activate(ek: names.Public, key: ek_lab.PrivateKey, credential: Credential, name: bytes) -> bytes:
    """What TPM2_ActivateCredential does (Part 3, section 12.5)."""
    digest, seed = DIGESTS[ek.name_alg], _seed(ek, key, credential.encrypted_secret)

    def kdfa(label: bytes, context: bytes, size: int) -> bytes:
        place = CounterLocation.BeforeFixed
        return KBKDFHMAC(digest, Mode.CounterMode, size, 4, 4, place, label, context, None).derive(seed)

    cursor = Cursor(credential.id_object)
    outer, identity = cursor.sized(), cursor.rest()
    expected = hmac.digest(kdfa(b"INTEGRITY", b"", digest.digest_size), identity + name, digest.name)
    assert outer == expected, "TPM_RC_INTEGRITY"
    bits = int.from_bytes(ek.symmetric[2:4], "big")
    decryptor = Cipher(AES(kdfa(b"STORAGE", name, bits // 8)), CFB(bytes(16))).decryptor()
    inner = Cursor(decryptor.update(identity) + decryptor.finalize())
    secret = inner.sized()
    assert inner.rest() == b""
    return secret


@pytest.mark.parametrize("template", EKS)
def test_only_the_ek_opens_it_and_only_for_the_name(template: str) -> None:
    key = key_for(template)
    ek = ek_lab.ek_area(template, key.public_key())
    for size in (1, 16, 32, alg.digest_size(ek.name_alg)):
        secret = bytes(range(1, size + 1))
        credential = credentials.make_credential(ek, NAME, secret)
        assert activate(ek, key, credential, NAME) == secret
        with pytest.raises(AssertionError, match="INTEGRITY"):
            activate(ek, key, credential, NAME[:-1] + bytes([NAME[-1] ^ 1]))


def test_names_of_other_hashes() -> None:
    key = ek_lab.ecc_key()
    ek = ek_lab.ek_area("ek_ecc_p256", key.public_key())
    for number, made in ((alg.SHA384, hashlib.sha384), (alg.SHA512, hashlib.sha512)):
        name = number.to_bytes(2, "big") + made(b"an AK").digest()
        assert activate(ek, key, credentials.make_credential(ek, name, b"secret"), name) == b"secret"


def test_two_credentials_of_one_secret_have_nothing_in_common() -> None:
    for template in ("ek_rsa_2048", "ek_ecc_p256"):
        ek = ek_lab.ek_area(template, key_for(template).public_key())
        one, two = (credentials.make_credential(ek, NAME, b"secret") for _each in range(2))
        assert one.id_object != two.id_object and one.encrypted_secret != two.encrypted_secret


def _changed(**fields: t.Any) -> names.Public:
    return ek_lab.ek_area("ek_ecc_p256", ek_lab.ecc_key().public_key())._replace(**fields)


@pytest.mark.parametrize(
    ("ek", "name", "secret", "telling"),
    [
        (_changed, NAME, bytes(33), "the secret has 33 bytes, where 1 to 32 fit"),
        (_changed, NAME, b"", "the secret has 0 bytes"),
        (_changed, NAME[:-1], b"s", "is not the Name of an object"),
        (_changed, b"", b"s", "nothing is not the Name"),
        (_changed, b"\x81\0\0\x01", b"s", "81000001 is not the Name"),
        (_changed, b"\x00\x04" + bytes(20), b"s", "is not the Name"),
        (lambda: _changed(name_alg=alg.SHA1), NAME, b"s", "Name algorithm is sha1"),
        (lambda: _changed(symmetric=b"\0\x06\0\xc0\0\x43"), NAME, b"s", "neither AES-128 nor AES-256"),
        (lambda: _changed(symmetric=b"\0\x10"), NAME, b"s", "neither AES-128 nor AES-256"),
        (lambda: _changed(attributes=templates.IAK_ATTRIBUTES), NAME, b"s", "no restricted decryption key"),
        (lambda: _changed(attributes=0x20072), NAME, b"s", "no restricted decryption key"),
        (lambda: _changed(unique=sized(b"\x01") * 2), NAME, b"s", "its numbers are no such key"),
    ],
)
def test_what_no_credential_is_made_for(ek: t.Callable[[], names.Public], name: bytes, secret: bytes, telling: str) -> None:
    with pytest.raises(TpmError, match=telling):
        credentials.make_credential(ek(), name, secret)


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def device() -> tuple[names.Public, ek_lab.PrivateKey]:
    key = ek_lab.ecc_key()
    return ek_lab.ek_area("ek_ecc_p256", key.public_key()), key


def answer(device: tuple[names.Public, ek_lab.PrivateKey], challenge: Challenge) -> bytes:
    """What a genuine device says."""
    return activation.proof(activate(*device, challenge.credential, NAME), challenge.nonce)


def test_the_right_answer(device: tuple[names.Public, ek_lab.PrivateKey]) -> None:
    challenge = Challenge(device[0], NAME)
    assert len(activate(*device, challenge.credential, NAME)) == len(challenge.nonce) == 32
    challenge.check(answer(device, challenge))


def refusal(challenge: Challenge, said: bytes, reason: str) -> str:
    with pytest.raises(ActivationError) as caught:
        challenge.check(said)
    assert caught.value.reason == reason
    return caught.value.message


def test_a_second_answer_is_refused_even_if_right(device: tuple[names.Public, ek_lab.PrivateKey]) -> None:
    challenge = Challenge(device[0], NAME)
    proof = answer(device, challenge)
    challenge.check(proof)
    assert "answered already" in refusal(challenge, proof, "used")


def test_a_wrong_answer_uses_it_up(device: tuple[names.Public, ek_lab.PrivateKey]) -> None:
    challenge = Challenge(device[0], NAME)
    proof = answer(device, challenge)
    message = refusal(challenge, bytes(32), "wrong_secret")
    assert "not in the TPM of this EK" in message and NAME.hex() in message
    assert "answered already" in refusal(challenge, proof, "used")


@pytest.mark.parametrize("said", [b"", bytes(31), bytes(33)])
def test_an_answer_of_another_length(device: tuple[names.Public, ek_lab.PrivateKey], said: bytes) -> None:
    refusal(Challenge(device[0], NAME), said, "wrong_secret")


def test_what_is_nearly_the_proof(device: tuple[names.Public, ek_lab.PrivateKey]) -> None:
    for spoil in (
        lambda challenge: answer(device, challenge)[:-1],
        lambda challenge: activate(*device, challenge.credential, NAME),  # the secret itself: nobody may let it travel
        lambda challenge: activation.proof(activate(*device, challenge.credential, NAME), bytes(32)),
        lambda challenge: activation.proof(bytes(32), challenge.nonce),
    ):
        challenge = Challenge(device[0], NAME)
        refusal(challenge, spoil(challenge), "wrong_secret")


def test_the_answer_of_another_challenge(device: tuple[names.Public, ek_lab.PrivateKey]) -> None:
    first, second = Challenge(device[0], NAME), Challenge(device[0], NAME)
    refusal(second, answer(device, first), "wrong_secret")


def test_the_time_limit(device: tuple[names.Public, ek_lab.PrivateKey]) -> None:
    for waited, late in ((120.0, False), (120.5, True), (-1.0, True)):
        clock = Clock()
        challenge = Challenge(device[0], NAME, clock=clock)
        proof = answer(device, challenge)
        clock.now += waited
        if late:
            assert "the 120 that are allowed" in refusal(challenge, proof, "late")
            clock.now -= waited
            refusal(challenge, proof, "used")
        else:
            challenge.check(proof)


def test_another_time_limit(device: tuple[names.Public, ek_lab.PrivateKey]) -> None:
    clock = Clock()
    challenge = Challenge(device[0], NAME, limit=5, clock=clock)
    clock.now += 6
    assert "after 6 seconds, later than the 5" in refusal(challenge, answer(device, challenge), "late")


def test_the_secret_stays_inside(device: tuple[names.Public, ek_lab.PrivateKey]) -> None:
    challenge = Challenge(device[0], NAME)
    secret = activate(*device, challenge.credential, NAME)
    shown = [repr(challenge), str(challenge), f"{challenge}", refusal(challenge, b"x", "wrong_secret"), refusal(challenge, b"x", "used")]
    assert all(secret.hex() not in text and repr(secret) not in text for text in shown)
    assert repr(challenge) == f"<Challenge for the AK {NAME.hex()}, answered>"
    # Nor can it be asked twice by way of a copy.
    for make in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot be copied"):
            make(Challenge(device[0], NAME))


def test_secrets_and_nonces_differ(device: tuple[names.Public, ek_lab.PrivateKey]) -> None:
    made = [Challenge(device[0], NAME) for _each in range(8)]
    assert len({activate(*device, one.credential, NAME) for one in made} | {one.nonce for one in made}) == 16


def test_kdfa_takes_several_rounds() -> None:
    """No EK of the profile needs one, but half a table is no function."""
    made = credentials._kdfa(alg.SHA256, b"key", b"LABEL", b"context", 640)
    oracle = KBKDFHMAC(hashes.SHA256(), Mode.CounterMode, 80, 4, 4, CounterLocation.BeforeFixed, b"LABEL", b"context", None)
    assert made == oracle.derive(b"key")
