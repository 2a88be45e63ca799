# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Certificates of genuine TPMs that are not quite DER: parse them, and write a copy in DER (ITU-T X.690; RFC 5280, section 4.1).

The cryptography library refuses a certificate for one wrong byte in its encoding. This file knows the few faults that vendors have
shipped; each is a rule with a name. It makes a copy in which only these faults are mended, for the library to read. Any other deviation
from DER is an error, and then there is no copy.

Signatures are checked over the original, and only the original is stored, hashed and compared. A rule may only make changes that keep
the meaning: sort the elements of a set, remove a FALSE that is the default, remove a NULL where DER allows nothing. No rule touches
serial number, validity, key or signature.
"""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import der as reader
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.der import BIT_STRING, OCTET_STRING, SEQUENCE, element, oid

# The rules. Words are stable, as they are stored with a verdict.
UNSORTED_SET = "unsorted_set"
EXPLICIT_DEFAULT = "explicit_default"
NULL_PARAMETERS = "null_parameters"
STRING_TYPES = "string_types"  # of two certificates; what is in each is DER
# What the vendor did, as a clause.
RULES = {
    UNSORTED_SET: "the attributes of a name are not in DER's order, as in Nuvoton's",
    EXPLICIT_DEFAULT: "a FALSE is written that is the default, as in Intel's",
    STRING_TYPES: "a name is a PrintableString where the CA's own certificate has a UTF8String, or the other way round, as in STMicroelectronics'",
    NULL_PARAMETERS: "a NULL follows the algorithm of an ECDSA signature, as in Intel's",
}

_BOOLEAN, _INTEGER, _SET = 0x01, 0x02, 0x31
_UTF8, _PRINTABLE = 0x0C, 0x13
_VERSION, _EXTENSIONS, _DIRECTORY_NAME = 0xA0, 0xA3, 0xA4
_FALSE, _NULL = b"\x01\x01\x00", b"\x05\x00"
_SAN, _BASIC = oid("2.5.29.17"), oid("2.5.29.19")
ORGANIZATION = oid("2.5.4.10")
# ecdsa-with-SHA256, -SHA384, -SHA512: parameters are absent (RFC 5758, section 3.2).
_ECDSA = frozenset(oid(f"1.2.840.10045.4.3.{last}") for last in (2, 3, 4))


class Written(t.NamedTuple):
    """The encoded fields of a certificate, each with its tag and length; `extensions` has one entry for each (none in version 1)."""

    version: bytes
    serial_number: bytes
    signed_algorithm: bytes
    issuer: bytes
    validity: bytes
    subject: bytes
    key: bytes
    extensions: tuple[bytes, ...]
    tbs: bytes
    algorithm: bytes
    signature: bytes


def _parts(body: bytes) -> list[reader.Element]:
    """The DER elements that make up some content. Raises ValueError if anything in it is not DER."""
    found = list(reader.elements(body))
    # Re-encoding an element gives the same bytes only if its length was in the shortest form.
    if b"".join(one.whole for one in found) != body or any(
        one.tag & 0x1F == 0x1F or element(one.tag, one.body) != one.whole for one in found
    ):
        raise ValueError("it is not DER")
    return found


def _within(whole: bytes, *tags: int) -> list[reader.Element]:
    """Unwrap nested elements, each the only content of the one around it (`tags` from the outside in), and return the innermost's elements.

    Raises ValueError.
    """
    for tag in tags:
        whole = _only(whole, tag)
    return _parts(whole)


def fields(data: bytes) -> Written:
    """Split a certificate into its fields (RFC 5280, section 4.1). Raises ValueError if it is not DER, or not a certificate."""
    signed, *outer = _within(data, SEQUENCE)
    inner = _parts(signed.body)
    version = inner.pop(0).whole if inner and inner[0].tag == _VERSION else b""
    extensions = _within(inner.pop().whole, _EXTENSIONS, SEQUENCE) if version and inner and inner[-1].tag == _EXTENSIONS else []
    tags = [one.tag for one in (signed, *outer, *inner, *extensions)]
    if tags != [SEQUENCE, SEQUENCE, BIT_STRING, _INTEGER, *[SEQUENCE] * (5 + len(extensions))]:
        raise ValueError("it does not have the fields of a certificate")
    serial_number, signed_algorithm, issuer, validity, subject, key = (one.whole for one in inner)
    algorithm, signature = (one.whole for one in outer)
    each = tuple(one.whole for one in extensions)
    return Written(version, serial_number, signed_algorithm, issuer, validity, subject, key, each, signed.whole, algorithm, signature)


def _whole(found: Written) -> bytes:
    """The DER of a certificate from its fields."""
    extensions = element(_EXTENSIONS, element(SEQUENCE, *found.extensions)) if found.extensions else b""
    front = (found.version, found.serial_number, found.signed_algorithm, found.issuer, found.validity, found.subject, found.key)
    return element(SEQUENCE, element(SEQUENCE, *front, extensions), found.algorithm, found.signature)


class _Copy:
    """Makes one copy, and notes the rules that were needed."""

    def __init__(self) -> None:
        self.rules: set[str] = set()

    def certificate(self, found: Written) -> bytes:
        """The DER of the copy."""
        mended = found._replace(
            signed_algorithm=self.algorithm(found.signed_algorithm),
            issuer=self.name(found.issuer),
            subject=self.name(found.subject),
            extensions=tuple(map(self.extension, found.extensions)),
            algorithm=self.algorithm(found.algorithm),
        )
        return _whole(mended)

    def name(self, whole: bytes) -> bytes:
        """A Name with each of its sets sorted (X.690, section 11.6)."""
        return element(SEQUENCE, *(self.set_of(one.whole) for one in _within(whole, SEQUENCE)))

    def set_of(self, whole: bytes) -> bytes:
        """A RelativeDistinguishedName, sorted. If that changes it, no type may occur twice: a reader of the first would get another value.

        Raises ValueError.
        """
        found = [one.whole for one in _within(whole, _SET)]
        ordered = sorted(found)
        if ordered != found:
            self.rules.add(UNSORTED_SET)
            kinds = {one.whole for pair in found for one in _within(pair, SEQUENCE)[:1]}
            if len(kinds) != len(found):
                raise ValueError("a name in it has one attribute twice")
        return element(_SET, *ordered)

    def algorithm(self, whole: bytes) -> bytes:
        """An AlgorithmIdentifier."""
        kind, *parameters = (one.whole for one in _within(whole, SEQUENCE))
        if kind not in _ECDSA or parameters != [_NULL]:
            return whole
        self.rules.add(NULL_PARAMETERS)
        return element(SEQUENCE, kind)

    def without_default(self, parts: list[reader.Element], at: int) -> list[bytes]:
        """The encoded elements without a BOOLEAN FALSE at the index `at` (X.690, section 11.5). Raises ValueError."""
        found = [one.whole for one in parts]
        if found[at : at + 1] == [_FALSE]:
            self.rules.add(EXPLICIT_DEFAULT)
            del found[at]
            if any(one.tag == _BOOLEAN for one in parts[at + 1 :]):
                raise ValueError("it says FALSE and something else")
        return found

    def extension(self, whole: bytes) -> bytes:
        """An Extension; the value is parsed only if it is subjectAltName or basicConstraints."""
        *head, value = self.without_default(_within(whole, SEQUENCE), 1)
        change = {_SAN: self.alternative_name, _BASIC: self.basic_constraints}.get(head[0] if head else b"")
        return element(SEQUENCE, *head, element(OCTET_STRING, change(_only(value, OCTET_STRING))) if change else value)

    def alternative_name(self, value: bytes) -> bytes:
        """GeneralNames; a directoryName in it has the TPM's manufacturer, model and version."""
        return element(SEQUENCE, *(self.general_name(one) for one in _within(value, SEQUENCE)))

    def general_name(self, one: reader.Element) -> bytes:
        """A GeneralName."""
        return element(_DIRECTORY_NAME, self.name(one.body)) if one.tag == _DIRECTORY_NAME else one.whole

    def basic_constraints(self, value: bytes) -> bytes:
        """BasicConstraints, whose cA is FALSE by default."""
        return element(SEQUENCE, *self.without_default(_within(value, SEQUENCE), 0))


