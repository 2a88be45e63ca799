# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Signed statements of where a device is: its birth record names the host at which it was enrolled, each statement where it moved later.

A statement is a DSSE envelope like a birth record, with another payload type. Its payload: ``schema``, ``version``, ``serial``,
``ek_name``, ``number`` (1, 2, 3 and so on), ``previous`` (the SHA-256 of the payload before it; for the first, of the birth record's),
``time``, ``host``, ``mac``, ``site``. So the statements form a chain after one record: nobody can leave one out of the middle, or use one
for another device.
"""

from __future__ import annotations

import datetime
import hashlib
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.authority import Signer
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth import birth_records, envelope, schema
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth.schema import BirthRecordError, Maybe
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.records import Place
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.certificates import moment

PAYLOAD_TYPE = "application/vnd.edgefleet.tpm2.place+json"
SCHEMA, VERSION = "edgefleet.tpm2/place", 1


def _text(value: t.Any) -> bool:
    return isinstance(value, str)


_PAYLOAD: dict[str, t.Any] = {
    "schema": lambda value: value == SCHEMA,
    "version": lambda value: value == VERSION,
    "serial": _text,
    "ek_name": _text,
    "number": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "previous": _text,
    "time": lambda value: _text(value) and schema.parse_time(value) is not None,
    "host": _text,
    "mac": Maybe(_text),
    "site": Maybe(_text),
}


def make(record: str, statements: t.Sequence[str], place: Place, signer: Signer, now: datetime.datetime) -> tuple[int, str]:
    """Number and text of a new statement that a device is at ``place``, to follow a verified record and its statements.

    Raises BirthRecordError if nobody would accept that signer.
    """
    born = envelope.document(envelope.parse(record)[1])
    number = len(statements) + 1
    payload = {
        "schema": SCHEMA,
        "version": VERSION,
        "serial": born["device"]["serial"],
        "ek_name": born["ek"]["name"],
        "number": number,
        "previous": _digest([record, *statements][-1], statements),
        "time": moment(now),
        "mac": place.mac or None,
        "site": place.site or None,
        "host": place.host,
    }
    return number, birth_records.seal(envelope.encode(payload), signer, PAYLOAD_TYPE)


def _digest(text: str, statements: t.Sequence[str]) -> str:
    kind = PAYLOAD_TYPE if statements else envelope.PAYLOAD_TYPE
    return hashlib.sha256(envelope.parse(text, kind)[1]).hexdigest()


def last(record: str, statements: t.Sequence[str], *, roots: t.Sequence[str | bytes], now: datetime.datetime | None = None) -> Place:
    """Where a device is, from its verified record and the statements after it. Raises BirthRecordError, CertificateError."""
    born = envelope.document(envelope.parse(record)[1])
    newest = {**born["device"], "time": born["time"]}
    who = (born["device"]["serial"], born["ek"]["name"])
    previous = _digest(record, ())
    for number, text in enumerate(statements, start=1):
        body, certificates = birth_records.unseal(text, PAYLOAD_TYPE)
        found = envelope.loads(body, "the payload of a statement")
        fault = schema.fault(found, _PAYLOAD)
        if fault:
            raise BirthRecordError(f"Could not accept a statement of a device's place: {fault}.", fault)
        birth_records.signed_by(certificates, roots, found["time"], now)
        follows = (found["number"], found["previous"]) == (number, previous) and found["time"] >= newest["time"]
        if not follows or (found["serial"], found["ek_name"]) != who:
            reason = f"statement {number} is of another device, or does not follow the one before it"
            raise BirthRecordError(f"Could not accept a statement of a device's place: {reason}.", reason)
        newest, previous = found, hashlib.sha256(body).hexdigest()
    return Place(*(newest[name] or "" for name in Place._fields))


__all__ = ("PAYLOAD_TYPE", "last", "make")
