# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The built-in certificate authority: opening it, with every check before the first device needs it, and issuing.

A CA is a certificate and a key: in a password-protected file, or on a PKCS#11 token.
"""

from __future__ import annotations

import datetime
import secrets
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import chain, keys, pkcs11, profile
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.keys import AuthorityError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.records import Certificate
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import certificates, deps
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.certificates import is_self_issued, issued, label, moment, pem, same
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import hashes, x509

_OPTIONS = {"certificate", "chain", "key", "password", "allow_unencrypted", "pkcs11"}


class Signer:
    """A certificate, the certificates above it, and its private key. The repr shows nothing of the key."""

    def __init__(self, certificate: x509.Certificate, upper: t.Sequence[x509.Certificate], key: keys.PrivateKey) -> None:
        self.certificate = certificate
        self.upper = list(upper)
        self._key = key

    def __repr__(self) -> str:
        """The subject, and nothing of the key."""
        return f"<{type(self).__name__} {label(self.certificate)}>"

    @property
    def public_key(self) -> keys.PublicKey:
        """The public half of the key."""
        return t.cast("keys.PublicKey", self.certificate.public_key())

    @property
    def key_id(self) -> str:
        """SHA-256 of the public key's DER, lowercase hex."""
        digest = hashes.Hash(hashes.SHA256())
        digest.update(keys.spki(self.public_key))
        return digest.finalize().hex()

    @property
    def chain_pem(self) -> str:
        """PEM: the certificate, then those above it, without the root."""
        return pem(one for one in [self.certificate, *self.upper] if not is_self_issued(one) or one is self.certificate)

    def sign(self, data: bytes) -> bytes:
        """A signature over ``data`` with SHA-256, ECDSA in DER or RSA PKCS#1 v1.5."""
        return keys.sign(self._key, data, hashes.SHA256())


class Authority(Signer):
    """A CA that can issue."""

    def issue(
        self,
        kind: str,
        public_key: t.Any,
        subject: profile.DeviceSubject,
        *,
        now: datetime.datetime,
        lifetime: datetime.timedelta | None = None,
        key_name: str = "",
        server_auth: bool = False,
        dns_names: t.Sequence[str] = (),
    ) -> Certificate:
        """Issue a certificate of a kind (``iak``, ``idevid``, ``ldevid``) for a TPM key. The caller has proved that the key is in a TPM.

        ``public_key`` is PEM, DER or a key object; ``now`` is aware; ``lifetime`` is given for ``ldevid``, and only for it.
        Raises InputError for options that make no sense, KeyTypeError for a weak key, AuthorityError where the CA expires before the certificate.
        """
        if kind not in profile.KINDS:
            raise InputError(
                f"Could not issue a certificate for {subject.serial}: the kind is {kind}, not one of {', '.join(profile.KINDS)}."
            )
        what = f"the public key of the {kind} of {subject.serial}"
        key = keys.public_key(public_key, what)
        not_before = now.astimezone(datetime.timezone.utc).replace(microsecond=0)
        not_after = self._not_after(kind, subject, not_before, lifetime)
        builder = (
            x509.CertificateBuilder()
            .subject_name(profile.name(subject))
            .issuer_name(self.certificate.subject)
            .public_key(key)
            # 127 random bits, the top one set: positive, and of the same size each time (64 to 160 bits, section 8.1.2).
            .serial_number(1 << 126 | secrets.randbits(126))
            .not_valid_before(not_before)
            .not_valid_after(not_after)
            .add_extension(self._authority_key_identifier(), critical=False)
        )
        for value, critical in profile.extensions(kind, subject, key, server_auth=server_auth, dns_names=dns_names):
            builder = builder.add_extension(value, critical=critical)
        certificate = builder.sign(self._key, keys.hash_for(self.public_key))
        return record(kind, [certificate, *self._intermediates()], key_name)

    def _not_after(
        self, kind: str, subject: profile.DeviceSubject, not_before: datetime.datetime, lifetime: datetime.timedelta | None
    ) -> datetime.datetime:
        if kind != "ldevid":
            if lifetime is not None:
                raise InputError(
                    f"Could not issue the {kind} of {subject.serial}: it does not expire; give a lifetime only for the ldevid."
                )
            return profile.FOREVER
        if lifetime is None or lifetime < datetime.timedelta(seconds=1):
            raise InputError(f"Could not issue the ldevid of {subject.serial}: it needs a lifetime; give one of at least a second.")
        end, last = not_before + lifetime, self.certificate.not_valid_after_utc
        if end > last:
            raise AuthorityError(
                f"Could not issue the ldevid of {subject.serial}: the CA {label(self.certificate)} ends on {moment(last)}, before "
                f"the certificate would ({moment(end)}); renew the CA's certificate, or shorten the lifetime."
            )
        return end

    def _authority_key_identifier(self) -> x509.AuthorityKeyIdentifier:
        own = certificates.extension(self.certificate, x509.SubjectKeyIdentifier)
        if own is not None:
            return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.public_key)

    def _intermediates(self) -> list[x509.Certificate]:
        return [one for one in [self.certificate, *self.upper] if not is_self_issued(one)]