def _only(whole: bytes, tag: int) -> bytes:
    """The content of a single element. Raises ValueError if it has another tag, or there is more than one."""
    found = _parts(whole)
    if [one.tag for one in found] != [tag]:
        raise ValueError("an element in it is not where it has to be")
    return found[0].body


def copy(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """A DER certificate with the same meaning, and the rules that were needed; the certificate itself and no rule if it is DER already.

    Raises ValueError if it has another fault, or original and copy could be read differently.
    """
    written, work = fields(data), _Copy()
    made = work.certificate(written)
    again, second = fields(made), _Copy()
    # The fields re-encode to the original, the copy needs no rule, and the fields that no rule may touch are equal.
    same = all(getattr(again, one) == getattr(written, one) for one in ("version", "serial_number", "validity", "key", "signature"))
    if _whole(written) != data or second.certificate(again) != made or second.rules or not same:
        raise ValueError("what was read of it is not what is written")
    return made, tuple(sorted(work.rules))


def same_name(one: bytes, other: bytes) -> bool:
    """Whether two DER Names have the same texts for the same attributes in the same order (RFC 5280, section 7.1).

    PrintableString and UTF8String count as equal, because both encode such a text in the same bytes. Case, blanks and other types matter.
    """
    try:
        return one == other or _texts(one) == _texts(other)
    except ValueError:
        return False


def _texts(name: bytes) -> list[list[list[tuple[int, bytes]]]]:
    """Type and value of each attribute, by the sets of a Name."""
    sets = [_within(one.whole, _SET) for one in _within(name, SEQUENCE)]
    return [
        [[(_UTF8 if part.tag == _PRINTABLE else part.tag, part.body) for part in _within(one.whole, SEQUENCE)] for one in each]
        for each in sets
    ]


def subject_texts(data: bytes) -> list[tuple[bytes, str]]:
    """The attributes in a certificate's subject, each as DER of its OID and text, for the report on a certificate that is not used.

    Empty if the certificate is not DER.
    """
    try:
        pairs = [_within(pair.whole, SEQUENCE) for one in _within(fields(data).subject, SEQUENCE) for pair in _within(one.whole, _SET)]
        return [(kind.whole, value.body.decode("utf-8", "replace")) for kind, value in pairs]
    except ValueError:
        return []


__all__ = (
    "EXPLICIT_DEFAULT",
    "NULL_PARAMETERS",
    "ORGANIZATION",
    "RULES",
    "STRING_TYPES",
    "UNSORTED_SET",
    "Written",
    "copy",
    "fields",
    "same_name",
    "subject_texts",
)
