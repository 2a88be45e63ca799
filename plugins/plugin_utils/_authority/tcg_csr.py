# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""TCG-CSR-IDEVID ("TPM 2.0 Keys for Device Identity and Attestation" v1.0 r12, section 13.1), in the flavours that programs read.

Programs that read this structure disagree on details, so the caller names a flavour. What their source code expects:

- ``attestz`` (openconfig/attestz): the digest follows hashSz and is over all that follows it; TPMT_PUBLIC, TPMS_ATTEST,
  TPMT_SIGNATURE. Its protocol sends content and signature separately: ``encode()``'s result, and the signature as TPMT_SIGNATURE.
- ``flightctl`` (flightctl/flightctl): no digest after hashSz, the outer structVer is 0x01000100, no padding; TPM2B_PUBLIC,
  TPM2B_ATTEST; prodCaData holds the PKCS#10 request; the signature is DER.
- ``trusted_platform`` (jeremyhahn/go-trusted-platform): no digest either, both structVer are 0x00000100; TPM2B_PUBLIC, TPM2B_ATTEST.
"""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError, TpmError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import sized
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import hashes

_CONTENT_VERSION = 0x00000100
_MAXIMUM = 1 << 20  # bytes of a field; ours are far smaller
_HASHES = (alg.SHA256, alg.SHA384, alg.SHA512)


class TcgCsrError(TpmError):
    """A TCG-CSR-IDEVID that is refused."""


class Flavour(t.NamedTuple):
    """What a reader expects: the outer structVer, the digest after hashSz, TPM2B around structures, padding to 16 bytes."""

    version: int
    digest: bool
    wrapped: bool
    padded: bool


FLAVOURS = {
    "attestz": Flavour(0x00000100, digest=True, wrapped=False, padded=True),
    "flightctl": Flavour(0x01000100, digest=False, wrapped=True, padded=False),
    "trusted_platform": Flavour(0x00000100, digest=False, wrapped=True, padded=True),
}


class CsrFields(t.NamedTuple):
    """The payloads in their order. Public areas and attestations are bare (TPMT_PUBLIC, TPMS_ATTEST), certify signatures TPMT_SIGNATURE,
    the EK certificate DER; ``ca_data`` are bytes for the CA: for ``flightctl`` the PKCS#10 request in PEM or DER."""

    model: str
    serial: str
    ek_certificate: bytes
    attest_public: bytes
    signing_public: bytes
    signing_certify: bytes
    signing_certify_signature: bytes
    ca_data: bytes = b""
    boot_event_log: bytes = b""
    attest_creation_ticket: bytes = b""
    attest_certify: bytes = b""
    attest_certify_signature: bytes = b""


class Decoded(t.NamedTuple):
    """The fields of a request, and the bytes that its signature covers."""

    fields: CsrFields
    content: bytes
    signature: bytes
    hash_alg: int


# Names of CsrFields in the order of the structure; those in _TPM2B have a TPM2B around them in some flavours.
_ORDER = (
    "model",
    "serial",
    "ca_data",
    "boot_event_log",
    "ek_certificate",
    "attest_public",
    "attest_creation_ticket",
    "attest_certify",
    "attest_certify_signature",
    "signing_public",
    "signing_certify",
    "signing_certify_signature",
)
_TPM2B = ("attest_public", "attest_certify", "signing_public", "signing_certify")
_REQUIRED = ("model", "serial", "ek_certificate", "attest_public", "signing_public", "signing_certify", "signing_certify_signature")


def _flavour(name: str) -> Flavour:
    if name not in FLAVOURS:
        raise InputError(f"Could not choose the TCG-CSR-IDEVID flavour '{name}': name one of {', '.join(FLAVOURS)}.")
    return FLAVOURS[name]


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def encode(fields: CsrFields, flavour: str, *, hash_alg: int = alg.SHA256) -> bytes:
    """The TCG_IDEVID_CONTENT, which the IDevID key then signs. ``hash_alg`` is a TPM_ALG_ID: SHA-256, SHA-384 or SHA-512.

    Raises InputError for an unknown flavour or hash, and if a field that the flavour requires is empty, or one is too large.
    """
    kind = _flavour(flavour)
    if hash_alg not in _HASHES:
        raise InputError(f"Could not make a TCG-CSR-IDEVID for {fields.serial}: {alg.alg_name(hash_alg)} is no hash for it; use sha256.")
    missing = [name for name in _REQUIRED if not getattr(fields, name)]
    payloads = [_payload(name, getattr(fields, name), kind) for name in _ORDER]
    large = [name for name, payload in zip(_ORDER, payloads) if len(payload) > _MAXIMUM]
    if missing or large:
        reason = f"{', '.join(missing)} is missing" if missing else f"{large[0]} is larger than {_MAXIMUM} bytes"
        raise InputError(f"Could not make a TCG-CSR-IDEVID for {fields.serial}: {reason}; use the JSON request instead.")
    size = alg.digest_size(hash_alg)
    head = _u32(_CONTENT_VERSION) + _u32(hash_alg) + _u32(size)
    length = len(head) + (size if kind.digest else 0) + 4 * (len(_ORDER) + 1) + sum(map(len, payloads))
    pad = bytes(-length % 16) if kind.padded else b""
    rest = b"".join(_u32(len(payload)) for payload in payloads) + _u32(len(pad)) + b"".join(payloads) + pad
    return head + (alg.digest(hash_alg, rest) if kind.digest else b"") + rest


