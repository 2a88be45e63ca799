# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""TSS2 key files (ASN.1 Specification for TPM 2.0 Key Files) and public keys as PEM (RFC 5480, RFC 8017, RFC 7468).

A file holds a loadable key or a sealed blob. The lines before ``-----BEGIN`` are explanatory text in the sense of RFC 7468,
section 2: other programs skip them. The parent's Name is noted there, so that a file of another TPM is recognised without asking the TPM.
"""

from __future__ import annotations

import base64
import re
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attributes, der, handles
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError, TpmError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import Cursor, sized
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.names import Public, parse_public

_OID_IMPORTABLE = bytes.fromhex("06066781050a0104")
OID_LOADABLE = bytes.fromhex("06066781050a0103")
OID_SEALED = bytes.fromhex("06066781050a0105")
_LABEL, _OLD_LABEL = "TSS2 PRIVATE KEY", "TSS2 KEY BLOB"
# The hierarchies in which primary keys can be made.
_HIERARCHIES = (handles.RH_OWNER, handles.RH_NULL, handles.RH_ENDORSEMENT, handles.RH_PLATFORM)
_PEM = re.compile(rf"-----BEGIN {_LABEL}-----([A-Za-z0-9+/=\s]+)-----END {_LABEL}-----", re.ASCII)
_PARENT_NAME = re.compile(r"^Parent-Name: ([0-9a-f]+)\s*$", re.MULTILINE)

_HEADS = (b"Sealed data of a TPM 2.0", b"Private key of a TPM 2.0")
_INTEGER, _OCTETS, _SEQUENCE, _BOOLEAN_TRUE = 0x02, 0x04, 0x30, b"\x01\x01\xff"
_EMPTY_AUTH, _RSA_PARENT = 0xA0, 0xA5
_RESTORE = "restore the file from a backup, or name another"


class _MalformedError(TpmError):
    """What is wrong with a file, as a clause; and what to do, if not ``_RESTORE``."""

    def __init__(self, clause: str, cure: str = _RESTORE) -> None:
        super().__init__(clause)
        self.cure = cure


class KeyFile(t.NamedTuple):
    """The content of a TSS2 key file.

    ``parent`` is a persistent handle, or a hierarchy; a hierarchy means its default primary key: ECC P-256, or RSA-2048 with ``rsa_parent``.
    ``private`` is the content of the TPM2B_PRIVATE; ``parent_name`` may be unknown.
    """

    sealed: bool
    empty_auth: bool
    parent: int
    public: Public
    private: bytes
    parent_name: bytes | None = None
    rsa_parent: bool = False

    @property
    def in_hierarchy(self) -> bool:
        """Whether the parent is the default primary key of a hierarchy."""
        return self.parent in _HIERARCHIES


def _integer(value: int) -> bytes:
    return der.element(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def write(key: KeyFile) -> str:
    """The file's text. It contains no policy, because tpm2-tools and OpenSSL's provider refuse files that do."""
    flag = der.element(_EMPTY_AUTH, _BOOLEAN_TRUE) if key.empty_auth else b""
    rsa = der.element(_RSA_PARENT, _BOOLEAN_TRUE) if key.rsa_parent else b""
    body = [OID_SEALED if key.sealed else OID_LOADABLE, flag, rsa, _integer(key.parent)]
    body += [der.element(_OCTETS, sized(key.public.raw)), der.element(_OCTETS, sized(key.private))]
    head = f"{_HEADS[0 if key.sealed else 1].decode()}\nParent: {key.parent:#010x}\n"
    if key.parent_name is not None:
        head += f"Parent-Name: {key.parent_name.hex()}\n"
    return head + der.pem(_LABEL, der.element(_SEQUENCE, *body))


def is_key_file(data: bytes) -> bool:
    """Whether bytes look like a TSS2 key file, whole or torn."""
    return data.startswith(_HEADS) or any(f"-----BEGIN {label}-----".encode() in data for label in (_LABEL, _OLD_LABEL))


def _element(cursor: Cursor) -> tuple[int, bytes]:
    tag, size = cursor.u8(), cursor.u8()
    if size == 0x80 or size > 0x84:
        raise _MalformedError("a length in it is malformed")
    if size & 0x80:
        size = int.from_bytes(cursor.take(size & 0x7F), "big")
    return tag, cursor.take(size)


def _two_byte(data: bytes) -> bytes:
    cursor = Cursor(data)
    content = cursor.sized()
    if cursor.at() != len(data):
        raise _MalformedError("a sized buffer in it has bytes left over")
    return content


def _is_data(public: Public) -> bool:
    """Whether the object is sealed data. The file's OID does not tell: tpm2_encodeobject always writes the OID of a loadable key."""
    return public.type == alg.KEYEDHASH and not public.attributes & (attributes.OBJECT["sign"] | attributes.OBJECT["decrypt"])


