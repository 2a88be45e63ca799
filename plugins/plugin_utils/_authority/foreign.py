# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Private keys that we do not hold: cryptography's builders call their ``sign``, and the holder of the key signs.

cryptography's X.509 builders accept any object of a class derived from its key classes. Two use this: a key on a PKCS#11 token, and
the key in ``request`` that only records the bytes to sign.
"""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import deps
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import ec, hashes, padding, rsa

# Data and hash in, signature in X.509's form out: DER of r and s for ECDSA, the plain number for RSA.
Signer = t.Callable[[bytes, "hashes.HashAlgorithm"], bytes]


def _refuse(attempt: str) -> t.NoReturn:
    raise TpmError(f"Could not {attempt}: the private key stays where it is, on its token or in its TPM; it only signs.")


if deps.IMPORT_ERROR is None:

    class EcKey(ec.EllipticCurvePrivateKey):
        """An ECDSA key that ``signer`` holds."""

        def __init__(self, public_key: ec.EllipticCurvePublicKey, signer: Signer) -> None:
            self._public_key = public_key
            self._signer = signer

        def __repr__(self) -> str:
            """No more than what it is."""
            return f"<key elsewhere, {self.curve.name}>"

        def __copy__(self) -> EcKey:
            """Itself: there is only one."""
            return self

        def __deepcopy__(self, memo: dict[int, t.Any]) -> EcKey:
            """Itself: there is only one."""
            return self

        @property
        def curve(self) -> ec.EllipticCurve:
            """The curve of the public key."""
            return self._public_key.curve

        @property
        def key_size(self) -> int:
            """Bits."""
            return self._public_key.key_size

        def public_key(self) -> ec.EllipticCurvePublicKey:
            """The public half."""
            return self._public_key

        def sign(self, data: t.Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
            """Have the holder sign. Raises TpmError unless the scheme is ECDSA over data that is not hashed yet."""
            algorithm = signature_algorithm.algorithm
            if not isinstance(algorithm, hashes.HashAlgorithm):
                _refuse("sign a digest made elsewhere")
            return self._signer(bytes(data), algorithm)

        def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
            """Refused."""
            _refuse("derive a key")

        def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
            """Refused."""
            _refuse("export a private key")

        def private_bytes(self, *_arguments: t.Any, **_named: t.Any) -> bytes:
            """Refused."""
            _refuse("export a private key")

    class RsaKey(rsa.RSAPrivateKey):
        """An RSA key that ``signer`` holds; it signs with PKCS#1 v1.5, as X.509 does."""

        def __init__(self, public_key: rsa.RSAPublicKey, signer: Signer) -> None:
            self._public_key = public_key
            self._signer = signer

        def __repr__(self) -> str:
            """No more than what it is."""
            return f"<key elsewhere, RSA {self.key_size}>"

        def __copy__(self) -> RsaKey:
            """Itself: there is only one."""
            return self

        def __deepcopy__(self, memo: dict[int, t.Any]) -> RsaKey:
            """Itself: there is only one."""
            return self

        @property
        def key_size(self) -> int:
            """Bits."""
            return self._public_key.key_size

        def public_key(self) -> rsa.RSAPublicKey:
            """The public half."""
            return self._public_key

        def sign(self, data: t.Any, padding_: t.Any, algorithm: t.Any) -> bytes:
            """Have the holder sign. Raises TpmError for any padding but PKCS#1 v1.5."""
            if not isinstance(padding_, padding.PKCS1v15) or not isinstance(algorithm, hashes.HashAlgorithm):
                _refuse("sign with another padding than PKCS#1 v1.5")
            return self._signer(bytes(data), algorithm)

        def decrypt(self, ciphertext: bytes, padding_: t.Any) -> bytes:
            """Refused."""
            _refuse("decrypt")

        def private_numbers(self) -> rsa.RSAPrivateNumbers:
            """Refused."""
            _refuse("export a private key")

        def private_bytes(self, *_arguments: t.Any, **_named: t.Any) -> bytes:
            """Refused."""
            _refuse("export a private key")


def key_for(public_key: t.Any, signer: Signer) -> t.Any:
    """The key object that belongs to ``public_key``, an ECC or RSA public key of cryptography."""
    return EcKey(public_key, signer) if isinstance(public_key, ec.EllipticCurvePublicKey) else RsaKey(public_key, signer)


__all__ = ("Signer", "key_for")
