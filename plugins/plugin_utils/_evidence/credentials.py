# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""MakeCredential in software, and the challenge that proves that AK and EK are in the same TPM.

TPM 2.0 Library Part 1: section 24 (credential protection), B.10.4 (the seed under RSA), C.6.1 and C.6.3 (the seed under ECC),
section 11.4.10 (KDFa, KDFe). Part 2, section 12.4: TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET. No TPM is needed here: only the one
that holds the EK can open the result, and it does so only for an object with the Name that the credential was made for.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
import time
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._protocol import activation
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attributes, names
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError, ReasonedError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import Cursor, sized
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys

try:
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.hazmat.primitives.ciphers import Cipher, modes
    from cryptography.hazmat.primitives.ciphers.algorithms import AES

    IMPORT_ERROR: ImportError | None = None
except ImportError as error:
    IMPORT_ERROR = error

IDENTITY = b"IDENTITY\0"  # the zero byte belongs to the label, in OAEP and in KDFe
SECRET_SIZE = 32
NONCE_SIZE = 32
TIME_LIMIT = 120.0
_AES_BITS = (128, 256)
_NAME_ALGS = (alg.SHA256, alg.SHA384, alg.SHA512)

# The reasons of ActivationError.
WRONG_SECRET = "wrong_secret"
USED = "used"
LATE = "late"


class ActivationError(ReasonedError):
    """An answer to a challenge is refused; ``reason`` is one of the words above."""


class Credential(t.NamedTuple):
    """What TPM2_ActivateCredential takes: the contents of its TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET."""

    id_object: bytes
    encrypted_secret: bytes