def record(kind: str, certificates: t.Sequence[x509.Certificate], key_name: str) -> Certificate:
    """The registry's record of a certificate, which is the first of ``certificates``; its chain follows. ``key_name``: its key's TPM Name, hex."""
    leaf = certificates[0]
    return Certificate(
        kind=kind,
        pem=pem(certificates),
        serial_number=f"{leaf.serial_number:x}",
        key_name=key_name,
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        issuer=leaf.issuer.rfc4514_string(),
    )


def load_authority(options: t.Mapping[str, t.Any], *, now: datetime.datetime | None = None) -> Authority:
    """Open a CA and check that it can issue.

    ``options``: certificate (path of a PEM file, in which the chain may follow), chain (path, optional), and either key (path of a
    PEM file), password and allow_unencrypted, or pkcs11 (module, token, label or id, pin). ``now`` defaults to the clock.
    Raises InputError for options that make no sense; AuthorityError, DependencyError or KeyTypeError where the CA cannot be used.
    """
    certificate, upper = _certificates(options)
    at = now or datetime.datetime.now(datetime.timezone.utc)
    problem = chain.broken_link([certificate, *upper], at, issues=True)
    reason = problem.clause if problem else ("" if list(certificate.subject) else "its subject is empty")
    if reason:
        raise AuthorityError(
            f"Could not use {options['certificate']} as CA: {reason}; give the certificate of a CA that is valid now (by the clock, {moment(at)})."
        )
    return Authority(certificate, upper, _key(options, certificate))


def load_signer(options: t.Mapping[str, t.Any], *, now: datetime.datetime | None = None) -> Signer:
    """Open a key that signs birth records and is not a CA's. Takes the options of ``load_authority`` and raises as it does."""
    certificate, upper = _certificates(options)
    problem = chain.broken_link([certificate, *upper], now or datetime.datetime.now(datetime.timezone.utc), issues=False)
    if problem:
        raise AuthorityError(f"Could not sign with the key of {options['certificate']}: {problem.clause}; renew its certificate.")
    return Signer(certificate, upper, _key(options, certificate))


def _certificates(options: t.Mapping[str, t.Any]) -> tuple[x509.Certificate, list[x509.Certificate]]:
    deps.require("open the certificate authority")
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise InputError(
            f"Could not read the options of the CA: it does not know {', '.join(unknown)}; see the documentation for their names."
        )
    if not options.get("certificate") or bool(options.get("key")) == bool(options.get("pkcs11")):
        raise InputError("Could not read the options of the CA: it takes certificate, and either key or pkcs11; give these.")
    path = str(options["certificate"])
    certificate, *pool = chain.load(keys.read(path, "the CA certificate"), f"the CA certificate {path}")
    if options.get("chain"):
        pool += chain.load(keys.read(str(options["chain"]), "the chain of the CA"), f"the chain {options['chain']}")
    return certificate, _lead_up(certificate, pool, path)


def _lead_up(certificate: x509.Certificate, pool: list[x509.Certificate], path: str) -> list[x509.Certificate]:
    """The chain above a CA, in order. Raises AuthorityError where a certificate was given that does not belong there."""
    found = [certificate]
    rest = [one for one in pool if not same(one, certificate)]
    while rest and not is_self_issued(found[-1]):
        above = next((one for one in rest if issued(one, found[-1])), None)
        if above is None:
            break
        found.append(above)
        rest = [one for one in rest if not same(one, above)]
    if rest:
        raise AuthorityError(
            f"Could not use {path} as CA: its chain does not lead up, for {label(rest[0])} issued neither "
            f"{label(found[-1])} nor what is below it; give the chain of this CA and nothing else."
        )
    return found[1:]


def _key(options: t.Mapping[str, t.Any], certificate: x509.Certificate) -> keys.PrivateKey:
    public_key = certificate.public_key()
    if options.get("pkcs11"):
        return t.cast("keys.PrivateKey", pkcs11.open_key(options["pkcs11"], t.cast("keys.PublicKey", public_key)))
    path = str(options["key"])
    key = keys.load_private_key(path, options.get("password"), allow_unencrypted=bool(options.get("allow_unencrypted")))
    if keys.spki(key.public_key()) != keys.spki(t.cast("keys.PublicKey", public_key)):
        raise AuthorityError(
            f"Could not use {options['certificate']} as CA: the key {path} is not the one that it certifies; name the pair that belongs together."
        )
    return key


def renewal_due(
    not_before: datetime.datetime, not_after: datetime.datetime, now: datetime.datetime, renew_before: datetime.timedelta
) -> bool:
    """Whether to renew a certificate: from ``renew_before`` ahead of its end on, but never in the first half of its life.

    Otherwise a ``renew_before`` that is longer than the lifetime would renew the certificate on every run.
    """
    return now >= max(not_after - renew_before, not_before + (not_after - not_before) / 2)


__all__ = ("Authority", "Signer", "load_authority", "load_signer", "record", "renewal_due")
