# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A vendor's certificate that cryptography refuses: its fields are read from a DER copy (`canonical`), its signature covers the original.

The library reads key, validity and extensions from the copy. The certificate's bytes, its signed part, and its names where an issuer is
compared with a subject, come from the original.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import canonical
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import ec, padding, rsa, serialization, x509


class Lenient:
    """A certificate with the faults that `rules` name, words of `canonical.RULES`. It has the members of `x509.Certificate` that we use.

    Two are equal if their original bytes are equal; the copies are not compared.
    """

    def __init__(self, der: bytes, copy: x509.Certificate, rules: tuple[str, ...]) -> None:
        self.der, self.rules = der, rules
        self._copy = copy
        self.written = canonical.fields(der)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lenient) and other.der == self.der

    def __hash__(self) -> int:
        return hash(self.der)

    def __repr__(self) -> str:
        return f"<Lenient {self._copy.subject.rfc4514_string()!r} {self.rules}>"

    @property
    def extensions(self) -> x509.Extensions:
        """Its extensions."""
        return self._copy.extensions

    @property
    def issuer(self) -> x509.Name:
        """The issuer, with the attributes of each set in DER's order."""
        return self._copy.issuer

    @property
    def subject(self) -> x509.Name:
        """The subject, with the attributes of each set in DER's order."""
        return self._copy.subject

    @property
    def serial_number(self) -> int:
        """Its serial number."""
        return self._copy.serial_number

    @property
    def not_valid_before_utc(self) -> datetime.datetime:
        """The first moment of its validity."""
        return self._copy.not_valid_before_utc

    @property
    def not_valid_after_utc(self) -> datetime.datetime:
        """The last moment of its validity."""
        return self._copy.not_valid_after_utc

    @property
    def version(self) -> x509.Version:
        """The version of X.509."""
        return self._copy.version

    @property
    def signature_hash_algorithm(self) -> t.Any:
        """The hash that was signed."""
        return self._copy.signature_hash_algorithm

    @property
    def signature_algorithm_parameters(self) -> t.Any:
        """The padding of an RSA signature, or the scheme of another signature."""
        return self._copy.signature_algorithm_parameters

    @property
    def signature(self) -> bytes:
        """Its signature."""
        return self._copy.signature

    @property
    def tbs_certificate_bytes(self) -> bytes:
        """What was signed: the original bytes."""
        return self.written.tbs

    def public_key(self) -> t.Any:
        """Its key."""
        return self._copy.public_key()

    def public_bytes(self, encoding: serialization.Encoding) -> bytes:
        """The original, as DER or PEM."""
        if encoding is serialization.Encoding.DER:
            return self.der
        return canonical.reader.pem("CERTIFICATE", self.der).encode("ascii")


Certificate = t.Union["x509.Certificate", Lenient]


def subject_der(one: Certificate) -> bytes:
    """A certificate's subject: the original DER."""
    return one.written.subject if isinstance(one, Lenient) else one.subject.public_bytes()


def issuer_der(one: Certificate) -> bytes:
    """A certificate's issuer: the original DER."""
    return one.written.issuer if isinstance(one, Lenient) else one.issuer.public_bytes()


def verify_directly_issued_by(child: Certificate, issuer: Certificate) -> None:
    """As the method of `x509.Certificate`, but over the original bytes of both. Raises what `deps.not_signed` lists.

    Names are compared by `canonical.same_name`.
    """
    if not isinstance(child, Lenient) and not isinstance(issuer, Lenient) and issuer_der(child) == subject_der(issuer):
        child.verify_directly_issued_by(issuer)
        return
    if not canonical.same_name(issuer_der(child), subject_der(issuer)):
        raise ValueError("its issuer is not written as the subject of that CA is")
    below = canonical.fields(child.public_bytes(serialization.Encoding.DER))
    if below.signed_algorithm != below.algorithm:
        raise ValueError("it names two algorithms of its signature")
    key, scheme = issuer.public_key(), child.signature_algorithm_parameters
    if isinstance(key, rsa.RSAPublicKey) and isinstance(scheme, (padding.PKCS1v15, padding.PSS)) and child.signature_hash_algorithm:
        key.verify(child.signature, below.tbs, scheme, child.signature_hash_algorithm)
    elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(scheme, ec.ECDSA):
        key.verify(child.signature, below.tbs, scheme)
    else:
        raise ValueError("its signature is not one that the key of its issuer makes")


__all__ = ("Certificate", "Lenient", "issuer_der", "subject_der", "verify_directly_issued_by")