def _kdfa(hash_alg: int, key: bytes, label: bytes, context: bytes, bits: int) -> bytes:
    """KDFa with contextV empty (Part 1, section 11.4.10.2): SP 800-108 in counter mode with HMAC. ``bits`` is a multiple of 8."""
    made = b""
    while len(made) * 8 < bits:
        counter = struct.pack(">I", len(made) // alg.digest_size(hash_alg) + 1)
        made += hmac.digest(key, counter + label + b"\0" + context + struct.pack(">I", bits), alg.HASHES[hash_alg])
    return made[: bits // 8]


def _kdfe(hash_alg: int, shared: bytes, party_u: bytes, party_v: bytes) -> bytes:
    """KDFe for one digest (Part 1, section 11.4.10.3): SP 800-56A concatenation, one round."""
    return hashlib.new(alg.HASHES[hash_alg], struct.pack(">I", 1) + shared + IDENTITY + party_u + party_v).digest()


def _cfb(key: bytes, data: bytes) -> bytes:
    """AES-CFB with a zero IV. Built on single blocks: ``cryptography`` moves its CFB mode from place to place and warns of it."""
    block = Cipher(AES(key), modes.ECB()).encryptor()
    made, feedback = b"", bytes(16)
    for at in range(0, len(data), 16):
        piece = data[at : at + 16]
        feedback = bytes(a ^ b for a, b in zip(piece, block.update(feedback)))
        made += feedback
    return made


def _rsa_seed(ek: names.Public, key: rsa.RSAPublicKey) -> tuple[bytes, bytes]:
    """A fresh seed and its OAEP encryption (Part 1, B.4 and B.10.4): a key without a scheme uses its nameAlg."""
    seed, digest = secrets.token_bytes(alg.digest_size(ek.name_alg)), _keys.hash_of(ek.name_alg)
    return seed, key.encrypt(seed, padding.OAEP(padding.MGF1(digest), digest, IDENTITY))


def _ecc_seed(ek: names.Public, key: ec.EllipticCurvePublicKey) -> tuple[bytes, bytes]:
    """A seed agreed with a one-time key, and that key's point as a TPMS_ECC_POINT (Part 1, C.6.1)."""
    once = ec.generate_private_key(key.curve)
    size = _keys.ECC_BYTES[int.from_bytes(ek.detail[:2], "big")]
    point = once.public_key().public_numbers()
    x, y = point.x.to_bytes(size, "big"), point.y.to_bytes(size, "big")
    # The EK's coordinate exactly as in the public area, because the TPM uses it so.
    own = Cursor(ek.unique).sized()
    return _kdfe(ek.name_alg, once.exchange(ec.ECDH(), key), x, own), sized(x) + sized(y)


def _refusal(ek: names.Public, name: bytes, secret: bytes) -> str:
    """A clause on why no credential can be made for these; empty if one can."""
    need = attributes.word(("restricted", "decrypt"), attributes.OBJECT)
    if ek.attributes & need != need or ek.attributes & attributes.OBJECT["sign"]:
        return "the key to encrypt to is no restricted decryption key, so it is no EK"
    if ek.name_alg not in _NAME_ALGS:
        return f"the EK's Name algorithm is {alg.alg_name(ek.name_alg)}, not sha256, sha384 or sha512"
    if ek.symmetric not in [struct.pack(">HHH", alg.AES, bits, alg.CFB) for bits in _AES_BITS]:
        return "the EK's symmetric algorithm is neither AES-128 nor AES-256 in CFB mode"
    name_alg = int.from_bytes(name[:2], "big")
    if name_alg not in _NAME_ALGS or len(name) != 2 + alg.digest_size(name_alg):
        return f"{name.hex() or 'nothing'} is not the Name of an object"
    if not 0 < len(secret) <= alg.digest_size(ek.name_alg):
        return f"the secret has {len(secret)} bytes, where 1 to {alg.digest_size(ek.name_alg)} fit the EK"
    return ""


def make_credential(ek_public: names.Public, name: bytes, secret: bytes) -> Credential:
    """Encrypt ``secret`` so that only the TPM with this EK can open it, and only for a loaded object with this ``name``.

    RSA EKs of any size, ECC EKs on P-256, P-384 and P-521; nameAlg SHA-256, SHA-384 or SHA-512; AES-128 or AES-256. The secret is
    not longer than the nameAlg's digest. Raises InputError for anything else, _keys.KeyMaterialError for a key that cannot exist.
    """
    refusal = _refusal(ek_public, name, secret)
    if refusal:
        raise InputError(f"Could not make a credential: {refusal}; see that the device sent its EK and the Name of its AK.")
    key, hash_alg = _keys.public_key(ek_public), ek_public.name_alg
    seed, encrypted = _rsa_seed(ek_public, key) if isinstance(key, rsa.RSAPublicKey) else _ecc_seed(ek_public, key)
    storage = _kdfa(hash_alg, seed, b"STORAGE", name, int.from_bytes(ek_public.symmetric[2:4], "big"))
    integrity = _kdfa(hash_alg, seed, b"INTEGRITY", b"", alg.digest_size(hash_alg) * 8)
    identity = _cfb(storage, sized(secret))
    outer = hmac.digest(integrity, identity + name, alg.HASHES[hash_alg])
    return Credential(sized(outer) + identity, encrypted)


class Challenge:
    """One question to one TPM: a fresh secret that only the TPM of ``ek_public`` can open, and only while it holds ``ak_name``.

    The answer is ``activation.proof`` of the secret and the nonce, so the secret itself is never sent back. A challenge takes one answer,
    right or wrong, within ``limit`` seconds. ``clock`` returns seconds and must never run backwards. A challenge cannot be copied or stored,
    so that no answer counts twice. Raises as ``make_credential`` does.
    """

    __slots__ = ("_ak_name", "_asked", "_clock", "_credential", "_limit", "_nonce", "_secret")

    def __init__(
        self, ek_public: names.Public, ak_name: bytes, *, limit: float = TIME_LIMIT, clock: t.Callable[[], float] = time.monotonic
    ) -> None:
        secret = secrets.token_bytes(SECRET_SIZE)
        self._credential = make_credential(ek_public, ak_name, secret)
        self._ak_name, self._nonce = ak_name, secrets.token_bytes(NONCE_SIZE)
        self._secret: bytes | None = secret
        self._limit, self._clock = limit, clock
        self._asked = clock()

    @property
    def credential(self) -> Credential:
        """The credential for the device to activate."""
        return self._credential

    @property
    def nonce(self) -> bytes:
        """The nonce from which the device computes the proof; it may also attest with it."""
        return self._nonce

    @property
    def ak_name(self) -> bytes:
        """The Name that the credential is bound to."""
        return self._ak_name

    def check(self, answer: bytes) -> None:
        """Check the proof; only the first call can succeed. Raises ActivationError: its ``reason`` is ``used``, ``late`` or ``wrong_secret``."""
        secret, self._secret = self._secret, None
        subject = f"the activation of the AK {self._ak_name.hex()}"
        if secret is None:
            raise ActivationError(
                f"Could not accept {subject}: its challenge has been answered already; enroll the device again, and look into who replays "
                "its answer.",
                USED,
            )
        taken = self._clock() - self._asked
        if not 0 <= taken <= self._limit:
            raise ActivationError(
                f"Could not accept {subject}: the answer came after {taken:.0f} seconds, later than the {self._limit:.0f} that are allowed; "
                "enroll the device again.",
                LATE,
            )
        if not hmac.compare_digest(activation.proof(secret, self._nonce), answer):
            raise ActivationError(
                f"Could not accept {subject}: the answer does not prove the secret that was sent, so this AK is not in the TPM of this EK; "
                "keep the device out and look into what answered for it.",
                WRONG_SECRET,
            )

    def __repr__(self) -> str:
        return f"<Challenge for the AK {self._ak_name.hex()}, {'open' if self._secret is not None else 'answered'}>"

    def __reduce_ex__(self, _protocol: t.SupportsIndex) -> t.NoReturn:
        raise TypeError("a Challenge cannot be copied or stored")


__all__ = ("NONCE_SIZE", "SECRET_SIZE", "TIME_LIMIT", "ActivationError", "Challenge", "Credential", "make_credential")
