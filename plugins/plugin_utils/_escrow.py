# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Escrow of auth values: every value is stored or derivable before a TPM gets it, so that the controller cannot lose it.

An auth is 24 bytes as URL-safe base64 (RFC 4648, section 5), 32 characters; text never ends in a zero byte, which a TPM would cut off
(TPM 2.0 Library Part 1, section 19.6.4.3). Two ways to make one:

- ``derived``: HKDF-SHA256 (RFC 5869) over the fleet's master secret. ``salt`` is "edgefleet.tpm2 escrow v1"; ``info`` is the EK Name, the
  hierarchy's name in ASCII, each with its length in two bytes before it, and the generation in four bytes (all big-endian). The master
  recovers every value; the registry keeps only a check of the master, so that another one is refused and never tried on a TPM.
  The check is an empty value that is sealed as random ones are.
- ``random``: 24 fresh bytes, kept in the registry twice: sealed to the master for operations (AES-256-GCM), and sealed for recovery
  (RSA-OAEP with SHA-256, RFC 8017) to a public key whose private half lies in a safe.

A sealed value is the byte 2, scrypt's parameters (3 bytes), its salt (16), the nonce (12), and the ciphertext. The bytes before the nonce and
the EK Name, hierarchy, generation and mode are authenticated with it, so that no row can be used in place of another. The first release
wrote the byte 1 and did not stretch the key; such a row is replaced when it is opened.
"""

from __future__ import annotations

import base64
import dataclasses
import os
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import DependencyError, InputError, StateError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _master
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import records

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError as error:
    IMPORT_ERROR: ImportError | None = error
else:
    IMPORT_ERROR = None

if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.store import Registry

MODES = ("derived", "random")
HIERARCHIES = records.HIERARCHIES
SHORTEST_RSA = 2048  # bits

_SALT = b"edgefleet.tpm2 escrow v1"
_SEAL_SALT = b"edgefleet.tpm2 escrow v1 operations"
_AUTH_BYTES = 24
_FIRST, _VERSION, _NONCE = b"\1", b"\2", 12
_HEADER = len(_VERSION + _master.COST) + _master.SALT_BYTES


class _Asked(t.NamedTuple):
    """The auth that the caller wants. Opening and deriving use these values, never those in a row, because the registry may lie."""

    ek_name: str
    hierarchy: str
    generation: int
    mode: str


class EscrowError(StateError):
    """The stored value cannot be opened as requested: another master, another mode, or damaged. No value is returned."""


class Escrow:
    """The auth values of a fleet.

    ``registry``: where values are stored; None is allowed for derived ones whose generation is known. ``master``: the fleet's master secret.
    ``former_master``: the previous one, which opens values that were made with it, and makes no new ones.
    ``recovery_key``: PEM of an RSA public key or certificate; for random values. Without ``create`` (check mode) nothing is written, and in
    place of a random value that does not exist yet a temporary one is returned.
    Raises InputError, EscrowError, RegistryError, DependencyError; no message and no repr contains a value.
    """

    def __init__(
        self,
        registry: Registry | None,
        *,
        mode: str = "derived",
        master: bytes,
        former_master: bytes | None = None,
        recovery_key: bytes | None = None,
        create: bool = True,
    ) -> None:
        _require()
        if mode not in MODES:
            raise InputError(f"Could not open the escrow: there is no mode '{mode}'; use {' or '.join(MODES)}.")
        _master.check(master)
        if mode == "random" and registry is None:
            raise InputError("Could not open the escrow: random auth values are kept in the registry, and none is given; give one.")
        self._registry, self._mode, self._create = registry, mode, create
        self._master = bytes(master)
        self._header = b""
        self._masters = [self._master, *([bytes(former_master)] if former_master else [])]
        self._recovery = _recovery_key(recovery_key) if recovery_key is not None else None
        if mode == "random" and create and self._recovery is None:
            raise InputError(
                "Could not open the escrow: random auth values need a recovery key, and none is given; make one with 'openssl genrsa', keep "
                "its private half in a safe, and give the public half."
            )

    def __repr__(self) -> str:
        return f"Escrow({self._registry!r}, mode={self._mode!r})"

    def auth(self, ek_name: str, hierarchy: str, generation: int) -> str:
        """The auth of one hierarchy. It is stored or derivable when it is returned, except a temporary one of check mode."""
        return self.many(ek_name, [hierarchy], generation)[hierarchy]

    def auths(self, device: records.Device, *, generation: int | None = None) -> dict[str, str]:
        """The auths of an enrolled device by hierarchy, of its current generation unless another is given."""
        return self.many(device.ek_name, HIERARCHIES, device.auth_generation if generation is None else generation)

    def many(self, ek_name: str, hierarchies: t.Sequence[str], generation: int) -> dict[str, str]:
        """The auths by hierarchy; missing ones are made and stored in one transaction."""
        for hierarchy in hierarchies:
            records.auth_key(ek_name, hierarchy, generation)
        if self._registry is None:
            return {hierarchy: self._derived(ek_name, hierarchy, generation) for hierarchy in hierarchies}
        asked = {hierarchy: _Asked(ek_name, hierarchy, generation, self._mode) for hierarchy in hierarchies}
        kept = self._registry.auths(ek_name, generation)
        for hierarchy, row in kept.items():
            _check(_Asked(ek_name, hierarchy, generation, self._mode), row)
        missing = [one for hierarchy, one in asked.items() if hierarchy not in kept]
        if missing and self._create:
            made = [self._seal(one, self._new()) for one in missing]
            for one, written, back in zip(missing, made, self._registry.put_auths(made)):
                _check(one, back)
                _compare(written, back)
                kept[one.hierarchy] = back
        return {
            hierarchy: self._open(one, kept[hierarchy]) if hierarchy in kept else self._passing(ek_name, hierarchy, generation)
            for hierarchy, one in asked.items()
        }

    def _derived(self, ek_name: str, hierarchy: str, generation: int) -> str:
        return _derived(self._master, ek_name, hierarchy, generation)

    def _passing(self, ek_name: str, hierarchy: str, generation: int) -> str:
        return self._derived(ek_name, hierarchy, generation) if self._mode == "derived" else _text(os.urandom(_AUTH_BYTES))

    def _new(self) -> str:
        """A fresh random value; empty in mode derived, where a sealed empty value lets later runs check their master."""
        return _text(os.urandom(_AUTH_BYTES)) if self._mode == "random" else ""

    def _seal(self, asked: _Asked, value: str) -> records.StoredAuth:
        recovery = b""
        if self._recovery is not None and value:
            line = f"edgefleet.tpm2 1 {asked.ek_name} {asked.hierarchy} {asked.generation} {value}\n"
            recovery = _to_recovery_key(self._recovery, line.encode())
        return records.StoredAuth(*asked, self._sealed(asked, value), recovery)

    def _sealed(self, asked: _Asked, value: str) -> bytes:
        """A value, or an empty one, sealed to the master and bound to its row. The salt of the last row is used again, so that scrypt runs once."""
        header = self._header or (self._registry.latest_sealed()[:_HEADER] if self._registry is not None else b"")
        if len(header) < _HEADER or not header.startswith(_VERSION + _master.COST):
            header = _VERSION + _master.COST + os.urandom(_master.SALT_BYTES)
        self._header = header
        nonce = os.urandom(_NONCE)
        key = _master.stretched(self._master, header[-_master.SALT_BYTES :])
        return header + nonce + AESGCM(key).encrypt(nonce, value.encode(), header + _bound(asked))

    def _open(self, asked: _Asked, kept: records.StoredAuth) -> str:
        if kept.mode != self._mode:
            raise EscrowError(
                f"{_could_not(asked)}: it was made with the mode {kept.mode}, and {self._mode} is asked for; give mode: {kept.mode}."
            )
        sealed = kept.sealed_operations
        if not sealed.startswith((_FIRST, _VERSION + _master.COST)):
            raise EscrowError(f"{_could_not(asked)}: it was sealed by a newer release; use that one.")
        for master in self._masters:
            value = _opened(master, asked, sealed)
            if value is None:
                continue
            if master == self._master and sealed.startswith(_FIRST) and self._create and self._registry is not None:
                self._registry.replace_auth(dataclasses.replace(kept, sealed_operations=self._sealed(asked, value)))
            return value or _derived(master, asked.ek_name, asked.hierarchy, asked.generation)
        raise EscrowError(
            f"{_could_not(asked)}: the master secret is not the one that it was made with, or the registry's row is damaged; give the master "
            "that was in use then."
        )


def _opened(master: bytes, asked: _Asked, sealed: bytes) -> str | None:
    """The value, or None if it was sealed with another master or for another row."""
    extra = _bound(asked)
    if sealed.startswith(_FIRST):
        key, body = _master.hkdf(master, _SEAL_SALT, b"", 32), sealed[1:]
    else:
        key, body, extra = (
            _master.stretched(master, sealed[_HEADER - _master.SALT_BYTES : _HEADER]),
            sealed[_HEADER:],
            sealed[:_HEADER] + extra,
        )
    try:
        return AESGCM(key).decrypt(body[:_NONCE], body[_NONCE:], extra).decode("ascii")
    except (InvalidTag, ValueError):
        return None


def _bound(asked: _Asked) -> bytes:
    """The authenticated data of a row, so that it cannot be used for another device, hierarchy, generation or mode."""
    return _context(asked.ek_name, asked.hierarchy, asked.generation) + asked.mode.encode()


def _derived(master: bytes, ek_name: str, hierarchy: str, generation: int) -> str:
    return _text(_master.hkdf(master, _SALT, _context(ek_name, hierarchy, generation), _AUTH_BYTES))


def _require() -> None:
    if IMPORT_ERROR is not None:
        raise DependencyError(
            f"Could not open the escrow: Python's cryptography is missing ({IMPORT_ERROR}); install 'cryptography>=42' for the Python that "
            "runs Ansible."
        )


def _check(asked: _Asked, row: records.StoredAuth) -> None:
    """Raises EscrowError if the registry has returned the row of another device, hierarchy or generation."""
    if (row.ek_name, row.hierarchy, row.generation) != asked[:3]:
        raise EscrowError(
            f"{_could_not(asked)}: the registry answered with the row of another device, hierarchy or generation; nothing of it was opened; somebody "
            "has changed the registry, or another answers in its place: find out who.",
            reason="other_row",
        )


def _compare(written: records.StoredAuth, back: records.StoredAuth) -> None:
    """Check that what was read back is either what was written, or what another process had written before. Raises EscrowError."""
    if written.sealed_operations == back.sealed_operations and written != back:
        raise EscrowError(
            f"Could not escrow the {written.hierarchy} auth of the device {written.ek_name}: what was read back from the registry is not "
            "what was written; check the database's storage before you set anything in a TPM."
        )


def _could_not(asked: _Asked) -> str:
    return f"Could not open the {asked.hierarchy} auth of generation {asked.generation} of the device {asked.ek_name}"


def _context(ek_name: str, hierarchy: str, generation: int) -> bytes:
    parts = (bytes.fromhex(ek_name), hierarchy.encode("ascii"))
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts) + generation.to_bytes(4, "big")


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode("ascii")


def _recovery_key(pem: bytes) -> rsa.RSAPublicKey:
    attempt = "Could not read the escrow's recovery key"
    if b"PRIVATE KEY" in pem:
        raise InputError(f"{attempt}: it is the private half; keep that in a safe, away from this controller, and give the public half.")
    try:
        key: object
        if b"BEGIN CERTIFICATE" in pem:
            key = x509.load_pem_x509_certificate(pem).public_key()
        else:
            key = serialization.load_pem_public_key(pem)
    except Exception:
        raise InputError(f"{attempt}: it is no PEM of a public key or a certificate; write one with 'openssl rsa -pubout'.") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise InputError(f"{attempt}: it is no RSA key; make one with 'openssl genrsa 3072'.")
    if key.key_size < SHORTEST_RSA:
        raise InputError(f"{attempt}: it has {key.key_size} bits, fewer than {SHORTEST_RSA}; make one with 'openssl genrsa 3072'.")
    return key


def _to_recovery_key(key: rsa.RSAPublicKey, line: bytes) -> bytes:
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
    if len(line) > key.key_size // 8 - 2 * hashes.SHA256.digest_size - 2:
        raise InputError(
            f"Could not seal an auth to the escrow's recovery key: {key.key_size} bits are too few for an EK Name of this length; "
            "make one with 'openssl genrsa 3072'."
        )
    return key.encrypt(line, oaep)


__all__ = ("HIERARCHIES", "MODES", "Escrow", "EscrowError")