def _payload(name: str, value: t.Any, kind: Flavour) -> bytes:
    data: bytes = value.encode() if isinstance(value, str) else value
    return sized(data) if name in _TPM2B and kind.wrapped and data else data


def attach(content: bytes, signature: bytes, flavour: str) -> bytes:
    """The complete TCG_CSR_IDEVID: content and the IDevID key's signature (TPMT_SIGNATURE for ``attestz``, else DER)."""
    return _u32(_flavour(flavour).version) + _u32(len(content)) + _u32(len(signature)) + content + signature


class _Payloads:
    """Reads integers and fields from the bytes, one after the other; raises TcgCsrError where they end too early."""

    def __init__(self, data: bytes, flavour: str) -> None:
        self._data, self._at, self._flavour = data, 0, flavour

    def fail(self, reason: str) -> TcgCsrError:
        """The error for a reason."""
        return TcgCsrError(
            f"Could not read a TCG-CSR-IDEVID of the flavour {self._flavour}: {reason}; see which flavour it is, or get it anew."
        )

    def take(self, size: int, what: str) -> bytes:
        """The next bytes."""
        if size > len(self._data) - self._at:
            raise self.fail(f"it ends within {what}")
        self._at += size
        return self._data[self._at - size : self._at]

    def u32(self, what: str) -> int:
        """A big-endian UINT32."""
        return int.from_bytes(self.take(4, what), "big")

    def at(self) -> int:
        """How many bytes have been read."""
        return self._at

    def rest(self) -> bytes:
        """The bytes that have not been read; they stay unread."""
        return self._data[self._at :]


def decode(data: bytes, flavour: str) -> Decoded:
    """Parse a TCG_CSR_IDEVID. This checks the digest in the content of ``attestz``, but not the signature; ``verify`` does that.

    Raises TcgCsrError if bytes are missing, left over or contradictory.
    """
    kind, outer = _flavour(flavour), _Payloads(data, flavour)
    version = outer.u32("the version")
    if version != kind.version:
        raise outer.fail(f"its version is {version:#010x}, not {kind.version:#010x}")
    size, signature_size = outer.u32("the size of the content"), outer.u32("the size of the signature")
    content, signature = outer.take(size, "the content"), outer.take(signature_size, "the signature")
    if outer.rest():
        raise outer.fail(f"{len(outer.rest())} bytes follow the signature")
    fields, hash_alg = _content(content, kind, flavour)
    return Decoded(fields, content, signature, hash_alg)


def _content(content: bytes, kind: Flavour, flavour: str) -> tuple[CsrFields, int]:
    reader = _Payloads(content, flavour)
    if reader.u32("the content's version") != _CONTENT_VERSION:
        raise reader.fail(f"the content's version is not {_CONTENT_VERSION:#010x}")
    hash_alg, hash_size = reader.u32("the hash algorithm"), reader.u32("the size of the hash")
    if hash_alg not in _HASHES or hash_size != alg.digest_size(hash_alg):
        raise reader.fail(f"its hash {alg.alg_name(hash_alg)} of {hash_size} bytes is not one that we accept")
    if kind.digest:
        digest = reader.take(hash_size, "the digest")
        if digest != alg.digest(hash_alg, reader.rest()):
            raise reader.fail("the digest in it is not that of its content")
    sizes = [reader.u32(f"the size of {name}") for name in _ORDER]
    pad = reader.u32("the size of the padding")
    found: dict[str, t.Any] = {}
    for name, size in zip(_ORDER, sizes):
        found[name] = _field(reader, name, reader.take(size, name), kind)
    reader.take(pad, "the padding")
    if reader.rest():
        raise reader.fail(f"{len(reader.rest())} bytes follow the padding")
    return CsrFields(**found), hash_alg


def _field(reader: _Payloads, name: str, value: bytes, kind: Flavour) -> t.Any:
    if name in ("model", "serial"):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise reader.fail(f"{name} is no text") from None
    if name in _TPM2B and kind.wrapped and value:
        if int.from_bytes(value[:2], "big") != len(value) - 2:
            raise reader.fail(f"{name} is not a TPM2B, because its size is wrong")
        return value[2:]
    return value


def verify(found: Decoded, public_key: t.Any, signature: bytes | None = None) -> None:
    """Check the signature over the content with the IDevID's public key. Raises TcgCsrError if it does not verify.

    ``signature`` is in X.509's form; it is checked in place of the one in the structure where that one is a TPMT_SIGNATURE.
    """
    key = keys.public_key(public_key, f"the IDevID key of {found.fields.serial}")
    kinds: dict[int, keys.Hash] = {alg.SHA256: hashes.SHA256(), alg.SHA384: hashes.SHA384(), alg.SHA512: hashes.SHA512()}
    if not keys.is_signed(key, found.signature if signature is None else signature, found.content, kinds[found.hash_alg]):
        raise TcgCsrError(
            f"Could not accept the TCG-CSR-IDEVID of {found.fields.serial}: its signature is not the IDevID key's over its content; "
            "it was altered, or another key signed it."
        )


__all__ = ("FLAVOURS", "Decoded", "CsrFields", "Flavour", "TcgCsrError", "attach", "decode", "encode", "verify")