def _read_der(data: bytes, parent_name: bytes | None) -> KeyFile:
    outer = Cursor(data)
    tag, body = _element(outer)
    if tag != _SEQUENCE or outer.at() != len(data):
        raise _MalformedError("it is not one whole DER sequence")
    cursor = Cursor(body)
    kind = der.element(*_element(cursor))
    if kind == _OID_IMPORTABLE:
        raise _MalformedError(
            "it holds an importable key, which another machine has wrapped for one TPM and which has to be imported once (TPM2_Import)",
            "import it with the program that made it (or tpm2_import), and name the resulting file with the loadable key",
        )
    if kind not in (OID_LOADABLE, OID_SEALED):
        raise _MalformedError("it holds neither a loadable key nor a sealed blob")
    empty_auth, rsa_parent, (tag, value) = False, False, _element(cursor)
    while tag >= 0xA0:
        # Any value of the BOOLEAN emptyAuth is accepted (some writers use 01); other fields are ignored.
        true = value[-1:] not in (b"", b"\0")
        empty_auth, rsa_parent = empty_auth or (tag == _EMPTY_AUTH and true), rsa_parent or (tag == _RSA_PARENT and true)
        tag, value = _element(cursor)
    parts = [(tag, value), _element(cursor), _element(cursor)]
    if [tag for tag, _value in parts] != [_INTEGER, _OCTETS, _OCTETS]:
        raise _MalformedError("parent, public or private part is missing")
    if cursor.at() != len(body):
        raise _MalformedError("its private part is followed by something else")
    parent = int.from_bytes(parts[0][1], "big")  # read as unsigned, because writers on 32-bit machines leave out the leading zero byte
    if not parts[0][1] or parent > 0xFFFFFFFF:
        raise _MalformedError("its parent is not a handle")
    public, private = parse_public(_two_byte(parts[1][1])), _two_byte(parts[2][1])
    if not private:
        raise _MalformedError("its private part is empty, so it holds only the public part of a key")
    # Zero means the owner hierarchy, like an absent parent in the first version of the format.
    return KeyFile(kind == OID_SEALED or _is_data(public), empty_auth, parent or handles.RH_OWNER, public, private, parent_name, rsa_parent)


def _no_block(text: str) -> _MalformedError:
    if f"-----BEGIN {_OLD_LABEL}-----" in text:
        return _MalformedError(
            f"it holds a key in the older form '{_OLD_LABEL}', which this collection does not read",
            f"convert it to a '{_LABEL}' with the program that made it, and name the new file",
        )
    other = re.search(r"-----BEGIN ([A-Z0-9 ]{1,40})-----", text)
    if other and other.group(1) != _LABEL:
        return _MalformedError(f"it holds no '{_LABEL}' PEM block but a '{other.group(1)}'", "name another file")
    return _MalformedError(f"it holds no whole '{_LABEL}' PEM block")


def read(data: bytes, path: str) -> KeyFile:
    """Parse a TSS2 PEM file. Raises InputError, which names ``path``, if the file is torn, foreign or of an unsupported kind."""
    text = data.decode("ascii", "replace")
    found = _PEM.search(text)
    try:
        if not found:
            raise _no_block(text)
        name = _PARENT_NAME.search(text[: found.start()])
        whole = base64.b64decode("".join(found.group(1).split()), validate=True)
        return _read_der(whole, bytes.fromhex(name.group(1)) if name else None)
    except (TpmError, ValueError) as error:
        known = error if isinstance(error, _MalformedError) else _MalformedError("it is torn or damaged")
        raise InputError(f"Could not read {path}: {known}; {known.cure}.") from None


_OID_RSA = bytes.fromhex("06092a864886f70d0101010500")
_OID_EC = bytes.fromhex("06072a8648ce3d0201")
_OID_CURVES = {0x0003: "06082a8648ce3d030107", 0x0004: "06052b81040022", 0x0005: "06052b81040023"}
_COORDINATE = {0x0003: 32, 0x0004: 48, 0x0005: 66}


def public_pem(public: Public) -> str:
    """The SubjectPublicKeyInfo of an RSA or ECC key, as PEM. Raises TpmError for other types of objects and for other curves."""
    if public.type == alg.RSA:
        exponent = int.from_bytes(public.detail[2:6], "big") or 65537
        modulus = int.from_bytes(Cursor(public.unique).sized(), "big")
        head, key = der.element(_SEQUENCE, _OID_RSA), der.element(_SEQUENCE, _integer(modulus), _integer(exponent))
    else:
        curve = int.from_bytes(public.detail[:2], "big")
        if public.type != alg.ECC or curve not in _OID_CURVES:
            raise TpmError(f"Could not export a public key of type {public.algorithm}: there is no PEM form for it; leave public_path out.")
        cursor = Cursor(public.unique)
        # The TPM may leave out the leading zeros of coordinates; an encoded point must have them.
        key = b"\x04" + b"".join(cursor.sized().rjust(_COORDINATE[curve], b"\0") for _each in "xy")
        head = der.element(_SEQUENCE, _OID_EC, bytes.fromhex(_OID_CURVES[curve]))
    return der.pem("PUBLIC KEY", der.element(_SEQUENCE, head, der.element(0x03, b"\0", key)))


__all__ = ("KeyFile", "is_key_file", "public_pem", "read", "write")
