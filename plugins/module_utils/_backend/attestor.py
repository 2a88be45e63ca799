# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Have a TPM sign statements about itself, over a raw transport (TPM 2.0 Library Part 3, sections 18, 20 and 31.16). Changes nothing.

The keys are used with an empty auth, and neither commands nor responses hold a secret, so no session is needed.
"""

from __future__ import annotations

import struct
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.reader import Reader, Transmitter
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, errors, handles, marshal, names, pcr

ST_HASHCHECK = 0x8024
_OWN_SCHEME = struct.pack(">H", alg.NULL)
_KEY_AUTH = "it has an auth value of its own, with which this collection cannot use it, so make it from a template of this collection"


class Signed(t.NamedTuple):
    """A TPMS_ATTEST and the TPMT_SIGNATURE over it, both marshalled."""

    attest: bytes
    signature: bytes


class Attestor(Reader):
    """Attestations by a key at a persistent handle. Every method raises TransportError or TpmResponseError.

    ``nv_buffer``: how many bytes of NV the TPM handles in one command, if known; otherwise the TPM is asked when it matters.
    """

    def __init__(self, transport: Transmitter, nv_buffer: int | None = None, alone: bool = False) -> None:
        super().__init__(transport, alone)
        self._nv_buffer = nv_buffer

    def properties(self, group: int = constants.PT_VAR) -> dict[int, int]:
        if group != constants.PT_VAR and self._nv_buffer and group not in self._properties:
            return {constants.PT_NV_BUFFER_MAX: self._nv_buffer}
        return super().properties(group)

    def _signed(self, attempt: str, obj: str, command: bytes) -> bytes:
        code, body = self._send(command)
        if code:
            raise errors.from_rc(attempt, obj, code, _KEY_AUTH if errors.is_rc(code, errors.RC_BAD_AUTH, errors.RC_AUTH_FAIL) else None)
        return body

    def _attest(self, attempt: str, obj: str, command: bytes) -> Signed:
        cursor = marshal.Cursor(self._signed(attempt, obj, command))
        return Signed(cursor.sized(), cursor.rest())

    def nv_certify(self, signer: int, index: int, size: int, nonce: bytes) -> Signed:
        """TPM2_NV_Certify (31.16) of ``size`` bytes of an NV index whose own, empty auth allows reading."""
        parameters = marshal.sized(nonce) + _OWN_SCHEME + struct.pack(">HH", size, 0)
        command = marshal.command(constants.CC_NV_CERTIFY, [signer, index, index], parameters, [b"", b""])
        return self._attest("certify", f"the content of NV index {handles.text(index)}", command)

    def quote(self, signer: int, chosen: pcr.Selection, nonce: bytes) -> Signed:
        """TPM2_Quote (18.4) over PCRs of one bank."""
        parameters = marshal.sized(nonce) + _OWN_SCHEME + pcr.marshal([chosen])
        return self._attest("quote", f"PCR {chosen.text}", marshal.command(constants.CC_QUOTE, [signer], parameters, [b""]))

    def certify(self, subject: int, signer: int, nonce: bytes) -> Signed:
        """TPM2_Certify (18.2) of a key that its auth value authorises in the role ADMIN."""
        command = marshal.command(constants.CC_CERTIFY, [subject, signer], marshal.sized(nonce) + _OWN_SCHEME, [b"", b""])
        return self._attest("certify", f"the key at {handles.text(subject)}", command)

    def sign(self, key: int, public: names.Public, digest: bytes) -> bytes:
        """TPM2_Sign (20.2) of a digest by an unrestricted key; the digest's length tells its hash. Returns the marshalled TPMT_SIGNATURE."""
        hash_alg = alg.hash_to_sign(digest)
        own = public.scheme[:2] != _OWN_SCHEME
        scheme = _OWN_SCHEME if own else struct.pack(">HH", alg.ECDSA if public.type == alg.ECC else alg.RSASSA, hash_alg)
        ticket = struct.pack(">HIH", ST_HASHCHECK, handles.RH_NULL, 0)
        command = marshal.command(constants.CC_SIGN, [key], marshal.sized(digest) + scheme + ticket, [b""])
        return self._signed("sign with", f"the key at {handles.text(key)}", command)


__all__ = ("Attestor", "Signed")
